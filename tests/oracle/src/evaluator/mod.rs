//! The evaluator: what CONSENT.md and FHIR say of one question, read from the JSON each time it is asked.
//!
//! INVARIANT: nothing here comes from the engine's code, and nothing is shared with it. It is slow and literal on
//! purpose; a rule that looks clever belongs elsewhere. Beyond the standard library it knows `serde_json::Value` only.

pub mod actors;
pub mod consent;
pub mod dates;
pub mod labels;
pub mod matching;
pub mod resource;
pub mod shape;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use consent::Answer;
use labels::Labels;
use resource::Owners;

/// The answer to a question, and what a provision says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Allowed.
    Permit,
    /// Not allowed.
    Deny,
}

/// Three-valued truth: what is unknown satisfies no permit and every deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    /// Certainly not.
    No,
    /// It cannot be told.
    Unknown,
    /// Certainly.
    Yes,
}

impl Truth {
    /// Yes or No.
    pub fn of(certain: bool) -> Self {
        if certain { Self::Yes } else { Self::No }
    }

    /// OR over repetitions.
    pub fn any(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().max().unwrap_or(Self::No)
    }

    /// AND over elements.
    pub fn all(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().min().unwrap_or(Self::Yes)
    }
}

/// What is done to the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read, vread or search.
    Look,
    /// Create, update or delete.
    Change,
}

/// A code with its system; no system equals none that has one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code {
    /// The code system.
    pub system: Option<String>,
    /// The code.
    pub code: String,
}

/// A name of an actor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// A literal reference.
    Reference(String),
    /// A business identifier.
    Identifier {
        /// Its namespace.
        system: Option<String>,
        /// Its value.
        value: String,
    },
}

/// Who asks.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// SMART `fhirUser`.
    pub fhir_user: Option<Actor>,
    /// On whose behalf.
    pub organization: Option<Actor>,
    /// Further names.
    pub actors: Vec<Actor>,
    /// Roles.
    pub roles: Vec<String>,
    /// Purposes of use; none is unknown.
    pub purposes: Vec<Code>,
    /// Patients (`Patient/x`) for whom a break-glass grant is in force.
    pub grants: BTreeSet<String>,
}

/// One membership: PractitionerRole, `partOf`, CareTeam or Group.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Who belongs.
    pub member: Actor,
    /// To what.
    pub of: Actor,
    /// `active`.
    pub active: Option<bool>,
    /// `period.start`.
    pub start: Option<String>,
    /// `period.end`.
    pub end: Option<String>,
}

/// What is known of a patient's Consents.
#[derive(Clone, Debug)]
pub enum Recorded {
    /// All of them.
    Consents(Vec<Value>),
    /// They could not be had, or not all of them.
    Unavailable,
}

/// What was gathered.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// By `Patient/x`.
    pub consents: BTreeMap<String, Recorded>,
    /// Whether all that the caller belongs to was looked up.
    pub resolved: bool,
    /// Who belongs to whom.
    pub memberships: Vec<Membership>,
    /// Which identifiers an actor bears.
    pub identifiers: Vec<(Actor, Vec<Actor>)>,
    /// What the resources named by `data.meaning = related` refer to.
    pub outgoing: BTreeMap<String, Vec<String>>,
    /// Clinical codes that carry a sensitivity: (sensitivity, system, code or `F11.-`).
    pub label_sets: Vec<(String, String, String)>,
}

/// The operator's choices, by their names in CONSENT.md.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `no_consent`
    pub no_consent: String,
    /// `several_consents`
    pub several_consents: String,
    /// `siblings`
    pub siblings: String,
    /// `labels`
    pub labels: String,
    /// `unlabelled`
    pub unlabelled: String,
    /// `untyped_root`
    pub untyped_root: String,
    /// `not_understood`
    pub not_understood: String,
    /// `research`
    pub research: bool,
    /// `break_glass`
    pub break_glass: String,
    /// The zone of dates without one, in minutes east of Greenwich.
    pub zone: i64,
    /// `public_base` and `upstream_base`, as far as configured.
    pub bases: Vec<String>,
    /// `label_systems`
    pub label_systems: Vec<String>,
    /// Roles that may see Consents.
    pub consent_recorders: Vec<String>,
}

/// One question with all that it is answered from.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// Does what.
    pub action: Action,
    /// To which resource.
    pub resource: &'a Value,
    /// When: nanoseconds since 1970.
    pub now: i128,
    /// From what.
    pub facts: &'a Facts,
    /// Under which choices.
    pub settings: &'a Settings,
}

/// v3-ActReason.
pub const PURPOSES: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";

/// Answers a question: every owner patient must permit.
pub fn decide(question: &Question<'_>) -> Effect {
    match resource::owners(question.resource, &question.settings.bases) {
        Owners::Universal => Effect::Permit,
        Owners::Unknown => Effect::Deny,
        Owners::Patients(patients) => {
            let permitted = !patients.is_empty() && patients.iter().all(|patient| permits(question, patient));
            if permitted { Effect::Permit } else { Effect::Deny }
        }
    }
}

