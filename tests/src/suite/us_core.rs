//! Where nothing is hidden, nothing is lost: with a clinician whom everything permits, a search gives through the gateway what the server gives.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Skip;
use super::pages::{self, By, Equal, Page};
use super::permitted::Permitted;
use super::us_core_table::{Of, SEARCHES};
use crate::harness::fhir::Fhir;
use crate::harness::stack::Stack;
use crate::harness::{say, workspace};

/// More entries than one window of the gateway holds, of one patient, and more than one page of the server.
const MANY: usize = 300;

/// Every search of the table for every patient; by GET with several page sizes, by POST.
pub(super) async fn searches_lose_nothing(stack: &mut Stack) -> Result<()> {
    let world = Permitted::start(stack, "us-core", &workspace::package("data/demo"), None).await?;
    medication(&world.direct).await?;
    let outcome = table(&world).await;
    world.stop().await?;
    outcome
}

async fn table(world: &Permitted) -> Result<()> {
    let ids: Vec<&str> = world.loaded.patients.iter().filter_map(|patient| patient.strip_prefix("Patient/")).collect();
    ensure!(ids.len() >= 6, "{} patients", ids.len());
    let mut failures = Vec::new();
    let (mut compared, mut resources) = (0, 0);
    for (template, of) in SEARCHES {
        let mut found = 0;
        let about: &[&str] = if template.contains(['{']) { &ids } else { ids.get(..1).unwrap_or_default() };
        for id in about {
            let query = filled(template, id);
            compared += 1;
            let got = match compare(world, &query, *of, By::Get).await {
                Ok(equal) => equal.matches,
                Err(error) => {
                    failures.push(format!("GET {query}: {error:#}"));
                    continue;
                }
            };
            let first = found == 0 && got > 0;
            found += got;
            resources += got;
            // The first patient with data is asked for in every other way too.
            let more = [(1, By::Get), (2, By::Get), (5, By::Get), (3, By::Post)];
            let more = more.map(|(count, by)| (format!("{query}&_count={count}"), by));
            for (query, by) in more.into_iter().chain([(query, By::Post)]).filter(|_| first) {
                match compare(world, &query, *of, by).await {
                    Ok(equal) => resources += equal.matches,
                    Err(error) => failures.push(format!("{by:?} {query}: {error:#}")),
                }
                compared += 1;
            }
        }
        if found == 0 {
            failures.push(format!("{template}: no patient has data"));
        }
    }
    say::step(&format!("us_core: {compared} searches compared, {resources} matches equal"));
    ensure!(SEARCHES.len() >= 60, "{} searches", SEARCHES.len());
    ensure!(failures.is_empty(), "{} of {compared} differ:\n{}", failures.len(), failures.join("\n"));
    Ok(())
}

/// The search both ways, page by page.
async fn compare(world: &Permitted, query: &str, of: Of, by: By) -> Result<Equal> {
    let held = pages::walk(&world.direct, query, by).await.context("directly")?;
    let received = pages::walk(&world.through, query, by).await.context("through the gateway")?;
    pages::compare(&held, (&world.through, &received), query, of == Of::One)
}

fn filled(template: &str, id: &str) -> String {
    let mut letters = id.chars();
    let family = letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>());
    template
        .replace("{p}", id)
        .replace("{P}", &id.to_uppercase())
        .replace("{F}", &family.unwrap_or_default())
        .replace('|', "%7C")
}

