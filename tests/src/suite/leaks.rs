//! Attacks: whoever may not see something must not learn that it is there. What is hidden answers as what never was, byte for byte.

#![expect(clippy::indexing_slicing, reason = "bodies of the test's own: a member that cannot be set is a failed test")]

mod attacks;
mod limits;
mod references;
mod writes;

pub(super) use attacks::{
    conditions_tell_nothing, consents_for_others_in_disguise, foundations_are_not_written,
    hidden_records_are_not_relabelled, ids_of_creates_tell_nothing, labels_stay, records_stay_with_their_patient,
};
pub(super) use limits::{
    hidden_targets_are_on_record, includes_follow_their_parameter, too_large_is_absent, too_many_consents_hide,
    unreadable_targets_hide,
};
pub(super) use references::{
    a_patient_who_forbade_all_speaks_again, creates_that_point_at_hidden, creates_that_point_at_visible,
    documents_bring_their_entries, references_are_bounded, updates_that_point_at_hidden, writers_without_read,
};
pub(super) use writes::{
    consents_of_others, foreign_binaries_stay_closed, hidden_writes_as_absent, labels_of_elements_stay,
    nobody_joins_an_organization, redacted_images_stay, writable_but_hidden,
};

use anyhow::{Context, Result, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::demo::cast::Role;
use crate::harness::fhir::{self, Answer, Fhir};
use crate::harness::stack::Stack;

const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
const REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const INLINE: &str = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label";

/// An id that nothing has, of the length of another.
pub(super) fn absent(id: &str) -> String {
    let mut absent = id.to_owned();
    absent.replace_range(absent.len() - 1.., if id.ends_with('q') { "x" } else { "q" });
    absent
}

/// What a client can tell two answers apart by, with one text put in the place of another.
fn shown(answer: &Answer, from: &str, to: &str) -> String {
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"))
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    headers.sort();
    let body = String::from_utf8_lossy(&answer.body).replace(from, to);
    format!("{}\n{}\n{body}", answer.status, headers.join("\n").replace(from, to))
}

pub(super) fn same(what: &str, hidden: &Answer, never: &Answer, from: &str, to: &str) -> Result<()> {
    let (hidden, never) = (shown(hidden, from, to), shown(never, from, to));
    ensure!(hidden == never, "{what}: hidden\n{hidden}\n--- absent\n{never}");
    Ok(())
}

pub(super) fn caller(stack: &Stack, role: Role) -> Result<Fhir> {
    stack.gateway()?.fhir(stack.issuer.token(&role.claims())?)
}

/// The role with other claims over its own.
pub(super) fn altered(stack: &Stack, role: Role, claims: &Value) -> Result<Fhir> {
    let mut all = role.claims();
    let (Some(all_claims), Some(more)) = (all.as_object_mut(), claims.as_object()) else { bail!("claims are objects") };
    all_claims.extend(more.clone());
    stack.gateway()?.fhir(stack.issuer.token(&all)?)
}

pub(super) async fn delete(server: &Fhir, addresses: &[&str]) -> Result<()> {
    for address in addresses {
        Fhir::send(server.request(Method::DELETE, address)).await?.success()?;
    }
    Ok(())
}

pub(super) fn label(code: &str) -> Value {
    json!({"security": [{"system": ACT_CODE, "code": code}]})
}

pub(super) fn observation(id: &str, patient: &str) -> Value {
    json!({"resourceType": "Observation", "id": id, "status": "final", "subject": {"reference": format!("Patient/{patient}")},
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}, "effectiveDateTime": "2025-01-01"})
}

/// `meta` but the security labels goes: what the server sets itself.
fn stripped(mut resource: Value) -> Value {
    if let Some(meta) = resource.get_mut("meta").and_then(Value::as_object_mut) {
        meta.retain(|key, _| key == "security");
    }
    resource
}

