//! event.json, commitment.json and leaf.json.

use evidence::commitment::{commit, salt};
use evidence::event::{
    AccessEvent, AuditRead, Counts, Denial, End, EpochClosed, Erasure, EventBody, Heartbeat, HeartbeatCounters,
    Outcome, PolicyChange, Review, Start, Stop, Unauthenticated, Universal, UniversalUse,
};
use evidence::ids::{Commitment, Epoch, EventId, Hash, Salt, Sequence, SourceId, TenantId};
use evidence::leaf::Leaf;
use serde_json::{Value, json};

use crate::{cases, held, kit, parsed, text};

fn every_kind() -> Vec<AccessEvent> {
    let request = kit::request_event().id;
    let counts = Counts { entries: 600, disclosed: 512, redactions: 0, bytes: 18_446_744_073_709_551_615 };
    let bodies = [
        EventBody::Outcome(Outcome { request, end: End::ClientGone, status: Some(200), windows: 2, counts }),
        EventBody::Denial(Denial {
            request,
            window: 0,
            patient: "Patient/lena".parse().unwrap(),
            resources: 3,
            rule: "consent-deny".to_owned(),
            consents: Vec::new(),
        }),
        EventBody::Unauthenticated(Unauthenticated {
            minute: kit::at("2026-11-22T16:20:00.000Z"),
            reasons: [("token-expired".to_owned(), 12), ("no-token".to_owned(), 3)].into(),
        }),
        EventBody::Start(Start {
            version: "0.1.0".to_owned(),
            image_digest: None,
            config_digest: Hash::new([0x33; 32]),
            policy_digest: Hash::new([0x22; 32]),
            clock_offset_ms: Some(-12),
        }),
        EventBody::Stop(Stop {}),
        EventBody::Heartbeat(Heartbeat {
            counters: HeartbeatCounters { requests: 7, permits: 6, refusals: 1, ..Default::default() },
        }),
        EventBody::PolicyChange(PolicyChange {
            policy_digest: Hash::new([0x23; 32]),
            previous: Some(Hash::new([0x22; 32])),
            by: None,
        }),
        EventBody::AuditRead(AuditRead {
            by: "auditor".to_owned(),
            what: "openings".to_owned(),
            request: Some(request),
        }),
        EventBody::Erasure(Erasure { by: "dpo".to_owned(), basis: "gdpr-17".to_owned(), events: 12 }),
        EventBody::Review(Review {
            by: "officer".to_owned(),
            from: kit::at("2026-11-01T00:00:00.000Z"),
            to: kit::at("2026-11-22T00:00:00.000Z"),
            finding: "none — Überprüfung \u{1F512}".to_owned(),
        }),
        EventBody::EpochClosed(EpochClosed { source: SourceId::new([0x11; 16]), epoch: Epoch::new(1), events: 42 }),
        EventBody::Universal(Universal {
            request,
            window: 1,
            resources: vec![UniversalUse { reference: "Practitioner/weber".parse().unwrap(), version: None }],
        }),
    ];
    let others = bodies.into_iter().zip(1..).map(|(body, n)| AccessEvent {
        id: kit::event_id(n),
        at: kit::at("2026-11-22T16:21:00.000Z"),
        body,
    });
    [kit::request_event(), kit::disclosure_event()].into_iter().chain(others).collect()
}

fn canonical(event: &AccessEvent) -> String {
    String::from_utf8(event.canonical_bytes().unwrap()).unwrap()
}

