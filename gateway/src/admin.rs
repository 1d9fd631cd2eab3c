//! The admin port: health, metrics, the openings of events, and notifications of changed Consents. Plain HTTP on a port that clients never reach.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::middleware::DefaultHeaders;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use evidence::ids::{EventId, Sequence};
use futures_util::future::{BoxFuture, LocalBoxFuture};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use crate::explain::{Ask, Explanation};
use crate::glass::Reviews;
use crate::telemetry::Metrics;

mod break_glass;
/// Bytes of a notification that are read and dropped, and how long for.
const NOTICE_LIMIT: usize = 64 << 10;
const NOTICE_PATIENCE: Duration = Duration::from_secs(2);

/// One condition of readiness. It reads what others keep up to date, so it answers at once.
pub trait Check: Send + Sync {
    /// Its name in the list: `config`, `keys`, `journal`, `backlog`, `jwks`, `consent-source`, `enforcement`, …
    fn name(&self) -> &'static str;
    /// Whether it holds.
    fn state(&self) -> CheckState;
}

/// How a condition of readiness stands; reasons are words that hold no value of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckState {
    /// It holds.
    Holds,
    /// It holds as far as readiness goes, and somebody should know this.
    Noted(String),
    /// It does not hold: the gateway is not ready.
    Fails(String),
}

impl From<Result<(), String>> for CheckState {
    fn from(result: Result<(), String>) -> Self {
        result.map_or_else(Self::Fails, |()| Self::Holds)
    }
}

/// A [`Check`] out of a name and a function.
pub struct CheckFn<F>(pub &'static str, pub F);

impl<F: Fn() -> S + Send + Sync, S: Into<CheckState>> Check for CheckFn<F> {
    fn name(&self) -> &'static str {
        self.0
    }

    fn state(&self) -> CheckState {
        (self.1)().into()
    }
}

/// Who looked at what, for the `audit-read` event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Who: the holder of the admin token.
    pub by: &'static str,
    /// What: `openings`, `explain` or `replay`.
    pub what: &'static str,
    /// The request whose events are opened.
    pub request: Option<EventId>,
}

/// Why the audit shows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// It cannot be written or read now.
    #[error("the audit is not available")]
    Unavailable,
    /// A record is not what was recorded.
    #[error("record {sequence} was altered: {what}")]
    Altered {
        /// Its place in its epoch.
        sequence: Sequence,
        /// What differs, in words that hold no value of the record.
        what: &'static str,
    },
}

/// What the admin port needs of the journal.
pub trait Audit: Send + Sync {
    /// The tenant that the commitments carry.
    fn tenant(&self) -> String;
    /// Records a look. On `Ok` it is durable; nothing is shown before that (ARCHITECTURE.md, invariant 1).
    fn record(&self, look: Look) -> BoxFuture<'_, Result<(), AuditFault>>;
    /// The openings of a request's event and of all that refer to it, each as JSON; empty: no such request. Where one of
    /// them was altered none is given.
    fn openings(&self, request: EventId) -> BoxFuture<'_, Result<Vec<Box<RawValue>>, AuditFault>>;
}

/// Tells what each stage says of a token and a request.
pub trait Explain: Send + Sync {
    /// What they say; nothing of an answer is in it.
    fn explain<'a>(&'a self, ask: &'a Ask) -> LocalBoxFuture<'a, Explanation>;
}

/// What the admin port serves.
pub struct Admin {
    checks: Vec<Box<dyn Check>>,
    metrics: Arc<Metrics>,
    audit: Arc<dyn Audit>,
    explainer: Option<Arc<dyn Explain>>,
    token: Option<Token>,
    reviews: Option<Reviews>,
    notices: Option<Notices>,
}

/// SHA-256 of a token: compared in constant time, and the token itself is not kept.
struct Token([u8; 32]);

/// Who may say that a Consent was changed, and who is told.
struct Notices {
    token: Token,
    told: Box<dyn Fn() + Send + Sync>,
}

impl Token {
    fn of(token: &SecretString) -> Self {
        Self(digest(token.expose_secret()))
    }

    /// Whether a request bears it.
    fn admits(&self, request: &HttpRequest) -> bool {
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = header.and_then(|header| header.strip_prefix("Bearer "));
        given.is_some_and(|given| bool::from(self.0.ct_eq(&digest(given))))
    }
}