/// Reads of what Consents, roles and labels hide, in every form that a read has.
pub(super) async fn hidden_reads_as_absent(stack: &mut Stack) -> Result<()> {
    let cases: [(Role, &[&str]); 5] = [
        (
            Role::Doctor,
            &[
                "Patient/cedar",
                "Observation/cedar-bp",
                "Binary/cedar-note-text",
                "DocumentReference/cedar-note",
                "Provenance/cedar-provenance",
                "CareTeam/cedar-team",
                "Coverage/cedar-coverage",
                "Condition/birch-hiv",
                "Condition/birch-opioid-use",
                "Condition/elm-pregnancy",
                "Consent/birch-treatment",
                "Consent/cedar-opt-out",
            ],
        ),
        (
            Role::OtherDoctor,
            &["Patient/alder", "Patient/juniper", "Encounter/juniper-visit-1", "Binary/alder-note-text"],
        ),
        (Role::UnwantedDoctor, &["Patient/fir", "Condition/fir-alcohol", "Goal/fir-goal"]),
        (Role::Researcher, &["Condition/dogwood-anxiety", "Patient/alder", "CarePlan/dogwood-plan"]),
        (Role::Patient, &["Patient/birch", "Observation/hazel-bp", "Consent/birch-treatment"]),
    ];
    let conditions: [&[(&str, &str)]; 4] = [
        &[],
        &[("if-none-match", "*")],
        &[("if-none-match", "W/\"1\"")],
        &[("if-modified-since", "Sat, 01 Jan 2000 00:00:00 GMT"), ("range", "bytes=0-10"), ("accept-encoding", "gzip")],
    ];
    for (role, addresses) in cases {
        let caller = caller(stack, role)?;
        for address in addresses {
            let never = absent(address);
            for suffix in ["", "/_history/1", "/_history/7"] {
                for (method, headers) in [Method::GET, Method::HEAD].iter().flat_map(|m| conditions.map(|h| (m, h))) {
                    let ask = async |address: &str| {
                        let mut request = caller.request(method.clone(), &format!("{address}{suffix}"));
                        for (name, value) in headers {
                            request = request.header(*name, *value);
                        }
                        Fhir::send(request).await
                    };
                    let hidden = ask(address).await?;
                    ensure!(hidden.status == 404, "{method} {address}{suffix} as {}: {}", role.name(), hidden.status);
                    same(&format!("{method} {address}{suffix}"), &hidden, &ask(&never).await?, address, &never)?;
                }
            }
        }
    }
    Ok(())
}

/// What is deleted answers as what never was, not with 410.
pub(super) async fn deleted_reads_as_absent(stack: &mut Stack) -> Result<()> {
    let direct = stack.direct()?;
    direct.put(&observation("leak-gone", "alder")).await?;
    delete(&direct, &["Observation/leak-gone"]).await?;
    let doctor = caller(stack, Role::Doctor)?;
    for suffix in ["", "/_history/1", "/_history/2"] {
        let gone = doctor.get(&format!("Observation/leak-gone{suffix}")).await?;
        let never = doctor.get(&format!("Observation/leak-none{suffix}")).await?;
        same(suffix, &gone, &never, "leak-gone", "leak-none")?;
    }
    Ok(())
}

/// Searches that name a hidden patient or resource answer as those that name nobody: entries, total, links, length.
pub(super) async fn hidden_searches_as_absent(stack: &mut Stack) -> Result<()> {
    let doctor = caller(stack, Role::Doctor)?;
    let queries = [
        "Patient?_id={}",
        "Patient?_id={}&_revinclude=*",
        "Patient?_id={},alder",
        "Observation?patient={}",
        "Observation?patient={}&_count=0",
        "Observation?patient={}&_count=1",
        "Observation?patient={}&_total=accurate&_sort=-date",
        "Observation?subject=Patient/{}&_include=Observation:subject&_include=Observation:encounter",
        "Observation?patient={}&_revinclude=Provenance:target&_include=*",
        "Observation?patient=alder&patient={}",
        "Observation?patient={},alder&code=8867-4&_count=3",
        "Consent?patient={}",
        "Provenance?patient={}",
        "Encounter?subject:Patient={}",
        "Condition?patient={}&_security=http://terminology.hl7.org/CodeSystem/v3-Confidentiality|R",
    ];
    for query in queries {
        let of = |id: &str| query.replace("{}", id);
        let hidden = doctor.get(&of("cedar")).await?;
        ensure!(hidden.status == 200, "{query}: {}", hidden.status);
        same(query, &hidden, &doctor.get(&of("cedaq")).await?, "cedar", "cedaq")?;
        let (kind, form) = query.split_once('?').context("no query")?;
        let post = async |id: &str| {
            let request = doctor.request(Method::POST, &format!("{kind}/_search"));
            let request = request.header("content-type", "application/x-www-form-urlencoded");
            Fhir::send(request.body(form.replace("{}", id))).await
        };
        same(&format!("POST {query}"), &post("cedar").await?, &post("cedaq").await?, "cedar", "cedaq")?;
    }
    Ok(())
}

