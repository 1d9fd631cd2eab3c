//! `Patient/[id]/$break-glass`: an entitled caller claims emergency access for one patient, with a reason.
//!
//! Nothing here looks at the patient's data, or whether there is such a patient: the answer depends on the token, the
//! claim and the caller's own grants alone, so that it tells nothing of what is stored.

use std::sync::Arc;

use bytes::Bytes;
use gateway_core::caller::Caller;
use gateway_core::coding::Coding;
use gateway_core::decide::Permit;
use gateway_core::interaction::{OperationLevel, SearchQuery};
use gateway_core::json::{Doc, Value};
use gateway_core::owner::PatientId;
use gateway_core::purpose;
use gateway_core::scope::ScopeGrant;
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use tokio::sync::OwnedMutexGuard;

use super::{Claim, Glass, Grant, Holder, Moment, NoRoom, entitled};
use crate::clock;
use crate::filter::Window;
use crate::journal::NewGrant;
use crate::operate::bad_body;
use crate::outcome::{Answer, Outcome};
use crate::problem::Problem;
use crate::record::{Access, Asked};
use crate::rules::Rules;

/// How long a justification is, in characters: long enough to say something, short enough to be read.
const JUSTIFICATION: std::ops::RangeInclusive<usize> = 10..=1_000;

/// A claim as it came in.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// On what it was invoked.
    pub level: &'a OperationLevel,
    /// Parameters in the URL; there must be none: URLs stand in the logs of others.
    pub query: &'a SearchQuery,
    /// The Parameters resource.
    pub body: &'a Bytes,
}

/// A claim that is granted once it is on record.
pub struct Claimed {
    glass: Arc<Glass>,
    grant: Arc<Grant>,
    claim: Claim,
    _turn: OwnedMutexGuard<()>,
}

impl Claimed {
    /// The grant.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// What was claimed.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// What the journal is to store.
    pub fn stored(&self) -> NewGrant {
        self.grant.stored(&self.claim)
    }

    /// From now on it counts. To be called when it is durable, and not before.
    pub fn take_effect(self) {
        self.glass.hold(self.grant, Moment::now());
    }
}

/// Answers a claim; the grant works once the outcome is on record.
///
/// # Errors
/// Every refusal is the whole answer, and is on record as any other.
pub async fn claim(
    glass: &Arc<Glass>,
    rules: &Rules,
    permit: &Permit,
    (access, asked): (&Access, &Asked),
    asking: Asking<'_>,
) -> Result<Outcome, Problem> {
    let patient = allowed(rules, permit, &asked.caller, asking.level)?;
    let claim = read(&asked.caller, &patient, &asking, &rules.glass.reasons)?;
    let turn = glass.turn().await;
    let at = Moment::now();
    glass.room(&rules.glass, &claim, at).map_err(|no_room| match no_room {
        NoRoom::InForce => Problem::GrantInForce,
        NoRoom::TooMany => refused(
            "break-glass-too-many",
            "You hold as many emergency grants as one may at the same time: wait until one ends.",
        ),
        NoRoom::Unreviewed => Problem::GrantsUnreviewed,
    })?;
    let grant = Grant::given(access.id, &claim, rules.glass.duration, at).ok_or(Problem::Unrecordable("clock"))?;
    let until = grant.until.format(&Rfc3339).map_err(|_| Problem::Unrecordable("clock"))?;
    let mut window = Box::new(Window::only());
    window.granted(&grant.patient);
    window.bytes = json!({"resourceType": "Parameters", "parameter": [
        {"name": "grant", "valueId": grant.id.to_string()},
        {"name": "patient", "valueReference": {"reference": claim.patient}},
        {"name": "purpose", "valueCoding": {"system": purpose::SYSTEM, "code": purpose::BTG}},
        {"name": "until", "valueInstant": until},
    ]})
    .to_string()
    .into_bytes();
    let claimed = Claimed { glass: Arc::clone(glass), grant: Arc::new(grant), claim, _turn: turn };
    Ok(Outcome::Granted { answer: Answer::status(200), window, claimed: Box::new(claimed) })
}

