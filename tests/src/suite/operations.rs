//! Operations by their table: what is served answers as the upstream where nothing is hidden, and tells of nothing that is.

#![expect(clippy::indexing_slicing, reason = "bodies of the test's own: a member that cannot be set is a failed test")]

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::able;
use super::told::{as_role, rule};
use crate::demo::cast::Role;
use crate::harness::fhir::{Answer, Fhir};
use crate::harness::stack::Stack;

const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

fn shown(answer: &Answer, from: &str, to: &str) -> String {
    let named = answer.headers.iter().filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"));
    let mut headers: Vec<String> = named.map(|(name, value)| format!("{name}: {value:?}")).collect();
    headers.sort();
    format!("{}\n{}\n{}", answer.status, headers.join("\n"), String::from_utf8_lossy(&answer.body)).replace(from, to)
}

fn same(what: &str, hidden: &Answer, never: &Answer, from: &str, to: &str) -> Result<()> {
    let (hidden, never) = (shown(hidden, from, to), shown(never, from, to));
    ensure!(hidden == never, "{what}: hidden\n{hidden}\n--- absent\n{never}");
    Ok(())
}

fn is_refused(what: &str, answer: &Answer, status: u16, expected: &str) -> Result<()> {
    let shown = String::from_utf8_lossy(&answer.body);
    ensure!(answer.status.as_u16() == status && rule(answer)? == expected, "{what}: {} {shown}", answer.status);
    Ok(())
}

async fn delete(direct: &Fhir, addresses: &[&str]) -> Result<()> {
    for address in addresses {
        Fhir::send(direct.request(Method::DELETE, address)).await?.success()?;
    }
    Ok(())
}

fn observation(subject: &str) -> Value {
    json!({"resourceType": "Observation", "status": "final", "subject": {"reference": subject},
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}})
}

