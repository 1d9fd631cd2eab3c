#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use serde_json::Value;

use super::*;

const KNOWN: &str = "018f4f3e-7c1a-7b3d-8a2e-0123456789ab";
/// A request whose record somebody altered.
const ALTERED: &str = "018f4f3e-7c1a-7b3d-8a2e-0123456789ac";
const TOKEN: &str = "a-token-that-nobody-guesses";
const NOTICE_TOKEN: &str = "another-token-that-nobody-guesses";

/// A journal that knows one request; it notes looks and can be told to fail.
#[derive(Default)]
struct Journal {
    looks: Mutex<Vec<Look>>,
    full: AtomicBool,
}

impl Audit for Journal {
    fn tenant(&self) -> String {
        "hospital".to_owned()
    }

    fn record(&self, look: Look) -> BoxFuture<'_, Result<(), AuditFault>> {
        Box::pin(async move {
            if self.full.load(Ordering::SeqCst) {
                return Err(AuditFault::Unavailable);
            }
            self.looks.lock().unwrap().push(look);
            Ok(())
        })
    }

    fn openings(&self, request: EventId) -> BoxFuture<'_, Result<Vec<Box<RawValue>>, AuditFault>> {
        let found = match request.to_string().as_str() {
            KNOWN => Ok(vec![RawValue::from_string("{\"event\":{\"v\":1.0}}".to_owned()).unwrap()]),
            ALTERED => Err(AuditFault::Altered { sequence: Sequence::new(7), what: "its commitment" }),
            _ => Ok(Vec::new()),
        };
        Box::pin(async move { found })
    }
}

/// Counts how often it was asked.
#[derive(Default)]
struct Explained(AtomicU32);

impl Explain for Explained {
    fn explain<'a>(&'a self, _ask: &'a Ask) -> LocalBoxFuture<'a, Explanation> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Explanation::default() })
    }
}

struct Port {
    address: SocketAddr,
    journal: Arc<Journal>,
    explained: Arc<Explained>,
    healthy: Arc<AtomicBool>,
    notices: Arc<AtomicUsize>,
}

impl Port {
    fn open(token: Option<&str>) -> Self {
        let (journal, healthy) = (Arc::new(Journal::default()), Arc::new(AtomicBool::new(true)));
        let own = Arc::clone(&healthy);
        let state =
            move || if own.load(Ordering::SeqCst) { Ok(()) } else { Err("backlog of 5 events is over 4".to_owned()) };
        let feed = CheckFn("audit-events", || CheckState::Noted("3 events wait".to_owned()));
        let checks: Vec<Box<dyn Check>> = vec![
            Box::new(CheckFn("config", || CheckState::Holds)),
            Box::new(CheckFn("backlog", state)),
            Box::new(feed),
        ];
        let token = token.map(|token| SecretString::from(token.to_owned()));
        let audit: Arc<dyn Audit> = Arc::<Journal>::clone(&journal);
        let metrics = Arc::new(Metrics::new(None).unwrap());
        metrics.redactions(3);
        let notices = Arc::new(AtomicUsize::new(0));
        let explained = Arc::new(Explained::default());
        let explainer: Arc<dyn Explain> = Arc::<Explained>::clone(&explained);
        let mut admin = Admin::new(checks, metrics, audit, token.as_ref()).explained_by(explainer);
        if token.is_some() {
            let count = Arc::clone(&notices);
            let told = move || {
                count.fetch_add(1, Ordering::SeqCst);
            };
            admin = admin.with_notices(&SecretString::from(NOTICE_TOKEN.to_owned()), told);
        }
        assert!(!format!("{admin:?}").contains(TOKEN) && !format!("{admin:?}").contains(NOTICE_TOKEN));
        let (server, address) = serve(admin, "127.0.0.1:0".parse().unwrap()).unwrap();
        actix_web::rt::spawn(server);
        Self { address, journal, explained, healthy, notices }
    }

    async fn notify(&self, authorization: Option<&str>, body: Vec<u8>) -> u16 {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.post(format!("http://{}/consent-changed", self.address)).body(body);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        request.send().await.unwrap().status().as_u16()
    }

    async fn ask(&self, path: &str, authorization: Option<&str>) -> (u16, String, reqwest::header::HeaderMap) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.get(format!("http://{}{path}", self.address));
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        (status, answer.text().await.unwrap(), headers)
    }
}

#[actix_web::test]
async fn health_is_told_in_short_and_in_full() {
    let port = Port::open(None);
    let (status, body, headers) = port.ask("/livez", None).await;
    assert_eq!((status, body.as_str()), (200, "ok\n"));
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ] {
        assert_eq!(headers.get(name).unwrap(), value, "{name}");
    }
    assert!(headers.get("server").is_none());
    assert_eq!(port.ask("/readyz", None).await.1, "ready\n", "a note is no failure");
    port.healthy.store(false, Ordering::SeqCst);
    let (status, body, _) = port.ask("/readyz", None).await;
    assert_eq!((status, body.as_str()), (503, "not ready\n"));
    let (status, body, _) = port.ask("/readyz?verbose", None).await;
    let listed = "[+] config ok\n[-] backlog failed: backlog of 5 events is over 4\n[!] audit-events ok, but: 3 events wait\nnot ready\n";
    assert_eq!((status, body.as_str()), (503, listed));
    assert_eq!(port.ask("/livez", None).await.0, 200, "not being ready is no reason to be killed");
    assert!(port.ask("/metrics", None).await.1.contains("sealgate_redactions_total 3"));
    let (status, body, headers) = port.ask("/nothing", None).await;
    assert_eq!((status, body.contains("not-found"), headers.contains_key("x-frame-options")), (404, true, true));
}

