//! Organisational policy: who may do what before any scope or Consent is asked, in Cedar.
//!
//! The shipped schema says what policies can see, the shipped set is a small default. Policies of the operator's folder
//! are added; a `default.cedar` there replaces the shipped one. Everything is validated when it is loaded, and at a
//! decision a policy that cannot be evaluated refuses: Cedar would skip it, and a skipped `forbid` permits.

mod load;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    PolicySet, Request, RestrictedExpression,
};
use gateway_core::caller::Caller;
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

pub use load::PolicyFault;

/// Decisions that are remembered; each counts for the minute it was made in.
const REMEMBERED: u64 = 10_000;

/// The policies in force.
pub struct OrganisationPolicy {
    policies: PolicySet,
    /// Interaction code → its action; the groups `look` and `change` are not interactions.
    actions: HashMap<String, EntityUid>,
    action_entities: Vec<Entity>,
    types: Types,
    digest: [u8; 32],
    remembered: Cache<[u8; 32], Result<(), Refusal>>,
}

struct Types {
    caller: EntityTypeName,
    resource_type: EntityTypeName,
    server: EntityTypeName,
}

/// Organisational policy refuses; nothing of this depends on patient data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refused by organisational policy ({})", .policies.join(", "))]
pub struct Refusal {
    /// Ids of the policies that decided, sorted; empty: no policy permits.
    pub policies: Vec<String>,
}

impl OrganisationPolicy {
    /// SHA-256 over the schema and every policy file by name, for the policy digest of events.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Decides one interaction by its FHIR code; `resource_type` is absent where the interaction names none.
    /// `now` counts in whole minutes, so decisions of one minute are remembered.
    pub fn decide(
        &self,
        caller: &Caller,
        interaction: &str,
        resource_type: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<(), Refusal> {
        // A grant never overrides these policies: whoever holds one asks to break the glass too (CONSENT.md, "Break glass").
        if !caller.break_glass.is_empty() {
            self.decide(&caller.breaking_glass(), interaction, resource_type, now)?;
        }
        let minute = now.unix_timestamp().div_euclid(60);
        let key = question(caller, interaction, resource_type, minute);
        if let Some(decision) = self.remembered.get(&key) {
            return decision;
        }
        let decision = self.evaluate(caller, interaction, resource_type, minute);
        self.remembered.insert(key, decision.clone());
        decision
    }

    fn evaluate(
        &self,
        caller: &Caller,
        interaction: &str,
        resource_type: Option<&str>,
        minute: i64,
    ) -> Result<(), Refusal> {
        // An interaction without an action, like a request that cannot be built, is one that no policy speaks of.
        let unspoken = || Refusal { policies: Vec::new() };
        let action = self.actions.get(interaction).ok_or_else(unspoken)?.clone();
        let principal = self.principal(caller).ok_or_else(unspoken)?;
        let resource = match resource_type {
            Some(name) => EntityUid::from_type_name_and_id(self.types.resource_type.clone(), EntityId::new(name)),
            None => EntityUid::from_type_name_and_id(self.types.server.clone(), EntityId::new("fhir")),
        };
        let now = RestrictedExpression::new_long(minute.saturating_mul(60));
        let context = Context::from_pairs([("now".to_owned(), now)]).map_err(|_| unspoken())?;
        let request = Request::new(principal.uid(), action, resource, context, None).map_err(|_| unspoken())?;
        let entities = self.action_entities.iter().cloned().chain([principal]);
        let entities = Entities::from_entities(entities, None).map_err(|_| unspoken())?;

        let response = Authorizer::new().is_authorized(&request, &self.policies, &entities);
        let diagnostics = response.diagnostics();
        let mut broken: Vec<String> = diagnostics.errors().map(failed).collect();
        broken.sort();
        match response.decision() {
            Decision::Allow if broken.is_empty() => Ok(()),
            Decision::Allow => Err(Refusal { policies: broken }),
            Decision::Deny => {
                let mut policies: Vec<String> = diagnostics.reason().map(ToString::to_string).collect();
                policies.append(&mut broken);
                policies.sort();
                Err(Refusal { policies })
            }
        }
    }

    fn principal(&self, caller: &Caller) -> Option<Entity> {
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let mut attributes = HashMap::from([
            ("issuer".to_owned(), text(&caller.issuer)),
            ("subject".to_owned(), text(&caller.subject)),
            ("roles".to_owned(), RestrictedExpression::new_set(caller.roles.iter().map(|role| text(role)))),
            (
                "purposes".to_owned(),
                RestrictedExpression::new_set(caller.purposes.iter().map(|purpose| text(&purpose.to_string()))),
            ),
        ]);
        if let Some(client) = &caller.client {
            attributes.insert("client".to_owned(), text(client));
        }
        if let Some(organization) = &caller.organization {
            attributes.insert("organization".to_owned(), text(&organization.to_string()));
        }
        // Unambiguous: an issuer holds no space.
        let id = EntityId::new(format!("{} {}", caller.issuer, caller.subject));
        let uid = EntityUid::from_type_name_and_id(self.types.caller.clone(), id);
        Entity::new(uid, attributes, HashSet::new()).ok()
    }
}

fn failed(error: &AuthorizationError) -> String {
    match error {
        AuthorizationError::PolicyEvaluationError(error) => error.policy_id().to_string(),
    }
}

/// A digest of everything that a policy can see, each part with its length, so that no two questions share one.
fn question(caller: &Caller, interaction: &str, resource_type: Option<&str>, minute: i64) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let mut part = |text: Option<&str>| {
        hasher.update([u8::from(text.is_some())]);
        let bytes = text.unwrap_or_default().as_bytes();
        hasher.update((bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    };
    part(Some(&caller.issuer));
    part(Some(&caller.subject));
    part(caller.client.as_deref());
    part(caller.organization.as_ref().map(ToString::to_string).as_deref());
    caller.roles.iter().for_each(|role| part(Some(role)));
    part(None);
    caller.purposes.iter().for_each(|purpose| {
        part(purpose.system.as_deref());
        part(Some(&purpose.code));
    });
    part(None);
    part(Some(interaction));
    part(resource_type);
    hasher.update(minute.to_be_bytes());
    hasher.finalize().into()
}

fn remembered() -> Cache<[u8; 32], Result<(), Refusal>> {
    Cache::builder().max_capacity(REMEMBERED).time_to_live(Duration::from_secs(60)).build()
}

#[cfg(test)]
mod tests;
