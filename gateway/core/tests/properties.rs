//! What holds of every decision, whatever the Consents (proptest).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed expectation is a failed test")]

use std::collections::{BTreeMap, BTreeSet};

use gateway_core::caller::{ActorRef, Caller};
use gateway_core::coding::Coding;
use gateway_core::consent::actors::Memberships;
use gateway_core::consent::{Consent, Effect, Unusable, r4};
use gateway_core::decide::{Action, ConsentFacts, PatientConsents, Question, decide};
use gateway_core::facts::ResourceFacts;
use gateway_core::json::Doc;
use gateway_core::labels::{CONFIDENTIALITY_SYSTEM, LabelSets, SENSITIVITY_SYSTEM};
use gateway_core::owner::PatientId;
use gateway_core::policy::{BreakGlass, ConsentSettings, NoConsent, Policy, PolicyRoles, SeveralConsents, Siblings};
use gateway_core::purpose;
use gateway_core::scope::Scopes;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use time::macros::datetime;

type Recorded = Vec<Result<Consent, Unusable>>;

const LABELS: &[&str] = &["N", "R", "V", "HIV", "SUD", "OPIOIDUD"];
const PURPOSES: &[&str] = &["TREAT", "ETREAT", "HPAYMT", "HRESCH"];

fn label(code: &str) -> Value {
    let system = if code.len() == 1 { CONFIDENTIALITY_SYSTEM } else { SENSITIVITY_SYSTEM };
    json!({"system": system, "code": code})
}

fn some<T: Clone + std::fmt::Debug + 'static>(of: &'static [T]) -> impl Strategy<Value = Vec<T>> {
    proptest::collection::vec(proptest::sample::select(of), 1..3)
}

/// The elements of a provision, any of them.
fn elements() -> impl Strategy<Value = Map<String, Value>> {
    let purpose = some(PURPOSES).prop_map(|codes| {
        let codes = codes.into_iter().map(|code| json!({"system": purpose::SYSTEM, "code": code}));
        ("purpose", Value::Array(codes.collect()))
    });
    let labels = some(LABELS).prop_map(|codes| ("securityLabel", codes.into_iter().map(label).collect()));
    let actor = some(&["Practitioner/a", "Practitioner/b", "Organization/o"])
        .prop_map(|names| ("actor", names.into_iter().map(|name| json!({"reference": {"reference": name}})).collect()));
    let code = some(&["1-1", "2-2"]).prop_map(|codes| {
        let concept = |code| json!({"coding": [{"system": "http://loinc.org", "code": code}]});
        ("code", codes.into_iter().map(concept).collect())
    });
    let period = proptest::sample::select(&["2025", "2026", "2026-06"][..])
        .prop_map(|start| ("dataPeriod", json!({"start": start})));
    let one = prop_oneof![purpose, labels, actor, code, period];
    proptest::collection::vec(one, 0..3).prop_map(|all| all.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
}

fn typed(mut elements: Map<String, Value>, effect: &str, children: Vec<Value>) -> Value {
    elements.insert("type".to_owned(), json!(effect));
    if !children.is_empty() {
        elements.insert("provision".to_owned(), Value::Array(children));
    }
    Value::Object(elements)
}

/// A provision tree whose effects are among these.
fn provision(effects: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let effect = move || proptest::sample::select(effects);
    let leaf = (elements(), effect()).prop_map(|(elements, effect)| typed(elements, effect, Vec::new()));
    leaf.prop_recursive(3, 8, 3, move |inner| {
        (elements(), effect(), proptest::collection::vec(inner, 0..3))
            .prop_map(|(elements, effect, children)| typed(elements, effect, children))
    })
}

fn consent(effects: &'static [&'static str]) -> impl Strategy<Value = Value> {
    (provision(effects), 1..28_u8).prop_map(|(provision, day)| {
        json!({
            "resourceType": "Consent", "id": format!("c{day}"), "status": "active",
            "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
            "patient": {"reference": "Patient/p"}, "dateTime": format!("2026-01-{day:02}"), "provision": provision,
        })
    })
}

fn read_all(consents: &[Value]) -> Recorded {
    let recorded: Recorded = consents.iter().map(r4::read).collect();
    assert!(recorded.iter().all(Result::is_ok), "{recorded:?}");
    recorded
}

const BOTH: &[&str] = &["permit", "deny"];

fn consents() -> impl Strategy<Value = Recorded> {
    proptest::collection::vec(consent(BOTH), 0..4).prop_map(|all| read_all(&all))
}

