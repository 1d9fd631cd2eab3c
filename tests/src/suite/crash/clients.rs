//! The clients of the crash test: they read, search and write without a pause, and keep what they received. That is the oracle.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::chance::Chance;
use crate::harness::fhir::{self, Fhir};

/// A resource that a client received.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Received {
    /// `Type/id`.
    pub(super) reference: String,
    /// `meta.versionId`.
    pub(super) version: Option<String>,
    /// The patients whose it is (`Patient/x`), read from the resource itself; none for a universal one.
    pub(super) owners: BTreeSet<String>,
}

/// An answer whose head a client received.
#[derive(Debug)]
pub(super) struct Exchange {
    /// `X-Request-Id`.
    pub(super) request: String,
    /// What was asked for.
    pub(super) asked: String,
    /// Status.
    pub(super) status: u16,
    /// Whether the answer came to its proper end.
    pub(super) whole: bool,
    /// The resources in it, or in the beginning of it that came.
    pub(super) received: Vec<Received>,
}

/// What the clients and the one who kills have in common.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Answers that came whole.
    pub(super) answered: AtomicU64,
    /// Requests that wait for their answer's end.
    pub(super) in_flight: AtomicU64,
    /// The clients are to end.
    pub(super) end: AtomicBool,
}

/// What a client asks for.
#[derive(Debug, Clone)]
pub(super) struct Targets {
    /// Patients' resources.
    pub(super) reads: Arc<Vec<String>>,
    /// Resources without an owner.
    pub(super) universal: Arc<Vec<String>>,
    /// Searches whose answer is one window.
    pub(super) searches: Arc<Vec<String>>,
    /// Searches whose answer is several.
    pub(super) windows: Arc<Vec<String>>,
}

/// One client with a connection and a resource of its own.
pub(super) struct Client {
    pub(super) gateway: Fhir,
    pub(super) targets: Targets,
    /// What it updates; only its own, so that no update fails for another one's.
    pub(super) own: Value,
    pub(super) chance: Chance,
    pub(super) counters: Arc<Counters>,
    pub(super) up: watch::Receiver<bool>,
    /// The shortest time from one request to the next.
    pub(super) pace: Duration,
}

