//! A patient's compartment, by type and whole, and `$everything`: each resource decided on its own, nothing lost, nothing told.

#![expect(clippy::indexing_slicing, reason = "bodies of the test's own: a member that cannot be set is a failed test")]

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::Skip;
use super::pages::{self, By, Entry};
use super::told::{as_role, of_kind, openings, request_id};
use crate::demo::cast::Role;
use crate::harness::fhir::{Answer, Fhir};
use crate::harness::stack::Stack;

/// Status, headers and body, with one text in the place of another.
fn shown(answer: &Answer, from: &str, to: &str) -> String {
    let named = answer.headers.iter().filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"));
    let mut headers: Vec<String> = named.map(|(name, value)| format!("{name}: {value:?}")).collect();
    headers.sort();
    format!("{}\n{}\n{}", answer.status, headers.join("\n"), String::from_utf8_lossy(&answer.body)).replace(from, to)
}

fn same(what: &str, hidden: &Answer, never: &Answer) -> Result<()> {
    let (hidden, never) = (shown(hidden, "cedar", "cedaq"), shown(never, "cedar", "cedaq"));
    ensure!(hidden == never, "{what}: hidden\n{hidden}\n--- absent\n{never}");
    Ok(())
}

fn observation(id: &str, patient: &str, performer: &str) -> Value {
    json!({"resourceType": "Observation", "id": id, "status": "final", "subject": {"reference": format!("Patient/{patient}")},
        "performer": [{"reference": performer}], "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}})
}

async fn delete(direct: &Fhir, addresses: &[&str]) -> Result<()> {
    for address in addresses {
        Fhir::send(direct.request(Method::DELETE, address)).await?.success()?;
    }
    Ok(())
}

fn matches(pages: &[pages::Page]) -> Vec<Entry> {
    pages.iter().flat_map(|page| page.matches.iter().cloned()).collect()
}

/// What a server gives, whether it calls it a match or an include.
fn given(pages: &[pages::Page]) -> Vec<Entry> {
    pages.iter().flat_map(|page| page.matches.iter().chain(&page.includes).cloned()).collect()
}

/// Address and bytes of each, in order.
fn raw(entries: &[Entry]) -> Vec<(String, String)> {
    entries.iter().map(|entry| (entry.address.clone(), entry.raw.clone())).collect()
}

/// What belongs to a patient by any parameter of the compartment is found once, in every form of the search, by every page size, and
/// equals the searches by these parameters.
pub(super) async fn by_type_it_is_its_searches(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, as_role(stack, Role::Doctor)?);
    direct.put(&observation("comp-own", "alder", "Patient/alder")).await?;
    direct.put(&observation("comp-by", "birch", "Patient/alder")).await?;
    let mut failed = Ok(());
    for query in [
        "Observation?code=8867-4",
        "Observation?_lastUpdated=gt2000-01-01&_include=Observation:encounter",
        "Observation?_sort=_id",
    ] {
        let (_, params) = query.split_once('?').context("no query")?;
        let mut expected = Vec::new();
        for part in ["subject", "performer"] {
            let held = pages::walk(&direct, &format!("Observation?{part}=Patient/alder&{params}"), By::Get).await?;
            for entry in matches(&held) {
                if !expected.iter().any(|(address, _)| *address == entry.address) {
                    expected.push((entry.address, entry.raw));
                }
            }
        }
        for count in ["", "&_count=1", "&_count=3"] {
            for by in [By::Get, By::Post] {
                let received = pages::walk(&doctor, &format!("Patient/alder/{query}{count}"), by).await?;
                let found = raw(&matches(&received));
                let totals: BTreeSet<Option<u64>> = received.iter().map(|page| page.total).collect();
                let links = received.iter().all(|page| page.own.contains("/Patient/alder/Observation?"));
                let right = found == expected && totals == BTreeSet::from([Some(expected.len() as u64)]) && links;
                if failed.is_ok() && !right {
                    failed = Err(anyhow::anyhow!("{query}{count}: {totals:?} {found:?} instead of {expected:?}"));
                }
            }
        }
    }
    delete(&direct, &["Observation/comp-own", "Observation/comp-by"]).await?;
    failed
}

/// The whole compartment is what its types are, each once.
pub(super) async fn whole_it_is_its_types(stack: &mut Stack) -> Result<()> {
    let (direct, patient) = (stack.direct()?, as_role(stack, Role::Patient)?);
    let whole = pages::walk(&patient, "Patient/alder/*", By::Get).await?;
    let by_pages = pages::walk(&patient, "Patient/alder/*?_count=7", By::Get).await?;
    let found = matches(&whole);
    ensure!(raw(&found) == raw(&matches(&by_pages)), "by pages it is another");
    let names: BTreeSet<String> = found.iter().map(|entry| entry.address.clone()).collect();
    ensure!(names.len() == found.len() && names.contains("Patient/alder"), "{names:?}");
    let held = pages::walk(&direct, "Patient/alder/$everything", By::Get).await?;
    let own = |entry: &Entry| entry.raw.contains("Patient/alder") || entry.address == "Patient/alder";
    let own: BTreeSet<String> = matches(&held).iter().filter(|entry| own(entry)).map(|e| e.address.clone()).collect();
    let missing: Vec<_> = own.difference(&names).collect();
    ensure!(own.len() > 15 && missing.is_empty(), "{missing:?} of {} are missing", own.len());
    Ok(())
}

/// The compartment of a hidden patient is as empty as an absent one's, also where something visible names him.
pub(super) async fn hidden_is_as_empty_as_absent(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, as_role(stack, Role::Doctor)?);
    direct.put(&observation("comp-named", "alder", "Patient/cedar")).await?;
    let queries = [
        "Observation",
        "Observation?_count=1",
        "Observation?_count=0",
        "Observation?code=8867-4&_include=*",
        "Observation?unknown=x",
        "Observation?_cursor=x",
        "Patient",
        "Consent",
        "Practitioner",
        "*",
        "*?_count=2&_lastUpdated=gt2000-01-01",
        "$everything",
        "$everything?_count=1",
        "$everything?_type=x",
        "$everything?_cursor=x",
    ];
    let mut answers = Vec::new();
    for query in queries {
        for method in [Method::GET, Method::HEAD] {
            let ask =
                async |who: &str| Fhir::send(doctor.request(method.clone(), &format!("Patient/{who}/{query}"))).await;
            answers.push((format!("{method} {query}"), ask("cedar").await?, ask("cedaq").await?));
        }
    }
    let first = doctor.get("Patient/cedar/Observation").await?;
    let events = openings(stack.gateway()?, request_id(&first)?).await?.context("no events")?;
    delete(&direct, &["Observation/comp-named"]).await?;
    for (what, hidden, never) in &answers {
        same(what, hidden, never)?;
    }
    ensure!(first.json()?["total"] == 0, "{}", first.json()?);
    let denial = of_kind(&events, "denial").next().context("no denial on record")?;
    ensure!(denial.to_string().contains("Patient/cedar"), "{denial}");
    Ok(())
}

