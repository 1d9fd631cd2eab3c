//! Chained parameters, `_has` and `:iterate`: as the FHIR server answers where nothing is hidden; through what is hidden nothing is found.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::leaks::{altered, delete, same};
use super::pages::{self, By, Page};
use super::permitted::Permitted;
use super::told;
use crate::demo::cast::Role;
use crate::harness::fhir::Fhir;
use crate::harness::gateway::Gateway;
use crate::harness::stack::Stack;
use crate::harness::{say, workspace};

const CHAINS: &[&str] = &[
    "Observation?patient.family=Alder",
    "Observation?patient.family=Alder&code=8867-4",
    "Observation?patient.family=Nobody",
    "Observation?patient.family:exact=alder",
    "Observation?patient.family=Alder,Birch&_count=7",
    "Observation?patient.gender=female&patient.birthdate=lt1970",
    "Observation?subject:Patient.family=Alder&_include=Observation:subject&_count=3",
    "Observation?performer:Practitioner.family=Okafor&code=8867-4",
    "Observation?performer.family=Okafor&code=8867-4",
    "Condition?patient.gender=male",
    "Observation?encounter.status=finished&code=8310-5",
    "Observation?encounter:Encounter.class=AMB",
    "Observation?encounter.service-provider.name=Northfield",
    "Observation?encounter:Encounter.service-provider:Organization.name=Northfield&patient=alder",
    "Encounter?participant:Practitioner.family=Okafor",
    "Encounter?service-provider.name=Lakeside",
    "DiagnosticReport?result.code=http://loinc.org|2093-3",
    "Patient?_has:Observation:patient:code=http://loinc.org|44249-1",
    "Patient?_has:Observation:patient:code=8867-4",
    "Patient?_has:Observation:patient:code=8867-4&_has:Condition:patient:code=I10&_count=2",
    "Patient?_has:Condition:patient:code=http://hl7.org/fhir/sid/icd-10-cm|B20",
    "Patient?_has:Condition:subject:code=nothing",
    "Patient?_has:Encounter:patient:service-provider.name=Northfield",
    "Observation?_has:DiagnosticReport:result:status=final",
    "Patient?_has:Observation:patient:_has:DiagnosticReport:result:status=final",
    "Practitioner?_has:Observation:performer:code=8867-4",
    "Organization?_has:Encounter:service-provider:patient=alder",
    "Patient?gender=female&_has:Encounter:patient:status=finished",
];

const ITERATED: &[&str] = &[
    "Observation?_id=alder-bp&_include=Observation:encounter&_include:iterate=Encounter:service-provider",
    "Observation?patient=alder&_include=Observation:encounter&_include:iterate=Encounter:service-provider&_include:iterate=Encounter:practitioner&_count=4",
    "DiagnosticReport?patient=alder&_include=DiagnosticReport:result&_include:iterate=Observation:encounter&_include:iterate=Encounter:service-provider",
    "Patient?_id=alder&_revinclude=Encounter:patient&_revinclude:iterate=Observation:encounter",
    "Encounter?_id=alder-visit-1&_revinclude=Observation:encounter&_revinclude:iterate=DiagnosticReport:result",
    "Encounter?_id=alder-visit-1&_include:recurse=Encounter:service-provider",
];

fn names(pages: &[Page], of: impl Fn(&Page) -> &Vec<pages::Entry>) -> BTreeSet<String> {
    pages.iter().flat_map(|page| of(page).iter().map(|entry| entry.address.clone())).collect()
}

/// Where nothing is hidden, what the FHIR server finds is found.
pub(super) async fn chains_find_what_the_server_finds(stack: &mut Stack) -> Result<()> {
    let world = Permitted::start(stack, "chains", &workspace::package("data/demo"), None).await?;
    let outcome = async {
        found(&world).await.context("chains")?;
        iterated(&world).await.context(":iterate")
    };
    let outcome = outcome.await;
    world.stop().await?;
    outcome
}

