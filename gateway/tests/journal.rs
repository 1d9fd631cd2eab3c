//! The journal on real files: durability, order, limits, and what an alteration looks like.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

mod journal_events;

use std::collections::BTreeSet;
use std::path::Path;

use evidence::commitment::commit;
use evidence::event::{AccessEvent, End, EventBody, Phase};
use evidence::ids::{LeafIndex, TenantId, TreeSize};
use fhir_gateway::journal::{Entry, Journal, JournalError, Limit, OpenError, Receipt};
use journal_events::{disclosure, kek, open, outcome, read, request, settings};
use rusqlite::Connection;
use secrecy::{ExposeSecret as _, SecretString};

/// Changes a closed journal as somebody with access to the disk could.
fn alter(directory: &Path, sql: &str) {
    let connection = Connection::open(directory.join("journal.db")).unwrap();
    connection.execute_batch(sql).unwrap();
}

#[tokio::test]
async fn what_was_recorded_can_be_opened_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, report) = open(directory.path()).unwrap();
    assert!(report.made);
    let batch = read("p1");
    let events: Vec<AccessEvent> = batch.iter().map(|entry| entry.event.clone()).collect();
    let durable = journal.record(batch).await.unwrap();
    assert_eq!(journal.backlog().unshipped, 2);
    journal.close().await.unwrap();

    let (journal, again) = open(directory.path()).unwrap();
    assert_eq!((again.made, again.source, again.epoch), (false, report.source, report.epoch));
    assert_eq!((again.records, again.unshipped, again.orphans_closed), (2, 2, 0));
    let openings = journal.openings(events[0].id).unwrap();
    assert_eq!(openings.iter().map(|opening| opening.event.clone()).collect::<Vec<_>>(), events);
    for (opening, record) in openings.iter().zip(durable.records()) {
        let commitment = commit(journal.tenant(), &opening.salt, opening.canonical.get().as_bytes());
        assert_eq!(commitment, record.commitment);
        assert_eq!(
            (opening.source, opening.epoch, opening.sequence),
            (report.source, report.epoch, record.place.sequence)
        );
    }
    let json = serde_json::to_value(&openings[1]).unwrap();
    assert_eq!(json["sequence"], "1");
    assert_eq!(json["event"]["patient"], "Patient/p1");
    assert_eq!(json["salt"], openings[1].salt.to_string());
    assert!(journal.openings(fhir_gateway::clock::event_id()).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_writers_leave_no_gap() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(directory.path()).unwrap();
    let writers: Vec<_> = (0..64)
        .map(|writer| {
            let journal = journal.clone();
            tokio::spawn(async move {
                let mut sequences = Vec::new();
                for turn in 0..20 {
                    let durable = journal.record(read(&format!("p{}", (writer + turn) % 10))).await.unwrap();
                    let batch: Vec<u64> = durable.records().iter().map(|record| record.place.sequence.get()).collect();
                    assert_eq!(batch[1], batch[0] + 1, "a batch stays together");
                    sequences.extend(batch);
                }
                sequences
            })
        })
        .collect();
    let mut all = BTreeSet::new();
    for writer in writers {
        for sequence in writer.await.unwrap() {
            assert!(all.insert(sequence), "sequence {sequence} was given twice");
        }
    }
    assert_eq!(all, (0..2_560).collect());
    let statistics = journal.statistics();
    assert_eq!(statistics.records, 2_560);
    assert!(statistics.commits < 1_280, "{} commits are no groups", statistics.commits);
}

#[tokio::test]
async fn a_batch_is_recorded_whole_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) =
        Journal::open(fhir_gateway::journal::Settings { max_backlog: 3, ..settings(directory.path()) }, kek(7))
            .unwrap();
    let mut batch = read("p1");
    batch[1].query = Some(SecretString::from("name=x"));
    assert!(matches!(journal.record(batch).await, Err(JournalError::QueryNotHeld { kind: "disclosure" })));
    assert!(matches!(journal.record(Vec::new()).await, Err(JournalError::EmptyBatch)));
    journal.record(read("p1")).await.unwrap();
    assert!(journal.writable());
    assert!(matches!(journal.record(read("p2")).await, Err(JournalError::Full(Limit::Backlog))));
    assert_eq!(journal.statistics().records, 2);

    let single = journal.record(vec![request(Phase::Opened).into()]).await.unwrap();
    assert_eq!(single.records()[0].place.sequence.get(), 2, "a refused batch takes no sequence number");
    assert!(!journal.writable());
    // What began may end, also where nothing new may begin.
    let end = journal.record(vec![outcome(single.records()[0].event).into()]).await.unwrap();
    assert_eq!(end.records()[0].place.sequence.get(), 3);
}

