//! Resources of the types that differ in owner, dates and authors.

use serde_json::{Map, Value, json};

use super::pools::{
    ACT_CODE, ACTORS, CODES, DATA_DATES, DATA_ENDS, DATA_STARTS, ELSEWHERE, INSTANCES, LABELS, PROFILE, PUBLIC,
    UPSTREAM,
};
use super::put;
use super::random::Random;

/// How a type says whose, when and by whom.
struct Kind {
    name: &'static str,
    owner: &'static str,
    code: &'static str,
    dates: &'static [&'static str],
    author: &'static str,
}

const KINDS: &[Kind] = &[
    Kind { name: "Observation", owner: "subject", code: "code", dates: &["effective", "issued"], author: "performer*" },
    Kind { name: "Condition", owner: "subject", code: "code", dates: &["onset", "recordedDate"], author: "recorder" },
    Kind { name: "Encounter", owner: "subject", code: "type*", dates: &["period"], author: "" },
    Kind {
        name: "MedicationRequest",
        owner: "subject",
        code: "medicationCodeableConcept",
        dates: &["authoredOn"],
        author: "requester",
    },
    Kind { name: "DocumentReference", owner: "subject", code: "type", dates: &["date"], author: "author*" },
    Kind { name: "Composition", owner: "subject", code: "type", dates: &["date"], author: "author*" },
    Kind { name: "Procedure", owner: "subject", code: "code", dates: &["performed"], author: "performer.actor" },
    Kind {
        name: "DiagnosticReport",
        owner: "subject",
        code: "code",
        dates: &["effective", "issued"],
        author: "performer*",
    },
    Kind {
        name: "AllergyIntolerance",
        owner: "patient",
        code: "code",
        dates: &["onset", "recordedDate"],
        author: "recorder",
    },
    Kind {
        name: "Immunization",
        owner: "patient",
        code: "vaccineCode",
        dates: &["occurrence", "recorded"],
        author: "performer.actor",
    },
    Kind { name: "Task", owner: "for", code: "code", dates: &["authoredOn"], author: "" },
    Kind { name: "Coverage", owner: "beneficiary", code: "type", dates: &[], author: "" },
];

/// A reference in one of the forms in which it can be written.
pub(super) fn written(random: &mut Random, relative: &str) -> String {
    match random.weighted(&[60, 8, 10, 8, 6]) {
        0 => relative.to_owned(),
        1 => format!("{relative}/_history/2"),
        2 => format!("{UPSTREAM}/{relative}"),
        3 => format!("{PUBLIC}/{relative}"),
        _ => format!("{ELSEWHERE}/{relative}"),
    }
}

fn local(random: &mut Random, relative: &str, settings: &Value) -> String {
    match random.weighted(&[85, 8, 7]) {
        0 => relative.to_owned(),
        1 if settings.get("upstream_base").is_some() => format!("{UPSTREAM}/{relative}"),
        _ => format!("{relative}/_history/1"),
    }
}

fn patient(random: &mut Random) -> &'static str {
    random.text(&["Patient/p1", "Patient/p1", "Patient/p1", "Patient/p1", "Patient/p1", "Patient/p1", "Patient/p2"])
}

/// A resource.
pub(super) fn resource(random: &mut Random, settings: &Value) -> Value {
    let mut members = match random.weighted(&[84, 6, 4, 2, 2, 2]) {
        0 => clinical(random, settings),
        1 => appointment(random),
        2 => object(json!({"resourceType": "Patient", "id": "p1", "birthDate": "1970-01-01"})),
        3 => object(json!({"resourceType": "Location", "id": "l"})),
        4 => object(json!({
            "resourceType": "Consent", "id": "about", "status": "active", "patient": {"reference": "Patient/p1"},
        })),
        _ => ownerless(random),
    };
    put(&mut members, "meta", meta(random));
    if random.chance(25) {
        let basedon = random.text(INSTANCES);
        let reference = json!({"reference": written(random, basedon)});
        let key = if members.get("resourceType") == Some(&json!("Observation")) { "encounter" } else { "extension" };
        let value = match key {
            "encounter" => reference,
            _ => json!([{"url": "https://example.org/of", "valueReference": reference}]),
        };
        members.insert(key.to_owned(), value);
    }
    if members.get("resourceType") != Some(&json!("Patient")) && random.chance(6) {
        members.insert("contained".to_owned(), json!([contained(random)]));
    }
    Value::Object(members)
}

