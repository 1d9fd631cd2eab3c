//! Writes: creates, updates, deletes, patches, conditional ones, and several in a Bundle.

use serde_json::{Value, json};

use super::dice::Dice;
use super::records::{self, About, CLINICAL, rtype};
use super::requests::{Body, Request};
use super::world::{Scene, merge};
use crate::harness::fhir::address;

/// Types that are updated.
const UPDATED: &[&str] =
    &["Observation", "Condition", "Procedure", "MedicationRequest", "Encounter", "AllergyIntolerance"];

/// A new resource of a patient.
fn fresh(dice: &mut Dice, scene: &Scene) -> Value {
    let patient = scene.a_patient(dice);
    let about = About { pair: scene.pair.clone(), patient: format!("Patient/{patient}"), ..About::default() };
    let kind = if dice.chance(50) { "Observation" } else { dice.word(CLINICAL) };
    let mut made = records::resource(kind, "new", &about, dice);
    if let Some(members) = made.as_object_mut() {
        members.remove("id");
    }
    made
}

/// A visible resource with something changed.
fn changed(dice: &mut Dice, scene: &Scene) -> Option<Value> {
    let mut stored = scene.visible_of(dice, UPDATED)?;
    merge(&mut stored, json!({"language": dice.word(&["en", "de", "fr"])}));
    Some(stored)
}

fn put(kind: &'static str, resource: Value) -> Request {
    Request::of(kind, "PUT", address(&resource).unwrap_or_default()).json(resource)
}

fn prefers(request: Request, dice: &mut Dice) -> Request {
    match dice.below(5) {
        0 => request.header("prefer", "return=minimal"),
        1 => request.header("prefer", "return=OperationOutcome"),
        2 => request.header("prefer", "return=representation"),
        _ => request,
    }
}

/// A create.
pub(super) fn create(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let made = fresh(dice, scene);
    prefers(Request::of(kind, "POST", rtype(&made)).json(made), dice)
}

/// A create that refers to what is visible, hidden or absent.
pub(super) fn create_pointing(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let mut made = fresh(dice, scene);
    let target = match dice.below(3) {
        0 => address(&scene.visible(dice)).unwrap_or_default(),
        1 => dice.text(&scene.hidden),
        _ => scene.absent(dice),
    };
    let target = if dice.chance(20) { format!("{{base}}/{target}") } else { target };
    match dice.below(6) {
        0 => merge(
            &mut made,
            json!({"extension": [{"url": "urn:sealgate:twin:see", "valueReference": {"reference": target}}]}),
        ),
        1 => {
            made = records::provenance("new", &scene.pair, &[target]);
            made.as_object_mut().map(|members| members.remove("id"));
        }
        2 => {
            let about = About {
                pair: scene.pair.clone(),
                patient: format!("Patient/{}", scene.a_patient(dice)),
                ..About::default()
            };
            made = records::resource("DocumentReference", "new", &about, dice);
            merge(&mut made, json!({"content": [{"attachment": {"url": target}}]}));
            made.as_object_mut().map(|members| members.remove("id"));
        }
        3 => merge(
            &mut made,
            json!({"meta": {"extension": [{"url": "urn:sealgate:twin:see", "valueReference": {"reference": target}}]}}),
        ),
        4 => {
            let contained = json!([{"resourceType": "Observation", "id": "c", "status": "final", "code": {"text": "c"}, "hasMember": [{"reference": target}]}]);
            merge(
                &mut made,
                json!({"contained": contained, "extension": [{"url": "urn:sealgate:twin:see", "valueReference": {"reference": "#c"}}]}),
            );
        }
        _ => {
            let target = json!({"reference": target});
            match rtype(&made) {
                "Encounter" => merge(&mut made, json!({"diagnosis": [{"condition": target}]})),
                "DocumentReference" => merge(&mut made, json!({"context": {"related": [target]}})),
                _ => merge(&mut made, json!({"encounter": target})),
            }
        }
    }
    Request::of(kind, "POST", rtype(&made)).json(made)
}

/// An update of a visible resource.
pub(super) fn update(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    match changed(dice, scene) {
        Some(changed) => prefers(put(kind, changed), dice),
        None => create(kind, dice, scene),
    }
}

