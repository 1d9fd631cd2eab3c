//! An upstream that answers wrongly: nothing of it is released that was not decided on, and its words stay with us.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::faulty::{Fault, Faulty, fhir, http};
use super::told::{self, Caller, OPEN, Refusal, of_kind, refusal, refused};
use crate::demo::cast::Role;
use crate::harness::fhir::Fhir;
use crate::harness::gateway::Gateway;
use crate::harness::stack::Stack;

/// A value that the upstream says in its wrong answers, and that nobody else may repeat.
pub(super) const MARKER: &str = "zq7393marker";

const ONE: &str = "Condition?patient=Patient/alder&_id=alder-hypertension";

type Row = (&'static str, Fault, Refusal);

/// A gateway of the test's own before a server that answers as it is told to.
pub(super) struct Wrong {
    pub(super) gateway: Gateway,
    pub(super) upstream: Faulty,
    pub(super) doctor: Fhir,
}

impl Wrong {
    /// Starts both.
    pub(super) async fn start(stack: &Stack, name: &str, limits: &Value) -> Result<Self> {
        let upstream = Faulty::start(stack.upstream.base()).await?;
        let more = json!({
            "upstream": {"read_timeout": "1s", "max_response_entries": 60},
            "server": {"limits": limits},
        });
        let gateway = Gateway::start(told::second(stack, name, &upstream.base, &more)?).await?;
        let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
        Ok(Self { gateway, upstream, doctor })
    }

    /// What the real server answers, as if it came from here.
    pub(super) async fn said(&self, stack: &Stack, path: &str) -> Result<String> {
        let text = stack.direct()?.get(path).await?.success()?.body;
        Ok(String::from_utf8(text.to_vec())?.replace(stack.upstream.base(), &self.upstream.base))
    }

    async fn rows(&self, path: &str, begin: &str, rows: Vec<Row>) -> Result<()> {
        for (what, fault, expected) in rows {
            self.upstream.answers(begin, fault);
            let answer = self.doctor.get(path).await.context(what)?;
            self.upstream.behaves();
            told::silent("the answer", &String::from_utf8_lossy(&answer.body), &[MARKER]).context(what)?;
            told::silent("the headers", &format!("{:?}", answer.headers), &[MARKER]).context(what)?;
            refused(&self.gateway, &answer, expected, Caller::Known).await.context(what)?;
        }
        self.doctor.read(path).await.context("after all that").map(drop)
    }

    /// A searchset that goes on at any of these links is not released, and nothing outside of the base is asked for.
    async fn foreign(&self, bundle: &Value, links: &[String]) -> Result<()> {
        for link in links {
            let mut page = bundle.clone();
            let next = json!([{"relation": "next", "url": link}]);
            page.as_object_mut().context("a bundle")?.insert("link".to_owned(), next);
            self.upstream.seen();
            self.upstream.answers("GET Condition", fhir(200, page.to_string().as_bytes()));
            for path in [ONE, "Condition?code=38341003"] {
                let answer = self.doctor.get(path).await?;
                let outside: Vec<String> =
                    self.upstream.seen().into_iter().filter(|line| line.contains(" /")).collect();
                ensure!(outside.is_empty(), "{link} in {path}: asked for {outside:?}");
                let expected = refusal(502, "upstream-foreign-link");
                refused(&self.gateway, &answer, expected, Caller::Known)
                    .await
                    .with_context(|| format!("{link} in {path}"))?;
            }
            self.upstream.behaves();
        }
        Ok(())
    }

    /// Its log tells nothing; it ends.
    pub(super) async fn end(mut self) -> Result<()> {
        told::silent("the log", &self.gateway.process()?.output()?, &[MARKER, "alder", "Patient/"])?;
        self.gateway.stop().await
    }
}

fn json_as(content_type: &str, body: &[u8]) -> Fault {
    Fault::Says(http(200, &[("content-type", content_type)], body, body.len()))
}

/// Says this length for that body.
pub(super) fn claiming(body: &[u8], length: usize) -> Vec<u8> {
    http(200, &[("content-type", "application/fhir+json")], body, length)
}

/// What a server says of what it does not take.
pub(super) fn complaint() -> Vec<u8> {
    json!({"resourceType": "OperationOutcome", "id": "x", "issue": [{"severity": "error", "code": "processing",
        "diagnostics": format!("no such {MARKER} for Patient/alder"), "details": {"text": MARKER}}]})
    .to_string()
    .into_bytes()
}

/// Ways in which any answer can be wrong, whatever it should hold.
fn wrong_transfers(body: &str, malformed: &'static str) -> Vec<Row> {
    let bytes = body.as_bytes();
    let (half, _) = bytes.split_at(bytes.len() / 2);
    let html = format!("<html><body>{MARKER}</body></html>");
    let gzip =
        http(200, &[("content-type", "application/fhir+json"), ("content-encoding", "gzip")], bytes, bytes.len());
    let wide = http(200, &[("x-wide", &"a".repeat(1 << 20))], bytes, bytes.len());
    let not_fhir = refusal(502, "upstream-not-fhir");
    let unreachable = refusal(502, "upstream-unreachable");
    let late = refusal(504, "upstream-timeout");
    let failed = refusal(502, "upstream-failed");
    vec![
        ("silence", Fault::SaysAndHangs(Vec::new()), late),
        ("a head, then silence", Fault::SaysAndHangs(claiming(b"", bytes.len())), late),
        ("half of it, then silence", Fault::SaysAndHangs(claiming(half, bytes.len())), late),
        ("no answer", Fault::Closes, unreachable),
        ("no HTTP", Fault::Says(b"SSH-2.0-zq7393marker\r\n".to_vec()), unreachable),
        ("a head of a megabyte", Fault::Says(wide), unreachable),
        ("less than it says", Fault::Says(claiming(bytes, bytes.len() + 100)), refusal(502, "upstream-broken-off")),
        ("half of it", Fault::Says(claiming(half, bytes.len())), refusal(502, "upstream-broken-off")),
        ("more than it says", Fault::Says(claiming(bytes, bytes.len() - 1)), refusal(502, malformed)),
        ("nothing", fhir(200, b""), refusal(502, malformed)),
        ("junk after it", fhir(200, format!("{body}{MARKER}").as_bytes()), refusal(502, malformed)),
        ("itself twice", fhir(200, format!("{body}{body}").as_bytes()), refusal(502, malformed)),
        ("HTML", json_as("text/html", html.as_bytes()), not_fhir),
        ("HTML that calls itself FHIR", fhir(200, html.as_bytes()), refusal(502, malformed)),
        ("FHIR that calls itself HTML", json_as("text/html", bytes), not_fhir),
        ("FHIR in another charset", json_as("application/fhir+json; charset=utf-16", bytes), not_fhir),
        ("no content type", Fault::Says(http(200, &[], bytes, bytes.len())), not_fhir),
        ("compressed", Fault::Says(gzip), not_fhir),
        (
            "compressed and silent on it",
            fhir(200, b"\x1f\x8b\x08\x00\x00\x00\x00\x00zq7393marker"),
            refusal(502, malformed),
        ),
        ("no UTF-8", fhir(200, &[bytes, b"\xff"].concat()), refusal(502, malformed)),
        ("500 and its reasons", fhir(500, &complaint()), failed),
        ("401 and its reasons", fhir(401, &complaint()), failed),
        ("403 and its reasons", fhir(403, &complaint()), failed),
        ("204", fhir(204, b""), failed),
        ("206", fhir(206, bytes), failed),
        ("429", fhir(429, &complaint()), failed),
    ]
}

/// One resource: whatever is wrong with it, not a byte of it leaves.
pub(super) async fn resources_are_not_released(stack: &mut Stack) -> Result<()> {
    let wrong = Wrong::start(stack, "wrong-resources", &json!({"entry": "64 KiB"})).await?;
    let body = wrong.said(stack, OPEN).await?;
    let other = wrong.said(stack, "Observation/alder-weight").await?;
    let tail = body.strip_prefix('{').context("a resource")?;
    let mut large: Value = serde_json::from_str(&body)?;
    large.as_object_mut().context("a resource")?.insert("note".into(), json!([{"text": "a".repeat(70 << 10)}]));
    let mut nobodys: Value = serde_json::from_str(&body)?;
    nobodys.as_object_mut().context("a resource")?.remove("subject");
    let elsewhere = format!("http://127.0.0.1:9/{MARKER}");
    let redirect = http(302, &[("location", &elsewhere)], b"", 0);
    let twice = format!(r#"{{"subject":{{"reference":"Patient/cedar"}},{tail}"#);
    let (malformed, another) = (refusal(502, "upstream-malformed-resource"), refusal(502, "upstream-other-resource"));
    let mut rows = wrong_transfers(&body, "upstream-malformed-resource");
    rows.extend([
        ("its owner twice", fhir(200, twice.as_bytes()), malformed),
        ("no resource", fhir(200, br#"{"zq7393marker":1}"#), malformed),
        ("a list", fhir(200, b"[]"), malformed),
        ("another resource", fhir(200, other.as_bytes()), another),
        ("an outcome as if it were the resource", fhir(200, &complaint()), another),
        ("a bundle as if it were the resource", fhir(200, br#"{"resourceType":"Bundle","type":"searchset"}"#), another),
        ("larger than an entry may be", fhir(200, large.to_string().as_bytes()), refusal(404, "not-found")),
        ("nobody's", fhir(200, nobodys.to_string().as_bytes()), refusal(404, "not-found")),
        ("a redirect", Fault::Says(redirect), refusal(502, "upstream-failed")),
        ("404 and its reasons", fhir(404, &complaint()), refusal(404, "not-found")),
        ("410 and its reasons", fhir(410, &complaint()), refusal(404, "not-found")),
    ]);
    wrong.rows(OPEN, "GET Observation/alder-bp", rows).await?;
    wrong.end().await
}

/// A searchset: wrong where it ends, in an entry, or in where it leads.
pub(super) async fn bundles_are_not_released(stack: &mut Stack) -> Result<()> {
    let wrong = Wrong::start(stack, "wrong-bundles", &json!({"entry": "64 KiB", "request_timeout": "8s"})).await?;
    let body = wrong.said(stack, ONE).await?;
    let bundle: Value = serde_json::from_str(&body)?;
    let entry = bundle.pointer("/entry/0").context("no entry")?.clone();
    ensure!(entry.pointer("/resource/id") == Some(&json!("alder-hypertension")), "another entry");
    let with = |name: &str, value: Value| -> Vec<u8> {
        let mut changed = bundle.clone();
        if let Some(changed) = changed.as_object_mut() {
            changed.insert(name.to_owned(), value);
        }
        changed.to_string().into_bytes()
    };
    let tail = body.strip_prefix('{').context("a bundle")?;
    let unlabelled = entry.to_string();
    let entry_tail = unlabelled.strip_prefix('{').context("an entry")?;
    let with_entry =
        |entry: &str| format!(r#"{{"resourceType":"Bundle","type":"searchset","entry":[{entry}]}}"#).into_bytes();
    let (malformed, bad_entry) = (refusal(502, "upstream-malformed-bundle"), refusal(502, "upstream-malformed-entry"));
    let mut rows = wrong_transfers(&body, "upstream-malformed-bundle");
    rows.extend([
        ("an outcome as if it were the bundle", fhir(200, &complaint()), malformed),
        (
            "a resource as if it were the bundle",
            fhir(200, entry.get("resource").context("r")?.to_string().as_bytes()),
            malformed,
        ),
        ("entries twice", fhir(200, format!(r#"{{"entry":[],{tail}"#).as_bytes()), malformed),
        ("entries that are no list", fhir(200, &with("entry", json!({"resource": MARKER}))), malformed),
        ("an entry without resource", fhir(200, &with("entry", json!([{"fullUrl": MARKER}]))), bad_entry),
        ("an entry that is a string", fhir(200, &with("entry", json!([MARKER]))), malformed),
        (
            "an entry with its resource twice",
            fhir(200, &with_entry(&format!(r#"{{"resource":{{}},{entry_tail}"#))),
            bad_entry,
        ),
        ("400 and its reasons", fhir(400, &complaint()), refusal(400, "search-not-accepted")),
        ("422 and its reasons", fhir(422, &complaint()), refusal(400, "search-not-accepted")),
    ]);
    wrong.rows(ONE, "GET Condition", rows).await?;

    let base = wrong.upstream.base.clone();
    // Where a page leads: not to another host, not out of the base.
    let trap = TcpListener::bind(("127.0.0.1", 0)).await?;
    let other = trap.local_addr()?;
    let links = [
        format!("http://{other}/fhir?{MARKER}"),
        format!("http://{other}/fhir/Condition?page=2"),
        format!("//{other}/fhir/Condition?page=2"),
        "/other?page=2".to_owned(),
        format!("{base}.evil/Condition?page=2"),
        format!("{base}/../other?page=2"),
        format!("{base}/./../other?page=2"),
    ];
    wrong.foreign(&bundle, &links).await?;
    let called = tokio::time::timeout(Duration::from_millis(100), trap.accept()).await;
    ensure!(called.is_err(), "the gateway called the other host");

    // An outcome among the entries is the upstream's own business.
    let outcome: Value = serde_json::from_slice(&complaint())?;
    let both = json!([{"resource": outcome, "search": {"mode": "outcome"}}, entry, {"resource": outcome}]);
    wrong.upstream.answers("GET Condition", fhir(200, &with("entry", both)));
    let answer = wrong.doctor.get(ONE).await?.success()?;
    told::silent("the answer", &String::from_utf8_lossy(&answer.body), &[MARKER, "OperationOutcome"])?;
    let received = answer.json()?;
    ensure!(received.get("total") == Some(&json!(1)), "one match: {received}");
    wrong.upstream.behaves();
    wrong.end().await
}

/// A next link whose dot segments are encoded, or whose slashes are turned, leads out of the base all the same: the URL
/// standard's parser in the client undoes both (<https://url.spec.whatwg.org/#double-dot-path-segment>).
pub(super) async fn disguised_links_stay_under_the_base(stack: &mut Stack) -> Result<()> {
    let wrong = Wrong::start(stack, "disguised-links", &json!({})).await?;
    let bundle: Value = serde_json::from_str(&wrong.said(stack, ONE).await?)?;
    let base = wrong.upstream.base.clone();
    let links = ["%2e%2e/other", ".%2E/other", "%2E./other", "x/%2e%2E/%2e%2e/other", "x\\..\\..\\other"];
    wrong.foreign(&bundle, &links.map(|path| format!("{base}/{path}?page=2"))).await?;
    wrong.end().await
}

/// Pages that never end, with entries and without: the search is given up, and soon.
pub(super) async fn pages_that_never_end_are_given_up(stack: &mut Stack) -> Result<()> {
    let wrong = Wrong::start(stack, "endless", &json!({"request_timeout": "20s"})).await?;
    let bundle: Value = serde_json::from_str(&wrong.said(stack, ONE).await?)?;
    for entries in [true, false] {
        let mut page = bundle.clone();
        if let Some(page) = page.as_object_mut() {
            let next = format!("{}/Condition?page=again", wrong.upstream.base);
            page.insert("link".to_owned(), json!([{"relation": "next", "url": next}]));
            page.retain(|name, _| entries || name != "entry");
        }
        wrong.upstream.seen();
        wrong.upstream.answers("GET Condition", fhir(200, page.to_string().as_bytes()));
        let begin = Instant::now();
        let answer = wrong.doctor.get(ONE).await?;
        let (took, asked) = (begin.elapsed(), wrong.upstream.seen().len());
        wrong.upstream.behaves();
        refused(&wrong.gateway, &answer, refusal(502, "search-too-large"), Caller::Known)
            .await
            .with_context(|| format!("with entries: {entries}; {asked} pages in {} ms", took.as_millis()))?;
    }
    wrong.end().await
}

/// An answer in several windows that fails after the first one: the client cannot take it for whole, and what it got
/// is on record.
pub(super) async fn an_answer_that_fails_midway_is_aborted(stack: &mut Stack) -> Result<()> {
    let wrong = Wrong::start(stack, "midway", &json!({"window_entries": 4})).await?;
    let query = "Observation?patient=Patient/alder";
    let body = wrong.said(stack, &format!("{query}&_count=250")).await?;
    let bundle: Value = serde_json::from_str(&body)?;
    let entries = bundle.get("entry").and_then(Value::as_array).map_or(0, Vec::len);
    ensure!(entries > 8, "{entries} entries do not make several windows");
    let bytes = body.as_bytes();
    let (most, _) = bytes.split_at(bytes.len() - 200);
    let last = bundle.get("entry").and_then(Value::as_array).and_then(|entries| entries.last()).context("no entry")?;
    let last = last.to_string().replacen('{', r#"{"fullUrl":"zq7393marker","#, 1);
    let length = bytes.len();
    // The end comes when what stood before has left.
    let (most_of_list, _) = body.rsplit_once(']').context("a list")?;
    let then = |first: &str, then: &str| {
        let head = claiming(first.as_bytes(), first.len() + then.len());
        Fault::SaysAndThen(head, Duration::from_millis(400), then.as_bytes().to_vec())
    };
    let faults = [
        ("broken off", Fault::Says(claiming(most, length)), "upstream-failed"),
        ("silent at the end", Fault::SaysAndHangs(claiming(most, length)), "upstream-failed"),
        ("junk at the end", then(&body, MARKER), "filter-failed"),
        ("an ambiguous entry at the end", then(most_of_list, &format!(",{last}]}}")), "filter-failed"),
    ];
    for (what, fault, end) in faults {
        wrong.upstream.answers("GET Observation?", fault);
        let mut response = wrong.doctor.request(Method::GET, query).send().await.context(what)?;
        ensure!(response.status().is_success(), "{what}: {}", response.status());
        let id = response.headers().get("x-request-id").context("no request id")?.to_str()?.parse()?;
        let mut received = Vec::new();
        let whole = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => received.extend_from_slice(&chunk),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        wrong.upstream.behaves();
        ensure!(!whole, "{what}: the answer ends as if it were whole");
        ensure!(serde_json::from_slice::<Value>(&received).is_err(), "{what}: the answer reads as whole");
        let text = String::from_utf8_lossy(&received).into_owned();
        told::silent("the answer", &text, &[MARKER])?;
        let events = told::until(what, Duration::from_secs(5), async || {
            let events = told::openings(&wrong.gateway, id).await?.context("no events")?;
            Ok(told::end(&events).is_some().then_some(events))
        })
        .await?;
        ensure!(told::end(&events) == Some(end), "{what}: it ended {:?}", told::end(&events));
        let disclosed: Vec<&str> = of_kind(&events, "disclosure")
            .filter_map(|event| event.get("resources")?.as_array())
            .flatten()
            .filter_map(|resource| resource.get("reference")?.as_str())
            .collect();
        let got = text.matches("\"fullUrl\"").count();
        ensure!(got > 0 && disclosed.len() >= got, "{what}: {got} received, {} on record", disclosed.len());
    }
    wrong.doctor.read(query).await.context("after all that")?;
    wrong.end().await
}

/// A request that takes longer than it may: the client's request id leads to the event, and a write goes on to its end.
pub(super) async fn a_slow_request_is_on_record(stack: &mut Stack) -> Result<()> {
    let wrong = Wrong::start(stack, "slow", &json!({"request_timeout": "700ms"})).await?;
    let good = stack.direct()?.read(OPEN).await?;
    let mut missing = Vec::new();
    for method in [Method::GET, Method::PUT] {
        wrong.upstream.answers(&format!("{method} Observation/alder-bp"), Fault::Late(Duration::from_millis(900)));
        let answer = match method == Method::GET {
            true => wrong.doctor.get(OPEN).await?,
            false => wrong.doctor.write(Method::PUT, OPEN, &good).await?,
        };
        ensure!(answer.status.as_u16() == 503 && told::rule(&answer)? == "request-timeout", "{}", answer.status);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let id = told::request_id(&answer)?;
        match told::openings(&wrong.gateway, id).await? {
            None => missing.push(format!("{method}: request {id}, as the client knows it, has no event")),
            Some(events) if method == Method::PUT && told::end(&events) != Some("complete") => {
                bail!("the write ended {:?}", told::end(&events));
            }
            Some(_) => {}
        }
    }
    wrong.upstream.behaves();
    ensure!(missing.is_empty(), "{}", missing.join("; "));
    wrong.end().await
}