#[test]
fn event() {
    let stop = r#"{"at":"2026-11-22T16:21:00.000Z","id":"05050505-0505-0505-0505-050505050505","kind":"stop","v":1}"#;
    let refused = [
        ("another order", stop.replace(r#","v":1"#, "").replace("{\"at", "{\"v\":1,\"at")),
        ("white space", stop.replace(',', ", ")),
        ("a newline at the end", format!("{stop}\n")),
        ("an escape that is not needed", stop.replace("stop", "\\u0073top")),
        ("a repeated key", stop.replace("\"v\":1", "\"v\":1,\"v\":1")),
        ("an unknown version", stop.replace("\"v\":1", "\"v\":2")),
        ("a version as a string", stop.replace("\"v\":1", "\"v\":\"1\"")),
        ("an unknown kind", stop.replace("stop", "pause")),
        ("an unknown member", stop.replace(",\"v\"", ",\"note\":\"\",\"v\"")),
        ("a missing member", stop.replace(",\"v\":1", "")),
        ("a time without milliseconds", stop.replace(".000Z", "Z")),
        ("a time in another zone", stop.replace(".000Z", ".000+00:00")),
        ("an upper-case id", stop.replace("05050505-", "0505050A-")),
        ("a second event", format!("{stop}{stop}")),
        ("an empty list", {
            let denial = every_kind().into_iter().find(|event| event.kind() == "denial").unwrap();
            canonical(&denial).replace("\"id\"", "\"consents\":[],\"id\"")
        }),
        ("a 64-bit integer as a number", {
            let erasure = every_kind().into_iter().find(|event| event.kind() == "erasure").unwrap();
            canonical(&erasure).replace("\"events\":\"12\"", "\"events\":12")
        }),
        (
            "a patient in a request",
            canonical(&kit::request_event()).replace("\"phase\"", "\"patient\":\"Patient/lena\",\"phase\""),
        ),
    ];
    let made = json!({
        "description": "Access events in their canonical form, and texts that are none. docs/spec/event.md",
        "events": every_kind().iter().map(|event| json!({"kind": event.kind(), "canonical": canonical(event)})).collect::<Vec<_>>(),
        "refused": refused.iter().map(|(why, text)| json!({"why": why, "text": text})).collect::<Vec<_>>(),
    });
    let file = held("event.json", &made);
    for case in cases(&file, "events") {
        let bytes = text(case, "canonical").as_bytes();
        let event = AccessEvent::from_canonical(bytes).unwrap();
        assert_eq!(event.kind(), text(case, "kind"));
        assert_eq!(event.canonical_bytes().unwrap(), bytes);
    }
    assert_eq!(cases(&file, "events").len(), 14);
    for case in cases(&file, "refused") {
        assert!(AccessEvent::from_canonical(text(case, "text").as_bytes()).is_err(), "{case}");
    }
}

#[test]
fn commitment() {
    let case = |name: &str, tenant: &str, committed: &kit::Committed| {
        let tenant: TenantId = tenant.parse().unwrap();
        let event = canonical(&committed.event);
        json!({
            "name": name, "tenant": tenant, "salt_key": hex::encode(committed.salt_key), "event_id": committed.event.id,
            "salt": committed.salt, "event": event, "commitment": commit(&tenant, &committed.salt, event.as_bytes()),
        })
    };
    let [request, disclosure] = kit::records();
    let mutation = |name: &str, tenant: &str, salt: Salt, event: String| json!({"name": name, "of": "request", "tenant": tenant, "salt": salt, "event": event});
    let event = canonical(&request.event);
    let mut salt_bytes = *request.salt.as_bytes();
    salt_bytes[31] ^= 1;
    let made = json!({
        "description": "Salts and commitments, and changes that must give another commitment. docs/spec/commitment.md",
        "commitments": [case("request", "hospital-a", &request), case("disclosure", "hospital-a", &disclosure)],
        "mutations": [
            mutation("another tenant", "hospital-b", request.salt, event.clone()),
            mutation("one bit of the salt", "hospital-a", Salt::new(salt_bytes), event.clone()),
            mutation("another caller", "hospital-a", request.salt, event.replace("dr-weber", "dr-wolff")),
            mutation("another time", "hospital-a", request.salt, event.replace(".123Z", ".124Z")),
            mutation("a byte moved from the tenant to the event", "hospital-", request.salt, format!("a{event}")),
        ],
    });
    let file = held("commitment.json", &made);
    for case in cases(&file, "commitments") {
        let key: [u8; 32] = hex::decode(text(case, "salt_key")).unwrap().try_into().unwrap();
        let derived = salt(&key, parsed::<EventId>(case, "event_id"));
        assert_eq!(derived, parsed(case, "salt"));
        let computed = commit(&parsed(case, "tenant"), &derived, text(case, "event").as_bytes());
        assert_eq!(computed, parsed(case, "commitment"));
    }
    for case in cases(&file, "mutations") {
        let of = cases(&file, "commitments").iter().find(|whole| whole["name"] == case["of"]).unwrap();
        let computed = commit(&parsed(case, "tenant"), &parsed(case, "salt"), text(case, "event").as_bytes());
        assert_ne!(computed, parsed::<Commitment>(of, "commitment"), "{case}");
    }
}

#[test]
fn leaf() {
    let leaves = [
        kit::leaf(0),
        kit::leaf(kit::REQUEST_PLACE),
        Leaf {
            source: SourceId::new([0xff; 16]),
            epoch: Epoch::new(u32::MAX),
            sequence: Sequence::new(u64::MAX),
            commitment: Commitment::new([0xff; 32]),
        },
    ];
    let good = kit::leaf(0).to_string();
    let refused = [
        ("version 0", format!("00{}", &good[2..])),
        ("version 2", format!("02{}", &good[2..])),
        ("algorithm 0", format!("0100{}", &good[4..])),
        ("one byte less", good[..122].to_owned()),
        ("one byte more", format!("{good}00")),
        ("upper case", good.to_uppercase()),
        ("nothing", String::new()),
    ];
    let made = json!({
        "description": "Leaves and their hashes, and texts that are none. docs/spec/log.md",
        "leaves": leaves.iter().map(|leaf| json!({
            "source": leaf.source, "epoch": leaf.epoch, "sequence": leaf.sequence, "commitment": leaf.commitment,
            "leaf": leaf, "hash": leaf.hash(),
        })).collect::<Vec<Value>>(),
        "refused": refused.iter().map(|(why, text)| json!({"why": why, "leaf": text})).collect::<Vec<_>>(),
    });
    let file = held("leaf.json", &made);
    for case in cases(&file, "leaves") {
        let leaf: Leaf = parsed(case, "leaf");
        let parts = Leaf {
            source: parsed(case, "source"),
            epoch: parsed(case, "epoch"),
            sequence: parsed(case, "sequence"),
            commitment: parsed(case, "commitment"),
        };
        assert_eq!((leaf, leaf.hash()), (parts, parsed(case, "hash")));
    }
    for case in cases(&file, "refused") {
        assert!(text(case, "leaf").parse::<Leaf>().is_err(), "{case}");
    }
}