#[tokio::test]
async fn a_full_file_refuses_and_keeps_what_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let small = || fhir_gateway::journal::Settings { max_bytes: 512 * 1024, ..settings(directory.path()) };
    let (journal, _) = Journal::open(small(), kek(7)).unwrap();
    let mut recorded = Vec::new();
    let refusal = loop {
        let batch = read("p1");
        let id = batch[0].event.id;
        match journal.record(batch).await {
            Ok(_) => recorded.push(id),
            Err(error) => break error,
        }
    };
    assert!(matches!(refusal, JournalError::Full(Limit::Bytes)), "{refusal}");
    assert!(!journal.writable());
    assert!(recorded.len() > 100);
    // Closing events use what is kept for them, until SQLite itself finds no page (`max_page_count`).
    let mut closing = 0;
    let refusal = loop {
        match journal.record(vec![outcome(recorded[0]).into()]).await {
            Ok(_) => closing += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refusal, JournalError::Full(Limit::Bytes)), "{refusal}");
    assert!(closing > 10);
    journal.close().await.unwrap();

    let (journal, report) = open(directory.path()).unwrap();
    assert_eq!(report.records, recorded.len() as u64 * 2 + closing);
    for id in &recorded[1..] {
        assert_eq!(journal.openings(*id).unwrap().len(), 2);
    }
    assert!(journal.writable(), "a higher limit opens it again");
    journal.record(read("p1")).await.unwrap();
}

#[tokio::test]
async fn an_altered_record_is_not_verified() {
    let cases = [
        ("its payload fails authentication", "UPDATE record SET payload = zeroblob(length(payload)) WHERE position = 2"),
        (
            "its payload fails authentication",
            "UPDATE record SET payload = CAST(substr(payload, 1, length(payload) - 1) || x'00' AS BLOB) WHERE position = 2;
             UPDATE record SET payload = CAST(substr(payload, 1, length(payload) - 1) || x'01' AS BLOB) WHERE position = 2",
        ),
        ("its payload fails authentication", "UPDATE record SET payload = x'' WHERE position = 2"),
        ("its payload fails authentication", "UPDATE record SET commitment = zeroblob(32) WHERE position = 2"),
        (
            "its payload fails authentication",
            "UPDATE record SET payload = (SELECT payload FROM record WHERE position = 4) WHERE position = 2",
        ),
        (
            "its payload fails authentication",
            "UPDATE record SET payload = (SELECT payload FROM record WHERE position = 4),
               commitment = (SELECT commitment FROM record WHERE position = 4) WHERE position = 2",
        ),
        ("its event id", "UPDATE record SET event = zeroblob(16) WHERE position = 2"),
        ("its key fails authentication", "UPDATE record SET event = zeroblob(16) WHERE position = 1"),
        ("its key fails authentication", "UPDATE record SET wrapped = zeroblob(60) WHERE position = 1"),
        ("its key fails authentication", "UPDATE subject_key SET wrapped = zeroblob(60)"),
        (
            "its request",
            "UPDATE record SET request = (SELECT request FROM record WHERE position = 1) WHERE position = 4",
        ),
    ];
    for (expected, sql) in cases {
        let directory = tempfile::tempdir().unwrap();
        let (journal, _) = open(directory.path()).unwrap();
        let first = read("p1");
        let id = first[0].event.id;
        journal.record(first).await.unwrap();
        journal.record(read("p1")).await.unwrap();
        journal.close().await.unwrap();
        alter(directory.path(), sql);
        let (journal, _) = open(directory.path()).unwrap();
        let found = journal.openings(id);
        let Err(JournalError::Altered { what, .. }) = found else { panic!("{sql}: {found:?}") };
        assert_eq!(what, expected, "{sql}");
    }
}

#[tokio::test]
async fn missing_records_are_found_at_the_start() {
    let cases = [
        "DELETE FROM record WHERE position = 3",
        "DELETE FROM record WHERE position = 1",
        "INSERT INTO receipt VALUES (1, 9, 0, 9, 'x')",
        "DELETE FROM epoch",
        "UPDATE epoch SET first_position = 2",
    ];
    for sql in cases {
        let directory = tempfile::tempdir().unwrap();
        let (journal, _) = open(directory.path()).unwrap();
        journal.record(read("p1")).await.unwrap();
        journal.record(read("p1")).await.unwrap();
        journal.close().await.unwrap();
        alter(directory.path(), sql);
        assert!(matches!(open(directory.path()), Err(OpenError::Damaged { .. })), "{sql}");
    }
}

