//! Byte-faithful JSON: a flat tape over the original bytes, edits by span, and an incremental Bundle scanner.
//!
//! Nothing here re-prints a number, a string or white space: what a caller receives is what the upstream wrote, minus
//! what was cut out and plus what was put in, span by span.

pub mod bundle;
pub mod edit;
mod parser;
pub mod patch;
pub mod tape;

#[cfg(test)]
mod tests;

pub use bundle::{BEGINNING, BundleScanner, Piece, ScanError, ScanLimits};
pub use edit::{EditError, Edits, Removal, quoted};
pub use parser::{JsonError, JsonFault, Limits};
pub use patch::{Patch, PatchError};
pub use tape::{Doc, Kind, Member, Value};
