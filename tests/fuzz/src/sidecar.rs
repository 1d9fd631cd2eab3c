//! What the sidecar reads: bodies of its write side, its configuration.

use anchor_sidecar::config::{Faults, from_text};
use anchor_sidecar::group::Addition;
use anchor_sidecar::ingest::wire;
use serde_json::{Value, json};

use crate::{Target, harvest};

/// The targets.
pub const TARGETS: &[Target] = &[
    Target { name: "sidecar-ingest", run: ingest, candidates: bodies },
    Target { name: "sidecar-config", run: config, candidates: configurations },
];

const LIMIT: usize = 1024;

/// Whatever body is accepted holds 1 to the limit of commitments, whose sequence numbers the store can hold, and reads
/// back from what it is written as.
fn ingest(data: &[u8]) -> bool {
    let batch = wire::leaves(data, LIMIT);
    let single = wire::leaf(data);
    assert!(batch.is_err() || single.is_err(), "one body is two");
    let mut taken = wire::hello(data).is_ok();
    if let Ok(addition) = batch {
        within_limits(&addition);
        let again = serde_json::to_vec(&body(&addition)).expect("JSON");
        assert_eq!(wire::leaves(&again, LIMIT).expect("what was read can be read again"), addition);
        taken = true;
    }
    if let Ok(addition) = single {
        within_limits(&addition);
        assert_eq!(addition.commitments.len(), 1);
        taken = true;
    }
    taken
}

fn within_limits(addition: &Addition) {
    assert!((1..=LIMIT).contains(&addition.commitments.len()));
    assert!(i64::try_from(addition.end()).is_ok());
    assert_eq!(addition.end() - addition.first.get(), addition.commitments.len() as u64);
}

fn body(addition: &Addition) -> Value {
    let (source, epoch) = &addition.stream;
    json!({"source": source, "epoch": epoch, "first": addition.first, "commitments": addition.commitments})
}

fn bodies() -> Vec<Vec<u8>> {
    let source = "00112233445566778899aabbccddeeff";
    let commitment = "ab".repeat(32);
    let batch = |first: &str, count: usize| json!({"source": source, "epoch": 3, "first": first, "commitments": vec![&commitment; count]});
    [
        batch("0", 1),
        batch("17", 3),
        batch("9223372036854775800", 7),
        batch("9223372036854775800", 8),
        json!({"source": source, "epoch": 4_294_967_295_u32, "sequence": "9", "commitment": commitment}),
        json!({"source": source, "epoch": 0, "sequence": "0", "commitment": commitment}),
        json!({"source": source, "epoch": 1, "last_receipt": null}),
        json!({"source": source, "epoch": 1, "last_receipt": {"index": "4", "checkpoint": "a\n1\nb\n\n"}}),
    ]
    .iter()
    .map(|body| body.to_string().into_bytes())
    .collect()
}

/// Whatever configuration is refused has a fault to name, each once, in order; the same text has the same ones.
fn config(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    match from_text(text, []) {
        Ok(_) => true,
        Err(Faults(faults)) => {
            assert!(!faults.is_empty() && faults.is_sorted());
            assert!(faults.windows(2).all(|two| two[0] != two[1]), "a fault is told twice");
            let Err(Faults(again)) = from_text(text, []) else { panic!("refused, then taken") };
            assert_eq!(again, faults);
            false
        }
    }
}

fn configurations() -> Vec<Vec<u8>> {
    let whole = include_str!("../../../anchor-sidecar/config.example.toml");
    let plain: Vec<&str> = harvest::rows(whole).collect();
    let section = |name: &str| {
        let start = plain.iter().position(|line| *line == name).unwrap_or_default();
        let rest = plain[start + 1..].iter().take_while(|line| !line.starts_with('['));
        std::iter::once(&plain[start]).chain(rest).copied().collect::<Vec<&str>>().join("\n")
    };
    let least = [section("[log]"), section("[ingest]"), section("[public]")].join("\n");
    let texts = [
        whole.to_owned(),
        plain.join("\n"),
        least.clone(),
        format!("{least}\n{}", section("[anchor]")),
        format!("{least}\n{}", section("[telemetry]")),
        format!("{least}\n{}", section("[limits]")),
        least.replace("socket =", "listen ="),
    ];
    texts.map(String::into_bytes).to_vec()
}
