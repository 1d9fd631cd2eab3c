//! What a client was told, checked against the gateway's own record of it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use crate::demo::cast::Role;
use crate::demo::settings;
use crate::harness::fhir::{Answer, Fhir, client};
use crate::harness::gateway::{Gateway, GatewayOptions};
use crate::harness::stack::Stack;
use crate::harness::written;
use crate::suite::Skip;

/// A resource that the demo's doctor may read.
pub(super) const OPEN: &str = "Observation/alder-bp";

/// A refusal as a row of a table: what is tried, and what must be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) rule: &'static str,
}

/// A row of an expectation.
pub(super) const fn refusal(status: u16, rule: &'static str) -> Refusal {
    Refusal { status, rule }
}

/// Whether the gateway knew who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// The request has an event of its own.
    Known,
    /// It is counted only.
    Unknown,
}

/// The rule's name in an OperationOutcome.
pub(super) fn rule(answer: &Answer) -> Result<String> {
    let outcome = answer.json()?;
    ensure!(outcome.get("resourceType").and_then(Value::as_str) == Some("OperationOutcome"), "no OperationOutcome");
    let sentence = outcome.pointer("/issue/0/details/text").and_then(Value::as_str).unwrap_or_default();
    ensure!(!sentence.is_empty(), "no sentence for the client");
    ensure!(outcome.pointer("/issue/0/diagnostics").is_none(), "diagnostics for the client");
    let rule = outcome.pointer("/issue/0/details/coding/0/code").and_then(Value::as_str);
    rule.map(str::to_owned).context("an OperationOutcome without the rule's name")
}

/// The id of the request, which every answer carries.
pub(super) fn request_id(answer: &Answer) -> Result<Uuid> {
    answer.header("x-request-id").context("an answer without X-Request-Id")?.parse().context("the request id")
}

/// Checks a refusal whole: status, outcome, request id, and the request's event where the caller is known.
pub(super) async fn refused(gateway: &Gateway, answer: &Answer, expected: Refusal, caller: Caller) -> Result<Uuid> {
    let shown: String = String::from_utf8_lossy(&answer.body).chars().take(300).collect();
    let id = request_id(answer).with_context(|| format!("answered {}: {shown}", answer.status))?;
    ensure!(answer.status.as_u16() == expected.status, "expected {expected:?}, answered {}: {shown}", answer.status);
    let told = rule(answer)?;
    ensure!(told == expected.rule, "expected {expected:?}, told {told}");
    ensure!(answer.header("cache-control") == Some("no-store"), "a refusal that may be cached");
    match (caller, openings(gateway, id).await?) {
        (Caller::Unknown, None) => {}
        (Caller::Unknown, Some(_)) => bail!("a request without a caller has an event of its own"),
        (Caller::Known, None) => bail!("the request {id} has no event"),
        (Caller::Known, Some(events)) => {
            let request = of_kind(&events, "request").next().context("no request event")?;
            ensure!(request.get("id").and_then(Value::as_str) == Some(&id.to_string()), "another request's event");
            let status = request.get("status").and_then(Value::as_u64);
            ensure!(status == Some(u64::from(expected.status)), "the event says status {status:?}");
            let reasons = request.get("reasons").and_then(Value::as_array);
            let named = reasons.is_some_and(|reasons| {
                reasons.iter().any(|reason| reason.get("rule").and_then(Value::as_str) == Some(expected.rule))
            });
            ensure!(named || expected.status == 404, "the event does not name {}: {request}", expected.rule);
            ensure!(of_kind(&events, "disclosure").next().is_none(), "a refusal with a disclosure");
        }
    }
    Ok(id)
}

/// The events of a request, of the journal's own openings; nothing for a request without events.
pub(super) async fn openings(gateway: &Gateway, request: Uuid) -> Result<Option<Vec<Value>>> {
    Ok(placed(gateway, request).await?.map(|openings| {
        openings.into_iter().filter_map(|mut opening| opening.get_mut("event").map(Value::take)).collect()
    }))
}

/// The openings of a request with their places.
pub(super) async fn placed(gateway: &Gateway, request: Uuid) -> Result<Option<Vec<Value>>> {
    let address = format!("{}/v1/openings/{request}", gateway.admin);
    let answer = client()?.get(address).bearer_auth(&gateway.admin_token).send().await?;
    match answer.status() {
        StatusCode::NOT_FOUND => Ok(None),
        StatusCode::OK => {
            let mut body: Value = answer.json().await?;
            let openings = body.get_mut("openings").map(Value::take);
            openings.and_then(|openings| openings.as_array().cloned()).context("no list of openings").map(Some)
        }
        status => bail!("the openings of {request} answer {status}"),
    }
}

