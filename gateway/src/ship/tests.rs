#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use evidence::checkpoint::Checkpoint;
use evidence::event::{AccessEvent, EventBody, Stop};
use evidence::ids::{Commitment, Epoch, Hash, SourceId, TenantId, Timestamp, TreeSize};
use evidence::note::{KeyKind, NoteSigner};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use zeroize::Zeroizing;

use super::*;
use crate::clock;
use crate::journal::{Batch, Entry};
use crate::keys::KeyEncryptionKey;

/// What the fake log does with the next batch.
#[derive(Clone)]
enum Next {
    /// Records it and gives no answer.
    ForgetToAnswer,
    /// Answers this instead, and records nothing.
    Answer(u16, String),
    /// Records the first so many, and gives the receipt of those.
    Part(usize),
    /// Signs with a key of its own.
    WrongKey,
}

/// A log that speaks the protocol and keeps no promise beyond it.
struct Fake {
    socket: PathBuf,
    signer: NoteSigner,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    leaves: Vec<Commitment>,
    /// Leaves of others before ours.
    others: u64,
    script: VecDeque<Next>,
    hellos: Vec<serde_json::Value>,
    hello_answer: Option<(u16, String)>,
    batches: Vec<(u64, usize)>,
}

impl Fake {
    fn start(directory: &Path, script: Vec<Next>) -> Arc<Self> {
        let fake = Arc::new(Self {
            socket: directory.join("log.sock"),
            signer: NoteSigner::from_seed("log.example/h", KeyKind::Ed25519, &[3; 32]).unwrap(),
            seen: Mutex::new(Seen { script: script.into(), others: 5, ..Seen::default() }),
        });
        fake.listen();
        fake
    }

    fn listen(self: &Arc<Self>) {
        let _ = std::fs::remove_file(&self.socket);
        let listener = UnixListener::bind(&self.socket).unwrap();
        let fake = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let fake = Arc::clone(&fake);
                tokio::spawn(async move { fake.serve(stream).await });
            }
        });
    }

    async fn serve(&self, mut stream: UnixStream) {
        let mut bytes = Vec::new();
        let (path, body) = loop {
            if let Some(found) = parse(&bytes) {
                break found;
            }
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let Some((status, answer)) = self.answer(&path, &body) else { return };
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            answer.len()
        );
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.write_all(answer.as_bytes()).await;
    }

    fn answer(&self, path: &str, body: &[u8]) -> Option<(u16, String)> {
        let mut seen = self.seen.lock().unwrap();
        let body: serde_json::Value = serde_json::from_slice(body).unwrap();
        if path == "/v1/hello" {
            seen.hellos.push(body);
            let size = seen.others + seen.leaves.len() as u64;
            let good = serde_json::json!({"origin": "log.example/h", "size": size.to_string()}).to_string();
            return Some(seen.hello_answer.clone().unwrap_or((200, good)));
        }
        assert_eq!(path, "/v1/leaves");
        let first: u64 = body["first"].as_str().unwrap().parse().unwrap();
        let sent: Vec<Commitment> = serde_json::from_value(body["commitments"].clone()).unwrap();
        seen.batches.push((first, sent.len()));
        let next = seen.script.pop_front();
        let (mut count, mut key) = (sent.len(), self.signer.clone());
        match &next {
            Some(Next::Answer(status, text)) => return Some((*status, text.clone())),
            Some(Next::Part(part)) => count = *part,
            Some(Next::WrongKey) => {
                key = NoteSigner::from_seed("log.example/h", KeyKind::Ed25519, &[4; 32]).unwrap();
            }
            Some(Next::ForgetToAnswer) | None => {}
        }
        for (offset, commitment) in sent.iter().take(count).enumerate() {
            let place = usize::try_from(first).unwrap() + offset;
            match seen.leaves.get(place) {
                Some(known) => assert_eq!(known, commitment),
                None => {
                    assert_eq!(seen.leaves.len(), place, "a gap");
                    seen.leaves.push(*commitment);
                }
            }
        }
        if matches!(next, Some(Next::ForgetToAnswer)) {
            return None;
        }
        // The receipt covers its own group, so a repetition is the same.
        let size = seen.others + first + count as u64;
        let head = Checkpoint {
            origin: Origin::new("log.example/h").unwrap(),
            size: TreeSize::new(size),
            root: Hash::new([u8::try_from(size % 251).unwrap(); 32]),
        };
        let answer = serde_json::json!({
            "first_index": (seen.others + first).to_string(),
            "count": count.to_string(),
            "size": size.to_string(),
            "checkpoint": head.sign(&key).unwrap().to_string(),
        });
        Some((200, answer.to_string()))
    }
}

