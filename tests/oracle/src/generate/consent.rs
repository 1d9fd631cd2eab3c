//! Consents whose provisions speak of the very question, of something close to it, or of something else.

use serde_json::{Map, Value, json};

use super::asker::Asker;
use super::pools::{
    ACT_CODE, ACT_REASON, ACTIONS, ACTORS, CODES, DATA_ENDS, DATA_STARTS, ENDS, IDENTIFIERS, INSTANCES, LABELS, LOINC,
    OTHER, PARTICIPATION, PAST, PROFILE, PURPOSES, RESOURCE_TYPES, SCOPES, STARTS,
};
use super::random::Random;
use super::resource::{label, written};
use super::{fault, put};

/// What the Consents can speak of.
pub(super) struct Scene<'a> {
    pub(super) resource: &'a Value,
    pub(super) asker: &'a Asker,
}

/// The Consents of each patient.
pub(super) fn rows(random: &mut Random, scene: &Scene<'_>) -> Value {
    let mut rows = Map::new();
    for patient in ["Patient/p1", "Patient/p2"] {
        let row = match random.weighted(&[97, 1, 1, 1]) {
            0 => Value::Array(consents(random, scene, patient)),
            1 => json!("unavailable"),
            2 => json!("too-many"),
            _ => continue,
        };
        rows.insert(patient.to_owned(), row);
    }
    Value::Object(rows)
}

fn consents(random: &mut Random, scene: &Scene<'_>, patient: &str) -> Vec<Value> {
    let count = random.weighted(&[8, 56, 26, 10]);
    let mut consents: Vec<Value> = (0..count).map(|_| consent(random, scene, patient)).collect();
    if random.chance(6)
        && let Some(consent) = consents.first_mut()
    {
        fault::spoil(random, consent);
    }
    consents
}

fn consent(random: &mut Random, scene: &Scene<'_>, patient: &str) -> Value {
    let mut consent = Map::new();
    let mut set = |key: &str, value: Value| consent.insert(key.to_owned(), value);
    set("resourceType", json!("Consent"));
    set("id", json!(random.text(&["c1", "c2", "c3"])));
    let status = random.text(&["active", "draft", "inactive", "entered-in-error", "rejected", "proposed"]);
    set("status", json!(if random.chance(92) { "active" } else { status }));
    let scope = match random.weighted(&[82, 14, 2, 2]) {
        0 => "patient-privacy",
        1 => "research",
        2 => "treatment",
        _ => "adr",
    };
    set("scope", json!({"coding": [{"system": SCOPES, "code": scope}]}));
    set("category", json!([{"coding": [{"system": LOINC, "code": "59284-0"}]}]));
    set("patient", json!({"reference": patient}));
    let dates = &["2022-06-13", "2022-06", "2022-06-14", "2023", "2022-06-13T10:00:00Z"];
    let date = random.chance(80).then(|| json!(random.text(dates)));
    put(&mut consent, "dateTime", date);
    policy(random, &mut consent);
    if random.chance(96) {
        let kind = match random.weighted(&[64, 18, 18]) {
            0 => Some("permit"),
            1 => Some("deny"),
            _ => None,
        };
        consent.insert("provision".to_owned(), provision(random, scene, kind, 0));
    }
    Value::Object(consent)
}

fn policy(random: &mut Random, consent: &mut Map<String, Value>) {
    if random.chance(22) {
        let code =
            random.text(&["OPTIN", "OPTIN", "OPTINR", "OPTOUT", "OPTOUTE", "EMRGONLY", "EMRGONLY", "hipaa-auth"]);
        let system = if random.chance(95) { ACT_CODE } else { OTHER };
        let mut codings = vec![json!({"system": system, "code": code})];
        if random.chance(6) {
            codings.push(json!({"system": ACT_CODE, "code": random.text(&["OPTIN", "OPTOUT"])}));
        }
        consent.insert("policyRule".to_owned(), json!({"coding": codings}));
    }
    if random.chance(30) {
        let uri = random.text(&[
            "https://profiles.ihe.net/ITI/PCF/Policy-basic-normal",
            "https://profiles.ihe.net/ITI/PCF/Policy-all-normal",
            "https://profiles.ihe.net/ITI/PCF/Policy-break-glass-only",
            "https://profiles.ihe.net/ITI/PCF/Policy-deny",
            "http://example.org/policies/base.txt",
        ]);
        consent.insert("policy".to_owned(), json!([{"uri": uri}]));
    }
}

