//! `fhir-gateway explain`: what is told of a request is what the gateway does with it, and nothing of the record itself.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use super::told::{self, OPEN};
use crate::demo::cast::Role;
use crate::harness::fhir;
use crate::harness::gateway::Gateway;
use crate::harness::stack::Stack;

const HIDDEN: &str = "Observation/cedar-bp";

/// How many records of this kind the journal holds.
pub(super) fn recorded(gateway: &Gateway, kind: &str) -> Result<i64> {
    let journal = Connection::open_with_flags(&gateway.journal, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    Ok(journal.query_row("SELECT count(*) FROM record WHERE kind = ?1", [kind], |row| row.get(0))?)
}

struct Asking<'s> {
    gateway: &'s Gateway,
    token: PathBuf,
}

impl<'s> Asking<'s> {
    fn by(stack: &'s Stack, claims: &Value) -> Result<Self> {
        Self::with(stack, &stack.issuer.token(claims)?)
    }

    fn with(stack: &'s Stack, token: &str) -> Result<Self> {
        let file = stack.folder.join("explained.token");
        std::fs::write(&file, token)?;
        Ok(Self { gateway: stack.gateway()?, token: file })
    }

    fn token(&self) -> Result<&str> {
        Path::to_str(&self.token).context("a path that is no text")
    }

    async fn about(&self, method: &str, url: &str) -> Result<Value> {
        let arguments = ["explain", "--json", "--method", method, "--token-file", self.token()?, url];
        let (code, text) = self.gateway.command(&arguments).await?;
        ensure!(code == 0, "explain of {method} {url} ends with {code}: {text}");
        told::silent("the explanation", &text, &["8867-4", "85354-9", "valueQuantity", "eyJ"])?;
        serde_json::from_str(&text).with_context(|| format!("the explanation of {url} is no JSON"))
    }
}

/// What this stage says, and its rule.
fn stage<'v>(told: &'v Value, name: &str) -> Result<(&'v str, &'v str)> {
    let stages = told.get("stages").and_then(Value::as_array).context("no stages")?;
    let mut found = stages.iter().filter(|stage| stage.get("stage").and_then(Value::as_str) == Some(name));
    let stage = found.next().with_context(|| format!("no stage {name}"))?;
    ensure!(found.next().is_none(), "{name} is told twice");
    let text = |key: &str| stage.get(key).and_then(Value::as_str).unwrap_or_default();
    Ok((text("says"), text("rule")))
}

fn status(told: &Value) -> Option<u64> {
    told.pointer("/answer/status").and_then(Value::as_u64)
}

/// The decision on a resource, with the Consents that are given as reasons.
fn decision(told: &Value, resource: &str) -> Result<(String, Vec<String>)> {
    let rows = told.get("resources").and_then(Value::as_array).context("no resources")?;
    let row = rows.iter().find(|row| row.get("resource").and_then(Value::as_str) == Some(resource));
    let row = row.with_context(|| format!("{resource} is not among the resources: {told}"))?;
    let consent = |reason: &Value| {
        let (consent, provision) = (reason.get("consent")?.as_str()?, reason.get("provision")?.as_str()?);
        Some(format!("{} {provision}", consent.split("/_history").next()?))
    };
    let consents = row.get("reasons").and_then(Value::as_array).into_iter().flatten().filter_map(consent).collect();
    Ok((row.get("decision").and_then(Value::as_str).unwrap_or_default().to_owned(), consents))
}

