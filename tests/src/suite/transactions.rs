//! Transactions: all or nothing, entries that name one another, and no word of what is hidden.

#![expect(clippy::indexing_slicing, reason = "bodies of the test's own: a member that cannot be set is a failed test")]

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::batches::{SYSTEM, address, entry, get, new, post, recorded, responses, statuses};
use super::leaks::{caller, delete, label, observation};
use super::patches::is;
use super::told::{self, end, of_kind};
use crate::demo::cast::Role;
use crate::harness::fhir;
use crate::harness::gateway::Gateway;
use crate::harness::say;
use crate::harness::stack::Stack;

/// Entries that name one another are stored with one another's real addresses, and each is on record.
pub(super) async fn transactions_are_stored_whole(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    direct.put(&observation("tx-u", "alder")).await?;
    direct.put(&observation("tx-d", "alder")).await?;
    let (visit, measured, before) = (
        "urn:uuid:6f0d3a3e-0b58-4d0e-9f2b-1d0a2f0c0001",
        "urn:uuid:6f0d3a3e-0b58-4d0e-9f2b-1d0a2f0c0002",
        "urn:uuid:6f0d3a3e-0b58-4d0e-9f2b-1d0a2f0c0003",
    );
    let encounter = json!({"resourceType": "Encounter", "status": "finished", "subject": {"reference": "Patient/alder"},
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}});
    let mut first = new("alder");
    first["encounter"] = json!({"reference": visit});
    first["identifier"] = json!([{"system": SYSTEM, "value": "tx"}]);
    first["valueQuantity"] = json!({"value": 7});
    let mut second = new("alder");
    second["hasMember"] = json!([{"reference": measured}, {"reference": before}]);
    second["subject"] = json!({"reference": "Patient?_id=alder"});
    let provenance = json!({"resourceType": "Provenance", "target": [{"reference": measured}], "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"who": {"reference": "Practitioner/okafor"}}]});
    let mut updated = observation("tx-u", "alder");
    updated["status"] = json!("amended");
    let named = |urn: &str, mut entry: Value| {
        entry["fullUrl"] = json!(urn);
        entry
    };
    let entries = json!([
        entry("POST", "Observation", &second),
        named(before, entry("PUT", "Observation/tx-u", &updated)),
        named(visit, entry("POST", "Encounter", &encounter)),
        named(measured, json!({"resource": first, "request": {"method": "POST", "url": "Observation", "ifNoneExist": format!("identifier={SYSTEM}|tx")}})),
        entry("POST", "Provenance", &provenance),
        {"request": {"method": "DELETE", "url": "Observation/tx-d"}},
    ]);
    let answer = post(&doctor, "transaction", &entries).await?;
    ensure!(answer.status == 200, "{} {}", answer.status, String::from_utf8_lossy(&answer.body));
    let (shown, said) = (responses(&answer)?, statuses(&answer)?);
    ensure!(said == ["201", "200", "201", "201", "201", "204"], "{said:?}");
    let made: Vec<String> = [0, 2, 3, 4].iter().filter_map(|at| shown.get(*at).and_then(address)).collect();
    let [group, encounter, one, proof] = made.as_slice() else { anyhow::bail!("{made:?}") };
    let (stored_group, stored_one, stored_proof) =
        (direct.read(group).await?, direct.read(one).await?, direct.read(proof).await?);
    let again = post(&doctor, "transaction", &json!([entries[3]])).await?;
    let amended = direct.read("Observation/tx-u").await?;
    let gone = direct.get("Observation/tx-d").await?.status;
    delete(&direct, &[proof, group, one, encounter, "Observation/tx-u"]).await?;
    ensure!(stored_group.pointer("/hasMember/0/reference") == Some(&json!(one)), "{stored_group}");
    ensure!(stored_group.pointer("/hasMember/1/reference") == Some(&json!("Observation/tx-u")), "{stored_group}");
    ensure!(stored_group.pointer("/subject/reference") == Some(&json!("Patient/alder")), "{stored_group}");
    ensure!(stored_one.pointer("/encounter/reference") == Some(&json!(encounter)), "{stored_one}");
    ensure!(
        stored_proof
            .pointer("/target/0/reference")
            .and_then(Value::as_str)
            .is_some_and(|t| t.starts_with(one.as_str())),
        "{stored_proof}"
    );
    ensure!(amended.get("status") == Some(&json!("amended")), "{amended}");
    ensure!(gone == 410 || gone == 404, "{gone}");
    let location =
        shown.first().and_then(|e| e.pointer("/response/location")).and_then(Value::as_str).unwrap_or_default();
    ensure!(location.starts_with(&stack.gateway()?.url), "{location}");
    ensure!(
        statuses(&again).ok() == Some(vec!["200".to_owned()]) || again.status == 422,
        "{} {}",
        again.status,
        String::from_utf8_lossy(&again.body)
    );
    let events = told::openings(stack.gateway()?, told::request_id(&answer)?).await?.context("no events")?;
    ensure!(
        of_kind(&events, "request").next().and_then(|r| r.get("interaction")) == Some(&json!("transaction")),
        "{events:?}"
    );
    ensure!(end(&events).is_none(), "the envelope has no intent of its own");
    for (at, interaction) in ["create", "update", "create", "create", "create", "delete"].iter().enumerate() {
        let events = recorded(stack.gateway()?, shown.get(at).context("an entry")?).await?;
        let request = of_kind(&events, "request").next().context("no request event")?;
        ensure!(request.get("interaction") == Some(&json!(interaction)), "entry {at}: {request}");
        ensure!(end(&events) == Some("complete"), "entry {at}: {events:?}");
        let patients: Vec<_> = of_kind(&events, "disclosure").filter_map(|event| event.get("patient")).collect();
        ensure!(patients == [&json!("Patient/alder")], "entry {at}: {patients:?}");
    }
    Ok(())
}

/// One entry that is refused refuses them all; nothing of the others is stored.
pub(super) async fn one_refusal_refuses_all(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let mut labelled = observation("tx-l", "alder");
    labelled["meta"] = label("PSY");
    direct.put(&labelled).await?;
    let before = direct.count("Observation?patient=alder").await?;
    let urn = "urn:uuid:6f0d3a3e-0b58-4d0e-9f2b-1d0a2f0c0009";
    let mut forged = entry("POST", "Observation", &new("alder"));
    forged["fullUrl"] = json!(format!("{}/Observation/cedar-bp", stack.gateway()?.url));
    let mut twin = entry("POST", "Observation", &new("alder"));
    twin["fullUrl"] = json!(urn);
    let mut anew = entry("POST", "Patient", &json!({"resourceType": "Patient"}));
    anew["fullUrl"] = json!(urn);
    let mut foreign = new("alder");
    foreign["subject"] = json!({"reference": urn});
    let odd = json!({"resourceType": "Observation", "status": 7, "subject": {"reference": "Patient/alder"}});
    let taken = direct.write(Method::POST, "Observation", &odd).await?;
    if taken.status.is_success() {
        say::loud("NOT TRIED: a refusal of the FHIR server's own, since it takes a status that is a number");
        delete(&direct, &[&fhir::address(&taken.json()?).context("no address")?]).await?;
    }
    let rows = [
        ("hidden patient", json!([entry("POST", "Observation", &new("cedar"))]), 422, "reference-not-visible"),
        (
            "hidden update",
            json!([entry("PUT", "Observation/cedar-bp", &observation("cedar-bp", "cedar"))]),
            404,
            "not-found",
        ),
        (
            "unlabelled",
            json!([entry("PUT", "Observation/tx-l", &observation("tx-l", "alder"))]),
            403,
            "labels-weakened",
        ),
        ("moved", json!([entry("PUT", "Observation/tx-l", &observation("tx-l", "birch"))]), 403, "owner-change"),
        ("a read", json!([get("Observation/alder-bp")]), 501, "not-served"),
        ("an operation", json!([get("Patient/$export")]), 501, "not-served"),
        (
            "a new patient",
            json!([entry("POST", "Patient", &json!({"resourceType": "Patient"}))]),
            403,
            "write-not-permitted",
        ),
        (
            "twice",
            json!([entry("PUT", "Observation/tx-l", &labelled), {"request": {"method": "DELETE", "url": "Observation/tx-l"}}]),
            400,
            "entry-repeated",
        ),
        ("a foreign fullUrl", json!([forged]), 400, "entry-full-url"),
        ("one fullUrl for two", json!([twin, twin]), 400, "entry-full-url"),
        (
            "a new patient and his record",
            json!([anew, entry("POST", "Observation", &foreign)]),
            403,
            "write-not-permitted",
        ),
        ("no request", json!([{"resource": new("alder")}]), 400, "entry-malformed"),
        ("the upstream's refusal", json!([entry("POST", "Observation", &odd)]), 422, "upstream-refused"),
    ];
    let refuses = |rule: &str| rule != "upstream-refused" || !taken.status.is_success();
    for (what, bad, status, rule) in rows.into_iter().filter(|(.., rule)| refuses(rule)) {
        let mut entries = vec![entry("POST", "Observation", &new("alder"))];
        entries.extend(bad.as_array().cloned().unwrap_or_default());
        is(what, &post(&doctor, "transaction", &json!(entries)).await?, status, rule)?;
        let after = direct.count("Observation?patient=alder").await?;
        ensure!(after == before, "{what}: {before} became {after}");
    }
    delete(&direct, &["Observation/tx-l"]).await?;
    for (what, body, status, rule) in [
        ("no Bundle", json!({"resourceType": "Patient"}), 400, "bundle-type"),
        ("a document", json!({"resourceType": "Bundle", "type": "document"}), 400, "bundle-type"),
        ("no type", json!({"resourceType": "Bundle"}), 400, "bundle-type"),
    ] {
        is(what, &doctor.write(Method::POST, "", &body).await?, status, rule)?;
    }
    Ok(())
}

/// The id in the body of a create means nothing: no other entry's reference is turned to what is new by it.
pub(super) async fn bodies_of_creates_name_nothing(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let named = observation("alder-bp", "alder");
    let mut refers = new("alder");
    refers["hasMember"] = json!([{"reference": "Observation/alder-bp"}]);
    let entries = json!([entry("POST", "Observation", &named), entry("POST", "Observation", &refers)]);
    let answer = post(&doctor, "transaction", &entries).await?;
    let made: Vec<String> = responses(&answer)?.iter().filter_map(address).collect();
    ensure!(made.len() == 2, "{}", String::from_utf8_lossy(&answer.body));
    let stored = direct.read(made.last().context("nothing was created")?).await?;
    let names: Vec<&str> = made.iter().map(String::as_str).collect();
    delete(&direct, &[names[1], names[0]]).await?;
    let member = stored.pointer("/hasMember/0/reference").and_then(Value::as_str);
    ensure!(member == Some("Observation/alder-bp"), "it refers to {member:?}");
    Ok(())
}

/// A new patient comes with records of his own, for whom no Consent can be recorded yet.
pub(super) async fn registrars_bring_records(stack: &mut Stack) -> Result<()> {
    let more = json!({"roles": {"registrar": ["registrar"]}});
    let mut gateway = Gateway::start(told::second(stack, "newcomers", stack.upstream.base(), &more)?).await?;
    let direct = stack.direct()?;
    let mut claims = Role::Doctor.claims();
    claims["roles"] = json!(["registrar"]);
    let registrar = gateway.fhir(stack.issuer.token(&claims)?)?;
    let (patient, measured) =
        ("urn:uuid:6f0d3a3e-0b58-4d0e-9f2b-1d0a2f0c0011", "urn:uuid:6f0d3a3e-0b58-4d0e-9f2b-1d0a2f0c0012");
    let mut observation = new("x");
    observation["subject"] = json!({"reference": patient});
    let provenance = json!({"resourceType": "Provenance", "target": [{"reference": measured}, {"reference": patient}], "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"who": {"reference": "Practitioner/okafor"}}]});
    let person = json!({"fullUrl": patient, "resource": {"resourceType": "Patient", "name": [{"family": "New"}]}, "request": {"method": "POST", "url": "Patient"}});
    let entries = json!([
        entry("POST", "Provenance", &provenance),
        {"fullUrl": measured, "resource": observation, "request": {"method": "POST", "url": "Observation"}},
        person,
    ]);
    let answer = post(&registrar, "transaction", &entries).await?;
    ensure!(answer.status == 200, "{} {}", answer.status, String::from_utf8_lossy(&answer.body));
    let shown = responses(&answer)?;
    let made: Vec<String> = shown.iter().filter_map(address).collect();
    let [proof, record, owner] = made.as_slice() else { anyhow::bail!("{made:?}") };
    let stored = direct.read(record).await?;
    delete(&direct, &[proof, record, owner]).await?;
    ensure!(stored.pointer("/subject/reference") == Some(&json!(owner)), "{stored}");
    for entry in &shown {
        ensure!(entry.get("resource").is_some(), "{entry}");
        let events = recorded(&gateway, entry).await?;
        let patients: Vec<_> = of_kind(&events, "disclosure").filter_map(|event| event.get("patient")).collect();
        ensure!(patients == [&json!(owner)], "{patients:?}");
    }
    gateway.stop().await
}
