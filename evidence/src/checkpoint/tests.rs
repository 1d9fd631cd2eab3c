#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use super::*;
use crate::merkle::empty_root;
use crate::note::KeyKind;

fn key(name: &str, kind: KeyKind, seed: u8) -> NoteSigner {
    NoteSigner::from_seed(name, kind, &[seed; 32]).unwrap()
}

fn origin() -> Origin {
    "log.example/a".parse().unwrap()
}

fn head() -> Checkpoint {
    Checkpoint { origin: origin(), size: TreeSize::new(0), root: empty_root() }
}

#[test]
fn the_text_has_three_lines() {
    assert_eq!(head().to_string(), "log.example/a\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n");
    assert_eq!(head().to_string().parse(), Ok(head()));
}

#[test]
fn other_texts_are_refused() {
    let good = head().to_string();
    for wrong in [
        String::new(),
        good.trim_end().to_owned(),
        format!("{good}extension\n"),
        format!("{good}\n"),
        good.replace("\n0\n", "\n00\n"),
        good.replace("\n0\n", "\n-0\n"),
        good.replace("\n0\n", "\n\n"),
        good.replace("log.example/a", ""),
        good.replace("log.example/a", "log example"),
        good.replace('=', ""),
        good.replace("FU=", "FV="),
        good.replace("47DE", ""),
    ] {
        assert!(wrong.parse::<Checkpoint>().is_err(), "{wrong:?}");
    }
}

#[test]
fn a_checkpoint_opens_with_the_keys_that_are_known() {
    let (log, witness) = (key("log.example/a", KeyKind::Ed25519, 1), key("w", KeyKind::CosignatureV1, 2));
    let mut note = head().sign(&log).unwrap();
    note.cosign(&witness, 7).unwrap();
    let witnesses = [witness.verifier().clone()];
    let opened = Checkpoint::open(&note.to_string(), &origin(), log.verifier(), &witnesses).unwrap();
    assert_eq!(opened.checkpoint, head());
    assert_eq!(opened.signatures.len(), 2);
}

#[test]
fn a_checkpoint_that_only_a_witness_signed_is_not_the_logs() {
    let (log, witness) = (key("log.example/a", KeyKind::Ed25519, 1), key("w", KeyKind::CosignatureV1, 2));
    let mut note = Note::new(head().to_string()).unwrap();
    note.cosign(&witness, 7).unwrap();
    let witnesses = [witness.verifier().clone()];
    let opened = Checkpoint::open(&note.to_string(), &origin(), log.verifier(), &witnesses);
    assert_eq!(opened, Err(CheckpointError::NotByLog));
}

#[test]
fn a_checkpoint_of_another_log_is_refused_though_the_key_is_the_same() {
    let log = key("log.example/a", KeyKind::Ed25519, 1);
    let note = Checkpoint { origin: "log.example/b".parse().unwrap(), ..head() }.sign(&log).unwrap();
    let opened = Checkpoint::open(&note.to_string(), &origin(), log.verifier(), &[]);
    assert!(matches!(opened, Err(CheckpointError::Origin { .. })));
}
