//! Runs the scenario corpus: `scenarios/*.json`, whose README defines the format.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use gateway_core::caller::{ActorRef, Caller};
use gateway_core::coding::Coding;
use gateway_core::consent::actors::{Identity, Membership, Memberships};
use gateway_core::consent::{Consent, Effect, Unusable, r4, r5};
use gateway_core::decide::{Action, ConsentFacts, PatientConsents, PatientLinksFound, Question, decide};
use gateway_core::facts::ResourceFacts;
use gateway_core::json::Doc;
use gateway_core::labels::LabelSets;
use gateway_core::owner::{Owners, PatientId};
use gateway_core::policy::{ConsentSettings, Policy, PolicyRoles, RedactionRule};
use gateway_core::purpose;
use gateway_core::reasons::RuleName;
use gateway_core::scope::Scopes;
use gateway_core::version::FhirVersion;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    about: String,
    scenarios: Vec<Scenario>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    name: String,
    why: String,
    #[serde(default)]
    consents: Consents,
    #[serde(default)]
    caller: CallerJson,
    #[serde(default)]
    purpose: Vec<PurposeJson>,
    #[serde(default = "read")]
    action: String,
    resource: Value,
    #[serde(default)]
    fhir_version: FhirVersion,
    #[serde(default)]
    memberships: MembershipsJson,
    #[serde(default)]
    facts: Vec<Value>,
    #[serde(default)]
    links: BTreeMap<PatientId, PatientId>,
    #[serde(default)]
    outgoing: BTreeMap<String, BTreeSet<String>>,
    #[serde(default)]
    settings: ConsentSettings,
    #[serde(default)]
    redactions: Vec<RedactionRule>,
    #[serde(default)]
    label_sets: LabelSets,
    #[serde(default)]
    roles: PolicyRoles,
    #[serde(default = "noon")]
    now: String,
    expected: Expected,
}

fn read() -> String {
    "read".to_owned()
}