impl Client {
    /// Asks until it is told to end; gives every answer whose head came.
    pub(super) async fn run(mut self) -> Result<Vec<Exchange>> {
        let mut exchanges = Vec::new();
        let mut pace = tokio::time::interval(self.pace);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut edition = 0_u64;
        while !self.counters.end.load(Ordering::Relaxed) {
            pace.tick().await;
            // Nobody listens while the gateway is down, and knocking would only hold up its start.
            self.up.wait_for(|up| *up).await.context("the test has gone")?;
            let asked = self.next(&mut edition)?;
            self.counters.in_flight.fetch_add(1, Ordering::Relaxed);
            let exchange = exchange(asked).await;
            self.counters.in_flight.fetch_sub(1, Ordering::Relaxed);
            match exchange? {
                Some(exchange) => {
                    self.counters.answered.fetch_add(u64::from(exchange.whole), Ordering::Relaxed);
                    exchanges.push(exchange);
                }
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        Ok(exchanges)
    }

    fn next(&mut self, edition: &mut u64) -> Result<(String, reqwest::RequestBuilder)> {
        let path = match self.chance.below(100) {
            0..4 => {
                *edition += 1;
                let path = fhir::address(&self.own).context("a resource without an id")?;
                // A random value: the FHIR server makes no new version of what it has already.
                let value = self.chance.below(1_000_000);
                self.own.as_object_mut().context("no resource")?.insert("valueInteger".to_owned(), json!(value));
                let request = self
                    .gateway
                    .request(Method::PUT, &path)
                    .header("content-type", "application/fhir+json")
                    .body(serde_json::to_vec(&self.own)?);
                return Ok((format!("PUT {path}"), request));
            }
            4..14 => self.chance.one_of(&self.targets.universal),
            14..19 => self.chance.one_of(&self.targets.searches),
            19..20 => self.chance.one_of(&self.targets.windows),
            _ => self.chance.one_of(&self.targets.reads),
        };
        let path = path.context("nothing to ask for")?.clone();
        let request = self.gateway.request(Method::GET, &path);
        Ok((path, request))
    }
}

/// Sends a request; nothing where not even a head came, an error where what came is nothing that may come.
async fn exchange((asked, request): (String, reqwest::RequestBuilder)) -> Result<Option<Exchange>> {
    let Ok(mut answer) = request.send().await else { return Ok(None) };
    let status = answer.status().as_u16();
    let request = answer.headers().get("x-request-id").and_then(|id| id.to_str().ok());
    let request = request.with_context(|| format!("{asked}: an answer {status} without a request id"))?.to_owned();
    let mut body = Vec::new();
    let whole = loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    let resources = match (whole, body.is_empty()) {
        (_, true) => Vec::new(),
        (true, false) => {
            // What ends properly must be whole: an answer cut short may never look complete.
            let body: Value = serde_json::from_slice(&body)
                .with_context(|| format!("{asked}: an answer {status} that ends properly is no JSON"))?;
            resources(body)
        }
        (false, false) => {
            complete_entries(&body).filter_map(|mut entry| Some(entry.get_mut("resource")?.take())).collect()
        }
    };
    let received = resources.iter().filter_map(received).collect();
    Ok(Some(Exchange { request, asked, status, whole, received }))
}

fn resources(mut body: Value) -> Vec<Value> {
    if body.get("resourceType").and_then(Value::as_str) != Some("Bundle") {
        return vec![body];
    }
    let entries = body.get_mut("entry").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    entries.into_iter().filter_map(|mut entry| Some(entry.get_mut("resource")?.take())).collect()
}

/// The entries that are whole in the beginning of a Bundle.
fn complete_entries(beginning: &[u8]) -> impl Iterator<Item = Value> {
    const START: &[u8] = b"\"entry\":[";
    let at = beginning.windows(START.len()).position(|window| window == START);
    let mut rest = at.and_then(|at| beginning.get(at + START.len()..)).unwrap_or_default();
    std::iter::from_fn(move || {
        let mut entries = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
        let entry = entries.next()?.ok()?;
        rest = rest.get(entries.byte_offset()..).unwrap_or_default();
        rest = rest.strip_prefix(b",").unwrap_or(rest);
        Some(entry)
    })
}

fn received(resource: &Value) -> Option<Received> {
    let reference = fhir::address(resource)?;
    let version = resource.pointer("/meta/versionId").and_then(Value::as_str).map(str::to_owned);
    let mut owners = BTreeSet::new();
    if reference.starts_with("Patient/") {
        owners.insert(reference.clone());
    }
    for path in ["/subject/reference", "/patient/reference"] {
        owners.extend(resource.pointer(path).and_then(Value::as_str).and_then(patient));
    }
    for participant in resource.get("participant").and_then(Value::as_array).into_iter().flatten() {
        owners.extend(participant.pointer("/actor/reference").and_then(Value::as_str).and_then(patient));
    }
    Some(Received { reference, version, owners })
}

/// `Patient/x` out of a reference, which may be absolute.
fn patient(reference: &str) -> Option<String> {
    let mut parts = reference.rsplit('/');
    let (id, kind) = (parts.next()?, parts.next()?);
    (kind == "Patient").then(|| format!("Patient/{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_are_whole_count_and_no_others() {
        let whole =
            br#"{"resourceType":"Bundle","entry":[{"resource":{"id":"a}]"}},{"resource":{"id":"b"}}],"total":2}"#;
        let count = |length: usize| complete_entries(whole.get(..length).unwrap_or_default()).count();
        assert_eq!(count(whole.len()), 2);
        assert_eq!(count(60), 1);
        assert_eq!(count(54), 0);
        assert_eq!(count(10), 0);
    }

    #[test]
    fn owners_stand_in_the_resource() {
        let appointment = json!({"resourceType": "Appointment", "id": "x", "participant": [
            {"actor": {"reference": "Patient/a"}}, {"actor": {"reference": "Practitioner/b"}},
            {"actor": {"reference": "http://127.0.0.1/fhir/Patient/c"}}]});
        let owners = received(&appointment).map(|received| received.owners);
        assert_eq!(owners, Some(BTreeSet::from(["Patient/a".to_owned(), "Patient/c".to_owned()])));
    }
}
