//! Break glass, from claim to review: refused without a grant, open with one for that patient and that caller only, ended by
//! itself or by a review, on record once and in the log.

#![expect(clippy::indexing_slicing, reason = "bodies of the test's own: a member that cannot be set is a failed test")]

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::leaks::{absent, delete, observation, same};
use super::told::{self, Caller, of_kind, refusal, refused, request_id, until};
use crate::demo::cast::Role;
use crate::harness::fhir::{self, Answer, Fhir, client};
use crate::harness::gateway::Gateway;
use crate::harness::log::PublishedLog;
use crate::harness::openings::Admin;
use crate::harness::stack::Stack;

const REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const SOON: Duration = Duration::from_secs(30);
const WHY: &str = "unconscious on arrival, allergies unknown";
/// Patients whose Consents permit emergency treatment and nothing else.
const PATIENTS: [&str; 2] = ["glass-a", "glass-b"];
const OBSERVATIONS: usize = 3;

/// A patient's "no, except in an emergency".
fn emergency_only(patient: &str) -> Value {
    let emergency = json!({"type": "permit", "purpose": [{"system": REASON, "code": "ETREAT"}]});
    json!({
        "resourceType": "Consent", "id": format!("{patient}-consent"), "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": format!("Patient/{patient}")}, "dateTime": "2026-01-01T00:00:00Z",
        "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTOUT"}]},
        "provision": {"type": "deny", "provision": [emergency]},
    })
}

async fn fill(direct: &Fhir) -> Result<()> {
    for patient in PATIENTS {
        direct.put(&json!({"resourceType": "Patient", "id": patient, "name": [{"family": "Glass"}]})).await?;
        direct.put(&emergency_only(patient)).await?;
        for index in 0..OBSERVATIONS {
            direct.put(&observation(&format!("{patient}-{index}"), patient)).await?;
        }
    }
    Ok(())
}

async fn empty(direct: &Fhir) -> Result<()> {
    for patient in PATIENTS {
        for index in 0..OBSERVATIONS {
            delete(direct, &[&format!("Observation/{patient}-{index}")]).await?;
        }
        delete(direct, &[&format!("Consent/{patient}-consent"), &format!("Patient/{patient}")]).await?;
    }
    Ok(())
}

