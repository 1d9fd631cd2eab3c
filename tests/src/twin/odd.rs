//! Requests that are malformed, that games are played with, and reads that are no search.

use super::dice::Dice;
use super::records::CLINICAL;
use super::requests::{Request, joined};
use super::world::Scene;

/// What is told to everybody.
pub(super) fn metadata(kind: &'static str, dice: &mut Dice, _: &Scene) -> Request {
    Request::get(kind, dice.word(&["metadata", ".well-known/smart-configuration"]))
}

/// Paths, queries and headers that are wrong in one way.
pub(super) fn malformed(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let (address, _) = scene.any(dice);
    let (rtype, id) = address.split_once('/').unwrap_or((address.as_str(), "x"));
    let patient = scene.a_patient(dice);
    match dice.below(16) {
        0 => Request::get(kind, format!("{rtype}%2F{id}")),
        1 => Request::get(kind, format!("{}/{id}", rtype.to_lowercase())),
        2 => Request::get(kind, format!("{rtype}/{id}/")),
        3 => Request::get(kind, format!("{rtype}//{id}")),
        4 => Request::get(kind, format!("{rtype}/%2e%2e/{address}")),
        5 => Request::get(kind, format!("{rtype}/{}", id.to_uppercase())),
        6 => Request::get(kind, format!("{address}/_history/1/extra")),
        7 => Request::get(kind, format!("{rtype}/{id}%00")),
        8 => Request::get(kind, rtype).with("patient", ""),
        9 => Request::get(kind, rtype).with("patient", patient).with("_count", dice.word(&["-1", "x", "1e3", "0"])),
        10 => Request::get(kind, rtype)
            .with("patient", patient)
            .with("unheard", "1")
            .header("prefer", dice.word(&["handling=strict", "handling=lenient"])),
        11 => Request::get(kind, rtype).with("patient", patient).with("_cursor", dice.word(&["AAAA", "", "%20"])),
        12 => Request::get(kind, rtype)
            .with("patient", patient)
            .with("_sort", dice.word(&["unheard", "-", "patient.name", "date,"])),
        13 => Request::of(kind, if dice.chance(50) { "OPTIONS" } else { "PROPFIND" }, address),
        14 => Request::get(kind, address).header("x-http-method-override", "DELETE"),
        _ => Request::get(kind, rtype)
            .with("date", dice.word(&["yesterday", "ge", "2020-13-45", "ap2020", "xx2020-01-01"]))
            .with("patient", patient),
    }
}

/// A parameter a hundred times, and one that is very long.
pub(super) fn repeated(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let patient = scene.a_patient(dice);
    let rtype = dice.word(CLINICAL);
    let mut request = Request::get(kind, rtype).with("patient", patient);
    match dice.below(4) {
        0 => {
            for _ in 0..100 {
                request = request.with("status", "final");
            }
        }
        1 => {
            let ids: Vec<String> = (0..100).map(|at| format!("{}-{at}", scene.pair)).collect();
            request = request.with("_id", ids.join(","));
        }
        2 => request = request.with("code", "x".repeat(9000)),
        _ => {
            for _ in 0..30 {
                request = request.with("_include", format!("{rtype}:patient"));
            }
        }
    }
    request
}

/// `_format`, `_pretty`, `Accept` and compression.
pub(super) fn formats(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let (address, _) = scene.any(dice);
    let request = Request::get(kind, address);
    match dice.below(7) {
        0 => request.with("_format", dice.word(&["json", "xml", "application/fhir%2Bjson", "ttl", "html"])),
        1 => request.with("_pretty", "true"),
        2 => request.header(
            "accept",
            dice.word(&["application/fhir+xml", "text/html", "*/*", "application/json", "text/plain"]),
        ),
        3 => request.header("accept-encoding", dice.word(&["gzip", "br", "identity;q=0"])),
        4 => request.header("range", "bytes=0-20"),
        5 => request.header("origin", "https://app.example"),
        _ => request.header("accept-charset", "iso-8859-1"),
    }
}