impl Admin {
    /// Puts it together; without a token nobody may open events.
    pub fn new(
        checks: Vec<Box<dyn Check>>,
        metrics: Arc<Metrics>,
        audit: Arc<dyn Audit>,
        token: Option<&SecretString>,
    ) -> Self {
        let token = token.map(Token::of);
        Self { checks, metrics, audit, explainer: None, token, reviews: None, notices: None }
    }

    /// The same port, on which break-glass grants are listed and reviewed.
    #[must_use]
    pub fn reviewing(self, reviews: Reviews) -> Self {
        Self { reviews: Some(reviews), ..self }
    }

    /// The same port, at which requests are explained too.
    #[must_use]
    pub fn explained_by(self, explainer: Arc<dyn Explain>) -> Self {
        Self { explainer: Some(explainer), ..self }
    }

    fn admits(&self, request: &HttpRequest) -> bool {
        self.token.as_ref().is_some_and(|token| token.admits(request))
    }

    /// Whoever bears this token may say that a Consent was changed, and then this is called; without it nobody may.
    #[must_use]
    pub fn with_notices(self, token: &SecretString, told: impl Fn() + Send + Sync + 'static) -> Self {
        Self { notices: Some(Notices { token: Token::of(token), told: Box::new(told) }), ..self }
    }
}

/// Starts to listen; the server runs when it is awaited or spawned, and the address tells the port that was free.
/// Signals are the caller's, who stops this port last.
pub fn serve(admin: Admin, listen: SocketAddr) -> std::io::Result<(Server, SocketAddr)> {
    let admin = web::Data::new(admin);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::clone(&admin))
            .wrap(security_headers())
            .configure(routes)
            .default_service(web::to(|| async { problem(StatusCode::NOT_FOUND, "not-found", "No such page.") }))
    })
    .workers(1)
    .disable_signals()
    .bind(listen)?;
    let address = server.addrs().first().copied().unwrap_or(listen);
    Ok((server.run(), address))
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/livez", web::get().to(livez))
        .route("/readyz", web::get().to(readyz))
        .route("/metrics", web::get().to(metrics))
        .route("/v1/openings/{request}", web::get().to(openings))
        .route("/v1/explain", web::post().to(explain))
        .route("/v1/replays", web::post().to(replays))
        .route("/consent-changed", web::post().to(consent_changed))
        .configure(break_glass::routes);
}

fn security_headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add(("Cache-Control", "no-store"))
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("X-Frame-Options", "DENY"))
        .add(("Referrer-Policy", "no-referrer"))
        .add(("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"))
}

/// The process answers; nothing else is asked.
async fn livez() -> HttpResponse {
    text(StatusCode::OK, "ok\n")
}

/// 200 when no check fails, else 503; `?verbose` lists them: `[+]` holds, `[!]` holds with a note, `[-]` fails.
async fn readyz(admin: web::Data<Admin>, request: HttpRequest) -> HttpResponse {
    let states: Vec<_> = admin.checks.iter().map(|check| (check.name(), check.state())).collect();
    let ready = !states.iter().any(|(_, state)| matches!(state, CheckState::Fails(_)));
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let verbose = request.query_string().split('&').any(|part| part == "verbose" || part.starts_with("verbose="));
    let mut body = String::new();
    if verbose {
        for (name, state) in states {
            match state {
                CheckState::Holds => body.push_str(&format!("[+] {name} ok\n")),
                CheckState::Noted(note) => body.push_str(&format!("[!] {name} ok, but: {note}\n")),
                CheckState::Fails(reason) => body.push_str(&format!("[-] {name} failed: {reason}\n")),
            }
        }
    }
    body.push_str(if ready { "ready\n" } else { "not ready\n" });
    text(status, body)
}

async fn metrics(admin: web::Data<Admin>) -> HttpResponse {
    match admin.metrics.render() {
        Ok(body) => {
            HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")).body(body)
        }
        Err(error) => {
            tracing::error!(%error, "metrics cannot be rendered");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "metrics", "The metrics cannot be rendered.")
        }
    }
}

#[derive(Serialize)]
struct Openings {
    tenant: String,
    openings: Vec<Box<RawValue>>,
}