fn parse(bytes: &[u8]) -> Option<(String, Vec<u8>)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).unwrap().to_ascii_lowercase();
    let path = head.split(' ').nth(1)?.to_owned();
    let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())?;
    let body = bytes.get(end..end + length)?;
    Some((path, body.to_vec()))
}

fn open_journal(directory: &Path) -> Journal {
    let settings = crate::journal::Settings::new(directory.join("journal.db"), TenantId::new("hospital").unwrap());
    Journal::open(settings, KeyEncryptionKey::new(Zeroizing::new([7; 32])).unwrap()).unwrap().0
}

async fn record(journal: &Journal, events: usize) {
    let batch = (0..events)
        .map(|_| {
            let at = Timestamp::from_date(clock::now()).unwrap();
            Entry::from(AccessEvent { id: clock::event_id(), at, body: EventBody::Stop(Stop {}) })
        })
        .collect();
    drop(journal.record(batch).await.unwrap());
}

fn ship(fake: &Fake, journal: &Journal) -> watch::Receiver<ShipState> {
    let settings = Settings {
        target: Target::Socket(fake.socket.clone()),
        log_key: fake.signer.verifier().clone(),
        timeout: Duration::from_secs(5),
    };
    let (shipper, stands) = Shipper::new(settings, journal.clone()).unwrap();
    tokio::spawn(shipper.run());
    stands
}

