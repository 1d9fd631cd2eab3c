//! The parts of an AuditEvent, from plain fields.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fhirbolt::model::r4::resources::{
    AuditEventAgent, AuditEventAgentNetwork, AuditEventEntity, AuditEventEntityDetail, AuditEventEntityDetailValue,
};
use fhirbolt::model::r4::types::{CodeableConcept, Coding, Extension, ExtensionValue, Identifier, Reference};

use super::vocabulary::{self as v, Known};
use super::{
    Access, AuditEventError, AuditRecord, Caller, Code, ConsentUse, Gateway, Pointer, Query, ResourceRef, Statement,
};

/// References to who took part.
pub(super) mod who {
    use super::*;
    use crate::audit_event::Party;

    pub(in crate::audit_event) fn identified(system: Option<&str>, value: &str) -> Reference {
        Reference { identifier: Some(Box::new(identifier(system, value))), ..Reference::default() }
    }

    pub(in crate::audit_event) fn named(name: &str) -> Reference {
        Reference { display: Some(name.into()), ..Reference::default() }
    }

    pub(in crate::audit_event) fn gateway(gateway: &Gateway) -> Reference {
        Reference { display: Some("Sealgate".into()), ..identified(Some(v::URI_SYSTEM), &gateway.base) }
    }

    /// A literal reference to an organisation stands as a display: only its own server could resolve it.
    pub(in crate::audit_event) fn party(party: &Party) -> Reference {
        match party {
            Party::Reference(reference) => Reference { r#type: Some("Organization".into()), ..named(reference) },
            Party::Identifier { system, value } => identified(system.as_deref(), value),
        }
    }
}

pub(super) fn coding(system: &str, code: &str) -> Coding {
    Coding { system: Some(system.into()), code: Some(code.into()), ..Coding::default() }
}

pub(super) fn coded((system, code, display): Known) -> Coding {
    Coding { display: Some(display.into()), ..coding(system, code) }
}

/// A code without a system is a text: a Coding without one says nothing.
pub(super) fn concept(code: &Code) -> CodeableConcept {
    match &code.system {
        Some(system) => CodeableConcept { coding: vec![coding(system, &code.code)], ..CodeableConcept::default() },
        None => CodeableConcept { text: Some(code.code.as_str().into()), ..CodeableConcept::default() },
    }
}

pub(super) fn agent(role: Known, who: Reference, requestor: bool) -> AuditEventAgent {
    AuditEventAgent {
        r#type: Some(Box::new(CodeableConcept { coding: vec![coded(role)], ..CodeableConcept::default() })),
        who: Some(Box::new(who)),
        requestor: requestor.into(),
        ..AuditEventAgent::default()
    }
}

pub(super) fn known_client(caller: &Caller) -> Reference {
    match &caller.client {
        Some(client) => who::identified(Some(&caller.issuer), client),
        None => who::named("unknown client"),
    }
}

/// The client's address is no part of an access event, so it is said to be unknown (BALP wants the element).
pub(super) fn client_network() -> AuditEventAgentNetwork {
    let unknown = extension(v::ABSENT_REASON, ExtensionValue::Code("unknown".into()));
    AuditEventAgentNetwork { extension: vec![unknown], ..AuditEventAgentNetwork::default() }
}

pub(super) fn server_network(gateway: &Gateway) -> AuditEventAgentNetwork {
    AuditEventAgentNetwork {
        address: Some(gateway.base.as_str().into()),
        r#type: Some("5".into()),
        ..AuditEventAgentNetwork::default()
    }
}

pub(super) fn data_entity(what: &ResourceRef, labels: &[Code]) -> AuditEventEntity {
    AuditEventEntity {
        what: Some(Box::new(reference(what))),
        security_label: labels.iter().map(label).collect(),
        ..entity(v::SYSTEM_OBJECT, Some(v::DOMAIN_RESOURCE))
    }
}

pub(super) fn query_entity(query: &Query) -> AuditEventEntity {
    AuditEventEntity {
        query: Some(query.base64.as_str().into()),
        description: Some(query.description.as_str().into()),
        ..entity(v::SYSTEM_OBJECT, Some(v::QUERY_ROLE))
    }
}

pub(super) fn patient_entity(patient: &ResourceRef) -> AuditEventEntity {
    AuditEventEntity { what: Some(Box::new(reference(patient))), ..entity(v::PERSON, Some(v::PATIENT_ROLE)) }
}

pub(super) fn transaction_entity(request: &str) -> AuditEventEntity {
    AuditEventEntity { what: Some(Box::new(who::identified(None, request))), ..entity(v::XREQUEST_ID, None) }
}

pub(super) fn consent_entity(used: &ConsentUse) -> AuditEventEntity {
    let provision = Some(used.provision.as_str()).filter(|path| !path.is_empty());
    AuditEventEntity {
        what: Some(Box::new(reference(&used.consent))),
        description: provision.map(Into::into),
        ..entity(v::CONSENT_TYPE, None)
    }
}

pub(super) fn token_entity(token_id: &str) -> AuditEventEntity {
    let value = format!("{}{token_id}", v::TOKEN_PREFIX);
    AuditEventEntity { what: Some(Box::new(who::identified(None, &value))), ..entity(v::OAUTH_TOKEN, None) }
}

pub(super) fn operation_entity(name: &str) -> AuditEventEntity {
    AuditEventEntity { name: Some(name.into()), ..entity(v::SYSTEM_OBJECT, Some(v::SECURITY_RESOURCE)) }
}

pub(super) fn detail(name: &str, value: &str) -> AuditEventEntityDetail {
    AuditEventEntityDetail {
        r#type: name.into(),
        value: AuditEventEntityDetailValue::String(value.into()),
        ..AuditEventEntityDetail::default()
    }
}

/// The tie to the sealed record, and the rules that decided.
pub(super) fn extensions(record: &AuditRecord) -> Vec<Extension> {
    let uuid = format!("urn:uuid:{}", record.event.id);
    let link = Extension {
        url: v::ACCESS_EVENT.to_owned(),
        extension: vec![
            extension("event", ExtensionValue::Uri(uuid.into())),
            extension("commitment", ExtensionValue::String(record.event.commitment.as_str().into())),
            extension("log", ExtensionValue::String(record.event.log_origin.as_str().into())),
        ],
        ..Extension::default()
    };
    let rules = record.rules.iter();
    let rules = rules.map(|rule| extension(v::RULE, ExtensionValue::Coding(Box::new(coding(v::REFUSAL, rule)))));
    std::iter::once(link).chain(rules).collect()
}

fn entity(kind: Known, role: Option<Known>) -> AuditEventEntity {
    AuditEventEntity {
        r#type: Some(Box::new(coded(kind))),
        role: role.map(|role| Box::new(coded(role))),
        ..AuditEventEntity::default()
    }
}

fn label(code: &Code) -> Coding {
    Coding {
        system: code.system.as_deref().map(Into::into),
        code: Some(code.code.as_str().into()),
        ..Coding::default()
    }
}

fn reference(resource: &ResourceRef) -> Reference {
    let mut reference = Reference { r#type: Some(resource.resource_type.as_str().into()), ..Reference::default() };
    match &resource.pointer {
        Some(Pointer::Literal(literal)) => reference.reference = Some(literal.as_str().into()),
        Some(Pointer::Logical(url)) => {
            reference.identifier = Some(Box::new(identifier(Some(v::URI_SYSTEM), url)));
        }
        None => {}
    }
    reference
}

fn identifier(system: Option<&str>, value: &str) -> Identifier {
    Identifier { system: system.map(Into::into), value: Some(value.into()), ..Identifier::default() }
}

fn extension(url: &str, value: ExtensionValue) -> Extension {
    Extension { url: url.to_owned(), value: Some(value), ..Extension::default() }
}

/// What fhirbolt does not look at: the lexical forms of primitives (FHIR R4, Data Types, "Primitive Types").
pub(super) fn check_forms(record: &AuditRecord) -> Result<(), AuditEventError> {
    let form = |holds: bool, element| if holds { Ok(()) } else { Err(AuditEventError::Form(element)) };
    form(is_id(&record.id), "AuditEvent.id")?;
    form(is_instant(&record.recorded), "AuditEvent.recorded")?;
    form(record.rules.iter().all(|rule| is_code(rule)), "sealgate-rule")?;
    form(record.purposes.iter().all(|purpose| is_code(&purpose.code)), "AuditEvent.purposeOfEvent")?;
    let query = match &record.statement {
        Statement::Access { access: Access::Search { query, .. }, .. } => Some(query),
        Statement::Access { access: Access::Object { labels, .. }, .. } => {
            form(labels.iter().all(|label| is_code(&label.code)), "AuditEvent.entity.securityLabel")?;
            None
        }
        Statement::Failure { query, description, .. } => {
            form(is_string(description), "AuditEvent.outcomeDesc")?;
            query.as_ref()
        }
        Statement::ConsentDecision(_) => None,
        Statement::Operation { details, .. } => {
            let stated = details.iter().all(|(name, value)| is_string(name) && is_string(value));
            form(stated, "AuditEvent.entity.detail")?;
            None
        }
    };
    let base64 = query.is_none_or(|query| !query.base64.is_empty() && BASE64.decode(&query.base64).is_ok());
    form(base64, "AuditEvent.entity.query")?;
    let parties = [Some(&record.gateway.base), Some(&record.gateway.site), record.request.as_ref()];
    form(parties.into_iter().flatten().all(|text| is_string(text)), "AuditEvent.source")?;
    let Some(caller) = &record.caller else { return Ok(()) };
    let claims = [Some(&caller.subject), Some(&caller.issuer), caller.client.as_ref(), caller.token_id.as_ref()];
    form(claims.into_iter().flatten().all(|text| is_string(text)), "AuditEvent.agent.who")?;
    form(caller.roles.iter().all(|role| is_string(&role.code)), "AuditEvent.agent.role")
}

fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// `YYYY-MM-DDThh:mm:ss[.sss]Z`: what access events hold.
fn is_instant(text: &str) -> bool {
    let shape = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        19 => byte == b'.' || byte == b'Z',
        _ => byte.is_ascii_digit() || byte == b'Z',
    };
    (20..=30).contains(&text.len())
        && text.bytes().enumerate().all(shape)
        && text.strip_suffix('Z').is_some_and(|rest| !rest.contains('Z') && !rest.ends_with('.'))
}

/// No white space at either end, none but single spaces within.
fn is_code(text: &str) -> bool {
    !text.is_empty() && text.split(' ').all(|word| !word.is_empty() && !word.contains(char::is_whitespace))
}

fn is_string(text: &str) -> bool {
    !text.trim().is_empty() && !text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
}
