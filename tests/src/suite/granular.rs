//! Granular scopes: each resource has to match the filter of one, in every interaction. The FHIR server is asked the same by its own search.

#![expect(clippy::indexing_slicing, reason = "bodies of the test's own: a member that cannot be set is a failed test")]

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::leaks::{altered, delete, same};
use super::pages::{self, By};
use crate::demo::cast::Role;
use crate::harness::fhir::{Answer, Fhir, address};
use crate::harness::say;
use crate::harness::stack::Stack;

const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const LABORATORY: &str = "category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory";
const LOINC: &str = "http://loinc.org";

/// The doctor with these scopes instead of his own.
fn doctor(stack: &Stack, scopes: &str) -> Result<Fhir> {
    altered(stack, Role::Doctor, &json!({"scope": scopes}))
}

fn observation(id: &str, category: &str) -> Value {
    json!({"resourceType": "Observation", "id": id, "status": "final", "subject": {"reference": "Patient/alder"},
        "category": [{"coding": [{"system": CATEGORY, "code": category}]}],
        "code": {"coding": [{"system": LOINC, "code": "2345-7"}]}, "effectiveDateTime": "2025-02-03T04:05:06Z"})
}

/// Every kind of value that a filter looks at, on one patient.
fn world() -> Vec<Value> {
    let mut preliminary = observation("gran-2", "laboratory");
    preliminary["status"] = json!("preliminary");
    preliminary["effectiveDateTime"] = json!("2024-12");
    let mut vital = observation("gran-3", "vital-signs");
    vital["effectiveDateTime"] = json!("2024");
    vital["encounter"] = json!({"reference": "Encounter/alder-visit-1"});
    let mut both = observation("gran-4", "laboratory");
    both["category"] = json!([{"coding": [{"system": CATEGORY, "code": "laboratory"}]}, {"coding": [{"system": "urn:own", "code": "odd,one"}]}]);
    both["effectivePeriod"] = json!({"start": "2025-02-01", "end": "2025-02-10"});
    both.as_object_mut().map(|object| object.remove("effectiveDateTime"));
    both["code"] = json!({"coding": [{"system": LOINC, "code": "718-7"}, {"code": "HB"}]});
    let mut bare = observation("gran-5", "survey");
    bare.as_object_mut().map(|object| object.remove("category"));
    bare.as_object_mut().map(|object| object.remove("effectiveDateTime"));
    bare["identifier"] = json!([{"system": "urn:ids", "value": "five"}]);
    bare["valueString"] = json!("Élevé à jeun");
    bare["meta"] = json!({"tag": [{"system": "urn:tags", "code": "t"}], "profile": ["http://example.org/profile"]});
    vec![observation("gran-1", "laboratory"), preliminary, vital, both, bare]
}

async fn settle(direct: &Fhir) -> Result<()> {
    for resource in world() {
        direct.put(&resource).await?;
    }
    Ok(())
}

async fn clear(direct: &Fhir) -> Result<()> {
    for id in 1..=5 {
        delete(direct, &[&format!("Observation/gran-{id}")]).await?;
    }
    Ok(())
}

