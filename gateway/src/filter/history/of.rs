//! What the answer to a history is to look like.

use gateway_core::decide::Action;
use gateway_core::resource_type::ResourceType;

use crate::filter::{PagePlan, Reaches};

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
    /// Which page of it.
    pub page: PagePlan,
    /// The mark of the entry behind which it goes on.
    pub after: Option<String>,
    /// Bytes of the largest version that is decided on.
    pub largest: usize,
    /// Which types the organisation lets this request reach.
    pub reaches: Reaches,
}
