//! prove → verify on real parts: the program, a real Ethereum node where there is one, and a gateway's answer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a failed expectation is a failed test; what is skipped is said loudly"
)]

mod sidecar;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use evidence::{
    canonical::to_canonical,
    commitment::commit,
    ids::{Salt, TenantId},
};
use serde_json::{Value, json};
use sidecar::{ORIGIN, Place, get, program, source};

const REQUEST: &str = "019aac3e-0000-7000-8000-000000000001";
/// The well-known first key of every development chain.
const FUNDED_KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// Two events of one request, as a gateway opens them.
fn openings() -> Value {
    let event = |n: u8| {
        json!({ "v": 1, "kind": "heartbeat", "id": format!("019aac3e-0000-7000-8000-00000000000{n}"),
            "at": "2026-01-01T00:00:00.000Z", "counters": { "requests": n.to_string(), "permits": "0",
            "refusals": "0", "redactions": "0", "events": "0", "bytes": "0" } })
    };
    let opening = |n: u8| {
        json!({ "event": event(n), "salt": format!("{n:02x}").repeat(32), "source": source(1), "epoch": 1,
            "sequence": (n - 1).to_string() })
    };
    json!({ "tenant": "north", "openings": [opening(1), opening(2)] })
}

fn commitments(openings: &Value) -> Vec<String> {
    let tenant: TenantId = openings["tenant"].as_str().unwrap().parse().unwrap();
    let all = openings["openings"].as_array().unwrap().iter();
    all.map(|opening| {
        let salt: Salt = opening["salt"].as_str().unwrap().parse().unwrap();
        commit(&tenant, &salt, &to_canonical(&opening["event"]).unwrap()).to_string()
    })
    .collect()
}

/// A gateway's admin address that knows one request and one token.
fn gateway(openings: Value) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let request = lines.next().unwrap_or_default();
            let bearer = lines.take_while(|line| !line.is_empty()).any(|line| {
                line.to_ascii_lowercase().starts_with("authorization:") && line.ends_with("Bearer let-me-in")
            });
            let (status, body) = match (bearer, request.contains(&format!("/v1/openings/{REQUEST} "))) {
                (true, true) => ("200 OK", openings.to_string()),
                (true, false) => ("404 Not Found", json!({ "message": "unknown request" }).to_string()),
                (false, _) => ("401 Unauthorized", "{}".to_owned()),
            };
            let length = body.len();
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        }
    });
    address
}

fn run(arguments: &[&str]) -> (i32, String) {
    let Output { status, stdout, stderr } = program().args(arguments).output().unwrap();
    let text = String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap();
    (status.code().unwrap(), text)
}

fn answer(arguments: &[&str], name: &str) -> String {
    let (code, text) = run(&[arguments, &["--format", "json"]].concat());
    assert_eq!(code, 0, "{arguments:?}: {text}");
    serde_json::from_str::<Value>(&text).unwrap()[name].as_str().unwrap().to_owned()
}

fn record(place: &Place, openings: &Value) {
    assert_eq!(place.hello(&source(1), None).unwrap().0, 200);
    let body = json!({ "source": source(1), "epoch": 1, "first": "0", "commitments": commitments(openings) });
    assert_eq!(place.post("/v1/leaves", &body).unwrap().0, 200);
}

fn prove(place: &Place, gateway: &str, token: &Path, out: &Path) -> (i32, String) {
    prove_of(&["--request", REQUEST], place, gateway, token, out)
}

/// As a file names the request, trying again for so long.
fn prove_from(file: &Path, wait: &str, place: &Place, gateway: &str, token: &Path, out: &Path) -> (i32, String) {
    let subject = ["--request-file", file.to_str().unwrap(), "--wait-seconds", wait];
    prove_of(&subject, place, gateway, token, out)
}