/// The events of this kind.
pub(super) fn of_kind<'a>(events: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    events.iter().filter(move |event| event.get("kind").and_then(Value::as_str) == Some(kind))
}

/// How a request ended, by its outcome event.
pub(super) fn end(events: &[Value]) -> Option<&str> {
    of_kind(events, "outcome").next()?.get("end")?.as_str()
}

/// The shared gateway, called as this person.
pub(super) fn as_role(stack: &Stack, role: Role) -> Result<Fhir> {
    stack.gateway()?.fhir(stack.issuer.token(&role.claims())?)
}

/// What a second gateway is to be: the demo's policy, these peers, and `more` over it.
pub(super) fn second(stack: &Stack, name: &str, upstream: &str, more: &Value) -> Result<GatewayOptions> {
    let mut settings = settings::gateway()?;
    for (key, value) in written::table(more)? {
        settings.insert(key, value);
    }
    let sidecar = stack.sidecar()?;
    Ok(GatewayOptions {
        name: format!("e2e-{name}"),
        folder: stack.folder.join(name),
        port: None,
        upstream: upstream.to_owned(),
        issuer: stack.issuer.url.clone(),
        audience: stack.issuer.audience.clone(),
        sidecar_socket: sidecar.socket.clone(),
        log_key: sidecar.log_key.clone(),
        more: settings,
    })
}

/// The doctor reads what is open, and gets it.
pub(super) async fn serves(doctor: &Fhir) -> Result<Uuid> {
    let answer = doctor.get(OPEN).await?.success()?;
    ensure!(answer.json()?.get("id").and_then(Value::as_str) == Some("alder-bp"), "another resource");
    request_id(&answer)
}

/// Tries until it holds, at most so long.
pub(super) async fn until<T>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begin = Instant::now();
    loop {
        match probe().await {
            Ok(Some(value)) => return Ok(value),
            Err(error) if begin.elapsed() > limit => return Err(error.context(format!("{what}: not in time"))),
            Ok(None) if begin.elapsed() > limit => bail!("{what}: not after {} s", limit.as_secs()),
            Ok(None) | Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// What the readiness probe of a gateway answers, with its list.
pub(super) async fn readiness(gateway: &Gateway) -> Result<(StatusCode, String)> {
    let answer = client()?.get(format!("{}/readyz?verbose", gateway.admin)).send().await?;
    let status = answer.status();
    Ok((status, answer.text().await?))
}

/// None of these values stands in the text.
pub(super) fn silent(what: &str, text: &str, values: &[&str]) -> Result<()> {
    for value in values {
        let at = text.lines().find(|line| line.contains(value));
        ensure!(at.is_none(), "{what} holds `{value}`: {}", at.unwrap_or_default());
    }
    Ok(())
}

/// What the server holds under this address: status and body, for "nothing was written".
pub(super) async fn held(direct: &Fhir, address: &str) -> Result<(StatusCode, Vec<u8>)> {
    let answer = direct.get(address).await?;
    let found = answer.status.is_success();
    Ok((answer.status, if found { answer.body.to_vec() } else { Vec::new() }))
}

/// A request with these headers beside the usual ones.
pub(super) async fn with_headers(
    caller: &Fhir,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<Answer> {
    let mut request = caller.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Fhir::send(request).await
}

/// Skips the test where the FHIR server itself takes no AuditEvent under an id that the client chose: there the feed has nowhere to write once.
pub(super) async fn audit_events_are_taken(direct: &Fhir) -> Result<()> {
    let event = serde_json::json!({"resourceType": "AuditEvent", "id": "told-audit", "recorded": "2026-01-01T00:00:00Z",
        "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
        "agent": [{"requestor": true, "who": {"display": "x"}}], "source": {"observer": {"display": "x"}}});
    let answer = direct.write(Method::PUT, "AuditEvent/told-audit", &event).await?;
    match answer.status.as_u16() {
        200 | 201 => Fhir::send(direct.request(Method::DELETE, "AuditEvent/told-audit")).await.map(drop),
        404 | 405 | 501 => {
            Err(Skip(format!("the FHIR server takes no AuditEvent under a chosen id: {}", answer.status)).into())
        }
        _ => answer.success().map(drop),
    }
}
