//! What the answer to a history is to look like.

use gateway_core::decide::Action;
use gateway_core::resource_type::ResourceType;

use crate::filter::Reaches;

/// Whose history it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// One resource's.
    Instance(ResourceType, String),
    /// A type's.
    Type(ResourceType),
    /// The server's.
    System,
}

impl Of {
    /// The path below the base: `Patient/x/_history`.
    pub fn path(&self) -> String {
        match self {
            Self::Instance(rtype, id) => format!("{rtype}/{id}/_history"),
            Self::Type(rtype) => format!("{rtype}/_history"),
            Self::System => "_history".to_owned(),
        }
    }

    /// What each version is decided as: SMART's `r` for an instance, `s` for the others.
    pub fn action(&self) -> Action {
        match self {
            Self::Instance(..) => Action::Read,
            Self::Type(_) | Self::System => Action::Search,
        }
    }

    /// Whether an entry of this name belongs there.
    pub(super) fn holds(&self, name: &str) -> bool {
        match (self, name.split_once('/')) {
            (Self::Instance(rtype, id), Some((of, own))) => rtype.as_str() == of && id == own,
            (Self::Type(rtype), Some((of, _))) => rtype.as_str() == of,
            (Self::System, Some(_)) => true,
            (_, None) => false,
        }
    }
}

/// What a history's answer is to look like; see [`crate::history`] for how it is made.
pub struct HistoryPlan {
    /// Whose.
    pub of: Of,
    /// The upstream's first page, as a target below its base.
    pub target: String,
    /// The query on which later pages of one resource's history go on, without `_count`.
    pub query: String,
    /// The page size.
    pub count: u32,
    /// One resource's history is read to its end: pages and total of what is visible. Others are read until a visible
    /// version lies beyond the page, or a budget of entries was looked at.
    pub to_the_end: bool,
    /// Visible entries that earlier pages held.
    pub skip: u64,
    /// Most entries that are read of the upstream.
    pub most_entries: u64,
    /// Bytes of the largest version that is decided on.
    pub largest: usize,
    /// Bytes and entries of one window.
    pub window: (usize, usize),
    /// Which types the organisation lets this request reach.
    pub reaches: Reaches,
}
