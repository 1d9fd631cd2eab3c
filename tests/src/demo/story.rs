//! The story, played unattended: each step compares what the client received with what the FHIR server and the chain hold, never with what
//! Sealgate says of itself alone.

#![expect(clippy::print_stdout, reason = "a line for each step goes to a terminal")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::cast::Role;
use super::chain;
use super::consents;
use super::state::State;
use crate::harness::fhir::{Answer, Fhir, address};
use crate::harness::sidecar::Sidecar;

/// The steps and how they ended.
#[derive(Debug, Default)]
pub struct Report {
    steps: Vec<Value>,
    failed: usize,
}

impl Report {
    /// Notes a step, prints its line, and gives its value where it did what it should.
    pub fn note<T>(&mut self, name: &str, begin: Instant, outcome: Result<(String, T)>) -> Option<T> {
        let milliseconds = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (ok, found, value) = match outcome {
            Ok((found, value)) => (true, found, Some(value)),
            Err(error) => (false, format!("{error:#}"), None),
        };
        println!("{} {name}: {found}", if ok { "ok    " } else { "FAILED" });
        self.failed += usize::from(!ok);
        self.steps.push(json!({"step": name, "ok": ok, "found": found, "milliseconds": milliseconds}));
        value
    }

    /// Whether every step did what it should, and there was one.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.failed == 0 && !self.steps.is_empty()
    }

    /// The last line of the smoke run.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({"ok": self.succeeded(), "failed": self.failed, "steps": self.steps})
    }
}

/// The two sides of a running demo: what clients get, and what the server holds.
#[derive(Debug)]
pub struct Sides {
    /// The FHIR server, called directly.
    pub direct: Fhir,
    doctor: Fhir,
    researcher: Fhir,
    patient: Fhir,
}

impl Sides {
    /// Out of what the demo published.
    ///
    /// # Errors
    /// When a token is missing.
    pub fn of(state: &State) -> Result<Self> {
        let gateway = Fhir::at(&state.gateway_url)?;
        let caller = |role: Role| -> Result<Fhir> {
            let token = state.tokens.get(role.name()).context("a token is missing")?;
            Ok(gateway.with_token(token))
        };
        Ok(Self {
            direct: Fhir::at(&state.upstream_url)?,
            doctor: caller(Role::Doctor)?,
            researcher: caller(Role::Researcher)?,
            patient: caller(Role::Patient)?,
        })
    }
}

/// Plays permit, refusal, redaction, revocation and verification; gives the id of the permitted request.
///
/// # Errors
/// When the demo's state is not whole; a step that fails is no error but a line of the report.
pub async fn play(state: &State, report: &mut Report) -> Result<Option<String>> {
    let sides = Sides::of(state)?;
    let begin = Instant::now();
    let request = report.note("permit", begin, permit(&sides).await);
    let begin = Instant::now();
    report.note("refusal", begin, refusal(&sides).await);
    let begin = Instant::now();
    report.note("entry redacted", begin, entry_redacted(&sides).await);
    let begin = Instant::now();
    report.note("element removed", begin, element_removed(&sides).await);
    let begin = Instant::now();
    report.note("revocation", begin, revocation(&sides).await);
    let begin = Instant::now();
    let verified = match &request {
        Some(request) => verified(state, request).await,
        None => Err(anyhow::anyhow!("there is no permitted request to verify")),
    };
    report.note("verification on the chain", begin, verified);
    Ok(request)
}

/// What the doctor may read.
const PERMITTED: &str = "Condition/alder-hypertension";

/// The doctor reads what the patient permits, and gets what the server holds. Gives the id of that request.
async fn permit(sides: &Sides) -> Result<(String, String)> {
    let held = sides.direct.get(PERMITTED).await?.success()?;
    let answer = sides.doctor.get(PERMITTED).await?.success()?;
    ensure!(answer.body == held.body, "the client received other bytes than the server gives");
    let request = answer.header("x-request-id").context("an answer without a request id")?;
    Ok((
        format!("the doctor received {PERMITTED} byte for byte as the server gives it, {} bytes", answer.body.len()),
        request.to_owned(),
    ))
}

/// A record that the patient closed answers as one that never existed.
async fn refusal(sides: &Sides) -> Result<(String, ())> {
    sides.direct.read("Patient/cedar").await.context("the server should hold this patient")?;
    let hidden = sides.doctor.get("Patient/cedar").await?;
    let absent = sides.doctor.get("Patient/nobody").await?;
    ensure!(hidden.status == StatusCode::NOT_FOUND, "the closed record answers {}", hidden.status);
    ensure!(absent.status == StatusCode::NOT_FOUND, "an absent record answers {}", absent.status);
    ensure!(
        anonymous(&hidden, "cedar") == anonymous(&absent, "nobody"),
        "the closed record answers otherwise than one that never existed"
    );
    Ok(("Patient/cedar answers 404, as an absent patient does, though the server holds it".to_owned(), ()))
}

/// The body without the id that was asked for and the id of the request.
fn anonymous(answer: &Answer, id: &str) -> String {
    let request = answer.header("x-request-id").unwrap_or("-");
    String::from_utf8_lossy(&answer.body).replace(id, "ID").replace(request, "REQUEST")
}

