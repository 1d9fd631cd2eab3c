#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use evidence::{
    ids::{Hash, TreeSize},
    leaf::LEAF_BYTES,
};
use rusqlite::Connection;

use super::{Outside, check};
use crate::{
    integrate::INTEGRATED_FILE,
    store::FILE,
    testlog::{TestLog, add, addition, commitment, signer, stream},
};

/// A log of three records, 600 leaves, integrated and published.
async fn whole() -> TestLog {
    let test = TestLog::new();
    for first in [0, 200, 400] {
        let log = test.open();
        add(&log, addition(stream(1), first, 200)).await.unwrap();
        log.stop();
        log.publish().unwrap();
    }
    assert_eq!(test.differences(), Vec::<String>::new());
    test
}

fn database(test: &TestLog) -> Connection {
    Connection::open(test.log_dir().join(FILE)).unwrap()
}

#[tokio::test]
async fn one_flipped_bit_in_any_derived_file_is_found_by_name() {
    let test = whole().await;
    let mut files = Vec::new();
    collect(&test.log_dir(), &mut files);
    let files: Vec<_> = files
        .into_iter()
        .filter(|file| {
            let name = file.file_name().unwrap().to_str().unwrap();
            !name.starts_with(FILE) && name != "lock"
        })
        .collect();
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        let good = std::fs::read(&file).unwrap();
        for at in [0, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 0x04;
            std::fs::write(&file, &bad).unwrap();
            let relative = file.strip_prefix(test.log_dir()).unwrap().to_str().unwrap();
            let found = test.differences();
            // Partial tiles that a later one replaced are not compared; those of this size are.
            let superseded = relative.contains(".p/") && !relative.ends_with(".p/88") && !relative.ends_with(".p/2");
            assert!(superseded || found.iter().any(|line| line.contains(relative)), "{relative} at {at}: {found:?}");
            std::fs::write(&file, &good).unwrap();
        }
    }
    assert_eq!(test.differences(), Vec::<String>::new());
}

fn collect(dir: &std::path::Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

#[tokio::test]
async fn one_flipped_bit_in_any_column_of_a_record_is_found() {
    for (column, at) in [("root", 3), ("range", 5), ("previous", 7), ("digest", 9), ("leaves", 8000)] {
        let test = whole().await;
        let database = database(&test);
        let sql = format!("SELECT {column} FROM records WHERE size = 400");
        let mut blob: Vec<u8> = database.query_row(&sql, [], |row| row.get(0)).unwrap();
        blob[at] ^= 0x20;
        database.execute(&format!("UPDATE records SET {column} = ?1 WHERE size = 400"), [blob]).unwrap();
        let found = test.differences();
        assert!(found.iter().any(|line| line.contains("record of size 400")), "{column}: {found:?}");
    }
}

/// An insider with the database but without the log key edits a leaf and puts every derived value right again.
#[tokio::test]
async fn an_edited_leaf_is_found_however_carefully_it_was_edited() {
    let test = whole().await;
    let database = database(&test);
    let reader = crate::store::Reader::open(&test.log_dir().join(FILE)).unwrap();
    let (mut record, _) = reader.record(TreeSize::new(400)).unwrap().unwrap();
    let end = 10 * LEAF_BYTES;
    record.leaves[end - 32..end].copy_from_slice(commitment(stream(9), 1).as_bytes());
    let digest = record.digest();
    database
        .execute(
            "UPDATE records SET leaves = ?1, digest = ?2 WHERE size = 400",
            rusqlite::params![record.leaves, digest.as_bytes()],
        )
        .unwrap();
    database.execute("UPDATE records SET previous = ?1 WHERE size = 600", [digest.as_bytes()]).unwrap();
    let found = test.differences();
    assert!(found.iter().any(|line| line.contains("record of size 400: its leaves give root")), "{found:?}");
    assert!(found.iter().any(|line| line.contains("tiles/tile/entries/000")), "{found:?}");
}

#[tokio::test]
async fn a_dropped_record_is_found_wherever_it_was() {
    for size in [200, 400, 600] {
        let test = whole().await;
        database(&test).execute("DELETE FROM records WHERE size = ?1", [size]).unwrap();
        let found = test.differences();
        assert!(!found.is_empty(), "record {size}");
        if size == 600 {
            // Nothing follows the last record; what was shown of it still tells.
            assert!(found.iter().any(|line| line.starts_with(INTEGRATED_FILE)), "{found:?}");
        }
    }
}

#[tokio::test]
async fn an_index_that_lies_is_found() {
    for sql in [
        "UPDATE runs SET leaf_index = leaf_index + 1 WHERE first = 200",
        "DELETE FROM runs WHERE first = 400",
        "INSERT INTO runs SELECT source, epoch, 600, 600, 1 FROM runs WHERE first = 0",
    ] {
        let test = whole().await;
        assert!(database(&test).execute(sql, []).unwrap() > 0);
        assert!(!test.differences().is_empty(), "{sql}");
    }
}

#[tokio::test]
async fn receipts_and_the_chain_are_compared() {
    let test = whole().await;
    let log = test.open();
    let receipt = add(&log, addition(stream(1), 250, 5)).await.unwrap();
    let other = add(&log, addition(stream(1), 450, 5)).await.unwrap();
    log.stop();
    let line = |index: u64, checkpoint: &str| {
        serde_json::json!({ "first_index": index.to_string(), "size": "1", "checkpoint": checkpoint }).to_string()
    };
    let findings = |receipts: &str, chain| {
        let outside = Outside { receipts: Some(receipts), chain };
        let report = check(&test.log_dir(), &test.config.log.origin, signer().verifier(), &outside).unwrap();
        report.findings.len()
    };
    assert_eq!(findings(&line(receipt.index.get(), &receipt.head.checkpoint), None), 0);
    assert_eq!(findings(&line(receipt.index.get(), &other.head.checkpoint), None), 1);
    assert_eq!(findings(&line(601, &receipt.head.checkpoint), None), 1);
    assert_eq!(findings("{}", None), 1);
    assert_eq!(findings("", Some((other.head.size, other.head.root))), 0);
    assert_eq!(findings("", Some((other.head.size, Hash::new([1; 32])))), 1);
    assert_eq!(findings("", Some((TreeSize::new(601), other.head.root))), 1);
}
