//! Batches: each entry as a request of its own, and no word of what is hidden.

#![expect(clippy::indexing_slicing, reason = "bodies of the test's own: a member that cannot be set is a failed test")]

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use super::leaks::{caller, delete, observation, same};
use super::patches::is;
use super::told::{self, end, of_kind};
use crate::demo::cast::Role;
use crate::harness::fhir::{Answer, Fhir};
use crate::harness::gateway::Gateway;
use crate::harness::stack::Stack;

pub(super) const SYSTEM: &str = "https://sealgate.example/batches";

pub(super) async fn post(caller: &Fhir, kind: &str, entries: &Value) -> Result<Answer> {
    caller.write(Method::POST, "", &json!({"resourceType": "Bundle", "type": kind, "entry": entries})).await
}

pub(super) fn get(url: &str) -> Value {
    json!({"request": {"method": "GET", "url": url}})
}

pub(super) fn entry(method: &str, url: &str, resource: &Value) -> Value {
    json!({"resource": resource, "request": {"method": method, "url": url}})
}

pub(super) fn new(patient: &str) -> Value {
    let mut body = observation("x", patient);
    if let Some(body) = body.as_object_mut() {
        body.remove("id");
    }
    body
}

pub(super) fn responses(answer: &Answer) -> Result<Vec<Value>> {
    let bundle = answer.json()?;
    Ok(bundle.get("entry").and_then(Value::as_array).cloned().unwrap_or_default())
}

pub(super) fn statuses(answer: &Answer) -> Result<Vec<String>> {
    let status = |entry: &Value| entry.pointer("/response/status").and_then(Value::as_str).map(str::to_owned);
    responses(answer)?.iter().map(status).collect::<Option<_>>().context("an entry without status")
}

/// `Type/id` of an entry's `Location`.
pub(super) fn address(entry: &Value) -> Option<String> {
    let location = entry.pointer("/response/location")?.as_str()?;
    let mut parts = location.split("/_history/").next()?.rsplit('/');
    let (id, kind) = (parts.next()?, parts.next()?);
    Some(format!("{kind}/{id}"))
}

fn rule(entry: &Value) -> Option<&str> {
    entry.pointer("/response/outcome/issue/0/details/coding/0/code")?.as_str()
}