/// Reads: hidden, permitted and absent are told apart for the operator; the client gets what the explanation says.
pub(super) async fn what_is_told_is_what_is_done(stack: &mut Stack) -> Result<()> {
    let (looks, requests) = (recorded(stack.gateway()?, "audit-read")?, recorded(stack.gateway()?, "request")?);
    let doctor = Asking::by(stack, &Role::Doctor.claims())?;

    let told = doctor.about("GET", HIDDEN).await?;
    ensure!(stage(&told, "scope")? == ("permit", "") && stage(&told, "decide")? == ("refuse", "not-found"), "{told}");
    let (decided, consents) = decision(&told, HIDDEN)?;
    ensure!(decided == "deny" && consents == ["Consent/cedar-opt-out provision"], "{decided} by {consents:?}");
    ensure!(status(&told) == Some(404), "{told}");

    let absent = doctor.about("GET", "Observation/cedar-bq").await?;
    ensure!(status(&absent) == Some(404) && absent.get("resources") == Some(&json!([])), "{absent}");

    // By its whole address too.
    let told = doctor.about("GET", &format!("{}/{OPEN}", doctor.gateway.url)).await?;
    let (decided, consents) = decision(&told, OPEN)?;
    ensure!(decided == "permit" && consents == ["Consent/alder-treatment provision"], "{decided} by {consents:?}");
    ensure!(status(&told) == Some(200) && stage(&told, "decide")?.0 == "permit", "{told}");

    let search = "Condition?patient=Patient/birch&_count=50";
    let told = doctor.about("GET", search).await?;
    ensure!(decision(&told, "Condition/birch-hiv")?.0 == "deny", "{told}");
    ensure!(decision(&told, "Condition/birch-asthma")?.0 == "permit", "{told}");
    let disclosed = told.pointer("/answer/disclosed").and_then(Value::as_u64);

    let mut looked = 4;
    ensure!(recorded(doctor.gateway, "audit-read")? == looks + looked, "not every look is on record");
    ensure!(recorded(doctor.gateway, "request")? == requests, "an explanation is on record as an access");

    // The same by the client's own way.
    let client = doctor.gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    ensure!(client.get(HIDDEN).await?.status == StatusCode::NOT_FOUND, "hidden is not hidden");
    ensure!(client.get(OPEN).await?.status == StatusCode::OK, "open is not open");
    let shown = client.search(search).await?.len() as u64;
    ensure!(disclosed == Some(shown) && shown > 0, "told {disclosed:?}, shown {shown}");

    // Elements that go are told by path and rule, for whom they go.
    let researcher = Asking::by(stack, &Role::Researcher.claims())?;
    let told = researcher.about("GET", "Patient/dogwood").await?;
    let text = told.to_string();
    ensure!(text.contains(r#""path":"Patient.name""#) && text.contains("redaction-rule"), "{told}");
    looked += 1;
    ensure!(recorded(researcher.gateway, "audit-read")? == looks + looked, "not every look is on record");
    Ok(())
}

/// Refusals before any data is looked at, and writes: nothing is carried out.
pub(super) async fn refusals_are_told_by_their_stage(stack: &mut Stack) -> Result<()> {
    let direct = stack.direct()?;
    let before = told::held(&direct, OPEN).await?;

    let stranger = Asking::with(stack, "not-a-token")?;
    let told = stranger.about("GET", OPEN).await?;
    ensure!(stage(&told, "authenticate")?.0 == "refuse" && status(&told) == Some(401), "{told}");
    for later in ["interpret", "organisation", "scope", "decide"] {
        ensure!(stage(&told, later)?.0 == "not-asked", "{later} of a stranger: {told}");
    }

    let researcher = Asking::by(stack, &Role::Researcher.claims())?;
    let told = researcher.about("DELETE", OPEN).await?;
    ensure!(stage(&told, "scope")? == ("refuse", "scope-missing") && status(&told) == Some(403), "{told}");
    let told = researcher.about("GET", "Observation/alder-bp/$nonsense").await?;
    ensure!(stage(&told, "interpret")?.0 == "refuse", "{told}");

    let doctor = Asking::by(stack, &Role::Doctor.claims())?;
    let told = doctor.about("DELETE", OPEN).await?;
    ensure!(stage(&told, "decide")?.0 == "undecided" && decision(&told, OPEN)?.0 == "permit", "{told}");
    let told = doctor.about("DELETE", HIDDEN).await?;
    ensure!(stage(&told, "decide")?.0 == "refuse" && decision(&told, HIDDEN)?.0 == "deny", "{told}");
    ensure!(told::held(&direct, OPEN).await? == before, "an explanation wrote");

    // For people.
    let (code, text) = doctor.gateway.command(&["explain", "--token-file", doctor.token()?, HIDDEN]).await?;
    ensure!(code == 0 && text.contains("consent-deny for cedar by Consent/cedar-opt-out"), "{text}");
    ensure!(text.contains("answer: 404"), "{text}");

    // Only with the admin token, and a token is never an argument.
    let url = format!("{}/v1/explain", doctor.gateway.admin);
    let body = json!({"token": "x", "method": "GET", "url": OPEN});
    let answer = fhir::client()?.post(&url).json(&body).send().await?;
    ensure!(answer.status() == StatusCode::UNAUTHORIZED, "explained without the admin token: {}", answer.status());
    let (code, _) = doctor.gateway.command(&["explain", "--token", "x", OPEN]).await?;
    ensure!(code == 64, "a token as an argument ends with {code}");
    Ok(())
}