fn object(json: Value) -> Map<String, Value> {
    match json {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

fn clinical(random: &mut Random, settings: &Value) -> Map<String, Value> {
    let mut members = Map::new();
    let at = if random.chance(45) { 0 } else { random.below(KINDS.len()) };
    let Some(kind) = KINDS.get(at) else { return members };
    members.insert("resourceType".to_owned(), json!(kind.name));
    if random.chance(96) {
        members.insert("id".to_owned(), json!(random.text(&["a", "a", "b"])));
    }
    let patient = patient(random);
    members.insert(kind.owner.to_owned(), json!({"reference": local(random, patient, settings)}));
    if random.chance(80) {
        let concept = concept(random);
        let (key, value) = list(kind.code, concept);
        members.insert(key.to_owned(), value);
    }
    for element in kind.dates {
        if random.chance(60) {
            date(random, element, &mut members);
        }
    }
    if !kind.author.is_empty() && random.chance(60) {
        author(random, kind.author, &mut members);
    }
    members
}

fn list(key: &'static str, value: Value) -> (&'static str, Value) {
    match key.strip_suffix('*') {
        Some(key) => (key, json!([value])),
        None => (key, value),
    }
}

/// A CodeableConcept of clinical codes.
fn concept(random: &mut Random) -> Value {
    let codings: Vec<Value> = (0..=random.below(2))
        .filter_map(|_| CODES.get(random.below(CODES.len())))
        .map(|(system, code)| json!({"system": system, "code": code}))
        .collect();
    json!({"coding": codings})
}

fn date(random: &mut Random, element: &str, members: &mut Map<String, Value>) {
    let choice = ["effective", "onset", "performed", "occurrence"].contains(&element);
    let period = element == "period" || (choice && element != "occurrence" && random.chance(40));
    if period {
        let mut period = Map::new();
        let (start, end) = (random.chance(80), random.chance(60));
        put(&mut period, "start", (start || !end).then(|| json!(random.text(DATA_STARTS))));
        put(&mut period, "end", end.then(|| json!(random.text(DATA_ENDS))));
        let key = if choice { format!("{element}Period") } else { element.to_owned() };
        members.insert(key, Value::Object(period));
    } else if choice {
        let when = random.text(DATA_DATES);
        members.insert(format!("{element}DateTime"), json!(when));
    } else {
        let instant = ["issued", "date"].contains(&element);
        let when = if instant {
            random.text(&["2022-03-01T10:00:00Z", "2023-05-05T00:00:00Z"])
        } else {
            random.text(DATA_STARTS)
        };
        members.insert(element.to_owned(), json!(when));
    }
}

fn author(random: &mut Random, element: &'static str, members: &mut Map<String, Value>) {
    let named = random.text(&["Practitioner/d1", "Practitioner/d1", "Practitioner/d2", "Organization/o1"]);
    let reference = match random.weighted(&[84, 8, 8]) {
        0 => json!({"reference": written(random, named)}),
        1 => json!({"display": "Dr. D"}),
        _ => json!({"identifier": {"system": super::pools::NPI, "value": "1"}}),
    };
    match element.split_once('.') {
        Some((outer, inner)) => members.insert(outer.to_owned(), json!([{inner: reference}])),
        None => {
            let (key, value) = list(element, reference);
            members.insert(key.to_owned(), value)
        }
    };
}

fn appointment(random: &mut Random) -> Map<String, Value> {
    let mut participants = vec![json!({"actor": {"reference": "Patient/p1"}})];
    if random.chance(60) {
        participants.push(json!({"actor": {"reference": "Patient/p2"}}));
    }
    participants.push(json!({"actor": {"reference": random.text(ACTORS.get(..4).unwrap_or_default())}}));
    object(json!({"resourceType": "Appointment", "id": "a", "status": "booked", "participant": participants}))
}

fn ownerless(random: &mut Random) -> Map<String, Value> {
    object(match random.below(4) {
        0 => json!({"resourceType": "Observation", "id": "a"}),
        1 => json!({"resourceType": "Observation", "id": "a", "subject": {"display": "Mr P"}}),
        2 => {
            json!({"resourceType": "Observation", "id": "a", "subject": {"reference": format!("{ELSEWHERE}/Patient/p1")}})
        }
        _ => json!({"resourceType": "Basic", "id": "a", "code": {"text": "nothing"}}),
    })
}

fn contained(random: &mut Random) -> Value {
    let patient = patient(random);
    let mut inner = match random.below(3) {
        0 => object(json!({"resourceType": "Medication", "id": "m", "code": concept(random)})),
        1 => object(
            json!({"resourceType": "Observation", "id": "o", "subject": {"reference": patient}, "code": concept(random)}),
        ),
        _ => object(json!({"resourceType": "Practitioner", "id": "c"})),
    };
    put(&mut inner, "meta", meta(random));
    Value::Object(inner)
}

fn meta(random: &mut Random) -> Option<Value> {
    let mut meta = Map::new();
    const LEAVES: &[&str] = &["HIV", "OPIOIDUD", "ETHUD", "PSY"];
    let labels: Vec<Value> = match random.weighted(&[38, 38, 12, 6, 6]) {
        0 => Vec::new(),
        4 => (0..2).map(|_| label(&(ACT_CODE, random.text(LEAVES)))).collect(),
        count => (0..count).filter_map(|_| LABELS.get(random.below(LABELS.len()))).map(label).collect(),
    };
    put(&mut meta, "security", (!labels.is_empty()).then(|| json!(labels)));
    put(&mut meta, "profile", random.chance(20).then(|| json!([PROFILE])));
    put(&mut meta, "lastUpdated", random.chance(35).then(|| json!("2022-05-05T05:05:05Z")));
    (!meta.is_empty()).then_some(Value::Object(meta))
}

pub(super) fn label((system, code): &(&str, &str)) -> Value {
    json!({"system": system, "code": code})
}

/// What the instances that Consents name refer to.
pub(super) fn outgoing(random: &mut Random, resource: &Value) -> Value {
    let part = |key: &str| resource.get(key).and_then(Value::as_str).unwrap_or("none").to_owned();
    let me = format!("{}/{}", part("resourceType"), part("id"));
    let mut outgoing = Map::new();
    for instance in INSTANCES {
        if random.chance(70) {
            let mut targets = vec![json!("Observation/z")];
            if random.chance(40) {
                targets.push(json!(me));
            }
            outgoing.insert((*instance).to_owned(), json!(targets));
        }
    }
    Value::Object(outgoing)
}
