//! Attacks at the limits: what is too large or too much to be decided on answers as what never was, and is on record.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{ACT_CODE, caller, delete, label, observation, same};
use crate::demo::cast::Role;
use crate::demo::consents::permits_treatment;
use crate::harness::fhir::{self, Answer, Fhir};
use crate::harness::gateway::Gateway;
use crate::harness::openings::Admin;
use crate::harness::say;
use crate::harness::stack::Stack;
use crate::suite::faulty::{Faulty, fhir as says};
use crate::suite::told::{self, OPEN, of_kind};

/// The one denial of this patient among the events of a request: its rule.
async fn denied(gateway: &Gateway, answer: &Answer, patient: &str) -> Result<String> {
    let request = told::request_id(answer)?;
    let events = told::openings(gateway, request).await?.with_context(|| format!("{request} has no events"))?;
    let of = |event: &&Value| event.get("patient").and_then(Value::as_str) == Some(patient);
    let denials: Vec<&Value> = of_kind(&events, "denial").filter(of).collect();
    ensure!(denials.len() == 1, "{} denials of {patient} in {events:?}", denials.len());
    let rule = denials.first().and_then(|denial| denial.get("rule")).and_then(Value::as_str);
    rule.map(str::to_owned).context("a denial without a rule")
}

/// A resource that is larger than what is read of one is absent for everybody, and left out of searches.
pub(in crate::suite) async fn too_large_is_absent(stack: &mut Stack) -> Result<()> {
    let direct = stack.direct()?;
    let more = json!({"server": {"limits": {"entry": "64 KiB"}}});
    let mut gateway = Gateway::start(told::second(stack, "too-large", stack.upstream.base(), &more)?).await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let searches = ["Observation?patient=alder", "Observation?patient=alder&_count=2", "Observation?patient=cedar"];
    let mut before = Vec::new();
    for search in searches {
        before.push(doctor.get(search).await?);
    }
    for (id, patient) in [("leak-large-a", "alder"), ("leak-large-c", "cedar")] {
        let mut large = observation(id, patient);
        large["note"] = json!([{"text": "a".repeat(70 << 10)}]);
        direct.put(&large).await?;
    }
    let mut reads = Vec::new();
    for id in ["leak-large-a", "leak-large-c"] {
        for suffix in ["", "/_history/1"] {
            let address = format!("Observation/{id}{suffix}");
            let never = doctor.get(&address.replace("leak-large", "leak-larqe")).await?;
            reads.push((address.clone(), doctor.get(&address).await?, never));
        }
    }
    let mut after = Vec::new();
    for search in searches {
        after.push(doctor.get(search).await?);
    }
    let ids = (
        doctor.get("Observation?_id=alder-bp,leak-large-a,leak-large-c").await?,
        doctor.get("Observation?_id=alder-bp,leak-larqe-a,leak-larqe-c").await?,
    );
    delete(&direct, &["Observation/leak-large-a", "Observation/leak-large-c"]).await?;

    for (address, large, never) in &reads {
        ensure!(large.status == 404, "{address}: {}", large.status);
        same(address, large, never, "leak-large", "leak-larqe")?;
    }
    for ((search, before), after) in searches.iter().zip(&before).zip(&after) {
        ensure!(before.status == 200, "{search}: {}", before.status);
        let cursors = |answer: &Answer| -> Result<Value> {
            let mut page = answer.json()?;
            page.as_object_mut().context("a page")?.remove("link");
            Ok(json!({"page": page, "next": fhir::link(&answer.json()?, "next").is_some()}))
        };
        ensure!(cursors(before)? == cursors(after)?, "{search}: what is too large tells of itself");
    }
    same("Observation?_id", &ids.0, &ids.1, "leak-large", "leak-larqe")?;

    let (_, read, _) = reads.first().context("a read")?;
    ensure!(denied(&gateway, read, "Patient/alder").await? == "resource-too-large", "read of what is permitted");
    ensure!(denied(&gateway, &ids.0, "Patient/alder").await? == "resource-too-large", "search of what is permitted");
    let hidden = denied(&gateway, &ids.0, "Patient/cedar").await?;
    ensure!(hidden != "resource-too-large", "what Consent hides anyway is hidden by {hidden}");
    let metric = r#"sealgate_decisions_total{outcome="hide",reason_class="resource-too-large"}"#;
    ensure!(Admin::of(&gateway)?.measured(metric).await? >= 6.0, "{metric}");
    told::silent("the log", &gateway.process()?.output()?, &["leak-large", "alder", "cedar"])?;
    gateway.stop().await
}

