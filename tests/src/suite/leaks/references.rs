//! Attacks by pointing: a body that refers to what is hidden is answered as one that refers to what never was.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::{absent, altered, caller, delete, observation, same};
use crate::demo::cast::Role;
use crate::demo::consents::{opts_out, permits_treatment};
use crate::harness::fhir::{Answer, Fhir};
use crate::harness::stack::Stack;
use crate::suite::told::{self, of_kind};

/// Hidden from the doctor: by Consent, by label, by what they belong to.
const HIDDEN: [&str; 8] = [
    "Patient/cedar",
    "Observation/cedar-bp",
    "Condition/birch-hiv",
    "DocumentReference/cedar-note",
    "Binary/cedar-note-text",
    "Provenance/cedar-provenance",
    "CareTeam/cedar-team",
    "Consent/birch-treatment",
];

/// A record of a patient who is open, without an id.
fn record() -> Value {
    unnamed(observation("x", "alder"))
}

fn unnamed(mut resource: Value) -> Value {
    if let Some(resource) = resource.as_object_mut() {
        resource.remove("id");
    }
    resource
}

/// The ways in which a body may point at something, each with its name.
fn pointing(gateway: &str, upstream: &str, address: &str) -> Vec<(&'static str, Value)> {
    let at = |reference: Value| {
        let mut body = record();
        body["focus"] = json!([reference]);
        body
    };
    let mut rows = vec![
        ("relative", at(json!({"reference": address}))),
        ("with a version", at(json!({"reference": format!("{address}/_history/1")}))),
        ("on the public base", at(json!({"reference": format!("{gateway}/{address}")}))),
        ("on the upstream's base", at(json!({"reference": format!("{upstream}/{address}")}))),
        ("with type and display", at(json!({"reference": address, "type": address.split('/').next(), "display": "x"}))),
        ("with an identifier", at(json!({"reference": address, "identifier": {"system": "urn:x", "value": "1"}}))),
        ("with a fragment", at(json!({"reference": format!("{address}#x")}))),
        ("with a query", at(json!({"reference": format!("{address}?x=1")}))),
        ("with a slash", at(json!({"reference": format!("/{address}")}))),
        ("with a slash behind", at(json!({"reference": format!("{address}/")}))),
        ("with a dot", at(json!({"reference": format!("./{address}")}))),
        ("with a space", at(json!({"reference": format!("{address} ")}))),
        ("as a list", at(json!({"reference": [address]}))),
        ("under two slashes", at(json!({"reference": format!("{upstream}//{address}")}))),
        ("in other letters", at(json!({"reference": format!("{}/{address}", upstream.replace("http://", "HTTP://"))}))),
    ];
    if let Some((kind, id)) = address.split_once('/') {
        rows.push(("by a search", at(json!({"reference": format!("{kind}?_id={id}")}))));
        let mut bundle = json!({"resourceType": "Bundle", "type": "document"});
        bundle["entry"] =
            json!([{"fullUrl": format!("{gateway}/{address}"), "resource": {"resourceType": kind, "id": id}}]);
        rows.push(("as an entry of a document", bundle));
    }
    let mut inside = record();
    inside["contained"] = json!([{"resourceType": "Encounter", "id": "e", "status": "finished", "diagnosis": [{"condition": {"reference": address}}]}]);
    inside["encounter"] = json!({"reference": "#e"});
    rows.push(("in a contained resource", inside));
    for place in ["extension", "modifierExtension"] {
        let mut extended = record();
        extended[place] = json!([{"url": "https://sealgate.example/test", "valueReference": {"reference": address}}]);
        rows.push((place, extended));
    }
    let mut primitive = record();
    primitive["_status"] =
        json!({"extension": [{"url": "https://sealgate.example/test", "valueReference": {"reference": address}}]});
    rows.push(("in an extension of a primitive", primitive));
    let mut meta = record();
    meta["meta"] =
        json!({"extension": [{"url": "https://sealgate.example/test", "valueReference": {"reference": address}}]});
    rows.push(("in an extension of meta", meta));
    rows
}

