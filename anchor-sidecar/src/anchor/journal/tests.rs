#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]
use super::*;
use crate::anchor::fees::Fees;

const CONTRACT: Address = Address::repeat_byte(1);

fn log_id() -> LogId {
    LogId::new([2; 32])
}

fn open(dir: &tempfile::TempDir) -> Journal {
    Journal::open(&dir.path().join("anchor.db"), 1, CONTRACT, log_id()).unwrap()
}

fn variant(byte: u8) -> Variant {
    Variant {
        hash: B256::repeat_byte(byte),
        raw: Bytes::from(vec![byte; 100]),
        head: Head { size: TreeSize::new((1 << 48) - 1), root: Hash::new([byte; 32]) },
        fees: Fees::Dynamic { tip: 1, cap: u128::from(u64::MAX) + 1 },
        gas_limit: 70_000,
    }
}

fn inclusion(transaction: Option<u8>) -> Inclusion {
    Inclusion {
        transaction: transaction.map(B256::repeat_byte),
        block_number: 9,
        block_hash: B256::repeat_byte(9),
        head: variant(3).head,
    }
}

#[test]
fn each_change_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let flight = open(&dir).prepare(7, 0).unwrap();
    let there = inclusion(Some(3));
    let phase = |expected: &Phase| {
        let book = open(&dir).book().unwrap();
        assert_eq!(&book.flights[0].phase, expected);
        book.flights[0].clone()
    };
    let prepared = phase(&Phase::Prepared);
    assert_eq!((prepared.nonce, prepared.expected_seq, prepared.variants.len()), (Some(7), 0, 0));
    open(&dir).sign(flight, &variant(3)).unwrap();
    open(&dir).underpriced(flight).unwrap();
    phase(&Phase::Bump);
    open(&dir).sign(flight, &variant(4)).unwrap();
    assert_eq!(phase(&Phase::Signed).variants, [variant(3), variant(4)], "oldest first, bytes and all");
    open(&dir).accepted(flight).unwrap();
    phase(&Phase::InPool);
    open(&dir).mined(flight, &there).unwrap();
    phase(&Phase::Mined(there.clone()));
    open(&dir).excluded(flight).unwrap();
    assert_eq!(phase(&Phase::InPool).mined_before, there.transaction, "kept through a reorganisation");
    open(&dir).mined(flight, &there).unwrap();
    open(&dir).safe(flight, &there).unwrap();
    phase(&Phase::Safe(there.clone()));
    open(&dir).finished(flight, &there).unwrap();
    assert_eq!(open(&dir).book().unwrap(), Book { flights: vec![], final_seq: 1 });
    assert_eq!(open(&dir).final_inclusion(1).unwrap(), Some(there));
    assert_eq!(open(&dir).final_inclusion(2).unwrap(), None);
    assert_eq!(open(&dir).final_inclusion(0).unwrap(), None);
}

#[test]
fn flights_come_in_the_order_of_their_seq_without_the_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir);
    let dropped = journal.prepare(7, 4).unwrap();
    journal.prepare(8, 5).unwrap();
    journal.adopt(4, &inclusion(None)).unwrap();
    journal.dropped(dropped, DropReason::ForeignNonce).unwrap();
    let flights = journal.book().unwrap().flights;
    assert_eq!(flights.iter().map(Flight::seq).collect::<Vec<_>>(), [5, 6]);
    assert_eq!(flights[0].nonce, None);
}

#[test]
fn undone_finals_are_forgotten_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir);
    for expected in 0..3 {
        let flight = journal.prepare(expected, expected).unwrap();
        journal.finished(flight, &inclusion(Some(3))).unwrap();
    }
    assert_eq!(journal.undo(1).unwrap(), [2, 3]);
    assert_eq!(journal.book().unwrap().final_seq, 1);
    assert!(journal.undo(1).unwrap().is_empty());
}

#[test]
fn evidence_is_kept_for_one_block() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir);
    let flight = journal.prepare(0, 0).unwrap();
    journal.capture(flight, B256::repeat_byte(1), "one").unwrap();
    journal.capture(flight, B256::repeat_byte(2), "two").unwrap();
    assert_eq!(journal.captured(flight, B256::repeat_byte(1)).unwrap(), None);
    assert_eq!(journal.captured(flight, B256::repeat_byte(2)).unwrap().as_deref(), Some("two"));
}

#[test]
fn the_same_bytes_are_not_journalled_twice() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir);
    let flight = journal.prepare(0, 0).unwrap();
    journal.sign(flight, &variant(3)).unwrap();
    assert!(journal.sign(flight, &variant(3)).is_err());
}

#[test]
fn a_journal_is_of_one_chain_contract_and_log() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&dir));
    let path = dir.path().join("anchor.db");
    for (chain_id, contract, log_id) in
        [(2, CONTRACT, log_id()), (1, Address::repeat_byte(9), log_id()), (1, CONTRACT, LogId::new([9; 32]))]
    {
        let opened = Journal::open(&path, chain_id, contract, log_id);
        assert!(matches!(opened, Err(JournalError::Foreign { chain_id: 1, .. })), "{opened:?}");
    }
    drop(open(&dir));
}

#[test]
fn a_second_holder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _held = open(&dir);
    assert!(Journal::open(&dir.path().join("anchor.db"), 1, CONTRACT, log_id()).is_err());
}

#[test]
fn a_damaged_row_is_named() {
    for (change, part) in [
        ("UPDATE flight SET phase = 'flying'", "phase"),
        ("UPDATE flight SET phase = 'mined', inclusion = NULL", "inclusion"),
        ("UPDATE flight SET nonce = -1", "integer"),
        ("UPDATE variant SET root = x'00'", "hash"),
        ("UPDATE variant SET fees = '{}'", "fees"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(&dir);
        let flight = journal.prepare(0, 0).unwrap();
        journal.sign(flight, &variant(3)).unwrap();
        journal.lock().execute(change, []).unwrap();
        let read = journal.book();
        assert!(matches!(read, Err(JournalError::Damaged(named)) if named == part), "{change}: {read:?}");
    }
}
