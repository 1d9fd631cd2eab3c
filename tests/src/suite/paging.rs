//! Pages of what is visible: exact where a search is of one patient, honest where it is of many, and worthless to anybody else.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::pages::{self, By, Page};
use crate::demo::cast::Role;
use crate::demo::consents;
use crate::harness::fhir::{Answer, Fhir};
use crate::harness::stack::Stack;

fn caller(stack: &Stack, role: Role) -> Result<Fhir> {
    with_claims(stack, &role.claims())
}

fn with_claims(stack: &Stack, claims: &Value) -> Result<Fhir> {
    stack.gateway()?.fhir(stack.issuer.token(claims)?)
}

/// Addresses of the matches on these pages, in order.
fn addresses(pages: &[Page]) -> Vec<String> {
    pages.iter().flat_map(|page| &page.matches).map(|entry| entry.address.clone()).collect()
}

/// What a caller may read of these, one by one: the oracle for what a search may show.
async fn readable(caller: &Fhir, held: &[String]) -> Result<Vec<String>> {
    let mut readable = Vec::new();
    for address in held {
        match caller.get(address).await?.status {
            StatusCode::OK => readable.push(address.clone()),
            StatusCode::NOT_FOUND => {}
            status => anyhow::bail!("{address} answers {status}"),
        }
    }
    Ok(readable)
}

/// A patient with hidden resources: pages and total are those of what can be read, whatever the page size; nothing shows where the hidden ones were.
pub(super) async fn one_patients_pages_are_exact(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let mut hidden = 0;
    for query in [
        "Condition?patient=birch",
        "Observation?patient=birch&_sort=date",
        "MedicationRequest?patient=birch&_sort=-authoredon",
        "Condition?patient=cedar",
        "Encounter?patient=birch&_sort=-date",
        "Observation?patient=alder&category=vital-signs",
    ] {
        let held = addresses(&pages::walk(&direct, query, By::Get).await?);
        let visible = readable(&doctor, &held).await?;
        hidden += held.len() - visible.len();
        for count in [1, 2, 3, 50] {
            let query = format!("{query}&_count={count}");
            for by in [By::Get, By::Post] {
                let received = pages::walk(&doctor, &query, by).await?;
                ensure!(addresses(&received) == visible, "{query}: {:?} instead of {visible:?}", addresses(&received));
                let sizes: Vec<usize> = received.iter().map(|page| page.matches.len()).collect();
                let expected: Vec<usize> = match visible.chunks(count).map(<[String]>::len).collect::<Vec<_>>() {
                    none if none.is_empty() => vec![0],
                    sizes => sizes,
                };
                ensure!(sizes == expected, "{query}: pages of {sizes:?} instead of {expected:?}");
                let total = Some(visible.len() as u64);
                ensure!(received.iter().all(|page| page.total == total), "{query}: another total than {total:?}");
            }
        }
    }
    ensure!(hidden >= 4, "the demo's data does not show it: {hidden} hidden");
    Ok(())
}

/// Many patients: no total, no page longer than asked for, and in the end exactly what each patient's own search gives.
pub(super) async fn many_patients_pages_have_no_total(stack: &mut Stack) -> Result<()> {
    let doctor = caller(stack, Role::Doctor)?;
    for kind in ["Condition", "Encounter", "MedicationRequest"] {
        let mut expected = BTreeSet::new();
        for patient in &stack.loaded.patients {
            let of_one = pages::walk(&doctor, &format!("{kind}?patient={patient}"), By::Get).await?;
            expected.extend(addresses(&of_one));
        }
        for count in [1, 4, 7, 100] {
            let query = format!("{kind}?_lastUpdated=gt2000-01-01&_sort=_id&_count={count}");
            let received = pages::walk(&doctor, &query, By::Get).await?;
            let found = addresses(&received);
            let distinct: BTreeSet<String> = found.iter().cloned().collect();
            ensure!(distinct.len() == found.len(), "{query}: a match stands twice");
            ensure!(distinct == expected, "{query}: {distinct:?} instead of {expected:?}");
            ensure!(received.iter().all(|page| page.matches.len() <= count), "{query}: a page is too long");
            ensure!(received.iter().all(|page| page.total.is_none()), "{query}: there is a total");
        }
    }
    Ok(())
}

/// The patient's own token: a search that names nobody is of that patient, with total and pages.
pub(super) async fn a_launch_patient_counts_as_named(stack: &mut Stack) -> Result<()> {
    let (direct, patient) = (stack.direct()?, caller(stack, Role::Patient)?);
    let held = addresses(&pages::walk(&direct, "Observation?patient=alder&_sort=_id", By::Get).await?);
    let received = pages::walk(&patient, "Observation?_sort=_id&_count=4", By::Get).await?;
    ensure!(addresses(&received) == held, "{:?} instead of {held:?}", addresses(&received));
    ensure!(received.iter().all(|page| page.total == Some(held.len() as u64)), "no total, or another one");
    let own = received.first().context("no page")?.own.clone();
    ensure!(!own.contains("alder"), "the self link says what was not asked: {own}");
    Ok(())
}