/// The role's claims, as of somebody who may break the glass.
fn entitled(role: Role) -> Value {
    let mut claims = role.claims();
    claims["extensions"]["ihe_iua"]["subject_role"] = json!(["break-glass"]);
    claims
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn as_of(stack: &Stack, gateway: &Gateway, claims: &Value) -> Result<Fhir> {
    gateway.fhir(stack.issuer.token(claims)?)
}

fn reason(code: &str) -> Value {
    json!({"name": "reason", "valueCoding": {"system": REASON, "code": code}})
}

fn justification(text: &str) -> Value {
    json!({"name": "justification", "valueString": text})
}

fn parameters(parameters: &[Value]) -> Value {
    json!({"resourceType": "Parameters", "parameter": parameters})
}

async fn claim(caller: &Fhir, patient: &str) -> Result<Answer> {
    let body = parameters(&[reason("ETREAT"), justification(WHY)]);
    caller.write(Method::POST, &format!("Patient/{patient}/$break-glass"), &body).await
}

async fn status(caller: &Fhir, address: &str) -> Result<u16> {
    Ok(caller.get(address).await?.status.as_u16())
}

/// Waits until the record of the first patient is closed.
async fn ends(caller: &Fhir) -> Result<()> {
    let closed = async || Ok((status(caller, "Observation/glass-a-0").await? == 404).then_some(()));
    until("the end of the grant", SOON, closed).await
}

/// The grants as the admin port lists them.
async fn grants(gateway: &Gateway, query: &str) -> Result<Vec<Value>> {
    let url = format!("{}/v1/break-glass{query}", gateway.admin);
    let answer: Value =
        client()?.get(url).bearer_auth(&gateway.admin_token).send().await?.error_for_status()?.json().await?;
    answer.get("grants").and_then(Value::as_array).cloned().context("no list of grants")
}

/// Reviews a grant: the status, and what the refusal is called.
async fn review(gateway: &Gateway, grant: &str, by: &str, outcome: &str) -> Result<(u16, String)> {
    let url = format!("{}/v1/break-glass/{grant}/review", gateway.admin);
    let body = json!({"by": by, "outcome": outcome});
    let answer = client()?.post(url).bearer_auth(&gateway.admin_token).json(&body).send().await?;
    let status = answer.status().as_u16();
    let told: Value = serde_json::from_slice(&answer.bytes().await?).unwrap_or_default();
    Ok((status, told.get("error").and_then(Value::as_str).unwrap_or_default().to_owned()))
}

async fn events(gateway: &Gateway, request: Uuid) -> Result<Vec<Value>> {
    told::openings(gateway, request).await?.with_context(|| format!("{request} has no events"))
}

/// Who may not claim, and what is no claim: each refused by its name, each on record, and nothing is open afterwards.
pub(super) async fn claims_are_refused_for_their_reason(stack: &mut Stack) -> Result<()> {
    let direct = stack.direct()?;
    fill(&direct).await?;
    let mut gateway = Gateway::start(told::second(stack, "glass-refused", stack.upstream.base(), &json!({}))?).await?;
    let doctor = entitled(Role::Doctor);
    let (whole, text) = (parameters(&[reason("ETREAT"), justification(WHY)]), justification(WHY));
    let mut purposeless = entitled(Role::Doctor);
    purposeless["extensions"]["ihe_iua"]["purpose_of_use"] = json!([]);
    let mut nurse = Role::Doctor.claims();
    nurse["extensions"]["ihe_iua"]["subject_role"] = json!(["nurse"]);
    let launched = with(with(entitled(Role::Doctor), "scope", json!("patient/*.rs")), "patient", json!("glass-b"));
    let not_entitled = refusal(403, "break-glass-not-entitled");
    let body = refusal(400, "operation-body");
    let both = json!({"name": "justification", "valueString": "unconscious in the ward", "valueCode": "x"});
    let cases: Vec<(&str, Value, &str, Value, told::Refusal)> = vec![
        ("no role", Role::Doctor.claims(), "", whole.clone(), not_entitled),
        ("another role", nurse, "", whole.clone(), not_entitled),
        ("research", entitled(Role::Researcher), "", whole.clone(), refusal(403, "break-glass-purpose")),
        ("no purpose", purposeless, "", whole.clone(), refusal(403, "break-glass-purpose")),
        ("another patient's launch", launched, "", whole.clone(), refusal(403, "scope-other-patient")),
        (
            "no scope",
            with(doctor.clone(), "scope", json!("user/Observation.rs")),
            "",
            whole.clone(),
            refusal(403, "scope-missing"),
        ),
        (
            "no client",
            with(doctor.clone(), "client_id", Value::Null),
            "",
            whole.clone(),
            refusal(403, "organisation-policy"),
        ),
        ("no reason", doctor.clone(), "", parameters(std::slice::from_ref(&text)), body),
        ("no justification", doctor.clone(), "", parameters(&[reason("ETREAT")]), body),
        ("too short", doctor.clone(), "", parameters(&[reason("ETREAT"), justification("urgent")]), body),
        ("only signs", doctor.clone(), "", parameters(&[reason("ETREAT"), justification("..............")]), body),
        ("too long", doctor.clone(), "", parameters(&[reason("ETREAT"), justification(&"why ".repeat(300))]), body),
        ("a reason of none", doctor.clone(), "", parameters(&[reason("HMARKT"), text.clone()]), body),
        ("twice", doctor.clone(), "", parameters(&[reason("ETREAT"), text.clone(), text.clone()]), body),
        (
            "for longer",
            doctor.clone(),
            "",
            parameters(&[reason("ETREAT"), text.clone(), json!({"name": "duration", "valueString": "24h"})]),
            body,
        ),
        ("two values", doctor.clone(), "", parameters(&[reason("ETREAT"), both]), body),
        (
            "unseen signs",
            doctor.clone(),
            "",
            parameters(&[reason("ETREAT"), justification("unconscious\u{202e}, urgent")]),
            body,
        ),
        ("not Parameters", doctor.clone(), "", json!({"resourceType": "Patient"}), body),
        ("in the URL", doctor.clone(), "?justification=unconscious", whole.clone(), body),
    ];
    for (what, claims, query, body, expected) in &cases {
        let caller = as_of(stack, &gateway, claims)?;
        let answer = caller.write(Method::POST, &format!("Patient/glass-a/$break-glass{query}"), body).await?;
        refused(&gateway, &answer, *expected, Caller::Known).await.with_context(|| (*what).to_owned())?;
    }
    let caller = as_of(stack, &gateway, &doctor)?;
    let got = caller.get("Patient/glass-a/$break-glass").await?;
    refused(&gateway, &got, refusal(400, "operation-body"), Caller::Known).await.context("GET")?;
    for address in ["Patient/$break-glass", "Practitioner/okafor/$break-glass", "$break-glass"] {
        let answer = caller.write(Method::POST, address, &whole).await?;
        ensure!(answer.status == 501, "{address}: {}", answer.status);
    }
    let entry = json!({"resource": whole, "request": {"method": "POST", "url": "Patient/glass-a/$break-glass"}});
    for (kind, expected) in [("batch", 200), ("transaction", 501)] {
        let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": [entry]});
        let answer = caller.write(Method::POST, "", &bundle).await?;
        ensure!(answer.status == expected, "{kind}: {}", answer.status);
        let told = answer.json()?.pointer("/entry/0/response/status").and_then(Value::as_str).map(str::to_owned);
        ensure!(kind == "transaction" || told.as_ref().is_some_and(|told| told.starts_with("501")), "{kind}: {told:?}");
    }
    let nobody = Fhir::at(caller.base())?;
    let answer = claim(&nobody, "glass-a").await?;
    refused(&gateway, &answer, refusal(401, "no-token"), Caller::Unknown).await.context("nobody")?;

    ensure!(status(&caller, "Observation/glass-a-0").await? == 404, "refused claims open something");
    ensure!(grants(&gateway, "?reviewed=true").await?.is_empty(), "refused claims are grants");
    let admin = Admin::of(&gateway)?;
    let refusals = admin.measured(r#"sealgate_break_glass_claims_total{result="refused"}"#).await?;
    ensure!(refusals >= 15.0, "{refusals} refused claims are counted");
    told::silent("the log", &gateway.process()?.output()?, &["glass-a", "unconscious"])?;
    gateway.stop().await?;
    empty(&direct).await
}

/// A grant opens one record for one caller, outlives a crash, is on record once and in the log, and a review ends it.
pub(super) async fn one_record_for_one_caller(stack: &mut Stack) -> Result<()> {
    let direct = stack.direct()?;
    fill(&direct).await?;
    let mut gateway = Gateway::start(told::second(stack, "glass", stack.upstream.base(), &json!({}))?).await?;
    let doctor = as_of(stack, &gateway, &entitled(Role::Doctor))?;
    let open =
        ["Patient/glass-a", "Observation/glass-a-0", "Observation/glass-a-1/_history/1", "Patient/glass-a/$everything"];
    let histories = ["Observation/glass-a-0/_history"];
    for address in open {
        let never = address.replace("glass-a", "glass-q");
        same(address, &doctor.get(address).await?, &doctor.get(&never).await?, "glass-a", "glass-q")?;
    }

    let granted = claim(&doctor, "glass-a").await?.success()?;
    let id = request_id(&granted)?;
    let body = granted.json()?;
    ensure!(body["parameter"][0]["valueId"] == json!(id.to_string()), "the grant's id: {body}");
    ensure!(body["parameter"][2]["valueCoding"]["code"] == "BTG", "the purpose: {body}");
    let again = claim(&doctor, "glass-a").await?;
    refused(&gateway, &again, refusal(409, "break-glass-in-force"), Caller::Known).await?;

    for address in open.iter().chain(&histories) {
        ensure!(status(&doctor, address).await? == 200, "{address} is closed under a grant");
    }
    let fresh = as_of(stack, &gateway, &entitled(Role::Doctor))?;
    ensure!(
        fresh.search("Observation?patient=glass-a").await?.len() == OBSERVATIONS,
        "another token of the same caller"
    );
    let page = doctor.read("Observation?patient=glass-a&_count=1").await?;
    let next = fhir::link(&page, "next").context("no next page")?.to_owned();
    ensure!(status(&doctor, &next).await? == 200, "the next page under the grant");
    let listed = json!({"resourceType": "Bundle", "type": "batch",
        "entry": [{"request": {"method": "GET", "url": "Observation/glass-a-0"}}, {"request": {"method": "GET", "url": "Observation/glass-b-0"}}]});
    let batch = doctor.write(Method::POST, "", &listed).await?.success()?.json()?;
    let statuses =
        [0_usize, 1].map(|at| batch["entry"][at]["response"]["status"].as_str().unwrap_or_default().to_owned());
    ensure!(statuses[0].starts_with("200") && statuses[1].starts_with("404"), "a batch: {statuses:?}");

    for closed in
        ["Patient/glass-b", "Observation/glass-b-0", "Patient/cedar", "Condition/birch-hiv", "Consent/glass-a-consent"]
    {
        ensure!(status(&doctor, closed).await? == 404, "{closed} is open");
    }
    let mut research = entitled(Role::Doctor);
    research["extensions"]["ihe_iua"]["purpose_of_use"] = json!([{"system": REASON, "code": "HRESCH"}]);
    let mut elsewhere = entitled(Role::Doctor);
    elsewhere["extensions"]["ihe_iua"]["subject_organization_id"] = json!("Organization/lakeside");
    let others = [
        ("another doctor", entitled(Role::UnwantedDoctor)),
        ("another client", with(entitled(Role::Doctor), "client_id", json!("another-app"))),
        ("another subject", with(entitled(Role::Doctor), "sub", json!("okafor2"))),
        ("another organisation", elsewhere),
        ("another purpose", research),
        ("without the role", Role::Doctor.claims()),
    ];
    for (who, claims) in &others {
        let other = as_of(stack, &gateway, claims)?;
        let never = other.get(&absent("Observation/glass-a-0")).await?;
        let from = absent("glass-a-0");
        same(who, &other.get("Observation/glass-a-0").await?, &never, "glass-a-0", &from)?;
        ensure!(status(&other, &next).await? == 410, "{who} goes on with the link");
    }

    // On record: once, with its purpose, its reason and its patient; uses name it; the log has it.
    let recorded = events(&gateway, id).await?;
    let request = of_kind(&recorded, "request").next().context("no request event")?;
    ensure!(request["purpose"] == json!([{"system": REASON, "code": "BTG"}]), "the purpose: {request}");
    ensure!(
        request["break_glass"] == json!({"grant": id.to_string(), "reason": {"system": REASON, "code": "ETREAT"}}),
        "the grant: {request}"
    );
    ensure!(request["reasons"][0]["rule"] == "break-glass-granted", "the rule: {request}");
    let disclosures: Vec<_> = of_kind(&recorded, "disclosure").collect();
    ensure!(disclosures.len() == 1 && recorded.len() == 2, "the claim's events: {recorded:?}");
    ensure!(
        disclosures[0]["patient"] == "Patient/glass-a" && disclosures[0]["resources"] == json!([]),
        "{disclosures:?}"
    );
    told::silent("the events", &json!(recorded).to_string(), &["unconscious"])?;
    let used = request_id(&doctor.get("Observation/glass-a-0").await?.success()?)?;
    let used = events(&gateway, used).await?;
    let use_of = of_kind(&used, "request").next().context("no request event")?;
    ensure!(use_of["break_glass"]["grant"] == json!(id.to_string()), "a use that does not name its grant: {use_of}");
    ensure!(of_kind(&used, "disclosure").any(|event| event["patient"] == "Patient/glass-a"), "{used:?}");
    let admin = Admin::of(&gateway)?;
    admin.shipped(SOON).await?;
    let opened = admin.openings(&id.to_string()).await?;
    let source = opened.first().context("no opening")?.source;
    let places = opened.iter().map(|opening| opening.place.1).max().context("no place")?;
    let log = PublishedLog::with(&stack.sidecar()?.url, source, places + 1, SOON).await?.of(source)?;
    for opening in &opened {
        ensure!(log.get(&opening.place) == Some(&opening.commitment), "not in the log: {:?}", opening.place);
    }

    gateway.crash().await?;
    gateway.start_again().await?;
    let doctor = as_of(stack, &gateway, &entitled(Role::Doctor))?;
    ensure!(status(&doctor, "Observation/glass-a-0").await? == 200, "the grant did not outlive a crash");
    ensure!(status(&doctor, "Observation/glass-b-0").await? == 404, "another patient is open after a crash");
    let again = claim(&doctor, "glass-a").await?;
    refused(&gateway, &again, refusal(409, "break-glass-in-force"), Caller::Known).await?;

    // The review.
    let url = format!("{}/v1/break-glass", gateway.admin);
    ensure!(client()?.get(&url).send().await?.status() == 401, "grants without a token");
    let waiting = grants(&gateway, "").await?;
    ensure!(waiting.len() == 1, "waiting: {waiting:?}");
    let grant = &waiting[0];
    ensure!(
        grant["grant"] == json!(id.to_string()) && grant["in_force"] == true && grant["overdue"] == false,
        "{grant}"
    );
    ensure!(grant["claim"]["justification"] == WHY && grant["claim"]["patient"] == "Patient/glass-a", "{grant}");
    let id = id.to_string();
    let missing = "01934f2e-7c1a-7b3c-8d4e-5f6071829304";
    for (grant, by, outcome, expected) in [
        (id.as_str(), "officer", "justified", (409, "in-force")),
        (id.as_str(), "okafor", "not-justified", (403, "own-grant")),
        (id.as_str(), "", "not-justified", (400, "malformed")),
        (id.as_str(), "officer", "fine", (400, "malformed")),
        (missing, "officer", "not-justified", (404, "not-found")),
        (id.as_str(), "officer", "not-justified", (204, "")),
        (id.as_str(), "officer", "justified", (409, "reviewed")),
    ] {
        let told = review(&gateway, grant, by, outcome).await?;
        ensure!((told.0, told.1.as_str()) == expected, "{by} {outcome}: {told:?} instead of {expected:?}");
    }
    ensure!(status(&doctor, "Observation/glass-a-0").await? == 404, "a review does not end a grant");
    ensure!(status(&doctor, &next).await? == 410, "a link outlives its grant");
    ensure!(grants(&gateway, "").await?.is_empty(), "a reviewed grant waits for its review");
    let reviewed = grants(&gateway, "?reviewed=true").await?;
    ensure!(reviewed.len() == 1 && reviewed[0]["review"]["outcome"] == "not-justified", "{reviewed:?}");
    gateway.crash().await?;
    gateway.start_again().await?;
    ensure!(status(&doctor, "Observation/glass-a-0").await? == 404, "a crash revives a grant");
    told::silent("the log", &gateway.process()?.output()?, &["glass-a", "unconscious"])?;
    gateway.stop().await?;
    empty(&direct).await
}

/// A grant ends by itself, with its paging links; a further one is a claim of its own; a review that is late is told.
pub(super) async fn grants_end_by_themselves(stack: &mut Stack) -> Result<()> {
    let direct = stack.direct()?;
    fill(&direct).await?;
    let more =
        json!({"break_glass": {"duration": "8s", "review_within": "1s", "most_in_force": 1, "most_unreviewed": 2}});
    let mut gateway = Gateway::start(told::second(stack, "glass-ends", stack.upstream.base(), &more)?).await?;
    let doctor = as_of(stack, &gateway, &entitled(Role::Doctor))?;
    let first = request_id(&claim(&doctor, "glass-a").await?.success()?)?;
    let page = doctor.read("Observation?patient=glass-a&_count=1").await?;
    let next = fhir::link(&page, "next").context("no next page")?.to_owned();
    let second = claim(&doctor, "glass-b").await?;
    refused(&gateway, &second, refusal(403, "break-glass-too-many"), Caller::Known).await?;
    ends(&doctor).await?;
    ensure!(status(&doctor, &next).await? == 410, "a link outlives its grant");
    let searched = doctor.read("Observation?patient=glass-a").await?;
    ensure!(searched["total"] == 0, "a search after the end: {searched}");

    let admin = Admin::of(&gateway)?;
    ensure!(admin.measured("sealgate_break_glass_in_force ").await? == 0.0, "in force after its end");
    ensure!(admin.measured("sealgate_break_glass_overdue ").await? == 1.0, "a late review is not told");
    gateway.crash().await?;
    gateway.start_again().await?;
    ensure!(status(&doctor, "Observation/glass-a-0").await? == 404, "a restart prolongs a grant");
    ensure!(admin.measured("sealgate_break_glass_overdue ").await? == 1.0, "a restart forgets a review");

    let other = request_id(&claim(&doctor, "glass-a").await?.success()?)?;
    ensure!(other != first, "a grant was prolonged");
    ends(&doctor).await?;
    let third = claim(&doctor, "glass-a").await?;
    let full = refused(&gateway, &third, refusal(503, "break-glass-unreviewed"), Caller::Known).await;
    full.context("more grants than are reviewed")?;
    for grant in [first, other] {
        let told = review(&gateway, &grant.to_string(), "officer", "justified").await?;
        ensure!(told.0 == 204, "{told:?}");
    }
    ensure!(admin.measured("sealgate_break_glass_unreviewed ").await? == 0.0, "reviewed grants wait");
    ensure!(status(&doctor, "Observation/glass-a-0").await? == 404, "a review opens something");
    claim(&doctor, "glass-a").await?.success().context("after the reviews")?;
    gateway.stop().await?;
    empty(&direct).await
}

/// Where the operator says so, whoever may break the glass is told that Consent hides what he reads, and nobody else is;
/// and a grant overrides Consent.
pub(super) async fn signalled_and_overridden(stack: &mut Stack) -> Result<()> {
    let more = json!({
        "consent": {"no_consent": "basic-normal", "break_glass": "overrides-consent"},
        "break_glass": {"hidden": "signalled"},
    });
    let mut gateway = Gateway::start(told::second(stack, "glass-told", stack.upstream.base(), &more)?).await?;
    let doctor = as_of(stack, &gateway, &entitled(Role::Doctor))?;
    let plain = as_of(stack, &gateway, &Role::Doctor.claims())?;
    let hidden =
        ["Patient/cedar", "Observation/cedar-bp", "Observation/cedar-bp/_history/1", "Observation/cedar-bp/_history"];
    for address in hidden {
        let answer = doctor.get(address).await?;
        ensure!(answer.status == 404, "{address}: {}", answer.status);
        let outcome = answer.json()?;
        let codes = outcome["issue"][0]["details"]["coding"].as_array().cloned().unwrap_or_default();
        let breaks = codes.iter().any(|coding| coding["system"] == REASON && coding["code"] == "BTG");
        ensure!(outcome["issue"][0]["code"] == "suppressed" && breaks, "{address}: {outcome}");
        let never = address.replace("cedar", "cedaq");
        let missing = doctor.get(&never).await?;
        ensure!(told::rule(&missing)? == "not-found", "{never} is signalled");
        same(address, &plain.get(address).await?, &plain.get(&never).await?, "cedar", "cedaq")?;
        same(address, &plain.get(address).await?, &missing, "cedar", "cedaq").context("who may not break the glass")?;
    }
    let searched = doctor.get("Observation?patient=cedar").await?;
    let never = doctor.get("Observation?patient=cedaq").await?;
    same("a search", &searched, &never, "cedar", "cedaq").context("a search signals")?;

    claim(&doctor, "cedar").await?.success()?;
    let read = doctor.get("Observation/cedar-bp").await?.success()?;
    let recorded = events(&gateway, request_id(&read)?).await?;
    let disclosed = of_kind(&recorded, "disclosure").find(|event| event["patient"] == "Patient/cedar");
    ensure!(disclosed.is_some_and(|event| event["rule"] == "break-glass-override"), "{recorded:?}");
    ensure!(status(&doctor, "Consent/cedar-opt-out").await? == 404, "a grant opens Consents");
    ensure!(status(&plain, "Observation/cedar-bp").await? == 404, "without the role");
    gateway.stop().await
}
