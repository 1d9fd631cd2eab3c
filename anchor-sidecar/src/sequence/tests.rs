#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::time::Duration;

use evidence::ids::Sequence;

use super::AddError;
use crate::{
    compare::Claim,
    group::Refused,
    log::LogError,
    testlog::{TestLog, add, addition, assert_proves, commitment, stream},
};

#[tokio::test]
async fn repetition_gives_the_very_same_receipt_also_after_a_restart() {
    let test = TestLog::new();
    let log = test.open();
    let mut given = Vec::new();
    for first in [0, 3, 10] {
        let asked = addition(stream(1), first, if first == 0 { 3 } else { 7 });
        let receipt = add(&log, asked.clone()).await.unwrap();
        assert_eq!(receipt.count, asked.end() - first);
        assert_proves(&log, &receipt, &asked);
        given.push((asked, receipt));
    }
    for _ in 0..2 {
        let log = if log.sequencer().is_some() { &log } else { unreachable!() };
        for (asked, receipt) in &given {
            let again = add(log, asked.clone()).await.unwrap();
            assert_eq!((again.index, again.count, &again.head), (receipt.index, receipt.count, &receipt.head));
        }
    }
    log.stop();
    drop(log);
    let log = test.open();
    for (asked, receipt) in &given {
        let again = add(&log, asked.clone()).await.unwrap();
        assert_eq!((again.index, again.count, &again.head), (receipt.index, receipt.count, &receipt.head));
        assert_proves(&log, &again, asked);
    }
    log.stop();
    assert_eq!(test.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn another_commitment_is_a_conflict_and_changes_nothing() {
    let test = TestLog::new();
    let log = test.open();
    add(&log, addition(stream(1), 0, 4)).await.unwrap();
    let mut other = addition(stream(1), 0, 4);
    other.commitments[2] = commitment(stream(9), 9);
    let refused = AddError::Refused(Refused::CommitmentDiffers { sequence: Sequence::new(2) });
    assert_eq!(add(&log, other).await.unwrap_err(), refused);
    assert_eq!(log.nodes.size().get(), 4);
    log.stop();
    assert_eq!(test.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn what_comes_early_waits_for_what_is_missing() {
    let test = TestLog::new();
    let log = test.open();
    let late = {
        let log = std::sync::Arc::clone(&log);
        tokio::spawn(async move { add(&log, addition(stream(1), 5, 5)).await })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    let first = add(&log, addition(stream(1), 0, 5)).await.unwrap();
    let second = late.await.unwrap().unwrap();
    assert_eq!((first.index.get(), second.index.get()), (0, 5));
    log.stop();
}

#[tokio::test]
async fn what_stays_missing_is_a_gap() {
    let test = TestLog::new();
    let log = test.open();
    add(&log, addition(stream(1), 0, 2)).await.unwrap();
    let refused = AddError::Refused(Refused::SequenceGap { expected: Sequence::new(2) });
    assert_eq!(add(&log, addition(stream(1), 7, 1)).await.unwrap_err(), refused);
    log.stop();
}

#[tokio::test]
async fn many_writers_at_once_leave_a_whole_log() {
    let test = TestLog::new();
    let log = test.open();
    let mut writers = Vec::new();
    for source in 0..16 {
        let log = std::sync::Arc::clone(&log);
        writers.push(tokio::spawn(async move {
            for first in (0..200).step_by(5) {
                let asked = addition(stream(source), first, 5);
                let receipt = add(&log, asked.clone()).await.unwrap();
                assert_proves(&log, &receipt, &asked);
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(log.nodes.size().get(), 16 * 200);
    log.stop();
    assert_eq!(test.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn nothing_is_sequenced_before_the_comparison() {
    let test = TestLog::new();
    let (log, _fatals) = test.open_idle().unwrap();
    assert!(log.sequencer().is_none());
    log.hear(&Claim::NoReceipts).unwrap();
    assert!(log.sequencer().is_some());
    log.stop();
}

#[tokio::test]
async fn two_writers_on_one_volume_cannot_be() {
    let test = TestLog::new();
    let log = test.open();
    assert!(matches!(test.open_idle(), Err(LogError::Volume(_))));
    log.stop();
}

#[tokio::test]
async fn a_writer_that_was_taken_over_stops_itself() {
    let test = TestLog::new();
    let (log, mut fatals) = test.open_idle().unwrap();
    log.hear(&Claim::NoReceipts).unwrap();
    add(&log, addition(stream(1), 0, 1)).await.unwrap();
    // As if the lock had failed (another machine, a copied mount): a second one takes the lease.
    let key = crate::testlog::signer().verifier().to_string();
    crate::store::Store::open(&test.log_dir(), &test.config.log.origin, &key).unwrap();
    assert_eq!(add(&log, addition(stream(1), 1, 1)).await.unwrap_err(), AddError::Stopping);
    assert!(fatals.recv().await.unwrap().contains("taken over"));
    assert_eq!(test.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_restored_old_volume_is_refused_by_a_sources_receipt() {
    let test = TestLog::new();
    let log = test.open();
    add(&log, addition(stream(1), 0, 3)).await.unwrap();
    log.stop();
    drop(log);
    let old = tempfile::TempDir::new().unwrap();
    copy(&test.log_dir(), old.path());

    let log = test.open();
    let receipt = add(&log, addition(stream(1), 3, 3)).await.unwrap();
    log.stop();
    drop(log);
    std::fs::remove_dir_all(test.log_dir()).unwrap();
    copy(old.path(), &test.log_dir());

    let (log, mut fatals) = test.open_idle().unwrap();
    let claim = Claim::Receipt { index: receipt.index, checkpoint: receipt.head.checkpoint.clone() };
    assert!(matches!(log.hear(&claim), Err(LogError::Compare(error)) if error.is_fatal()));
    assert!(fatals.recv().await.unwrap().contains("put back the newest copy"));
    assert!(log.sequencer().is_none());
    log.stop();
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
