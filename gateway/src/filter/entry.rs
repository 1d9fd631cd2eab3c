//! An entry of the upstream's searchset: what it is called, and whether it was found or came along.

use gateway_core::json::Doc;
use gateway_core::reference::{Bases, Target};
use gateway_core::resource_type::ResourceType;

use super::judge::Subject;
use crate::problem::Problem;

pub(super) const MALFORMED: Problem = Problem::Unfilterable("upstream-malformed-entry");

/// Whether an entry was found or came along.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Match,
    Include,
    Outcome,
}

/// `search.mode`; where it is absent, or says `match` of a type that was not searched for, the type decides.
pub(super) fn mode(doc: &Doc<'_>, rtype: ResourceType) -> Result<Mode, Problem> {
    let entry = doc.root();
    let stated = entry.get("search").and_then(|search| search.str_at("mode"));
    let type_name = entry.get("resource").and_then(|r| r.str_at("resourceType")).ok_or(MALFORMED)?;
    Ok(match stated.as_deref() {
        Some("outcome") => Mode::Outcome,
        Some("include") => Mode::Include,
        Some(_) | None if type_name == rtype.as_str() => Mode::Match,
        Some(_) | None if type_name == "OperationOutcome" => Mode::Outcome,
        Some(_) | None => Mode::Include,
    })
}

/// `Type/id`.
pub(super) fn name(subject: &Subject<'_>) -> Result<String, Problem> {
    let id = subject.facts.id.as_deref().ok_or(MALFORMED)?;
    Ok(format!("{}/{id}", subject.facts.resource_type))
}

/// `Type/id` of an entry of this type of which only the beginning is at hand: where its `fullUrl` stands first, as most
/// servers write.
pub(super) fn name_of_beginning(begin: &[u8], rtype: ResourceType, bases: &Bases) -> Option<String> {
    let first = begin.split(|byte| *byte == b',').next()?;
    let whole = [first, b"}"].concat();
    let doc = Doc::parse(&whole).ok()?;
    match Target::parse(&doc.root().str_at("fullUrl")?, bases) {
        Target::Local { rtype: own, id, .. } if own == rtype => Some(format!("{rtype}/{id}")),
        Target::Local { .. } | Target::Fragment(_) | Target::Foreign(_) | Target::Malformed => None,
    }
}

#[cfg(test)]
mod tests;
