//! Consents that are changed on the FHIR server past the gateway: they take effect long before what is kept of them is old.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::faulty::{Fault, Faulty, fhir};
use super::told::{self, until};
use crate::demo::cast::Role;
use crate::demo::consents::{opts_out, permits_treatment};
use crate::harness::fhir::{Fhir, client};
use crate::harness::gateway::Gateway;
use crate::harness::openings::Admin;
use crate::harness::say;
use crate::harness::stack::Stack;
use crate::harness::workspace;

/// How often the gateways of these tests ask what changed.
const POLL: Duration = Duration::from_secs(1);
/// What a busy machine may take on top.
const SLACK: Duration = Duration::from_secs(4);
/// How long is waited to see that nothing changes: several polls, were there any.
const WHILE: Duration = Duration::from_secs(4);
/// Revocations that are measured.
const ROUNDS: usize = 8;

/// A gateway that keeps what it knows of Consents for an hour, and otherwise is told these keys of `[consent_source]`.
async fn keeping(stack: &Stack, name: &str, more: &Value) -> Result<Gateway> {
    let mut source = json!({"max_staleness": "1h"});
    if let (Some(source), Some(more)) = (source.as_object_mut(), more.as_object()) {
        source.extend(more.clone());
    }
    let more = json!({"consent": {"no_consent": "deny"}, "consent_source": source});
    let gateway = Gateway::start(told::second(stack, name, stack.upstream.base(), &more)?).await?;
    let admin = Admin::of(&gateway)?;
    until("the first poll", Duration::from_secs(10), async || {
        Ok((admin.measured("sealgate_consent_watch_polls").await? >= 1.0).then_some(()))
    })
    .await?;
    Ok(gateway)
}

/// A patient with one record, and a doctor who reads it.
struct Reader {
    direct: Fhir,
    doctor: Fhir,
    patient: String,
    record: String,
}

impl Reader {
    async fn new(stack: &Stack, gateway: &Gateway, name: &str) -> Result<Self> {
        let direct = stack.direct()?;
        direct.put(&json!({"resourceType": "Patient", "id": name})).await?;
        let (patient, record) = (format!("Patient/{name}"), format!("Observation/{name}"));
        let observation = json!({"resourceType": "Observation", "id": name, "status": "final",
            "code": {"text": "a measurement"}, "subject": {"reference": patient}});
        direct.put(&observation).await?;
        let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
        Ok(Self { direct, doctor, patient, record })
    }

    /// Writes a Consent of this patient straight into the FHIR server: treatment is permitted.
    async fn permits(&self, id: &str) -> Result<Value> {
        let consent = permits_treatment(id, &self.patient, "Organization/northfield");
        self.direct.put(&consent).await?;
        Ok(consent)
    }

    async fn deletes(&self, names: &[&str]) -> Result<()> {
        for name in names {
            Fhir::send(self.direct.request(Method::DELETE, name)).await?.success()?;
        }
        Ok(())
    }

    async fn status(&self) -> Result<StatusCode> {
        Ok(self.doctor.get(&self.record).await?.status)
    }