async fn create(caller: &Fhir, body: &Value) -> Result<Answer> {
    let kind = body.get("resourceType").and_then(Value::as_str).context("no type")?;
    caller.write(Method::POST, kind, body).await
}

/// `Type/id` of what a create made.
fn made(answer: &Answer) -> Option<String> {
    let location = answer.header("location").filter(|_| answer.status == 201)?;
    let mut parts = location.split("/_history/").next()?.rsplit('/');
    let (id, kind) = (parts.next()?, parts.next()?);
    Some(format!("{kind}/{id}"))
}

/// Status and rule of a refusal of a reference.
fn not_visible(what: &str, answer: &Answer) -> Result<()> {
    ensure!(
        answer.status == 422 && told::rule(answer)? == "reference-not-visible",
        "{what}: {} {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    Ok(())
}

/// A create that points at what is hidden answers as one that points at what never was, however it is pointed at.
pub(in crate::suite) async fn creates_that_point_at_hidden(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let (gateway, upstream) = (stack.gateway()?.url.clone(), stack.upstream.base().to_owned());
    for address in HIDDEN {
        let never = absent(address);
        let pairs = pointing(&gateway, &upstream, address).into_iter().zip(pointing(&gateway, &upstream, &never));
        for ((what, hidden), (_, other)) in pairs {
            let (hidden, other) = (create(&doctor, &hidden).await?, create(&doctor, &other).await?);
            if what == "in other letters" {
                // Another spelling of the base is another server, and stays so in what is stored.
                let made = [made(&hidden), made(&other)];
                ensure!(hidden.status == other.status, "{what} {address}: {} {}", hidden.status, other.status);
                delete(&direct, &made.iter().flatten().map(String::as_str).collect::<Vec<_>>()).await?;
                continue;
            }
            ensure!(hidden.status.is_client_error(), "{what} {address}: {}", hidden.status);
            same(&format!("{what} {address}"), &hidden, &other, address, &never)?;
            if matches!(what, "relative" | "with a version" | "on the public base" | "in an extension of meta") {
                not_visible(what, &hidden)?;
            }
        }
    }
    // Whose record it is counts as a reference too.
    let (hidden, never) = (unnamed(observation("x", "cedar")), unnamed(observation("x", "cedaq")));
    let (hidden, never) = (create(&doctor, &hidden).await?, create(&doctor, &never).await?);
    not_visible("of a hidden patient", &hidden)?;
    same("of a hidden patient", &hidden, &never, "cedar", "cedaq")?;
    let events = |answer: &Answer| told::request_id(answer);
    let (hidden, never) = (events(&hidden)?, events(&never)?);
    let gateway = stack.gateway()?;
    let of_hidden = told::openings(gateway, hidden).await?.context("no events")?;
    let of_never = told::openings(gateway, never).await?.context("no events")?;
    let denied: Vec<&Value> = of_kind(&of_hidden, "denial").filter_map(|event| event.get("patient")).collect();
    ensure!(denied == [&json!("Patient/cedar")], "denials: {denied:?}");
    ensure!(of_kind(&of_never, "denial").next().is_none(), "a denial for nobody");
    Ok(())
}

/// What is visible may be pointed at, in each of the forms that FHIR has.
pub(in crate::suite) async fn creates_that_point_at_visible(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let gateway = stack.gateway()?.url.clone();
    let reads = ["alder-bp", "alder-bp/_history/1"].map(|address| format!("Observation/{address}"));
    let forms =
        reads.into_iter().chain([format!("{gateway}/Observation/alder-bp"), "Organization/northfield".to_owned()]);
    for form in forms {
        let mut body = record();
        body["focus"] =
            json!([{"reference": form}, {"identifier": {"system": "urn:x", "value": "1"}}, {"display": "x"}]);
        let answer = create(&doctor, &body).await?.success().with_context(|| form.clone())?;
        delete(&direct, &[&made(&answer).context("no location")?]).await?;
        let created = answer.json()?;
        let stored = created.pointer("/focus/0/reference").and_then(Value::as_str).unwrap_or_default();
        let name = form.strip_prefix(&format!("{gateway}/")).unwrap_or(&form);
        ensure!(stored.ends_with(name) || name.starts_with(stored), "{form} became {stored}");
    }
    Ok(())
}

/// A document brings its entries along: they may point at each other, and whether something of that name is stored
/// makes no difference.
pub(in crate::suite) async fn documents_bring_their_entries(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let mut told = Vec::new();
    for id in ["birch-hiv", "birch-hiq"] {
        let mut point = observation("leak-in", "alder");
        point["focus"] = json!([{"reference": format!("Condition/{id}")}]);
        let condition = json!({"resourceType": "Condition", "id": id, "subject": {"reference": "Patient/alder"}});
        let document = json!({"resourceType": "Bundle", "type": "document", "entry": [{"resource": condition}, {"resource": point}]});
        let answer = create(&doctor, &document).await?;
        if let Some(made) = made(&answer) {
            delete(&direct, &[&made]).await?;
        }
        told.push((answer.status, String::from_utf8_lossy(&answer.body).into_owned()));
    }
    ensure!(told.iter().all(|(status, _)| *status == 201), "{told:?}");
    Ok(())
}

/// An update may keep what is stored, hidden or not, and may add only what is visible.
pub(in crate::suite) async fn updates_that_point_at_hidden(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let mut stored = observation("leak-ref", "alder");
    stored["focus"] = json!([{"reference": "Condition/birch-hiv"}]);
    direct.put(&stored).await?;
    let put = async |address: &str, focus: &[&str]| {
        let mut body = observation(address, "alder");
        body["focus"] = focus.iter().map(|name| json!({"reference": name})).collect();
        doctor.write(Method::PUT, &format!("Observation/{address}"), &body).await
    };
    let mut pairs = Vec::new();
    for address in HIDDEN {
        let never = absent(address);
        let hidden = put("leak-ref", &["Condition/birch-hiv", address]).await?;
        let other = put("leak-ref", &["Condition/birch-hiv", &never]).await?;
        pairs.push((address, never, hidden, other));
    }
    let kept = put("leak-ref", &["Condition/birch-hiv/_history/1", "Organization/northfield"]).await?;
    let dropped = put("leak-ref", &["Organization/northfield"]).await?;
    let again = put("leak-ref", &["Condition/birch-hiv"]).await?;
    let created = [
        put("leak-new", &["Condition/birch-hiv"]).await?,
        put("leak-new", &["Condition/birch-hiq"]).await?,
        put("leak-new", &["Organization/northfield"]).await?,
    ];
    delete(&direct, &["Observation/leak-ref"]).await?;
    for (address, never, hidden, other) in pairs {
        if address != "Condition/birch-hiv" {
            not_visible(address, &hidden)?;
            same(address, &hidden, &other, address, &never)?;
        }
    }
    ensure!(kept.status == 200, "with what was there: {}", kept.status);
    ensure!(dropped.status == 200, "without it: {}", dropped.status);
    not_visible("put back", &again)?;
    ensure!(created.iter().all(|answer| answer.status == 404), "update as create: {:?}", created.map(|c| c.status));
    Ok(())
}

/// Who may write but not read learns no more than his patients' Consents let him; a launch reaches its patient only.
pub(in crate::suite) async fn writers_without_read(stack: &mut Stack) -> Result<()> {
    let direct = stack.direct()?;
    let writer = altered(stack, Role::Doctor, &json!({"scope": "user/Observation.c"}))?;
    let launched = altered(stack, Role::Doctor, &json!({"scope": "patient/Observation.c", "patient": "alder"}))?;
    let with = |patient: &str, focus: &str| {
        let mut body = unnamed(observation("x", patient));
        body["focus"] = json!([{"reference": focus}]);
        body
    };
    let mut left = Vec::new();
    for (who, caller) in [("user", &writer), ("launched", &launched)] {
        left.extend(made(&create(caller, &with("alder", "Observation/alder-bp")).await?.success().context(who)?));
        for (hidden, never) in
            [("Observation/cedar-bp", "Observation/cedar-bq"), ("Condition/birch-hiv", "Condition/birch-hiq")]
        {
            let (told, silent) =
                (create(caller, &with("alder", hidden)).await?, create(caller, &with("alder", never)).await?);
            not_visible(hidden, &told)?;
            same(&format!("{who} {hidden}"), &told, &silent, hidden, never)?;
        }
    }
    let other = create(&launched, &with("alder", "Condition/birch-asthma")).await?;
    let never = create(&launched, &with("alder", "Condition/birch-asthmq")).await?;
    let by_user = create(&writer, &with("alder", "Condition/birch-asthma")).await?;
    left.extend(made(&by_user));
    delete(&direct, &left.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    not_visible("another patient's", &other)?;
    same("another patient's", &other, &never, "asthma", "asthmq")?;
    ensure!(by_user.status == 201, "what Consent permits is refused: {}", by_user.status);
    Ok(())
}

/// More references than the gateway resolves are refused by name, and malformed ones.
pub(in crate::suite) async fn references_are_bounded(stack: &mut Stack) -> Result<()> {
    let doctor = caller(stack, Role::Doctor)?;
    let mut many = record();
    many["focus"] = (0..300).map(|number| json!({"reference": format!("Practitioner/leak-{number}")})).collect();
    let mut odd = record();
    odd["focus"] = json!([{"reference": "Patient?family=Cedar"}]);
    let (many, odd) = (create(&doctor, &many).await?, create(&doctor, &odd).await?);
    ensure!(many.status == 413 && told::rule(&many)? == "too-many-references", "many: {}", many.status);
    ensure!(odd.status == 400 && told::rule(&odd)? == "reference-malformed", "a search: {}", odd.status);
    Ok(())
}

/// A patient who forbade everything, himself not excepted, can still say otherwise: himself, and through whoever
/// records Consents, who need not see his record.
pub(in crate::suite) async fn a_patient_who_forbade_all_speaks_again(stack: &mut Stack) -> Result<()> {
    let direct = stack.direct()?;
    let patient = altered(stack, Role::Patient, &json!({"fhirUser": "Patient/leak-shut", "patient": "leak-shut"}))?;
    let recorder = altered(stack, Role::Doctor, &json!({"roles": ["consent-recorder"]}))?;
    direct.put(&json!({"resourceType": "Patient", "id": "leak-shut"})).await?;
    let consent = unnamed(permits_treatment("x", "Patient/leak-shut", "Organization/northfield"));
    let mut answers = Vec::new();
    for (who, caller) in [("patient", &patient), ("recorder", &recorder)] {
        direct.put(&opts_out("leak-shut-c", "Patient/leak-shut")).await?;
        let read = recorder.get("Patient/leak-shut").await?;
        let created = create(caller, &consent).await?;
        if let Some(made) = made(&created) {
            delete(&direct, &[&made]).await?;
        }
        delete(&direct, &["Consent/leak-shut-c"]).await?;
        answers.push((who, read, created));
    }
    delete(&direct, &["Patient/leak-shut"]).await?;
    for (who, read, created) in answers {
        ensure!(read.status == 404, "{who}: the patient is not hidden: {}", read.status);
        ensure!(created.status == 201, "{who}: {} {}", created.status, String::from_utf8_lossy(&created.body));
    }
    Ok(())
}
