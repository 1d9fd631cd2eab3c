//! `kill -9` of the real program at random moments, under writers that keep every receipt: after each restart every
//! receipt ever given repeats byte for byte, proves its leaf, and the whole log recomputes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

mod sidecar;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use evidence::{
    checkpoint::Checkpoint,
    ids::{Hash, LeafIndex},
    leaf::Leaf,
    merkle::verify_inclusion,
    note::{NoteSigner, NoteVerifier},
};
use serde_json::Value;
use sidecar::{ORIGIN, Place, batch, single, source};

const ROUNDS: u64 = 12;
const WRITERS: u8 = 4;
/// The newest receipts of each writer that are asked for again after each kill; after the last one it is all of them.
const ROUND_SAMPLE: usize = 40;

/// One request and the answer that was received in full.
#[derive(Clone)]
struct Given {
    path: &'static str,
    body: Value,
    answer: Vec<u8>,
}

/// What one writer knows: its next sequence number, and all that it was ever given.
#[derive(Default)]
struct Writer {
    next: u64,
    given: Vec<Given>,
}

#[test]
fn whatever_was_acknowledged_survives_any_kill() {
    let place = Arc::new(Place::new(""));
    let writers: Vec<_> = (1..=WRITERS).map(|_| Arc::new(Mutex::new(Writer::default()))).collect();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..ROUNDS {
        let running = place.start();
        // Everybody who has a receipt shows the last one; the program would stop if it had lost a leaf.
        for (writer, n) in writers.iter().zip(1..) {
            let writer = writer.lock().unwrap();
            let last = writer.given.last().map(|given| place_of(&given.answer));
            let last = last.as_ref().map(|(index, checkpoint)| (*index, checkpoint.as_str()));
            assert_eq!(place.hello(&source(n), last).unwrap().0, 200, "{}", place.errors());
        }
        check_receipts(&place, &writers, round, Some(ROUND_SAMPLE));
        let stop = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = writers
            .iter()
            .zip(1..)
            .map(|(writer, n)| {
                let (place, writer, stop) = (Arc::clone(&place), Arc::clone(writer), Arc::clone(&stop));
                thread::spawn(move || write(&place, &writer, n, &stop))
            })
            .collect();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        thread::sleep(Duration::from_millis(20 + (random >> 33) % 1500));
        running.kill();
        stop.store(true, Ordering::SeqCst);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    let running = place.start();
    let writer = writers[0].lock().unwrap();
    let (index, checkpoint) = place_of(&writer.given.last().unwrap().answer);
    assert_eq!(place.hello(&source(1), Some((index, &checkpoint))).unwrap().0, 200);
    drop(writer);
    check_receipts(&place, &writers, ROUNDS, None);
    let total: usize = writers.iter().map(|writer| writer.lock().unwrap().given.len()).sum();
    assert!(total > 100, "only {total} receipts: the kills came too early to show anything");
    assert_eq!(running.terminate(), Some(0));

    let receipts: Vec<String> = writers
        .iter()
        .flat_map(|writer| writer.lock().unwrap().given.clone())
        .map(|given| String::from_utf8(given.answer).unwrap())
        .collect();
    let checked = place.fsck(Some(&receipts.join("\n")));
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

/// Adds batches and single leaves in turn until the program goes away.
fn write(place: &Place, writer: &Mutex<Writer>, n: u8, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        let mut writer = writer.lock().unwrap();
        let next = writer.next;
        let (path, body, count) = match next % 3 {
            0 => ("/v1/leaf", single(n, next), 1),
            odd => ("/v1/leaves", batch(n, next, odd * 7), odd * 7),
        };
        match place.post(path, &body) {
            Ok((200, answer)) => {
                // What was recorded before a kill and never acknowledged may be part of it.
                let counted = serde_json::from_slice::<Value>(&answer).unwrap();
                let counted = counted["count"].as_str().map_or(1, |count| count.parse().unwrap());
                assert!((1..=count).contains(&counted));
                writer.next = next + counted;
                writer.given.push(Given { path, body, answer });
            }
            Ok((503, _)) => thread::sleep(Duration::from_millis(5)),
            Ok((status, answer)) => panic!("{status}: {}", String::from_utf8_lossy(&answer)),
            // Killed, or not yet started again.
            Err(_) => return,
        }
    }
}

/// Index and checkpoint of a receipt.
fn place_of(answer: &[u8]) -> (u64, String) {
    let answer: Value = serde_json::from_slice(answer).unwrap();
    let index = answer.get("index").or(answer.get("first_index")).unwrap().as_str().unwrap();
    (index.parse().unwrap(), answer["checkpoint"].as_str().unwrap().to_owned())
}

fn check_receipts(place: &Place, writers: &[Arc<Mutex<Writer>>], round: u64, newest: Option<usize>) {
    let skey = std::fs::read_to_string(place.path("log.key")).unwrap();
    let key = NoteSigner::from_skey(skey.trim()).unwrap().verifier().clone();
    thread::scope(|scope| {
        for writer in writers {
            let key = &key;
            scope.spawn(move || {
                let given = &writer.lock().unwrap().given;
                for given in given.iter().rev().take(newest.unwrap_or(usize::MAX)) {
                    check_receipt(place, key, given, round);
                }
            });
        }
    });
}

fn check_receipt(place: &Place, key: &NoteVerifier, Given { path, body, answer }: &Given, round: u64) {
    let (status, again) = place.post(path, body).unwrap();
    assert_eq!(status, 200, "round {round}: {}", String::from_utf8_lossy(&again));
    assert_eq!(&again, answer, "round {round}: another receipt for {body}");
    if *path != "/v1/leaf" {
        return;
    }
    let receipt: Value = serde_json::from_slice(answer).unwrap();
    let (index, checkpoint) = place_of(answer);
    let head = Checkpoint::open(&checkpoint, &ORIGIN.parse().unwrap(), key, &[]).unwrap().checkpoint;
    let text = |name: &str| body[name].as_str().unwrap();
    let leaf = Leaf {
        source: text("source").parse().unwrap(),
        epoch: evidence::ids::Epoch::new(1),
        sequence: text("sequence").parse().unwrap(),
        commitment: text("commitment").parse().unwrap(),
    };
    let hashes = receipt["inclusion"].as_array().unwrap();
    let path: Vec<Hash> = hashes.iter().map(|hash| hash.as_str().unwrap().parse().unwrap()).collect();
    verify_inclusion(&leaf.hash(), LeafIndex::new(index), head.size, &path, &head.root).unwrap();
}