/// A search loses the entries that the patient keeps to himself, and only those.
async fn entry_redacted(sides: &Sides) -> Result<(String, ())> {
    let query = "Condition?patient=Patient/birch";
    let held = sides.direct.search(query).await?;
    let received = sides.doctor.search(query).await?;
    let (open, closed): (Vec<&Value>, Vec<&Value>) = held
        .iter()
        .filter_map(|entry| entry.get("resource"))
        .partition(|resource| !labelled(resource, &["HIV", "SUD", "ETHUD", "OPIOIDUD"]));
    ensure!(!open.is_empty() && !closed.is_empty(), "the demo's data does not show it");
    let expected: BTreeSet<String> = open.iter().filter_map(|resource| address(resource)).collect();
    let received: BTreeSet<String> = received.iter().filter_map(|entry| address(entry.get("resource")?)).collect();
    ensure!(received == expected, "expected {expected:?}, received {received:?}");
    Ok((format!("of {} Conditions of Patient/birch the doctor received {}", held.len(), received.len()), ()))
}

fn labelled(resource: &Value, codes: &[&str]) -> bool {
    resource.pointer("/meta/security").and_then(Value::as_array).is_some_and(|labels| {
        labels.iter().any(|label| label.get("code").and_then(Value::as_str).is_some_and(|code| codes.contains(&code)))
    })
}

/// Research sees the patient without name and address, and all else of the resource.
async fn element_removed(sides: &Sides) -> Result<(String, ())> {
    let held = sides.direct.read("Patient/dogwood").await?;
    let received = sides.researcher.read("Patient/dogwood").await?;
    for element in ["name", "telecom", "address"] {
        ensure!(held.get(element).is_some(), "the demo's data does not show it");
        ensure!(received.get(element).is_none(), "{element} was received");
    }
    for element in ["gender", "birthDate", "identifier"] {
        ensure!(received.get(element) == held.get(element), "{element} differs");
    }
    Ok(("the researcher received Patient/dogwood without name, telecom and address".to_owned(), ()))
}

/// The patient closes her record through the gateway; the doctor's next request finds nothing. The Consent is put back afterwards.
async fn revocation(sides: &Sides) -> Result<(String, ())> {
    const RESOURCE: &str = "Observation/alder-bp";
    let before = sides.direct.read("Consent/alder-treatment").await?;
    sides.doctor.get(RESOURCE).await?.success().context("before the revocation")?;
    let closed = consents::opts_out("alder-treatment", "Patient/alder");
    write(&sides.patient, &closed).await.context("the patient's write")?;
    let begin = Instant::now();
    let after = sides.doctor.get(RESOURCE).await?;
    let took = begin.elapsed();
    let held = sides.direct.read("Consent/alder-treatment").await?;
    write(&sides.patient, &before).await.context("putting the Consent back")?;
    ensure!(held.pointer("/provision/type") == Some(&json!("deny")), "the server holds another Consent");
    ensure!(after.status == StatusCode::NOT_FOUND, "after the revocation it answers {}", after.status);
    sides.doctor.get(RESOURCE).await?.success().context("after the Consent was put back")?;
    Ok((format!("the doctor's next request, {} ms after the patient's write, found nothing", took.as_millis()), ()))
}

async fn write(caller: &Fhir, resource: &Value) -> Result<()> {
    let address = address(resource).context("a resource without type or id")?;
    caller.write(Method::PUT, &address, resource).await?.success()?;
    Ok(())
}

/// The permitted request verifies: its record is in the log, the log's head is final on the chain.
async fn verified(state: &State, request: &str) -> Result<(String, ())> {
    let folder = tempfile::tempdir()?;
    let proof = folder.path().join("access.sealproof.json");
    let begin = Instant::now();
    loop {
        let (code, said) = prove(state, request, &proof).await?;
        match code {
            0 => break,
            2 if begin.elapsed() < Duration::from_secs(60) => {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            2 => bail!("the log is not anchored after {} s", begin.elapsed().as_secs()),
            code => bail!("prove failed ({code}): {said}"),
        }
    }
    let (code, said) =
        Sidecar::command(&["verify", text(&proof)?, "--trust", text(&state.trust_file)?, "--rpc", &state.chain_rpc])
            .await?;
    ensure!(code == 0, "verify answers {code}: {said}");
    let proven = chain::proves(state, &std::fs::read(&proof)?).await.context("computed from the contract's storage")?;
    let told = |pointer: &str, value: &str| {
        proven.events.iter().any(|event| event.pointer(pointer).and_then(Value::as_str) == Some(value))
    };
    ensure!(told("/id", request), "the proven records hold no event of this request");
    ensure!(told("/patient", "Patient/alder"), "the proven records do not name the patient");
    ensure!(told("/resources/0/reference", PERMITTED), "the proven records do not name {PERMITTED}");
    let found = format!(
        "{} events of request {request}, hashed here up to the root of {} leaves that contract {} stored in final block {}; verify agrees",
        proven.events.len(),
        proven.size,
        state.contract,
        proven.block
    );
    Ok((found, ()))
}

/// Makes the proof bundle of a request; gives the command's exit code and what it said.
pub(super) async fn prove(state: &State, request: &str, proof: &Path) -> Result<(i32, String)> {
    Sidecar::command(&[
        "prove",
        "--request",
        request,
        "--gateway",
        &state.admin_url,
        "--admin-token-file",
        text(&state.admin_token_file)?,
        "--sidecar",
        &state.sidecar_url,
        "--out",
        text(proof)?,
    ])
    .await
}

/// A path as an argument.
pub(super) fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}