/// A page of size one says nothing of hidden matches, also where the search names no single patient.
pub(super) async fn small_pages_tell_nothing(stack: &mut Stack) -> Result<()> {
    let doctor = caller(stack, Role::Doctor)?;
    for (hidden, never) in [
        ("Condition?_id=birch-hiv,birch-opioid-use&_count=1", "Condition?_id=birch-hiq,birch-opioid-usq&_count=1"),
        ("Condition?patient=cedar,cedax&_count=1", "Condition?patient=cedaq,cedax&_count=1"),
        (
            "Condition?code=http://snomed.info/sct|86406008,http://snomed.info/sct|75544000&_count=1",
            "Condition?code=http://snomed.info/sct|86406009,http://snomed.info/sct|75544009&_count=1",
        ),
        (
            "Observation?_id=alder-bp,cedar-bp,cedar-weight&_count=1&_sort=_id",
            "Observation?_id=alder-bp,cedar-bq,cedar-weighq&_count=1&_sort=_id",
        ),
    ] {
        let (told, silent) = (doctor.read(hidden).await?, doctor.read(never).await?);
        let next = |page: &Value| fhir::link(page, "next").is_some();
        ensure!(next(&told) == next(&silent), "{hidden}: the next link tells of hidden matches");
        ensure!(told.get("total") == silent.get("total"), "{hidden}: the total tells");
    }
    Ok(())
}

/// Pages of a search over many patients hold every visible match once, in order, and end.
pub(super) async fn small_pages_hold_everything(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let addresses = |entries: Vec<Value>, mode: &str| -> Vec<String> {
        let of_mode = |entry: &&Value| entry.pointer("/search/mode").and_then(Value::as_str) == Some(mode);
        entries.iter().filter(of_mode).filter_map(|entry| fhir::address(entry.get("resource")?)).collect()
    };
    let query = "Condition?_sort=_id&_lastUpdated=gt2000-01-01&_include=Condition:subject";
    let mut expected = Vec::new();
    for address in addresses(direct.search(query).await?, "match") {
        if doctor.get(&address).await?.status == 200 {
            expected.push(address);
        }
    }
    ensure!(expected.len() > 5, "only {} are visible", expected.len());
    for count in [1, 2, 3, 5, 1000] {
        let found = doctor.search(&format!("{query}&_count={count}")).await?;
        ensure!(addresses(found.clone(), "match") == expected, "pages of {count} differ");
        for match_ in found.iter().filter(|entry| entry.pointer("/resource/resourceType") == Some(&json!("Condition")))
        {
            let subject =
                match_.pointer("/resource/subject/reference").and_then(Value::as_str).context("no subject")?;
            let included = addresses(found.clone(), "include");
            ensure!(included.iter().any(|name| name == subject), "{subject} is not included on pages of {count}");
        }
    }
    Ok(())
}

/// An element that its label hides cannot be searched by.
pub(super) async fn redacted_elements_are_not_searchable(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let coding = json!({"extension": [{"url": INLINE, "valueCoding": {"system": ACT_CODE, "code": "SUD"}}],
        "coding": [{"system": "https://sealgate.example/test", "code": "leak-reason"}]});
    direct
        .put(&json!({"resourceType": "Encounter", "id": "leak-visit", "status": "finished", "meta": label("PROCESSINLINELABEL"),
            "class": {"system": ACT_CODE, "code": "AMB"}, "subject": {"reference": "Patient/birch"}, "reasonCode": [coding]}))
        .await?;
    let read = doctor.get("Encounter/leak-visit").await?;
    let ask = async |code: &str| doctor.get(&format!("Encounter?patient=birch&reason-code={code}")).await;
    let (told, silent) = (ask("leak-reason").await?, ask("leak-reasoq").await?);
    let plain = doctor.read("Encounter?patient=birch&status=finished").await?;
    delete(&direct, &["Encounter/leak-visit"]).await?;
    ensure!(read.status == 200 && !String::from_utf8_lossy(&read.body).contains("leak-reason"), "it is not redacted");
    ensure!(plain.to_string().contains("leak-visit"), "a search by what is not redacted does not find it");
    same("search by a redacted element", &told, &silent, "leak-reason", "leak-reasoq")
}

