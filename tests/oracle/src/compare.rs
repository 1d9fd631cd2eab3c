//! Asks the engine what the oracle was asked.

use std::collections::{BTreeMap, BTreeSet};

use gateway_core::caller::{ActorRef, Caller};
use gateway_core::coding::Coding;
use gateway_core::consent::actors::{Identity, Membership, Memberships};
use gateway_core::consent::{self, r4};
use gateway_core::decide::{Action, ConsentFacts, PatientConsents, PatientLinksFound, Question, decide};
use gateway_core::facts::ResourceFacts;
use gateway_core::json::Doc;
use gateway_core::labels::LabelSets;
use gateway_core::owner::PatientId;
use gateway_core::policy::{ConsentSettings, Policy, PolicyRoles};
use gateway_core::scope::Scopes;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::case;
use crate::evaluator::{Actor, Effect, each, text};

/// A case that the engine's types do not take: a fault of the generator, never an answer.
#[derive(Debug)]
pub struct NotACase(pub String);

/// A case on which the two do not agree.
#[derive(Clone, Debug)]
pub struct Difference {
    /// What the oracle says.
    pub oracle: Effect,
    /// What the engine says.
    pub engine: Effect,
    /// The engine's reasons.
    pub reasons: Value,
}

/// Asks both; `Ok(Err(…))` is a difference, `Ok(Ok(…))` the answer that both give.
pub fn both(case: &Value) -> Result<Result<Effect, Difference>, NotACase> {
    let oracle = case::oracle(case);
    let (engine, reasons) = engine(case)?;
    Ok(if oracle == engine { Ok(oracle) } else { Err(Difference { oracle, engine, reasons }) })
}

/// The difference of a case, if there is one; a case that is none has none.
pub fn difference(case: &Value) -> Option<Difference> {
    both(case).ok()?.err()
}

fn engine(case: &Value) -> Result<(Effect, Value), NotACase> {
    let fault = |what: &'static str| move |error: String| NotACase(format!("{what}: {error}"));
    let none = Value::Null;
    let section = |key: &str| case.get(key).cloned().unwrap_or_else(|| json!({}));
    let settings: ConsentSettings =
        serde_json::from_value(section("settings")).map_err(|e| fault("settings")(e.to_string()))?;
    let sets: LabelSets =
        serde_json::from_value(section("label_sets")).map_err(|e| fault("label_sets")(e.to_string()))?;
    let roles: PolicyRoles = serde_json::from_value(section("roles")).map_err(|e| fault("roles")(e.to_string()))?;
    let policy = Policy::new(settings, Vec::new(), sets, roles).map_err(|e| fault("policy")(e.to_string()))?;
    let bytes = serde_json::to_vec(case.get("resource").unwrap_or(&none)).map_err(|e| fault("bytes")(e.to_string()))?;
    let doc = Doc::parse(&bytes).map_err(|e| fault("resource")(e.to_string()))?;
    let resource = ResourceFacts::of(doc.root(), policy.bases()).map_err(|e| fault("resource")(e.to_string()))?;
    let action = match text(case, "action") {
        None | Some("read") => Action::Read,
        Some("search") => Action::Search,
        Some("create") => Action::Create,
        Some("update") => Action::Update,
        Some("delete") => Action::Delete,
        Some(other) => return Err(NotACase(format!("{other} is no action"))),
    };
    let now = text(case, "now").unwrap_or("2026-06-01T12:00:00Z");
    let now = OffsetDateTime::parse(now, &Rfc3339).map_err(|e| fault("now")(e.to_string()))?;
    let caller = caller(case)?;
    let facts = facts(case)?;
    let decision = decide(&Question { caller: &caller, action, resource: &resource, now }, &facts, &policy);
    let effect = match decision.effect() {
        consent::Effect::Permit => Effect::Permit,
        consent::Effect::Deny => Effect::Deny,
    };
    Ok((effect, serde_json::to_value(decision.reasons()).unwrap_or_default()))
}

fn actor(actor: &Actor) -> ActorRef {
    match actor {
        Actor::Reference(reference) => ActorRef::reference(reference.clone()),
        Actor::Identifier { system, value } => ActorRef::Identifier { system: system.clone(), value: value.clone() },
    }
}

fn named(json: &Value, key: &str) -> ActorRef {
    actor(&case::actor(text(json, key).unwrap_or_default()))
}

fn patient(id: &str) -> Result<PatientId, NotACase> {
    PatientId::parse(id.strip_prefix("Patient/").unwrap_or(id)).map_err(|e| NotACase(format!("{id}: {e}")))
}

fn caller(json: &Value) -> Result<Caller, NotACase> {
    let asked = case::caller(json);
    Ok(Caller {
        issuer: "https://issuer.example.org".to_owned(),
        subject: "subject".to_owned(),
        fhir_user: asked.fhir_user.as_ref().map(actor),
        organization: asked.organization.as_ref().map(actor),
        actors: asked.actors.iter().map(actor).collect(),
        roles: asked.roles,
        purposes: asked.purposes.into_iter().map(|code| Coding { system: code.system, code: code.code }).collect(),
        break_glass: asked.grants.iter().map(|id| patient(id)).collect::<Result<_, _>>()?,
        scopes: Scopes::parse("user/*.cruds"),
        ..Caller::default()
    })
}

fn facts(case: &Value) -> Result<ConsentFacts, NotACase> {
    let none = Value::Null;
    let memberships = case.get("memberships").unwrap_or(&none);
    let at = |key: &str| memberships.get(key).into_iter().flat_map(each);
    let owned = |json: &Value, key| text(json, key).map(str::to_owned);
    let edges = at("edges").map(|edge| Membership {
        member: named(edge, "member"),
        of: named(edge, "of"),
        active: edge.get("active").and_then(Value::as_bool),
        start: owned(edge, "start"),
        end: owned(edge, "end"),
    });
    let identities = at("identities").map(|row| Identity {
        reference: named(row, "reference"),
        identifiers: row
            .get("identifiers")
            .into_iter()
            .flat_map(each)
            .filter_map(|text| Some(actor(&case::actor(text.as_str()?))))
            .collect(),
    });
    let memberships = Memberships {
        resolved: memberships.get("resolved") != Some(&Value::Bool(false)),
        edges: edges.collect(),
        identities: identities.collect(),
        listed: None,
    };
    let objects = |key: &str| case.get(key).and_then(Value::as_object).into_iter().flatten();
    let patients = objects("consents").map(|(id, row)| {
        let row = match row {
            Value::Array(consents) => PatientConsents::Recorded(consents.iter().map(r4::read).collect()),
            Value::String(word) if word == "too-many" => PatientConsents::TooMany,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                PatientConsents::Unavailable
            }
        };
        Ok((patient(id)?, row))
    });
    let outgoing = objects("outgoing").map(|(from, to)| {
        let to: BTreeSet<String> = each(to).filter_map(Value::as_str).map(str::to_owned).collect();
        (from.clone(), to)
    });
    Ok(ConsentFacts {
        patients: patients.collect::<Result<BTreeMap<_, _>, NotACase>>()?,
        memberships: memberships.into(),
        links: PatientLinksFound::default(),
        outgoing: outgoing.collect(),
    })
}
