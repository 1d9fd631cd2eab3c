//! Verified claims and the operator's table → the caller.
//!
//! A claim that is there but cannot be read refuses the token: to skip it could widen what the token allows.

use gateway_core::caller::{ActorRef, Caller};
use gateway_core::coding::Coding;
use gateway_core::owner::PatientId;
use gateway_core::scope::Scopes;
use serde_json::Value;

use super::error::{AuthError, TokenFault};
use super::token::Claims;
use crate::config::{ClaimPath, ClientConfig, IssuerConfig, PURPOSE_SYSTEM};

/// The system of an identifier that is itself a URI (FHIR R4, Identifier: `urn:ietf:rfc:3986`).
const URI_SYSTEM: &str = "urn:ietf:rfc:3986";

/// Builds the caller out of claims that a key of `issuer` has signed.
pub(super) fn caller(claims: &Claims, issuer: &IssuerConfig, table: &[ClientConfig]) -> Result<Caller, AuthError> {
    refuse_residual(claims)?;
    if claims.contains_key("cnf") {
        return Err(TokenFault::Bound.into());
    }
    let subject = match claims.get("sub").and_then(Value::as_str) {
        Some(subject) if !subject.is_empty() => subject.to_owned(),
        _ => return Err(TokenFault::Claim("sub").into()),
    };
    let places = &issuer.claims;
    let client = text(claims, &places.client, "client")?;
    let mut roles = roles(find(claims, &places.roles))?;
    let mut purposes = purposes(find(claims, &places.purpose))?;
    let mut organization = organization(find(claims, &places.organization))?;

    let rows = rows(table, &issuer.issuer, client.as_deref(), &roles);
    if purposes.is_empty() {
        purposes = distinct(rows.iter().flat_map(|row| row.purposes.iter().cloned()).collect());
    }
    if organization.is_none() {
        organization = sole(rows.iter().filter_map(|row| row.organization.as_ref()));
    }
    if roles.is_empty() {
        roles = rows.iter().flat_map(|row| row.roles.iter().cloned()).collect();
        roles.sort();
        roles.dedup();
    }
    Ok(Caller {
        issuer: issuer.issuer.clone(),
        // The subject is an identity too: a Consent may name it by issuer and subject.
        actors: vec![ActorRef::identifier(issuer.issuer.as_str(), subject.as_str())],
        subject,
        client,
        token_id: text_of(claims.get("jti"), "jti")?,
        organization,
        roles,
        purposes,
        fhir_user: text(claims, &places.fhir_user, "fhirUser")?.map(ActorRef::reference),
        launch_patient: launch_patient(claims, issuer)?,
        scopes: Scopes::parse(&scope(find(claims, &places.scope))?),
        ..Caller::default()
    })
}

/// The caller with no more purposes than `header` names: `TREAT`, `system|code`, several by comma.
///
/// INVARIANT: the result's purposes are a subset of the caller's, so a header never adds one (ARCHITECTURE.md, 4).
pub(super) fn narrow(mut caller: Caller, header: &str) -> Result<Caller, AuthError> {
    let mut kept = Vec::new();
    for name in header.split(',').map(str::trim) {
        let (system, code) = name.split_once('|').unwrap_or((PURPOSE_SYSTEM, name));
        match caller.purposes.iter().find(|own| own.system.as_deref() == Some(system) && own.code == code) {
            Some(own) if !kept.contains(own) => kept.push(own.clone()),
            Some(_) => {}
            None => return Err(AuthError::Widened),
        }
    }
    caller.purposes = kept;
    Ok(caller)
}

/// IHE PCF: an enforcement point that does not understand a residual rule must treat it as a denial. None is
/// understood yet, so any but an empty list refuses the token.
fn refuse_residual(claims: &Claims) -> Result<(), AuthError> {
    let Some(extension) = claims.get("extensions").and_then(|extensions| extensions.get("ihe_pcf")) else {
        return Ok(());
    };
    match extension.get("residual") {
        None => Ok(()),
        Some(Value::Array(rules)) if rules.is_empty() => Ok(()),
        Some(_) => Err(AuthError::Residual),
    }
}

/// The rows for this issuer and client: those for a role that the token itself carries, else those for no role.
fn rows<'t>(table: &'t [ClientConfig], issuer: &str, client: Option<&str>, roles: &[String]) -> Vec<&'t ClientConfig> {
    let own = || table.iter().filter(|row| row.issuer == issuer && Some(row.client.as_str()) == client);
    let by_role: Vec<_> = own().filter(|row| row.role.as_ref().is_some_and(|role| roles.contains(role))).collect();
    if by_role.is_empty() { own().filter(|row| row.role.is_none()).collect() } else { by_role }
}