async fn all_shipped(journal: &Journal) {
    tokio::time::timeout(Duration::from_secs(20), async {
        while journal.backlog().unshipped > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("everything is shipped");
}

async fn alarm(mut stands: watch::Receiver<ShipState>) -> Alarm {
    let reached = stands.wait_for(|state| matches!(state, ShipState::Alarmed(_)));
    let reached = tokio::time::timeout(Duration::from_secs(20), reached).await.expect("an alarm").unwrap().clone();
    let ShipState::Alarmed(alarm) = reached else { panic!("{reached:?}") };
    alarm
}

#[tokio::test]
async fn every_setback_that_passes_loses_and_doubles_nothing() {
    let refused = |status, code: &str| Next::Answer(status, format!("{{\"error\":\"{code}\",\"message\":\"m\"}}"));
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start(
        directory.path(),
        vec![
            refused(503, "busy"),
            Next::ForgetToAnswer,
            Next::Answer(200, "{\"first_index\":\"5\"".to_owned()),
            Next::Answer(200, "<html>".to_owned()),
            Next::Answer(500, String::new()),
            refused(403, "source-not-allowed"),
            refused(413, "malformed"),
            Next::Part(2),
        ],
    );
    let journal = open_journal(directory.path());
    record(&journal, 10).await;
    let stands = ship(&fake, &journal);
    all_shipped(&journal).await;
    record(&journal, 3).await;
    all_shipped(&journal).await;
    assert_eq!(*stands.borrow(), ShipState::Shipping);

    let seen = fake.seen.lock().unwrap();
    assert_eq!(seen.leaves.len(), 13);
    assert_eq!(seen.batches[..7], [(0, 10); 7], "every repetition has the same bounds");
    assert_eq!(seen.batches[7..], [(0, 5), (2, 8), (10, 3)]);
    assert!(seen.hellos.iter().all(|hello| hello["epoch"] == 1));
    assert!(seen.hellos[0]["last_receipt"].is_null());
    assert_eq!(seen.hellos[0]["source"], journal.source().to_string());
}

#[tokio::test]
async fn the_log_may_be_away_and_a_restart_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("log.sock");
    let journal = open_journal(directory.path());
    record(&journal, 2).await;
    let signer = NoteSigner::from_seed("log.example/h", KeyKind::Ed25519, &[3; 32]).unwrap();
    let settings = Settings {
        target: Target::Socket(socket),
        log_key: signer.verifier().clone(),
        timeout: Duration::from_secs(5),
    };
    let (shipper, mut stands) = Shipper::new(settings, journal.clone()).unwrap();
    let running = tokio::spawn(shipper.run());
    stands.wait_for(|state| matches!(state, ShipState::Retrying { .. })).await.unwrap();
    record(&journal, 2).await;
    let fake = Fake::start(directory.path(), Vec::new());
    all_shipped(&journal).await;
    running.abort();
    let receipt = journal.last_receipt().unwrap().unwrap();
    record(&journal, 1).await;
    journal.close().await.unwrap();
    drop(journal);

    let journal = open_journal(directory.path());
    let _stands = ship(&fake, &journal);
    all_shipped(&journal).await;
    let seen = fake.seen.lock().unwrap();
    assert_eq!(seen.leaves.len(), 5);
    let last_hello = &seen.hellos.last().unwrap()["last_receipt"];
    assert_eq!(last_hello["index"], "8");
    assert_eq!(last_hello["checkpoint"], receipt.checkpoint);
}

#[tokio::test]
async fn what_contradicts_a_receipt_stops_shipping_and_drops_nothing() {
    let refused = |status, rest: &str| vec![Next::Answer(status, format!("{{\"message\":\"m\",{rest}}}"))];
    type Case = (Vec<Next>, fn(&Alarm) -> bool);
    let cases: Vec<Case> = vec![
        (refused(409, "\"error\":\"commitment-differs\",\"sequence\":\"1\""), |alarm| {
            *alarm == Alarm::CommitmentDiffers { sequence: Some(Sequence::new(1)) }
        }),
        (refused(409, "\"error\":\"something-new\""), |alarm| matches!(alarm, Alarm::Contradiction { .. })),
        (refused(422, "\"error\":\"sequence-gap\",\"expected\":\"9\""), |alarm| *alarm == Alarm::JournalBehind),
        (vec![Next::WrongKey], |alarm| matches!(alarm, Alarm::BadReceipt(BadReceipt::Checkpoint(_)))),
    ];
    for (script, expected) in cases {
        let directory = tempfile::tempdir().unwrap();
        let fake = Fake::start(directory.path(), script);
        let journal = open_journal(directory.path());
        record(&journal, 3).await;
        let found = alarm(ship(&fake, &journal)).await;
        assert!(expected(&found), "{found:?}");
        assert_eq!(journal.backlog().unshipped, 3);
        record(&journal, 1).await;
        assert_eq!(journal.backlog().unshipped, 4, "the journal goes on");
    }
}

#[tokio::test]
async fn a_log_that_lost_leaves_or_is_another_is_found_at_the_greeting() {
    let answer = |status: u16, text: &str| Some((status, text.to_owned()));
    let cases: Vec<(Option<(u16, String)>, Alarm)> = vec![
        (answer(409, r#"{"error":"log-behind","message":"m"}"#), Alarm::LogBehind),
        (answer(200, r#"{"origin":"log.example/h","size":"7"}"#), Alarm::LogBehind),
        (
            answer(409, r#"{"error":"log-forked","message":"m"}"#),
            Alarm::Contradiction { code: "log-forked".to_owned() },
        ),
        (
            answer(400, r#"{"error":"receipt-not-ours","message":"m"}"#),
            Alarm::Contradiction { code: "receipt-not-ours".to_owned() },
        ),
        (
            answer(200, r#"{"origin":"log.example/other","size":"100"}"#),
            Alarm::OtherLog { found: Origin::new("log.example/other").unwrap() },
        ),
    ];
    for (hello, expected) in cases {
        let directory = tempfile::tempdir().unwrap();
        let fake = Fake::start(directory.path(), Vec::new());
        let journal = open_journal(directory.path());
        record(&journal, 3).await;
        let _stands = ship(&fake, &journal);
        all_shipped(&journal).await;
        fake.seen.lock().unwrap().hello_answer = hello;
        assert_eq!(alarm(ship(&fake, &journal)).await, expected);
    }
}

#[test]
fn a_gap_is_resent_from_where_the_log_expects() {
    let dispatch = Dispatch {
        batch: Batch::of(11, 4),
        source: SourceId::new([0; 16]),
        epoch: Epoch::new(1),
        first: Sequence::new(10),
        commitments: vec![Commitment::new([0; 32]); 4],
    };
    let resend = |expected: Option<u64>| resend_from(&dispatch, expected.map(Sequence::new));
    assert_eq!(resend(None), Ok(4));
    assert_eq!(resend(Some(10)), Ok(4));
    assert_eq!(resend(Some(11)), Ok(1));
    assert_eq!(resend(Some(14)), Ok(4));
    assert_eq!(resend(Some(15)), Err(Alarm::JournalBehind));
    assert_eq!(resend(Some(9)), Err(Alarm::LogBehind));
}
