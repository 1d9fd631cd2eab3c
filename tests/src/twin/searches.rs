//! Searches, put together out of the tables of `parameters`.

use super::consents::SECRET;
use super::dice::Dice;
use super::parameters::{Values, includes, parameters, revincludes};
use super::records::{CLINICAL, codes, rtype};
use super::requests::{Body, Expect, Request};
use super::world::Scene;
use crate::harness::fhir::address;

const UNIVERSAL: &[&str] = &["Practitioner", "Organization", "Medication", "Location"];

fn patients(rtype: &str, id: String) -> (&'static str, String) {
    match rtype {
        "Patient" => ("_id", id),
        _ => ("patient", id),
    }
}

fn a_type(dice: &mut Dice) -> &'static str {
    match dice.below(12) {
        0..2 => "Observation",
        2 => "Patient",
        3 => "Appointment",
        _ => dice.word(CLINICAL),
    }
}

/// Adds one to three parameters of the type.
fn filtered(mut request: Request, rtype: &str, dice: &mut Dice, scene: &Scene) -> Request {
    for _ in 0..dice.below(5) / 2 {
        let Some((name, values)) = dice.of(parameters(rtype)).copied() else { break };
        request = request.with(name, value(rtype, values, dice, scene));
    }
    request
}

fn value(rtype: &str, values: Values, dice: &mut Dice, scene: &Scene) -> String {
    match values {
        Values::Code if dice.chance(15) => format!("{}%7C{}", SECRET.0, SECRET.1),
        Values::Code => {
            let (system, code) = dice.of(codes(rtype)).copied().unwrap_or_default();
            if dice.chance(50) { code.to_owned() } else { format!("{system}%7C{code}") }
        }
        Values::Date => {
            let prefix = dice.word(&["", "ge", "gt", "le", "lt", "eq", "ne", "sa"]);
            format!("{prefix}{}", dice.word(&["2010", "2018", "2020-06", "2022-01-01", "2000", "2030"]))
        }
        Values::Number => format!("{}{}", dice.word(&["", "gt", "lt", "ge"]), dice.word(&["60", "90", "120", "100"])),
        Values::Words(words) => dice.word(words).to_owned(),
        Values::To(types) => to(types, dice, scene),
    }
}

/// A resource of one of these types, mostly visible, by its address or its id.
fn to(types: &[&str], dice: &mut Dice, scene: &Scene) -> String {
    let hidden: Vec<String> = scene
        .hidden
        .iter()
        .filter(|name| name.split_once('/').is_some_and(|(kind, _)| types.contains(&kind)))
        .cloned()
        .collect();
    let visible = scene.visible_of(dice, types).as_ref().and_then(address);
    let found = match (visible, dice.of(&hidden)) {
        (Some(visible), Some(hidden)) => {
            if dice.chance(75) {
                visible
            } else {
                hidden.clone()
            }
        }
        (Some(visible), None) => visible,
        (None, Some(hidden)) => hidden.clone(),
        (None, None) => format!("{}/{}-none", dice.word(types), scene.pair),
    };
    match dice.below(10) {
        0 => format!("{{base}}/{found}"),
        1 => found.split_once('/').map_or(found.clone(), |(_, id)| id.to_owned()),
        _ => found,
    }
}

/// Adds what shapes the answer.
fn shaped(mut request: Request, rtype: &str, dice: &mut Dice) -> Request {
    if dice.chance(35) {
        let dated =
            parameters(rtype).iter().find(|(_, values)| matches!(values, Values::Date)).map_or("_id", |(name, _)| name);
        let key = dice.word(&["_id", "-_id", "_lastUpdated", "-_lastUpdated", "*", "-*"]).replace('*', dated);
        // Equal dates are in no order: the id makes one.
        request = request.with("_sort", if key.contains("_id") { key } else { format!("{key},_id") });
    }
    if dice.chance(45) {
        request = request.with("_count", dice.word(&["1", "2", "3", "5", "20", "1000"]));
    }
    if dice.chance(12) {
        request = request.with("_total", dice.word(&["none", "estimate", "accurate"]));
    }
    if dice.chance(12) {
        request = request.with("_lastUpdated", format!("{}{{boundary}}", dice.word(&["ge", "lt", "gt"])));
    }
    request
}

/// A search of one patient.
pub(super) fn of_patient(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let rtype = a_type(dice);
    let (name, value) = patients(rtype, scene.a_patient(dice));
    let value = if name == "patient" && dice.chance(30) { format!("Patient/{value}") } else { value };
    let request = filtered(Request::get(kind, rtype).with(name, value), rtype, dice, scene);
    shaped(request, rtype, dice)
}

