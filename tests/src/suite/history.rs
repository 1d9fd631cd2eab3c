//! History of a resource, of a type, of the server: equal to the upstream's where nothing is hidden, and silent about what is.

#![expect(clippy::indexing_slicing, reason = "bodies of the test's own: a member that cannot be set is a failed test")]

mod hidden;
mod limits;

pub(super) use hidden::{
    deletions_are_told_of_what_was_visible, hidden_answers_as_absent, hidden_writes_between_pages_tell_nothing,
    labels_reach_every_version, owners_change_between_versions, redacted_in_every_version,
};
pub(super) use limits::{parameters_are_checked, scopes_decide_by_level, versions_are_on_record};

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::demo::cast::Role;
use crate::harness::fhir::{Answer, Fhir, address};
use crate::harness::say;
use crate::harness::stack::Stack;
use crate::suite::told::as_role;

const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

/// An entry of a history, compared member by member; the resource byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    full_url: String,
    resource: Option<String>,
    request: Value,
    response: Value,
}

/// A page of a history.
#[derive(Debug)]
struct Page {
    entries: Vec<Entry>,
    total: Option<u64>,
    own: String,
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBundle<'a> {
    resource_type: String,
    #[serde(rename = "type")]
    kind: String,
    total: Option<u64>,
    #[serde(default)]
    link: Vec<Value>,
    #[serde(borrow, default)]
    entry: Vec<RawEntry<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEntry<'a> {
    full_url: String,
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    request: Value,
    response: Value,
}

fn page(answer: &Answer) -> Result<Page> {
    let bundle: RawBundle<'_> = serde_json::from_slice(&answer.body).context("an answer that is no history")?;
    ensure!(bundle.resource_type == "Bundle" && bundle.kind == "history", "{} {}", bundle.resource_type, bundle.kind);
    let link = |relation: &str| {
        let found = bundle.link.iter().find(|link| link["relation"] == relation)?;
        found["url"].as_str().map(str::to_owned)
    };
    let entries = bundle.entry.iter().map(|entry| Entry {
        full_url: entry.full_url.clone(),
        resource: entry.resource.map(|raw| raw.get().to_owned()),
        request: entry.request.clone(),
        response: entry.response.clone(),
    });
    Ok(Page {
        entries: entries.collect(),
        total: bundle.total,
        own: link("self").context("no self link")?,
        next: link("next"),
    })
}

/// All pages of a history.
async fn walk(server: &Fhir, query: &str) -> Result<Vec<Page>> {
    let mut pages = vec![page(&server.get(query).await?.success()?)?];
    while let Some(next) = pages.last().and_then(|page| page.next.clone()) {
        ensure!(pages.len() < 200, "the pages do not end");
        pages.push(page(&server.get(&next).await?.success()?)?);
    }
    Ok(pages)
}

/// What stands on all pages, with the server's base taken away.
fn entries(server: &Fhir, pages: &[Page]) -> Vec<Entry> {
    let relative = |entry: &Entry| Entry {
        full_url: entry.full_url.strip_prefix(server.base()).unwrap_or(&entry.full_url).to_owned(),
        ..entry.clone()
    };
    pages.iter().flat_map(|page| &page.entries).map(relative).collect()
}

/// `METHOD Type/id/_history/version` of each entry; where a server tells of a create by its type alone, `METHOD Type/id`.
fn told(pages: &[Page]) -> Vec<String> {
    let of = |entry: &Entry| {
        let text = |key: &str| entry.request[key].as_str().unwrap_or_default().to_owned();
        let (method, mut url) = (text("method"), text("url"));
        if !url.contains('/') {
            let id = entry.full_url.rsplit('/').next().unwrap_or_default();
            url = format!("{url}/{id}");
        }
        format!("{method} {url}")
    };
    pages.iter().flat_map(|page| &page.entries).map(of).collect()
}

fn observation(id: &str, patient: &str, value: &str) -> Value {
    json!({"resourceType": "Observation", "id": id, "status": "final", "subject": {"reference": format!("Patient/{patient}")},
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}, "effectiveDateTime": "2025-01-01",
        "valueString": value})
}

fn labelled(mut resource: Value, code: &str) -> Value {
    resource["meta"] = json!({"security": [{"system": ACT_CODE, "code": code}]});
    resource
}

async fn delete(direct: &Fhir, addresses: &[&str]) -> Result<()> {
    for address in addresses {
        Fhir::send(direct.request(Method::DELETE, address)).await?.success()?;
    }
    Ok(())
}

