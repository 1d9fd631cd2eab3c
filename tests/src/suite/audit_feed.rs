//! The gateway's AuditEvents in a FHIR server: each once, found by the parameters of ITI-81, tied to the log, behind the same enforcement.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use evidence::commitment::commit;
use evidence::event::AccessEvent;
use evidence::ids::{Commitment, Salt, TenantId};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::forwarder::Forwarder;
use super::told::{self, OPEN, of_kind, request_id, until};
use crate::demo::cast::Role;
use crate::harness::fhir::{Fhir, client};
use crate::harness::gateway::Gateway;
use crate::harness::say;
use crate::harness::stack::Stack;

const TAGS: &str = "https://sealgate.dev/fhir/sid/audit-record";
const ACCESS_EVENT: &str = "https://sealgate.dev/fhir/StructureDefinition/sealgate-access-event";
const SEARCH: &str = "Condition?patient=Patient/alder";

/// Accesses of every kind, by what they are; each with the id of its request.
async fn accesses(stack: &Stack, gateway: &Gateway) -> Result<BTreeMap<&'static str, Uuid>> {
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let researcher = gateway.fhir(stack.issuer.token(&Role::Researcher.claims())?)?;
    let good = stack.direct()?.read(OPEN).await?;
    let answers = [
        ("read", doctor.get(OPEN).await?, StatusCode::OK),
        ("search", doctor.get(SEARCH).await?, StatusCode::OK),
        ("redacted entries", doctor.get("Condition?patient=Patient/birch").await?, StatusCode::OK),
        ("redacted elements", researcher.get("Patient/dogwood").await?, StatusCode::OK),
        ("hidden", doctor.get("Patient/cedar").await?, StatusCode::NOT_FOUND),
        ("refused", researcher.write(Method::PUT, OPEN, &good).await?, StatusCode::FORBIDDEN),
        ("write", doctor.write(Method::PUT, OPEN, &good).await?, StatusCode::OK),
        ("universal", doctor.get("Organization/northfield").await?, StatusCode::OK),
    ];
    let mut ids = BTreeMap::new();
    for (what, answer, status) in answers {
        let shown = String::from_utf8_lossy(&answer.body).into_owned();
        ensure!(answer.status == status, "{what}: answered {}: {shown}", answer.status);
        ids.insert(what, request_id(&answer)?);
    }
    Ok(ids)
}

/// The openings that have an AuditEvent of their own, by its id. Left out are what an `outcome` tells instead (requests that are opened or
/// intended) and universal resources of a search.
async fn told_of(gateway: &Gateway, request: Uuid) -> Result<BTreeMap<String, Value>> {
    let openings = told::placed(gateway, request).await?.context("a request without events")?;
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut told = BTreeMap::new();
    for opening in openings {
        let event = opening.get("event").context("an opening without its event")?;
        if !(text(event, "kind") == "request" && text(event, "phase") != "whole") {
            told.insert(text(event, "id"), opening);
        }
    }
    Ok(told)
}

/// A number of the gateway's page of metrics.
async fn measured(gateway: &Gateway, name: &str) -> Result<f64> {
    let page = client()?.get(format!("{}/metrics", gateway.admin)).send().await?.error_for_status()?.text().await?;
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .with_context(|| format!("no {name}"))?;
    Ok(line.parse()?)
}

async fn caught_up(gateway: &Gateway) -> Result<()> {
    until("the feed has caught up", Duration::from_secs(240), async || {
        let behind = measured(gateway, "sealgate_audit_event_feed_behind_events").await?;
        Ok((behind == 0.0).then_some(()))
    })
    .await
}

