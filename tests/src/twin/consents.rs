//! How a patient's Consents hide part of a record, or all of it, and how a resource becomes one of those that they hide.

use serde_json::{Value, json};

use super::callers::Kind;
use super::dice::Dice;
use super::records;

const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
const TYPES: &str = "http://hl7.org/fhir/resource-types";
/// A code that no visible resource has.
pub const SECRET: (&str, &str) = ("urn:sealgate:twin", "secret");
/// A year that no visible resource is of.
pub const SECRET_YEAR: &str = "2010";

/// What hides part of a patient's record from the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Veil {
    /// Nothing.
    None,
    /// Confidentiality R and V are denied.
    Restricted,
    /// A sensitivity is denied.
    Sensitivity(&'static str),
    /// Types are denied.
    Class(&'static str),
    /// A code is denied.
    Code,
    /// A period of data is denied.
    Period,
    /// Instances are denied.
    Instance,
    /// There is no Consent; the implicit policy stops at N.
    Implicit,
}

impl Veil {
    /// One that this caller can meet.
    pub fn roll(dice: &mut Dice, kind: Kind) -> Self {
        if kind == Kind::Patient {
            return Self::None;
        }
        match dice.below(8) {
            0 => Self::Restricted,
            1 => Self::Sensitivity("HIV"),
            2 => Self::Sensitivity("PSY"),
            3 => Self::Class(dice.word(&[
                "Observation",
                "Condition",
                "MedicationRequest",
                "Procedure",
                "Encounter",
                "DocumentReference",
            ])),
            4 => Self::Code,
            5 => Self::Period,
            6 => Self::Instance,
            _ if kind.purpose() == "TREAT" => Self::Implicit,
            _ => Self::Restricted,
        }
    }

    /// Whether a resource of this type can be hidden by it.
    #[must_use]
    pub fn can_hide(&self, rtype: &str) -> bool {
        match self {
            Self::None => false,
            Self::Class(class) => *class == rtype,
            Self::Code => records::has_code(rtype),
            Self::Period => records::date_of(rtype).is_some(),
            Self::Restricted | Self::Sensitivity(_) | Self::Instance | Self::Implicit => true,
        }
    }

    /// Whether what it hides is hidden by a label, which a service may carry on to what the item belongs to.
    #[must_use]
    pub const fn by_label(&self) -> bool {
        matches!(self, Self::Restricted | Self::Sensitivity(_) | Self::Implicit)
    }

    /// Makes a resource one that it hides; by an instance it is hidden once the Consent names it.
    pub fn hide(&self, resource: &mut Value, dice: &mut Dice) {
        match self {
            Self::Restricted | Self::Implicit => label(resource, CONFIDENTIALITY, dice.word(&["R", "V"])),
            Self::Sensitivity(code) => {
                label(resource, ACT_CODE, code);
                if dice.chance(50) {
                    label(resource, CONFIDENTIALITY, "R");
                }
            }
            Self::Code => records::set_code(resource, SECRET),
            Self::Period => {
                let day = format!("{SECRET_YEAR}-{:02}-{:02}", dice.between(1, 12), dice.between(1, 28));
                records::set_date(resource, &day);
            }
            Self::None | Self::Class(_) | Self::Instance => {}
        }
    }

    /// The label by which an element would be hidden, where one can be.
    #[must_use]
    pub fn element_label(&self) -> Option<Value> {
        match self {
            Self::Sensitivity(code) => Some(json!({"system": ACT_CODE, "code": code})),
            Self::Restricted => Some(json!({"system": CONFIDENTIALITY, "code": "R"})),
            Self::None | Self::Class(_) | Self::Code | Self::Period | Self::Instance | Self::Implicit => None,
        }
    }

    /// The Consents of a patient under it; `instances` are the addresses that [`Veil::Instance`] names.
    #[must_use]
    pub fn consents(&self, id: &str, patient: &str, pair: &str, kind: Kind, instances: &[String]) -> Vec<Value> {
        let mut exceptions = json!({"type": "deny"});
        let (name, value) = match self {
            Self::Implicit => return Vec::new(),
            Self::None => ("", json!(null)),
            Self::Restricted => ("securityLabel", json!([{"system": CONFIDENTIALITY, "code": "R"}])),
            Self::Sensitivity(code) => ("securityLabel", json!([{"system": ACT_CODE, "code": code}])),
            Self::Class(class) => ("class", json!([{"system": TYPES, "code": class}])),
            Self::Code => ("code", json!([{"coding": [{"system": SECRET.0, "code": SECRET.1}]}])),
            Self::Period => {
                ("dataPeriod", json!({"start": format!("{SECRET_YEAR}-01-01"), "end": format!("{SECRET_YEAR}-12-31")}))
            }
            Self::Instance => {
                let named = |address: &String| json!({"meaning": "instance", "reference": {"reference": address}});
                ("data", instances.iter().map(named).collect())
            }
        };
        let mut root = permit(pair, kind);
        if !name.is_empty()
            && value != json!([])
            && let (Some(exceptions_of), Some(root_of)) = (exceptions.as_object_mut(), root.as_object_mut())
        {
            exceptions_of.insert(name.to_owned(), value);
            root_of.insert("provision".to_owned(), json!([exceptions]));
        }
        vec![consent(id, patient, "OPTIN", &root)]
    }
}

/// The Consents of a patient all of whose record is hidden from the caller.
#[must_use]
pub fn closed(id: &str, patient: &str, pair: &str, kind: Kind, dice: &mut Dice) -> Vec<Value> {
    // Not without any: the implicit policy would show it to another pair's caller who treats.
    match dice.below(3) {
        0 => vec![consent(id, patient, "OPTOUT", &json!({"type": "deny"}))],
        1 => {
            let mut root = permit(pair, kind);
            let nobody = json!([{"type": "deny", "actor": [actor(&format!("Organization/{pair}-org"))]}]);
            if let Some(root) = root.as_object_mut() {
                root.insert("provision".to_owned(), nobody);
            }
            vec![consent(id, patient, "OPTIN", &root)]
        }
        _ => vec![consent(
            id,
            patient,
            "OPTIN",
            &json!({"type": "permit", "actor": [actor(&format!("Organization/{pair}-elsewhere"))]}),
        )],
    }
}

fn permit(pair: &str, kind: Kind) -> Value {
    json!({
        "type": "permit",
        "actor": [actor(&format!("Organization/{pair}-org"))],
        "purpose": [{"system": ACT_REASON, "code": kind.purpose()}],
    })
}

fn actor(reference: &str) -> Value {
    json!({
        "role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]},
        "reference": {"reference": reference},
    })
}

fn consent(id: &str, patient: &str, policy: &str, provision: &Value) -> Value {
    json!({
        "resourceType": "Consent",
        "id": id,
        "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": patient},
        "dateTime": "2024-01-01T00:00:00Z",
        "policyRule": {"coding": [{"system": ACT_CODE, "code": policy}]},
        "provision": provision,
    })
}

/// Adds a label to `meta.security`.
fn label(resource: &mut Value, system: &str, code: &str) {
    let Some(meta) = resource.get_mut("meta").and_then(Value::as_object_mut) else { return };
    let security = meta.entry("security").or_insert_with(|| json!([]));
    if let Some(security) = security.as_array_mut() {
        security.push(json!({"system": system, "code": code}));
    }
}
