//! JSON Patch: what comes of it is decided on like an update, and neither tests nor failures tell of what is hidden.

#![expect(clippy::indexing_slicing, reason = "bodies of the test's own: a member that cannot be set is a failed test")]

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::leaks::{absent, altered, caller, delete, label, observation, same};
use super::told::{self, end, of_kind};
use crate::demo::cast::Role;
use crate::harness::fhir::{Answer, Fhir};
use crate::harness::stack::Stack;

const PATCH: &str = "application/json-patch+json";

pub(super) async fn patch(caller: &Fhir, address: &str, operations: impl ToString) -> Result<Answer> {
    let request = caller.request(Method::PATCH, address).header("content-type", PATCH);
    Fhir::send(request.body(operations.to_string())).await
}

/// Status and rule of a refusal.
pub(super) fn is(what: &str, answer: &Answer, status: u16, rule: &str) -> Result<()> {
    let shown = String::from_utf8_lossy(&answer.body);
    ensure!(answer.status.as_u16() == status, "{what}: {} {shown}", answer.status);
    ensure!(told::rule(answer)? == rule, "{what}: {shown}");
    Ok(())
}

/// What is stored is the resource with the patch and nothing else changed, numbers as they were written.
pub(super) async fn what_is_decided_is_stored(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let body = r#"{"resourceType":"Observation","id":"patch-a","status":"preliminary","code":{"text":"x"},"subject":{"reference":"Patient/alder"},
        "valueQuantity":{"value":1.00,"unit":"mg"},"component":[{"code":{"text":"y"},"valueQuantity":{"value":0.10}}]}"#;
    let put =
        direct.request(Method::PUT, "Observation/patch-a").header("content-type", "application/fhir+json").body(body);
    Fhir::send(put).await?.success()?;
    let before = direct.read("Observation/patch-a").await?;
    let version = before.pointer("/meta/versionId").and_then(Value::as_str).context("no version")?;
    let subject = format!("{}/Patient/alder", stack.gateway()?.url);
    let operations = json!([
        {"op": "test", "path": "/valueQuantity/value", "value": 1.0},
        {"op": "test", "path": "/meta/versionId", "value": version},
        {"op": "replace", "path": "/status", "value": "final"},
        {"op": "add", "path": "/note", "value": [{"text": "p"}]},
        {"op": "copy", "from": "/valueQuantity", "path": "/component/0/valueQuantity"},
        {"op": "replace", "path": "/subject/reference", "value": subject},
    ]);
    let answer = patch(&doctor, "Observation/patch-a", operations).await?.success()?;
    let stored = direct.get("Observation/patch-a").await?;
    let (echo, text) = (answer.json()?, String::from_utf8_lossy(&stored.body).into_owned());
    let after = stored.json()?;
    delete(&direct, &["Observation/patch-a"]).await?;
    ensure!(text.matches("1.00").count() == 2, "numbers were printed anew: {text}");
    ensure!(after.get("status") == Some(&json!("final")), "{text}");
    ensure!(
        after.pointer("/subject/reference") == Some(&json!("Patient/alder")) || text.contains("/Patient/alder"),
        "{text}"
    );
    ensure!(after.pointer("/note/0/text") == Some(&json!("p")), "{text}");
    ensure!(echo.pointer("/meta/versionId") == after.pointer("/meta/versionId"), "{echo}");
    let events = told::openings(stack.gateway()?, told::request_id(&answer)?).await?.context("no events")?;
    let request = of_kind(&events, "request").next().context("no request event")?;
    ensure!(
        request.get("interaction") == Some(&json!("patch")) && request.get("phase") == Some(&json!("intent")),
        "{request}"
    );
    ensure!(end(&events) == Some("complete"), "{events:?}");
    ensure!(of_kind(&events, "disclosure").any(|d| d.pointer("/resources/0/digest").is_some()), "{events:?}");
    Ok(())
}

/// A patch of what is hidden answers as one of what never was, whatever it tests, and however wrong it is.
pub(super) async fn hidden_patches_as_absent(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let patches = [
        json!([{"op": "test", "path": "/resourceType", "value": "Observation"}]),
        json!([{"op": "test", "path": "/nothing", "value": 1}]),
        json!([{"op": "remove", "path": "/nothing"}]),
        json!([{"op": "replace", "path": "/status", "value": "final"}]),
        json!([{"op": "remove", "path": ""}]),
        json!({}),
    ];
    for address in ["Observation/cedar-bp", "Patient/cedar", "Condition/birch-hiv", "Consent/cedar-opt-out"] {
        let never = absent(address);
        let stored = direct.read(address).await?;
        for operations in &patches {
            for version in [None, Some("W/\"1\""), Some("W/\"9\"")] {
                let ask = async |address: &str| {
                    let mut request = doctor.request(Method::PATCH, address).header("content-type", PATCH);
                    if let Some(version) = version {
                        request = request.header("if-match", version);
                    }
                    Fhir::send(request.body(operations.to_string())).await
                };
                let hidden = ask(address).await?;
                same(&format!("{address} {operations}"), &hidden, &ask(&never).await?, address, &never)?;
                ensure!(hidden.status.is_client_error(), "{address}: {}", hidden.status);
            }
        }
        ensure!(direct.read(address).await? == stored, "{address} was changed");
    }
    Ok(())
}