/// The AuditEvent of this opening is there exactly once, in one version, and says what the journal and the log hold.
async fn is_there_once(server: &Fhir, stack: &Stack, id: &str, opening: &Value) -> Result<Value> {
    let found = server.search(&format!("AuditEvent?_tag={TAGS}%7C{id}")).await?;
    ensure!(found.len() == 1, "{} AuditEvents for the event {id}", found.len());
    let stored = found.first().and_then(|entry| entry.get("resource")).context("no resource")?.clone();
    let version = stored.pointer("/meta/versionId").and_then(Value::as_str);
    ensure!(version == Some("1"), "the event {id} was written again: version {version:?}");
    let link = stored.get("extension").and_then(Value::as_array).and_then(|all| {
        all.iter().find(|extension| extension.get("url").and_then(Value::as_str) == Some(ACCESS_EVENT))
    });
    let parts = link.and_then(|link| link.get("extension")).and_then(Value::as_array).context("no link to the log")?;
    let part = |name: &str, value: &str| -> Option<&str> {
        parts.iter().find(|part| part.get("url").and_then(Value::as_str) == Some(name))?.get(value)?.as_str()
    };
    ensure!(part("event", "valueUri") == Some(&format!("urn:uuid:{id}")), "another event: {stored}");
    let commitment = commitment(opening)?.to_string();
    ensure!(part("commitment", "valueString") == Some(&commitment), "another commitment: {stored}");
    ensure!(part("log", "valueString") == Some(&stack.sidecar()?.origin), "another log: {stored}");
    Ok(stored)
}

/// The commitment to an opened event, recomputed.
fn commitment(opening: &Value) -> Result<Commitment> {
    let event: AccessEvent = serde_json::from_value(opening.get("event").context("no event")?.clone())?;
    let salt: Salt = serde_json::from_value(opening.get("salt").context("no salt")?.clone())?;
    Ok(commit(&TenantId::new("demo")?, &salt, &event.canonical_bytes()?))
}

/// `$validate` of the server finds no error in it; false where the server has no such operation.
async fn validates(server: &Fhir, event: &Value) -> Result<bool> {
    let answer = server.write(Method::POST, "AuditEvent/$validate", event).await?;
    if [404, 405, 501].contains(&answer.status.as_u16()) {
        return Ok(false);
    }
    let outcome = answer.json()?;
    let issues = outcome.get("issue").and_then(Value::as_array).context("no issues")?;
    // The server has neither BALP's nor our own definitions: that it does not know them is not the resource's fault.
    let bad = issues.iter().find(|issue| {
        let code = issue.pointer("/details/coding/0/code").and_then(Value::as_str).unwrap_or_default();
        let severity = issue.get("severity").and_then(Value::as_str);
        matches!(severity, Some("error" | "fatal"))
            && !code.to_lowercase().starts_with("validation_val_profile_unknown")
    });
    ensure!(bad.is_none(), "the server finds {bad:?} in {event}");
    Ok(true)
}

/// Reads, searches, refusals, redactions and writes arrive once each, are valid and found; nothing arrives for the feed's own doing.
pub(super) async fn every_access_arrives_once(stack: &mut Stack) -> Result<()> {
    told::audit_events_are_taken(&stack.direct()?).await?;
    let feeds = json!({"audit_event": {"mode": "fhir"}});
    let mut gateway = Gateway::start(told::second(stack, "audit-feed", stack.upstream.base(), &feeds)?).await?;
    let begin = stack.direct()?.get("metadata").await?;
    let begin = begin.header("date").context("a server without a clock")?.to_owned();
    let server = stack.direct()?;
    let requests = accesses(stack, &gateway).await?;
    caught_up(&gateway).await?;
    let delivered = measured(&gateway, "sealgate_audit_event_feed_delivered").await?;

    let mut validated = 0;
    let mut seen: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (what, request) in &requests {
        let told = told_of(&gateway, *request).await?;
        ensure!(!told.is_empty(), "{what}: nothing is told of it");
        for (id, opening) in &told {
            let stored = is_there_once(&server, stack, id, opening).await.with_context(|| (*what).to_owned())?;
            validated += usize::from(validates(&server, &stored).await.with_context(|| (*what).to_owned())?);
            seen.entry(what).or_default().push(stored);
        }
    }
    if validated == 0 {
        crate::harness::say::loud("the FHIR server has no $validate: the AuditEvents were stored and read back only");
    }
    let outcomes = |what: &str| -> Vec<&str> {
        let all = seen.get(what).map(Vec::as_slice).unwrap_or_default();
        all.iter().filter_map(|event| event.get("outcome").and_then(Value::as_str)).collect()
    };
    for (what, told, expected) in [
        ("read", "0", true),
        ("search", "0", true),
        ("redacted elements", "0", true),
        ("write", "0", true),
        ("redacted entries", "8", true),
        ("hidden", "8", true),
        ("refused", "4", true),
        ("refused", "0", false),
        ("hidden", "0", false),
    ] {
        let outcomes = outcomes(what);
        ensure!(outcomes.contains(&told) == expected, "{what}: outcomes {outcomes:?}");
    }

    found_by_iti_81(&server, stack, &gateway, &requests, &begin).await?;

    // The openings were looked at, which is an event each; the feed's own doing and an idle time make none.
    caught_up(&gateway).await?;
    let settled = measured(&gateway, "sealgate_audit_event_feed_delivered").await?;
    let looks = requests.len() as f64;
    ensure!(settled <= delivered + 2.0 * looks + 1.0, "{settled} AuditEvents after {delivered} and {looks} looks");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let now = measured(&gateway, "sealgate_audit_event_feed_delivered").await?;
    ensure!(now <= settled + 1.0, "AuditEvents make AuditEvents: {settled}, then {now}");
    ensure!(measured(&gateway, "sealgate_audit_event_feed_set_aside").await? == 0.0, "some have no AuditEvent");
    gateway.stop().await
}

