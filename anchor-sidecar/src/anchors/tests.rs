#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use evidence::ids::TreeSize;
use tempfile::TempDir;

use super::{AnchorFileError, Anchors};

/// An anchor file as the sender writes it; proofs are of no account here.
fn write(dir: &TempDir, seq: u64, size: u64) {
    let hash = "00".repeat(32);
    let text = serde_json::json!({
        "chain_id": "1", "contract": format!("0x{}", "00".repeat(20)), "code_hash": hash, "log_id": hash,
        "seq": seq.to_string(), "size": size.to_string(), "root": hash, "block_number": "5", "block_hash": hash,
        "header_rlp": "00", "account_proof": [], "storage_proofs": [],
    });
    let anchors = dir.path().join(super::DIR);
    std::fs::create_dir_all(&anchors).unwrap();
    std::fs::write(anchors.join(format!("{seq}.json")), text.to_string()).unwrap();
}

#[test]
fn the_first_anchor_that_covers_is_found() {
    let dir = TempDir::new().unwrap();
    let anchors = Anchors::of_log(dir.path());
    assert!(anchors.covering(TreeSize::new(1)).unwrap().is_none());
    assert!(anchors.newest().unwrap().is_none());
    // Anchor 3 was never final here; 4 and 5 are of equal size (idle).
    for (seq, size) in [(1, 10), (2, 25), (4, 30), (5, 30), (11, 31)] {
        write(&dir, seq, size);
    }
    std::fs::write(dir.path().join("anchors/7.json.tmp"), "half").unwrap();
    let found = |size| anchors.covering(TreeSize::new(size)).unwrap().map(|anchor| anchor.seq);
    for (size, seq) in [(1, 1), (10, 1), (11, 2), (25, 2), (26, 4), (30, 4), (31, 11)] {
        assert_eq!(found(size), Some(seq), "size {size}");
    }
    assert_eq!(found(32), None);
    assert_eq!(anchors.newest().unwrap().unwrap().seq, 11);
}

#[test]
fn a_damaged_anchor_is_an_error() {
    let dir = TempDir::new().unwrap();
    write(&dir, 1, 10);
    std::fs::write(dir.path().join("anchors/1.json"), "{}").unwrap();
    let read = Anchors::of_log(dir.path()).read(1);
    assert!(matches!(read, Err(AnchorFileError::Damaged { .. })));
}