/// The look is recorded before anything is read, so that also a look at nothing is known.
async fn openings(admin: web::Data<Admin>, path: web::Path<String>, request: HttpRequest) -> HttpResponse {
    if !admin.admits(&request) {
        return unauthorized("openings");
    }
    let Ok(id) = path.parse::<EventId>() else {
        return problem(StatusCode::BAD_REQUEST, "malformed", "The request id is a UUID.");
    };
    let look = Look { by: "admin-token", what: "openings", request: Some(id) };
    let opened = async {
        admin.audit.record(look).await?;
        admin.audit.openings(id).await
    };
    match opened.await {
        Ok(openings) if openings.is_empty() => {
            problem(StatusCode::NOT_FOUND, "not-found", "No event has this request id.")
        }
        Ok(openings) => HttpResponse::Ok().json(Openings { tenant: admin.audit.tenant(), openings }),
        Err(error @ AuditFault::Altered { sequence, what }) => {
            tracing::error!(%error, "events cannot be opened");
            let message = format!("NOT verified: record {sequence} of the journal was altered: {what}.");
            HttpResponse::Conflict().json(json!({ "error": "altered", "sequence": sequence, "message": message }))
        }
        Err(error @ AuditFault::Unavailable) => {
            tracing::error!(%error, "events cannot be opened");
            problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The audit is not available; try again later.")
        }
    }
}

/// What each stage says of a token and a request. The look is recorded before anything is looked at.
async fn explain(admin: web::Data<Admin>, body: web::Bytes, request: HttpRequest) -> HttpResponse {
    if !admin.admits(&request) {
        return unauthorized("explain");
    }
    let Some(explainer) = admin.explainer.clone() else {
        return problem(StatusCode::NOT_FOUND, "not-found", "No such page.");
    };
    // What is wrong with it is not told: it holds a token.
    let Ok(ask) = serde_json::from_slice::<Ask>(&body) else {
        let message = "The body is one JSON object: token, method, url, and purpose where it is narrowed.";
        return problem(StatusCode::BAD_REQUEST, "malformed", message);
    };
    if let Err(answer) = look(&admin, "explain").await {
        return answer;
    }
    HttpResponse::Ok().json(explainer.explain(&ask).await)
}

/// Puts on record that the journal is about to be read for a replay.
async fn replays(admin: web::Data<Admin>, request: HttpRequest) -> HttpResponse {
    if !admin.admits(&request) {
        return unauthorized("replay");
    }
    match look(&admin, "replay").await {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(answer) => answer,
    }
}

async fn look(admin: &Admin, what: &'static str) -> Result<(), HttpResponse> {
    admin.audit.record(Look { by: "admin-token", what, request: None }).await.map_err(|error| {
        tracing::error!(%error, what, "the look is not on record, so nothing is shown");
        problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The audit is not available; try again later.")
    })
}

/// The notification of a FHIR Subscription (R4 `rest-hook`; R5 and its backport): a Consent was changed. Which one is not
/// believed but asked of the server, so nothing of the body counts.
async fn consent_changed(admin: web::Data<Admin>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    let Some(notices) = &admin.notices else {
        return problem(StatusCode::FORBIDDEN, "not-configured", "Notifications are refused: no token is configured.");
    };
    if !notices.token.admits(&request) {
        tracing::warn!("a change of Consents was told without the token for it");
        return no_token("The token for notifications is needed.");
    }
    (notices.told)();
    // Read as far as it goes, so that the connection can be used again.
    let _ = tokio::time::timeout(NOTICE_PATIENCE, body.to_bytes_limited(NOTICE_LIMIT)).await;
    HttpResponse::NoContent().finish()
}

fn unauthorized(what: &'static str) -> HttpResponse {
    tracing::warn!(reason = what, "asked for without the admin token");
    no_token("The admin token is needed.")
}

fn no_token(message: &str) -> HttpResponse {
    let mut answer = problem(StatusCode::UNAUTHORIZED, "no-token", message);
    let challenge = actix_web::http::header::HeaderValue::from_static("Bearer realm=\"sealgate-admin\"");
    answer.headers_mut().insert(actix_web::http::header::WWW_AUTHENTICATE, challenge);
    answer
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

fn text(status: StatusCode, body: impl Into<String>) -> HttpResponse {
    HttpResponse::build(status).insert_header((CONTENT_TYPE, "text/plain; charset=utf-8")).body(body.into())
}

fn problem(status: StatusCode, error: &str, message: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({ "error": error, "message": message }))
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checks: Vec<_> = self.checks.iter().map(|check| check.name()).collect();
        f.debug_struct("Admin").field("checks", &checks).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