#[tokio::test]
async fn another_key_tenant_process_or_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(directory.path()).unwrap();
    journal.record(read("p1")).await.unwrap();
    assert!(matches!(open(directory.path()), Err(OpenError::InUse)));
    journal.close().await.unwrap();
    assert!(matches!(journal.record(read("p1")).await, Err(JournalError::Closed)));
    assert!(!journal.writable());

    assert!(matches!(Journal::open(settings(directory.path()), kek(8)), Err(OpenError::WrongKey)));
    let other =
        fhir_gateway::journal::Settings { tenant: TenantId::new("clinic").unwrap(), ..settings(directory.path()) };
    assert!(matches!(Journal::open(other, kek(7)), Err(OpenError::Tenant { .. })));
    open(directory.path()).unwrap().0.close().await.unwrap();

    alter(directory.path(), "PRAGMA user_version = 2");
    assert!(matches!(open(directory.path()), Err(OpenError::Foreign { .. })));
    alter(directory.path(), "PRAGMA application_id = 1");
    assert!(matches!(open(directory.path()), Err(OpenError::Foreign { .. })));

    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("journal.db"), "no database, though of some length ".repeat(200)).unwrap();
    let refusal = open(directory.path()).unwrap_err();
    assert!(matches!(refusal, OpenError::Database(_)), "{refusal}");
}

#[tokio::test]
async fn a_writer_that_failed_stays_failed() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(directory.path()).unwrap();
    let kept = read("p1");
    let id = kept[0].event.id;
    journal.record(kept).await.unwrap();
    alter(directory.path(), "ALTER TABLE record RENAME TO hidden");
    assert!(matches!(journal.record(read("p1")).await, Err(JournalError::Failed)));
    assert!(!journal.writable());
    alter(directory.path(), "ALTER TABLE hidden RENAME TO record");
    assert!(matches!(journal.record(read("p1")).await, Err(JournalError::Failed)), "no second try");
    assert!(matches!(journal.close().await, Err(JournalError::Failed)));

    let (journal, report) = open(directory.path()).unwrap();
    assert_eq!(report.records, 2);
    assert_eq!(journal.openings(id).unwrap().len(), 2);
    journal.record(read("p1")).await.unwrap();
}

#[tokio::test]
async fn query_values_are_sealed_and_nothing_personal_lies_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(directory.path()).unwrap();
    let mut batch = read("patient-4711");
    let id = batch[0].event.id;
    batch[0].query = Some(SecretString::from("family=Featherstone&code=http://snomed.info/sct|86406008"));
    let durable = journal.record(batch).await.unwrap();
    let sealed = durable.records()[0].query_sealed.clone().unwrap();
    assert_eq!(durable.records()[1].query_sealed, None);

    for suffix in ["", "-wal"] {
        let bytes = std::fs::read(directory.path().join(format!("journal.db{suffix}"))).unwrap();
        for word in ["patient-4711", "Featherstone", "practitioner-1", "o1\"", "issuer.example", "disclosed"] {
            assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word} lies in the file");
        }
    }
    let openings = journal.openings(id).unwrap();
    assert_eq!(
        openings[0].query.as_ref().unwrap().expose_secret(),
        "family=Featherstone&code=http://snomed.info/sct|86406008"
    );
    let EventBody::Request(recorded) = &openings[0].event.body else { panic!("{:?}", openings[0]) };
    assert_eq!(recorded.query_sealed.as_ref(), Some(&sealed));
    assert!(!openings[0].canonical.get().contains("Featherstone"));

    let mut foreign = request(Phase::Whole);
    if let EventBody::Request(request) = &mut foreign.body {
        request.query_sealed = Some(sealed);
    }
    assert!(matches!(journal.record(vec![foreign.into()]).await, Err(JournalError::QueryNotHeld { .. })));
}

#[tokio::test]
async fn what_was_left_open_is_closed_once() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(directory.path()).unwrap();
    let (large, write, ended) = (request(Phase::Opened), request(Phase::Intent), request(Phase::Opened));
    let ids = [large.id, write.id, ended.id];
    journal.record(vec![large.into(), disclosure(ids[0], 0, "p1").into(), write.into()]).await.unwrap();
    journal.record(vec![disclosure(ids[0], 1, "p1").into(), disclosure(ids[0], 1, "p2").into()]).await.unwrap();
    journal.record(vec![ended.into(), disclosure(ids[2], 0, "p1").into()]).await.unwrap();
    journal.record(vec![outcome(ids[2]).into()]).await.unwrap();
    journal.record(read("p1")).await.unwrap();
    journal.close().await.unwrap();

    for expected in [2, 0] {
        let (journal, report) = open(directory.path()).unwrap();
        assert_eq!(report.orphans_closed, expected);
        for (id, windows, end) in [(ids[0], 2, End::Unknown), (ids[1], 0, End::Unknown), (ids[2], 1, End::Complete)] {
            let outcomes: Vec<_> = journal
                .openings(id)
                .unwrap()
                .into_iter()
                .filter_map(|opening| {
                    let EventBody::Outcome(outcome) = opening.event.body else { return None };
                    Some((outcome.windows, outcome.end))
                })
                .collect();
            assert_eq!(outcomes, [(windows, end)]);
        }
        journal.close().await.unwrap();
    }
}

