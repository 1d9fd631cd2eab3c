//! Bad bodies and broken transfers: nothing is written, and it is told why.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::told::{self, Caller, OPEN, held, refusal, refused};
use crate::demo::cast::Role;
use crate::harness::fhir::{Answer, Fhir};
use crate::harness::gateway::Gateway;
use crate::harness::stack::Stack;

/// A value that stands in these bodies, and in no log.
const MARKER: &str = "zq7392marker";

/// A body that is refused, under its content type.
struct Bad {
    what: &'static str,
    body: Vec<u8>,
    status: u16,
    rule: &'static str,
}

fn bad(what: &'static str, body: impl Into<Vec<u8>>, status: u16, rule: &'static str) -> Bad {
    Bad { what, body: body.into(), status, rule }
}

/// Malformed, ambiguous, foreign and oversized bodies are refused by name; the server holds what it held.
pub(super) async fn nothing_bad_is_written(stack: &mut Stack) -> Result<()> {
    let more = json!({"server": {"limits": {"body": "64 KiB"}}});
    let mut gateway = Gateway::start(told::second(stack, "bad-bodies", stack.upstream.base(), &more)?).await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let direct = stack.direct()?;
    let before = held(&direct, OPEN).await?;
    let good = direct.read(OPEN).await?;
    let text = good.to_string();
    for bad in bodies(&good, &text)? {
        let answer = put(&doctor, Some("application/fhir+json"), bad.body).await.context(bad.what)?;
        let expected = refusal(bad.status, bad.rule);
        refused(&gateway, &answer, expected, Caller::Known).await.context(bad.what)?;
        told::silent("the answer", &String::from_utf8_lossy(&answer.body), &[MARKER])?;
    }
    let types = [
        None,
        Some("text/plain"),
        Some("application/xml"),
        Some("application/fhir+xml"),
        Some("application/x-www-form-urlencoded"),
        Some("application/json-patch+json"),
        Some("application/fhir+json; charset=iso-8859-1"),
        Some("application/fhir+json; fhirVersion=3.0"),
    ];
    for content_type in types {
        let answer = put(&doctor, content_type, text.clone()).await?;
        let expected = refusal(415, "content-type");
        refused(&gateway, &answer, expected, Caller::Known).await.with_context(|| format!("{content_type:?}"))?;
    }
    let json_type = ("content-type", "application/fhir+json");
    type Row<'a> = (&'a [(&'a str, &'a str)], u16, &'static str);
    let rows: [Row<'_>; 5] = [
        (&[json_type, ("content-encoding", "gzip")], 415, "body-encoded"),
        (&[json_type, ("if-match", "W/\"99999\"")], 412, "version-conflict"),
        (&[json_type, ("if-match", "W/\"1\""), ("if-match", "W/\"2\"")], 400, "header-malformed"),
        (&[json_type, ("content-type", "text/plain")], 400, "header-malformed"),
        (&[json_type, ("x-http-method-override", "DELETE")], 400, "method-override"),
    ];
    for (headers, status, rule) in rows {
        let request = headers
            .iter()
            .fold(doctor.request(Method::PUT, OPEN), |request, (name, value)| request.header(*name, *value))
            .body(text.clone());
        let answer = Fhir::send(request).await?;
        refused(&gateway, &answer, refusal(status, rule), Caller::Known)
            .await
            .with_context(|| format!("{headers:?}"))?;
    }
    let form = doctor
        .request(Method::POST, "Observation/_search")
        .header("content-type", "application/json")
        .body("patient=Patient/alder");
    refused(&gateway, &Fhir::send(form).await?, refusal(415, "content-type"), Caller::Known).await.context("form")?;
    let form = doctor
        .request(Method::POST, "Observation/_search")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(b"patient=\xff\xfe".to_vec());
    refused(&gateway, &Fhir::send(form).await?, refusal(400, "query-encoding"), Caller::Known).await.context("form")?;
    ensure!(held(&direct, OPEN).await? == before, "the server holds something else now");
    told::silent("the log", &gateway.process()?.output()?, &[MARKER, "alder", "Patient/"])?;
    gateway.stop().await
}