fn prove_of(subject: &[&str], place: &Place, gateway: &str, token: &Path, out: &Path) -> (i32, String) {
    let sidecar = format!("http://127.0.0.1:{}", place.port);
    let line = [
        "--gateway",
        gateway,
        "--admin-token-file",
        token.to_str().unwrap(),
        "--sidecar",
        &sidecar,
        "--out",
        out.to_str().unwrap(),
    ];
    run(&[&["prove"], subject, &line].concat())
}

#[test]
fn without_a_chain_content_and_place_are_verified_and_the_anchor_is_what_is_missing() {
    let place = Place::new("");
    let _running = place.start();
    let openings = openings();
    record(&place, &openings);
    let gateway = gateway(openings);
    let (token, out, trust) = (place.path("token"), place.path("p.json"), place.path("trust.json"));
    std::fs::write(&token, "wrong\n").unwrap();
    assert_eq!(prove(&place, &gateway, &token, &out).0, 1);
    std::fs::write(&token, "let-me-in\n").unwrap();
    assert_eq!(prove(&place, &gateway, &token, &out).0, 2);
    let request = place.path("request-id");
    assert_eq!(prove_from(&request, "0", &place, &gateway, &token, &out).0, 64, "there is no such file");
    std::fs::write(&request, "not an id").unwrap();
    assert_eq!(prove_from(&request, "0", &place, &gateway, &token, &out).0, 64);
    std::fs::write(&request, format!("{REQUEST}\n")).unwrap();
    let begun = Instant::now();
    assert_eq!(prove_from(&request, "3", &place, &gateway, &token, &out).0, 2, "there is no anchor to wait for");
    assert!(begun.elapsed() >= Duration::from_secs(3), "it did not wait");
    run(&["trust", "--config", place.path("config.toml").to_str().unwrap(), "--out", trust.to_str().unwrap()]);
    let verify = ["verify", out.to_str().unwrap(), "--trust", trust.to_str().unwrap(), "--format", "json"];
    let (code, text) = run(&verify);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (code, &report["content"]["verdict"], &report["logged"]["verdict"]),
        (3, &json!("verified"), &json!("verified")),
        "{text}"
    );

    // Whatever is changed is named, and the verdict is NOT verified.
    let good = std::fs::read_to_string(&out).unwrap();
    for (from, to) in [
        ("\"requests\":\"1\"", "\"requests\":\"9\""),
        ("\"tenant\":\"north\"", "\"tenant\":\"south\""),
        ("01010101", "01010102"),
        ("\"index\":\"0\"", "\"index\":\"00\""),
        ("{\"", "{ \""),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        std::fs::write(&out, bad).unwrap();
        let (code, text) = run(&verify);
        assert_eq!(code, 1, "{from}: {text}");
    }
    assert_eq!(run(&["verify", "/nonexistent", "--trust", trust.to_str().unwrap()]).0, 64);
}

struct Anvil {
    child: Child,
    rpc: String,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A real node; `None`, loudly, where there is none.
#[expect(clippy::disallowed_methods, reason = "a test is told by its environment where the node lies")]
fn anvil(place: &Place) -> Option<Anvil> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/contracts/node_modules/@foundry-rs");
    let installed = tools.join(format!(
        "anvil-{}-{}/bin/anvil",
        std::env::consts::OS,
        match std::env::consts::ARCH {
            "x86_64" => "amd64",
            _ => "arm64",
        }
    ));
    let path = std::env::var("SEALGATE_ANVIL").map_or(installed, PathBuf::from);
    if !path.exists() {
        eprintln!("SKIPPED: no anvil; set SEALGATE_ANVIL or run anchor-sidecar/contracts/check once");
        return None;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let log = std::fs::File::create(place.path("anvil.log")).unwrap();
    let child = Command::new(path)
        .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--block-time", "1", "--slots-in-an-epoch", "1"])
        .stdout(log)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let anvil = Anvil { child, rpc: format!("http://127.0.0.1:{port}") };
    let until = Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "anvil does not start");
        thread::sleep(Duration::from_millis(50));
    }
    Some(anvil)
}

