//! Callers, their purposes, and what they belong to.

use serde_json::{Map, Value, json};

use super::pools::{ACT_REASON, ACTORS, ELSEWHERE, IDENTIFIERS, OTHER, PAST, PURPOSES, STARTS, UPSTREAM};
use super::put;
use super::random::Random;

/// Who asks, in the form of a scenario.
pub(super) struct Asker {
    pub(super) caller: Value,
    pub(super) purposes: Value,
    pub(super) memberships: Value,
}

pub(super) fn asker(random: &mut Random, settings: &Value) -> Asker {
    let mut caller = Map::new();
    let based = settings.get("upstream_base").is_some();
    if random.chance(70) {
        let user = random.text(&[
            "Practitioner/d1",
            "Practitioner/d1",
            "Practitioner/d1",
            "Practitioner/d2",
            "Patient/p1",
            "Patient/p2",
            "RelatedPerson/x1",
        ]);
        let user = if based && random.chance(15) { format!("{UPSTREAM}/{user}") } else { user.to_owned() };
        caller.insert("fhir_user".to_owned(), json!(user));
    }
    put(
        &mut caller,
        "organization",
        random
            .chance(35)
            .then(|| json!(random.text(&["Organization/o1", "Organization/o2", "urn:oid:1.2.3|o1", "|o1"]))),
    );
    let mut actors = Vec::new();
    if random.chance(25) {
        actors.push(json!(random.text(ACTORS)));
    }
    if random.chance(15) {
        actors.push(json!(random.text(IDENTIFIERS)));
    }
    if random.chance(4) {
        actors.push(json!(format!("{ELSEWHERE}/Practitioner/d1")));
    }
    caller.insert("actors".to_owned(), json!(actors));
    put(&mut caller, "roles", random.chance(6).then(|| json!(["consent-recorder"])));
    let grants: &[&str] = match random.weighted(&[76, 18, 6]) {
        0 => &[],
        1 => &["Patient/p1"],
        _ => &["Patient/p1", "Patient/p2"],
    };
    caller.insert("break_glass".to_owned(), json!(grants));
    Asker { caller: Value::Object(caller), purposes: purposes(random), memberships: memberships(random) }
}

fn purposes(random: &mut Random) -> Value {
    let count = random.weighted(&[10, 72, 13, 5]);
    let purposes = (0..count).map(|_| match random.weighted(&[93, 2, 2, 3]) {
        0 => json!(random.text(PURPOSES)),
        1 => json!({"system": OTHER, "code": "FooBar"}),
        2 => json!({"code": "TREAT"}),
        _ => json!({"system": ACT_REASON, "code": "NOSUCH"}),
    });
    Value::Array(purposes.collect())
}

/// Who belongs to whom: Practitioner → PractitionerRole → Organization (`partOf`) → CareTeam → Group, with a cycle.
const EDGES: &[(&str, &str)] = &[
    ("Practitioner/d1", "PractitionerRole/r1"),
    ("PractitionerRole/r1", "Organization/o1"),
    ("PractitionerRole/r1", "Practitioner/d1"),
    ("Organization/o1", "Organization/o2"),
    ("Organization/o2", "Organization/o3"),
    ("Practitioner/d1", "CareTeam/c1"),
    ("Organization/o1", "CareTeam/c1"),
    ("PractitionerRole/r1", "Group/g1"),
    ("Practitioner/d1", "Group/g1"),
    ("CareTeam/c1", "Group/g1"),
    ("Group/g1", "CareTeam/c1"),
    ("RelatedPerson/x1", "Group/g1"),
    ("Patient/p1", "Group/g1"),
];

fn memberships(random: &mut Random) -> Value {
    let mut edges = Vec::new();
    for (member, of) in EDGES {
        if !random.chance(35) {
            continue;
        }
        let mut edge = Map::new();
        let member = if random.chance(5) { format!("{member}/_history/1") } else { (*member).to_owned() };
        edge.insert("member".to_owned(), json!(member));
        edge.insert("of".to_owned(), json!(of));
        put(&mut edge, "active", random.chance(30).then(|| json!(random.chance(60))));
        put(&mut edge, "start", random.chance(12).then(|| json!(random.text(STARTS))));
        put(&mut edge, "end", random.chance(12).then(|| json!(random.text(PAST))));
        if random.chance(2) {
            edge.insert("end".to_owned(), json!("some day"));
        }
        edges.push(Value::Object(edge));
    }
    let mut identities = Vec::new();
    let bearers = [
        ("Practitioner/d1", "http://hl7.org/fhir/sid/us-npi|1"),
        ("Organization/o1", "urn:oid:1.2.3|o1"),
        ("Practitioner/d2", "http://hl7.org/fhir/sid/us-npi|2"),
    ];
    for (reference, identifier) in bearers {
        if random.chance(50) {
            identities.push(json!({"reference": reference, "identifiers": [identifier]}));
        }
    }
    json!({"resolved": random.chance(85), "edges": edges, "identities": identities})
}