/// Patient, date, agent, entity, outcome: the parameters of Retrieve ATNA Audit Event that R4 has.
async fn found_by_iti_81(
    server: &Fhir,
    stack: &Stack,
    gateway: &Gateway,
    requests: &BTreeMap<&'static str, Uuid>,
    begin: &str,
) -> Result<()> {
    let read = *requests.get("read").context("no read")?;
    let told = told_of(gateway, read).await?;
    let events: Vec<Value> = told.values().filter_map(|opening| opening.get("event").cloned()).collect();
    let disclosed = of_kind(&events, "disclosure").next().context("no disclosure")?;
    let id = disclosed.get("id").and_then(Value::as_str).context("no id")?;
    let at = disclosed.get("at").and_then(Value::as_str).context("no time")?;
    let day = at.get(..10).context("a date")?;
    ensure!(!begin.is_empty(), "no date");
    let agent = format!("agent:identifier={}%7Cokafor", stack.issuer.url);
    let by_patient = match stack.upstream {
        crate::harness::stack::Upstream::Hapi(_) => "patient=Patient/alder",
        crate::harness::stack::Upstream::Hfs(_) | crate::harness::stack::Upstream::At(_) => "entity=Patient/alder",
    };
    let finds = async |query: &str| -> Result<bool> {
        let entries =
            server.search(&format!("AuditEvent?{query}&_count=200")).await.with_context(|| query.to_owned())?;
        Ok(entries.iter().any(|entry| entry.pointer("/resource/id").and_then(Value::as_str) == Some(id)))
    };
    // `:identifier` is optional for a server (FHIR search, 3.1.1.4.12); what has it is asked by agent and by request too.
    let by_identifier = server.get(&format!("AuditEvent?{agent}")).await?.status.is_success();
    if !by_identifier {
        say::loud("NOT COMPARED: AuditEvents by agent and by request, because the FHIR server knows no `:identifier`");
    }
    for query in [
        format!("{by_patient}&date=ge{day}"),
        format!("{by_patient}&date={at}"),
        format!("date=ge{day}&entity=Patient/alder&outcome=0"),
        format!("date=ge{day}&{by_patient}&type=rest&subtype=read"),
        format!("date=ge{day}&_tag={TAGS}%7C{id}"),
        format!("date=ge{day}&{agent}&_tag={TAGS}%7C{id}"),
        format!("date=ge{day}&entity:identifier=%7C{read}"),
    ]
    .into_iter()
    .filter(|query| by_identifier || !query.contains(":identifier"))
    {
        ensure!(finds(&query).await?, "not found by {query}");
    }
    for query in [
        format!("{by_patient}&date=lt{day}"),
        format!("patient=Patient/birch&date=ge{day}"),
        format!("date=ge{day}&{by_patient}&outcome=8"),
        format!("date=ge{day}&agent:identifier={}%7Cvoss", stack.issuer.url),
    ]
    .into_iter()
    .filter(|query| by_identifier || !query.contains(":identifier"))
    {
        ensure!(!finds(&query).await?, "found by {query}");
    }
    Ok(())
}

