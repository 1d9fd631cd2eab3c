//! `signalled`: who may break the glass is told that Consent hides what he reads, where the operator says so.
//!
//! Of reads of one named resource only. Of a search the same bit would answer its criteria: whether a hidden record has
//! this code or that value.

use gateway_core::caller::Caller;
use gateway_core::consent::truth::Truth;
use gateway_core::purpose;

use super::entitled;
use crate::config::{GlassConfig, Hidden, HiddenBy};
use crate::outcome::Outcome;
use crate::problem::Problem;

/// The outcome of a read as this caller may know of it.
pub(crate) fn signalled(config: &GlassConfig, caller: &Caller, mut outcome: Outcome) -> Outcome {
    if let Outcome::Refused { problem, denied: Some(denied) } = &mut outcome
        && matches!(problem, Problem::Absent)
        && denied.hides_by_consent()
        && tells(config, caller)
    {
        *problem = Problem::Suppressed;
    }
    outcome
}

/// Whether this caller is told. Where it is unknown whether a rule holds, the answer is the one that tells less.
fn tells(config: &GlassConfig, caller: &Caller) -> bool {
    entitled(config, caller)
        && caller.purposes.iter().any(purpose::breaks_glass)
        && hidden(config, caller) == Hidden::Signalled
}

fn hidden(config: &GlassConfig, caller: &Caller) -> Hidden {
    for rule in &config.hidden_by {
        match (holds(rule, caller), rule.hidden) {
            (Truth::True, hidden) => return hidden,
            (Truth::Unknown, Hidden::Secret) => return Hidden::Secret,
            (Truth::Unknown, Hidden::Signalled) | (Truth::False, _) => {}
        }
    }
    config.hidden
}

/// Whether a rule holds: for all purposes of the caller, for some or unknown ones, or for none.
fn holds(rule: &HiddenBy, caller: &Caller) -> Truth {
    if !rule.realms.is_empty() && !rule.realms.contains(&caller.issuer) {
        return Truth::False;
    }
    if rule.purposes.is_empty() {
        return Truth::True;
    }
    let covered = |asked| Truth::any(rule.purposes.iter().map(|stated| purpose::covers(stated, asked)));
    let covered: Vec<Truth> = caller.purposes.iter().map(covered).collect();
    if !covered.is_empty() && covered.iter().all(|one| *one == Truth::True) {
        Truth::True
    } else if !covered.is_empty() && covered.iter().all(|one| *one == Truth::False) {
        Truth::False
    } else {
        Truth::Unknown
    }
}

#[cfg(test)]
mod tests;