/// `_count` of nothing, of too much, and of nonsense.
pub(super) async fn page_sizes_at_the_edge(stack: &mut Stack) -> Result<()> {
    let doctor = caller(stack, Role::Doctor)?;
    let visible = pages::walk(&doctor, "Condition?patient=birch", By::Get).await?;
    let counted = pages::page(&doctor.get("Condition?patient=birch&_count=0").await?.success()?)?;
    ensure!(counted.total == visible.first().and_then(|page| page.total), "_count=0: total {:?}", counted.total);
    ensure!(counted.matches.is_empty() && counted.next.is_none(), "_count=0 gives entries or a next link");
    let all = pages::walk(&doctor, "Condition?patient=birch&_count=4000000000", By::Get).await?;
    ensure!(addresses(&all) == addresses(&visible), "a huge _count gives something else");
    refused(&doctor.get("Condition?_count=0").await?, StatusCode::FORBIDDEN, "total-of-many-patients")?;
    for nonsense in ["x", "-1", "1.5", "99999999999999999999", "%2B5"] {
        let answer = doctor.get(&format!("Condition?patient=birch&_count={nonsense}")).await?;
        ensure!(answer.status == StatusCode::BAD_REQUEST, "_count={nonsense} answers {}", answer.status);
    }
    let twice = doctor.get("Condition?patient=birch&_count=1&_count=2").await?;
    ensure!(twice.status == StatusCode::BAD_REQUEST, "_count twice answers {}", twice.status);
    Ok(())
}

/// A paging link is worth something to the caller, client and type that it was made for only; to others it is like one that never was.
pub(super) async fn paging_links_are_the_callers_own(stack: &mut Stack) -> Result<()> {
    let doctor = caller(stack, Role::Doctor)?;
    for query in ["Observation?patient=alder&_count=3", "Observation?_count=3"] {
        let first = pages::page(&doctor.get(query).await?.success()?)?;
        let next = first.next.with_context(|| format!("{query}: no next link"))?;
        ensure!(!next.contains("alder") && !next.contains("_getpages"), "the link shows what it is: {next}");
        let once = doctor.get(&next).await?.success()?;
        let again = doctor.get(&next).await?.success()?;
        let once = pages::page(&once)?;
        ensure!(once.matches == pages::page(&again)?.matches, "the same link gives another page");
        ensure!(!once.matches.is_empty(), "{query}: an empty second page");

        let junk = format!("{}/Observation?_cursor=AAAA", doctor.base());
        let stale = doctor.get(&junk).await?;
        refused(&stale, StatusCode::GONE, "cursor-stale")?;
        let mut other_client = Role::Doctor.claims();
        set(&mut other_client, "client_id", &json!("another-app"));
        let mut other_subject = Role::Doctor.claims();
        set(&mut other_subject, "sub", &json!("okafor2"));
        let strangers = [
            ("another doctor", caller(stack, Role::UnwantedDoctor)?),
            ("another organisation", caller(stack, Role::OtherDoctor)?),
            ("a researcher", caller(stack, Role::Researcher)?),
            ("the patient", caller(stack, Role::Patient)?),
            ("another client", with_claims(stack, &other_client)?),
            ("another subject", with_claims(stack, &other_subject)?),
        ];
        for (who, stranger) in strangers {
            let answer = stranger.get(&next).await?;
            refused(&answer, StatusCode::GONE, "cursor-stale").context(who)?;
            ensure!(
                anonymous(&answer) == anonymous(&stale),
                "{who} gets another answer than for a link that never was"
            );
        }
        let other_type = next.replace("/Observation?", "/Condition?");
        refused(&doctor.get(&other_type).await?, StatusCode::GONE, "cursor-stale").context("another type")?;
        let altered = flipped(&next)?;
        refused(&doctor.get(&altered).await?, StatusCode::GONE, "cursor-stale").context("an altered link")?;
        let nobody = Fhir::at(doctor.base())?.get(&next).await?;
        ensure!(nobody.status == StatusCode::UNAUTHORIZED, "without a token it answers {}", nobody.status);
    }
    Ok(())
}