/// The one value, where all agree; rows that disagree leave it unknown.
fn sole<'t>(mut values: impl Iterator<Item = &'t ActorRef>) -> Option<ActorRef> {
    let first = values.next()?;
    values.all(|other| other == first).then(|| first.clone())
}

fn launch_patient(claims: &Claims, issuer: &IssuerConfig) -> Result<Option<PatientId>, AuthError> {
    match text(claims, &issuer.claims.patient, "patient")? {
        None => Ok(None),
        Some(text) => PatientId::parse(&text).map(Some).map_err(|_| TokenFault::Claim("patient").into()),
    }
}

/// The first place that the token has; null counts as absent.
fn find<'c>(claims: &'c Claims, places: &[ClaimPath]) -> Option<&'c Value> {
    places.iter().find_map(|path| {
        let (first, rest) = path.names().split_first()?;
        let found = rest.iter().try_fold(claims.get(first)?, |place, name| place.get(name))?;
        (!found.is_null()).then_some(found)
    })
}

fn text(claims: &Claims, places: &[ClaimPath], name: &'static str) -> Result<Option<String>, AuthError> {
    text_of(find(claims, places), name)
}

fn text_of(value: Option<&Value>, name: &'static str) -> Result<Option<String>, AuthError> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(_) => Err(TokenFault::Claim(name).into()),
    }
}

/// `scope` is one string with spaces (RFC 8693, 4.2); some issuers send a list.
fn scope(value: Option<&Value>) -> Result<String, AuthError> {
    let fault = || AuthError::from(TokenFault::Claim("scope"));
    match value {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(items)) => {
            let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            Ok(texts.ok_or_else(fault)?.join(" "))
        }
        Some(_) => Err(fault()),
    }
}

fn purposes(value: Option<&Value>) -> Result<Vec<Coding>, AuthError> {
    let read = |item: &Value| match item.as_str() {
        Some(text) => {
            let (system, code) = text.split_once('|').unwrap_or((PURPOSE_SYSTEM, text));
            (!code.is_empty()).then(|| vec![Coding::new(system, code)])
        }
        None => codings_of(item),
    };
    let codings: Option<Vec<_>> = items(value).iter().map(read).collect();
    Ok(distinct(codings.ok_or(TokenFault::Claim("purpose"))?.into_iter().flatten().collect()))
}

fn roles(value: Option<&Value>) -> Result<Vec<String>, AuthError> {
    let read = |item: &Value| match item.as_str() {
        Some(text) => (!text.is_empty()).then(|| vec![text.to_owned()]),
        None => Some(codings_of(item)?.iter().map(ToString::to_string).collect()),
    };
    let roles: Option<Vec<_>> = items(value).iter().map(read).collect();
    Ok(distinct(roles.ok_or(TokenFault::Claim("roles"))?.into_iter().flatten().collect()))
}

fn distinct<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list.dedup();
    list
}

/// `Organization/x` or an absolute URL of one, `system|value`, or a URI, which IHE IUA sends; an identifier or a
/// reference as FHIR writes it.
fn organization(value: Option<&Value>) -> Result<Option<ActorRef>, AuthError> {
    let fault = || AuthError::from(TokenFault::Claim("organization"));
    let member = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    match value {
        None => Ok(None),
        Some(Value::String(text)) if text.contains('|') || text.contains("Organization/") => {
            text.parse().map(Some).map_err(|_| fault())
        }
        Some(Value::String(text)) if text.contains(':') => Ok(Some(ActorRef::identifier(URI_SYSTEM, text.as_str()))),
        Some(value) => match (member(value, "reference"), member(value, "value")) {
            (Some(reference), None) => Ok(Some(ActorRef::reference(reference))),
            (None, Some(number)) => Ok(Some(ActorRef::Identifier { system: member(value, "system"), value: number })),
            _ => Err(fault()),
        },
    }
}

fn items(value: Option<&Value>) -> &[Value] {
    match value {
        None => &[],
        Some(Value::Array(items)) => items,
        Some(one) => std::slice::from_ref(one),
    }
}

/// A Coding, or the codings of a CodeableConcept.
fn codings_of(value: &Value) -> Option<Vec<Coding>> {
    if let Some(Value::Array(list)) = value.get("coding") {
        return list.iter().map(coding).collect();
    }
    coding(value).map(|coding| vec![coding])
}

fn coding(value: &Value) -> Option<Coding> {
    let code = value.get("code")?.as_str().filter(|code| !code.is_empty())?;
    match value.get("system") {
        None => Some(Coding::bare(code)),
        Some(system) => Some(Coding::new(system.as_str()?, code)),
    }
}