/// What of a refusal looks at nothing but the caller: role, purpose, organisational policy as of somebody who breaks the
/// glass, and the reach of the scopes.
fn allowed(rules: &Rules, permit: &Permit, caller: &Caller, level: &OperationLevel) -> Result<PatientId, Problem> {
    let OperationLevel::Instance(_, id) = level else { return Err(Problem::Absent) };
    let patient = PatientId::parse(id).map_err(|_| Problem::Absent)?;
    if !entitled(&rules.glass, caller) {
        return Err(refused("break-glass-not-entitled", "Your token carries no role that may break the glass."));
    }
    if !caller.purposes.iter().any(purpose::breaks_glass) {
        return Err(refused(
            "break-glass-purpose",
            "The glass is broken for treatment only: your token names no such purpose.",
        ));
    }
    rules.organisation.decide(&caller.breaking_glass(), "operation", Some("Patient"), clock::now()).map_err(
        |refusal| {
            tracing::info!(policies = ?refusal.policies, "refused by organisational policy");
            refused("organisation-policy", "Your organisation's policy does not allow you to break the glass.")
        },
    )?;
    let reached = match permit.grant() {
        ScopeGrant::All => true,
        ScopeGrant::PatientOnly => caller.launch_patient.as_ref() == Some(&patient),
        ScopeGrant::None => false,
    };
    match reached {
        true => Ok(patient),
        false => Err(refused("scope-other-patient", "The token's scopes reach another patient only.")),
    }
}

/// Reads what is claimed. What is not understood refuses the claim.
fn read(caller: &Caller, patient: &PatientId, asking: &Asking<'_>, reasons: &[Coding]) -> Result<Claim, Problem> {
    let harmless = |name: &str| matches!(name, "_format" | "_pretty");
    if asking.query.params().iter().any(|param| !harmless(&param.name)) {
        return Err(bad_body("A claim stands in the body, not in the URL."));
    }
    let doc = Doc::parse(asking.body).map_err(|_| bad_body("The body is not acceptable JSON."))?;
    if doc.root().str_at("resourceType").as_deref() != Some("Parameters") {
        return Err(bad_body("The body is no Parameters resource."));
    }
    if doc.root().members().any(|member| !matches!(member.key.as_ref(), "resourceType" | "parameter")) {
        return Err(bad_body("A claim has one reason, one justification and nothing else."));
    }
    let (mut reason, mut justification) = (None, None);
    for parameter in doc.root().get("parameter").into_iter().flat_map(|list| list.items().collect::<Vec<_>>()) {
        // A name and one value.
        let plain = parameter.members().count() == 2;
        let known = match parameter.str_at("name").as_deref() {
            _ if !plain => false,
            Some("reason") => reason.replace(coding(parameter)?).is_none(),
            Some("justification") => justification.replace(words(parameter)?).is_none(),
            _ => false,
        };
        if !known {
            return Err(bad_body("A claim has one reason, one justification and nothing else."));
        }
    }
    let reason = reason.ok_or_else(|| bad_body("A claim names its reason: a parameter reason with a valueCoding."))?;
    if !reasons.contains(&reason) {
        return Err(bad_body("The reason is not one that this gateway takes (break_glass.reasons)."));
    }
    let justification = justification
        .ok_or_else(|| bad_body("A claim says why, in words: a parameter justification with a valueString."))?;
    let (holder, patient) = (Holder::of(caller), patient.reference());
    Ok(Claim { holder, patient, reason, justification })
}

fn coding(parameter: Value<'_>) -> Result<Coding, Problem> {
    let read = || {
        let coding = parameter.get("valueCoding")?;
        Some(Coding::new(coding.str_at("system")?, coding.str_at("code")?))
    };
    read().ok_or_else(|| bad_body("The reason is no valueCoding with system and code."))
}

fn words(parameter: Value<'_>) -> Result<String, Problem> {
    let text = parameter.str_at("valueString").ok_or_else(|| bad_body("The justification is no valueString."))?;
    let text = text.trim();
    let says = text.chars().filter(|c| c.is_alphanumeric()).count() >= JUSTIFICATION.start() / 2;
    if !JUSTIFICATION.contains(&text.chars().count()) || !says || text.chars().any(|c| c != '\n' && is_unseen(c)) {
        return Err(bad_body("The justification has 10 to 1000 characters that say why."));
    }
    Ok(text.to_owned())
}

/// What a reviewer would not see, or would see in another order.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn refused(rule: &'static str, sentence: &str) -> Problem {
    Problem::Refused { rule, sentence: sentence.to_owned() }
}