fn permits(question: &Question<'_>, patient: &str) -> bool {
    let settings = question.settings;
    let is_patient = match &question.caller.fhir_user {
        Some(Actor::Reference(user)) => actors::normal(user, &settings.bases).as_deref() == Some(patient),
        _ => false,
    };
    let recorder = question.caller.roles.iter().any(|role| settings.consent_recorders.contains(role));
    if resource::kind(question.resource) == "Consent" {
        return is_patient || recorder;
    }
    let labels = Labels::of(question);
    if settings.unlabelled == "hide" && labels.is_unlabelled() && !is_patient {
        return false;
    }
    let granted = question.caller.grants.contains(patient);
    let own = is_patient && question.action == Action::Look;
    let overrides = granted && settings.break_glass == "overrides-consent";
    let permits = |purpose: Option<&Code>| {
        // A grant is bound to its purpose: what is asked for another one is asked of the Consents.
        if overrides && purpose == Some(&code(PURPOSES, "BTG")) {
            return true;
        }
        let Some(Recorded::Consents(consents)) = question.facts.consents.get(patient) else { return false };
        permits_for(question, patient, consents, &labels, purpose, own)
    };
    let purposes: Vec<Code> = question.caller.purposes.iter().map(|p| under_grant(p, granted)).collect();
    if purposes.is_empty() { permits(None) } else { purposes.iter().all(|purpose| permits(Some(purpose))) }
}

/// TREAT becomes BTG under a grant; BTG without one counts as TREAT.
fn under_grant(purpose: &Code, granted: bool) -> Code {
    let from = code(PURPOSES, if granted { "TREAT" } else { "BTG" });
    let to = code(PURPOSES, if granted { "BTG" } else { "TREAT" });
    if *purpose == from { to } else { purpose.clone() }
}

fn permits_for(
    question: &Question<'_>,
    patient: &str,
    consents: &[Value],
    labels: &Labels,
    purpose: Option<&Code>,
    own: bool,
) -> bool {
    let mut recorded = 0;
    let mut answers = Vec::new();
    for json in consents {
        if !shape::understood(json, patient, &question.settings.bases) {
            if question.settings.not_understood == "ignore" {
                continue;
            }
            return false;
        }
        if consent::counts(json, question) {
            recorded += 1;
            answers.extend(consent::answer(json, question, labels, purpose));
        }
    }
    if !answers.is_empty() {
        return combined(&answers, &question.settings.several_consents) == Effect::Permit;
    }
    if own {
        return true;
    }
    recorded == 0 && implicit(&question.settings.no_consent, labels, purpose) == Effect::Permit
}

/// The implicit policies of IHE PCF.
pub fn implicit(policy: &str, labels: &Labels, purpose: Option<&Code>) -> Effect {
    let for_purpose = |code| purpose.is_some_and(|purpose| matching::purpose_is_under(purpose, code) == Truth::Yes);
    let permitted = match policy {
        "basic-normal" => for_purpose("TREAT") && labels.at_most_normal(),
        "all-normal" => labels.at_most_normal(),
        "break-glass-only" => for_purpose("BTG"),
        _ => false,
    };
    if permitted { Effect::Permit } else { Effect::Deny }
}

/// The combining rules; only applicable answers come here.
fn combined(answers: &[Answer], rule: &str) -> Effect {
    let agreed = |answers: &[&Answer]| {
        if answers.iter().all(|answer| answer.effect == Effect::Permit) { Effect::Permit } else { Effect::Deny }
    };
    let all: Vec<&Answer> = answers.iter().collect();
    match rule {
        "permit-overrides" if all.iter().any(|answer| answer.effect == Effect::Permit) => Effect::Permit,
        "most-specific" => {
            let best = all.iter().map(|answer| (answer.depth, answer.stated)).max();
            let best: Vec<&Answer> =
                all.into_iter().filter(|answer| Some((answer.depth, answer.stated)) == best).collect();
            agreed(&best)
        }
        "most-recent" => {
            // One that may be later than all others decides; an undated one may be the latest.
            let latest: Vec<&Answer> = all
                .iter()
                .copied()
                .filter(|answer| {
                    let Some(own) = answer.given else { return true };
                    !all.iter().any(|other| other.given.is_some_and(|other| other.start >= own.end))
                })
                .collect();
            agreed(&latest)
        }
        // With deny-overrides one deny is enough, with refuse-ambiguous one that differs.
        _ => agreed(&all),
    }
}

/// A code of a named system.
pub fn code(system: &str, code: &str) -> Code {
    Code { system: Some(system.to_owned()), code: code.to_owned() }
}

/// The codings of an array of Codings; one without `code` is left out.
pub fn codings(array: &Value) -> Vec<Code> {
    each(array).filter_map(coding).collect()
}

/// One Coding.
pub fn coding(json: &Value) -> Option<Code> {
    let system = json.get("system").and_then(Value::as_str).map(str::to_owned);
    Some(Code { system, code: json.get("code")?.as_str()?.to_owned() })
}

/// The items of an array; of anything else, itself.
pub fn each(json: &Value) -> impl Iterator<Item = &Value> {
    match json {
        Value::Array(items) => items.iter().collect::<Vec<_>>(),
        Value::Null => Vec::new(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => vec![json],
    }
    .into_iter()
}

/// The string at a key.
pub fn text<'a>(json: &'a Value, key: &str) -> Option<&'a str> {
    json.get(key)?.as_str()
}