/// An update of what is hidden or absent.
pub(super) fn update_hidden(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let name = match dice.below(5) {
        0 => scene.absent(dice),
        1 if !scene.deleted.is_empty() => dice.text(&scene.deleted),
        _ => dice.text(&scene.hidden),
    };
    let (kind_of, id) = name.split_once('/').unwrap_or(("Observation", "x"));
    let patient = scene.a_patient(dice);
    let about = About { pair: scene.pair.clone(), patient: format!("Patient/{patient}"), ..About::default() };
    let body = match kind_of {
        "Patient" => records::patient(id, &scene.pair, dice),
        "Binary" => records::binary(id, dice),
        "Provenance" => records::provenance(id, &scene.pair, &[format!("Patient/{patient}")]),
        _ => records::resource(kind_of, id, &about, dice),
    };
    let request = Request::of(kind, "PUT", name.clone()).json(body);
    match dice.below(4) {
        0 => request.header("if-match", "W/\"1\""),
        1 => request.header("if-none-match", "*"),
        _ => request,
    }
}

/// An update on the condition of a version.
pub(super) fn update_match(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let known = dice.word(&["{etag}", "{etag}", "W/\"1\"", "W/\"9\"", "*", "junk"]);
    let request = update(kind, dice, scene);
    if request.method == "PUT" { request.header("if-match", known) } else { request }
}

