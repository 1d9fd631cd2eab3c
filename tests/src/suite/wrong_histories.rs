//! Histories, records and operations of an upstream that answers with what nobody asked for: nothing of it gets out.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::faulty::{Fault, Faulty, fhir};
use super::told::{self, Caller, as_role, refusal, refused};
use crate::demo::cast::Role;
use crate::harness::fhir::Fhir;
use crate::harness::gateway::Gateway;
use crate::harness::stack::Stack;

struct Wrong {
    gateway: Gateway,
    upstream: Faulty,
    doctor: Fhir,
}

async fn start(stack: &Stack, name: &str) -> Result<Wrong> {
    let upstream = Faulty::start(stack.upstream.base()).await?;
    let gateway = Gateway::start(told::second(stack, name, &upstream.base, &json!({}))?).await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    Ok(Wrong { gateway, upstream, doctor })
}

fn says(body: &Value) -> Fault {
    fhir(200, body.to_string().as_bytes())
}

fn history(entries: &[Value]) -> Value {
    json!({"resourceType": "Bundle", "type": "history", "entry": entries})
}

fn version(resource: &Value, method: &str) -> Value {
    let text = |key: &str| resource.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let url = format!("{}/{}", text("resourceType"), text("id"));
    json!({"resource": resource, "request": {"method": method, "url": url}, "response": {"status": "200"}})
}

/// Entries of other resources, of other types and of none; versions whose lineage cannot be relied on.
pub(super) async fn histories_tell_of_nothing_else(stack: &mut Stack) -> Result<()> {
    let direct = stack.direct()?;
    let mut wrong = start(stack, "wrong-histories").await?;
    let own = direct.read("Observation/alder-bp").await?;
    let (hidden, other) = (direct.read("Observation/cedar-bp").await?, direct.read("Observation/alder-weight").await?);
    let condition = direct.read("Condition/birch-asthma").await?;
    let page = history(&[
        version(&hidden, "PUT"),
        version(&other, "PUT"),
        version(&condition, "PUT"),
        json!({"fullUrl": "Observation/cedar-bp", "request": {"method": "DELETE", "url": "Observation/cedar-bp"}}),
        json!({"fullUrl": "Observation/alder-bp", "request": {"method": "GET", "url": "Observation/alder-bp"}}),
        json!({"request": {"method": "DELETE"}}),
        json!({"resource": own, "request": {"method": "zq7391marker", "url": "Patient/cedar"},
            "response": {"status": "zq7391marker", "location": "Patient/cedar", "outcome": hidden}}),
    ]);
    wrong.upstream.answers("GET Observation/alder-bp/_history?_count=250", says(&page));
    let received = wrong.doctor.read("Observation/alder-bp/_history").await?;
    let entries = received.get("entry").and_then(Value::as_array).context("no entries")?;
    ensure!(received.get("total") == Some(&json!(1)) && entries.len() == 1, "{received}");
    told::silent("the history", &received.to_string(), &["cedar", "alder-weight", "asthma", "zq7391marker"])?;

    wrong.upstream.answers("GET Observation/_history?", says(&page));
    let of_type = wrong.doctor.read("Observation/_history").await?.to_string();
    ensure!(of_type.contains("alder-bp") && of_type.contains("alder-weight"), "{of_type}");
    told::silent("the type's history", &of_type, &["cedar", "asthma", "zq7391marker"])?;

    let numbered = |number: &str| {
        let mut changed = own.clone();
        if let Some(version) = changed.pointer_mut("/meta/versionId") {
            *version = json!(number);
        }
        version(&changed, "PUT")
    };
    for (what, lineage) in [
        ("none", history(&[])),
        ("of another", history(&[version(&other, "PUT")])),
        ("oldest first", history(&[numbered("1"), numbered("2")])),
        ("with an entry of nothing", history(&[numbered("1"), json!({"request": {"method": "PUT"}})])),
        ("no bundle", json!({"resourceType": "OperationOutcome"})),
    ] {
        wrong.upstream.answers("GET Observation/alder-bp/_history?_count=200", says(&lineage));
        let answer = wrong.doctor.get("Observation/alder-bp/_history").await?;
        refused(&wrong.gateway, &answer, refusal(404, "not-found"), Caller::Known).await.context(what)?;
    }
    wrong.upstream.answers("GET Observation/alder-bp/_history?_count=250", says(&json!({"resourceType": "Patient"})));
    let answer = wrong.doctor.get("Observation/alder-bp/_history").await?;
    refused(&wrong.gateway, &answer, refusal(502, "upstream-malformed-bundle"), Caller::Known).await?;
    wrong.upstream.behaves();
    wrong.doctor.get("Observation/alder-bp/_history").await?.success()?;
    wrong.gateway.stop().await
}

