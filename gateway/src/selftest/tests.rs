#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;

use clap::Parser;

use super::*;

const EVENT: &str = "0199a2b4-0000-7000-8000-000000000001";

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

/// A gateway that answers as it is told: status and headers out of path and token. What it must never do is easier to play than to bring about.
fn gateway(answer: impl Fn(&str, Option<&str>) -> (u16, String) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let path = lines.next().and_then(|line| line.split(' ').nth(1).map(str::to_owned)).unwrap_or_default();
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let token = head.iter().find_map(|line| line.strip_prefix("authorization: Bearer "));
            let (status, headers) = answer(&path, token);
            let body = "[-] jwks failed: no keys\n";
            let text = format!(
                "HTTP/1.1 {status} x\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(text.as_bytes()).unwrap();
        }
    });
    address
}

/// What a sound gateway answers.
fn sound(path: &str, token: Option<&str>) -> (u16, String) {
    let event = format!("x-request-id: {EVENT}\r\n");
    match (path, token) {
        ("/readyz?verbose", _) => (200, String::new()),
        (_, None) => (401, format!("{event}www-authenticate: Bearer\r\n")),
        ("/fhir/Patient/open", Some("the-token")) => (200, event),
        (_, Some(_)) => (404, event),
    }
}

fn tried(address: &str, more: &[&str]) -> (Result<(), SelfTestFault>, String) {
    let (base, admin) = (format!("--base={address}/fhir"), format!("--admin={address}"));
    let line = ["selftest", &base, &admin, "--wait-seconds=0"].into_iter().chain(more.iter().copied());
    let mut out = Vec::new();
    let arguments = Line::try_parse_from(line).unwrap_or_else(|error| panic!("{error}")).arguments;
    let ended = run(&arguments, &mut out);
    (ended, String::from_utf8(out).unwrap())
}

/// The whole self-test against this gateway: how it ended, and what the request file then holds.
fn whole(address: &str) -> (Result<(), SelfTestFault>, Option<String>) {
    let folder = tempfile::tempdir().unwrap();
    let (token, request) = (folder.path().join("token"), folder.path().join("request-id"));
    std::fs::write(&token, "the-token\n").unwrap();
    let (token, file) = (format!("--token-file={}", token.display()), format!("--request-file={}", request.display()));
    let (ended, _) = tried(address, &[&token, &file, "--allowed=Patient/open", "--denied=Patient/closed"]);
    (ended, std::fs::read_to_string(request).ok())
}

#[test]
fn a_sound_gateway_passes_and_its_event_is_noted() {
    let address = gateway(sound);
    let (ended, event) = whole(&address);
    ended.unwrap();
    assert_eq!(event.as_deref(), Some(&*format!("{EVENT}\n")));
    let (ended, said) = tried(&address, &[]);
    ended.unwrap();
    assert_eq!(said, "ok: ready\nok: without a token 401\nok: no token was given, so nothing else was tried\n");
}

#[test]
fn a_gateway_that_lets_anybody_in_does_not_pass() {
    let open = gateway(|path, token| sound(path, token.or(Some("the-token"))));
    let (ended, event) = whole(&open);
    let fault = ended.unwrap_err().to_string();
    assert_eq!((fault.as_str(), event), ("a read without a token: expected 401, answered 404", None));
}

#[test]
fn a_gateway_that_shows_what_is_hidden_does_not_pass() {
    let leaking = gateway(|path, token| match token {
        Some(_) => sound("/fhir/Patient/open", token),
        None => sound(path, token),
    });
    let (ended, event) = whole(&leaking);
    let fault = ended.unwrap_err().to_string();
    assert_eq!((fault.as_str(), event), ("a read of what Consent hides: expected 404 or 403, answered 200", None));
}

#[test]
fn a_gateway_that_hides_everything_or_records_nothing_does_not_pass() {
    let closed =
        gateway(|path, token| if path.ends_with("open") { (404, sound("/", token).1) } else { sound(path, token) });
    assert!(matches!(whole(&closed).0, Err(SelfTestFault::Answered { expected: "200", status: 404, .. })));
    let unrecorded = gateway(|path, token| match token {
        Some(_) => (sound(path, token).0, String::new()),
        None => sound(path, token),
    });
    assert!(matches!(whole(&unrecorded).0, Err(SelfTestFault::Lacks { what: "X-Request-Id", .. })));
}

#[test]
fn a_gateway_that_is_not_ready_says_why() {
    let starting = gateway(|_, _| (503, String::new()));
    let (ended, said) = tried(&starting, &[]);
    assert_eq!(ended.unwrap_err().to_string(), "the gateway was not ready after 0 s:\n[-] jwks failed: no keys");
    assert_eq!(said, "");
    let (ended, _) = tried("http://127.0.0.1:1", &[]);
    assert!(matches!(ended, Err(SelfTestFault::Silent { step: "readiness", .. })));
}

#[test]
fn what_belongs_together_is_given_together() {
    let base = ["selftest", "--base=http://127.0.0.1:1", "--admin=http://127.0.0.1:1"];
    for more in [&["--token-file=t"][..], &["--allowed=Patient/open"], &["--allowed=../open", "--token-file=t"]] {
        assert!(Line::try_parse_from(base.iter().chain(more)).is_err(), "{more:?}");
    }
}