/// The filters that the FHIR server and the gateway have to understand alike.
const FILTERS: &[&str] = &[
    LABORATORY,
    "category=laboratory",
    "category=http://terminology.hl7.org/CodeSystem/observation-category|",
    "category=http://elsewhere.example|laboratory",
    "category=|laboratory",
    "category=vital-signs,laboratory",
    "category=laboratory&category=urn:own|",
    "category=odd%5C,one",
    "category=odd,one",
    "category:not=laboratory",
    "category:missing=true",
    "category:missing=false",
    "code=http://loinc.org|718-7",
    "code=HB",
    "code=|HB",
    "code=http://loinc.org|718-7,http://loinc.org|2345-7",
    "status=final",
    "status=final,preliminary",
    "status:not=final",
    "status=http://hl7.org/fhir/observation-status|final",
    "date=2025",
    "date=2025-02-03",
    "date=2024-12",
    "date=2024",
    "date=gt2024-12-31",
    "date=ge2025-02-01",
    "date=lt2025-01-01",
    "date=le2024-12-31",
    "date=sa2024-12-31",
    "date=eb2025-01-01",
    "date=ge2024-06-01&date=lt2025-01-01",
    "date=ne2024",
    "date:missing=true",
    "identifier=urn:ids|five",
    "identifier=five",
    "value-string=eleve",
    "value-string:contains=JEUN",
    "value-string:exact=Élevé à jeun",
    "patient=alder",
    "patient=Patient/alder",
    "subject=Patient/alder",
    "subject:Patient=alder",
    "subject=Patient/birch",
    "encounter=Encounter/alder-visit-1",
    "encounter:missing=true",
    "_id=gran-1,gran-3",
    "_tag=urn:tags|t",
    "_tag:not=t",
    "_profile=http://example.org/profile",
    "_lastUpdated=gt2020-01-01",
    "_lastUpdated=lt2020-01-01",
    "category=laboratory&status=final&date=ge2025-02-03",
];

/// Through a scope with a filter a search gives what the FHIR server gives for a search with that filter.
pub(super) async fn filters_mean_what_the_server_means(stack: &mut Stack) -> Result<()> {
    let direct = stack.direct()?;
    settle(&direct).await?;
    let outcome = filters(stack, &direct).await;
    clear(&direct).await?;
    outcome
}

