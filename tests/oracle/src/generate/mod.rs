//! Makes cases: small pools of values that lie close to each other, so that matches are frequent and near misses too.

mod asker;
mod consent;
pub mod fault;
mod pools;
pub mod random;
mod resource;

use serde_json::{Map, Value, json};

use random::Random;

/// Case `number` under `seed`.
pub fn case(seed: u64, number: u64) -> Value {
    let random = &mut Random::of(seed, number);
    let settings = settings(random);
    let resource = resource::resource(random, &settings);
    let asker = asker::asker(random, &settings);
    let mut case = Map::new();
    let scene = consent::Scene { resource: &resource, asker: &asker };
    case.insert("consents".to_owned(), consent::rows(random, &scene));
    case.insert("caller".to_owned(), asker.caller);
    case.insert("purpose".to_owned(), asker.purposes);
    case.insert("memberships".to_owned(), asker.memberships);
    case.insert(
        "action".to_owned(),
        json!(random.text(&["read", "read", "search", "search", "create", "update", "delete"])),
    );
    case.insert("outgoing".to_owned(), resource::outgoing(random, &resource));
    case.insert("label_sets".to_owned(), label_sets(random));
    case.insert("now".to_owned(), json!(random.text(pools::NOW)));
    case.insert("resource".to_owned(), resource);
    case.insert("settings".to_owned(), settings);
    Value::Object(case)
}

fn settings(random: &mut Random) -> Value {
    let mut settings = Map::new();
    let mut set = |key: &str, value: Value| settings.insert(key.to_owned(), value);
    let none = random.weighted(&[2, 3, 4, 1]);
    let none = ["deny", "basic-normal", "all-normal", "break-glass-only"].get(none).copied();
    set("no_consent", json!(none));
    let rules = &["deny-overrides", "permit-overrides", "most-recent", "most-specific", "refuse-ambiguous"];
    set("several_consents", json!(random.text(rules)));
    set("siblings", json!(random.text(&["deny", "most-specific"])));
    set("labels", json!(random.text(&["all-labels", "any-label"])));
    set("unlabelled", json!(random.text(&["label", "label", "label", "label", "normal", "normal", "hide"])));
    set("untyped_root", json!(random.text(&["deny", "permit"])));
    set("not_understood", json!(random.text(&["deny", "ignore"])));
    set("research", json!(random.chance(50)));
    set("break_glass", json!(random.text(&["consent-decides", "overrides-consent"])));
    set("timezone", json!(random.text(&["UTC", "Etc/GMT+5", "Etc/GMT-9"])));
    if random.chance(80) {
        set("public_base", json!(pools::PUBLIC));
        set("upstream_base", json!(pools::UPSTREAM));
    }
    if random.chance(50) {
        set("label_systems", json!([pools::LOCAL_LABELS]));
    }
    Value::Object(settings)
}

fn label_sets(random: &mut Random) -> Value {
    if random.chance(40) {
        return json!({"version": "1", "sets": []});
    }
    json!({"version": "1", "sets": [
        {"sensitivity": "HIV", "system": pools::ICD, "codes": ["B20"]},
        {"sensitivity": "ETHUD", "system": pools::ICD, "codes": ["F10.-"]},
        {"sensitivity": "OPIOIDUD", "system": pools::ICD, "codes": ["F11.-"]},
        {"sensitivity": "SUD", "system": pools::RXNORM, "codes": ["6813"]},
    ]})
}

/// Adds a member where there is one to add.
fn put(members: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        members.insert(key.to_owned(), value);
    }
}
