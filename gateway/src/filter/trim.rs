//! Trim: what was decided whole leaves as small as the client asked for.

use gateway_core::json::{Doc, Edits};
use gateway_core::trim::Trim;

use crate::problem::Problem;

/// A resource that may leave, without what `_summary` or `_elements` leave out.
pub(crate) fn trimmed(shown: Vec<u8>, trim: &Trim) -> Result<Vec<u8>, Problem> {
    if *trim == Trim::Whole {
        return Ok(shown);
    }
    let failed = || Problem::Unfilterable("trimming-failed");
    let doc = Doc::parse(&shown).map_err(|_| failed())?;
    let mut edits = Edits::new();
    trim.plan(doc.root(), &mut edits).map_err(|_| failed())?;
    edits.apply(&shown).map_err(|_| failed())
}