#[tokio::test]
async fn the_batch_on_its_way_keeps_its_bounds() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, report) = open(directory.path()).unwrap();
    assert_eq!(journal.dispatch().unwrap(), None);
    let durable = journal.record(read("p1")).await.unwrap();
    journal.waiting().await;
    let planned = journal.dispatch().unwrap().unwrap();
    assert_eq!((planned.source, planned.epoch, planned.first.get()), (report.source, report.epoch, 0));
    assert_eq!(planned.commitments, durable.records().iter().map(|record| record.commitment).collect::<Vec<_>>());
    let many: Vec<Entry> = (0..1_500).map(|_| request(Phase::Whole).into()).collect();
    journal.record(many).await.unwrap();
    journal.close().await.unwrap();

    let (journal, _) = open(directory.path()).unwrap();
    assert_eq!(journal.dispatch().unwrap().as_ref(), Some(&planned), "later records and a restart do not stretch it");
    journal.shorten(1).await.unwrap();
    assert!(matches!(journal.shorten(2).await, Err(JournalError::Receipt { .. })));
    let shorter = journal.dispatch().unwrap().unwrap();
    assert_eq!(shorter.commitments, &planned.commitments[..1]);
    let receipt = |batch, index| Receipt {
        batch,
        first_index: LeafIndex::new(index),
        size: TreeSize::new(index + 1_024),
        checkpoint: "note".to_owned(),
    };
    assert!(matches!(journal.keep(receipt(planned.batch, 0)).await, Err(JournalError::Receipt { .. })));
    journal.keep(receipt(shorter.batch, 10)).await.unwrap();
    assert!(matches!(journal.keep(receipt(shorter.batch, 10)).await, Err(JournalError::Receipt { .. })), "only once");
    let next = journal.dispatch().unwrap().unwrap();
    assert_eq!((next.first.get(), next.commitments.len()), (1, 1_024));
    journal.keep(receipt(next.batch, 11)).await.unwrap();
    let last = journal.dispatch().unwrap().unwrap();
    assert_eq!((last.first.get(), last.commitments.len()), (1_025, 477));
    assert_eq!(journal.backlog().unshipped, 477);
    assert!(journal.backlog().oldest_age.is_some());
    journal.keep(receipt(last.batch, 2_000)).await.unwrap();
    assert_eq!(journal.dispatch().unwrap(), None);
    let backlog = journal.backlog();
    assert_eq!((backlog.unshipped, backlog.bytes, backlog.oldest_age), (0, 0, None));
    assert_eq!(journal.last_receipt().unwrap().unwrap().first_index.get(), 2_000);
    journal.close().await.unwrap();
    assert_eq!(open(directory.path()).unwrap().1.unshipped, 0);
}

#[tokio::test]
async fn a_flipped_bit_never_shows_another_event() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(directory.path()).unwrap();
    let mut genuine = BTreeSet::new();
    let mut ids = Vec::new();
    for patient in ["p1", "p2", "p1"] {
        let batch = read(patient);
        ids.push(batch[0].event.id);
        journal.record(batch).await.unwrap();
        for opening in journal.openings(ids[ids.len() - 1]).unwrap() {
            genuine.insert((opening.sequence, opening.canonical.get().to_owned(), opening.salt));
        }
    }
    journal.close().await.unwrap();
    drop(journal);
    let whole = std::fs::read(directory.path().join("journal.db")).unwrap();
    let (mut refused, mut shown) = (0, 0);
    for round in 0..120 {
        let directory = tempfile::tempdir().unwrap();
        let mut bytes = whole.clone();
        let at = (round * bytes.len() / 120 + round * 37) % bytes.len();
        bytes[at] ^= 1 << (round % 8);
        std::fs::write(directory.path().join("journal.db"), bytes).unwrap();
        let Ok((journal, _)) = open(directory.path()) else {
            refused += 1;
            continue;
        };
        for id in &ids {
            match journal.openings(*id) {
                Ok(openings) => shown += openings.len(),
                Err(_) => refused += 1,
            }
            for opening in journal.openings(*id).unwrap_or_default() {
                let seen = (opening.sequence, opening.canonical.get().to_owned(), opening.salt);
                assert!(genuine.contains(&seen), "byte {at}: {}", seen.1);
            }
        }
    }
    assert!(refused > 5 && shown > 100, "{refused} refused, {shown} shown");
}