fn bodies(good: &Value, text: &str) -> Result<Vec<Bad>> {
    let with = |name: &str, value: Value| -> String {
        let mut changed = good.clone();
        if let Some(changed) = changed.as_object_mut() {
            changed.insert(name.to_owned(), value);
            changed.retain(|_, value| !value.is_null());
        }
        changed.to_string()
    };
    let tail = text.strip_prefix('{').context("a resource")?;
    let spliced = |first: &[u8]| -> Vec<u8> { [b"{", first, b",", tail.as_bytes()].concat() };
    let half: String = text.chars().take(text.chars().count() / 2).collect();
    let malformed = "body-malformed";
    Ok(vec![
        bad("nothing", "", 400, malformed),
        bad("a space", " ", 400, malformed),
        bad("no JSON", MARKER, 400, malformed),
        bad("half of it", half, 400, malformed),
        bad("a comma too many", text.replacen('{', "{,", 1), 400, malformed),
        bad("something after it", format!("{text}{{\"{MARKER}\":1}}"), 400, malformed),
        bad("a null byte after it", [text.as_bytes(), b"\0"].concat(), 400, malformed),
        bad("a byte order mark", format!("\u{feff}{text}"), 400, malformed),
        bad("resourceType twice", spliced(br#""resourceType":"Patient""#), 400, malformed),
        bad("subject twice", spliced(br#""subject":{"reference":"Patient/cedar"}"#), 400, malformed),
        bad("subject twice, once escaped", spliced(br#""s\u0075bject":{"reference":"Patient/cedar"}"#), 400, malformed),
        bad("a key twice below", spliced(br#""note":[{"text":"a","text":"zq7392marker"}]"#), 400, malformed),
        bad("no UTF-8", spliced(b"\"note\":[{\"text\":\"zq7392marker\xff\xfe\"}]"), 400, malformed),
        bad("an overlong encoding", spliced(b"\"note\":[{\"text\":\"\xc0\xaf\"}]"), 400, malformed),
        bad("half a surrogate pair", spliced(br#""note":[{"text":"\ud800"}]"#), 400, malformed),
        bad("a line end in a string", spliced(b"\"note\":[{\"text\":\"a\nb\"}]"), 400, malformed),
        bad("NaN", spliced(br#""valueInteger":NaN"#), 400, malformed),
        bad("nested too deeply", format!("{}{}", "[".repeat(5000), "]".repeat(5000)), 400, malformed),
        bad("a list", "[]", 400, "body-not-fhir"),
        bad("a string", format!("\"{MARKER}\""), 400, "body-not-fhir"),
        bad("null", "null", 400, "body-not-fhir"),
        bad("no resourceType", with("resourceType", Value::Null), 400, "body-not-fhir"),
        bad("an unknown resourceType", with("resourceType", json!(MARKER)), 400, "body-not-fhir"),
        bad("a number as resourceType", with("resourceType", json!(7)), 400, "body-not-fhir"),
        bad("another resourceType", with("resourceType", json!("Condition")), 400, "body-other-type"),
        bad("another id", with("id", json!("cedar-bp")), 400, "body-other-id"),
        bad("an id in other letters", with("id", json!("Alder-bp")), 400, "body-other-id"),
        bad("no id", with("id", Value::Null), 400, "body-other-id"),
        bad("another patient", with("subject", json!({"reference": "Patient/juniper"})), 403, "owner-change"),
        bad("no patient", with("subject", Value::Null), 403, "owner-change"),
        bad("over the limit", with("note", json!([{"text": "a".repeat(70 << 10)}])), 413, "body-too-large"),
    ])
}

async fn put(doctor: &Fhir, content_type: Option<&str>, body: impl Into<reqwest::Body>) -> Result<Answer> {
    let mut request = doctor.request(Method::PUT, OPEN).body(body);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    Fhir::send(request).await
}

/// Bodies that end early and transfers that two parties may read differently: nothing is written, and what follows on
/// the connection is no second request.
pub(super) async fn broken_transfers_write_nothing(stack: &mut Stack) -> Result<()> {
    let more = json!({"server": {"limits": {"header_timeout": "2s"}}});
    let mut gateway = Gateway::start(told::second(stack, "transfers", stack.upstream.base(), &more)?).await?;
    let token = stack.issuer.token(&Role::Doctor.claims())?;
    let direct = stack.direct()?;
    let before = held(&direct, OPEN).await?;
    let absent = held(&direct, "Observation/zq7392marker").await?;
    ensure!(absent.0 == StatusCode::NOT_FOUND, "left over from before");
    let body = direct.read(OPEN).await?.to_string();
    let length = body.len();
    let head = |more: &str| {
        format!(
            "PUT /fhir/{OPEN} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {token}\r\ncontent-type: application/fhir+json\r\n{more}\r\n"
        )
    };
    let smuggled = format!(
        "DELETE /fhir/{OPEN} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {token}\r\ncontent-length: 0\r\n\r\n"
    );
    let half: String = body.chars().take(length / 2).collect();
    // The body promises more than comes: the connection's sending side ends.
    let short = talk(&gateway, format!("{}{half}", head(&format!("content-length: {length}\r\n"))), true).await?;
    let chunked = head("transfer-encoding: chunked\r\n");
    let no_end = talk(&gateway, format!("{chunked}{length:x}\r\n{body}\r\n"), true).await?;
    let bad_chunk = talk(&gateway, format!("{chunked}zz\r\n{body}\r\n0\r\n\r\n"), false).await?;
    let huge_chunk = talk(&gateway, format!("{chunked}fffffffffffffffff\r\n{body}"), false).await?;
    let two_lengths = format!("content-length: {length}\r\ncontent-length: {}\r\n", length / 2);
    let two_lengths = talk(&gateway, format!("{}{body}{smuggled}", head(&two_lengths)), false).await?;
    let both = format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n");
    let both = talk(&gateway, format!("{}0\r\n\r\n{smuggled}", head(&both)), false).await?;
    let identity = format!("content-length: {length}\r\ntransfer-encoding: xchunked\r\n");
    let identity = talk(&gateway, format!("{}{half}{smuggled}", head(&identity)), true).await?;
    let signed = talk(&gateway, format!("{}{body}", head(&format!("content-length: +{length}\r\n"))), false).await?;
    let folded = talk(&gateway, head("x-folded: a\r\n content-length: 3\r\ncontent-length: 0\r\n"), false).await?;
    let spaced = talk(&gateway, format!("{}{body}", head(&format!("content-length : {length}\r\n"))), true).await?;
    let answers = [
        ("half a body", &short),
        ("no last chunk", &no_end),
        ("a chunk size of letters", &bad_chunk),
        ("a chunk size of 2^68", &huge_chunk),
        ("two lengths", &two_lengths),
        ("a length and chunks", &both),
        ("an unknown transfer coding", &identity),
        ("a length with a sign", &signed),
        ("a folded header", &folded),
        ("a space before the colon", &spaced),
    ];
    for (what, answer) in answers {
        let statuses: Vec<&str> = answer.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.split(' ').next()).collect();
        ensure!(
            statuses.len() <= 1 && statuses.iter().all(|status| status.starts_with('4') || *status == "501"),
            "{what}: answered {statuses:?}"
        );
        ensure!(held(&direct, OPEN).await? == before, "{what}: the server holds something else now");
    }
    // The two whose head is in order say why, under a request id that is on record.
    for (what, answer) in [("half a body", &short), ("no last chunk", &no_end)] {
        ensure!(answer.contains("\"body-truncated\""), "{what}: {answer}");
        let id = answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).context("no request id")?;
        let events = told::openings(&gateway, id.trim().parse()?).await?;
        ensure!(events.is_some(), "{what}: the request has no event");
    }
    // A head that never ends does not hold its connection for ever.
    let never = talk(&gateway, "GET /fhir/Patient HTTP/1.1\r\nhost: gateway\r\n".to_owned(), false).await?;
    ensure!(never.is_empty() || never.starts_with("HTTP/1.1 4"), "a head without end: {never}");
    let large = talk(&gateway, head(&format!("x-large: {}\r\n", "a".repeat(200 << 10))), false).await?;
    ensure!(large.is_empty() || large.starts_with("HTTP/1.1 4"), "a head of 200 KiB: {large}");
    let doctor = gateway.fhir(token.clone())?;
    told::serves(&doctor).await.context("after all that")?;
    told::silent("the log", &gateway.process()?.output()?, &[MARKER, "alder", "Patient/", &token])?;
    gateway.stop().await
}

/// Sends these bytes and reads until the other side has nothing more to say.
async fn talk(gateway: &Gateway, bytes: String, ends: bool) -> Result<String> {
    let address = gateway.url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/fhir")).context("address")?;
    let mut stream = TcpStream::connect(address).await?;
    // The other side may close in the middle of what it refuses.
    let _ = stream.write_all(bytes.as_bytes()).await;
    if ends {
        let _ = stream.shutdown().await;
    }
    let mut answer = Vec::new();
    let mut buffer = [0_u8; 4096];
    while let Ok(Ok(read)) = tokio::time::timeout(Duration::from_secs(3), stream.read(&mut buffer)).await {
        if read == 0 {
            break;
        }
        answer.extend_from_slice(buffer.get(..read).unwrap_or_default());
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