/// The history of an instance.
pub(super) fn history_instance(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let (address, _) = scene.any(dice);
    past(Request::get(kind, format!("{address}/_history")), dice)
}

/// The history of a type.
pub(super) fn history_type(kind: &'static str, dice: &mut Dice, _: &Scene) -> Request {
    let rtype = dice.word(CLINICAL);
    past(Request::get(kind, format!("{rtype}/_history")), dice)
}

/// The history of all.
pub(super) fn history_system(kind: &'static str, dice: &mut Dice, _: &Scene) -> Request {
    past(Request::get(kind, "_history"), dice)
}

fn past(request: Request, dice: &mut Dice) -> Request {
    match dice.below(4) {
        0 => request,
        1 => request.with("_count", dice.word(&["1", "2", "5", "0"])),
        2 => request.with("_since", dice.word(&["2000-01-01", "{boundary}"])),
        _ => request.with("_at", dice.word(&["2000-01-01", "{boundary}"])),
    }
}

/// A search in a compartment.
pub(super) fn compartment(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let rtype = match dice.below(5) {
        0 => "*",
        1 => "Patient",
        _ => dice.word(CLINICAL),
    };
    let patient = scene.a_patient(dice);
    let request = match dice.below(5) {
        0 => Request::get(kind, format!("Practitioner/{}-doc/{rtype}", scene.pair)),
        1 => match scene.visible_of(dice, &["Encounter"]).as_ref().and_then(crate::harness::fhir::address) {
            Some(encounter) => Request::get(kind, format!("{encounter}/{rtype}")),
            None => Request::get(kind, format!("Encounter/{}/{rtype}", dice.text(&scene.closed))),
        },
        _ => Request::get(kind, format!("Patient/{patient}/{rtype}")),
    };
    if dice.chance(40) { request.with("_count", dice.word(&["1", "3", "50"])) } else { request }
}

/// A search of all types.
pub(super) fn system(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let patient = scene.a_patient(dice);
    let (address, _) = scene.any(dice);
    let id = address.split_once('/').map_or("x", |(_, id)| id).to_owned();
    match dice.below(3) {
        0 => Request::get(kind, "").with("_id", id),
        1 => Request::get(kind, "").with("_type", "Observation,Condition").with("_id", id),
        _ => Request::get(kind, "").with("_tag", format!("urn:sealgate:twin:pair|{patient}").replace('|', "%7C")),
    }
}

/// `$everything`.
pub(super) fn everything(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let patient = scene.a_patient(dice);
    let request = match scene.visible_of(dice, &["Encounter"]).as_ref().and_then(crate::harness::fhir::address) {
        Some(encounter) if dice.chance(25) => Request::get(kind, format!("{encounter}/$everything")),
        _ => Request::get(kind, format!("Patient/{patient}/$everything")),
    };
    match dice.below(5) {
        0 => request.with("_count", dice.word(&["2", "5", "100"])),
        1 => request.with("_type", dice.word(&["Observation", "Observation,Condition", "Patient"])),
        2 => request.with("start", "2018-01-01").with("end", "2022-12-31"),
        3 => request.with("_since", dice.word(&["2000-01-01", "{boundary}"])),
        _ => request,
    }
}

/// Other operations that look.
pub(super) fn operations(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let (address, _) = scene.any(dice);
    let patient = scene.a_patient(dice);
    match dice.below(8) {
        0 => Request::get(kind, format!("{address}/$meta")),
        1 => Request::get(kind, "Observation/$lastn").with("patient", patient).with("max", "1"),
        2 => Request::get(kind, "DocumentReference/$docref").with("patient", patient),
        3 => Request::get(kind, format!("{address}/$validate")),
        4 => Request::get(kind, format!("{address}/$graphql")).with("query", "%7Bid%7D"),
        5 => Request::get(kind, "$export").header("prefer", "respond-async"),
        6 => Request::get(kind, "Observation/$stats").with("patient", patient),
        _ => Request::get(kind, format!("{address}/$unheard?{}", joined(&[("a".to_owned(), "b".to_owned())]))),
    }
}
