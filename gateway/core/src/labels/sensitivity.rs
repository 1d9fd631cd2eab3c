//! The label branches of HL7 v3-ActCode 9.0.0, pinned: information sensitivity policies with their hierarchy, privacy
//! laws as flat labels, and the handling instructions that are no labels of sensitivity.

/// What a v3-ActCode code is, as a security label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sensitivity,
    Handling,
}

/// The code that all sensitivities descend from.
const TOP: &str = "_InformationSensitivityPolicy";

/// Sensitivity and parent, sorted by code.
const HIERARCHY: &[(&str, &str)] = &[
    ("42CFRPart2", "_ActUSPrivacyLaw"),
    ("ADOL", TOP),
    ("B", "_RoleInformationSensitivityPolicy"),
    ("BH", "SPI"),
    ("CEL", TOP),
    ("COGN", "BH"),
    ("DEMO", "_EntitySensitivityPolicyType"),
    ("DIA", TOP),
    ("DOB", "_EntitySensitivityPolicyType"),
    ("DRGIS", TOP),
    ("DVD", "BH"),
    ("EMOTDIS", "BH"),
    ("EMP", TOP),
    ("EMPL", "_RoleInformationSensitivityPolicy"),
    ("ETH", "_ActInformationSensitivityPolicy"),
    ("ETHUD", "SUD"),
    ("GDIS", "_ActInformationSensitivityPolicy"),
    ("GENDER", "_EntitySensitivityPolicyType"),
    ("HIPAAPsyNotes", "_ActUSPrivacyLaw"),
    ("HIPAASelfPay", "_ActUSPrivacyLaw"),
    ("HIV", "_ActInformationSensitivityPolicy"),
    ("IDS", "_ActInformationSensitivityPolicy"),
    ("LIVARG", "_EntitySensitivityPolicyType"),
    ("LOCIS", "_RoleInformationSensitivityPolicy"),
    ("MARST", "_EntitySensitivityPolicyType"),
    ("MH", "SPI"),
    ("MST", "_ActInformationSensitivityPolicy"),
    ("OPIOIDUD", "SUD"),
    ("PATLOC", "_EntitySensitivityPolicyType"),
    ("PDS", TOP),
    ("PHY", TOP),
    ("PREGNANT", "_ActInformationSensitivityPolicy"),
    ("PRS", TOP),
    ("PSY", "SPI"),
    ("PSYTHPN", "SPI"),
    ("RACE", "_EntitySensitivityPolicyType"),
    ("REL", "_EntitySensitivityPolicyType"),
    ("SCA", "_ActInformationSensitivityPolicy"),
    ("SDV", "_ActInformationSensitivityPolicy"),
    ("SEX", "_ActInformationSensitivityPolicy"),
    ("SICKLE", "_ActInformationSensitivityPolicy"),
    ("SPI", "_ActInformationSensitivityPolicy"),
    ("SSP", "_RoleInformationSensitivityPolicy"),
    ("STD", "_ActInformationSensitivityPolicy"),
    ("SUD", "SPI"),
    ("TBOO", "_ActInformationSensitivityPolicy"),
    ("Title38Section7332", "_ActUSPrivacyLaw"),
    ("VIO", "_ActInformationSensitivityPolicy"),
    ("VIP", TOP),
    ("_ActInformationSensitivityPolicy", TOP),
    ("_ActUSPrivacyLaw", "_ActPrivacyLaw"),
    ("_EntitySensitivityPolicyType", TOP),
    ("_RoleInformationSensitivityPolicy", TOP),
];

/// Obligations, refrains and security label marks, sorted.
const HANDLING: &[&str] = &[
    "ANONY",
    "AOD",
    "AUDIT",
    "AUDTR",
    "COPYMark",
    "CPLYCC",
    "CPLYCD",
    "CPLYCUI",
    "CPLYJPP",
    "CPLYJSP",
    "CPLYOPP",
    "CPLYOSP",
    "CPLYPOL",
    "ConfidentialMark",
    "DECLASSIFYLABEL",
    "DEID",
    "DELAU",
    "DOWNGRDLABEL",
    "DRAFTMark",
    "DRIVLABEL",
    "DeliverToAddresseeOnlyMark",
    "ENCRYPT",
    "ENCRYPTR",
    "ENCRYPTT",
    "ENCRYPTU",
    "HUAPRV",
    "LABEL",
    "MASK",
    "MINEC",
    "NOAUTH",
    "NOCOLLECT",
    "NODSCLCD",
    "NODSCLCDS",
    "NOINTEGRATE",
    "NOLIST",
    "NOMOU",
    "NOORGPOL",
    "NOPAT",
    "NOPERSISTP",
    "NORDSCLCD",
    "NORDSCLCDS",
    "NORDSCLW",
    "NORDSLCD",
    "NORELINK",
    "NOREUSE",
    "NOVIP",
    "ORCON",
    "PERSISTLABEL",
    "PRIVMARK",
    "PROCESSINLINELABEL",
    "PSEUD",
    "REDACT",
    "RedisclosureProhibitionMark",
    "RestrictedConfidentialityMark",
    "UPGRDLABEL",
];

/// Retired codes of v3-Confidentiality and the v3-ActCode codes that took their place, sorted.
const RETIRED: &[(&str, &str)] =
    &[("B", "B"), ("C", "CEL"), ("ETH", "ETH"), ("HIV", "HIV"), ("PSY", "PSY"), ("SDV", "SDV"), ("T", "TBOO")];

/// What the code is; `None` where no table has it.
pub(super) fn kind(code: &str) -> Option<Kind> {
    if code == TOP || parent(code).is_some() {
        Some(Kind::Sensitivity)
    } else if HANDLING.binary_search(&code).is_ok() {
        Some(Kind::Handling)
    } else {
        None
    }
}

/// Whether `code` is strictly below `ancestor`.
pub(super) fn is_under(code: &str, ancestor: &str) -> bool {
    let mut at = parent(code);
    while let Some(code) = at {
        if code == ancestor {
            return true;
        }
        at = parent(code);
    }
    false
}

/// The v3-ActCode code that a retired confidentiality code stands for.
pub(super) fn retired_twin(code: &str) -> Option<&'static str> {
    let at = RETIRED.binary_search_by(|(retired, _)| (*retired).cmp(code)).ok()?;
    RETIRED.get(at).map(|(_, twin)| *twin)
}

fn parent(code: &str) -> Option<&'static str> {
    let at = HIERARCHY.binary_search_by(|(child, _)| (*child).cmp(code)).ok()?;
    HIERARCHY.get(at).map(|(_, parent)| *parent)
}

#[cfg(test)]
mod tests {
    use super::{HANDLING, HIERARCHY, RETIRED};

    #[test]
    fn tables_are_sorted_for_their_binary_searches() {
        assert!(HIERARCHY.is_sorted_by(|a, b| a.0 < b.0));
        assert!(HANDLING.is_sorted_by(|a, b| a < b));
        assert!(RETIRED.is_sorted_by(|a, b| a.0 < b.0));
    }
}