/// An update that adds a label, or takes labels away.
pub(super) fn update_relabel(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let Some(mut changed) = changed(dice, scene) else { return create(kind, dice, scene) };
    let security = json!([{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": dice.word(&["R", "N", "V"])}]);
    merge(&mut changed, json!({"meta": {"security": security}}));
    put(kind, changed)
}

/// An update that moves a record to another patient, visible, hidden or absent.
pub(super) fn update_move(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let Some(mut changed) = changed(dice, scene) else { return create(kind, dice, scene) };
    let to = json!({"reference": format!("Patient/{}", scene.a_patient(dice))});
    let element = if rtype(&changed) == "AllergyIntolerance" { "patient" } else { "subject" };
    merge(&mut changed, json!({element: to}));
    put(kind, changed)
}

/// A delete of a visible resource.
pub(super) fn delete(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let mut kinds = vec!["Immunization", "AllergyIntolerance", "ServiceRequest", "DocumentReference"];
    if scene.gaps.provenance_writes {
        kinds.push("Provenance");
    }
    match scene.visible_of(dice, &kinds) {
        Some(found) => Request::of(kind, "DELETE", address(&found).unwrap_or_default()),
        None => delete_hidden(kind, dice, scene),
    }
}

/// A delete of what is hidden or absent.
pub(super) fn delete_hidden(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let name = if dice.chance(70) { dice.text(&scene.hidden) } else { scene.absent(dice) };
    let request = Request::of(kind, "DELETE", name);
    if dice.chance(30) { request.header("if-match", dice.word(&["W/\"1\"", "{etag}", "W/\"2\""])) } else { request }
}

/// A JSON patch.
pub(super) fn patch(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let name = match dice.below(3) {
        0 => dice.text(&scene.hidden),
        1 => scene.absent(dice),
        _ => scene.visible_of(dice, UPDATED).as_ref().and_then(address).unwrap_or_default(),
    };
    let patch = match dice.below(3) {
        0 => json!([{"op": "test", "path": "/status", "value": "final"}]),
        1 => json!([{"op": "remove", "path": "/valueQuantity"}]),
        _ => json!([{"op": "add", "path": "/language", "value": "en"}]),
    };
    Request { body: Body::Text("application/json-patch+json", patch.to_string()), ..Request::of(kind, "PATCH", name) }
}

/// Criteria that match what is visible, what is hidden, both or nothing.
fn criteria(dice: &mut Dice, scene: &Scene) -> (&'static str, String) {
    match dice.below(5) {
        0 => ("Observation", format!("_id={}-none", scene.pair)),
        1 => {
            let hidden = dice.text(&scene.hidden);
            let (rtype, id) = hidden.split_once('/').unwrap_or(("Observation", "x"));
            let rtype = CLINICAL.iter().find(|known| **known == rtype).copied().unwrap_or("Observation");
            (rtype, format!("_id={id}"))
        }
        2 => {
            let found = scene.visible_of(dice, UPDATED).unwrap_or_default();
            let rtype = CLINICAL.iter().find(|known| **known == rtype(&found)).copied().unwrap_or("Observation");
            (rtype, format!("_id={}", found.get("id").and_then(Value::as_str).unwrap_or("x")))
        }
        3 => ("Observation", format!("patient={}&code=8867-4", scene.a_patient(dice))),
        _ => ("Patient", format!("identifier=urn:sealgate:twin:mrn%7C{}", scene.a_patient(dice))),
    }
}

fn of_type(kind: &str, dice: &mut Dice, scene: &Scene) -> Value {
    if kind == "Patient" {
        let mut made = records::patient("new", &scene.pair, dice);
        made.as_object_mut().map(|members| members.remove("id"));
        return made;
    }
    let about = About {
        pair: scene.pair.clone(),
        patient: format!("Patient/{}", dice.text(&scene.patients)),
        ..About::default()
    };
    let mut made = records::resource(kind, "new", &about, dice);
    made.as_object_mut().map(|members| members.remove("id"));
    made
}

/// `If-None-Exist`.
pub(super) fn conditional_create(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let (rtype, criteria) = criteria(dice, scene);
    let body = of_type(rtype, dice, scene);
    Request::of(kind, "POST", rtype).header("if-none-exist", criteria).json(body)
}

fn by_criteria(kind: &'static str, method: &'static str, rtype: &str, criteria: &str) -> Request {
    let pairs = criteria.split('&').filter_map(|pair| pair.split_once('='));
    let query = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Request { query, ..Request::of(kind, method, rtype) }
}

/// `PUT [type]?criteria`.
pub(super) fn conditional_update(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let (rtype, criteria) = criteria(dice, scene);
    let body = of_type(rtype, dice, scene);
    by_criteria(kind, "PUT", rtype, &criteria).json(body)
}

/// `DELETE [type]?criteria`.
pub(super) fn conditional_delete(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let (rtype, criteria) = criteria(dice, scene);
    by_criteria(kind, "DELETE", rtype, &criteria)
}

/// `PATCH [type]?criteria`.
pub(super) fn conditional_patch(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let (rtype, criteria) = criteria(dice, scene);
    let body = Body::Text(
        "application/json-patch+json",
        json!([{"op": "add", "path": "/language", "value": "en"}]).to_string(),
    );
    Request { body, ..by_criteria(kind, "PATCH", rtype, &criteria) }
}

/// Entries of a batch or transaction: looks and writes, at what is visible and what is not.
fn entries(dice: &mut Dice, scene: &Scene) -> Vec<Value> {
    let mut entries = Vec::new();
    for _ in 0..dice.between(1, 4) {
        let (name, _) = scene.any(dice);
        let (rtype, criteria) = criteria(dice, scene);
        entries.push(match dice.below(7) {
            0 => json!({"request": {"method": "GET", "url": name}}),
            1 => json!({"request": {"method": "GET", "url": format!("{rtype}?{criteria}")}}),
            2 => json!({"request": {"method": "GET", "url": name, "ifNoneMatch": "W/\"1\""}}),
            3 => json!({"request": {"method": "DELETE", "url": dice.text(&scene.hidden)}}),
            4 => json!({"resource": of_type(rtype, dice, scene), "request": {"method": "POST", "url": rtype, "ifNoneExist": criteria}}),
            5 => {
                let made = fresh(dice, scene);
                json!({"request": {"method": "POST", "url": records::rtype(&made)}, "resource": made})
            }
            _ => match changed(dice, scene) {
                Some(changed) => json!({"request": {"method": "PUT", "url": address(&changed)}, "resource": changed}),
                None => json!({"request": {"method": "GET", "url": name}}),
            },
        });
    }
    entries
}

/// A batch.
pub(super) fn batch(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let entries = entries(dice, scene);
    Request::of(kind, "POST", "").json(json!({"resourceType": "Bundle", "type": "batch", "entry": entries}))
}

/// A transaction.
pub(super) fn transaction(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let entries = entries(dice, scene);
    Request::of(kind, "POST", "").json(json!({"resourceType": "Bundle", "type": "transaction", "entry": entries}))
}

/// Bodies and addresses that do not fit.
pub(super) fn bad(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let made = fresh(dice, scene);
    let (name, _) = scene.any(dice);
    match dice.below(8) {
        0 => Request {
            body: Body::Text("application/fhir+json", "{\"resourceType\":".to_owned()),
            ..Request::of(kind, "POST", rtype(&made))
        },
        1 => Request { body: Body::Text("text/plain", made.to_string()), ..Request::of(kind, "POST", rtype(&made)) },
        2 => Request::of(kind, "PUT", name).json(made),
        3 => Request::of(kind, "POST", "Patient").json(made),
        4 => Request::of(kind, "POST", rtype(&made)).with("unheard", "1").json(made),
        5 => Request::of(kind, "POST", name).json(made),
        6 => {
            let consent = json!({
                "resourceType": "Consent", "status": "active", "patient": {"reference": format!("Patient/{}", dice.text(&scene.closed))},
                "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
                "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}], "provision": {"type": "permit"},
            });
            Request::of(kind, "POST", "Consent").json(consent)
        }
        _ => Request::of(kind, "PUT", format!("Practitioner/{}-doc", scene.pair))
            .json(json!({"resourceType": "Practitioner", "id": format!("{}-doc", scene.pair), "active": true})),
    }
}