/// A search of one patient and type, of which the total is known.
pub(super) fn plain(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let asked = dice.word(CLINICAL);
    let patient = scene.a_patient(dice);
    let is = |resource: &&serde_json::Value| {
        let subject = resource.pointer("/subject/reference").or_else(|| resource.pointer("/patient/reference"));
        rtype(resource) == asked
            && subject.and_then(|name| name.as_str()) == Some(format!("Patient/{patient}").as_str())
    };
    let total = scene.visible.iter().filter(is).count();
    let expect = if scene.kind.searches(asked) { Expect::Total(total) } else { Expect::NotShown };
    Request { expect, ..Request::get(kind, asked).with("patient", patient) }
}

/// The same, where writes may have changed it.
pub(super) fn plain_after(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    Request { expect: Expect::Unknown, ..plain(kind, dice, scene) }
}

/// A search of many patients, other pairs' among them.
pub(super) fn of_type(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let rtype = if dice.chance(20) { dice.word(UNIVERSAL) } else { a_type(dice) };
    let mut request = filtered(Request::get(kind, rtype), rtype, dice, scene);
    match dice.below(5) {
        0 => {
            let (address, _) = scene.any(dice);
            let more = address.split_once('/').map_or("x", |(_, id)| id).to_owned();
            let own = scene.visible_of(dice, &[rtype]).as_ref().and_then(address_id).unwrap_or_default();
            request = request.with("_id", format!("{own},{more}"));
        }
        1 if rtype != "Patient" => {
            let all: Vec<String> =
                scene.patients.iter().chain(&scene.closed).map(|id| format!("Patient/{id}")).collect();
            request = request.with("patient", all.join(","));
        }
        2 => request = request.with("_tag", format!("urn:sealgate:twin:pair%7C{}", scene.pair)),
        3 => {
            request = request.with(
                "_security",
                dice.word(&["R", "HIV", "http://terminology.hl7.org/CodeSystem/v3-Confidentiality%7CV"]),
            );
        }
        _ => {}
    }
    shaped(request, rtype, dice)
}

fn address_id(resource: &serde_json::Value) -> Option<String> {
    resource.get("id")?.as_str().map(str::to_owned)
}

/// `POST [type]/_search`, its parameters in body and URL.
pub(super) fn by_post(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let mut request = of_patient(kind, dice, scene);
    let keep = dice.below(request.query.len() + 1);
    let form = request.query.split_off(keep);
    Request { method: "POST", path: format!("{}/_search", request.path), body: Body::Form(form), ..request }
}

/// With includes.
pub(super) fn including(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let mut request = if dice.chance(75) { of_patient(kind, dice, scene) } else { of_type(kind, dice, scene) };
    for _ in 0..dice.between(1, 2) {
        let include = dice.word(includes(&request.path.clone()));
        if !include.is_empty() {
            request = request.with("_include", include);
        }
    }
    request
}

/// With reverse includes.
pub(super) fn revincluding(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let rtype = match dice.below(4) {
        0 => dice.word(UNIVERSAL),
        1 => "Patient",
        _ => dice.word(&["Encounter", "Condition", "Observation"]),
    };
    let mut request = match UNIVERSAL.contains(&rtype) {
        true => Request::get(kind, rtype).with("_id", to(&[rtype], dice, scene).rsplit('/').next().unwrap_or_default()),
        false => {
            let (name, value) = patients(rtype, scene.a_patient(dice));
            shaped(Request::get(kind, rtype).with(name, value), rtype, dice)
        }
    };
    for _ in 0..dice.between(1, 2) {
        request = request.with("_revinclude", dice.word(revincludes(rtype)));
    }
    request
}

/// By the values of elements that are hidden in a visible resource, and sorted by them.
pub(super) fn by_element(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let patient = scene.a_patient(dice);
    let number = format!("{}{}", dice.word(&["gt", "lt", "ge"]), dice.word(&["60", "90", "110", "130", "150"]));
    match dice.below(6) {
        0 => Request::get(kind, "Observation")
            .with("patient", patient)
            .with("_sort", dice.word(&["value-quantity,_id", "-value-quantity,_id"])),
        1 => Request::get(kind, "Patient").with("_id", patient).with("phone", "%2B44"),
        2 => Request::get(kind, "Patient").with("telecom:missing", dice.word(&["true", "false"])),
        3 => Request::get(kind, "Observation").with("value-quantity", number).with("_count", "5"),
        _ => Request::get(kind, "Observation").with("patient", patient).with("value-quantity", number),
    }
}

/// Provenances by their targets.
pub(super) fn provenance(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let (target, _) = scene.any(dice);
    let request = match dice.below(5) {
        0 => Request::get(kind, "Provenance").with("patient", scene.a_patient(dice)),
        1 => Request::get(kind, "Provenance").with("target", format!("{target},{}", dice.text(&scene.hidden))),
        2 => Request::get(kind, "Provenance").with("_sort", "_id").with("_count", "3"),
        3 => Request::get(kind, "Provenance").with("agent", format!("Practitioner/{}-doc", scene.pair)),
        _ => Request::get(kind, "Provenance").with("target", target),
    };
    if dice.chance(40) { request.with("_include", dice.word(includes("Provenance"))) } else { request }
}