/// An older version is no way round the label that a later one bears.
pub(super) async fn old_versions_keep_new_labels(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let mut condition = json!({"resourceType": "Condition", "id": "leak-late", "subject": {"reference": "Patient/birch"},
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "86406008"}]}});
    direct.put(&condition).await?;
    let before = doctor.get("Condition/leak-late/_history/1").await?;
    condition["meta"] = label("HIV");
    direct.put(&condition).await?;
    let after = doctor.get("Condition/leak-late/_history/1").await?;
    let never = doctor.get("Condition/leak-latq/_history/1").await?;
    delete(&direct, &["Condition/leak-late"]).await?;
    let gone = doctor.get("Condition/leak-late/_history/1").await?;
    ensure!(before.status == 200, "without a label it is hidden: {}", before.status);
    same("version before the label", &after, &never, "leak-late", "leak-latq")?;
    same("version of what is deleted", &gone, &never, "leak-late", "leak-latq")
}

/// A Provenance with one visible and one hidden target is not found by the hidden one, nor does it name it.
pub(super) async fn hidden_targets_of_a_provenance(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    direct
        .put(&json!({"resourceType": "Provenance", "id": "leak-prov", "recorded": "2025-01-01T00:00:00Z",
            "target": [{"reference": "Condition/birch-asthma"}, {"reference": "Condition/birch-hiv"}, {"reference": "Patient/cedar"}],
            "agent": [{"who": {"reference": "Practitioner/okafor"}}]}))
        .await?;
    let read = doctor.get("Provenance/leak-prov").await?;
    let ask = async |query: &str| doctor.get(&format!("Provenance?{query}")).await;
    let visible = ask("target=Condition/birch-asthma").await?;
    let by_target = (ask("target=Condition/birch-hiv").await?, ask("target=Condition/birch-hiq").await?);
    let by_patient = (ask("patient=Patient/cedar").await?, ask("patient=Patient/cedaq").await?);
    delete(&direct, &["Provenance/leak-prov"]).await?;
    let body = String::from_utf8_lossy(&read.body).into_owned();
    ensure!(read.status == 200 && !body.contains("birch-hiv") && !body.contains("cedar"), "{}: {body}", read.status);
    ensure!(String::from_utf8_lossy(&visible.body).contains("leak-prov"), "it is not found by its visible target");
    same("Provenance?target", &by_target.0, &by_target.1, "birch-hiv", "birch-hiq")?;
    same("Provenance?patient", &by_patient.0, &by_patient.1, "cedar", "cedaq")
}

/// What a hidden match refers to does not come along, even where it refers to a visible match itself.
pub(super) async fn includes_of_hidden_matches(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    direct
        .put(&json!({"resourceType": "Encounter", "id": "leak-enc", "status": "finished", "class": {"system": ACT_CODE, "code": "AMB"},
            "subject": {"reference": "Patient/birch"}, "diagnosis": [{"condition": {"reference": "Condition/birch-asthma"}}]}))
        .await?;
    direct
        .put(&json!({"resourceType": "Condition", "id": "leak-cond", "meta": label("HIV"), "subject": {"reference": "Patient/birch"},
            "encounter": {"reference": "Encounter/leak-enc"}}))
        .await?;
    let page = doctor.get("Condition?patient=birch&_include=Condition:encounter").await?;
    let back = doctor.get("Condition?patient=birch&_revinclude=Encounter:diagnosis").await?;
    delete(&direct, &["Condition/leak-cond", "Encounter/leak-enc"]).await?;
    ensure!(String::from_utf8_lossy(&back.body).contains("leak-enc"), "_revinclude of a visible match is missing");
    ensure!(
        !String::from_utf8_lossy(&page.body).contains("leak-enc"),
        "the Encounter of a hidden Condition came along"
    );
    Ok(())
}