/// What Consent hides in a visible patient's record is missing from it, and so is what only that refers to.
pub(super) async fn everything_leaves_out_what_is_hidden(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, as_role(stack, Role::Doctor)?);
    let organization = json!({"resourceType": "Organization", "id": "comp-clinic", "name": "HIV clinic"});
    direct.put(&organization).await?;
    let mut condition = json!({"resourceType": "Encounter", "id": "comp-visit", "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": "Patient/birch"}, "serviceProvider": {"reference": "Organization/comp-clinic"}});
    condition["meta"] =
        json!({"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}]});
    direct.put(&condition).await?;
    let held = pages::walk(&direct, "Patient/birch/$everything", By::Get).await?;
    let received = pages::walk(&doctor, "Patient/birch/$everything", By::Get).await?;
    let by_pages = pages::walk(&doctor, "Patient/birch/$everything?_count=3", By::Get).await?;
    let (held, found) = (given(&held), matches(&received));
    let mut visible = Vec::new();
    for entry in &held {
        if entry.address != "Organization/comp-clinic" && doctor.get(&entry.address).await?.status == 200 {
            visible.push(entry.address.clone());
        }
    }
    delete(&direct, &["Encounter/comp-visit", "Organization/comp-clinic"]).await?;
    let all: BTreeSet<&str> = held.iter().map(|entry| entry.address.as_str()).collect();
    if !all.contains("Organization/comp-clinic") {
        return Err(Skip("the FHIR server's $everything lacks what the record refers to".to_owned()).into());
    }
    let names: Vec<String> = found.iter().map(|entry| entry.address.clone()).collect();
    let (set, expected): (BTreeSet<_>, BTreeSet<_>) = (names.iter().collect(), visible.iter().collect());
    ensure!(set == expected && set.len() == names.len(), "{names:?} instead of {visible:?}");
    ensure!(found.len() < held.len() - 1, "nothing of birch is hidden");
    ensure!(raw(&matches(&by_pages)) == raw(&found), "by pages it is another");
    for page in received.iter().chain(&by_pages) {
        ensure!(page.total == Some(names.len() as u64), "total {:?} of {}", page.total, names.len());
    }
    Ok(())
}

/// Where nothing is hidden, everything comes: the bytes and the number of the server's own, by GET and by POST.
pub(super) async fn everything_is_everything(stack: &mut Stack) -> Result<()> {
    let (direct, patient) = (stack.direct()?, as_role(stack, Role::Patient)?);
    for query in [
        "",
        "?_type=Observation,Condition",
        "?start=2000-01-01&end=2040-01-01",
        "?_since=2000-01-01T00:00:00Z&_count=4",
    ] {
        let query = format!("Patient/alder/$everything{query}");
        let held = pages::walk(&direct, &query, By::Get).await?;
        let received = pages::walk(&patient, &query, By::Get).await?;
        let sorted = |pages: &[pages::Page]| {
            let all: BTreeSet<(String, String)> = raw(&given(pages)).into_iter().collect();
            all
        };
        let (theirs, expected) = (sorted(&received), sorted(&held));
        let missing: Vec<_> = expected.difference(&theirs).map(|(name, _)| name).collect();
        ensure!(theirs == expected, "{query}: {} instead of {}, missing {missing:?}", theirs.len(), expected.len());
        ensure!(received.iter().all(|page| page.total == Some(expected.len() as u64)), "{query}: another total");
    }
    let get = pages::page(&patient.get("Patient/alder/$everything?_count=5&_type=Goal").await?)?;
    let body = json!({"resourceType": "Parameters", "parameter": [
        {"name": "_count", "valueInteger": 5}, {"name": "_type", "valueCode": "Goal"}]});
    let post = pages::page(&patient.write(Method::POST, "Patient/alder/$everything", &body).await?.success()?)?;
    ensure!(raw(&get.matches) == raw(&post.matches) && get.own == post.own, "by POST it is another");
    Ok(())
}

/// A type without scope is missing, the patient without it refuses; parameters are those of the operation.
pub(super) async fn scopes_and_parameters(stack: &mut Stack) -> Result<()> {
    let scoped = |scope: &str| -> Result<Fhir> {
        let mut claims = Role::Doctor.claims();
        claims.as_object_mut().context("claims")?.insert("scope".to_owned(), json!(scope));
        stack.gateway()?.fhir(stack.issuer.token(&claims)?)
    };
    let some = scoped("user/Patient.rs user/Observation.s")?;
    for path in ["Patient/alder/$everything", "Patient/alder/*"] {
        let found = matches(&pages::walk(&some, path, By::Get).await?);
        let kinds: BTreeSet<&str> = found.iter().filter_map(|entry| entry.address.split('/').next()).collect();
        ensure!(kinds == BTreeSet::from(["Observation", "Patient"]), "{path}: {kinds:?}");
    }
    let rows = [
        ("user/Observation.rs", "Patient/alder/$everything", 403, "scope-missing"),
        ("user/Observation.r", "Patient/alder/Observation", 403, "scope-missing"),
        ("user/*.cud", "Patient/alder/*", 403, "scope-missing"),
        ("user/*.rs", "Patient/alder/Practitioner", 404, "not-in-compartment"),
        ("user/*.rs", "Patient/alder/*?_sort=date", 400, "parameter-refused"),
        ("user/*.rs", "Patient/alder/*?_include=*", 400, "parameter-refused"),
        ("user/*.rs", "Patient/alder/Observation?subject.name=x", 400, "parameter-refused"),
        ("user/*.rs", "Patient/alder/Observation?date=x", 400, "search-not-accepted"),
        ("user/*.rs", "Patient/alder/$everything?_filter=x", 400, "parameter-refused"),
        ("user/*.rs", "Patient/alder/$everything?_type=Nope", 400, "value-refused"),
        ("user/*.rs", "Patient/alder/$everything?_count=x", 400, "value-refused"),
        ("user/*.rs", "Patient/alder/$everything?_since=x", 400, "value-refused"),
        ("patient/*.rs", "Patient/alder/*", 403, "scope-patient-absent"),
    ];
    for (scope, path, status, rule) in rows {
        let answer = scoped(scope)?.get(path).await?;
        let shown = String::from_utf8_lossy(&answer.body).into_owned();
        ensure!(
            answer.status.as_u16() == status && super::told::rule(&answer)? == rule,
            "{scope} {path}: {} {shown:.300}",
            answer.status
        );
    }
    let patient = as_role(stack, Role::Patient)?;
    let other = pages::page(&patient.get("Patient/birch/Observation").await?.success()?)?;
    ensure!(other.total == Some(0) && other.matches.is_empty(), "another patient's compartment");
    let first = pages::page(&patient.get("Patient/alder/Observation?_count=1").await?.success()?)?;
    let cursor = first.next.context("no next link")?;
    let cursor = cursor.rsplit('?').next().context("no cursor")?;
    for other in ["Observation", "Patient/alder/*", "Patient/alder/Condition", "Patient/alder/$everything"] {
        let answer = patient.get(&format!("{other}?{cursor}")).await?;
        ensure!(answer.status == 410, "continued under {other}: {}", answer.status);
    }
    Ok(())
}
