//! The demo: everything started, with patients whose Consents differ, and a story to try by hand or to watch.

pub mod cast;
pub mod chain;
pub mod consents;
pub mod edits;
pub mod passed;
pub mod settings;
pub mod state;
pub mod story;
