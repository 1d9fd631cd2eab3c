//! AuditEvents, FHIR R4: the RESTful and consent-decision profiles of IHE BALP, and base AuditEvents for the rest.
//!
//! | [`Statement`] | profile | outcome |
//! |---|---|---|
//! | `Access` | BALP `Create`, `Read`, `Update`, `Delete`, `Query`; with a patient `PatientCreate`, … | 0 |
//! | `Failure` | base AuditEvent | 4 or 8 |
//! | `ConsentDecision` | BALP `AuthZconsent` | 0 or 8 |
//! | `Operation` | base AuditEvent | 0 or 4 |
//!
//! Each also claims the profile of Sealgate that derives from it (`input/fsh/audit-event.fsh`). The types leave no way to
//! build a statement that its profile does not allow; what a statement holds comes from the access event alone.

mod parts;
mod record;
mod vocabulary;

use fhirbolt::model::r4::resources::{AuditEvent, AuditEventAgent, AuditEventEntity, AuditEventSource};
use fhirbolt::model::r4::types;

use parts::{
    agent, client_network, coded, coding, concept, consent_entity, data_entity, detail, extensions, known_client,
    operation_entity, patient_entity, query_entity, server_network, token_entity, transaction_entity, who,
};
use vocabulary as v;

pub use record::{
    Access, AccessEventLink, AuditEventError, AuditRecord, Caller, Code, ConsentDecision, ConsentUse, Gateway,
    OperationKind, Party, Pointer, Query, ResourceRef, SearchScope, Severity, Statement, Verb,
};

/// Writes the AuditEvent of a record, as JSON.
///
/// # Errors
/// A value that FHIR does not allow.
pub fn audit_event_r4(record: &AuditRecord) -> Result<String, AuditEventError> {
    parts::check_forms(record)?;
    let mut event = AuditEvent {
        id: Some(record.id.clone().into()),
        meta: Some(Box::new(meta(record))),
        extension: extensions(record),
        recorded: record.recorded.as_str().into(),
        purpose_of_event: record.purposes.iter().map(concept).collect(),
        source: source(record),
        ..AuditEvent::default()
    };
    match &record.statement {
        Statement::Access { access, patient } => describe_access(&mut event, record, access, patient.as_ref()),
        Statement::Failure { interaction, severity, description, patient, query } => {
            describe_failure(&mut event, record, interaction);
            event.outcome = Some(severity.code().into());
            event.outcome_desc = Some(description.as_str().into());
            event.entity.extend(query.as_ref().map(query_entity));
            event.entity.extend(patient.as_ref().map(patient_entity));
        }
        Statement::ConsentDecision(decision) => describe_consent_decision(&mut event, record, decision)?,
        Statement::Operation { kind, succeeded, by, details } => {
            event.outcome = Some(if *succeeded { "0" } else { "4" }.into());
            describe_operation(&mut event, record, *kind, by.as_deref(), details);
        }
    }
    fhirbolt::json::to_string(&event, None).map_err(|_| AuditEventError::Model)
}

fn describe_access(event: &mut AuditEvent, record: &AuditRecord, access: &Access, patient: Option<&ResourceRef>) {
    let rest = access.rest();
    *event.r#type = coded(v::REST);
    event.subtype = vec![coding(v::INTERACTION, rest.subtype)];
    event.action = Some(rest.action.into());
    event.outcome = Some("0".into());
    event.agent = rest_agents(record, rest.agents);
    event.entity.push(match access {
        Access::Object { what, labels, .. } => data_entity(what, labels),
        Access::Search { query, .. } => query_entity(query),
    });
    event.entity.extend(patient.map(patient_entity));
    event.entity.extend(record.request.as_deref().map(transaction_entity));
}

fn describe_failure(event: &mut AuditEvent, record: &AuditRecord, interaction: &str) {
    *event.r#type = coded(v::REST);
    if v::INTERACTIONS.contains(&interaction) {
        event.subtype = vec![coding(v::INTERACTION, interaction)];
    }
    event.action = Some(v::action(interaction).into());
    event.agent = rest_agents(record, v::ASKS);
    event.entity.extend(record.request.as_deref().map(transaction_entity));
}