/// No test finds out what is redacted, nor what the caller's scopes do not let him read.
pub(super) async fn tests_tell_nothing_of_what_is_redacted(stack: &mut Stack) -> Result<()> {
    let direct = stack.direct()?;
    let stored = direct.read("Patient/dogwood").await?;
    let family = stored.pointer("/name/0/family").context("a name")?;
    let researcher = altered(stack, Role::Researcher, &json!({"scope": "user/Patient.rus"}))?;
    let blind = altered(stack, Role::Doctor, &json!({"scope": "user/Patient.us user/Observation.us"}))?;
    let read = researcher.get("Patient/dogwood").await?;
    ensure!(read.status == 200 && read.json()?.get("name").is_none(), "not redacted: {}", read.status);
    let right = json!([{"op": "test", "path": "/name/0/family", "value": family}]);
    let wrong = json!([{"op": "test", "path": "/name/0/family", "value": "x"}]);
    let gone = json!([{"op": "remove", "path": "/name"}]);
    let first = patch(&researcher, "Patient/dogwood", &right).await?;
    is("a test of what is redacted", &first, 403, "redacted-image")?;
    for operations in [&wrong, &gone] {
        same("tests", &patch(&researcher, "Patient/dogwood", operations).await?, &first, "", "")?;
    }
    for operations in [&right, &wrong, &gone] {
        is("without r", &patch(&blind, "Patient/alder", operations).await?, 403, "scope-missing")?;
    }
    ensure!(direct.read("Patient/dogwood").await? == stored, "it was changed");
    Ok(())
}

/// Whatever an update may not do, a patch may not.
pub(super) async fn patches_are_guarded_as_updates(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let mut labelled = observation("patch-g", "alder");
    labelled["meta"] = label("PSY");
    direct.put(&labelled).await?;
    let stored = direct.read("Observation/patch-g").await?;
    let point = |address: &str| json!([{"op": "add", "path": "/focus", "value": [{"reference": address}]}]);
    let rows = [
        (
            "to another patient",
            json!([{"op": "replace", "path": "/subject/reference", "value": "Patient/birch"}]),
            403,
            "owner-change",
        ),
        ("to nobody", json!([{"op": "remove", "path": "/subject"}]), 403, "owner-change"),
        ("unlabelled", json!([{"op": "remove", "path": "/meta/security"}]), 403, "labels-weakened"),
        ("without meta", json!([{"op": "remove", "path": "/meta"}]), 403, "labels-weakened"),
        ("another id", json!([{"op": "replace", "path": "/id", "value": "cedar-bp"}]), 400, "body-other-id"),
        (
            "another type",
            json!([{"op": "replace", "path": "/resourceType", "value": "Condition"}]),
            400,
            "body-other-type",
        ),
        ("all of it", json!([{"op": "replace", "path": "", "value": []}]), 400, "body-not-fhir"),
        ("a search", point("Patient?_id=cedar"), 400, "reference-malformed"),
        (
            "a test",
            json!([{"op": "replace", "path": "/status", "value": "amended"}, {"op": "test", "path": "/status", "value": "final"}]),
            422,
            "patch-test-failed",
        ),
        (
            "nowhere",
            json!([{"op": "replace", "path": "/status", "value": "amended"}, {"op": "remove", "path": "/x"}]),
            422,
            "patch-not-applicable",
        ),
        ("no operation", json!([]), 400, "patch-malformed"),
        ("an object", json!({"op": "remove", "path": "/status"}), 400, "patch-malformed"),
        ("too many", json!(vec![json!({"op": "test", "path": "/id", "value": "patch-g"}); 65]), 413, "patch-too-long"),
    ];
    let mut answers = Vec::new();
    for (what, operations, status, rule) in rows {
        answers.push((what, patch(&doctor, "Observation/patch-g", operations).await?, status, rule));
    }
    let hidden = patch(&doctor, "Observation/patch-g", point("Observation/cedar-bp")).await?;
    let never = patch(&doctor, "Observation/patch-g", point("Observation/cedar-bq")).await?;
    let request = doctor.request(Method::PATCH, "Observation/patch-g").header("content-type", PATCH);
    let stale = json!([{"op": "replace", "path": "/status", "value": "amended"}]).to_string();
    let stale = Fhir::send(request.header("if-match", "W/\"77\"").body(stale)).await?;
    let parameters = json!({"resourceType": "Parameters"});
    let fhirpath = doctor.write(Method::PATCH, "Observation/patch-g", &parameters).await?;
    let unchanged = direct.read("Observation/patch-g").await? == stored;
    delete(&direct, &["Observation/patch-g"]).await?;
    for (what, answer, status, rule) in answers {
        is(what, &answer, status, rule)?;
    }
    is("pointing at what is hidden", &hidden, 422, "reference-not-visible")?;
    same("pointing", &hidden, &never, "cedar-bp", "cedar-bq")?;
    is("another version", &stale, 412, "version-conflict")?;
    is("FHIRPath Patch", &fhirpath, 501, "not-served")?;
    ensure!(unchanged, "it was changed");
    Ok(())
}
