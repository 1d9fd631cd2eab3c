//! What a history must not tell.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ACT_CODE, begun, delete, labelled, named, observation, page, told, walk};
use crate::demo::cast::Role;
use crate::harness::fhir::{Answer, Fhir};
use crate::harness::stack::Stack;
use crate::suite::told::{as_role, of_kind, openings, request_id};

const INLINE: &str = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label";

/// Status, headers and body, with one id in the place of another.
fn shown(answer: &Answer, from: &str, to: &str) -> String {
    let named = answer.headers.iter().filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"));
    let mut headers: Vec<String> = named.map(|(name, value)| format!("{name}: {value:?}")).collect();
    headers.sort();
    let body = String::from_utf8_lossy(&answer.body);
    format!("{}\n{}\n{body}", answer.status, headers.join("\n")).replace(from, to)
}

fn same(what: &str, hidden: &Answer, never: &Answer, from: &str, to: &str) -> Result<()> {
    let (hidden, never) = (shown(hidden, from, to), shown(never, from, to));
    ensure!(hidden == never, "{what}: hidden\n{hidden}\n--- absent\n{never}");
    Ok(())
}

/// The history of what is hidden answers as that of what never was, whatever is asked of it; what was kept back is on record.
pub(in crate::suite) async fn hidden_answers_as_absent(stack: &mut Stack) -> Result<()> {
    let doctor = as_role(stack, Role::Doctor)?;
    for (hidden, never) in [
        ("Patient/cedar", "Patient/cedaq"),
        ("Observation/cedar-bp", "Observation/cedar-bq"),
        ("Condition/birch-hiv", "Condition/birch-hiq"),
        ("Provenance/cedar-provenance", "Provenance/cedar-provenancq"),
        ("Binary/cedar-note-text", "Binary/cedar-note-texq"),
        ("Consent/cedar-opt-out", "Consent/cedar-opt-ouq"),
    ] {
        for query in [
            "",
            "?_count=1",
            "?_count=0",
            "?_since=2000-01-01T00:00:00Z",
            "?_since=x",
            "?_at=2000",
            "?x=y",
            "?_cursor=x",
        ] {
            for method in [Method::GET, Method::HEAD] {
                let ask =
                    async |of: &str| Fhir::send(doctor.request(method.clone(), &format!("{of}/_history{query}"))).await;
                let (told, silent) = (ask(hidden).await?, ask(never).await?);
                ensure!(told.status == 404, "{method} {hidden}/_history{query}: {}", told.status);
                same(&format!("{method} {hidden}/_history{query}"), &told, &silent, hidden, never)?;
            }
        }
    }
    let answer = doctor.get("Observation/cedar-bp/_history").await?;
    let events = openings(stack.gateway()?, request_id(&answer)?).await?.context("no events")?;
    let denial = of_kind(&events, "denial").next().context("no denial on record")?;
    ensure!(denial.to_string().contains("Patient/cedar"), "{denial}");
    Ok(())
}