fn noon() -> String {
    "2026-06-01T12:00:00Z".to_owned()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Consents {
    Found(Vec<Value>),
    Of(BTreeMap<String, PatientJson>),
}

impl Default for Consents {
    fn default() -> Self {
        Self::Found(Vec::new())
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PatientJson {
    Recorded(Vec<Value>),
    Word(String),
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct CallerJson {
    organization: Option<ActorRef>,
    roles: Vec<String>,
    actors: Vec<ActorRef>,
    other_parts: Vec<ActorRef>,
    fhir_user: Option<ActorRef>,
    launch_patient: Option<String>,
    scopes: Option<String>,
    break_glass: BTreeSet<PatientId>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PurposeJson {
    Code(String),
    Coding(Coding),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MembershipsJson {
    resolved: bool,
    edges: Vec<EdgeJson>,
    identities: Vec<IdentityJson>,
}

impl Default for MembershipsJson {
    fn default() -> Self {
        Self { resolved: true, edges: Vec::new(), identities: Vec::new() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EdgeJson {
    member: ActorRef,
    of: ActorRef,
    active: Option<bool>,
    start: Option<String>,
    end: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityJson {
    reference: ActorRef,
    identifiers: Vec<ActorRef>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    decision: String,
    #[serde(default)]
    redactions: Vec<String>,
    #[serde(default)]
    reasons: Vec<ReasonJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasonJson {
    rule: String,
    patient: Option<PatientId>,
    consent: Option<String>,
    provision: Option<String>,
    detail: Option<String>,
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    files
}

fn scenarios() -> Vec<(String, Scenario)> {
    let mut all = Vec::new();
    for path in files() {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let file: File = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(!file.about.is_empty(), "{name}: says what it is about");
        all.extend(file.scenarios.into_iter().map(|scenario| (name.clone(), scenario)));
    }
    all
}

fn caller(scenario: &Scenario) -> Caller {
    let json = &scenario.caller;
    let purposes = scenario.purpose.iter().map(|purpose| match purpose {
        PurposeJson::Code(code) => Coding::new(purpose::SYSTEM, code.as_str()),
        PurposeJson::Coding(coding) => coding.clone(),
    });
    Caller {
        issuer: "https://issuer.example.org".to_owned(),
        subject: "subject".to_owned(),
        organization: json.organization.clone(),
        roles: json.roles.clone(),
        purposes: purposes.collect(),
        actors: json.actors.clone(),
        other_parts: json.other_parts.clone(),
        fhir_user: json.fhir_user.clone(),
        launch_patient: json.launch_patient.as_deref().map(|id| PatientId::parse(id).unwrap()),
        scopes: Scopes::parse(json.scopes.as_deref().unwrap_or("user/*.cruds")),
        break_glass: json.break_glass.clone(),
        ..Caller::default()
    }
}

/// A Consent goes to the patient whom it names; one that names no owner of the resource goes to every owner.
fn patients(scenario: &Scenario, resource: &ResourceFacts) -> BTreeMap<PatientId, PatientConsents> {
    let read: fn(&Value) -> Result<Consent, Unusable> = match scenario.fhir_version {
        FhirVersion::R4 | FhirVersion::R4B => r4::read,
        FhirVersion::R5 => r5::read,
    };
    match &scenario.consents {
        Consents::Of(rows) => rows
            .iter()
            .map(|(patient, row)| {
                let row = match row {
                    PatientJson::Recorded(consents) => PatientConsents::Recorded(consents.iter().map(read).collect()),
                    PatientJson::Word(word) if word == "unavailable" => PatientConsents::Unavailable,
                    PatientJson::Word(word) if word == "too-many" => PatientConsents::TooMany,
                    PatientJson::Word(word) => panic!("{word} is no word for Consents"),
                };
                (PatientId::parse(patient).unwrap(), row)
            })
            .collect(),
        Consents::Found(consents) => {
            let Owners::Patients(owners) = &resource.owners else { return BTreeMap::new() };
            let names = |consent: &Value| {
                let named = consent.pointer("/patient/reference").or_else(|| consent.pointer("/subject/reference"));
                let reference = named?.as_str()?;
                owners.iter().find(|owner| reference == owner.reference())
            };
            owners
                .iter()
                .map(|owner| {
                    let own = consents.iter().filter(|consent| names(consent).is_none_or(|named| named == owner));
                    (owner.clone(), PatientConsents::Recorded(own.map(read).collect()))
                })
                .collect()
        }
    }
}

/// What is wrong with the outcome of a scenario, if anything.
fn run(scenario: &Scenario) -> Result<(), String> {
    let policy = Policy::new(
        scenario.settings.clone(),
        scenario.redactions.clone(),
        scenario.label_sets.clone(),
        scenario.roles.clone(),
    )
    .map_err(|e| e.to_string())?;
    let bytes = serde_json::to_vec(&scenario.resource).unwrap();
    let doc = Doc::parse(&bytes).map_err(|e| e.to_string())?;
    let resource = ResourceFacts::of(doc.root(), policy.bases()).map_err(|e| e.to_string())?;
    let mut memberships = Memberships {
        resolved: scenario.memberships.resolved,
        edges: scenario
            .memberships
            .edges
            .iter()
            .map(|edge| Membership {
                member: edge.member.clone(),
                of: edge.of.clone(),
                active: edge.active,
                start: edge.start.clone(),
                end: edge.end.clone(),
            })
            .collect(),
        identities: scenario
            .memberships
            .identities
            .iter()
            .map(|identity| Identity {
                reference: identity.reference.clone(),
                identifiers: identity.identifiers.clone(),
            })
            .collect(),
        listed: None,
    };
    for fact in &scenario.facts {
        let bytes = serde_json::to_vec(fact).unwrap();
        let doc = Doc::parse(&bytes).map_err(|e| e.to_string())?;
        memberships.take(doc.root(), policy.bases(), &|_| true);
    }
    let mut links = PatientLinksFound::default();
    for (one, other) in &scenario.links {
        links.link(one, other);
    }
    let facts = ConsentFacts {
        patients: patients(scenario, &resource),
        memberships: memberships.into(),
        links,
        outgoing: scenario.outgoing.clone(),
    };
    let action = match scenario.action.as_str() {
        "read" => Action::Read,
        "search" => Action::Search,
        "create" => Action::Create,
        "update" => Action::Update,
        "delete" => Action::Delete,
        other => return Err(format!("{other} is no action")),
    };
    let now = OffsetDateTime::parse(&scenario.now, &Rfc3339).map_err(|e| e.to_string())?;
    let caller = caller(scenario);
    let decision = decide(&Question { caller: &caller, action, resource: &resource, now }, &facts, &policy);

    let told = || serde_json::to_string(decision.reasons()).unwrap();
    let expected = match scenario.expected.decision.as_str() {
        "permit" => Effect::Permit,
        "deny" => Effect::Deny,
        other => return Err(format!("{other} is no decision")),
    };
    if decision.effect() != expected {
        return Err(format!("expected {expected:?}, decided {:?} because of {}", decision.effect(), told()));
    }
    if decision.permit().is_some() != (expected == Effect::Permit) {
        return Err("the permit does not follow the effect".to_owned());
    }
    let redactions: Vec<String> = decision.redactions().iter().map(ToString::to_string).collect();
    if redactions != scenario.expected.redactions {
        return Err(format!("expected redactions {:?}, decided {redactions:?}", scenario.expected.redactions));
    }
    for wanted in &scenario.expected.reasons {
        let found = decision.reasons().iter().any(|reason| {
            reason.rule.as_str() == wanted.rule
                && wanted.patient.as_ref().is_none_or(|patient| reason.patient.as_ref() == Some(patient))
                && wanted.consent == reason.consent.as_ref().map(ToString::to_string)
                && wanted.provision == reason.provision
                && wanted.detail.as_ref().is_none_or(|detail| reason.detail.as_ref() == Some(detail))
        });
        if !found {
            let consent = wanted.consent.as_deref().unwrap_or("-");
            let provision = wanted.provision.as_deref().unwrap_or("-");
            return Err(format!("no reason {} {consent} {provision} among {}", wanted.rule, told()));
        }
    }
    Ok(())
}

#[test]
fn every_scenario_is_decided_as_expected() {
    let failures: Vec<String> = scenarios()
        .iter()
        .filter_map(|(file, scenario)| Some(format!("{file}: {}: {}", scenario.name, run(scenario).err()?)))
        .collect();
    assert!(failures.is_empty(), "{} scenarios fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn scenarios_are_many_named_once_and_say_why() {
    let scenarios = scenarios();
    assert!(scenarios.len() >= 120, "only {}", scenarios.len());
    let names: BTreeSet<&str> = scenarios.iter().map(|(_, scenario)| scenario.name.as_str()).collect();
    assert_eq!(names.len(), scenarios.len(), "two scenarios share a name");
    for (file, scenario) in &scenarios {
        assert!(!scenario.why.is_empty(), "{file}: {} does not say why", scenario.name);
        assert!(!scenario.expected.reasons.is_empty(), "{file}: {} expects no reason", scenario.name);
    }
}

/// The closed list of rules is covered: each one is the reason of at least one scenario, and no scenario names another.
#[test]
fn every_rule_is_the_reason_of_a_scenario() {
    let scenarios = scenarios();
    let named: BTreeSet<&str> =
        scenarios.iter().flat_map(|(_, s)| s.expected.reasons.iter().map(|reason| reason.rule.as_str())).collect();
    // These two are of the filter, which knows sizes and searches.
    let decided = |rule: &&RuleName| !matches!(rule, RuleName::ResourceTooLarge | RuleName::HiddenTarget);
    let rules: BTreeSet<&str> = RuleName::ALL.iter().filter(decided).map(|rule| rule.as_str()).collect();
    assert_eq!(named, rules);
}
