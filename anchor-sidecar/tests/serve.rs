//! The running program from the outside: who may write, what is answered, how it ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

mod sidecar;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sidecar::{Place, batch, get, program, single, source};

fn json_of((status, body): (u16, Vec<u8>)) -> (u16, Value) {
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

#[test]
fn the_path_of_a_leaf_and_every_refusal() {
    let place = Place::new("");
    let running = place.start();
    let (status, refused) = json_of(place.post("/v1/leaves", &batch(1, 0, 2)).unwrap());
    assert_eq!((status, &refused["error"]), (503, &json!("not-compared-yet")));
    let (status, hello) = json_of(place.hello(&source(1), None).unwrap());
    assert_eq!((status, hello), (200, json!({ "origin": sidecar::ORIGIN, "size": "0" })));

    let (status, receipt) = json_of(place.post("/v1/leaves", &batch(1, 0, 300)).unwrap());
    assert_eq!(status, 200);
    assert_eq!(
        (&receipt["first_index"], &receipt["count"], &receipt["size"]),
        (&json!("0"), &json!("300"), &json!("300"))
    );
    for (path, body, status, error, more) in [
        ("/v1/leaf", single(2, 5), 422, "sequence-gap", Some(("expected", "0"))),
        (
            "/v1/leaf",
            json!({ "source": source(1), "epoch": 1, "sequence": "7", "commitment": "00".repeat(32) }),
            409,
            "commitment-differs",
            Some(("sequence", "7")),
        ),
        ("/v1/leaf", json!({}), 400, "malformed", None),
        ("/v1/leaves", json!([]), 400, "malformed", None),
        (
            "/v1/hello",
            json!({ "source": source(1), "epoch": 1,
            "last_receipt": { "index": "0", "checkpoint": "not a note" } }),
            400,
            "receipt-not-ours",
            None,
        ),
    ] {
        let (found, answer) = json_of(place.post(path, &body).unwrap());
        assert_eq!((found, &answer["error"]), (status, &json!(error)), "{path} {body}");
        if let Some((name, value)) = more {
            assert_eq!(answer[name], json!(value));
        }
    }
    let huge = json!({ "source": "a".repeat(300_000) });
    assert_eq!(place.post("/v1/leaves", &huge).map_or(413, |(status, _)| status), 413);

    let until = Instant::now() + Duration::from_secs(10);
    while get(place.port, "/checkpoint").unwrap().0 != 200 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    for (path, status, length) in [
        ("/tile/0/000", 200, Some(8192)),
        ("/tile/0/001.p/44", 200, Some(44 * 32)),
        ("/tile/0/001.p/45", 404, None),
        ("/tile/0/001", 404, None),
        ("/tile/1/000.p/1", 200, Some(32)),
        ("/tile/entries/000", 200, Some(256 * 64)),
        // A width that no checkpoint ever had: a wider tile begins with it.
        ("/tile/entries/001.p/43", 200, Some(43 * 64)),
        ("/tile/0/../../log.db", 404, None),
        ("/v1/proof/00112233445566778899aabbccddeeff/1/0", 404, None),
        ("/v1/anchors/1", 404, None),
        ("/livez", 200, None),
        ("/metrics", 200, None),
    ] {
        let (found, body) = get(place.port, path).unwrap();
        assert_eq!(found, status, "{path}");
        if let Some(length) = length {
            assert_eq!(body.len(), length, "{path}");
        }
    }
    let proof = get(place.port, &format!("/v1/proof/{}/1/299", source(1))).unwrap();
    assert_eq!(json_of(proof).1["records"][0]["index"], json!("299"));
    // The write side is not on the port.
    assert_eq!(get(place.port, "/v1/hello").unwrap().0, 404);
    assert_eq!(running.terminate(), Some(0));
    assert!(place.fsck(None).status.success());
}

#[test]
fn a_user_who_is_not_allowed_writes_nothing() {
    let place = Place::new("allowed_uids = [4242]");
    let _running = place.start();
    for (path, body) in [("/v1/hello", json!({})), ("/v1/leaves", batch(1, 0, 1)), ("/v1/leaf", single(1, 0))] {
        let (status, answer) = json_of(place.post(path, &body).unwrap());
        assert_eq!((status, &answer["error"]), (403, &json!("peer-not-allowed")), "{path}");
    }
}

#[test]
fn a_source_that_is_not_allowed_writes_nothing() {
    let place = Place::new(&format!("allowed_sources = [\"{}\"]", source(1)));
    let _running = place.start();
    assert_eq!(place.hello(&source(1), None).unwrap().0, 200);
    let (status, answer) = json_of(place.post("/v1/leaves", &batch(2, 0, 1)).unwrap());
    assert_eq!((status, &answer["error"]), (403, &json!("source-not-allowed")));
    assert_eq!(place.post("/v1/leaves", &batch(1, 0, 1)).unwrap().0, 200);
}

#[test]
fn a_second_program_on_the_same_log_ends_with_a_sentence() {
    let place = Place::new("");
    let _running = place.start();
    let second = program().args(["serve", "--config"]).arg(place.path("config.toml")).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("held by another sidecar"));
    assert_eq!(place.hello(&source(1), None).unwrap().0, 200);
}

#[test]
fn a_lost_volume_is_refused_by_the_sources_receipt_and_the_program_ends() {
    let place = Place::new("");
    let running = place.start();
    place.hello(&source(1), None).unwrap();
    let (_, receipt) = json_of(place.post("/v1/leaves", &batch(1, 0, 3)).unwrap());
    assert_eq!(running.terminate(), Some(0));
    std::fs::remove_dir_all(place.path("log")).unwrap();

    let mut running = place.start();
    let checkpoint = receipt["checkpoint"].as_str().unwrap();
    // It may be gone before the answer is read; either way it ends, and says what to do.
    if let Ok(answer) = place.hello(&source(1), Some((2, checkpoint))) {
        assert_eq!(json_of(answer).1["error"], json!("log-behind"));
    }
    assert_eq!(running.child.wait().unwrap().code(), Some(1));
    assert!(place.errors().contains("put back the newest copy"), "{}", place.errors());
}

#[test]
fn usage_and_configuration_end_with_64() {
    let code = |arguments: &[&str]| program().args(arguments).output().unwrap().status.code();
    assert_eq!(code(&[]), Some(64));
    assert_eq!(code(&["serve"]), Some(64));
    assert_eq!(code(&["nonsense"]), Some(64));
    assert_eq!(code(&["serve", "--config", "/nonexistent"]), Some(64));
    assert_eq!(code(&["--help"]), Some(0));
    assert_eq!(code(&["config", "schema"]), Some(0));
    let place = Place::new("");
    let config = place.path("config.toml");
    assert_eq!(code(&["config", "check", "--config", config.to_str().unwrap()]), Some(0));
    std::fs::write(&config, "[log]\norigin = \"a b\"\n[ingest]\n[limits]\nbatch = 0\n").unwrap();
    let checked = program().args(["config", "check", "--config"]).arg(&config).output().unwrap();
    assert_eq!(checked.status.code(), Some(64));
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    for key in ["log.origin", "log.dir", "log.key_file", "ingest.socket", "limits.batch"] {
        assert!(said.contains(key), "{key}: {said}");
    }
}

#[test]
fn a_key_is_never_overwritten() {
    let place = Place::new("");
    let before = std::fs::read(place.path("log.key")).unwrap();
    let again =
        program().args(["keygen", "log", "--origin", "x", "--out"]).arg(place.path("log.key")).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(std::fs::read(place.path("log.key")).unwrap(), before);
}