fn provision(random: &mut Random, scene: &Scene<'_>, kind: Option<&str>, depth: usize) -> Value {
    let mut members = Map::new();
    put(&mut members, "type", kind.map(|kind| json!(kind)));
    let count = if depth == 0 { random.weighted(&[46, 34, 14, 6]) } else { random.weighted(&[14, 48, 28, 10]) };
    for _ in 0..count {
        let near = random.chance(if kind == Some("permit") { 90 } else { 45 });
        let (name, value) = element(random, scene, depth, near);
        members.insert(name.to_owned(), value);
    }
    if random.chance(3) {
        extend(random, &mut members);
    }
    let children = match depth {
        0 => random.weighted(&[38, 38, 18, 6]),
        1..=3 => random.weighted(&[40, 44, 16]),
        _ => 0,
    };
    let children: Vec<Value> = (0..children)
        .map(|_| {
            let kind = if random.chance(64) { "permit" } else { "deny" };
            provision(random, scene, Some(kind), depth + 1)
        })
        .collect();
    put(&mut members, "provision", (!children.is_empty()).then(|| json!(children)));
    if members.is_empty() {
        members.insert("purpose".to_owned(), json!([purpose(random, scene, true)]));
    }
    Value::Object(members)
}

/// An extension that nobody knows, on the provision or inside one of its elements.
fn extend(random: &mut Random, members: &mut Map<String, Value>) {
    let extension = json!([{"url": "https://example.org/narrower", "valueBoolean": true}]);
    let first = members.values_mut().find(|value| value.is_object() || value.is_array());
    match first {
        Some(Value::Object(element)) if random.chance(50) => _ = element.insert("extension".to_owned(), extension),
        Some(Value::Array(items)) if random.chance(50) => {
            if let Some(Value::Object(item)) = items.first_mut() {
                item.insert("extension".to_owned(), extension);
            }
        }
        _ => _ = members.insert("extension".to_owned(), extension),
    }
}

fn element(random: &mut Random, scene: &Scene<'_>, depth: usize, near: bool) -> (&'static str, Value) {
    let many = |random: &mut Random, make: &dyn Fn(&mut Random, bool) -> Value| {
        let mut items = vec![make(random, near)];
        if random.chance(15) {
            items.push(make(random, false));
        }
        Value::Array(items)
    };
    match random.below(9) {
        0 => {
            let near = near || (depth == 0 && random.chance(60));
            ("period", period(random, near))
        }
        1 => ("actor", many(random, &|random, near| actor(random, scene, near))),
        2 => ("action", many(random, &action)),
        3 => ("securityLabel", many(random, &|random, near| security_label(random, scene, near))),
        4 => ("purpose", many(random, &|random, near| purpose(random, scene, near))),
        5 => ("class", many(random, &|random, near| class(random, scene, near))),
        6 => ("code", many(random, &|random, near| code(random, scene, near))),
        7 => ("dataPeriod", data_period(random, near)),
        _ => ("data", many(random, &|random, near| data(random, scene, near))),
    }
}

fn period(random: &mut Random, near: bool) -> Value {
    let mut period = Map::new();
    if !near && random.chance(50) {
        period.insert("end".to_owned(), json!(random.text(PAST)));
        return Value::Object(period);
    }
    let start = random.text(if near { STARTS.get(..6).unwrap_or_default() } else { STARTS });
    let end = random.chance(50);
    put(&mut period, "start", (!end || random.chance(70)).then(|| json!(start)));
    put(&mut period, "end", end.then(|| json!(random.text(ENDS))));
    if random.chance(1) {
        return json!({"extension": [{"url": "https://example.org/when", "valueString": "soon"}]});
    }
    Value::Object(period)
}

fn actor(random: &mut Random, scene: &Scene<'_>, near: bool) -> Value {
    let caller = &scene.asker.caller;
    let own: Vec<&str> = ["fhir_user", "organization"]
        .iter()
        .filter_map(|key| caller.get(key)?.as_str())
        .chain(caller.get("actors").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str))
        .collect();
    let named = match own.get(random.below(own.len().max(1))) {
        Some(own) if near && random.chance(70) => (*own).to_owned(),
        _ if random.chance(14) => random.text(IDENTIFIERS).to_owned(),
        _ => random.text(ACTORS).to_owned(),
    };
    let reference = match named.split_once('|') {
        Some(("", value)) => json!({"identifier": {"value": value}}),
        Some((_, value)) if random.chance(10) => json!({"identifier": {"value": value}}),
        Some((system, value)) => json!({"identifier": {"system": system, "value": value}}),
        None => match random.weighted(&[90, 2, 2, 2, 4]) {
            0 if named.starts_with("http") => json!({"reference": named}),
            0 if near => json!({"reference": named}),
            0 => json!({"reference": written(random, &named)}),
            1 => json!({"reference": "#contained"}),
            2 => json!({"reference": "urn:uuid:0b0b0b0b-0000-4000-8000-000000000000"}),
            3 => json!({"display": "Dr. D"}),
            _ => json!({"reference": named, "identifier": {"system": "urn:oid:1.2.3", "value": "o1"}}),
        },
    };
    let role = match random.weighted(&[40, 50, 4, 3, 3]) {
        0 => None,
        1 => Some(json!({"coding": [{"system": PARTICIPATION, "code": "IRCP"}]})),
        2 => Some(json!({"coding": [{"system": PARTICIPATION, "code": "CST"}]})),
        3 => Some(json!({"coding": [{"system": OTHER, "code": "IRCP"}]})),
        _ => Some(json!({"text": "recipient"})),
    };
    let mut actor = Map::new();
    put(&mut actor, "role", role);
    actor.insert("reference".to_owned(), reference);
    Value::Object(actor)
}