/// A label that was there once, or came later, reaches every version, on every level; pages tell nothing of what they leave out.
pub(in crate::suite) async fn labels_reach_every_version(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, as_role(stack, Role::Doctor)?);
    let plain = |id: &str| json!({"resourceType": "Condition", "id": id, "subject": {"reference": "Patient/birch"}});
    let since = begun(&direct, &plain("hist-open")).await?;
    let once = [labelled(plain("hist-once"), "HIV"), plain("hist-once"), plain("hist-once")];
    let later = [plain("hist-later"), plain("hist-later"), labelled(plain("hist-later"), "HIV")];
    for (at, resource) in once.iter().chain(&later).enumerate() {
        let mut resource = resource.clone();
        resource["recordedDate"] = json!(format!("2025-01-0{}", at + 1));
        // HAPI keeps labels that an update leaves out: they are taken away by name.
        direct.put(&resource).await?;
    }
    let label = json!({"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta":
        {"security": [{"system": ACT_CODE, "code": "HIV"}]}}]});
    if direct.read("Condition/hist-once").await?.pointer("/meta/security/0").is_some() {
        direct.write(Method::POST, "Condition/hist-once/$meta-delete", &label).await?.success()?;
    }
    let mut last = plain("hist-once");
    last["recordedDate"] = json!("2025-02-01");
    let unlabelled = direct.put(&last).await?;
    let mut answers = Vec::new();
    for id in ["hist-once", "hist-later"] {
        let told = doctor.get(&format!("Condition/{id}/_history")).await?;
        answers.push((id, told, doctor.get("Condition/hist-nevr/_history").await?));
    }
    let mut seen = Vec::new();
    for path in ["Condition/_history", "_history"] {
        for count in [1, 2, 50] {
            let pages = walk(&doctor, &format!("{path}?_since={since}&_count={count}")).await?;
            let totals = pages.iter().filter(|page| page.total.is_some()).count();
            seen.push((format!("{path} by {count}"), told(&pages), pages.len(), totals));
        }
    }
    delete(&direct, &["Condition/hist-open", "Condition/hist-once", "Condition/hist-later"]).await?;
    ensure!(unlabelled.pointer("/meta/security").is_none(), "the label is still there: {unlabelled}");
    for (id, told, silent) in &answers {
        same(id, told, silent, id, "hist-nevr")?;
    }
    for (what, told, pages, totals) in seen {
        ensure!(told.len() == 1 && told.iter().all(|line| line.contains("Condition/hist-open")), "{what}: {told:?}");
        ensure!(pages == 1 && totals == 0, "{what}: {pages} pages, {totals} totals");
    }
    Ok(())
}

/// That something was deleted is told to whom it was visible, and to nobody else.
pub(in crate::suite) async fn deletions_are_told_of_what_was_visible(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, as_role(stack, Role::Doctor)?);
    let since = begun(&direct, &observation("hist-gone", "alder", "1")).await?;
    for (id, patient) in [("hist-back", "alder"), ("hist-cedar", "cedar"), ("hist-psy", "birch")] {
        let stored = observation(id, patient, "1");
        direct.put(&if id == "hist-psy" { labelled(stored, "HIV") } else { stored }).await?;
    }
    delete(
        &direct,
        &["Observation/hist-gone", "Observation/hist-back", "Observation/hist-cedar", "Observation/hist-psy"],
    )
    .await?;
    direct.put(&observation("hist-back", "alder", "2")).await?;
    let gone = told(&walk(&doctor, "Observation/hist-gone/_history").await?);
    let back = told(&walk(&doctor, "Observation/hist-back/_history").await?);
    let mut hidden = Vec::new();
    for id in ["hist-cedar", "hist-psy"] {
        let answer = doctor.get(&format!("Observation/{id}/_history")).await?;
        hidden.push((id, answer, doctor.get("Observation/hist-nevr/_history").await?));
    }
    let mut levels = Vec::new();
    for path in ["Observation/_history", "_history"] {
        levels.push((path, told(&walk(&doctor, &format!("{path}?_since={since}&_count=1")).await?)));
    }
    let read = doctor.get("Observation/hist-gone/_history/1").await?;
    delete(&direct, &["Observation/hist-back"]).await?;
    // Some servers name the version that was deleted, some do not.
    ensure!(gone.len() == 1 && gone.iter().all(|line| line.starts_with("DELETE Observation/hist-gone")), "{gone:?}");
    let method = |line: &String| line.split(' ').next().unwrap_or_default().to_owned();
    let back: Vec<String> = back.iter().map(method).collect();
    ensure!(back == ["PUT", "DELETE", "POST"], "what came back: {back:?}");
    ensure!(read.status == 404, "a version of what was deleted: {}", read.status);
    for (id, told, silent) in &hidden {
        same(id, told, silent, id, "hist-nevr")?;
    }
    for (path, told) in levels {
        let others = told.iter().find(|line| !line.contains("hist-gone") && !line.contains("hist-back"));
        ensure!(others.is_none(), "{path} tells of {others:?}");
        ensure!(told.len() == 4, "{path}: {told:?}");
    }
    Ok(())
}

