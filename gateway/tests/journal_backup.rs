//! Copies of the journal: taken under load, put back, and what goes on from them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

mod journal_events;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use evidence::event::EventBody;
use evidence::ids::{Epoch, Sequence};
use fhir_gateway::journal::{self, CopyError, OpenError};
use journal_events::{kek, open, read, settings};
use tempfile::tempdir;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_copy_taken_under_load_is_a_prefix() {
    let (directory, copies) = (tempdir().unwrap(), tempdir().unwrap());
    let (journal, _) = open(directory.path()).unwrap();
    for turn in 0..300 {
        journal.record(read(&format!("p{turn}"))).await.unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (journal, stop) = (journal.clone(), Arc::clone(&stop));
        async move {
            while !stop.load(Ordering::Relaxed) {
                journal.record(read("p1")).await.unwrap();
            }
        }
    });
    let mut counts = Vec::new();
    for turn in 0..3 {
        let (from, to) = (directory.path().join("journal.db"), copies.path().join(format!("{turn}.db")));
        let before = journal.statistics().records;
        let mut steps = 0;
        let copied = tokio::task::spawn_blocking(move || {
            let copied = journal::back_up(&from, &to, |_, _| steps += 1).unwrap();
            assert!(steps > 0);
            copied
        });
        let copied = copied.await.unwrap();
        assert!(copied >= before && copied <= journal.statistics().records, "{copied}");
        counts.push(copied);
    }
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    let all = journal.follow(0, 100_000).unwrap();
    journal.close().await.unwrap();
    drop(journal);

    let restored = tempdir().unwrap();
    let copy = copies.path().join("1.db");
    let begun = tokio::task::spawn_blocking({
        let settings = settings(restored.path());
        move || journal::restore(settings, kek(7), &copy).unwrap()
    });
    let begun = begun.await.unwrap();
    assert_eq!((begun.epoch, begun.records), (Epoch::new(2), counts[1] + 1));
    let (journal, report) = open(restored.path()).unwrap();
    assert_eq!((report.epoch, report.records, report.made), (Epoch::new(2), counts[1] + 1, false));
    let kept = journal.follow(0, 100_000).unwrap();
    let ids = |records: &[journal::Followed], most: u64| {
        let of = |record: &journal::Followed| record.opening.as_ref().unwrap().event.id;
        records.iter().take(usize::try_from(most).unwrap()).map(of).collect::<Vec<_>>()
    };
    assert_eq!(ids(&kept, counts[1]), ids(&all, counts[1]));
    let first = kept.last().unwrap().opening.as_ref().unwrap();
    assert_eq!((first.epoch, first.sequence), (Epoch::new(2), Sequence::new(0)));
    let EventBody::EpochClosed(closed) = &first.event.body else { panic!("{:?}", first.event) };
    assert_eq!((closed.source, closed.epoch, closed.events), (begun.source, Epoch::new(1), counts[1]));
    let durable = journal.record(read("p1")).await.unwrap();
    assert_eq!(
        (durable.records()[0].place.epoch, durable.records()[0].place.sequence),
        (Epoch::new(2), Sequence::new(1))
    );
    // What waited at its old place still goes there, and alone.
    let dispatch = journal.dispatch().unwrap().unwrap();
    assert_eq!((dispatch.epoch, dispatch.first), (Epoch::new(1), Sequence::new(0)));
    assert!(dispatch.commitments.len() as u64 <= counts[1]);
    let leftover: Vec<_> = std::fs::read_dir(restored.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("restoring"))
        .collect();
    assert!(leftover.is_empty(), "{leftover:?}");
}

#[test]
fn nothing_is_overwritten_and_nothing_foreign_is_taken() {
    let (directory, copies) = (tempdir().unwrap(), tempdir().unwrap());
    let (journal, _) = open(directory.path()).unwrap();
    let path = directory.path().join("journal.db");
    let copy = copies.path().join("copy.db");
    assert_eq!(journal::back_up(&path, &copy, |_, _| {}).unwrap(), 0);
    assert!(matches!(journal::back_up(&path, &copy, |_, _| {}), Err(CopyError::Exists { .. })));
    let nowhere = copies.path().join("nowhere.db");
    assert!(matches!(journal::back_up(&nowhere, &copies.path().join("x"), |_, _| {}), Err(CopyError::Missing { .. })));
    assert!(!nowhere.exists() && !copies.path().join("x").exists());
    assert!(matches!(journal::restore(settings(directory.path()), kek(7), &copy), Err(CopyError::Exists { .. })));
    assert!(matches!(journal::new_epoch(settings(directory.path()), kek(7)), Err(CopyError::Open(OpenError::InUse))));
    drop(journal);

    let other = tempdir().unwrap();
    assert!(matches!(
        journal::restore(settings(other.path()), kek(8), &copy),
        Err(CopyError::Open(OpenError::WrongKey))
    ));
    assert!(!other.path().join("journal.db").exists());
    // A write-ahead log that somebody forgot would be applied to the copy.
    std::fs::write(other.path().join("journal.db-wal"), b"x").unwrap();
    assert!(matches!(journal::restore(settings(other.path()), kek(7), &copy), Err(CopyError::Exists { .. })));
    std::fs::remove_file(other.path().join("journal.db-wal")).unwrap();
    // A failed try leaves nothing that stops the next one.
    assert_eq!(journal::restore(settings(other.path()), kek(7), &copy).unwrap().epoch, Epoch::new(2));
    std::fs::write(copies.path().join("foreign.db"), b"not a database, but long enough to be looked at by SQLite")
        .unwrap();
    let third = tempdir().unwrap();
    assert!(journal::restore(settings(third.path()), kek(7), &copies.path().join("foreign.db")).is_err());
    assert!(!third.path().join("journal.db").exists());
}
