//! `_summary` and `_elements`: decided whole, trimmed afterwards, as the FHIR server trims.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use super::able;
use super::leaks::{altered, same};
use super::pages::{self, By};
use crate::demo::cast::Role;
use crate::harness::fhir::{Fhir, address};
use crate::harness::say;
use crate::harness::stack::Stack;

const WAYS: &[&str] = &[
    "_summary=true",
    "_summary=text",
    "_summary=data",
    "_summary=false",
    "_elements=id",
    "_elements=status",
    "_elements=code,category,subject",
    "_elements=text,meta",
    "_elements=value,effective,onset",
    "_elements=Observation.code,Patient.name",
    "_elements=nothing",
];

/// What a server trims may differ in what FHIR leaves to it: the label's display, and which parts of a datatype belong to a summary.
fn comparable(resource: &Value) -> Map<String, Value> {
    let mut resource = resource.as_object().cloned().unwrap_or_default();
    let tags = resource.get_mut("meta").and_then(|meta| meta.get_mut("tag")).and_then(Value::as_array_mut);
    for tag in tags.into_iter().flatten() {
        tag.as_object_mut().map(|tag| tag.remove("display"));
    }
    resource
}

fn labelled(resource: &Map<String, Value>) -> bool {
    let tags = resource.get("meta").and_then(|meta| meta.get("tag")).and_then(Value::as_array);
    tags.into_iter().flatten().any(|tag| tag.get("code") == Some(&json!("SUBSETTED")))
}

/// Everything visible of a patient, read and searched each way, is trimmed as the FHIR server trims it.
pub(super) async fn trimmed_as_the_server_trims(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, altered(stack, Role::Doctor, &json!({}))?);
    able::summarizes(&direct).await?;
    let queries = [
        "Patient?_id=alder",
        "Observation?patient=alder",
        "Condition?patient=alder",
        "Encounter?patient=alder",
        "MedicationRequest?patient=alder",
        "DocumentReference?patient=alder",
        "AllergyIntolerance?patient=alder",
        "Immunization?patient=alder",
        "Procedure?patient=alder",
        "CareTeam?patient=alder",
        "Practitioner?_id=okafor",
    ];
    let (mut compared, mut wrong) = (0, Vec::new());
    for query in queries {
        let by_name = |entries: &[Value]| -> BTreeMap<String, Map<String, Value>> {
            let each = entries.iter().filter_map(|entry| entry.get("resource"));
            each.filter_map(|resource| Some((address(resource)?, comparable(resource)))).collect()
        };
        let mandatory = by_name(&direct.search(&format!("{query}&_summary=text")).await?);
        for way in WAYS {
            let trimmed = |server: &Fhir| {
                let (server, asked) = (server.clone(), format!("{query}&{way}&_sort=_id"));
                async move { server.search(&asked).await }
            };
            let (held, received) = (trimmed(&direct).await.context(query)?, trimmed(&doctor).await.context(query)?);
            let (held, received) = (by_name(&held), by_name(&received));
            for (name, received) in &received {
                let Some(held) = held.get(name) else {
                    wrong.push(format!("{query}&{way}: {name} is not among the server's"));
                    continue;
                };
                compared += 1;
                let (here, there): (BTreeSet<&String>, BTreeSet<&String>) =
                    (held.keys().collect(), received.keys().collect());
                let more: BTreeSet<&String> = there.difference(&here).copied().collect();
                let less: BTreeSet<&String> = here.difference(&there).copied().collect();
                // FHIR: mandatory elements are there whether they are asked for or not; this server leaves them out.
                let owed = |key: &&String| {
                    way.starts_with("_elements") && mandatory.get(name).is_some_and(|held| held.contains_key(*key))
                };
                let shared = |key: &String| received.get(key) == held.get(key);
                if !less.is_empty() || !more.iter().all(owed) {
                    wrong.push(format!("{name} {way}: more {more:?}, less {less:?}"));
                } else if labelled(received) != labelled(held) {
                    wrong.push(format!("{name} {way}: SUBSETTED {} instead of {}", labelled(received), labelled(held)));
                } else if *way != "_summary=true" && !held.keys().all(shared) {
                    wrong.push(format!("{name} {way}: {received:?} instead of {held:?}"));
                }
                let read = doctor.read(&format!("{name}?{way}")).await?;
                if comparable(&read) != *received {
                    wrong.push(format!("{name}?{way}: a read differs from the search"));
                }
            }
        }
    }
    say::step(&format!("trim: {compared} trimmed resources compared with the server's"));
    ensure!(compared > 200, "only {compared}");
    ensure!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// What is trimmed is decided on whole: leaving out whose it is, or how it is labelled, opens nothing.
