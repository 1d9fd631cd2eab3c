#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use time::macros::datetime;

use super::*;
use crate::labels::LabelSets;
use crate::owner::NoOwner;
use crate::policy::{ConsentSettings, NoConsent, PolicyRoles, RedactionRule};
use crate::scope::Scopes;

fn caller(scopes: &str) -> Caller {
    Caller { scopes: Scopes::parse(scopes), ..Caller::default() }
}

fn resource(name: &str, owners: Owners) -> ResourceFacts {
    ResourceFacts::bare(name.parse().unwrap(), "1", owners)
}

fn policy() -> Policy {
    let settings = ConsentSettings { no_consent: NoConsent::AllNormal, ..ConsentSettings::default() };
    let rule = RedactionRule {
        path: "Patient.telecom".to_owned(),
        except_purposes: Vec::new(),
        except_roles: vec!["registrar".to_owned()],
        except_own_record: false,
    };
    Policy::new(settings, vec![rule], LabelSets::default(), PolicyRoles::default()).unwrap()
}

fn nothing_recorded(patients: &[&str]) -> ConsentFacts {
    let recorded = |id: &&str| (PatientId::parse(id).unwrap(), PatientConsents::Recorded(Vec::new().into()));
    ConsentFacts { patients: patients.iter().map(recorded).collect(), ..ConsentFacts::default() }
}

#[test]
fn an_interaction_is_permitted_by_scope_alone() {
    let observation: ResourceType = "Observation".parse().unwrap();
    let permit = decide_interaction(&caller("user/Observation.rs"), Action::Search, observation).unwrap();
    assert_eq!(
        (permit.action(), permit.resource_type(), permit.grant()),
        (Action::Search, observation, ScopeGrant::All)
    );
    let refused = decide_interaction(&caller("user/Observation.rs"), Action::Create, observation).unwrap_err();
    assert_eq!(refused.reason.rule, RuleName::ScopeMissing);
    assert_eq!(refused.to_string(), "refused: scope-missing");
    let refused = decide_interaction(&caller("patient/Observation.rs"), Action::Read, observation).unwrap_err();
    assert_eq!(refused.reason.rule, RuleName::ScopePatientAbsent);
    let mut launched = caller("patient/Observation.rs");
    launched.launch_patient = Some(PatientId::parse("p").unwrap());
    let permit = decide_interaction(&launched, Action::Read, observation).unwrap();
    assert_eq!(permit.grant(), ScopeGrant::PatientOnly);
}

#[test]
fn without_a_type_one_that_the_scopes_reach_is_enough() {
    let grant = |scopes| decide_system(&caller(scopes), Action::Search).map(|permit| permit.grant());
    let rule = |scopes| grant(scopes).unwrap_err().reason.rule;
    assert_eq!(grant("user/Goal.s").unwrap(), ScopeGrant::All);
    assert_eq!(grant("patient/*.rs user/Goal.s").unwrap(), ScopeGrant::All);
    assert_eq!(rule("user/*.crud openid"), RuleName::ScopeMissing);
    assert_eq!(rule("patient/*.rs"), RuleName::ScopePatientAbsent);
    let mut launched = caller("patient/Goal.s");
    launched.launch_patient = Some(PatientId::parse("p").unwrap());
    assert_eq!(decide_system(&launched, Action::Search).unwrap().grant(), ScopeGrant::PatientOnly);
}

#[test]
fn without_an_owner_nothing_is_permitted() {
    let (caller, policy, facts) = (caller("system/*.cruds"), policy(), nothing_recorded(&["p"]));
    let now = datetime!(2026-06-01 12:00 UTC);
    let session = Session::open(&caller, &facts, &policy, now);
    for owners in [
        Owners::Patients(Vec::new()),
        Owners::Unknown(NoOwner::Absent),
        Owners::Unknown(NoOwner::Foreign),
        Owners::ByReference(vec!["Patient/p".to_owned()]),
        Owners::Patients(vec![PatientId::parse("p").unwrap(), PatientId::parse("q").unwrap()]),
    ] {
        let resource = resource("Observation", owners.clone());
        let decision = session.decide(Action::Read, &resource);
        assert_eq!(decision.effect(), Effect::Deny, "{owners:?}");
        assert!(decision.permit().is_none() && !decision.reasons().is_empty());
    }
}