/// The audit is behind the same enforcement: what the gateway wrote names what was accessed by logical references, so whose it is cannot be
/// known and nobody gets it; another's AuditEvent is read as its patient's Consent says; and none is changed or deleted.
pub(super) async fn the_audit_is_enforced_too(stack: &mut Stack) -> Result<()> {
    told::audit_events_are_taken(&stack.direct()?).await?;
    let feeds = json!({"audit_event": {"mode": "fhir"}});
    let mut gateway = Gateway::start(told::second(stack, "audit-enforced", stack.upstream.base(), &feeds)?).await?;
    let requests = accesses(stack, &gateway).await?;
    caught_up(&gateway).await?;
    let direct = stack.direct()?;
    let caller = |role: Role| gateway.fhir(stack.issuer.token(&role.claims())?);
    let (doctor, maya) = (caller(Role::Doctor)?, caller(Role::Patient)?);
    let never = doctor.get("AuditEvent/00000000-0000-7000-8000-000000000000").await?;
    for what in ["read", "hidden", "redacted entries"] {
        for id in told_of(&gateway, *requests.get(what).context("no such request")?).await?.keys() {
            let path = format!("AuditEvent/{id}");
            ensure!(direct.get(&path).await?.status.is_success(), "{what}: {path} is not there at all");
            for caller in [&doctor, &maya] {
                let answer = caller.get(&path).await?;
                ensure!(answer.status == StatusCode::NOT_FOUND, "{what}: {path} is answered {}", answer.status);
                ensure!(answer.body == never.body, "{what}: hidden and absent differ");
                let gone = Fhir::send(caller.request(Method::DELETE, &path)).await?;
                ensure!(gone.status.is_client_error(), "{what}: DELETE is answered {}", gone.status);
            }
            ensure!(direct.get(&path).await?.status.is_success(), "{what}: {path} has gone");
        }
    }

    // Another's AuditEvents, about one who lets the doctor treat her and about one who does not.
    let foreign = |id: &str, patient: &str| {
        json!({
            "resourceType": "AuditEvent", "id": id, "recorded": "2026-01-10T10:00:00Z",
            "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
            "agent": [{"requestor": true, "who": {"display": "elsewhere"}}],
            "source": {"observer": {"display": "elsewhere"}},
            "entity": [{"what": {"reference": patient}}],
        })
    };
    let (open, closed) = ("AuditEvent/e2e-audit-alder", "AuditEvent/e2e-audit-cedar");
    let stored = direct.put(&foreign("e2e-audit-alder", "Patient/alder")).await?;
    direct.put(&foreign("e2e-audit-cedar", "Patient/cedar")).await?;
    for caller in [&doctor, &maya] {
        caller.get(open).await?.success()?;
        let hidden = caller.get(closed).await?;
        ensure!(hidden.status == StatusCode::NOT_FOUND && hidden.body == never.body, "{closed}: {}", hidden.status);
        let found = caller.search("AuditEvent?patient=Patient/alder").await?;
        let ids: Vec<_> = found.iter().filter_map(|entry| entry.pointer("/resource/id")?.as_str()).collect();
        ensure!(ids == ["e2e-audit-alder"], "found are {ids:?}");
    }
    ensure!(doctor.search("AuditEvent?patient=Patient/cedar").await?.is_empty(), "a hidden patient's audit is found");

    let mut forged = stored.clone();
    forged.as_object_mut().context("a resource")?.insert("outcome".to_owned(), json!("8"));
    for (what, answer) in [
        ("PUT", doctor.write(Method::PUT, open, &forged).await?),
        ("DELETE", Fhir::send(doctor.request(Method::DELETE, open)).await?),
    ] {
        let (status, rule) = (answer.status, told::rule(&answer)?);
        ensure!(status == StatusCode::FORBIDDEN && rule == "write-not-permitted", "{what} is answered {status} {rule}");
    }
    ensure!(direct.read(open).await? == stored, "the AuditEvent was changed");
    gateway.stop().await
}