/// A medication that a prescription refers to: the demo's data has none.
async fn medication(direct: &Fhir) -> Result<()> {
    let rxnorm = json!({"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "197361"}]});
    direct.put(&json!({"resourceType": "Medication", "id": "amlodipine", "status": "active", "code": rxnorm})).await?;
    direct
        .put(&json!({
            "resourceType": "MedicationRequest", "id": "alder-amlodipine", "status": "active", "intent": "order",
            "medicationReference": {"reference": "Medication/amlodipine"}, "subject": {"reference": "Patient/alder"},
            "authoredOn": "2025-03-06", "requester": {"reference": "Practitioner/okafor"},
        }))
        .await?;
    Ok(())
}

/// Addresses under the server's base become the gateway's where the structure says that they are addresses, and only there; numbers and texts stay
/// as they were written.
pub(super) async fn only_addresses_are_rewritten(stack: &mut Stack) -> Result<()> {
    let world = Permitted::start(stack, "us-core-links", &workspace::package("data/demo"), None).await?;
    let outcome = async {
        rewritten(&world).await.context("addresses in resources")?;
        asked_by_address(&world).await.context("addresses in searches")?;
        merged(&world).await.context("URL and form")?;
        windows(&world).await.context("windows")
    };
    let outcome = outcome.await;
    world.stop().await?;
    outcome
}

async fn rewritten(world: &Permitted) -> Result<()> {
    let (from, to) = (world.direct.base(), world.through.base());
    let note = json!({
        "resourceType": "DocumentReference", "id": "alder-links", "status": "current",
        "text": {"status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"{from}/Binary/alder-note-text\">{from}/Patient/alder</a> é ☃ \u{1F600}</div>")},
        "identifier": [{"system": format!("{from}/identifiers"), "value": format!("{from}/Patient/alder")}],
        "extension": [{"url": format!("{from}/StructureDefinition/x"), "valueReference": {"reference": format!("{from}/Organization/northfield")}}],
        "subject": {"reference": "Patient/alder", "display": format!("{from}/Patient/alder")},
        "description": "1.0 and 1.00 and \"quoted\" \\ / back",
        "content": [{"attachment": {"contentType": "text/plain", "url": format!("{from}/Binary/alder-note-text"), "title": format!("{from}/x")}}],
    });
    world.direct.put(&note).await?;
    let held = world.direct.get("DocumentReference/alder-links").await?.success()?;
    let received = world.through.get("DocumentReference/alder-links").await?.success()?;
    let held = String::from_utf8(held.body.to_vec())?;
    let received = String::from_utf8(received.body.to_vec())?;
    // The server itself may store references to itself as relative ones; attachments it leaves alone.
    let places = ["\"reference\":\"", "\"url\":\""];
    let definition = format!("\"url\":\"{from}/StructureDefinition/x\"");
    let mut expected = held.clone();
    for place in places {
        expected = expected.replace(&format!("{place}{from}/"), &format!("{place}{to}/"));
    }
    expected = expected.replace(&definition.replace(from, to), &definition);
    ensure!(expected != held, "the server holds no absolute address: {held}");
    ensure!(received == expected, "expected\n{expected}\nreceived\n{received}");

    let pages = pages::walk(&world.through, "DocumentReference?patient=alder", By::Get).await?;
    let entry =
        pages.iter().flat_map(|page| &page.matches).find(|entry| entry.address == "DocumentReference/alder-links");
    let entry = entry.context("the search does not find it")?;
    ensure!(entry.raw == expected, "in a searchset: expected\n{expected}\nreceived\n{}", entry.raw);
    Ok(())
}

/// A search by an address under the gateway's base finds what the server finds by the same under its own: HAPI, as it is set up here, takes neither
/// for its own and finds nothing; other servers find the resources.
async fn asked_by_address(world: &Permitted) -> Result<()> {
    for template in [
        "Observation?patient={}/Patient/alder&category=vital-signs",
        "Observation?subject={}/Patient/alder&_count=4",
        "Encounter?patient={}/Patient/alder,Patient/birch",
        "Provenance?target={}/Encounter/alder-visit-1",
        "MedicationRequest?patient=alder&requester={}/Practitioner/okafor",
    ] {
        let query = |base: &str| template.replace("{}", base);
        let held = pages::walk(&world.direct, &query(world.direct.base()), By::Get).await?;
        let received = pages::walk(&world.through, &query(world.through.base()), By::Get).await?;
        let addresses = |pages: &[Page]| -> Vec<String> {
            pages.iter().flat_map(|page| &page.matches).map(|entry| entry.address.clone()).collect()
        };
        ensure!(
            addresses(&held) == addresses(&received),
            "{template}: {:?} instead of {:?}",
            addresses(&received),
            addresses(&held)
        );
    }
    Ok(())
}

/// Parameters of the URL and of the form are one search.
async fn merged(world: &Permitted) -> Result<()> {
    let held = pages::walk(&world.direct, "Observation?patient=alder&category=vital-signs", By::Get).await?;
    let request = world
        .through
        .request(reqwest::Method::POST, "Observation/_search?patient=alder")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("category=vital-signs");
    let received = pages::page(&Fhir::send(request).await?.success()?)?;
    let query = "Observation?patient=alder&category=vital-signs";
    pages::compare(&held, (&world.through, &[received]), query, true)?;
    Ok(())
}

/// An answer of one patient that leaves in several windows, read from several pages of the server: whole, and every window is on record.
async fn windows(world: &Permitted) -> Result<()> {
    let entries: Vec<Value> = (0..MANY)
        .map(|at| {
            let id = format!("fir-series-{at:03}");
            json!({
                "request": {"method": "PUT", "url": format!("Observation/{id}")},
                "resource": {
                    "resourceType": "Observation", "id": id, "status": "final",
                    "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
                    "subject": {"reference": "Patient/fir"}, "performer": [{"reference": "Practitioner/okafor"}],
                    "effectiveDateTime": "2025-03-06T09:30:00Z",
                    "valueQuantity": {"value": at, "unit": "beats/minute"},
                },
            })
        })
        .collect();
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
    world.direct.write(reqwest::Method::POST, "", &bundle).await?.success()?;
    for query in [
        "Observation?patient=fir&_count=1000",
        "Observation?patient=fir&_count=100&_sort=-date,_id",
        "Observation?patient=fir&_count=1000&_include=Observation:performer&_include=Observation:encounter",
    ] {
        let equal = compare(world, query, Of::One, By::Get).await.with_context(|| query.to_owned())?;
        ensure!(equal.matches > MANY, "{query}: {} matches", equal.matches);
    }
    let query = "Observation?patient=fir&_count=1000&_include=Observation:performer";
    let received = pages::walk(&world.through, query, By::Get).await?;
    let first = received.first().context("no page")?;
    on_record(world, first).await
}

/// A server gives so many included resources on a page and no more; the gateway's own page size must lose none that the client's would have brought.
pub(super) async fn many_included_are_not_lost(stack: &mut Stack) -> Result<()> {
    let world = Permitted::start(stack, "us-core-included", &workspace::package("data/demo"), None).await?;
    let outcome = many_included(&world).await;
    world.stop().await?;
    outcome
}

async fn many_included(world: &Permitted) -> Result<()> {
    const ENCOUNTERS: usize = 30;
    const EACH: usize = 40;
    for at in 0..ENCOUNTERS {
        let encounter = format!("elm-series-{at:02}");
        let own = json!({
            "resourceType": "Encounter", "id": encounter, "status": "finished", "class": {"code": "AMB"},
            "subject": {"reference": "Patient/elm"},
        });
        let observations = (0..EACH).map(|number| {
            json!({
                "resourceType": "Observation", "id": format!("{encounter}-{number:02}"), "status": "final",
                "code": {"text": "series"}, "subject": {"reference": "Patient/elm"},
                "encounter": {"reference": format!("Encounter/{encounter}")},
            })
        });
        let entries: Vec<Value> = std::iter::once(own)
            .chain(observations)
            .map(|resource| {
                let url = crate::harness::fhir::address(&resource);
                json!({"request": {"method": "PUT", "url": url}, "resource": resource})
            })
            .collect();
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
        world.direct.write(reqwest::Method::POST, "", &bundle).await?.success()?;
    }
    let query = "Encounter?patient=elm&_revinclude=Observation:encounter&_sort=_id&_count=10";
    let equal = compare(world, query, Of::One, By::Get).await?;
    ensure!(equal.includes >= ENCOUNTERS * EACH, "{} included", equal.includes);
    Ok(())
}

/// What the client received in one answer of several windows is what the openings of its request say: an `opened` request, disclosures for every
/// window, universal resources, an `outcome` that says complete.
async fn on_record(world: &Permitted, page: &Page) -> Result<()> {
    let request = page.request.as_deref().context("an answer without a request id")?;
    let begin = Instant::now();
    let events = loop {
        let events = world.openings(request).await?;
        let closed = events.iter().any(|event| kind(event) == "outcome");
        if closed || begin.elapsed() > Duration::from_secs(10) {
            break events;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let of_kind = |wanted: &str| events.iter().filter(|event| kind(event) == wanted).collect::<Vec<_>>();
    let requests = of_kind("request");
    let &[opened] = requests.as_slice() else { anyhow::bail!("{} request events", requests.len()) };
    ensure!(opened.get("phase") == Some(&json!("opened")), "phase {:?}", opened.get("phase"));
    ensure!(opened.get("id") == Some(&json!(request)), "the request event has another id");
    let outcomes = of_kind("outcome");
    let &[outcome] = outcomes.as_slice() else { anyhow::bail!("{} outcome events", outcomes.len()) };
    ensure!(outcome.get("end") == Some(&json!("complete")), "end {:?}", outcome.get("end"));

    let mut recorded: BTreeMap<String, usize> = BTreeMap::new();
    let mut windows = BTreeSet::from([0]);
    let mut note = |resources: Option<&Value>| -> Result<()> {
        for resource in resources.and_then(Value::as_array).into_iter().flatten() {
            let reference = resource.get("reference").and_then(Value::as_str).context("no reference")?;
            *recorded.entry(reference.to_owned()).or_default() += 1;
        }
        Ok(())
    };
    note(opened.get("universal"))?;
    for event in of_kind("disclosure").into_iter().chain(of_kind("universal")) {
        windows.insert(number(event.get("window")).context("no window")?);
        note(event.get("resources"))?;
    }
    let received: BTreeMap<String, usize> =
        page.matches.iter().chain(&page.includes).map(|entry| (entry.address.clone(), 1)).collect();
    ensure!(recorded == received, "recorded {} resources, received {}", recorded.len(), received.len());
    ensure!(windows.len() >= 2, "disclosures of windows {windows:?} only");
    let counted = number(outcome.get("windows")).context("an outcome without windows")?;
    ensure!(windows.iter().all(|window| *window < counted), "windows {windows:?} of {counted}");
    let disclosed = number(outcome.pointer("/counts/disclosed")).context("an outcome without counts")?;
    ensure!(disclosed == received.len() as u64, "{disclosed} counted as disclosed, {} received", received.len());
    Ok(())
}

fn kind(event: &Value) -> &str {
    event.get("kind").and_then(Value::as_str).unwrap_or_default()
}

/// A number, which events write as a string where it may have 64 bits.
fn number(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// The same with Synthea's patients, where the shared data is there: also many patients' answers in several windows.
pub(super) async fn synthea_loses_nothing(stack: &mut Stack) -> Result<()> {
    let Some(data) = workspace::environment("SEALGATE_SHARED_DATA").map(PathBuf::from) else {
        return Err(Skip("SEALGATE_SHARED_DATA is not set: no Synthea patients to compare".to_owned()).into());
    };
    let folder = data.join("synthea-r4");
    let world = Permitted::start(stack, "us-core-synthea", &folder, Some(3)).await?;
    let outcome = synthea(&world).await;
    world.stop().await?;
    outcome
}

async fn synthea(world: &Permitted) -> Result<()> {
    let mut searches = Vec::new();
    for patient in &world.loaded.patients {
        for template in [
            "Condition?patient={}&_sort=-onset-date",
            "Observation?patient={}&category=vital-signs&_sort=-date",
            "Observation?patient={}&_include=Observation:encounter&_count=50",
            "Encounter?patient={}&_include=Encounter:participant&_include=Encounter:service-provider",
            "MedicationRequest?patient={}&_include=MedicationRequest:requester&_revinclude=Provenance:target",
            "DiagnosticReport?patient={}&_include=DiagnosticReport:result",
            "Immunization?patient={}&_count=4",
            "Procedure?patient={}&date=ge2000-01-01",
            "ExplanationOfBenefit?patient={}&_count=7",
        ] {
            searches.push((template.replace("{}", patient), Of::One));
        }
    }
    for query in [
        "Observation?_count=1000&_sort=_id",
        "Observation?_count=1000&_include=Observation:encounter",
        "Encounter?_count=10",
    ] {
        searches.push((query.to_owned(), Of::Many));
    }
    let (mut failures, mut resources) = (Vec::new(), 0);
    for (query, of) in &searches {
        match compare(world, query, *of, By::Get).await {
            Ok(equal) => resources += equal.matches + equal.includes,
            Err(error) => failures.push(format!("{query}: {error:#}")),
        }
    }
    say::step(&format!("synthea: {} searches compared, {resources} resources equal", searches.len()));
    ensure!(failures.is_empty(), "{} of {} differ:\n{}", failures.len(), searches.len(), failures.join("\n"));
    let received = pages::walk(&world.through, "Observation?_count=1000", By::Get).await?;
    let first = received.first().context("no page")?;
    ensure!(first.matches.len() > 256, "{} entries: too few for two windows", first.matches.len());
    on_record(world, first).await
}