/// A hidden resource that cannot be read by the gateway is no error that tells of it, and spoils no search.
pub(super) async fn unreadable_is_hidden(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    for (id, patient) in [("leak-odd-c", "cedar"), ("leak-odd-a", "alder")] {
        let mut odd = observation(id, patient);
        odd["meta"] = json!({"security": [{"system": ACT_CODE, "display": "a label without a code"}]});
        direct.put(&odd).await?;
    }
    let read = doctor.get("Observation/leak-odd-c").await?;
    let found = doctor.get("Observation?patient=alder").await?;
    let nothing = (doctor.get("Observation?patient=cedar").await?, doctor.get("Observation?patient=cedaq").await?);
    let put = doctor.write(Method::PUT, "Observation/leak-odd-c", &observation("leak-odd-c", "cedar")).await?;
    let put_never = doctor.write(Method::PUT, "Observation/leak-odd-q", &observation("leak-odd-q", "cedar")).await?;
    let never = doctor.get("Observation/leak-odd-q").await?;
    delete(&direct, &["Observation/leak-odd-c", "Observation/leak-odd-a"]).await?;
    same("read", &read, &never, "leak-odd-c", "leak-odd-q")?;
    same("update", &put, &put_never, "leak-odd-c", "leak-odd-q")?;
    same("search", &nothing.0, &nothing.1, "cedar", "cedaq")?;
    ensure!(found.status == 200, "one unreadable resource spoils the search: {}", found.status);
    ensure!(String::from_utf8_lossy(&found.body).contains("alder-bp"), "the readable ones are missing");
    Ok(())
}

/// A paging link is decided again: what is revoked between two pages is not on the second, nor read a moment later.
pub(super) async fn revocation_between_pages(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let claims = json!({"fhirUser": "Patient/leak-rev", "patient": "leak-rev"});
    let patient = altered(stack, Role::Patient, &claims)?;
    direct.put(&json!({"resourceType": "Patient", "id": "leak-rev"})).await?;
    direct
        .put(&crate::demo::consents::permits_treatment("leak-rev-c", "Patient/leak-rev", "Organization/northfield"))
        .await?;
    for id in ["leak-rev-1", "leak-rev-2", "leak-rev-3"] {
        direct.put(&observation(id, "leak-rev")).await?;
    }
    let first = doctor.read("Observation?patient=leak-rev&_count=1").await?;
    let many = doctor.read("Observation?_id=leak-rev-1,leak-rev-2,leak-rev-3&_count=1").await?;
    let revoked = crate::demo::consents::opts_out("leak-rev-c", "Patient/leak-rev");
    let written = patient.write(Method::PUT, "Consent/leak-rev-c", &revoked).await?;
    let mut later = vec![doctor.get("Observation/leak-rev-1").await?];
    for page in [&first, &many] {
        later.push(doctor.get(fhir::link(page, "next").context("no next page")?).await?);
    }
    delete(
        &direct,
        &[
            "Observation/leak-rev-1",
            "Observation/leak-rev-2",
            "Observation/leak-rev-3",
            "Consent/leak-rev-c",
            "Patient/leak-rev",
        ],
    )
    .await?;
    ensure!(first.get("total") == Some(&json!(3)), "total: {:?}", first.get("total"));
    ensure!(written.status == 200, "the revocation is not taken: {}", written.status);
    ensure!(
        later.iter().all(|answer| !String::from_utf8_lossy(&answer.body).contains("\"Observation\"")),
        "shown after the revocation"
    );
    Ok(())
}

/// What is kept back is on record under its patient, though the client saw a 404 or an empty page.
pub(super) async fn denials_are_on_record(stack: &mut Stack) -> Result<()> {
    let doctor = caller(stack, Role::Doctor)?;
    let gateway = stack.gateway()?;
    for path in ["Observation/cedar-bp", "Observation?patient=cedar", "Observation/cedar-bp/_history/1"] {
        let answer = doctor.get(path).await?;
        let request = answer.header("x-request-id").context("no request id")?;
        let url = format!("{}/v1/openings/{request}", gateway.admin);
        let openings = fhir::client()?.get(url).bearer_auth(gateway.admin_token.trim()).send().await?.text().await?;
        ensure!(openings.contains("\"denial\"") && openings.contains("Patient/cedar"), "{path}: {openings}");
    }
    Ok(())
}