/// A patient with more Consents than are read is hidden, and stands in nobody else's way.
pub(in crate::suite) async fn too_many_consents_hide(stack: &mut Stack) -> Result<()> {
    let upstream = Faulty::start(stack.upstream.base()).await?;
    let more = json!({"consent_source": {"max_staleness": "1s"}});
    let mut gateway = Gateway::start(told::second(stack, "many-consents", &upstream.base, &more)?).await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let recorded = |count: usize| {
        let consent =
            |index: usize| permits_treatment(&format!("c{index}"), "Patient/alder", "Organization/northfield");
        let entries: Vec<Value> = (0..count).map(|index| json!({"resource": consent(index)})).collect();
        let bundle = json!({"resourceType": "Bundle", "type": "searchset", "entry": entries});
        upstream.answers("GET Consent?patient=Patient%2Falder", says(200, bundle.to_string().as_bytes()));
    };
    recorded(1000);
    told::serves(&doctor).await.context("a thousand Consents")?;
    recorded(1001);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let (read, never) = (doctor.get(OPEN).await?, doctor.get("Observation/alder-bq").await?);
    same("read", &read, &never, "alder-bp", "alder-bq")?;
    let both = doctor.get("Condition?_id=alder-hypertension,birch-asthma").await?.success()?;
    let text = String::from_utf8_lossy(&both.body);
    ensure!(text.contains("birch-asthma"), "the other patient is hidden too");
    let without = doctor.get("Condition?_id=alder-hypertensioq,birch-asthma").await?;
    same("search", &both, &without, "alder-hypertension", "alder-hypertensioq")?;
    for answer in [&read, &both] {
        let rule = denied(&gateway, answer, "Patient/alder").await?;
        ensure!(rule == "consents-too-many", "denied by {rule}");
    }
    let metric = r#"sealgate_decisions_total{outcome="hide",reason_class="consents-too-many"}"#;
    ensure!(Admin::of(&gateway)?.measured(metric).await? >= 2.0, "{metric}");
    told::silent("the log", &gateway.process()?.output()?, &["alder", "birch"])?;
    gateway.stop().await
}

/// A Provenance that is not found because the target that was looked for is hidden is on record of that target's patient.
pub(in crate::suite) async fn hidden_targets_are_on_record(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let targets = ["Condition/birch-asthma", "Condition/birch-hiv", "Patient/cedar"];
    let targets = targets.map(|target| json!({"reference": target}));
    direct
        .put(&json!({"resourceType": "Provenance", "id": "leak-prov-d", "recorded": "2025-01-01T00:00:00Z",
            "target": targets, "agent": [{"who": {"reference": "Practitioner/okafor"}}]}))
        .await?;
    let by_target = doctor.get("Provenance?target=Condition/birch-hiv").await?;
    let by_patient = doctor.get("Provenance?patient=Patient/cedar").await?;
    delete(&direct, &["Provenance/leak-prov-d"]).await?;
    let gateway = stack.gateway()?;
    denied(gateway, &by_target, "Patient/birch").await.context("by target")?;
    ensure!(denied(gateway, &by_target, "Patient/cedar").await.is_err(), "nobody looked for cedar");
    denied(gateway, &by_patient, "Patient/cedar").await.context("by patient")?;
    Ok(())
}

