//! Writes whose upstream answers wrongly or not at all: what is known of their end is told and recorded, and no more.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::faulty::{Fault, Faulty, fhir, http};
use super::told::{self, OPEN, Refusal, held, of_kind, refusal};
use super::wrong_answers::{MARKER, Wrong, claiming, complaint};
use crate::demo::cast::Role;
use crate::harness::fhir::{Answer, Fhir, address};
use crate::harness::gateway::Gateway;
use crate::harness::stack::Stack;

/// A write whose answer is wrong or missing, and how it must end.
struct Ending {
    what: &'static str,
    fault: Fault,
    told: Refusal,
    end: &'static str,
}

/// Writes whose answer is wrong or missing: the intent is on record, the end is told as far as it is known, and nothing
/// is said to be stored. Where the end is not known, the record says which patient and which version it was about.
pub(super) async fn writes_end_on_record(stack: &mut Stack) -> Result<()> {
    let mut wrong = Wrong::start(stack, "wrong-writes", &json!({})).await?;
    let direct = stack.direct()?;
    let good = direct.read(OPEN).await?;
    let html = http(200, &[("content-type", "text/html")], MARKER.as_bytes(), MARKER.len());
    let half = format!(r#"{{"resourceType":"Observation","note":"{MARKER}"#);
    let other = r#"{"resourceType":"Observation","id":"zq7393marker","status":"final"}"#;
    let (failed, unknown) = ("upstream-failed", "unknown");
    let lost = refusal(502, "write-unknown");
    let row = |what, fault, told, end| Ending { what, fault, told, end };
    let rows = [
        // The server said that it did nothing.
        row("400", fhir(400, &complaint()), refusal(422, "upstream-refused"), failed),
        row("422", fhir(422, &complaint()), refusal(422, "upstream-refused"), failed),
        row("409", fhir(409, &complaint()), refusal(409, "upstream-conflict"), failed),
        row("412", fhir(412, &complaint()), refusal(409, "upstream-conflict"), failed),
        row("500", fhir(500, &complaint()), refusal(502, "upstream-failed"), failed),
        row("307", fhir(307, b""), refusal(502, "upstream-failed"), failed),
        // Sent and lost.
        row("no answer", Fault::Closes, lost, unknown),
        row("silence", Fault::SaysAndHangs(Vec::new()), refusal(504, "write-unknown"), unknown),
        row("no HTTP", Fault::Says(b"SSH-2.0-zq7393marker\r\n".to_vec()), lost, unknown),
        row("502", fhir(502, &complaint()), lost, unknown),
        row("504", fhir(504, &complaint()), refusal(504, "write-unknown"), unknown),
        row("202", fhir(202, b""), lost, unknown),
        row("done and no answer", Fault::DoesAndCloses, lost, unknown),
        // Answered, and the answer does not tell what is stored.
        row("HTML", Fault::Says(html), lost, unknown),
        row("half", fhir(200, half.as_bytes()), lost, unknown),
        row(
            "half and silence",
            Fault::SaysAndHangs(claiming(half.as_bytes(), 1000)),
            refusal(504, "write-unknown"),
            unknown,
        ),
        row("an OperationOutcome", fhir(200, &complaint()), lost, unknown),
        row("another resource", fhir(200, other.as_bytes()), lost, unknown),
    ];
    for Ending { what, fault, told: expected, end } in rows {
        let before = direct.read(OPEN).await?;
        wrong.upstream.answers("PUT Observation/alder-bp", fault);
        let answer = wrong.doctor.write(Method::PUT, OPEN, &good).await.context(what)?;
        wrong.upstream.behaves();
        wrong.ended(what, &answer, expected, end, Some(&before)).await.context(what)?;
        ensure!(held(&direct, OPEN).await?.0.is_success(), "{what}: the resource has gone");
        if what.starts_with(['4', '5']) {
            let (log, id) = (wrong.gateway.process()?.output()?, told::request_id(&answer)?.to_string());
            let told = |line: &str| line.contains(&id) && line.contains("codes=\"processing\"");
            ensure!(log.lines().any(told), "{what}: the log does not tell the kinds of reasons under {id}");
        }
    }
    ensure!(direct.read(OPEN).await?.get("subject") == good.get("subject"), "another resource is stored");
    // A delete and a create: of what was to be made there is no name yet, but whose it was to be is known.
    let mut made = good.clone();
    if let Some(made) = made.as_object_mut() {
        made.remove("id");
    }
    wrong.upstream.answers("POST Observation", Fault::Closes);
    let answer = wrong.doctor.write(Method::POST, "Observation", &made).await?;
    wrong.ended("create", &answer, lost, unknown, None).await?;
    direct.put(&json!({"resourceType": "Observation", "id": "zq-gone", "status": "final", "code": {"text": "x"}, "subject": {"reference": "Patient/alder"}})).await?;
    let before = direct.read("Observation/zq-gone").await?;
    wrong.upstream.answers("DELETE Observation/zq-gone", Fault::DoesAndCloses);
    let answer = Fhir::send(wrong.doctor.request(Method::DELETE, "Observation/zq-gone")).await?;
    wrong.upstream.behaves();
    wrong.ended("delete", &answer, lost, unknown, Some(&before)).await?;
    ensure!(!held(&direct, "Observation/zq-gone").await?.0.is_success(), "the delete was carried out");
    // Nobody listens when the write is to be sent: it was not. (What it is decided on was read a moment before.)
    told::serves(&wrong.doctor).await?;
    wrong.upstream.answers("GET Observation/alder-bp", Fault::AnswersAndIsGone);
    let answer = wrong.doctor.write(Method::PUT, OPEN, &good).await?;
    wrong.upstream.down().await;
    wrong.upstream.up().await?;
    wrong.upstream.behaves();
    wrong.ended("not sent", &answer, refusal(502, "upstream-unreachable"), failed, None).await?;
    told::serves(&wrong.doctor).await?;
    wrong.end().await
}

impl Wrong {
    /// The client was told this, the intent is on record, and so is this end.
    async fn ended(
        &self,
        what: &str,
        answer: &Answer,
        expected: Refusal,
        end: &str,
        before: Option<&Value>,
    ) -> Result<()> {
        let shown = String::from_utf8_lossy(&answer.body).into_owned();
        told::silent("the answer", &shown, &[MARKER])?;
        ensure!(answer.status.as_u16() == expected.status, "{what}: answered {} {shown}", answer.status);
        ensure!(told::rule(answer)? == expected.rule, "{what}: {shown}");
        let events = told::openings(&self.gateway, told::request_id(answer)?).await?.context("no events")?;
        let request = of_kind(&events, "request").next().context("no request event")?;
        ensure!(request.get("phase") == Some(&json!("intent")), "{what}: {request}");
        ensure!(told::end(&events) == Some(end), "{what}: it ended {:?}", told::end(&events));
        let disclosures: Vec<&Value> = of_kind(&events, "disclosure").collect();
        if end != "unknown" {
            ensure!(disclosures.is_empty(), "{what}: nothing was written: {disclosures:?}");
            return Ok(());
        }
        let [disclosure] = disclosures.as_slice() else { bail!("{what}: {disclosures:?}") };
        ensure!(disclosure.get("patient") == Some(&json!("Patient/alder")), "{what}: {disclosure}");
        ensure!(disclosure.get("rule") == Some(&json!("write-unknown")), "{what}: {disclosure}");
        let resources = disclosure.get("resources").and_then(Value::as_array).context("no resources")?;
        match (before, resources.as_slice()) {
            (None, []) => Ok(()),
            (Some(before), [resource]) => {
                let address = address(before).context("an address")?;
                let version = before.pointer("/meta/versionId");
                ensure!(resource.get("reference") == Some(&json!(address)), "{what}: {resource}");
                ensure!(resource.get("version") == version, "{what}: {resource}, was {version:?}");
                ensure!(resource.get("digest").is_none(), "{what}: a digest of what is not known");
                Ok(())
            }
            _ => bail!("{what}: {disclosure}"),
        }
    }
}

/// A write that was carried out is told and recorded as that, also where its echo cannot be decided on any more.
pub(super) async fn a_write_without_its_echo_is_complete(stack: &mut Stack) -> Result<()> {
    let upstream = Faulty::start(stack.upstream.base()).await?;
    let consents = Faulty::start(stack.upstream.base()).await?;
    let more = json!({"consent_source": {"base": consents.base, "danger_plain_http": true, "max_staleness": "200ms"}});
    let mut gateway = Gateway::start(told::second(stack, "no-echo", &upstream.base, &more)?).await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let good = stack.direct()?.read(OPEN).await?;
    upstream.answers("PUT Observation/alder-bp", Fault::Late(Duration::from_millis(1200)));
    let (answer, sent) = tokio::join!(
        doctor.write(Method::PUT, OPEN, &good),
        told::until("the write is sent", Duration::from_secs(20), async || {
            let sent = upstream.seen().iter().any(|line| line.starts_with("PUT "));
            // From now on the Consents cannot be had, and those at hand are too old when the answer comes.
            sent.then(|| consents.answers("GET Consent", fhir(500, b"")));
            Ok(sent.then_some(()))
        })
    );
    sent?;
    let answer = answer?;
    consents.behaves();
    upstream.behaves();
    ensure!(answer.status == 200 && answer.body.is_empty(), "{} {:?}", answer.status, answer.body);
    let events = told::openings(&gateway, told::request_id(&answer)?).await?.context("no events")?;
    ensure!(told::end(&events) == Some("complete"), "it ended {:?}", told::end(&events));
    let resources = of_kind(&events, "disclosure").filter_map(|event| event.pointer("/resources/0/digest"));
    ensure!(resources.count() == 1, "what is stored is not on record: {events:?}");
    gateway.stop().await
}

/// Without an ETag the version in the resource guards an update; without a version there is none.
pub(super) async fn updates_are_guarded_without_etag(stack: &mut Stack) -> Result<()> {
    let wrong = Wrong::start(stack, "no-etag", &json!({})).await?;
    let direct = stack.direct()?;
    let name = "Observation/zq-guard";
    let resource = |text: &str| json!({"resourceType": "Observation", "id": "zq-guard", "status": "final", "code": {"text": text}, "subject": {"reference": "Patient/alder"}});
    direct.put(&resource("one")).await?;
    let first = wrong.said(stack, name).await?;
    direct.put(&resource("two")).await?;
    let second = wrong.said(stack, name).await?;
    let mut versionless: Value = serde_json::from_str(&second)?;
    if let Some(meta) = versionless.get_mut("meta").and_then(Value::as_object_mut) {
        meta.remove("versionId");
    }
    let versionless = versionless.to_string();
    let mut answers = Vec::new();
    // HAPI passes over the If-Match of a delete, so that of an update is tried.
    for (method, what, stored, expected) in [
        (Method::PUT, "an older version", &first, refusal(409, "upstream-conflict")),
        (Method::PUT, "no version", &versionless, refusal(502, "upstream-unversioned")),
        (Method::DELETE, "no version", &versionless, refusal(502, "upstream-unversioned")),
    ] {
        wrong.upstream.answers(&format!("GET {name}"), fhir(200, stored.as_bytes()));
        wrong.upstream.seen();
        let request = wrong.doctor.request(method.clone(), name).header("content-type", "application/fhir+json");
        let answer = Fhir::send(request.body(resource("three").to_string())).await?;
        let written = wrong.upstream.seen().iter().filter(|line| !line.starts_with("GET")).count();
        answers.push((format!("{method} {what}"), answer, expected, written));
    }
    let unchanged = direct.read(name).await?;
    wrong.upstream.answers(&format!("GET {name}"), fhir(200, second.as_bytes()));
    let updated = wrong.doctor.write(Method::PUT, name, &resource("three")).await?;
    wrong.upstream.behaves();
    Fhir::send(direct.request(Method::DELETE, name)).await?.success()?;
    ensure!(unchanged.pointer("/code/text") == Some(&json!("two")), "it was overwritten");
    for (what, answer, expected, written) in answers {
        ensure!(answer.status.as_u16() == expected.status, "{what}: {}", answer.status);
        ensure!(told::rule(&answer)? == expected.rule, "{what}: {}", told::rule(&answer)?);
        ensure!(written == usize::from(expected.status == 409), "{what}: {written} writes were sent");
    }
    ensure!(updated.status == 200, "with the version that is stored: {}", updated.status);
    wrong.end().await
}