/// A record that was moved from one patient to another is seen by whoever may see both, version by version.
pub(in crate::suite) async fn owners_change_between_versions(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, as_role(stack, Role::Doctor)?);
    let since = begun(&direct, &observation("hist-to", "cedar", "cedars-value")).await?;
    direct.put(&observation("hist-to", "alder", "alders-value")).await?;
    direct.put(&observation("hist-from", "alder", "alders-value")).await?;
    direct.put(&observation("hist-from", "cedar", "cedars-value")).await?;
    let to = doctor.get("Observation/hist-to/_history").await?;
    let from = doctor.get("Observation/hist-from/_history").await?;
    let never = doctor.get("Observation/hist-nevr/_history").await?;
    let all = doctor.get(&format!("_history?_since={since}")).await?;
    delete(&direct, &["Observation/hist-to", "Observation/hist-from"]).await?;
    let body = |answer: &Answer| String::from_utf8_lossy(&answer.body).into_owned();
    same("moved away", &from, &never, "hist-from", "hist-nevr")?;
    for (what, answer) in [("its own", &to), ("the server's", &all)] {
        ensure!(answer.status == 200, "{what}: {}", answer.status);
        ensure!(body(answer).contains("alders-value"), "{what}: the visible version is missing");
        ensure!(!body(answer).contains("cedar"), "{what} tells of the other patient: {}", body(answer));
    }
    ensure!(to.json()?["total"] == 1, "total {}", to.json()?["total"]);
    Ok(())
}

/// An element that one version labels is taken out of each, and the validator is not the upstream's.
pub(in crate::suite) async fn redacted_in_every_version(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, as_role(stack, Role::Doctor)?);
    let visit = |reason: Value, label: bool| {
        let mut visit = json!({"resourceType": "Encounter", "id": "hist-visit", "status": "finished",
            "class": {"system": ACT_CODE, "code": "AMB"}, "subject": {"reference": "Patient/birch"}, "reasonCode": [reason]});
        if label {
            visit = labelled(visit, "PROCESSINLINELABEL");
        }
        visit
    };
    let reason = json!([{"system": "https://sealgate.example/test", "code": "hist-reason"}]);
    let inline = json!([{"url": INLINE, "valueCoding": {"system": ACT_CODE, "code": "SUD"}}]);
    let stored = visit(json!({"coding": reason}), false);
    direct.put(&stored).await?;
    direct.put(&visit(json!({"extension": inline, "coding": reason}), true)).await?;
    let answer = doctor.get("Encounter/hist-visit/_history").await?;
    delete(&direct, &[&named(&stored)?]).await?;
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    ensure!(answer.status == 200 && !body.contains("hist-reason"), "{}: {body}", answer.status);
    let history = answer.json()?;
    ensure!(history["total"] == 2, "{history}");
    for entry in history["entry"].as_array().context("no entries")? {
        let etag = entry["response"]["etag"].as_str().unwrap_or_default();
        let version = entry.pointer("/resource/meta/versionId").and_then(Value::as_str).unwrap_or_default();
        ensure!(etag.starts_with("W/\"") && etag != format!("W/\"{version}\""), "etag {etag} of version {version}");
    }
    Ok(())
}

/// What is written to a hidden record between two pages moves nothing, and what is hidden between two visible versions goes on record.
pub(in crate::suite) async fn hidden_writes_between_pages_tell_nothing(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, as_role(stack, Role::Doctor)?);
    let since = begun(&direct, &observation("hist-walk", "alder", "1")).await?;
    for value in ["1", "2"] {
        direct.put(&observation("hist-still", "cedar", value)).await?;
    }
    direct.put(&observation("hist-walk", "alder", "2")).await?;
    let first = page(&doctor.get(&format!("Observation/_history?_since={since}&_count=1")).await?)?;
    let next = first.next.context("no next link")?;
    let before = doctor.get(&next).await?;
    for value in ["3", "4", "5"] {
        direct.put(&observation("hist-still", "cedar", value)).await?;
    }
    let after = doctor.get(&next).await?;
    let events = openings(stack.gateway()?, request_id(&before)?).await?.context("no events")?;
    delete(&direct, &["Observation/hist-walk", "Observation/hist-still"]).await?;
    let (before, after) = (page(&before)?, page(&after)?);
    ensure!(
        before.entries == after.entries && before.entries.len() == 1,
        "{:?} became {:?}",
        before.entries,
        after.entries
    );
    ensure!(before.next.is_none() && after.next.is_none(), "there are but two versions");
    let denial = of_kind(&events, "denial").next().context("no denial on record")?;
    ensure!(denial["patient"] == "Patient/cedar" && denial["resources"] == "2", "{denial}");
    Ok(())
}