pub(super) async fn trimming_opens_nothing(stack: &mut Stack) -> Result<()> {
    let doctor = altered(stack, Role::Doctor, &json!({}))?;
    for way in WAYS {
        for name in ["Condition/birch-hiv", "Patient/cedar", "Observation/cedar-bp", "Binary/cedar-note-text"] {
            let never = format!("{}q", name.split_at(name.len() - 1).0);
            let (hidden, absent) =
                (doctor.get(&format!("{name}?{way}")).await?, doctor.get(&format!("{never}?{way}")).await?);
            ensure!(hidden.status == 404, "{name}?{way}: {}", hidden.status);
            same(way, &hidden, &absent, name, &never)?;
        }
        let of = |id: &str| format!("Observation?patient={id}&{way}");
        let (hidden, absent) = (doctor.get(&of("cedar")).await?, doctor.get(&of("cedaq")).await?);
        same(way, &hidden, &absent, "cedar", "cedaq")?;
    }
    // What is redacted for the researcher stays so, whatever he asks for.
    let researcher = altered(stack, Role::Researcher, &json!({}))?;
    for way in WAYS {
        let read = researcher.get(&format!("Patient/dogwood?{way}")).await?.success()?.json()?;
        ensure!(read.get("telecom").is_none() && read.get("text").is_none(), "{way}: {read}");
    }
    Ok(())
}

/// `_summary=count` is the number of what is visible, of one patient.
pub(super) async fn counts_count_what_is_visible(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, altered(stack, Role::Doctor, &json!({}))?);
    for query in
        ["Observation?patient=alder", "Condition?patient=birch", "Observation?patient=cedar", "Patient?_id=alder"]
    {
        let visible: usize = pages::walk(&doctor, query, By::Get).await?.iter().map(|page| page.matches.len()).sum();
        let counted = doctor.read(&format!("{query}&_summary=count")).await?;
        ensure!(counted.get("total") == Some(&json!(visible)), "{query}: {counted}");
        ensure!(counted.get("entry").is_none(), "{query}: {counted}");
        let own = counted.pointer("/link/0/url").and_then(Value::as_str).unwrap_or_default();
        ensure!(own.contains("_summary=count"), "{query}: self is {own}");
    }
    let (hidden, absent) = (
        doctor.get("Observation?patient=cedar&_summary=count").await?,
        doctor.get("Observation?patient=cedaq&_summary=count").await?,
    );
    same("a count", &hidden, &absent, "cedar", "cedaq")?;
    let all = direct.count("Condition?patient=birch").await?;
    let visible = doctor.read("Condition?patient=birch&_summary=count").await?;
    ensure!(
        visible.get("total").and_then(Value::as_u64).is_some_and(|total| total < all),
        "nothing is hidden of birch: {visible}"
    );
    let many = doctor.get("Observation?code=8867-4&_summary=count").await?;
    ensure!(many.status == 403, "a count of many patients: {}", many.status);
    Ok(())
}

/// The way of trimming goes with the paging links.
pub(super) async fn every_page_is_trimmed(stack: &mut Stack) -> Result<()> {
    let doctor = altered(stack, Role::Doctor, &json!({}))?;
    for query in ["Observation?patient=alder&_elements=status&_count=1", "Observation?_elements=status&_count=2"] {
        let pages = pages::walk(&doctor, query, By::Get).await?;
        ensure!(pages.len() > 1, "{query}: one page");
        for (at, page) in pages.iter().enumerate() {
            ensure!(page.own.contains("_elements=status"), "{query}: self of page {at} is {}", page.own);
            for entry in &page.matches {
                let resource: Value = serde_json::from_str(&entry.raw)?;
                ensure!(resource.get("status").is_some() && resource.get("subject").is_none(), "page {at}: {resource}");
            }
        }
    }
    Ok(())
}
