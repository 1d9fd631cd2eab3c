//! What the answer to a search is to look like.

use std::collections::VecDeque;

use gateway_core::owner::PatientId;
use gateway_core::resource_type::ResourceType;
use gateway_core::trim::Trim;

use super::Reaches;
use super::looks::Looks;
use super::paging::PagePlan;
use crate::cursor::Position;
use crate::problem::Problem;

/// What a search's answer is to look like; see [`crate::search`] for how it is made.
#[derive(Clone, Debug)]
pub struct SearchPlan {
    /// The type searched for.
    pub rtype: ResourceType,
    /// Which page of it.
    pub page: PagePlan,
    /// Whether several searches of the upstream make it up, which may find the same.
    pub joined: bool,
    /// What the search looks at.
    pub looks: Looks,
    /// How much of each resource is asked for.
    pub trim: Trim,
    /// Unknown parameters that were not forwarded; the answer warns of them.
    pub dropped: Vec<String>,
    /// Which types the organisation lets the request bring along.
    pub reaches: Reaches,
    /// What else it is made of.
    pub parts: Parts,
}

/// Of what an answer is made that is not of one search.
#[derive(Clone, Debug, Default)]
pub enum Parts {
    /// Of that one.
    #[default]
    One,
    /// Of further ones, whose matches follow as far as none before found them.
    Then(VecDeque<Part>),
    /// Of one patient's record: every entry is a match, whatever its type.
    Around(Around),
}

/// A further search.
#[derive(Clone, Debug)]
pub struct Part {
    /// The type searched for.
    pub rtype: ResourceType,
    /// The upstream's first page, as a target below its base.
    pub target: String,
    /// What it looks at.
    pub looks: Looks,
}

/// Whose record an answer is of, and what it may hold.
#[derive(Clone, Debug)]
pub struct Around {
    /// The patient.
    pub patient: PatientId,
    /// Which types the organisation lets the request reach.
    pub reaches: Reaches,
}

/// Makes links of the answer: the self link, and the one to a position where the search goes on.
pub type Links = Box<dyn Fn(Option<Position>) -> Result<String, Problem>>;