/// A page is decided when it is asked for: a link from before a revocation shows nothing that was revoked.
pub(super) async fn paging_links_do_not_outlive_consent(stack: &mut Stack) -> Result<()> {
    let (doctor, patient) = (caller(stack, Role::Doctor)?, caller(stack, Role::Patient)?);
    let before = stack.direct()?.read("Consent/alder-treatment").await?;
    let mut links = Vec::new();
    for query in ["Observation?patient=alder&_count=3", "Observation?_count=3&_sort=_id"] {
        let first = pages::page(&doctor.get(query).await?.success()?)?;
        ensure!(first.matches.iter().any(|entry| entry.address.contains("alder")), "{query}: nothing of alder");
        links.push(first.next.context("no next link")?);
    }
    let closed = consents::opts_out("alder-treatment", "Patient/alder");
    patient.write(Method::PUT, "Consent/alder-treatment", &closed).await?.success()?;
    let mut after = Vec::new();
    for link in &links {
        after.push(doctor.get(link).await);
    }
    patient.write(Method::PUT, "Consent/alder-treatment", &before).await?.success().context("putting it back")?;
    for answer in after {
        let answer = answer?.success()?;
        let page = pages::page(&answer)?;
        let shown = page.matches.iter().chain(&page.includes).find(|entry| entry.address.contains("alder"));
        ensure!(shown.is_none(), "{shown:?} is shown after the revocation");
        ensure!(page.total.is_none_or(|total| total == 0), "total {:?} after the revocation", page.total);
    }
    doctor.get("Observation/alder-bp").await?.success().context("after the Consent was put back")?;
    Ok(())
}

/// Included resources stand beside their match, once on a page, and only where they can be read.
pub(super) async fn includes_stand_beside_their_match(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    for query in [
        "Encounter?patient=birch&_include=Encounter:participant&_include=Encounter:service-provider&_sort=date",
        "Encounter?patient=birch&_revinclude=Observation:encounter&_revinclude=Provenance:target&_sort=date",
        "MedicationRequest?patient=birch&_include=MedicationRequest:requester&_include=MedicationRequest:patient",
        "DiagnosticReport?_lastUpdated=gt2000-01-01&_include=DiagnosticReport:result&_sort=_id",
        "Patient?_id=birch&_revinclude=Condition:patient&_revinclude=Observation:patient",
    ] {
        for count in [1, 2, 50] {
            let query = format!("{query}&_count={count}");
            let held = pages::walk(&direct, &query, By::Get).await?;
            let received = pages::walk(&doctor, &query, By::Get).await?;
            let beside = beside(&held);
            let everything: BTreeSet<String> = beside.values().flatten().cloned().collect();
            let visible: BTreeSet<String> =
                readable(&doctor, &everything.into_iter().collect::<Vec<_>>()).await?.into_iter().collect();
            for page in &received {
                let shown: Vec<String> = page.includes.iter().map(|entry| entry.address.clone()).collect();
                let distinct: BTreeSet<String> = shown.iter().cloned().collect();
                ensure!(distinct.len() == shown.len(), "{query}: included twice on a page: {shown:?}");
                ensure!(distinct.is_subset(&visible), "{query}: included though it cannot be read: {shown:?}");
                if count == 1 {
                    // With one match on a page it is known what belongs to it.
                    let of_match = page.matches.first().and_then(|entry| beside.get(&entry.address));
                    let expected =
                        of_match.map(|all| all.intersection(&visible).cloned().collect()).unwrap_or_default();
                    ensure!(distinct == expected, "{query}: beside {:?} {distinct:?}, not {expected:?}", page.matches);
                }
            }
            let all: BTreeSet<String> = received.iter().flat_map(|p| &p.includes).map(|e| e.address.clone()).collect();
            ensure!(all.iter().any(|address| visible.contains(address)), "{query}: nothing is included");
        }
    }
    Ok(())
}

/// Match → what is included on its page, by the server's own pages.
fn beside(held: &[Page]) -> BTreeMap<String, BTreeSet<String>> {
    let mut beside: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for page in held {
        for entry in &page.matches {
            let included = page.includes.iter().map(|included| included.address.clone());
            beside.entry(entry.address.clone()).or_default().extend(included);
        }
    }
    beside
}

/// The status, and the rule as the OperationOutcome's code.
fn refused(answer: &Answer, status: StatusCode, rule: &str) -> Result<()> {
    ensure!(answer.status == status, "it answers {} instead of {status}", answer.status);
    let outcome = answer.json()?;
    ensure!(outcome.get("resourceType") == Some(&json!("OperationOutcome")), "no OperationOutcome: {outcome}");
    let code = outcome.pointer("/issue/0/details/coding/0/code").and_then(Value::as_str);
    ensure!(code == Some(rule), "code {code:?} instead of {rule}");
    ensure!(answer.header("x-request-id").is_some(), "no request id");
    Ok(())
}

/// The body without the request's id.
fn anonymous(answer: &Answer) -> String {
    let request = answer.header("x-request-id").unwrap_or("-");
    String::from_utf8_lossy(&answer.body).replace(request, "REQUEST")
}

fn set(claims: &mut Value, name: &str, value: &Value) {
    if let Some(claims) = claims.as_object_mut() {
        claims.insert(name.to_owned(), value.clone());
    }
}

/// The link with one character in the middle of its cursor changed.
fn flipped(link: &str) -> Result<String> {
    let (before, cursor) = link.split_once("_cursor=").context("a link without a cursor")?;
    let (head, tail) = cursor.split_at_checked(cursor.len() / 2).context("an empty cursor")?;
    let mut tail = tail.chars();
    let changed = if tail.next() == Some('A') { 'B' } else { 'A' };
    Ok(format!("{before}_cursor={head}{changed}{}", tail.as_str()))
}