/// A record with what nothing in it refers to, and outputs of operations that hold more than they may.
pub(super) async fn operations_bring_nothing_else(stack: &mut Stack) -> Result<()> {
    let direct = stack.direct()?;
    let mut wrong = start(stack, "wrong-operations").await?;
    let found = |resource: &Value| json!({"resource": resource, "search": {"mode": "match"}});
    let (patient, own) = (direct.read("Patient/alder").await?, direct.read("Observation/alder-bp").await?);
    let (named, stranger) = (direct.read("Practitioner/okafor").await?, direct.read("Practitioner/voss").await?);
    let (others, hidden) = (direct.read("Observation/hazel-bp").await?, direct.read("Observation/cedar-bp").await?);
    let record = json!({"resourceType": "Bundle", "type": "searchset", "total": 7, "entry": [
        found(&named), found(&stranger), found(&others), found(&hidden), found(&patient), found(&own), found(&own)]});
    wrong.upstream.answers("GET Patient/alder/$everything", says(&record));
    let received = wrong.doctor.read("Patient/alder/$everything").await?;
    let entries = received.get("entry").and_then(Value::as_array).context("no entries")?;
    let ids: Vec<&str> =
        entries.iter().filter_map(|entry| entry.pointer("/resource/id").and_then(Value::as_str)).collect();
    ensure!(ids == ["alder", "alder-bp", "okafor"] && received.get("total") == Some(&json!(3)), "{ids:?}");

    let lookup = "CodeSystem/$lookup?system=x&code=y";
    for output in [
        json!({"resourceType": "Parameters", "parameter": [{"name": "x", "resource": patient}]}),
        json!({"resourceType": "Parameters", "parameter": [{"name": "x", "valueReference": {"reference": "Patient/cedar"}}]}),
        patient.clone(),
        json!({"resourceType": "Bundle"}),
    ] {
        wrong.upstream.answers("GET CodeSystem/$lookup", says(&output));
        let answer = wrong.doctor.get(lookup).await?;
        refused(&wrong.gateway, &answer, refusal(502, "operation-output"), Caller::Known).await?;
    }
    let expansion = json!({"resourceType": "ValueSet", "status": "active", "expansion": {"timestamp": "2026-01-01",
        "contains": [{"code": "1.00"}]}});
    wrong.upstream.answers("GET ValueSet/$expand", says(&expansion));
    ensure!(wrong.doctor.read("ValueSet/$expand?url=x").await? == expansion, "an expansion is changed");

    let issue =
        |text: &str| json!({"severity": "error", "code": "invalid", "diagnostics": text, "expression": ["Patient"]});
    let outcome = json!({"resourceType": "OperationOutcome", "text": {"status": "generated", "div": "zq7391marker"},
        "issue": [issue(&format!("see {}/Patient/cedar", wrong.upstream.base)), issue("kept as it is")]});
    let body = json!({"resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/alder"}});
    for output in [patient, json!({"resourceType": "Parameters"})] {
        wrong.upstream.answers("POST Observation/$validate", says(&output));
        let answer = wrong.doctor.write(Method::POST, "Observation/$validate", &body).await?;
        refused(&wrong.gateway, &answer, refusal(502, "operation-output"), Caller::Known).await?;
    }
    wrong.upstream.answers("POST Observation/$validate", says(&outcome));
    let told_of = wrong.doctor.write(Method::POST, "Observation/$validate", &body).await?.success()?.json()?;
    told::silent("the outcome", &told_of.to_string(), &["cedar", "zq7391marker", &wrong.upstream.base])?;
    let kept = told_of.pointer("/issue/1") == Some(&issue("kept as it is"));
    ensure!(kept && told_of.pointer("/issue/0/code") == Some(&json!("invalid")), "{told_of}");
    wrong.upstream.behaves();
    told::serves(&as_role(stack, Role::Doctor)?).await?;
    wrong.gateway.stop().await
}
