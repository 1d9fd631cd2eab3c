//! Attacks on records by who may write some: to move them, to unlabel them, to write past a condition, to change what
//! decisions are made from, to take traces away.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ACT_CODE, absent, caller, delete, label, observation, same, stripped};
use crate::demo::cast::Role;
use crate::harness::fhir::{Answer, Fhir};
use crate::harness::stack::Stack;
use crate::suite::told::{self, with_headers};

const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";

fn is_refused(what: &str, answer: &Answer, status: u16, rule: &str) -> Result<()> {
    let shown = String::from_utf8_lossy(&answer.body);
    ensure!(answer.status.as_u16() == status, "{what}: {} {shown}", answer.status);
    ensure!(told::rule(answer)? == rule, "{what}: {shown}");
    Ok(())
}

/// A record stays its patient's, whoever the new one would be and however he is named.
pub(in crate::suite) async fn records_stay_with_their_patient(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let gateway = stack.gateway()?.url.clone();
    direct.put(&observation("leak-move", "alder")).await?;
    let stored = direct.read("Observation/leak-move").await?;
    let put = async |changed: &Value| doctor.write(Method::PUT, "Observation/leak-move", changed).await;
    let subject = |subject: Value| {
        let mut changed = observation("leak-move", "alder");
        changed["subject"] = subject;
        changed
    };
    let mut answers = Vec::new();
    for who in ["juniper", "cedar", "cedaq"] {
        for reference in
            [format!("Patient/{who}"), format!("{gateway}/Patient/{who}"), format!("Patient/{who}/_history/1")]
        {
            answers.push((format!("to {reference}"), put(&subject(json!({"reference": reference}))).await?));
        }
        let mut joined = observation("leak-move", "alder");
        joined["contained"] =
            json!([{"resourceType": "Condition", "id": "c", "subject": {"reference": format!("Patient/{who}")}}]);
        joined["focus"] = json!([{"reference": "#c"}]);
        answers.push((format!("shared with {who}"), put(&joined).await?));
    }
    for (what, other) in [
        ("nobody", Value::Null),
        ("an identifier", json!({"identifier": {"system": "urn:x", "value": "1"}})),
        ("a group", json!({"reference": "Group/leak"})),
        ("another server's", json!({"reference": "https://other.example.org/fhir/Patient/alder"})),
    ] {
        let mut changed = subject(other);
        if let Some(changed) = changed.as_object_mut() {
            changed.retain(|_, value| !value.is_null());
        }
        answers.push((what.to_owned(), put(&changed).await?));
    }
    let after = direct.read("Observation/leak-move").await?;
    delete(&direct, &["Observation/leak-move"]).await?;
    ensure!(after == stored, "it was changed");
    for (what, answer) in &answers {
        is_refused(what, answer, 403, "owner-change")?;
    }
    Ok(())
}

/// A label stays, however it is to go: left out, replaced by a lower one, put under another system or elsewhere.
pub(in crate::suite) async fn labels_stay(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let restricted = json!({"system": CONFIDENTIALITY, "code": "R"});
    let psy = json!({"system": ACT_CODE, "code": "PSY"});
    let mut stored = observation("leak-label", "alder");
    stored["meta"] = json!({"security": [restricted, psy]});
    direct.put(&stored).await?;
    let before = direct.read("Observation/leak-label").await?;
    let put = async |meta: Option<Value>| {
        let mut changed = observation("leak-label", "alder");
        if let Some(meta) = meta {
            changed["meta"] = meta;
        }
        doctor.write(Method::PUT, "Observation/leak-label", &changed).await
    };
    let normal = json!({"system": CONFIDENTIALITY, "code": "N"});
    let mut answers = Vec::new();
    for (what, meta) in [
        ("without meta", None),
        ("without labels", Some(json!({"security": []}))),
        ("with one of two", Some(json!({"security": [restricted]}))),
        ("with a lower one", Some(json!({"security": [normal, psy]}))),
        ("under another system", Some(json!({"security": [{"system": "urn:x", "code": "R"}, psy]}))),
        ("under none", Some(json!({"security": [{"code": "R"}, psy]}))),
        ("as tags", Some(json!({"tag": [restricted, psy]}))),
        ("in other letters", Some(json!({"security": [{"system": CONFIDENTIALITY, "code": "r"}, psy]}))),
    ] {
        answers.push((what, put(meta).await?));
    }
    let after = direct.read("Observation/leak-label").await?;
    // A lower one beside it takes nothing away: the higher one counts.
    let more = put(Some(json!({"security": [restricted, psy, normal]}))).await?;
    delete(&direct, &["Observation/leak-label"]).await?;
    ensure!(after == before, "it was changed");
    for (what, answer) in &answers {
        ensure!(answer.status.is_client_error(), "{what}: {}", answer.status);
        if !matches!(*what, "without labels") {
            is_refused(what, answer, 403, "labels-weakened")?;
        }
    }
    ensure!(more.status == 200, "with one more: {}", more.status);
    Ok(())
}