#[test]
fn on_a_real_chain_an_access_is_verified_and_a_rolled_back_log_is_refused() {
    let place = Place::new("");
    let Some(anvil) = anvil(&place) else { return };
    let rpc = anvil.rpc.as_str();
    let (key, token) = (place.path("publisher.key"), place.path("token"));
    std::fs::write(&key, FUNDED_KEY).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(&token, "let-me-in").unwrap();
    let (key, config) = (key.to_str().unwrap().to_owned(), place.path("config.toml"));
    let skey = std::fs::read_to_string(place.path("log.key")).unwrap();
    let log_key = evidence::note::NoteSigner::from_skey(skey.trim()).unwrap().verifier().to_string();
    let contract = answer(&["deploy", "--rpc", rpc, "--key-file", &key], "contract");
    let register = ["register", "--rpc", rpc, "--key-file", &key, "--contract", &contract, "--log-key", &log_key];
    let log_id = answer(&[register.as_slice(), &["--origin", ORIGIN]].concat(), "log_id");
    assert_eq!(answer(&register, "log_id"), log_id);
    assert_eq!(run(&[register.as_slice(), &["--origin", "other"]].concat()).0, 64);
    let text = std::fs::read_to_string(&config).unwrap();
    let anchor = format!(
        "[anchor]\nrpc = [\"{rpc}\"]\ndanger_single_rpc = true\nchain_id = 31337\ncontract = \"{contract}\"\n\
         log_id = \"{log_id}\"\npublisher_key_file = \"{key}\"\ncadence_seconds = 2\n"
    );
    std::fs::write(&config, text + &anchor).unwrap();
    let config = config.to_str().unwrap();

    let running = place.start();
    let openings = openings();
    record(&place, &openings);
    let gateway = gateway(openings);
    let (out, trust) = (place.path("p.json"), place.path("trust.json"));
    assert_eq!(run(&["trust", "--config", config, "--out", trust.to_str().unwrap()]).0, 0);
    let verify = ["verify", out.to_str().unwrap(), "--trust", trust.to_str().unwrap()];
    let with_rpc = [verify.as_slice(), &["--rpc", rpc]].concat();

    // Waiting until it is final, and then for ever.
    assert_eq!(prove(&place, &gateway, &token, &out).0, 2);
    assert_eq!(run(&with_rpc).0, 2);
    let request = place.path("request-id");
    std::fs::write(&request, REQUEST).unwrap();
    let (code, text) = prove_from(&request, "60", &place, &gateway, &token, &out);
    assert_eq!(code, 0, "no final anchor: {text} {}", place.errors());
    let (code, text) = run(&with_rpc);
    assert_eq!(code, 0, "{text}");
    assert_eq!(run(&verify).0, 3, "without a block that is believed it cannot be checked");
    let bundle: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    let hash = bundle["anchors"][0]["anchor"]["block_hash"].as_str().unwrap().to_owned();
    assert_eq!(run(&[verify.as_slice(), &["--block-hash", &hash]].concat()).0, 0);
    assert_eq!(run(&[verify.as_slice(), &["--block-hash", &"11".repeat(32)]].concat()).0, 1);
    let sidecar = format!("http://127.0.0.1:{}", place.port);
    assert_eq!(run(&["anchors", "list", "--sidecar", &sidecar]).0, 0);
    assert_eq!(run(&["anchors", "status", "--sidecar", &sidecar]).0, 0);
    assert_eq!(run(&["fsck", "--config", config, "--chain"]).0, 0);
    let checkpoint = String::from_utf8(get(place.port, "/checkpoint").unwrap().1).unwrap();
    assert!(checkpoint.starts_with(&format!("{ORIGIN}\n2\n")), "{checkpoint}");
    assert_eq!(running.terminate(), Some(0));

    // A volume that lost what was anchored: the chain knows, without any source.
    std::fs::rename(place.path("log"), place.path("log.lost")).unwrap();
    let (code, said) = run(&["serve", "--config", config]);
    assert_eq!(code, 1);
    assert!(said.contains("put back the newest copy"), "{said}");
}