fn observation(labels: &[&str], id: &str) -> ResourceFacts {
    let mut json = json!({
        "resourceType": "Observation", "id": id, "status": "final", "subject": {"reference": "Patient/p"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "1-1"}]}, "effectiveDateTime": "2026-03-01",
    });
    if !labels.is_empty() {
        json["meta"] = json!({"security": labels.iter().map(|code| label(code)).collect::<Vec<_>>()});
    }
    facts_of(&json)
}

fn facts_of(json: &Value) -> ResourceFacts {
    let bytes = serde_json::to_vec(json).unwrap();
    let doc = Doc::parse(&bytes).unwrap();
    ResourceFacts::of(doc.root(), policy(ConsentSettings::default()).bases()).unwrap()
}

fn caller(purposes: &[&str]) -> Caller {
    Caller {
        actors: vec![ActorRef::reference("Practitioner/a")],
        purposes: purposes.iter().map(|code| Coding::new(purpose::SYSTEM, *code)).collect(),
        scopes: Scopes::parse("user/*.cruds"),
        ..Caller::default()
    }
}

fn policy(settings: ConsentSettings) -> Policy {
    Policy::new(settings, Vec::new(), LabelSets::default(), PolicyRoles::default()).unwrap()
}

fn settings() -> impl Strategy<Value = ConsentSettings> {
    let no_consent = proptest::sample::select(
        &[NoConsent::Deny, NoConsent::BasicNormal, NoConsent::AllNormal, NoConsent::BreakGlassOnly][..],
    );
    let siblings = proptest::sample::select(&[Siblings::Deny, Siblings::MostSpecific][..]);
    let several = proptest::sample::select(
        &[
            SeveralConsents::DenyOverrides,
            SeveralConsents::PermitOverrides,
            SeveralConsents::MostRecent,
            SeveralConsents::MostSpecific,
            SeveralConsents::RefuseAmbiguous,
        ][..],
    );
    (no_consent, siblings, several).prop_map(|(no_consent, siblings, several_consents)| ConsentSettings {
        no_consent,
        siblings,
        several_consents,
        ..ConsentSettings::default()
    })
}

fn ask(caller: &Caller, resource: &ResourceFacts, recorded: &Recorded, settings: &ConsentSettings) -> Effect {
    let facts = ConsentFacts {
        patients: BTreeMap::from([(
            PatientId::parse("p").unwrap(),
            PatientConsents::Recorded(recorded.clone().into()),
        )]),
        memberships: Memberships { resolved: true, ..Memberships::default() }.into(),
        outgoing: BTreeMap::new(),
        ..ConsentFacts::default()
    };
    let question = Question { caller, action: Action::Read, resource, now: datetime!(2026-06-01 12:00 UTC) };
    let decision = decide(&question, &facts, &policy(settings.clone()));
    assert_eq!(decision.permit().is_some(), decision.effect() == Effect::Permit);
    assert!(!decision.reasons().is_empty(), "every decision is explained");
    decision.effect()
}

fn some_purposes() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::collection::vec(proptest::sample::select(PURPOSES), 0..3)
}

fn some_labels() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::collection::vec(proptest::sample::select(LABELS), 0..3)
}