/// `$meta` of what is visible is the upstream's, of what is hidden that of nothing; labels of hidden resources are told by none.
pub(super) async fn meta_is_that_of_a_read(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, as_role(stack, Role::Doctor)?);
    able::answers(&direct, "Observation/alder-bp/$meta").await?;
    let mut tagged = observation("Patient/alder");
    tagged["id"] = json!("op-meta");
    tagged["meta"] = json!({"profile": ["http://example.org/p"], "tag": [{"system": "urn:t", "code": "a"}],
        "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}]});
    direct.put(&tagged).await?;
    let mut read = Vec::new();
    for address in ["Observation/op-meta", "Patient/alder", "Organization/northfield"] {
        let path = format!("{address}/$meta");
        read.push((path.clone(), direct.read(&path).await?, doctor.read(&path).await?));
    }
    delete(&direct, &["Observation/op-meta"]).await?;
    for (path, held, received) in read {
        ensure!(held == received, "{path}: held {held}, received {received}");
    }
    let gone = doctor.get("Observation/op-meta/$meta").await?;
    same("deleted", &gone, &doctor.get("Observation/op-metb/$meta").await?, "op-meta", "op-metb")?;
    for (hidden, never) in
        [("Observation/cedar-bp", "Observation/cedar-bq"), ("Condition/birch-hiv", "Condition/birch-hiq")]
    {
        for query in ["", "?x=y", "?_elements=id"] {
            let told = doctor.get(&format!("{hidden}/$meta{query}")).await?;
            same(hidden, &told, &doctor.get(&format!("{never}/$meta{query}")).await?, hidden, never)?;
        }
    }
    Ok(())
}

/// `$validate` says what the upstream says of what it may be asked, and looks up what a body points at before it asks.
pub(super) async fn validation_tells_of_nothing_hidden(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, as_role(stack, Role::Doctor)?);
    let mut bad = observation("Patient/alder");
    bad.as_object_mut().map(|bad| bad.remove("code"));
    for body in [observation("Patient/alder"), bad] {
        for path in ["Observation/$validate", "Observation/$validate?mode=create"] {
            let (held, received) = (
                direct.write(Method::POST, path, &body).await?.success()?.json()?,
                doctor.write(Method::POST, path, &body).await?.success()?.json()?,
            );
            ensure!(held == received, "{path}: held {held}, received {received}");
        }
    }
    let wrapped = |resource: &Value, mode: &str| {
        json!({"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": resource},
            {"name": "mode", "valueCode": mode}]})
    };
    let body = wrapped(&observation("Patient/alder"), "create");
    let outcome = doctor.write(Method::POST, "Observation/$validate", &body).await?.success()?.json()?;
    ensure!(outcome["resourceType"] == "OperationOutcome", "{outcome}");
    let stored = doctor.get("Observation/alder-bp/$validate").await?.success()?.json()?;
    ensure!(stored["resourceType"] == "OperationOutcome", "{stored}");

    for path in ["Observation/$validate", "Observation/alder-bp/$validate?mode=update"] {
        let (hidden, never) = (observation("Patient/cedar"), observation("Patient/cedaq"));
        let told = doctor.write(Method::POST, path, &hidden).await?;
        let silent = doctor.write(Method::POST, path, &never).await?;
        is_refused(path, &told, 422, "reference-not-visible")?;
        same(path, &told, &silent, "cedar", "cedaq")?;
    }
    for (method, path) in
        [(Method::GET, "Observation/{}/$validate"), (Method::POST, "Observation/{}/$validate?mode=update")]
    {
        let ask = async |id: &str| match method {
            Method::GET => doctor.get(&path.replace("{}", id)).await,
            _ => doctor.write(method.clone(), &path.replace("{}", id), &observation("Patient/alder")).await,
        };
        let hidden = ask("cedar-bp").await?;
        ensure!(hidden.status == 404, "{method} {path}: {}", hidden.status);
        same(path, &hidden, &ask("cedar-bq").await?, "cedar-bp", "cedar-bq")?;
    }
    let rows = [
        ("Observation/$validate?mode=delete", observation("Patient/alder"), 400, "value-refused"),
        ("Observation/$validate?mode=create&mode=update", observation("Patient/alder"), 400, "value-refused"),
        ("Observation/$validate", wrapped(&observation("Patient/alder"), "delete"), 400, "value-refused"),
        ("Observation/$validate", json!({"resourceType": "Parameters"}), 400, "operation-body"),
        ("Condition/$validate", observation("Patient/alder"), 400, "body-other-type"),
        ("Observation/$validate", observation("Patient?identifier=x"), 400, "reference-malformed"),
    ];
    for (path, body, status, rule) in rows {
        is_refused(path, &doctor.write(Method::POST, path, &body).await?, status, rule)?;
    }
    let nothing = Fhir::send(doctor.request(Method::POST, "Observation/$validate")).await?;
    is_refused("without a body", &nothing, 400, "operation-body")?;
    let researcher = as_role(stack, Role::Researcher)?;
    let unscoped = researcher.write(Method::POST, "Observation/$validate", &observation("Patient/alder")).await?;
    is_refused("who may not create", &unscoped, 403, "scope-missing")
}

/// What a stored resource is redacted in, its validation does not tell.
pub(super) async fn redacted_is_not_validated(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, as_role(stack, Role::Doctor)?);
    let inline = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label";
    direct
        .put(&json!({"resourceType": "Encounter", "id": "op-visit", "status": "finished",
            "meta": {"security": [{"system": ACT_CODE, "code": "PROCESSINLINELABEL"}]},
            "class": {"system": ACT_CODE, "code": "AMB"}, "subject": {"reference": "Patient/birch"},
            "reasonCode": [{"extension": [{"url": inline, "valueCoding": {"system": ACT_CODE, "code": "SUD"}}], "text": "op-secret"}]}))
        .await?;
    let validated = doctor.get("Encounter/op-visit/$validate").await?;
    let meta = doctor.get("Encounter/op-visit/$meta").await?;
    let everything = doctor.get("Patient/birch/$everything?_type=Encounter").await?;
    delete(&direct, &["Encounter/op-visit"]).await?;
    is_refused("a redacted resource", &validated, 403, "redacted-image")?;
    ensure!(meta.status == 200, "$meta: {}", meta.status);
    let body = String::from_utf8_lossy(&everything.body).into_owned();
    ensure!(body.contains("op-visit") && !body.contains("op-secret"), "$everything: {body}");
    Ok(())
}