#[test]
fn a_session_answers_as_a_single_question_does() {
    let (caller, policy, facts) = (caller("user/*.r"), policy(), nothing_recorded(&["p"]));
    let now = datetime!(2026-06-01 12:00 UTC);
    let session = Session::open(&caller, &facts, &policy, now);
    for (name, owners) in [
        ("Patient", Owners::Patients(vec![PatientId::parse("p").unwrap()])),
        ("Observation", Owners::Patients(vec![PatientId::parse("q").unwrap()])),
        ("Practitioner", Owners::Universal),
    ] {
        let resource = resource(name, owners);
        for action in [Action::Read, Action::Search, Action::Create] {
            let question = Question { caller: &caller, action, resource: &resource, now };
            assert_eq!(decide(&question, &facts, &policy), session.decide(action, &resource));
        }
    }
}

#[test]
fn a_reference_is_judged_as_a_read_and_without_one_by_consent_alone() {
    let (policy, facts) = (policy(), nothing_recorded(&["p"]));
    let now = datetime!(2026-06-01 12:00 UTC);
    let may = |scopes: &str, launch: Option<&str>, reach: ScopeGrant, owner: &str| {
        let launch_patient = launch.map(|id| PatientId::parse(id).unwrap());
        let caller = Caller { launch_patient, ..caller(scopes) };
        let encounter = resource("Encounter", Owners::Patients(vec![PatientId::parse(owner).unwrap()]));
        Session::open(&caller, &facts, &policy, now).decide_reference(reach, &encounter).effect() == Effect::Permit
    };
    assert!(may("user/Encounter.r user/Observation.c", None, ScopeGrant::All, "p"));
    assert!(may("user/Observation.c", None, ScopeGrant::All, "p"));
    // The Consents of `q` could not be had.
    assert!(!may("user/Observation.c", None, ScopeGrant::All, "q"));
    assert!(may("patient/Observation.c", Some("p"), ScopeGrant::PatientOnly, "p"));
    assert!(!may("patient/Observation.c", Some("o"), ScopeGrant::PatientOnly, "p"));
    assert!(!may("patient/Encounter.r user/Observation.c", Some("o"), ScopeGrant::All, "p"));
    assert!(!may("patient/Encounter.r user/Observation.c", None, ScopeGrant::All, "p"));
}

#[test]
fn what_the_body_alone_decides_is_refused_outright() {
    let (caller, policy) = (caller("user/*.cruds"), policy());
    let facts = ConsentFacts::default();
    let session = Session::open(&caller, &facts, &policy, datetime!(2026-06-01 12:00 UTC));
    let refused = |name: &str, owners: Owners| session.refuses_outright(Action::Create, &resource(name, owners));
    let of_p = || Owners::Patients(vec![PatientId::parse("p").unwrap()]);
    assert_eq!(refused("Observation", of_p()), None);
    assert_eq!(refused("Provenance", Owners::ByReference(vec!["Encounter/1".to_owned()])), None);
    assert_eq!(refused("Observation", Owners::Unknown(NoOwner::Absent)), Some(RuleName::OwnerUnknown));
    assert_eq!(refused("Consent", of_p()), Some(RuleName::ConsentRecord));
    assert_eq!(refused("Organization", Owners::Universal), Some(RuleName::PolicyInput));
    assert_eq!(refused("Practitioner", Owners::Universal), Some(RuleName::PolicyInput));
    assert_eq!(refused("Medication", Owners::Universal), None);
}

#[test]
fn redaction_rules_reach_contained_resources_and_name_their_reason_at_home() {
    let (policy, facts) = (policy(), nothing_recorded(&["p"]));
    let now = datetime!(2026-06-01 12:00 UTC);
    let owners = || Owners::Patients(vec![PatientId::parse("p").unwrap()]);
    let clerk = caller("user/*.r");
    let session = Session::open(&clerk, &facts, &policy, now);
    let reasons = |decision: &Decision| decision.reasons().iter().any(|reason| reason.rule == RuleName::RedactionRule);
    let patient = session.decide(Action::Read, &resource("Patient", owners()));
    let observation = session.decide(Action::Read, &resource("Observation", owners()));
    for decision in [&patient, &observation] {
        let paths: Vec<String> = decision.permit().unwrap().redactions().iter().map(ToString::to_string).collect();
        assert_eq!(paths, ["Patient.telecom"]);
    }
    assert!(reasons(&patient) && !reasons(&observation));
    assert!(redacts(&clerk, ResourceType::PATIENT, &policy) && !redacts(&clerk, ResourceType::CONSENT, &policy));
    let registrar = Caller { roles: vec!["registrar".to_owned()], ..clerk.clone() };
    assert!(!redacts(&registrar, ResourceType::PATIENT, &policy));
}