/// Every kind of entry, answered as it would be alone, at its place, and each on record.
pub(super) async fn entries_answer_as_alone(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    direct.put(&observation("batch-u", "alder")).await?;
    direct.put(&observation("batch-d", "alder")).await?;
    direct.put(&observation("batch-p", "alder")).await?;
    let mut updated = observation("batch-u", "alder");
    updated["status"] = json!("amended");
    let operations = json!([{"op": "replace", "path": "/status", "value": "corrected"}]).to_string();
    let patch = json!({"resourceType": "Binary", "contentType": "application/json-patch+json", "data": STANDARD.encode(operations)});
    let mut found = new("alder");
    found["encounter"] = json!({"reference": "Encounter?_id=alder-visit-1"});
    let mut hidden = new("alder");
    hidden["focus"] = json!([{"reference": "Observation?_id=cedar-bp"}]);
    let entries = json!([
        get("Observation/alder-bp"),
        get("Observation/cedar-bp"),
        get("Observation?patient=alder&_count=2"),
        get("Observation/batch-u"),
        get("Observation/batch-d"),
        entry("PUT", "Observation/batch-u", &updated),
        entry("POST", "Observation", &found),
        entry("POST", "Observation", &new("cedar")),
        {"request": {"method": "DELETE", "url": "Observation/batch-d"}},
        entry("PATCH", "Observation/batch-p", &patch),
        entry("POST", "Observation", &hidden),
        get("$export"),
        {"request": {"method": "GET", "url": "Observation/alder-bp", "ifNoneMatch": "*"}},
        {"nothing": 1},
        get("https://other.example.org/fhir/Patient/alder"),
        entry("POST", "", &json!({"resourceType": "Bundle", "type": "batch"})),
    ]);
    let answer = post(&doctor, "batch", &entries).await?;
    let alone = doctor.get("Observation/alder-bp").await?.json()?;
    let searched = doctor.read("Observation?patient=alder&_count=2").await?;
    let (shown, found_by) = (responses(&answer)?, statuses(&answer)?);
    let made = shown.get(6).and_then(address).context("no address")?;
    let gone = direct.get("Observation/batch-d").await?.status;
    delete(&direct, &[&made, "Observation/batch-u", "Observation/batch-p"]).await?;
    ensure!(
        found_by
            == [
                "200", "404", "200", "200", "404", "200", "201", "422", "204", "200", "412", "501", "304", "400",
                "400", "501"
            ],
        "{found_by:?} {}",
        String::from_utf8_lossy(&answer.body)
    );
    ensure!(shown.first().and_then(|e| e.get("resource")) == Some(&alone), "another resource");
    ensure!(shown.get(2).and_then(|e| e.pointer("/resource/total")) == searched.get("total"), "{:?}", shown.get(2));
    ensure!(
        shown.get(3).and_then(|e| e.pointer("/resource/status")) == Some(&json!("amended")),
        "reads come last: {:?}",
        shown.get(3)
    );
    ensure!(
        shown.get(9).and_then(|e| e.pointer("/resource/status")) == Some(&json!("corrected")),
        "{:?}",
        shown.get(9)
    );
    ensure!(shown.get(10).and_then(rule) == Some("conditional-reference"), "{:?}", shown.get(10));
    ensure!(gone == 410 || gone == 404, "{gone}");
    ensure!(answer.json()?.get("type") == Some(&json!("batch-response")), "no response");
    let events = told::openings(stack.gateway()?, told::request_id(&answer)?).await?.context("no events")?;
    let envelope = of_kind(&events, "request").next().context("no request")?;
    ensure!(envelope.get("interaction") == Some(&json!("batch")), "{envelope}");
    // Each entry is on record as a request of its own.
    for (at, interaction, phase) in [
        (0, "read", "whole"),
        (1, "read", "whole"),
        (2, "search-type", "whole"),
        (5, "update", "intent"),
        (6, "create", "intent"),
        (8, "delete", "intent"),
        (9, "patch", "intent"),
        (13, "unknown", "whole"),
    ] {
        let events = recorded(stack.gateway()?, shown.get(at).context("an entry")?).await?;
        let request = of_kind(&events, "request").next().context("no request event")?;
        ensure!(request.get("interaction") == Some(&json!(interaction)), "entry {at}: {request}");
        ensure!(request.get("phase") == Some(&json!(phase)), "entry {at}: {request}");
        let ended = if phase == "intent" { Some("complete") } else { None };
        ensure!(end(&events) == ended, "entry {at}: {events:?}");
        let kind = if at == 1 { "denial" } else { "disclosure" };
        ensure!(at == 13 || of_kind(&events, kind).count() == 1, "entry {at}: {events:?}");
        // The echo names what a search in a reference found.
        let names = |event: &Value| event.to_string().contains(r#""Encounter/alder-visit-1""#);
        ensure!(of_kind(&events, "disclosure").any(names) == (at == 6), "entry {at}: {events:?}");
    }
    let conditional = doctor.request(Method::POST, "").header("content-type", "application/fhir+json");
    let conditional =
        conditional.header("if-match", "W/\"1\"").body(json!({"resourceType": "Bundle", "type": "batch"}).to_string());
    is("a condition on the whole", &Fhir::send(conditional).await?, 400, "precondition-refused")
}

/// The events of an entry, by the id that its answer bears.
pub(super) async fn recorded(gateway: &Gateway, entry: &Value) -> Result<Vec<Value>> {
    let id = entry.get("id").and_then(Value::as_str).context("an entry without id")?;
    told::openings(gateway, id.parse()?).await?.context("an entry without events")
}

/// The answer without the ids of its entries' events, which are new each time.
fn unnumbered(mut answer: Answer) -> Result<Answer> {
    let mut bundle = answer.json()?;
    for entry in bundle.get_mut("entry").and_then(Value::as_array_mut).into_iter().flatten() {
        entry.as_object_mut().context("an entry")?.remove("id").context("an entry without id")?;
    }
    answer.body = bundle.to_string().into();
    Ok(answer)
}

/// What is hidden answers in a batch as what never was, and as what is alone.
pub(super) async fn hidden_entries_as_absent(stack: &mut Stack) -> Result<()> {
    let doctor = caller(stack, Role::Doctor)?;
    let entries = |id: &str, visit: &str| {
        let mut pointing = new("alder");
        pointing["focus"] = json!([{"reference": format!("Observation/{id}")}]);
        let mut found = new("alder");
        found["focus"] = json!([{"reference": format!("Observation?_id={id}")}]);
        json!([
            get(&format!("Observation/{id}")),
            get(&format!("Observation?_id={id}")),
            {"request": {"method": "DELETE", "url": format!("Observation/{id}")}},
            {"request": {"method": "DELETE", "url": format!("Observation?_id={id}")}},
            entry("PUT", &format!("Observation/{id}"), &observation(id, "alder")),
            entry("POST", "Observation", &pointing),
            entry("POST", "Observation", &found),
            get(&format!("Encounter/{visit}/_history/1")),
        ])
    };
    let hidden = post(&doctor, "batch", &entries("cedar-bp", "cedar-visit-1")).await?;
    let never = post(&doctor, "batch", &entries("cedar-bq", "cedar-visit-q")).await?;
    ensure!(hidden.status == 200, "{}", hidden.status);
    same("batch", &unnumbered(hidden)?, &unnumbered(never)?, "cedar-bp", "cedar-bq")?;
    for at in 0..7 {
        let one = |id: &str| json!([entries(id, "x")[at]]);
        if at == 1 {
            continue;
        }
        let hidden = post(&doctor, "transaction", &one("cedar-bp")).await?;
        let never = post(&doctor, "transaction", &one("cedar-bq")).await?;
        ensure!(!hidden.status.is_success(), "entry {at}: {}", hidden.status);
        same(&format!("transaction of entry {at}"), &hidden, &never, "cedar-bp", "cedar-bq")?;
    }
    Ok(())
}

/// Entries and answers are bounded.
pub(super) async fn batches_are_bounded(stack: &mut Stack) -> Result<()> {
    let more = json!({"server": {"limits": {"batch_entries": 3, "batch_answer": "8 KiB"}}});
    let mut gateway = Gateway::start(told::second(stack, "batches", stack.upstream.base(), &more)?).await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    for kind in ["batch", "transaction"] {
        let many = post(&doctor, kind, &json!(vec![get("Observation/alder-bp"); 4])).await?;
        is(kind, &many, 413, "too-many-entries")?;
    }
    let large = post(
        &doctor,
        "batch",
        &json!([get("Observation/alder-bp"), get("Observation?patient=alder&_count=100"), get("Patient/cedar")]),
    )
    .await?;
    let (said, shown) = (statuses(&large)?, responses(&large)?);
    ensure!(said == ["200", "502", "404"], "{said:?}");
    ensure!(shown.get(1).and_then(rule) == Some("upstream-too-large"), "{:?}", shown.get(1));
    let empty = post(&doctor, "batch", &json!([])).await?;
    ensure!(empty.status == 200 && responses(&empty)?.is_empty(), "{}", empty.status);
    gateway.stop().await
}