async fn found(world: &Permitted) -> Result<()> {
    let mut wrong = Vec::new();
    let mut some = 0;
    let nested = "Patient?_has:Encounter:patient:service-provider.name=Northfield";
    let follows = !world.direct.search(nested).await?.is_empty();
    if !follows {
        say::loud(&format!("NOT COMPARED: the FHIR server itself finds nothing by {nested}"));
    }
    for query in CHAINS.iter().filter(|query| follows || **query != nested) {
        let encoded = query.replace('|', "%7C");
        let held = pages::walk(&world.direct, &encoded, By::Get).await.with_context(|| format!("directly: {query}"))?;
        for by in [By::Get, By::Post] {
            let received = match pages::walk(&world.through, &encoded, by).await {
                Ok(received) => received,
                Err(error) => {
                    wrong.push(format!("{query}: {error:#}"));
                    continue;
                }
            };
            let (here, there) = (names(&held, |page| &page.matches), names(&received, |page| &page.matches));
            let (along, beside) = (names(&held, |page| &page.includes), names(&received, |page| &page.includes));
            let given: usize = received.iter().map(|page| page.matches.len()).sum();
            if here != there || along != beside || given != there.len() {
                let less: Vec<_> = here.difference(&there).collect();
                let more: Vec<_> = there.difference(&here).collect();
                wrong.push(format!(
                    "{by:?} {query}: less {less:?}, more {more:?}, {given} given, included {along:?} {beside:?}"
                ));
            }
            if received.iter().any(|page| page.total != Some(there.len() as u64)) {
                wrong.push(format!("{query}: totals {:?}", received.iter().map(|page| page.total).collect::<Vec<_>>()));
            }
        }
        some += usize::from(held.iter().any(|page| !page.matches.is_empty()));
    }
    say::step(&format!("chains: {} searches compared, {some} of them find something", CHAINS.len()));
    ensure!(some * 10 >= CHAINS.len() * 8, "only {some} find something");
    ensure!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

async fn iterated(world: &Permitted) -> Result<()> {
    let mut wrong = Vec::new();
    let mut included = 0;
    // An older name of `:iterate`, which not every server knows.
    let recurse = "Encounter?_id=alder-visit-1&_include:recurse=Encounter:service-provider";
    let known = world.direct.get(recurse).await?.status.is_success();
    if !known {
        say::loud(&format!("NOT COMPARED: the FHIR server itself refuses {recurse}"));
    }
    for query in ITERATED.iter().filter(|query| known || **query != recurse) {
        let held = pages::walk(&world.direct, query, By::Get).await.with_context(|| format!("directly: {query}"))?;
        let received = pages::walk(&world.through, query, By::Get).await.with_context(|| (*query).to_owned())?;
        let (here, there) = (names(&held, |page| &page.includes), names(&received, |page| &page.includes));
        included += there.len();
        if here != there || names(&held, |page| &page.matches) != names(&received, |page| &page.matches) {
            let (less, more) =
                (here.difference(&there).collect::<Vec<_>>(), there.difference(&here).collect::<Vec<_>>());
            wrong.push(format!("{query}: less {less:?}, more {more:?}"));
        }
    }
    ensure!(included > 10, "only {included} are included");
    ensure!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// A search by what is hidden answers as one by what is absent, byte for byte.
pub(super) async fn hidden_joins_as_absent(stack: &mut Stack) -> Result<()> {
    let doctor = altered(stack, Role::Doctor, &json!({}))?;
    for (query, hidden, absent) in [
        ("Observation?patient._id={}", "cedar", "cedaq"),
        ("Observation?patient._id={},alder&code=8867-4", "cedar", "cedaq"),
        ("Observation?subject:Patient.family={}", "Cedar", "Cedaq"),
        ("Observation?subject:Patient.family={}&_summary=count", "Cedar", "Cedaq"),
        ("Encounter?patient.family={}&_include=Encounter:service-provider", "Cedar", "Cedaq"),
        ("Organization?_has:Encounter:service-provider:patient={}", "cedar", "cedaq"),
        ("Practitioner?_has:Encounter:participant:patient=Patient/{}", "cedar", "cedaq"),
        ("Practitioner?_has:Encounter:participant:patient.family={}", "Cedar", "Cedaq"),
        ("Organization?_has:Encounter:service-provider:_id={}-visit-1", "cedar", "cedaq"),
        ("Patient?_has:Condition:patient:_id={}", "birch-hiv", "birch-hiq"),
        ("Patient?_has:Condition:patient:_id={},alder-hypertension", "birch-hiv", "birch-hiq"),
        ("Practitioner?_has:Observation:performer:_id={}", "cedar-bp", "cedar-bq"),
        ("Observation?_has:DiagnosticReport:result:_id={}", "cedar-labs", "cedar-labq"),
    ] {
        let of = |id: &str| query.replace("{}", id);
        let (found, never) = (doctor.get(&of(hidden)).await?, doctor.get(&of(absent)).await?);
        ensure!(found.status == 200, "{query}: {}", found.status);
        same(query, &found, &never, hidden, absent)?;
    }
    // birch is visible, and what she is found by is not.
    let by_code = "Patient?_has:Condition:patient:code=http://hl7.org/fhir/sid/icd-10-cm%7CB20";
    let held = pages::walk(&stack.direct()?, by_code, By::Get).await?;
    ensure!(names(&held, |page| &page.matches).contains("Patient/birch"), "the server does not find her");
    let received = pages::walk(&doctor, by_code, By::Get).await?;
    ensure!(names(&received, |page| &page.matches).is_empty(), "a hidden condition finds her");
    // Who gets names redacted does not search by them in steps either.
    let researcher = altered(stack, Role::Researcher, &json!({}))?;
    for query in ["Observation?patient.family=Dogwood", "Patient?_has:Observation:patient:patient.family=Dogwood"] {
        let answer = researcher.get(query).await?;
        ensure!(answer.status == 403, "{query}: {}", answer.status);
    }
    Ok(())
}

/// Each step needs leave to search its type, and steps, results and unknown parameters have their limits.
pub(super) async fn steps_are_limited(stack: &mut Stack) -> Result<()> {
    let scoped = |scopes: &str| altered(stack, Role::Doctor, &json!({"scope": scopes}));
    for (scopes, query, status) in [
        ("user/Observation.rs", "Observation?patient.family=Alder", 403),
        ("user/Observation.rs user/Patient.r", "Observation?patient.family=Alder", 403),
        ("user/Observation.rs user/Patient.s", "Observation?patient.family=Alder", 200),
        ("user/Patient.rs", "Patient?_has:Observation:patient:code=8867-4", 403),
        ("user/Patient.rs user/Observation.s", "Patient?_has:Observation:patient:code=8867-4", 200),
        ("user/Observation.rs user/Practitioner.s", "Observation?performer.family=Okafor", 200),
        ("user/*.rs", "Observation?patient.nope=1", 400),
        ("user/*.rs", "Observation?nope.family=1", 400),
        ("user/*.rs", "Observation?patient:Group.family=1", 400),
        ("user/*.rs", "Observation?patient.=1", 400),
        ("user/*.rs", "Observation?patient..family=1", 400),
        ("user/*.rs", "Observation?focus.code=1", 400),
        ("user/*.rs", "Observation?patient._count=1", 400),
        ("user/*.rs", "Observation?patient._sort=family", 400),
        ("user/*.rs", "Observation?patient._include=Patient:organization", 400),
        ("user/*.rs", "Observation?patient._content=x", 400),
        ("user/*.rs", "Patient?_has=1", 400),
        ("user/*.rs", "Patient?_has:Observation=1", 400),
        ("user/*.rs", "Patient?_has:Observation:patient=1", 400),
        ("user/*.rs", "Patient?_has:Observation:nope:code=1", 400),
        ("user/*.rs", "Patient?_has:Observation:encounter:code=1", 400),
        ("user/*.rs", "Patient?_has:Observation:patient:_text=1", 400),
        ("user/*.rs", "Patient?_HAS:Observation:patient:code=1", 400),
        ("user/*.rs", "Patient?_sort=organization.name", 400),
        ("user/*.rs", "Observation?encounter.service-provider.partof.name=x", 200),
        ("user/*.rs", "Observation?encounter.service-provider.partof.partof.name=x", 400),
    ] {
        let answer = scoped(scopes)?.get(query).await?;
        let shown = String::from_utf8_lossy(&answer.body).into_owned();
        ensure!(answer.status.as_u16() == status, "{scopes}: {query}: {} {shown}", answer.status);
    }
    // Over the limit, and counted among what is visible only.
    let limits = json!({"server": {"limits": {"chain_results": 2}}});
    let mut gateway = Gateway::start(told::second(stack, "chain-limits", stack.upstream.base(), &limits)?).await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let outcome = costly(&doctor).await;
    gateway.stop().await?;
    outcome
}

async fn costly(doctor: &Fhir) -> Result<()> {
    let within = doctor.get("Observation?patient._id=alder,birch").await?;
    ensure!(within.status == 200, "two: {}", within.status);
    let hidden = doctor.get("Observation?patient._id=alder,birch,cedar").await?;
    ensure!(hidden.status == 200, "two and one that is hidden: {}", hidden.status);
    for query in
        ["Observation?patient._id=alder,birch,dogwood,elm,hazel", "Patient?_has:Observation:patient:code=8867-4"]
    {
        let over = doctor.get(query).await?;
        let body = over.json()?;
        ensure!(over.status == 422, "{query}: {} {body}", over.status);
        ensure!(body.pointer("/issue/0/code") == Some(&json!("too-costly")), "{query}: {body}");
    }
    Ok(())
}

/// What is hidden is no bridge: what is reached only through it does not come along.
pub(super) async fn hidden_is_no_bridge(stack: &mut Stack) -> Result<()> {
    let direct = stack.direct()?;
    direct.put(&json!({"resourceType": "Organization", "id": "chain-far", "name": "Far"})).await?;
    direct
        .put(&json!({"resourceType": "Encounter", "id": "chain-bridge", "status": "planned", "subject": {"reference": "Patient/alder"},
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "serviceProvider": {"reference": "Organization/chain-far"}}))
        .await?;
    direct
        .put(&json!({"resourceType": "Observation", "id": "chain-near", "status": "final", "subject": {"reference": "Patient/alder"},
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}, "encounter": {"reference": "Encounter/chain-bridge"}}))
        .await?;
    let outcome = bridges(stack).await;
    delete(&direct, &["Observation/chain-near", "Encounter/chain-bridge", "Organization/chain-far"]).await?;
    outcome
}

async fn bridges(stack: &Stack) -> Result<()> {
    let forward =
        "Observation?_id=chain-near&_include=Observation:encounter&_include:iterate=Encounter:service-provider";
    let back =
        "Organization?_id=chain-far&_revinclude=Encounter:service-provider&_revinclude:iterate=Observation:encounter";
    let all = ["Encounter/chain-bridge", "Organization/chain-far", "Observation/chain-near"];
    for (scopes, query, expected) in [
        ("user/*.rs", forward, &all[..2]),
        ("user/*.rs", back, &[all[0], all[2]][..]),
        ("user/Observation.rs user/Organization.rs user/Encounter.rs?status=finished", forward, &[][..]),
        ("user/Observation.rs user/Organization.rs user/Encounter.rs?status=finished", back, &[][..]),
        ("user/Observation.rs user/Organization.rs", forward, &[][..]),
        ("user/Observation.rs user/Organization.rs", back, &[][..]),
        ("user/Observation.rs user/Encounter.rs", forward, &all[..1]),
    ] {
        let caller = altered(stack, Role::Doctor, &json!({"scope": scopes}))?;
        let read = pages::walk(&caller, query, By::Get).await?;
        let expected: BTreeSet<String> = expected.iter().map(|name| (*name).to_owned()).collect();
        let included = names(&read, |page| &page.includes);
        ensure!(included == expected, "{scopes}: {query}: {included:?} instead of {expected:?}");
        let bodies: Vec<Value> = read
            .iter()
            .flat_map(|page| &page.matches)
            .map(|entry| serde_json::from_str(&entry.raw))
            .collect::<Result<_, _>>()?;
        ensure!(bodies.len() == 1, "{query}: {} matches", bodies.len());
    }
    Ok(())
}
