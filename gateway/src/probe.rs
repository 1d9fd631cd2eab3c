//! The enforcement probe: before the gateway is ready, the policy in force must refuse what has to be refused.
//!
//! It asks the real decision, under the real policy, about a patient whose Consents cannot be had and about a resource
//! whose owner is unknown. A gateway that would permit either is not ready (CONSENT.md, "Explain, shadow, replay").

use gateway_core::caller::Caller;
use gateway_core::consent::Effect;
use gateway_core::decide::{Action, ConsentFacts, Question, decide};
use gateway_core::facts::ResourceFacts;
use gateway_core::json::Doc;
use gateway_core::policy::Policy;
use gateway_core::reference::{BaseUrl, Bases};
use gateway_core::scope::Scopes;
use time::OffsetDateTime;

const OWNED: &[u8] =
    br#"{"resourceType":"Observation","id":"probe","status":"final","subject":{"reference":"Patient/probe"}}"#;
const OWNERLESS: &[u8] = br#"{"resourceType":"Observation","id":"probe","status":"final"}"#;

/// Whether the policy refuses what has to be refused.
pub fn enforces(policy: &Policy) -> bool {
    let caller = Caller {
        issuer: "urn:sealgate:probe".to_owned(),
        subject: "probe".to_owned(),
        scopes: Scopes::parse("user/*.rs"),
        ..Caller::default()
    };
    [OWNED, OWNERLESS].iter().all(|source| refuses(policy, &caller, source))
}

fn refuses(policy: &Policy, caller: &Caller, source: &[u8]) -> bool {
    let Ok(base) = BaseUrl::parse("https://probe.invalid/fhir") else { return false };
    let bases = Bases { public: base.clone(), upstream: base };
    let Ok(doc) = Doc::parse(source) else { return false };
    let Ok(resource) = ResourceFacts::of(doc.root(), &bases) else { return false };
    let question = Question { caller, action: Action::Read, resource: &resource, now: OffsetDateTime::UNIX_EPOCH };
    decide(&question, &ConsentFacts::default(), policy).effect() == Effect::Deny
}
