#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use serde_json::json;

use super::*;
use crate::bundle::Record;
use crate::checkpoint::Checkpoint;
use crate::commitment::commit;
use crate::ids::{ChainId, LeafIndex, Salt, TreeSize};
use crate::leaf::Leaf;
use crate::note::{KeyKind, NoteSigner};

fn verdicts() -> [Verdict; 4] {
    [
        Verdict::Verified,
        Verdict::Waiting(Waiting::Anchor { expected_by: None }),
        Verdict::missing(Missing::Chains),
        Verdict::differs(Difference::Slots),
    ]
}

#[test]
fn the_whole_is_as_good_as_its_worst_part() {
    let rank = |verdict: &Verdict| verdicts().iter().position(|other| other.name() == verdict.name()).unwrap();
    for one in verdicts() {
        for other in verdicts() {
            let worst = rank(&one).max(rank(&other));
            assert_eq!(rank(&Verdict::all([one.clone(), other.clone()])), worst, "{one} {other}");
        }
    }
    assert_eq!(Verdict::all([]), Verdict::Verified);
}

#[test]
fn one_good_way_is_enough_unless_another_differs() {
    // Best to worst where several ways lead to the same answer.
    let [verified, waiting, missing, differs] = verdicts();
    let ways = [missing, waiting, verified, differs];
    let rank = |verdict: &Verdict| ways.iter().position(|other| other.name() == verdict.name()).unwrap();
    for one in &ways {
        for other in &ways {
            let any = Verdict::any([one.clone(), other.clone()]);
            assert_eq!(rank(&any), rank(one).max(rank(other)), "{one} {other}");
        }
    }
    assert_eq!(Verdict::any([]), Verdict::CannotCheck(Vec::new()));
}

#[test]
fn exit_codes_and_words_are_those_of_the_commands() {
    let told: Vec<(u8, &str, String)> =
        verdicts().iter().map(|verdict| (verdict.exit_code(), verdict.name(), verdict.to_string())).collect();
    assert_eq!(told[0], (0, "verified", "Verified".to_owned()));
    assert_eq!(told[1], (2, "waiting", "Waiting for anchor".to_owned()));
    assert_eq!(told[2], (3, "cannot-check", "Cannot check".to_owned()));
    assert_eq!(told[3], (1, "not-verified", "NOT verified".to_owned()));
}

/// A log of one leaf that commits to any JSON, and the report about it.
fn report_on(event: serde_json::Value) -> Report {
    let signer = NoteSigner::from_seed("log.example", KeyKind::Ed25519, &[1; 32]).unwrap();
    let (tenant, salt) = ("t".parse().unwrap(), Salt::new([3; 32]));
    let commitment = commit(&tenant, &salt, &crate::canonical::to_canonical(&event).unwrap());
    let leaf = Leaf { source: [1; 16].into(), epoch: 0.into(), sequence: 0.into(), commitment };
    let head = Checkpoint { origin: "log.example".parse().unwrap(), size: TreeSize::new(1), root: leaf.hash() };
    let note = head.sign(&signer).unwrap().to_string();
    let record = Record { event: Some(event), salt: Some(salt), leaf, index: LeafIndex::new(0), inclusion: Vec::new() };
    let bundle = ProofBundle::new(Some(tenant), vec![record], note);
    let mut trust = TrustFile::new(head.origin, signer.verifier().clone());
    trust.chains =
        vec![crate::trust::ChainTrust { chain_id: ChainId::new(1), contract: None, code_hash: None, log_id: None }];
    verify(&bundle, &trust, &BlockTrust::none())
}

#[test]
fn an_unchanged_event_that_cannot_be_read_is_not_called_changed() {
    let report = report_on(json!({"v": 2, "kind": "of-the-future"}));
    assert_eq!(report.content, Verdict::missing(Missing::EventVersion { index: LeafIndex::new(0) }));
    assert_eq!(report.logged, Verdict::Verified);
    assert_eq!(report.verdict.exit_code(), 3);
    // Readable, but nothing that a gateway of this version writes: event.md, Form 3.
    let with_null = json!({"v": 1, "kind": "policy-change", "id": "01010101-0101-0101-0101-010101010101",
        "at": "2026-11-22T16:20:00.123Z", "policy_digest": "22".repeat(32), "by": null});
    assert_eq!(report_on(with_null).content, report.content);
}

#[test]
fn a_report_reads_as_sentences_and_as_json() {
    let stop =
        json!({"v": 1, "kind": "stop", "id": "01010101-0101-0101-0101-010101010101", "at": "2026-11-22T16:20:00.123Z"});
    let report = report_on(stop);
    assert_eq!(
        report.to_string(),
        concat!(
            "Waiting for anchor\n\n",
            "Record at place 0: stop event 01010101-0101-0101-0101-010101010101, recorded at 2026-11-22T16:20:00.123Z\n",
            "  Verified: content is unchanged\n",
            "  Verified: is in the log log.example, size 1\n\n",
            "Anchors\n",
            "  Waiting for anchor: the log is anchored\n",
            "    no anchor covers the checkpoint yet\n\n",
            "Believed: the key of the log log.example, no witness.\n",
        )
    );
    let value = serde_json::to_value(&report).unwrap();
    assert_eq!(
        value["verdict"],
        json!({"verdict": "waiting", "waiting_for": [{"code": "anchor", "message": "no anchor covers the checkpoint yet"}]})
    );
    assert_eq!(value["records"][0]["event"]["kind"], "stop");
    assert_eq!(value["records"][0]["index"], "0");
}