fn deny_overrides() -> ConsentSettings {
    ConsentSettings::default()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn adding_a_consent_that_only_denies_never_permits_under_deny_overrides(
        recorded in consents(), more in consent(&["deny"]), purposes in some_purposes(), labels in some_labels(), on in settings(),
    ) {
        let settings = ConsentSettings { several_consents: SeveralConsents::DenyOverrides, ..on };
        let (caller, resource) = (caller(&purposes), observation(&labels, "o"));
        let mut with = recorded.clone();
        with.extend(read_all(&[more]));
        if ask(&caller, &resource, &recorded, &settings) == Effect::Deny {
            prop_assert_eq!(ask(&caller, &resource, &with, &settings), Effect::Deny);
        }
    }

    #[test]
    fn the_order_of_consents_makes_no_difference(
        recorded in consents(), purposes in some_purposes(), labels in some_labels(), settings in settings(),
    ) {
        let (caller, resource) = (caller(&purposes), observation(&labels, "o"));
        let backwards: Recorded = recorded.iter().rev().cloned().collect();
        prop_assert_eq!(ask(&caller, &resource, &recorded, &settings), ask(&caller, &resource, &backwards, &settings));
    }

    #[test]
    fn a_consent_that_is_not_understood_always_denies(
        recorded in consents(), purposes in some_purposes(), labels in some_labels(), settings in settings(),
    ) {
        let (caller, resource) = (caller(&purposes), observation(&labels, "o"));
        let mut with = recorded;
        with.push(r4::read(&json!({"resourceType": "Consent", "id": "x", "status": "active", "implicitRules": "http://example.org"})));
        prop_assert_eq!(ask(&caller, &resource, &with, &settings), Effect::Deny);
    }

    #[test]
    fn an_unknown_purpose_never_permits_what_names_purposes(
        provision in provision(BOTH), labels in some_labels(), settings in settings(),
    ) {
        let mut provision = provision;
        provision["purpose"] = json!([{"system": purpose::SYSTEM, "code": "TREAT"}]);
        let consent = json!({
            "resourceType": "Consent", "id": "c", "status": "active", "patient": {"reference": "Patient/p"},
            "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
            "provision": provision,
        });
        let (nobody, resource) = (caller(&[]), observation(&labels, "o"));
        prop_assert_eq!(ask(&nobody, &resource, &read_all(&[consent]), &settings), Effect::Deny);
    }

    #[test]
    fn several_purposes_permit_no_more_than_each_alone(
        recorded in consents(), a in proptest::sample::select(PURPOSES), b in proptest::sample::select(PURPOSES), settings in settings(),
    ) {
        let resource = observation(&[], "o");
        let both = ask(&caller(&[a, b]), &resource, &recorded, &settings);
        let alone = [a, b].map(|purpose| ask(&caller(&[purpose]), &resource, &recorded, &settings));
        prop_assert_eq!(both == Effect::Permit, alone == [Effect::Permit; 2]);
    }

    /// What is known more of only ever turns Deny into Permit where it was unknown, so a caller without actors is never
    /// permitted what every identity is refused.
    #[test]
    fn who_is_unknown_is_permitted_only_what_everybody_is(
        recorded in consents(), purposes in some_purposes(), labels in some_labels(),
    ) {
        let resource = observation(&labels, "o");
        let mut unknown = caller(&purposes);
        unknown.actors.clear();
        // Nested provisions can turn this round (an unknown deny hides a deeper permit, never the other way), so only
        // trees whose deepest matches agree are compared: one Consent without nesting.
        let flat: Recorded = recorded.into_iter().filter(|one| one.as_ref().is_ok_and(is_flat)).collect();
        if ask(&unknown, &resource, &flat, &deny_overrides()) == Effect::Permit {
            prop_assert_eq!(ask(&caller(&purposes), &resource, &flat, &deny_overrides()), Effect::Permit);
        }
    }

    #[test]
    fn where_all_provisions_permit_nothing_is_denied_by_a_consent_and_more_consents_permit_more(
        recorded in proptest::collection::vec(consent(&["permit"]), 1..4), purposes in some_purposes(), labels in some_labels(),
    ) {
        let (caller, resource) = (caller(&purposes), observation(&labels, "o"));
        let all = read_all(&recorded);
        let any = all.iter().any(|one| {
            let alone: Recorded = vec![one.clone()];
            ask(&caller, &resource, &alone, &deny_overrides()) == Effect::Permit
        });
        if purposes.len() < 2 {
            prop_assert_eq!(ask(&caller, &resource, &all, &deny_overrides()) == Effect::Permit, any);
        }
    }

    #[test]
    fn nobody_is_permitted_anything_without_a_scope(
        recorded in consents(), purposes in some_purposes(), labels in some_labels(), settings in settings(),
    ) {
        let mut caller = caller(&purposes);
        caller.scopes = Scopes::parse("user/Patient.cruds openid");
        caller.break_glass = BTreeSet::from([PatientId::parse("p").unwrap()]);
        let settings = ConsentSettings { break_glass: BreakGlass::OverridesConsent, ..settings };
        prop_assert_eq!(ask(&caller, &observation(&labels, "o"), &recorded, &settings), Effect::Deny);
    }

    #[test]
    fn permit_overrides_permits_at_least_what_every_other_rule_permits(
        recorded in consents(), purposes in some_purposes(), labels in some_labels(), settings in settings(),
    ) {
        let (caller, resource) = (caller(&purposes), observation(&labels, "o"));
        let with = |several_consents| ask(&caller, &resource, &recorded, &ConsentSettings { several_consents, ..settings.clone() });
        let permitted = ask(&caller, &resource, &recorded, &settings) == Effect::Permit;
        prop_assert!(!permitted || with(SeveralConsents::PermitOverrides) == Effect::Permit);
        prop_assert!(permitted || with(SeveralConsents::DenyOverrides) == Effect::Deny);
    }
}

fn is_flat(consent: &Consent) -> bool {
    match &consent.body {
        gateway_core::consent::Body::Active { root, .. } => root.children.is_empty(),
        gateway_core::consent::Body::Dormant(_) => false,
    }
}
