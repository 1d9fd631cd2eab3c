//! Purposes of use: the PurposeOfUse branch of HL7 v3-ActReason, pinned.
//!
//! Purposes match downward only: a request purpose matches itself or an ancestor (CONSENT.md, "Consent").

use crate::coding::Coding;
use crate::consent::truth::Truth;

/// The code system, by its canonical URI.
pub const SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";

/// The published version that `HIERARCHY` is taken from.
pub const VERSION: &str = "v3-ActReason|3.1.0";

/// Other names of the same code system: its OID, as SAML and IHE IUA tokens carry it, and the URI before R4.
const ALIASES: &[&str] =
    &["urn:oid:2.16.840.1.113883.5.8", "2.16.840.1.113883.5.8", "http://hl7.org/fhir/v3/ActReason"];

/// Treatment.
pub const TREAT: &str = "TREAT";
/// Emergency treatment.
pub const ETREAT: &str = "ETREAT";
/// Treatment in an emergency room.
pub const ERTREAT: &str = "ERTREAT";
/// Break the glass.
pub const BTG: &str = "BTG";

/// Code and parent, sorted by code.
const HIERARCHY: &[(&str, &str)] = &[
    ("BIORCH", "HRESCH"),
    ("BTG", "ETREAT"),
    ("CAREMGT", "HOPERAT"),
    ("CLINTRCH", "HRESCH"),
    ("CLINTRCHNPC", "CLINTRCH"),
    ("CLINTRCHPC", "CLINTRCH"),
    ("CLINTRL", "TREAT"),
    ("CLMATTCH", "HPAYMT"),
    ("COC", "TREAT"),
    ("COVAUTH", "HPAYMT"),
    ("COVERAGE", "HPAYMT"),
    ("DISASTER", "PUBHLTH"),
    ("DONAT", "HOPERAT"),
    ("DSRCH", "HRESCH"),
    ("ELIGDTRM", "COVERAGE"),
    ("ELIGVER", "COVERAGE"),
    ("ENROLLM", "COVERAGE"),
    ("ERTREAT", "ETREAT"),
    ("ETREAT", "TREAT"),
    ("FAMRQT", "PATRQT"),
    ("FRAUD", "HOPERAT"),
    ("GOV", "HOPERAT"),
    ("HACCRED", "HOPERAT"),
    ("HCOMPL", "HOPERAT"),
    ("HDECD", "HOPERAT"),
    ("HDIRECT", "HOPERAT"),
    ("HDM", "HOPERAT"),
    ("HLEGAL", "HOPERAT"),
    ("HMARKT", "PurposeOfUse"),
    ("HOPERAT", "PurposeOfUse"),
    ("HOUTCOMS", "HOPERAT"),
    ("HPAYMT", "PurposeOfUse"),
    ("HPRGRP", "HOPERAT"),
    ("HQUALIMP", "HOPERAT"),
    ("HRESCH", "PurposeOfUse"),
    ("HSYSADMIN", "HOPERAT"),
    ("HTEST", "SYSDEV"),
    ("LABELING", "HSYSADMIN"),
    ("MEMADMIN", "HOPERAT"),
    ("METAMGT", "HSYSADMIN"),
    ("MILCDM", "HOPERAT"),
    ("MILDCRG", "COVERAGE"),
    ("MLTRAINING", "HOPERAT"),
    ("PATADMIN", "HOPERAT"),
    ("PATRQT", "PurposeOfUse"),
    ("PATSFTY", "HOPERAT"),
    ("PERFMSR", "HOPERAT"),
    ("PMTDS", "HPAYMT"),
    ("POARCH", "HRESCH"),
    ("POPHLTH", "TREAT"),
    ("PRECLINTRCH", "CLINTRCH"),
    ("PUBHLTH", "PurposeOfUse"),
    ("PWATRNY", "PATRQT"),
    ("RECORDMGT", "HOPERAT"),
    ("REMITADV", "HPAYMT"),
    ("SUPNWK", "PATRQT"),
    ("SYSDEV", "HOPERAT"),
    ("THREAT", "PUBHLTH"),
    ("TRAIN", "HOPERAT"),
    ("TRANSRCH", "HRESCH"),
    ("TREAT", "PurposeOfUse"),
    ("TREATDS", "TREAT"),
];

/// The code that all the others descend from.
const TOP: &str = "PurposeOfUse";

/// A purpose of the pinned table.
pub fn coding(code: &'static str) -> Coding {
    Coding::new(SYSTEM, code)
}

/// The pinned code that a coding means, if the table has it.
fn known(coding: &Coding) -> Option<&'static str> {
    let system = coding.system.as_deref()?;
    if system != SYSTEM && !ALIASES.contains(&system) {
        return None;
    }
    if coding.code == TOP {
        return Some(TOP);
    }
    let at = HIERARCHY.binary_search_by(|(code, _)| (*code).cmp(&coding.code)).ok()?;
    HIERARCHY.get(at).map(|(code, _)| *code)
}

/// The parent of a pinned code.
fn parent(code: &str) -> Option<&'static str> {
    let at = HIERARCHY.binary_search_by(|(child, _)| (*child).cmp(code)).ok()?;
    HIERARCHY.get(at).map(|(_, parent)| *parent)
}

/// Whether a requested purpose is the stated one or below it.
///
/// Equal codings match, whatever their system. Otherwise both have to be in the table to be compared: a code that the
/// table does not know could be above or below anything, so it is unknown.
pub fn covers(stated: &Coding, requested: &Coding) -> Truth {
    match (known(stated), known(requested)) {
        (Some(stated), Some(requested)) => {
            let mut at = Some(requested);
            while let Some(code) = at {
                if code == stated {
                    return Truth::True;
                }
                at = parent(code);
            }
            Truth::False
        }
        _ if stated.system.is_some() && stated == requested => Truth::True,
        _ => Truth::Unknown,
    }
}

/// Whether a requested purpose is one of the pinned code or below it.
pub fn is_under(requested: &Coding, code: &'static str) -> Truth {
    covers(&coding(code), requested)
}

/// Whether a requested purpose is one that a break-glass grant is bound to: treatment, or breaking the glass, which
/// without a grant counts as treatment.
pub fn breaks_glass(requested: &Coding) -> bool {
    matches!(known(requested), Some(TREAT | BTG))
}

/// The purpose that counts, given whether a break-glass grant is in force for the patient.
///
/// With a grant TREAT becomes BTG; without one BTG counts as TREAT (CONSENT.md, "Break glass").
pub fn under_grant(requested: &Coding, granted: bool) -> Coding {
    match known(requested) {
        // In one spelling: policies ask for it by that.
        Some(TREAT | BTG) if granted => coding(BTG),
        Some(BTG) if !granted => coding(TREAT),
        _ => requested.clone(),
    }
}

#[cfg(test)]
mod tests;