/// The audit repository is away, the gateway is killed: care goes on, readiness says what waits, and in the end each is there once.
pub(super) async fn outages_and_crashes_lose_and_double_nothing(stack: &mut Stack) -> Result<()> {
    told::audit_events_are_taken(&stack.direct()?).await?;
    let (base, path) =
        stack.upstream.base().split_at(stack.upstream.base().find("/fhir").unwrap_or(stack.upstream.base().len()));
    let wire = Forwarder::start(base).await?;
    let feeds = json!({"audit_event": {"mode": "fhir", "base": format!("{}{path}", wire.url)}});
    let mut gateway = Gateway::start(told::second(stack, "audit-outage", stack.upstream.base(), &feeds)?).await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let mut requests = Vec::new();
    let work = async |requests: &mut Vec<Uuid>, reads: usize| -> Result<()> {
        for read in 0..reads {
            let path = if read % 2 == 0 { OPEN } else { SEARCH };
            requests.push(request_id(&doctor.get(path).await?.success()?)?);
        }
        Ok(())
    };
    // Killed while it feeds.
    for _ in 0..4 {
        work(&mut requests, 12).await?;
        gateway.crash().await?;
        gateway.start_again().await?;
    }
    caught_up(&gateway).await?;

    wire.cut();
    work(&mut requests, 10).await?;
    let note = until("readiness says so", Duration::from_secs(20), async || {
        let (status, list) = told::readiness(&gateway).await?;
        if status != StatusCode::OK {
            bail!("an absent audit repository stops care: {list}");
        }
        Ok(list.lines().find(|line| line.starts_with("[!] audit-events")).map(str::to_owned))
    })
    .await?;
    ensure!(note.contains("no-connection") || note.contains("broken-connection"), "{note}");
    ensure!(measured(&gateway, "sealgate_audit_event_feed_behind_events").await? >= 10.0, "nothing is behind");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    ensure!(measured(&gateway, "sealgate_audit_event_feed_oldest_seconds").await? >= 1.0, "nothing is old");
    ensure!(measured(&gateway, "sealgate_audit_event_feed_stopped").await? == 0.0, "it has stopped");
    // Killed with everything still to be fed.
    gateway.crash().await?;
    gateway.start_again().await?;
    work(&mut requests, 4).await?;
    wire.mend();
    caught_up(&gateway).await?;
    ensure!(measured(&gateway, "sealgate_audit_event_feed_oldest_seconds").await? == 0.0, "something is old still");
    let success = measured(&gateway, "sealgate_audit_event_feed_last_success_timestamp_seconds").await?;
    ensure!(success > 1e9, "the last success is at {success}");
    until("the note ends", Duration::from_secs(20), async || {
        Ok(told::readiness(&gateway).await?.1.contains("[+] audit-events ok").then_some(()))
    })
    .await?;
    let server = stack.direct()?;
    for request in requests {
        for (id, opening) in &told_of(&gateway, request).await? {
            let stored = is_there_once(&server, stack, id, opening).await?;
            // Another server than the one with the records: references are absolute, on the gateway's base.
            ensure!(!stored.to_string().contains("\"reference\":\"Patient/"), "a reference to nothing: {stored}");
        }
    }
    told::silent("the log", &gateway.process()?.output()?, &["alder", "Patient/"])?;
    gateway.stop().await
}

/// Where the operator says how long an event may wait, readiness fails after that; and only after that.
pub(super) async fn a_delay_that_is_too_long_fails_readiness_where_wanted(stack: &mut Stack) -> Result<()> {
    told::audit_events_are_taken(&stack.direct()?).await?;
    let (base, path) =
        stack.upstream.base().split_at(stack.upstream.base().find("/fhir").unwrap_or(stack.upstream.base().len()));
    let wire = Forwarder::start(base).await?;
    let feeds = json!({"audit_event": {"mode": "fhir", "base": format!("{}{path}", wire.url), "max_delay": "3s"}});
    let mut gateway = Gateway::start(told::second(stack, "audit-delay", stack.upstream.base(), &feeds)?).await?;
    caught_up(&gateway).await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    wire.cut();
    told::serves(&doctor).await?;
    until("not ready", Duration::from_secs(20), async || {
        let (status, list) = told::readiness(&gateway).await?;
        Ok((status == StatusCode::SERVICE_UNAVAILABLE && list.contains("[-] audit-events")).then_some(()))
    })
    .await?;
    told::serves(&doctor).await.context("who asks is served all the same")?;
    wire.mend();
    until("ready again", Duration::from_secs(60), async || {
        Ok((told::readiness(&gateway).await?.0 == StatusCode::OK).then_some(()))
    })
    .await?;
    gateway.stop().await
}
