//! Who asks: a caller for each pair of worlds, by the claims of the token.

use serde_json::{Value, json};

use super::dice::Dice;

const PURPOSES: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";

/// A kind of caller; what is visible to it is built in `world`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Treats, reads and writes everything that Consents permit.
    Clinician,
    /// Treats, by SMART v1 scopes.
    OldClinician,
    /// Treats; scopes for some types only, Encounters to be read and not searched.
    Narrow,
    /// Treats in the launch context of one patient.
    Launched,
    /// Does research: Consents permit that purpose, who a patient is stays redacted.
    Researcher,
    /// A patient who reads the own record.
    Patient,
    /// A backend service.
    Service,
    /// Treats; a granular scope beside others.
    Granular,
}

impl Kind {
    /// One of them; most write.
    pub fn roll(dice: &mut Dice) -> Self {
        match dice.below(100) {
            0..46 => Self::Clinician,
            46..52 => Self::OldClinician,
            52..60 => Self::Narrow,
            60..70 => Self::Launched,
            70..82 => Self::Researcher,
            82..90 => Self::Patient,
            90..96 => Self::Service,
            _ => Self::Granular,
        }
    }

    /// The purpose of use of its tokens.
    #[must_use]
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Researcher => "HRESCH",
            Self::Patient => "PATRQT",
            Self::Clinician | Self::OldClinician | Self::Narrow | Self::Launched | Self::Service | Self::Granular => {
                "TREAT"
            }
        }
    }

    const fn scope(self) -> &'static str {
        match self {
            Self::Clinician => "openid fhirUser user/*.cruds",
            Self::OldClinician => "user/*.read user/*.write",
            Self::Narrow => {
                "user/Patient.rs user/Observation.cruds user/Condition.rs user/Encounter.r user/Provenance.rs user/Practitioner.rs user/DiagnosticReport.rs"
            }
            Self::Launched => "launch/patient patient/*.cruds",
            Self::Researcher => "user/*.rs",
            Self::Patient => "openid fhirUser launch/patient patient/*.rs",
            Self::Service => "system/*.rs",
            Self::Granular => {
                "user/Patient.rs user/Encounter.rs user/Condition.rs user/Observation.rs?code=http://loinc.org|8867-4"
            }
        }
    }

    /// Whether its scopes have letters for writes.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Self::Clinician | Self::OldClinician | Self::Narrow | Self::Launched)
    }

    /// Whether its scopes read this type; granular ones count as none.
    #[must_use]
    pub fn reads(self, rtype: &str) -> bool {
        match self {
            Self::Narrow => {
                ["Patient", "Observation", "Condition", "Encounter", "Provenance", "Practitioner", "DiagnosticReport"]
                    .contains(&rtype)
            }
            Self::Granular => ["Patient", "Encounter", "Condition"].contains(&rtype),
            Self::Clinician
            | Self::OldClinician
            | Self::Launched
            | Self::Researcher
            | Self::Patient
            | Self::Service => true,
        }
    }

    /// Whether its scopes search this type.
    #[must_use]
    pub fn searches(self, rtype: &str) -> bool {
        self.reads(rtype) && !(self == Self::Narrow && rtype == "Encounter")
    }

    /// Whether operator's rules take elements away from it.
    #[must_use]
    pub const fn redacted(self) -> bool {
        matches!(self, Self::Researcher)
    }

    /// The claims of its tokens in the pair of this name; `patient` is the first visible one's id.
    #[must_use]
    pub fn claims(self, pair: &str, patient: &str) -> Value {
        let mut claims = json!({
            "sub": format!("{pair}-user"),
            "client_id": "twin",
            "scope": self.scope(),
            "extensions": {"ihe_iua": {"purpose_of_use": [{"system": PURPOSES, "code": self.purpose()}]}},
        });
        let put = |claims: &mut Value, name: &str, value: Value| {
            if let Some(claims) = claims.as_object_mut() {
                claims.insert(name.to_owned(), value);
            }
        };
        if matches!(self, Self::Launched | Self::Patient) {
            put(&mut claims, "patient", json!(patient));
        }
        match self {
            Self::Patient => put(&mut claims, "fhirUser", json!(format!("Patient/{patient}"))),
            Self::Service => {}
            Self::Clinician
            | Self::OldClinician
            | Self::Narrow
            | Self::Launched
            | Self::Researcher
            | Self::Granular => put(&mut claims, "fhirUser", json!(format!("Practitioner/{pair}-doc"))),
        }
        if self != Self::Patient
            && let Some(iua) = claims.pointer_mut("/extensions/ihe_iua")
        {
            put(iua, "subject_organization_id", json!(format!("Organization/{pair}-org")));
        }
        claims
    }
}
