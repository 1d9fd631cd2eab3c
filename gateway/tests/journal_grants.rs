//! Break-glass grants in the journal: stored with their event or not at all, sealed, closed once, gone with their patient's
//! secret.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

mod journal_events;

use std::path::Path;

use evidence::ids::EventId;
use fhir_gateway::clock;
use fhir_gateway::journal::{self, Altered, GrantReview, JournalError, NewGrant, Settings};
use journal_events::{kek, open, read, settings};
use rusqlite::Connection;
use tempfile::tempdir;
use zeroize::Zeroizing;

const CLAIM: &[u8] = b"{\"justification\":\"unconscious on arrival\"}";

fn grant(patient: &str) -> NewGrant {
    let claim = Zeroizing::new(CLAIM.to_vec());
    NewGrant { id: clock::event_id(), patient: format!("Patient/{patient}"), granted: 1_000, until: 5_000, claim }
}

fn closing(id: EventId) -> GrantReview {
    GrantReview { id, at: 6_000, outcome: "justified", by: "officer".to_owned() }
}

fn alter(directory: &Path, sql: &str) {
    Connection::open(directory.join("journal.db")).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn a_grant_outlives_the_process_sealed_and_is_reviewed_once() {
    let directory = tempdir().unwrap();
    let (journal, _) = open(directory.path()).unwrap();
    let (first, second) = (grant("alder"), grant("birch"));
    let ids = (first.id, second.id);
    assert_eq!(journal.grant(read("alder"), first).await.unwrap().records().len(), 2);
    journal.grant(read("birch"), second).await.unwrap();
    journal.close().await.unwrap();
    for file in ["journal.db", "journal.db-wal"] {
        let bytes = std::fs::read(directory.path().join(file)).unwrap_or_default();
        let holds = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        assert!(!holds(b"unconscious") && !holds(b"Patient/alder"), "{file} names somebody");
    }

    let (journal, report) = open(directory.path()).unwrap();
    assert_eq!(report.records, 4);
    let stored = journal.grants().unwrap();
    assert!(stored.latest > 5_000, "the newest record tells how late it is");
    let rows: Vec<_> = stored.grants.iter().map(|row| (row.id, row.granted, row.until, row.review.is_some())).collect();
    let mut expected = vec![(ids.0, 1_000, 5_000, false), (ids.1, 1_000, 5_000, false)];
    expected.sort_by_key(|row| *row.0.as_bytes());
    assert_eq!(rows, expected);
    assert!(stored.grants.iter().all(|row| row.claim.as_ref().unwrap().as_ref().unwrap().as_slice() == CLAIM));

    journal.review(read("alder"), closing(ids.0)).await.unwrap();
    let records = journal.statistics().records;
    for unknown in [ids.0, clock::event_id()] {
        let refused = journal.review(read("alder"), closing(unknown)).await;
        assert!(matches!(refused, Err(JournalError::Grant { .. })), "{refused:?}");
    }
    assert_eq!(journal.statistics().records, records, "no event of a review that was not made");
    let reviewed = journal.grants().unwrap().grants.into_iter().find(|row| row.id == ids.0).unwrap().review;
    assert_eq!(reviewed, Some((6_000, "justified".to_owned(), "officer".to_owned())));
    journal.close().await.unwrap();
}

#[tokio::test]
async fn neither_grant_nor_event_is_there_without_the_other() {
    let directory = tempdir().unwrap();
    let small = Settings { max_backlog: 3, ..settings(directory.path()) };
    let (journal, _) = journal::Journal::open(small, kek(7)).unwrap();
    journal.grant(read("alder"), grant("alder")).await.unwrap();
    let full = journal.grant(read("birch"), grant("birch")).await;
    assert!(matches!(full, Err(JournalError::Full(_))), "{full:?}");
    assert!(matches!(journal.grant(Vec::new(), grant("cedar")).await, Err(JournalError::EmptyBatch)));
    assert_eq!((journal.grants().unwrap().grants.len(), journal.statistics().records), (1, 2));
    journal.close().await.unwrap();
}

#[tokio::test]
async fn another_end_or_another_patient_cannot_be_written_beside_it() {
    for change in [
        "UPDATE break_glass SET until = until + 1",
        "UPDATE break_glass SET granted = granted + 1",
        "UPDATE break_glass SET id = zeroblob(16)",
        "UPDATE break_glass SET claim = zeroblob(length(claim))",
        "UPDATE break_glass SET patient = (SELECT s.patient FROM subject_key s WHERE s.patient <> break_glass.patient)",
    ] {
        let directory = tempdir().unwrap();
        let (journal, _) = open(directory.path()).unwrap();
        journal.record(read("birch")).await.unwrap();
        journal.grant(read("alder"), grant("alder")).await.unwrap();
        journal.close().await.unwrap();
        alter(directory.path(), change);
        let (journal, _) = open(directory.path()).unwrap();
        let stored = journal.grants().unwrap();
        assert!(matches!(stored.grants[0].claim, Err(Altered)), "{change}");
        journal.close().await.unwrap();
    }
}

#[tokio::test]
async fn erasure_takes_the_claim_and_leaves_the_grant_to_its_review() {
    let directory = tempdir().unwrap();
    let (journal, _) = open(directory.path()).unwrap();
    let grant = grant("alder");
    let id = grant.id;
    journal.grant(read("alder"), grant).await.unwrap();
    journal.close().await.unwrap();
    alter(directory.path(), "DELETE FROM subject_key");
    let (journal, _) = open(directory.path()).unwrap();
    assert!(matches!(journal.grants().unwrap().grants[0].claim, Ok(None)));
    journal.review(read("birch"), closing(id)).await.unwrap();
    journal.close().await.unwrap();
}

#[tokio::test]
async fn a_journal_of_an_earlier_version_takes_grants_too() {
    let directory = tempdir().unwrap();
    let (journal, _) = open(directory.path()).unwrap();
    journal.record(read("alder")).await.unwrap();
    journal.close().await.unwrap();
    alter(directory.path(), "DROP TABLE break_glass");
    let (journal, _) = open(directory.path()).unwrap();
    journal.grant(read("alder"), grant("alder")).await.unwrap();
    assert_eq!(journal.grants().unwrap().grants.len(), 1);
    journal.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_gone_on_from_has_no_grant_in_force() {
    let (directory, restored) = (tempdir().unwrap(), tempdir().unwrap());
    let (journal, _) = open(directory.path()).unwrap();
    journal.grant(read("alder"), grant("alder")).await.unwrap();
    journal.close().await.unwrap();
    let copy = directory.path().join("copy.db");
    journal::back_up(&directory.path().join("journal.db"), &copy, |_, _| ()).unwrap();
    let place = settings(restored.path());
    tokio::task::spawn_blocking(move || journal::restore(place, kek(7), &copy).unwrap()).await.unwrap();
    let (journal, _) = open(restored.path()).unwrap();
    let stored = journal.grants().unwrap();
    assert!(stored.grants[0].ended.is_some() && stored.grants[0].review.is_none(), "ended, and still to be reviewed");
    journal.close().await.unwrap();
}