/// BALP `AuthZconsent`: its entities are closed, so the request stands in the extension's event only.
fn describe_consent_decision(
    event: &mut AuditEvent,
    record: &AuditRecord,
    decision: &ConsentDecision,
) -> Result<(), AuditEventError> {
    let caller = record.caller.as_ref().ok_or(AuditEventError::NoCaller)?;
    *event.r#type = coded(v::SECURITY_ALERT);
    event.subtype = vec![coded(v::AUTHZ_CONSENT)];
    event.action = Some("E".into());
    let (outcome, description) = match decision.permitted {
        true => ("0", "permitted by Consent"),
        false => ("8", "denied by Consent"),
    };
    event.outcome = Some(outcome.into());
    event.outcome_desc = Some(description.into());
    event.agent = vec![
        AuditEventAgent { network: Some(client_network()), ..agent(v::APPLICATION, known_client(caller), false) },
        user_agent(v::INFORMATION_RECIPIENT, caller, &record.purposes),
        agent(v::PROVIDER, who::party(&decision.organization), false),
        agent(v::AUTHORIZATION_SERVER, who::gateway(&record.gateway), false),
    ];
    event.entity.push(patient_entity(&decision.patient));
    event.entity.extend(std::iter::once(&decision.first).chain(&decision.others).map(consent_entity));
    event.entity.extend(caller.token_id.as_deref().map(token_entity));
    Ok(())
}

fn describe_operation(
    event: &mut AuditEvent,
    record: &AuditRecord,
    kind: OperationKind,
    by: Option<&str>,
    details: &[(String, String)],
) {
    let (event_type, action, name) = kind.codes();
    *event.r#type = coded(event_type);
    event.subtype = vec![coding(v::EVENT_KIND, name)];
    event.action = Some(action.into());
    event.agent = vec![agent(v::APPLICATION, who::gateway(&record.gateway), by.is_none())];
    if let Some(by) = by {
        event.agent.push(agent(v::APPLICATION_LAUNCHER, who::named(by), true));
    }
    if !details.is_empty() {
        let details = details.iter().map(|(name, value)| detail(name, value)).collect();
        event.entity.push(AuditEventEntity { detail: details, ..operation_entity(name) });
    }
}

/// Client, server and, where one is known, the user.
fn rest_agents(record: &AuditRecord, [client, server, user_role]: [v::Known; 3]) -> Vec<AuditEventAgent> {
    let user = record.caller.as_ref().filter(|caller| caller.is_user());
    let client_who = record.caller.as_ref().map_or_else(|| who::named("unknown client"), known_client);
    let mut agents = vec![
        AuditEventAgent { network: Some(client_network()), ..agent(client, client_who, user.is_none()) },
        AuditEventAgent {
            network: Some(server_network(&record.gateway)),
            ..agent(server, who::gateway(&record.gateway), false)
        },
    ];
    agents.extend(user.map(|caller| user_agent(user_role, caller, &record.purposes)));
    agents
}

fn user_agent(role: v::Known, caller: &Caller, purposes: &[Code]) -> AuditEventAgent {
    AuditEventAgent {
        role: caller.roles.iter().map(concept).collect(),
        purpose_of_use: purposes.iter().map(concept).collect(),
        ..agent(role, who::identified(Some(&caller.issuer), &caller.subject), true)
    }
}

/// BALP's profile where there is one, and Sealgate's that derives from it or from AuditEvent; the id again as a tag,
/// which is what a conditional create can search for (AuditEvent has no identifier).
fn meta(record: &AuditRecord) -> types::Meta {
    let (balp, own) = record.statement.profiles();
    let balp = balp.map(|name| format!("{}{name}", v::BALP_PROFILE));
    let own = format!("{}{own}", v::OWN_PROFILE);
    types::Meta {
        profile: balp.into_iter().chain([own]).map(Into::into).collect(),
        tag: vec![coding(v::RECORD_TAG, &record.id)],
        ..types::Meta::default()
    }
}

fn source(record: &AuditRecord) -> AuditEventSource {
    let kind = match &record.statement {
        Statement::ConsentDecision(_) => v::SECURITY_SERVER,
        Statement::Access { .. } | Statement::Failure { .. } | Statement::Operation { .. } => v::APPLICATION_SERVER,
    };
    AuditEventSource {
        id: None,
        site: Some(record.gateway.site.as_str().into()),
        observer: Box::new(who::gateway(&record.gateway)),
        r#type: vec![coded(kind)],
        ..AuditEventSource::default()
    }
}

/// The system of the tag that holds the id of a record: `_tag=<system>|<id>` finds it.
pub const RECORD_TAG_SYSTEM: &str = v::RECORD_TAG;

#[cfg(test)]
mod tests;
