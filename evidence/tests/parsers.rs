//! Every parser under random edits of good texts: nothing falls, and what is accepted writes back as it was.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use evidence::bundle::{AnchorLink, ProofBundle};
use evidence::canonical::{parse_strict, to_canonical};
use evidence::checkpoint::Checkpoint;
use evidence::event::AccessEvent;
use evidence::leaf::Leaf;
use evidence::merkle::tile::TilePath;
use evidence::note::{Note, NoteVerifier};
use evidence::trust::TrustFile;
use evidence::verify::{BlockTrust, verify};
use proptest::prelude::*;
use proptest::sample::Index;

#[allow(dead_code, reason = "shared between tests, none of which uses all of it")]
mod kit;

/// One edit: a bit flipped, bytes cut out, or bytes copied to another place.
#[derive(Debug, Clone)]
enum Edit {
    Flip(Index, u8),
    Cut(Index, usize),
    Copy(Index, usize, Index),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        (any::<Index>(), 0_u8..8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        (any::<Index>(), 1_usize..16).prop_map(|(at, length)| Edit::Cut(at, length)),
        (any::<Index>(), 1_usize..16, any::<Index>()).prop_map(|(at, length, to)| Edit::Copy(at, length, to)),
    ];
    prop::collection::vec(edit, 0..4)
}

fn edited(good: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for edit in edits {
        if bytes.is_empty() {
            break;
        }
        match edit {
            Edit::Flip(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Edit::Cut(at, length) => {
                let at = at.index(bytes.len());
                bytes.drain(at..(at + length).min(bytes.len()));
            }
            Edit::Copy(at, length, to) => {
                let at = at.index(bytes.len());
                let copied = bytes[at..(at + length).min(bytes.len())].to_vec();
                let to = to.index(bytes.len());
                bytes.splice(to..to, copied);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn events(edits in edits(), which in any::<bool>()) {
        let event = if which { kit::request_event() } else { kit::disclosure_event() };
        let bytes = edited(&event.canonical_bytes().unwrap(), &edits);
        if let Ok(event) = AccessEvent::from_canonical(&bytes) {
            prop_assert_eq!(event.canonical_bytes().unwrap(), bytes);
        }
    }

    #[test]
    fn json(edits in edits()) {
        let bytes = edited(&kit::request_event().canonical_bytes().unwrap(), &edits);
        if let Ok(value) = parse_strict(&bytes) {
            let canonical = to_canonical(&value).unwrap();
            prop_assert_eq!(parse_strict(&canonical).unwrap(), value);
        }
    }

    #[test]
    fn notes_and_checkpoints(edits in edits()) {
        let Ok(text) = String::from_utf8(edited(kit::checkpoint_note().as_bytes(), &edits)) else { return Ok(()) };
        if let Ok(note) = Note::parse(&text) {
            prop_assert_eq!(note.to_string(), text.clone());
            if let Ok(checkpoint) = note.text().parse::<Checkpoint>() {
                prop_assert_eq!(checkpoint.to_string(), note.text());
            }
        }
        let witnesses = [kit::witness(1).verifier().clone(), kit::witness(2).verifier().clone()];
        if let Ok(opened) = Checkpoint::open(&text, &kit::origin(), kit::log_key().verifier(), &witnesses) {
            prop_assert_eq!(opened.checkpoint.size.get(), kit::CHECKPOINT_SIZE);
        }
    }

    #[test]
    fn small_texts(edits in edits()) {
        let leaf = edited(kit::leaf(3).to_string().as_bytes(), &edits);
        if let Ok(text) = String::from_utf8(leaf) && let Ok(leaf) = text.parse::<Leaf>() {
            prop_assert_eq!(leaf.to_string(), text);
        }
        let path = edited(b"tile/3/x001/x234/067.p/25", &edits);
        if let Ok(text) = String::from_utf8(path) && let Ok(path) = text.parse::<TilePath>() {
            prop_assert_eq!(path.to_string(), text);
        }
        let key = edited(kit::log_key().verifier().to_string().as_bytes(), &edits);
        if let Ok(text) = String::from_utf8(key) && let Ok(key) = text.parse::<NoteVerifier>() {
            prop_assert_eq!(key.to_string(), text);
        }
    }

    #[test]
    fn trust_files(edits in edits()) {
        let bytes = edited(kit::trust().to_json().unwrap().as_bytes(), &edits);
        if let Ok(trust) = TrustFile::parse(&bytes) {
            prop_assert_eq!(TrustFile::parse(trust.to_json().unwrap().as_bytes()).unwrap(), trust);
        }
    }
}

/// No edit of a bundle makes the verifier fall, and none passes but those that change nothing that is claimed, or that
/// turn one of several anchors into a claim about a chain that is not pinned: that one counts for nothing.
#[test]
fn an_edited_bundle_never_verifies() {
    let (bundle, trust, blocks) = (kit::bundle(), kit::trust(), kit::blocks());
    assert_eq!(verify(&bundle, &trust, &blocks).verdict.exit_code(), 0);
    assert_ne!(verify(&bundle, &trust, &BlockTrust::none()).verdict.exit_code(), 0);
    // What the transaction was is information only; the verifier cannot and does not check it.
    let mut claimed = bundle.clone();
    claimed.anchors.iter_mut().for_each(|link| link.anchor.transaction = None);
    let good = claimed.to_canonical().unwrap();
    let config = ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner
        .run(&edits(), |edits| {
            let bytes = edited(&good, &edits);
            if let Ok(read) = ProofBundle::parse(&bytes) {
                prop_assert_eq!(read.to_canonical().unwrap(), bytes.strip_suffix(b"\n").unwrap_or(&bytes));
                let report = verify(&read, &trust, &blocks);
                let pinned =
                    |link: &AnchorLink| trust.chains.iter().any(|chain| chain.chain_id == link.anchor.chain_id);
                let same = |link: &AnchorLink| claimed.anchors.contains(link);
                let anchors = read.anchors.iter().any(same) && read.anchors.iter().all(|l| same(l) || !pinned(l));
                let mut rest = read.clone();
                rest.anchors.clone_from(&claimed.anchors);
                let unchanged = rest == claimed && anchors;
                prop_assert!(unchanged || report.verdict.exit_code() != 0, "{}", report);
            }
            Ok(())
        })
        .unwrap();
}
