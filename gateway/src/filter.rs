//! Filter: what the upstream sent becomes what the caller may have, window by window.

mod bundle;
mod entry;
mod judge;
mod looks;
mod pages;
mod window;

pub use bundle::{Links, SearchAnswer, SearchPlan};
pub(crate) use gateway_core::decide::Ruling;
pub use judge::Judge;
pub(crate) use judge::{Judged, Shown};
pub use looks::Looks;
pub use pages::Pages;
pub use window::{NotRecordable, WRITE_UNKNOWN, Window};