    /// The record is shown or hidden from now on at the latest when polls and slack are over; gives when it was.
    async fn becomes(&self, status: u16, what: &str) -> Result<Duration> {
        let begun = Instant::now();
        loop {
            let found = self.status().await?;
            if found == status {
                return Ok(begun.elapsed());
            }
            ensure!(begun.elapsed() < POLL + SLACK, "{what}: still {found} after {:?}", begun.elapsed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn stays(&self, status: u16, what: &str) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < WHILE {
            let found = self.status().await?;
            ensure!(found == status, "{what}: {found} after {:?}", begun.elapsed());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

fn revoked(mut consent: Value) -> Value {
    if let Some(members) = consent.as_object_mut() {
        members.insert("status".to_owned(), json!("inactive"));
    }
    consent
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let millis = |time: Option<&Duration>| time.map_or(0, Duration::as_millis);
    let (median, worst) = (millis(times.get(times.len() / 2)), millis(times.last()));
    say::step(&format!("fresh: {what}: median {median} ms, worst {worst} ms of {}", times.len()));
}

/// Recorded, revoked, recorded again, deleted, and moved to another patient, all past the gateway: each takes effect within one poll.
pub(super) async fn changes_past_the_gateway_bite(stack: &mut Stack) -> Result<()> {
    let poll = format!("{}ms", POLL.as_millis());
    let mut gateway = keeping(stack, "fresh", &json!({"poll": poll})).await?;
    let (ash, elm) =
        (Reader::new(stack, &gateway, "fresh-ash").await?, Reader::new(stack, &gateway, "fresh-elm").await?);
    ensure!(ash.status().await? == 404, "shown without a Consent");
    let mut revocations = Vec::new();
    for round in 0..ROUNDS {
        let consent = ash.permits("fresh-c1").await?;
        ash.becomes(200, "recorded").await?;
        // Revocations fall anywhere between two polls.
        tokio::time::sleep(POLL * u32::try_from(round)? / u32::try_from(ROUNDS)?).await;
        ash.direct.put(&revoked(consent)).await?;
        revocations.push(ash.becomes(404, "revoked").await?);
    }
    tell(&format!("revoked past the gateway, polled every {poll}"), revocations);

    ash.permits("fresh-c2").await?;
    ash.becomes(200, "another one recorded").await?;
    ash.deletes(&["Consent/fresh-c2"]).await?;
    ash.becomes(404, "deleted").await?;

    let mut consent = ash.permits("fresh-c3").await?;
    ash.becomes(200, "a third one recorded").await?;
    ensure!(elm.status().await? == 404, "shown without a Consent");
    if let Some(members) = consent.as_object_mut() {
        members.insert("patient".to_owned(), json!({"reference": elm.patient}));
    }
    ash.direct.put(&consent).await?;
    ash.becomes(404, "moved away").await?;
    elm.becomes(200, "moved here").await?;

    let admin = Admin::of(&gateway)?;
    let changes = admin.measured("sealgate_consent_watch_changes").await?;
    // What a poll told of is not told again by the polls after it.
    let expected = (ROUNDS * 2 + 4) as f64;
    ensure!(changes >= expected && changes <= expected + 4.0, "{changes} changes were seen, not {expected}");
    ensure!(admin.measured("sealgate_consent_watch_failures").await? == 0.0, "a poll failed");
    ensure!(admin.measured("sealgate_consent_watch_age_seconds").await? < (POLL + SLACK).as_secs_f64(), "too old");
    let (_, list) = admin.readiness().await?;
    ensure!(list.contains("[+] consent-watch"), "{list}");
    replicas(stack, &elm).await?;
    ash.deletes(&["Consent/fresh-c1", "Consent/fresh-c3", "Observation/fresh-ash", "Observation/fresh-elm"]).await?;
    ash.deletes(&["Patient/fresh-ash", "Patient/fresh-elm"]).await?;
    told::silent("the log", &gateway.process()?.output()?, &["fresh-ash", "fresh-elm", "fresh-c"])?;
    gateway.stop().await
}

/// What is written through one gateway reaches another one that has the same server behind it.
async fn replicas(stack: &Stack, elm: &Reader) -> Result<()> {
    let claims = json!({"fhirUser": "Patient/fresh-elm", "patient": "fresh-elm", "sub": "fresh-elm"});
    let mut all = Role::Patient.claims();
    if let (Some(all), Some(claims)) = (all.as_object_mut(), claims.as_object()) {
        all.extend(claims.clone());
    }
    let patient = stack.gateway()?.fhir(stack.issuer.token(&all)?)?;
    ensure!(elm.status().await? == 200, "hidden before the revocation");
    patient.write(Method::PUT, "Consent/fresh-c3", &opts_out("fresh-c3", &elm.patient)).await?.success()?;
    tell("revoked through another gateway", vec![elm.becomes(404, "revoked through another gateway").await?]);
    Ok(())
}

/// Who bears the token says that something changed, and it takes effect at once; nobody else is heard.
pub(super) async fn notifications_wake_the_watch(stack: &mut Stack) -> Result<()> {
    let token = "a-token-for-notifications-only";
    let file = stack.folder.join("fresh-notify-token");
    workspace::replace(&file, token.as_bytes())?;
    // No poll comes by itself while this test runs.
    let mut gateway = keeping(stack, "fresh-notified", &json!({"poll": "1h", "notify_token_file": file})).await?;
    let ash = Reader::new(stack, &gateway, "fresh-oak").await?;
    let address = format!("{}/consent-changed", gateway.admin);
    let notify = async |token: Option<&str>, body: Vec<u8>| -> Result<StatusCode> {
        let request = client()?.post(&address).header("content-type", "application/fhir+json").body(body);
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        Ok(request.send().await?.status())
    };
    let admin = Admin::of(&gateway)?;
    let consent = ash.permits("fresh-n1").await?;
    ash.becomes(200, "recorded").await?;
    ash.direct.put(&revoked(consent.clone())).await?;
    ash.stays(200, "revoked, and nobody said so").await?;
    for wrong in [None, Some("a-token-for-notifications-onlY"), Some(gateway.admin_token.as_str())] {
        let status = notify(wrong, b"{}".to_vec()).await?;
        ensure!(status == 401, "a wrong token: {status}");
    }
    ash.stays(200, "revoked, and a stranger said so").await?;
    let large = vec![b' '; 60 << 10];
    let mut times = Vec::new();
    for body in [Vec::new(), b"{\"resourceType\":\"Bundle\",\"type\":\"history\"}".to_vec(), large] {
        // As a Subscription does: for each change one.
        ash.direct.put(&consent).await?;
        ensure!(notify(Some(token), Vec::new()).await? == 204, "the notification is not taken");
        ash.becomes(200, "recorded again").await?;
        ash.direct.put(&revoked(consent.clone())).await?;
        let begun = Instant::now();
        ensure!(notify(Some(token), body).await? == 204, "the notification is not taken");
        ash.becomes(404, "revoked, and the server said so").await?;
        times.push(begun.elapsed());
    }
    tell("notified", times);
    ensure!(admin.measured("sealgate_consent_watch_notifications").await? == 6.0, "notifications");
    ash.deletes(&["Consent/fresh-n1", "Observation/fresh-oak", "Patient/fresh-oak"]).await?;
    told::silent("the log", &gateway.process()?.output()?, &["fresh-oak", "fresh-n1", token])?;
    gateway.stop().await?;

    let without = stack.gateway()?;
    let address = format!("{}/consent-changed", without.admin);
    let refused = client()?.post(&address).bearer_auth(&without.admin_token).send().await?.status();
    ensure!(refused == 403, "without a configured token: {refused}");
    Ok(())
}

/// A server without a history of Consents is asked by their dates, and it is said that deletions are not seen; one that does not answer changes
/// nothing, and what changed meanwhile takes effect when it does.
pub(super) async fn without_a_history_dates_are_asked_for(stack: &mut Stack) -> Result<()> {
    let source = Faulty::start(stack.upstream.base()).await?;
    let without = || source.answers("GET Consent/_history", fhir(404, br#"{"resourceType":"OperationOutcome"}"#));
    without();
    let more = json!({"poll": format!("{}ms", POLL.as_millis()), "base": source.base});
    let mut gateway = keeping(stack, "fresh-dates", &more).await?;
    let ash = Reader::new(stack, &gateway, "fresh-fir").await?;
    let admin = Admin::of(&gateway)?;
    listed(&admin, BLIND).await?;
    let consent = ash.permits("fresh-d1").await?;
    ash.becomes(200, "recorded").await?;
    ash.direct.put(&revoked(consent.clone())).await?;
    tell("asked by date", vec![ash.becomes(404, "revoked").await?]);
    ash.permits("fresh-d2").await?;
    ash.becomes(200, "another one recorded").await?;
    ash.deletes(&["Consent/fresh-d2"]).await?;
    ash.stays(200, "deleted, which nobody tells").await?;
    let output = gateway.process()?.output()?;
    let warned = output.lines().filter(|line| line.contains("has no history of Consents")).count();
    ensure!(warned == 1, "it was said {warned} times that deletions are not seen");
    ensure!(admin.measured("sealgate_consent_watch_sees_deletions").await? == 0.0, "deletions are seen, it says");

    ensure!(admin.readiness().await?.0 == 200, "readiness fails by it");
    source.answers("GET Consent", Fault::Closes);
    ash.permits("fresh-d1").await?;
    listed(&admin, "[!] consent-watch ok, but: changes past the gateway are not seen").await?;
    let failures = admin.measured("sealgate_consent_watch_failures").await?;
    ensure!(failures >= 1.0, "{failures} failures");
    ash.direct.put(&revoked(consent)).await?;
    ash.stays(200, "revoked while nobody tells").await?;
    without();
    listed(&admin, BLIND).await?;
    ash.becomes(404, "revoked, and told at last").await?;
    ash.deletes(&["Consent/fresh-d1", "Observation/fresh-fir", "Patient/fresh-fir"]).await?;
    told::silent("the log", &gateway.process()?.output()?, &["fresh-fir", "fresh-d1", "fresh-d2"])?;
    gateway.stop().await?;

    // A history that does not heed the date is none.
    let version = |id: &str, date: &str| {
        json!({"resource": {"resourceType": "Consent", "id": id, "meta": {"versionId": "1", "lastUpdated": date}},
            "request": {"method": "PUT", "url": format!("Consent/{id}")}})
    };
    let entries = [version("fresh-new", "2026-01-02T00:00:00Z"), version("fresh-old", "2026-01-01T00:00:00Z")];
    let bundle = json!({"resourceType": "Bundle", "type": "history", "entry": entries});
    source.answers("GET Consent/_history", fhir(200, bundle.to_string().as_bytes()));
    let mut gateway = keeping(stack, "fresh-undated", &more).await?;
    listed(&Admin::of(&gateway)?, BLIND).await.context("a history that does not heed the date")?;
    gateway.stop().await
}

/// How readiness says that deletions are not seen.
const BLIND: &str = "[!] consent-watch ok, but: Consents that are deleted past the gateway count until";

/// Readiness has a line that begins so.
async fn listed(admin: &Admin, begin: &str) -> Result<()> {
    until(begin, POLL + SLACK, async || {
        let (_, list) = admin.readiness().await?;
        Ok(list.lines().any(|line| line.starts_with(begin)).then_some(()))
    })
    .await
}