fn action(random: &mut Random, near: bool) -> Value {
    if near {
        return json!({"coding": [{"system": ACTIONS, "code": random.text(&["access", "use", "disclose"])}]});
    }
    match random.weighted(&[60, 10, 10, 10, 10]) {
        0 => {
            json!({"coding": [{"system": ACTIONS, "code": random.text(&["collect", "access", "use", "disclose", "correct"])}]})
        }
        1 => json!({"coding": [{"system": ACTIONS, "code": "sell"}]}),
        2 => json!({"coding": [{"system": OTHER, "code": "access"}]}),
        3 => json!({"text": "look at"}),
        _ => json!({"coding": [{"system": ACTIONS, "code": "collect"}, {"system": OTHER, "code": "x"}]}),
    }
}

fn security_label(random: &mut Random, scene: &Scene<'_>, near: bool) -> Value {
    let own: Vec<&Value> =
        scene.resource.pointer("/meta/security").and_then(Value::as_array).into_iter().flatten().collect();
    match own.get(random.below(own.len().max(1))) {
        Some(own) if near && random.chance(70) => (*own).clone(),
        _ if random.chance(3) => json!({"code": "R"}),
        _ => LABELS.get(random.below(LABELS.len())).map(label).unwrap_or_default(),
    }
}

fn purpose(random: &mut Random, scene: &Scene<'_>, near: bool) -> Value {
    let own = scene.asker.purposes.as_array().and_then(|own| own.get(random.below(own.len().max(1))));
    match (near, own) {
        (true, Some(Value::String(own))) if random.chance(60) => json!({"system": ACT_REASON, "code": own}),
        (true, Some(own @ Value::Object(_))) => own.clone(),
        (true, _) => json!({"system": ACT_REASON, "code": "TREAT"}),
        (false, _) => match random.weighted(&[88, 4, 4, 4]) {
            0 => json!({"system": ACT_REASON, "code": random.text(PURPOSES)}),
            1 => json!({"system": OTHER, "code": "FooBar"}),
            2 => json!({"system": ACT_REASON, "code": "PurposeOfUse"}),
            _ => json!({"code": "TREAT"}),
        },
    }
}

fn class(random: &mut Random, scene: &Scene<'_>, near: bool) -> Value {
    let kind = scene.resource.get("resourceType").cloned().unwrap_or_default();
    match random.weighted(&[66, 14, 14, 3, 3]) {
        0 if near => json!({"system": RESOURCE_TYPES, "code": kind}),
        0 => {
            json!({"system": RESOURCE_TYPES, "code": random.text(&["Observation", "Condition", "Patient", "Encounter"])})
        }
        1 => json!({"system": "urn:ietf:rfc:3986", "code": PROFILE}),
        2 => json!({"system": LOINC, "code": random.text(&["34133-9", "2339-0"])}),
        3 => json!({"code": kind}),
        _ => json!({"system": RESOURCE_TYPES}),
    }
}

fn code(random: &mut Random, scene: &Scene<'_>, near: bool) -> Value {
    let resource = scene.resource;
    let own = ["code", "type", "medicationCodeableConcept", "vaccineCode"]
        .iter()
        .find_map(|element| resource.get(element)?.pointer("/coding/0").cloned());
    match (near, own) {
        (true, Some(own)) => json!({"coding": [own]}),
        _ => match random.weighted(&[86, 7, 7]) {
            0 => json!({"coding": [CODES.get(random.below(CODES.len())).map(label)]}),
            1 => json!({"text": "alcohol"}),
            _ => json!({"coding": [{"code": "B20"}]}),
        },
    }
}

fn data_period(random: &mut Random, near: bool) -> Value {
    let mut period = Map::new();
    let start = if near { "2020" } else { random.text(DATA_STARTS) };
    let end = random.chance(70);
    put(&mut period, "start", (!end || random.chance(80)).then(|| json!(start)));
    put(&mut period, "end", end.then(|| json!(random.text(DATA_ENDS))));
    Value::Object(period)
}

fn data(random: &mut Random, scene: &Scene<'_>, near: bool) -> Value {
    let part = |key: &str| scene.resource.get(key).and_then(Value::as_str).unwrap_or("none").to_owned();
    let meaning = random.text(&["instance", "related", "dependents", "authoredby"]);
    let named = match (near, meaning) {
        (true, "authoredby") => "Practitioner/d1".to_owned(),
        (true, _) if random.chance(60) => format!("{}/{}", part("resourceType"), part("id")),
        _ => random.text(INSTANCES).to_owned(),
    };
    let reference = match random.weighted(&[94, 2, 2, 2]) {
        0 if near => json!({"reference": named}),
        0 => json!({"reference": written(random, &named)}),
        1 => json!({"display": "that one"}),
        2 => json!({"reference": "#contained"}),
        _ => json!({"identifier": {"system": "urn:oid:1.2.3", "value": "a"}}),
    };
    json!({"meaning": meaning, "reference": reference})
}