/// Writes a resource; answers since when, as `_since` takes it.
async fn begun(direct: &Fhir, resource: &Value) -> Result<String> {
    let stored = direct.put(resource).await?;
    let since = stored.pointer("/meta/lastUpdated").and_then(Value::as_str).context("no lastUpdated")?;
    Ok(since.replace('+', "%2B"))
}

/// Where nothing is hidden, every history on every page size is the upstream's: entries, order, bytes; the total of one resource's.
pub(super) async fn equal_where_nothing_is_hidden(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, as_role(stack, Role::Doctor)?);
    let since = begun(&direct, &observation("hist-a", "alder", "1.00")).await?;
    for value in ["2", "3"] {
        direct.put(&observation("hist-a", "alder", value)).await?;
        direct.put(&observation("hist-b", "birch", value)).await?;
    }
    let condition = json!({"resourceType": "Condition", "id": "hist-c", "subject": {"reference": "Patient/alder"}});
    direct.put(&condition).await?;
    delete(&direct, &["Observation/hist-b"]).await?;
    let mut compared = 0;
    for (path, one) in [("Observation/hist-a/_history", true), ("Observation/_history", false), ("_history", false)] {
        for query in [format!("_since={since}"), format!("_since={since}&_count=1"), format!("_since={since}&_count=3")]
        {
            let query = format!("{path}?{query}");
            let (held, received) = (walk(&direct, &query).await?, walk(&doctor, &query).await?);
            let (theirs, mut expected) = (entries(&doctor, &received), entries(&direct, &held));
            // What was deleted answers as absent in its versions: that it was deleted is told.
            expected.retain(|entry| entry.resource.is_none() || !entry.full_url.ends_with("/hist-b"));
            ensure!(theirs == expected, "{query}\nheld {expected:#?}\nreceived {theirs:#?}");
            ensure!(!expected.is_empty(), "{query}: nothing to compare");
            compared += expected.len();
            for page in &received {
                let total = one.then_some(expected.len() as u64);
                ensure!(page.total == total, "{query}: total {:?} instead of {total:?}", page.total);
                ensure!(page.own.starts_with(&format!("{}/{path}?", doctor.base())), "{query}: self is {}", page.own);
                let next = page.next.as_deref().unwrap_or(&page.own);
                ensure!(next.starts_with(&format!("{}/{path}?", doctor.base())), "{query}: next is {next}");
            }
        }
    }
    let total_only = doctor.read("Observation/hist-a/_history?_count=0").await?;
    let at = "Observation/hist-a/_history?_at=2001-01-01";
    let (at_held, absent) = (direct.get(at).await?, doctor.get(at).await?);
    delete(&direct, &["Observation/hist-a", "Condition/hist-c"]).await?;
    ensure!(compared >= 30, "{compared} entries are compared");
    ensure!(total_only["total"] == 3 && total_only.get("entry").is_none(), "_count=0: {total_only}");
    if at_held.status.is_success() {
        let absent = absent.json()?;
        ensure!(absent["total"] == 0 && absent.get("entry").is_none(), "_at: {absent}");
    } else {
        say::loud(&format!("NOT COMPARED: the FHIR server takes no _at: {}", at_held.status));
        ensure!(absent.status == 400, "_at: {}", absent.status);
    }
    Ok(())
}

/// Her own history, of her record only; of the whole server it is hers too.
pub(super) async fn a_patient_sees_her_own(stack: &mut Stack) -> Result<()> {
    let (direct, patient) = (stack.direct()?, as_role(stack, Role::Patient)?);
    let since = begun(&direct, &observation("hist-own", "alder", "1")).await?;
    direct.put(&observation("hist-other", "birch", "1")).await?;
    direct.put(&observation("hist-own", "alder", "2")).await?;
    let mut seen = Vec::new();
    for path in ["Observation/hist-own/_history", "Observation/_history", "_history"] {
        seen.push((path, told(&walk(&patient, &format!("{path}?_since={since}&_count=1")).await?)));
    }
    let other = patient.get("Observation/hist-other/_history").await?;
    delete(&direct, &["Observation/hist-own", "Observation/hist-other"]).await?;
    ensure!(other.status == 404, "another's: {}", other.status);
    for (path, told) in seen {
        let all_own = told.iter().all(|line| line.contains("Observation/hist-own"));
        ensure!(all_own && told.len() == 2, "{path}: {told:?}");
    }
    Ok(())
}

/// The address of a resource of the test's own.
fn named(resource: &Value) -> Result<String> {
    address(resource).context("a resource without type or id")
}
