//! Filter: what the upstream sent becomes what the caller may have, window by window.

mod bundle;
mod entry;
mod history;
mod judge;
mod looks;
mod pages;
mod paging;
mod plan;
mod trim;
mod window;
mod witness;

pub use bundle::SearchAnswer;
pub(crate) use gateway_core::decide::Ruling;
pub use history::{HistoryAnswer, HistoryPlan, Of};
pub use judge::Judge;
pub(crate) use judge::{Judged, Shown};
pub use looks::Looks;
pub use pages::Pages;
pub use paging::{Bounds, PagePlan};
pub use plan::{Around, Links, Part, Parts, SearchPlan};
pub(crate) use trim::trimmed;
pub use window::{BREAK_GLASS_GRANTED, NotRecordable, WRITE_UNKNOWN, Window};
pub use witness::{Ruled, Witness};

use std::sync::Arc;

use crate::problem::Problem;

/// Whether the organisation lets this caller's request reach resources of a type: asked of each type where a request
/// names none.
#[derive(Clone)]
pub struct Reaches(Arc<dyn Fn(&str) -> bool>);

impl Reaches {
    /// As this function says of a type's name.
    pub fn new(reaches: impl Fn(&str) -> bool + 'static) -> Self {
        Self(Arc::new(reaches))
    }

    /// Whether it reaches this type.
    pub fn reaches(&self, rtype: &str) -> bool {
        (self.0)(rtype)
    }
}

impl std::fmt::Debug for Reaches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reaches")
    }
}

/// An answer that leaves in windows.
pub enum Further {
    /// To a search.
    Search(Box<SearchAnswer>),
    /// To a history.
    History(Box<HistoryAnswer>),
}

impl Further {
    /// The next window; its `last` says whether the answer ends with it.
    pub async fn next_window(&mut self) -> Result<Window, Problem> {
        match self {
            Self::Search(answer) => answer.next_window().await,
            Self::History(answer) => answer.next_window().await,
        }
    }
}