async fn filters(stack: &Stack, direct: &Fhir) -> Result<()> {
    let ours = "_id=gran-1,gran-2,gran-3,gran-4,gran-5";
    let mut wrong = Vec::new();
    let (mut found, mut total) = (0, 0);
    for filter in FILTERS {
        let scope: String = filter.chars().map(|c| if c == ' ' { "%20".to_owned() } else { c.to_string() }).collect();
        let caller = doctor(stack, &format!("user/Observation.rs?{scope}"))?;
        let names = |pages: &[pages::Page]| -> BTreeSet<String> {
            pages.iter().flat_map(|page| page.matches.iter().map(|entry| entry.address.clone())).collect()
        };
        let query = format!("Observation?patient=alder&{ours}");
        let asked = format!("{query}&{}", filter.replace('|', "%7C").replace(' ', "%20"));
        let expected = names(&pages::walk(direct, &asked, By::Get).await.with_context(|| (*filter).to_owned())?);
        let received = pages::walk(&caller, &query, By::Get).await.with_context(|| (*filter).to_owned())?;
        let counted: Vec<_> = received.iter().filter_map(|page| page.total).collect();
        if names(&received) != expected || counted.iter().any(|count| *count != expected.len() as u64) {
            wrong.push(format!("{filter}: server {expected:?}, gateway {:?}, totals {counted:?}", names(&received)));
        }
        for id in 1..=5 {
            let address = format!("Observation/gran-{id}");
            let status = caller.get(&address).await?.status;
            let wanted = if expected.contains(&address) { 200 } else { 404 };
            if status != wanted {
                wrong.push(format!("{filter}: read of {address} is {status}"));
            }
        }
        found += usize::from(!expected.is_empty());
        total += 1;
    }
    say::step(&format!("granular: {total} filters compared with the server's search, {found} of them find something"));
    ensure!(found * 10 >= total * 6, "only {found} of {total} filters find something");
    ensure!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// What does not match reads as what never was; a version is shown beside a current one that matches only.
pub(super) async fn hidden_by_a_filter_is_absent(stack: &mut Stack) -> Result<()> {
    let direct = stack.direct()?;
    settle(&direct).await?;
    // An old version that matches under a current one that does not, and the other way round.
    direct.put(&observation("gran-1", "vital-signs")).await?;
    direct.put(&observation("gran-3", "laboratory")).await?;
    let outcome = absent(stack).await;
    clear(&direct).await?;
    outcome
}

async fn absent(stack: &Stack) -> Result<()> {
    let caller = doctor(stack, &format!("user/Observation.rs?{LABORATORY}"))?;
    let plain = doctor(stack, "user/Observation.rs")?;
    let latest = async |id: &str| -> Result<u64> {
        let read = plain.read(&format!("Observation/{id}")).await?;
        Ok(read.pointer("/meta/versionId").and_then(Value::as_str).context("no version")?.parse()?)
    };
    let (one, three) = (latest("gran-1").await?, latest("gran-3").await?);
    let hidden = [
        "Observation/gran-1".to_owned(),
        format!("Observation/gran-1/_history/{one}"),
        format!("Observation/gran-1/_history/{}", one - 1),
        format!("Observation/gran-3/_history/{}", three - 1),
        "Observation/gran-5".to_owned(),
    ];
    for path in &hidden {
        let never = path.replace("gran-", "grax-");
        let (found, absent) = (caller.get(path).await?, caller.get(&never).await?);
        ensure!(found.status == 404, "{path}: {}", found.status);
        same(path, &found, &absent, "gran-", "grax-")?;
        ensure!(plain.get(path).await?.status == 200, "{path} is not there without the filter");
    }
    for path in ["Observation/gran-3".to_owned(), format!("Observation/gran-3/_history/{three}")] {
        let (with, without) = (caller.get(&path).await?, plain.get(&path).await?);
        ensure!(with.status == 200 && with.body == without.body, "{path}: {}", with.status);
    }
    for query in [
        "Observation?_id={}1",
        "Observation?patient=alder&_id={}1&_count=0",
        "Observation?_id={}1&_include=Observation:subject",
    ] {
        let of = |prefix: &str| query.replace("{}", prefix);
        let (found, absent) = (caller.get(&of("gran-")).await?, caller.get(&of("grax-")).await?);
        ensure!(found.status == 200, "{query}: {}", found.status);
        same(query, &found, &absent, "gran-", "grax-")?;
    }
    Ok(())
}

/// Included resources have to match too, and so do the targets of a Provenance; a scope that covers all hides nothing.
pub(super) async fn includes_match_and_what_covers_all_hides_nothing(stack: &mut Stack) -> Result<()> {
    let direct = stack.direct()?;
    settle(&direct).await?;
    let outcome = includes(stack).await;
    clear(&direct).await?;
    outcome
}

async fn includes(stack: &Stack) -> Result<()> {
    let page = async |scopes: &str, query: &str| -> Result<(BTreeSet<String>, BTreeSet<String>)> {
        let read = pages::walk(&doctor(stack, scopes)?, query, By::Get).await?;
        let names = |of: fn(&pages::Page) -> &Vec<pages::Entry>| {
            read.iter().flat_map(|page| of(page).iter().map(|entry| entry.address.clone())).collect()
        };
        Ok((names(|page| &page.matches), names(|page| &page.includes)))
    };
    let forward = "Observation?_id=gran-1,gran-3&_include=Observation:subject";
    let (matches, included) = page("user/Observation.rs user/Patient.r?gender=unknown", forward).await?;
    ensure!(matches.len() == 2 && included.is_empty(), "{matches:?} {included:?}");
    let (_, included) = page("user/Observation.rs user/Patient.r?_id=alder", forward).await?;
    ensure!(included.contains("Patient/alder"), "{included:?}");
    let reverse = "Patient?_id=alder&_revinclude=Observation:patient&_count=5";
    let (_, included) =
        page(&format!("user/Patient.rs user/Observation.s?{LABORATORY}&_id=gran-1,gran-3"), reverse).await?;
    ensure!(included == BTreeSet::from(["Observation/gran-1".to_owned()]), "{included:?}");
    let (_, included) = page("user/Patient.rs user/Observation.r?_id:missing=false", reverse).await?;
    ensure!(included.is_empty(), "what refers to a match is searched for: {included:?}");

    let covers = "user/Observation.rs?_id:missing=false user/Patient.rs?_lastUpdated=gt2000 user/Encounter.rs?status:missing=false user/Provenance.rs user/Practitioner.rs?_id:missing=false";
    let plain = "user/Observation.rs user/Patient.rs user/Encounter.rs user/Provenance.rs user/Practitioner.rs";
    let (with, without) = (doctor(stack, covers)?, doctor(stack, plain)?);
    for query in [
        "Patient/alder",
        "Observation?patient=alder&_sort=-date&_count=3",
        "Observation?patient=alder&_include=*&_count=4",
        "Patient?_id=alder&_revinclude=Provenance:target",
        "Encounter?patient=alder&_include=Encounter:practitioner",
        "Provenance?patient=alder",
        "Practitioner?name=okafor",
    ] {
        let (with, without) = (with.get(query).await?, without.get(query).await?);
        ensure!(with.status == 200, "{query}: {}", with.status);
        let shown = |answer: &Answer| without_cursor(&String::from_utf8_lossy(&answer.body));
        ensure!(shown(&with) == shown(&without), "{query}: with\n{}\nwithout\n{}", shown(&with), shown(&without));
    }
    Ok(())
}

/// Cursors are sealed, each with a nonce of its own.
fn without_cursor(body: &str) -> String {
    match body.split_once("_cursor=") {
        Some((before, after)) => format!("{before}{}", after.find('"').map_or("", |end| after.split_at(end).1)),
        None => body.to_owned(),
    }
}

/// A write has to match before and after.
pub(super) async fn writes_match_before_and_after(stack: &mut Stack) -> Result<()> {
    let direct = stack.direct()?;
    settle(&direct).await?;
    let outcome = writes(stack, &direct).await;
    clear(&direct).await?;
    outcome
}

async fn writes(stack: &Stack, direct: &Fhir) -> Result<()> {
    let caller = doctor(stack, &format!("user/Observation.cruds?{LABORATORY} user/Patient.r"))?;
    let create = async |category: &str| {
        let mut body = observation("x", category);
        body.as_object_mut().map(|object| object.remove("id"));
        caller.write(Method::POST, "Observation", &body).await
    };
    let created = create("laboratory").await?;
    ensure!(created.status == 201, "create of what matches: {}", created.status);
    let made = address(&created.json()?).context("no address")?;
    let refused = create("vital-signs").await?;
    ensure!(refused.status == 403, "create of what does not match: {}", refused.status);

    let mut own = observation("gran-1", "laboratory");
    own["status"] = json!("amended");
    let updated = caller.write(Method::PUT, "Observation/gran-1", &own).await?;
    ensure!(updated.status == 200, "update of what matches: {}", updated.status);
    let moved = caller.write(Method::PUT, "Observation/gran-1", &observation("gran-1", "vital-signs")).await?;
    ensure!(moved.status == 403, "update out of the filter: {}", moved.status);
    for (method, body) in
        [(Method::PUT, Some("laboratory")), (Method::PUT, Some("vital-signs")), (Method::DELETE, None)]
    {
        let send = async |id: &str| match body {
            Some(category) => {
                caller.write(method.clone(), &format!("Observation/{id}"), &observation(id, category)).await
            }
            None => Fhir::send(caller.request(method.clone(), &format!("Observation/{id}"))).await,
        };
        let (hidden, never) = (send("gran-3").await?, send("grax-3").await?);
        ensure!(hidden.status == 404, "{method} of what does not match: {}", hidden.status);
        same("a write", &hidden, &never, "gran-3", "grax-3")?;
    }
    let stored = direct.read("Observation/gran-3").await?;
    ensure!(stored.pointer("/category/0/coding/0/code") == Some(&json!("vital-signs")), "it was changed: {stored}");
    let stored = direct.read("Observation/gran-1").await?;
    ensure!(stored["status"] == "amended" && stored.pointer("/category/0/coding/0/code") == Some(&json!("laboratory")));
    // What the server sets itself is not the client's to claim.
    let by_time = doctor(stack, "user/Observation.cru?_lastUpdated=lt2020 user/Patient.r")?;
    let mut forged = observation("x", "laboratory");
    forged.as_object_mut().map(|object| object.remove("id"));
    forged["meta"] = json!({"lastUpdated": "2019-01-01T00:00:00Z"});
    let forged = by_time.write(Method::POST, "Observation", &forged).await?;
    ensure!(forged.status == 403, "a forged time: {}", forged.status);
    let deleted = Fhir::send(caller.request(Method::DELETE, &made)).await?;
    ensure!(deleted.status == 204, "delete of what matches: {}", deleted.status);
    Ok(())
}

/// A filter that is not understood to its end grants nothing; no dressing makes one lose a part.
pub(super) async fn filters_never_lose_a_part(stack: &mut Stack) -> Result<()> {
    let direct = stack.direct()?;
    settle(&direct).await?;
    let outcome = attacks(stack).await;
    clear(&direct).await?;
    outcome
}

async fn attacks(stack: &Stack) -> Result<()> {
    let void = [
        "?",
        "??category=laboratory",
        "?category=laboratory?status=final",
        "?category=laboratory&",
        "?&category=laboratory",
        "?category=laboratory&&status=final",
        "?category",
        "?category=",
        "?=laboratory",
        "?category=laboratory&nope=1",
        "?Category=laboratory",
        "?CATEGORY=laboratory",
        "?category:NOT=laboratory",
        "?category:in=http://example.org/vs",
        "?category:not-in=http://example.org/vs",
        "?category:below=laboratory",
        "?category:not:not=laboratory",
        "?category=laboratory,",
        "?category=,",
        "?category=a|b|c",
        "?category=%",
        "?category=%zz",
        "?category=%ff",
        "?category=laboratory%00",
        "?subject.name=alder",
        "?_has:Provenance:target:agent=x",
        "?_text=x",
        "?_count=1",
        "?date=ap2025",
        "?date=2025-02-30",
        "?value-quantity=gt1",
        "?patient=Nope/alder",
    ];
    for filter in void {
        let caller = doctor(stack, &format!("user/Observation.rs{filter}"))?;
        for path in ["Observation/gran-1", "Observation?patient=alder"] {
            let answer = caller.get(path).await?;
            ensure!(answer.status == 403, "{filter}: {path} answers {}", answer.status);
        }
        // Beside a scope that counts a void one neither adds nor takes away.
        let beside = doctor(stack, &format!("user/Observation.rs{filter} user/Observation.rs?category=vital-signs"))?;
        let (lab, vital) = (beside.get("Observation/gran-1").await?, beside.get("Observation/gran-3").await?);
        ensure!(
            (lab.status.as_u16(), vital.status.as_u16()) == (404, 200),
            "{filter}: {} {}",
            lab.status,
            vital.status
        );
    }
    // Understood, and matching less than it may seem to.
    for filter in [
        "?category=Vital-Signs",
        "?category=vital-signs%26status=final",
        "?category=vital-signs;status=final",
        "?category=vital%252Dsigns",
        "?category=vital-signs&category=laboratory",
        "?category=vital-signs&status=preliminary",
        "?category:not=VITAL-SIGNS",
        "?category=vital-signs%20",
    ] {
        let caller = doctor(stack, &format!("user/Observation.rs{filter}"))?;
        let answer = caller.get("Observation/gran-3").await?;
        ensure!(answer.status == 404, "{filter}: {}", answer.status);
        let search = pages::walk(&caller, "Observation?_id=gran-3", By::Get).await?;
        ensure!(search.iter().all(|page| page.matches.is_empty()), "{filter}: it is found");
    }
    // The same, said in another encoding.
    for filter in [
        "?category=vital%2Dsigns",
        "?c%61tegory=vital-signs",
        "?category=x,vital-signs",
        "?category=http://terminology.hl7.org/CodeSystem/observation-category%7Cvital-signs",
    ] {
        let answer = doctor(stack, &format!("user/Observation.rs{filter}"))?.get("Observation/gran-3").await?;
        ensure!(answer.status == 200, "{filter}: {}", answer.status);
    }
    Ok(())
}