#[actix_web::test]
async fn openings_need_the_token_and_every_look_is_recorded_first() {
    let port = Port::open(Some(TOKEN));
    let path = format!("/v1/openings/{KNOWN}");
    for authorization in [
        None,
        Some(String::new()),
        Some("Bearer ".to_owned()),
        Some(format!("Bearer {}", TOKEN.to_uppercase())),
        Some(format!("Bearer {TOKEN}x")),
        Some(format!("Basic {TOKEN}")),
        Some(TOKEN.to_owned()),
    ] {
        let (status, body, headers) = port.ask(&path, authorization.as_deref()).await;
        assert_eq!(status, 401, "{authorization:?}");
        assert!(headers.contains_key("www-authenticate") && !body.contains("event"), "{body}");
    }
    assert!(port.journal.looks.lock().unwrap().is_empty());

    let bearer = format!("Bearer {TOKEN}");
    let (status, body, _) = port.ask(&path, Some(&bearer)).await;
    assert_eq!((status, body.as_str()), (200, "{\"tenant\":\"hospital\",\"openings\":[{\"event\":{\"v\":1.0}}]}"));
    let look = Look { by: "admin-token", what: "openings", request: Some(KNOWN.parse().unwrap()) };
    assert_eq!(*port.journal.looks.lock().unwrap(), [look]);

    let (status, body, _) = port.ask("/v1/openings/018f4f3e-7c1a-7b3d-8a2e-000000000000", Some(&bearer)).await;
    let error: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, error.get("error").unwrap().as_str()), (404, Some("not-found")));
    assert_eq!(port.journal.looks.lock().unwrap().len(), 2, "a look at nothing is a look");
    assert_eq!(port.ask("/v1/openings/all", Some(&bearer)).await.0, 400);

    port.journal.full.store(true, Ordering::SeqCst);
    let (status, body, _) = port.ask(&path, Some(&bearer)).await;
    assert_eq!(status, 503);
    assert!(!body.contains("event"), "what cannot be recorded is not shown: {body}");
}

#[actix_web::test]
async fn explanations_need_the_token_and_are_recorded_first() {
    let port = Port::open(Some(TOKEN));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = async |path: &str, token: &str, body: &str| {
        let request = client.post(format!("http://{}{path}", port.address)).bearer_auth(token);
        let answer = request.body(body.to_owned()).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let ask = r#"{"token": "header.claims.signature", "method": "GET", "url": "Observation/x"}"#;
    for path in ["/v1/explain", "/v1/replays"] {
        assert_eq!(post(path, "another", ask).await.0, 401, "{path}");
    }
    for malformed in ["", "{", r#"{"token": "header.claims.signature"}"#, &ask.replace("url", "uri")] {
        let (status, body) = post("/v1/explain", TOKEN, malformed).await;
        assert_eq!(status, 400, "{malformed}");
        assert!(!body.contains("signature"), "{body}");
    }
    assert!(port.journal.looks.lock().unwrap().is_empty());
    assert_eq!(port.explained.0.load(Ordering::SeqCst), 0);

    assert_eq!(post("/v1/explain", TOKEN, ask).await.0, 200);
    assert_eq!(post("/v1/replays", TOKEN, "").await.0, 204);
    let look = |what| Look { by: "admin-token", what, request: None };
    assert_eq!(*port.journal.looks.lock().unwrap(), [look("explain"), look("replay")]);
    assert_eq!(port.explained.0.load(Ordering::SeqCst), 1);

    port.journal.full.store(true, Ordering::SeqCst);
    for path in ["/v1/explain", "/v1/replays"] {
        assert_eq!(post(path, TOKEN, ask).await.0, 503, "{path}");
    }
    assert_eq!(port.explained.0.load(Ordering::SeqCst), 1, "what cannot be recorded is not explained");
}

#[actix_web::test]
async fn an_altered_record_is_named_and_nothing_of_it_is_shown() {
    let port = Port::open(Some(TOKEN));
    let (status, body, _) = port.ask(&format!("/v1/openings/{ALTERED}"), Some(&format!("Bearer {TOKEN}"))).await;
    let error: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &error["error"], &error["sequence"]), (409, &"altered".into(), &"7".into()));
    assert_eq!(error["message"], "NOT verified: record 7 of the journal was altered: its commitment.");
    assert!(error.get("openings").is_none());
}

#[actix_web::test]
async fn without_a_configured_token_nothing_is_opened() {
    let port = Port::open(None);
    for authorization in [None, Some("Bearer "), Some("Bearer x")] {
        assert_eq!(port.ask(&format!("/v1/openings/{KNOWN}"), authorization).await.0, 401);
    }
}

#[actix_web::test]
async fn who_bears_the_token_for_notices_is_heard_whatever_the_body_is() {
    let port = Port::open(Some(TOKEN));
    for wrong in [None, Some(""), Some("Bearer "), Some("Bearer a-token-that-nobody-guesses"), Some(NOTICE_TOKEN)] {
        assert_eq!(port.notify(wrong, Vec::new()).await, 401, "{wrong:?}");
    }
    assert_eq!(port.notices.load(Ordering::SeqCst), 0);
    let bearer = format!("Bearer {NOTICE_TOKEN}");
    for body in [Vec::new(), b"{not even JSON".to_vec(), vec![b' '; NOTICE_LIMIT]] {
        assert_eq!(port.notify(Some(&bearer), body).await, 204);
    }
    assert_eq!(port.notices.load(Ordering::SeqCst), 3);
    assert_eq!(port.ask("/consent-changed", Some(&bearer)).await.0, 404, "a GET tells nothing");
    let without = Port::open(None);
    assert_eq!(without.notify(Some(&bearer), Vec::new()).await, 403);
    assert_eq!(without.notices.load(Ordering::SeqCst), 0);
}