/// Terminology reads are the upstream's, by GET and by POST; what is no terminology does not pass in either direction.
pub(super) async fn terminology_is_passed_on(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, as_role(stack, Role::Doctor)?);
    let gender = "http://hl7.org/fhir/administrative-gender";
    able::answers(&direct, &format!("CodeSystem/$lookup?system={gender}&code=male")).await?;
    for path in [
        format!("CodeSystem/$lookup?system={gender}&code=male"),
        format!("CodeSystem/$validate-code?url={gender}&code=male"),
        "ConceptMap/$translate?url=http://x&code=a&system=http://y".to_owned(),
    ] {
        let (held, received) = (direct.read(&path).await?, doctor.read(&path).await?);
        ensure!(held == received, "{path}: held {held}, received {received}");
    }
    let parameters = |more: Value| {
        let code = json!({"name": "code", "valueCode": "male"});
        json!({"resourceType": "Parameters", "parameter": [{"name": "system", "valueUri": gender}, code, more]})
    };
    let version = parameters(json!({"name": "displayLanguage", "valueCode": "en"}));
    let (held, received) = (
        direct.write(Method::POST, "CodeSystem/$lookup", &version).await?,
        doctor.write(Method::POST, "CodeSystem/$lookup", &version).await?,
    );
    ensure!(held.status == 200 && held.json()? == received.success()?.json()?, "by POST it is another");
    for resource in [json!({"resourceType": "Patient"}), json!({"resourceType": "Bundle"})] {
        let body = parameters(json!({"name": "x", "resource": resource}));
        let answer = doctor.write(Method::POST, "CodeSystem/$lookup", &body).await?;
        is_refused("a body with more", &answer, 400, "operation-body")?;
    }
    for (path, status, rule) in [
        (format!("CodeSystem/$lookup?system={gender}&code=nope"), 404, "not-found"),
        ("CodeSystem/$lookup".to_owned(), 400, "operation-not-accepted"),
        (format!("CodeSystem/$lookup?system={gender}&code=male&_elements=x"), 400, "parameter-refused"),
        ("CodeSystem/op-never/$validate-code?code=x".to_owned(), 404, "not-found"),
    ] {
        is_refused(&path, &doctor.get(&path).await?, status, rule)?;
    }
    let form =
        doctor.request(Method::POST, "CodeSystem/$lookup").header("content-type", "application/xml").body("<x/>");
    is_refused("a body that is no JSON", &Fhir::send(form).await?, 415, "content-type")
}

/// The CapabilityStatement names what is served, and nothing that is not.
pub(super) async fn capabilities_name_what_is_served(stack: &mut Stack) -> Result<()> {
    let doctor = as_role(stack, Role::Doctor)?;
    able::answers(&stack.direct()?, "Observation/alder-bp/$meta").await?;
    let statement = doctor.read("metadata").await?;
    let names = |value: &Value, key: &str| -> Vec<String> {
        let list = value.as_array().into_iter().flatten();
        list.filter_map(|item| item[key].as_str().map(str::to_owned)).collect()
    };
    let rest = &statement["rest"][0];
    ensure!(
        names(&rest["interaction"], "code") == ["history-system", "transaction", "batch"],
        "{}",
        rest["interaction"]
    );
    let mut operations = Vec::new();
    for resource in rest["resource"].as_array().into_iter().flatten() {
        let kind = resource["type"].as_str().unwrap_or_default();
        for name in names(&resource["operation"], "name") {
            ensure!(!operations.contains(&format!("{kind} {name}")), "{kind} {name} stands twice");
            operations.push(format!("{kind} {name}"));
        }
        if kind == "Observation" {
            let codes = names(&resource["interaction"], "code");
            ensure!(
                codes.contains(&"history-instance".to_owned()) && codes.contains(&"history-type".to_owned()),
                "{codes:?}"
            );
        }
    }
    for served in
        ["Patient everything", "Patient break-glass", "Observation meta", "Observation validate", "CodeSystem lookup"]
    {
        ensure!(operations.iter().any(|name| name == served), "{served} is missing in {operations:?}");
    }
    for other in ["expunge", "meta-add", "lastn", "merge", "export"] {
        let promised = operations.iter().find(|name| name.ends_with(&format!(" {other}")));
        ensure!(promised.is_none(), "{promised:?} is promised");
    }
    Ok(())
}