/// By a reference to what is hidden.
pub(super) fn by_hidden_target(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let hidden = dice.text(&scene.hidden);
    let target = hidden.split_once('/').map_or("", |(rtype, _)| rtype);
    let (rtype, name) = match target {
        "Encounter" => (dice.word(&["Observation", "Condition", "Procedure"]), "encounter"),
        "Condition" => {
            dice.of(&[("Procedure", "reason-reference"), ("Encounter", "diagnosis")]).copied().unwrap_or_default()
        }
        "Observation" => {
            dice.of(&[("Observation", "has-member"), ("DiagnosticReport", "result")]).copied().unwrap_or_default()
        }
        "Binary" => ("DocumentReference", "location"),
        _ => ("Provenance", "target"),
    };
    let request = Request::get(kind, rtype).with(name, hidden);
    if dice.chance(50) && rtype != "Provenance" { request.with("patient", scene.a_patient(dice)) } else { request }
}

/// With modifiers.
pub(super) fn by_modifier(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let rtype = a_type(dice);
    let (name, value) = patients(rtype, scene.a_patient(dice));
    let request = Request::get(kind, rtype).with(name, value);
    let Some((name, values)) = dice.of(parameters(rtype)).copied() else { return request };
    let value = self::value(rtype, values, dice, scene);
    match dice.below(6) {
        0 => request.with(format!("{name}:missing"), dice.word(&["true", "false"])),
        1 => request.with(format!("{name}:not"), value),
        2 => request.with(format!("{name}:text"), "a"),
        3 => request.with(format!("{name}:in"), "http://example.org/ValueSet/x"),
        4 => request.with(format!("{name}:identifier"), format!("urn:sealgate:twin:npi%7C{}-doc", scene.pair)),
        _ => request.with(format!("{name}:unheard"), value),
    }
}

/// Chains over visible and hidden resources.
pub(super) fn chained(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let patient = scene.a_patient(dice);
    match dice.below(6) {
        0 => Request::get(kind, "Observation").with("encounter.status", dice.word(&["finished", "in-progress"])),
        1 => Request::get(kind, "Observation")
            .with("patient", patient)
            .with("encounter:Encounter.class", dice.word(&["AMB", "IMP"])),
        2 => Request::get(kind, "Procedure").with("patient", patient).with("reason-reference:Condition.code", "I10"),
        3 => Request::get(kind, "Observation").with("patient.family", dice.word(&["Ash", "Beech", "Lime"])),
        4 => Request::get(kind, "Observation").with("patient.identifier", format!("urn:sealgate:twin:mrn%7C{patient}")),
        _ => {
            Request::get(kind, "DiagnosticReport").with("result.value-quantity", format!("gt{}", dice.between(50, 170)))
        }
    }
}

/// `_has`.
pub(super) fn has(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let own = format!("{},{}", scene.patients.join(","), scene.closed.join(","));
    let secret = format!("{}%7C{}", SECRET.0, SECRET.1);
    match dice.below(5) {
        0 => Request::get(kind, "Patient")
            .with("_id", own)
            .with("_has:Observation:patient:code", dice.word(&["8867-4", "718-7"])),
        1 => Request::get(kind, "Patient").with("_id", own).with("_has:Condition:patient:code", secret),
        2 => Request::get(kind, "Encounter")
            .with("patient", scene.a_patient(dice))
            .with("_has:Observation:encounter:status", "final"),
        3 => Request::get(kind, "Observation")
            .with("patient", scene.a_patient(dice))
            .with("_has:Provenance:target:agent", format!("Practitioner/{}-doc", scene.pair)),
        _ => Request::get(kind, "Practitioner")
            .with("_id", format!("{}-doc", scene.pair))
            .with("_has:Observation:performer:value-quantity", format!("gt{}", dice.between(100, 179))),
    }
}

/// Includes of includes.
pub(super) fn iterated(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let request = including(kind, dice, scene);
    match dice.below(3) {
        0 => request.with("_include:iterate", "Observation:encounter"),
        1 => request.with("_include:iterate", "Encounter:diagnosis"),
        _ => request.with("_revinclude:iterate", "Provenance:target"),
    }
}

/// `_elements`.
pub(super) fn elements(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let request = of_patient(kind, dice, scene);
    request.with("_elements", dice.word(&["id", "status", "code,subject", "text", "valueQuantity,note", "target"]))
}

/// `_summary`.
pub(super) fn summary(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let request = if dice.chance(70) { of_patient(kind, dice, scene) } else { of_type(kind, dice, scene) };
    request.with("_summary", dice.word(&["count", "count", "true", "text", "data", "false"]))
}
