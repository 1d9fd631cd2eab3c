//! Who asks in the demo: claims of the tokens, in the places where SMART and IHE IUA put them.

use serde_json::{Value, json};

/// Code system of purposes of use.
pub(super) const PURPOSES: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";

/// A person of the demo with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Dr Amara Okafor, who treats patients at Northfield General Hospital.
    Doctor,
    /// Dr Ilse Voss, who does research at the Meridian Institute.
    Researcher,
    /// Maya Alder, who reads her own record.
    Patient,
    /// Dr Silas Crane of the same hospital, whom one patient does not want.
    UnwantedDoctor,
    /// Dr Luc Baptiste of Lakeside Family Practice, another organisation.
    OtherDoctor,
}

impl Role {
    /// Everybody; the first three are those that the demo prints.
    pub const ALL: [Self; 5] = [Self::Doctor, Self::Researcher, Self::Patient, Self::UnwantedDoctor, Self::OtherDoctor];

    /// The name under which `state.json` keeps the token.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Doctor => "doctor",
            Self::Researcher => "researcher",
            Self::Patient => "patient",
            Self::UnwantedDoctor => "unwanted-doctor",
            Self::OtherDoctor => "other-doctor",
        }
    }

    /// Who it is, for people.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Doctor => "Dr Amara Okafor, treating at Northfield General Hospital",
            Self::Researcher => "Dr Ilse Voss, research at the Meridian Institute",
            Self::Patient => "Maya Alder, patient, reading her own record",
            Self::UnwantedDoctor => "Dr Silas Crane, Northfield, whom Oskar Fir does not want",
            Self::OtherDoctor => "Dr Luc Baptiste, treating at Lakeside Family Practice",
        }
    }

    /// The claims beyond issuer, audience and times.
    #[must_use]
    pub fn claims(self) -> Value {
        match self {
            Self::Doctor => clinician("okafor", "northfield"),
            Self::UnwantedDoctor => clinician("crane", "northfield"),
            Self::OtherDoctor => clinician("baptiste", "lakeside"),
            Self::Researcher => json!({
                "sub": "voss",
                "client_id": "research-workbench",
                "fhirUser": "Practitioner/voss",
                "scope": "openid fhirUser user/*.rs",
                "extensions": {"ihe_iua": {
                    "purpose_of_use": [{"system": PURPOSES, "code": "HRESCH"}],
                    "subject_organization_id": "Organization/meridian",
                }},
            }),
            Self::Patient => json!({
                "sub": "alder",
                "client_id": "patient-portal",
                "fhirUser": "Patient/alder",
                "patient": "alder",
                "scope": "openid fhirUser launch/patient patient/*.rs patient/Consent.cu",
                "extensions": {"ihe_iua": {
                    "purpose_of_use": [{"system": PURPOSES, "code": "PATRQT"}],
                }},
            }),
        }
    }
}

fn clinician(who: &str, organization: &str) -> Value {
    json!({
        "sub": who,
        "client_id": "ward-chart",
        "fhirUser": format!("Practitioner/{who}"),
        "scope": "openid fhirUser user/*.cruds",
        "extensions": {"ihe_iua": {
            "purpose_of_use": [{"system": PURPOSES, "code": "TREAT"}],
            "subject_organization_id": format!("Organization/{organization}"),
        }},
    })
}