/// A condition on a write holds or the write is refused; it never tells of what is hidden.
pub(in crate::suite) async fn conditions_tell_nothing(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    direct.put(&observation("leak-if", "alder")).await?;
    let before = direct.read("Observation/leak-if").await?;
    let version = before.pointer("/meta/versionId").and_then(Value::as_str).context("no version")?.to_owned();
    let send = async |method: &Method, path: &str, headers: &[(&str, &str)]| {
        let mut request = doctor.request(method.clone(), path).header("content-type", "application/fhir+json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let id = path.rsplit('/').next().unwrap_or_default();
        Fhir::send(request.body(observation(id, "alder").to_string())).await
    };
    let since = "Sat, 01 Jan 2000 00:00:00 GMT";
    let conditions = [
        ("if-none-match", "*"),
        ("if-none-match", "W/\"1\""),
        ("if-unmodified-since", since),
        ("if-modified-since", since),
    ];
    let mut refused = Vec::new();
    for method in [Method::PUT, Method::DELETE] {
        for condition in conditions {
            let visible = send(&method, "Observation/leak-if", &[condition]).await?;
            let hidden = send(&method, "Observation/cedar-bp", &[condition]).await?;
            let never = send(&method, "Observation/cedar-bq", &[condition]).await?;
            same(&format!("{method} {condition:?}"), &hidden, &never, "cedar-bp", "cedar-bq")?;
            refused.push((format!("{method} {condition:?}"), visible, "precondition-refused", 400));
        }
    }
    // What is hidden keeps nobody from creating what he may create: it is not there (ADR 0048).
    for criteria in ["_id=cedar-bp", "_id=cedar-bq", "subject=Patient/cedar"] {
        let answer = send(&Method::POST, "Observation", &[("if-none-exist", criteria)]).await?;
        ensure!(answer.status == 201, "if-none-exist {criteria}: {}", answer.status);
        let made: Value = serde_json::from_slice(&answer.body)?;
        let id = made.get("id").and_then(Value::as_str).context("nothing was created")?;
        delete(&direct, &[&format!("Observation/{id}")]).await?;
    }
    for known in ["\"0\"", "W/\"99\"", "x", "W/\"98\", W/\"99\""] {
        let answer = send(&Method::PUT, "Observation/leak-if", &[("if-match", known)]).await?;
        refused.push((format!("if-match {known}"), answer, "version-conflict", 412));
    }
    let unchanged = direct.read("Observation/leak-if").await?;
    let mut good = vec![("*", send(&Method::PUT, "Observation/leak-if", &[("if-match", "*")]).await?)];
    let now = direct.read("Observation/leak-if").await?;
    let version_now = now.pointer("/meta/versionId").and_then(Value::as_str).unwrap_or(&version).to_owned();
    let tag = format!("W/\"{version_now}\"");
    good.push(("the version", send(&Method::PUT, "Observation/leak-if", &[("if-match", &tag)]).await?));
    delete(&direct, &["Observation/leak-if"]).await?;
    for (what, answer, rule, status) in &refused {
        is_refused(what, answer, *status, rule)?;
    }
    ensure!(unchanged == before, "it was changed");
    for (what, answer) in good {
        ensure!(answer.status == 200, "if-match {what}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
    }
    Ok(())
}

/// A create under the id of something hidden answers as under an id that nothing has.
pub(in crate::suite) async fn ids_of_creates_tell_nothing(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let before = direct.read("Observation/cedar-bp").await?;
    let mut told = Vec::new();
    for id in ["cedar-bp", "cedar-bq"] {
        let answer = doctor.write(Method::POST, "Observation", &observation(id, "alder")).await?;
        if answer.status == 201 {
            let made = answer.json()?.get("id").and_then(Value::as_str).context("no id")?.to_owned();
            ensure!(made != id, "a client chose the id of a create");
            delete(&direct, &[&format!("Observation/{made}")]).await?;
        }
        told.push(answer.status);
    }
    ensure!(direct.read("Observation/cedar-bp").await? == before, "a hidden record was overwritten");
    let [hidden, never] = told[..] else { anyhow::bail!("two answers") };
    ensure!(hidden == never, "under a hidden id: {hidden}, under no id: {never}");
    Ok(())
}

/// Searches are what Consents are found by: nobody redefines one; and nobody changes a record of who did what.
pub(in crate::suite) async fn foundations_are_not_written(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let parameter = json!({"resourceType": "SearchParameter", "url": "http://hl7.org/fhir/SearchParameter/clinical-patient",
        "name": "patient", "status": "active", "description": "x", "code": "patient", "base": ["Consent"], "type": "reference",
        "expression": "Consent.performer", "target": ["Patient"]});
    let created = doctor.write(Method::POST, "SearchParameter", &parameter).await?;
    if created.status == 201 {
        let id = created.json()?.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        delete(&direct, &[&format!("SearchParameter/{id}")]).await?;
    }
    is_refused("a SearchParameter", &created, 403, "write-not-permitted")?;
    told::audit_events_are_taken(&direct).await?;
    let event = json!({"resourceType": "AuditEvent", "id": "leak-audit", "recorded": "2026-01-01T00:00:00Z",
        "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
        "agent": [{"requestor": true, "who": {"reference": "Practitioner/okafor"}}],
        "source": {"observer": {"display": "x"}}, "entity": [{"what": {"reference": "Patient/alder"}}]});
    direct.put(&event).await?;
    let read = doctor.get("AuditEvent/leak-audit").await?;
    let changed = doctor.write(Method::PUT, "AuditEvent/leak-audit", &event).await?;
    let gone = with_headers(&doctor, Method::DELETE, "AuditEvent/leak-audit", &[]).await?;
    let kept = direct.get("AuditEvent/leak-audit").await?;
    delete(&direct, &["AuditEvent/leak-audit"]).await?;
    ensure!(read.status == 200, "an AuditEvent of an open patient: {}", read.status);
    is_refused("an AuditEvent changed", &changed, 403, "write-not-permitted")?;
    is_refused("an AuditEvent deleted", &gone, 403, "write-not-permitted")?;
    ensure!(kept.status == 200, "it has gone");
    Ok(())
}

/// A Consent for somebody else is refused however he is named in it, and tells nothing of him.
pub(in crate::suite) async fn consents_for_others_in_disguise(stack: &mut Stack) -> Result<()> {
    let patient = caller(stack, Role::Patient)?;
    let gateway = stack.gateway()?.url.clone();
    let consent = |who: Value| {
        let mut consent = crate::demo::consents::permits_treatment("x", "Patient/alder", "Organization/lakeside");
        if let Some(consent) = consent.as_object_mut() {
            consent.remove("id");
        }
        consent["patient"] = who;
        consent
    };
    for who in ["Patient/birch", "Patient/cedar"] {
        let never = absent(who);
        let named = |who: &str| {
            [
                json!({"reference": who}),
                json!({"reference": format!("{who}/_history/1")}),
                json!({"reference": format!("{gateway}/{who}")}),
                json!({"reference": who, "type": "Patient", "display": "Maya Alder"}),
                json!([{"reference": "Patient/alder"}, {"reference": who}]),
                json!({"reference": format!("{}?_id={}", "Patient", who.trim_start_matches("Patient/"))}),
                json!({"identifier": {"system": "urn:x", "value": who}}),
            ]
        };
        for (there, nobody) in named(who).into_iter().zip(named(&never)) {
            let what = there.to_string();
            let there = patient.write(Method::POST, "Consent", &consent(there)).await?;
            let nobody = patient.write(Method::POST, "Consent", &consent(nobody)).await?;
            ensure!(there.status.is_client_error(), "{what}: {}", there.status);
            same(&what, &there, &nobody, who, &never)?;
        }
    }
    // One's own Consent stays one's own.
    let direct = stack.direct()?;
    let own = stripped(direct.read("Consent/alder-treatment").await?);
    for who in ["Patient/birch", "Patient/birch/_history/1", "Patient/cedaq"] {
        let mut moved = own.clone();
        moved["patient"] = json!({"reference": who});
        let answer = patient.write(Method::PUT, "Consent/alder-treatment", &moved).await?;
        is_refused(who, &answer, 403, "owner-change")?;
    }
    Ok(())
}

/// A record that is labelled so that it is hidden cannot be had by writing it under another label.
pub(in crate::suite) async fn hidden_records_are_not_relabelled(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let mut stored = observation("leak-relabel", "birch");
    stored["meta"] = label("HIV");
    direct.put(&stored).await?;
    let before = direct.read("Observation/leak-relabel").await?;
    let read = doctor.get("Observation/leak-relabel").await?;
    let mut answers = Vec::new();
    for meta in [Value::Null, label("HIV"), json!({"security": [{"system": CONFIDENTIALITY, "code": "U"}]})] {
        for id in ["leak-relabel", "leak-relabeq"] {
            let mut changed = observation(id, "birch");
            if !meta.is_null() {
                changed["meta"] = meta.clone();
            }
            answers.push(doctor.write(Method::PUT, &format!("Observation/{id}"), &changed).await?);
        }
    }
    let after = direct.read("Observation/leak-relabel").await?;
    delete(&direct, &["Observation/leak-relabel"]).await?;
    ensure!(read.status == 404, "it is not hidden: {}", read.status);
    ensure!(after == before, "it was changed");
    for pair in answers.chunks(2) {
        let [hidden, never] = pair else { anyhow::bail!("pairs") };
        same("relabelled", hidden, never, "leak-relabel", "leak-relabeq")?;
    }
    Ok(())
}