/// What comes along does so by the parameter that was asked for, not by any other reference of a visible match.
pub(in crate::suite) async fn includes_follow_their_parameter(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let by_asserter = "Condition?patient=birch&_include=Condition:asserter";
    let by_diagnosis = "Condition?patient=birch&_revinclude=Encounter:diagnosis";
    let before = (doctor.get(by_asserter).await?, doctor.get(by_diagnosis).await?);
    direct
        .put(&json!({"resourceType": "Condition", "id": "leak-cond-p", "meta": label("HIV"),
            "subject": {"reference": "Patient/birch"}, "asserter": {"reference": "Patient/birch"}}))
        .await?;
    direct
        .put(&json!({"resourceType": "Encounter", "id": "leak-enc-p", "status": "finished",
            "class": {"system": ACT_CODE, "code": "AMB"}, "subject": {"reference": "Patient/birch"},
            "reasonReference": [{"reference": "Condition/birch-asthma"}],
            "diagnosis": [{"condition": {"reference": "Condition/leak-cond-p"}}]}))
        .await?;
    let after = (doctor.get(by_asserter).await?, doctor.get(by_diagnosis).await?);
    let mut found = Vec::new();
    for (query, included) in [
        ("_include=Condition:subject", "Patient/birch"),
        ("_include=Condition:patient", "Patient/birch"),
        ("_include=Condition:*", "Patient/birch"),
        ("_include=*", "Patient/birch"),
        ("_revinclude=Encounter:reason-reference", "Encounter/leak-enc-p"),
        ("_revinclude=*", "Encounter/leak-enc-p"),
    ] {
        let query = format!("Condition?patient=birch&_id=birch-asthma&{query}");
        found.push((direct.read(&query).await?, doctor.read(&query).await?, query, included));
    }
    delete(&direct, &["Encounter/leak-enc-p", "Condition/leak-cond-p"]).await?;
    let upstream: [(&Answer, &Answer, &str); 2] =
        [(&before.0, &after.0, by_asserter), (&before.1, &after.1, by_diagnosis)];
    for (before, after, query) in upstream {
        ensure!(before.status == 200, "{query}: {}", before.status);
        same(query, after, before, "leak-none", "leak-none")?;
    }
    for (held, page, query, included) in found {
        let brings = |page: &Value| {
            let entries = page.get("entry").and_then(Value::as_array).into_iter().flatten();
            entries.filter_map(|entry| fhir::address(entry.get("resource")?)).any(|address| address == included)
        };
        // A server that brings nothing for `*` has nothing that could be lost.
        if query.ends_with("include=*") && !brings(&held) {
            say::loud(&format!("NOT COMPARED {query}: the FHIR server itself brings nothing for it"));
            continue;
        }
        ensure!(brings(&page), "{query} does not bring {included}: {page}");
    }
    Ok(())
}

/// A Provenance that hangs on what cannot be read is hidden without an error.
pub(in crate::suite) async fn unreadable_targets_hide(stack: &mut Stack) -> Result<()> {
    let (direct, doctor): (Fhir, Fhir) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let mut odd = observation("leak-odd-t", "alder");
    odd["meta"] = json!({"security": [{"system": ACT_CODE, "display": "a label without a code"}]});
    direct.put(&odd).await?;
    direct
        .put(&json!({"resourceType": "Provenance", "id": "leak-odd-p", "recorded": "2025-01-01T00:00:00Z",
            "target": [{"reference": "Observation/leak-odd-t"}], "agent": [{"who": {"reference": "Practitioner/okafor"}}]}))
        .await?;
    let (read, never) = (doctor.get("Provenance/leak-odd-p").await?, doctor.get("Provenance/leak-odd-q").await?);
    delete(&direct, &["Provenance/leak-odd-p", "Observation/leak-odd-t"]).await?;
    ensure!(read.status == 404, "{}", read.status);
    same("a Provenance of what cannot be read", &read, &never, "leak-odd-p", "leak-odd-q")
}
