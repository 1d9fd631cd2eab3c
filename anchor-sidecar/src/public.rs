//! The read side: checkpoint and tiles as C2SP has them, proofs, anchors, status, health and metrics.

use std::sync::Arc;

use actix_web::{HttpResponse, http::StatusCode, web};
use evidence::{
    ids::{Epoch, LogId, Origin, Sequence, SourceId, TreeSize},
    merkle::tile::{TileKind, TilePath},
};
use serde::{Deserialize, Serialize};

use crate::{
    anchors::{AnchorFileError, Anchors},
    log::Log,
    prove::{self, ProveError},
    sequence::size_of,
    tiles::{self, TileError},
};

/// Every way in which the read side says no.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("there is nothing at this path")]
    Absent,
    #[error(transparent)]
    Prove(#[from] ProveError),
    #[error(transparent)]
    Anchor(#[from] AnchorFileError),
    #[error(transparent)]
    Tile(#[from] TileError),
    #[error("the server is stopping")]
    Stopping,
}

impl actix_web::ResponseError for Unanswered {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Absent | Self::Prove(ProveError::Unknown | ProveError::NoSuchHead { .. }) => StatusCode::NOT_FOUND,
            Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Prove(_) | Self::Anchor(_) | Self::Tile(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let error = match self.status_code() {
            StatusCode::NOT_FOUND => "not-found",
            StatusCode::SERVICE_UNAVAILABLE => "stopping",
            _ => {
                // Paths and causes are for the operator; the asker learns only that it failed.
                tracing::error!(error = %self, "a read failed");
                return HttpResponse::InternalServerError()
                    .json(ErrorAnswer { error: "failed", message: "the log could not answer".into() });
            }
        };
        HttpResponse::build(self.status_code()).json(ErrorAnswer { error, message: self.to_string() })
    }
}

#[derive(Serialize)]
struct ErrorAnswer {
    error: &'static str,
    message: String,
}

/// The routes of the read side.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/checkpoint", web::get().to(checkpoint))
        .route("/tile/{rest:.*}", web::get().to(tile))
        .route("/v1/proof/{source}/{epoch}/{sequence}", web::get().to(proof))
        .route("/v1/anchors", web::get().to(anchor_list))
        .route("/v1/anchors/{seq}", web::get().to(anchor))
        .route("/v1/status", web::get().to(status))
        .route("/livez", web::get().to(livez))
        .route("/readyz", web::get().to(readyz))
        .route("/metrics", web::get().to(metrics));
}

/// `GET /checkpoint`: the head that strangers see (C2SP tlog-tiles, Checkpoints).
async fn checkpoint(log: web::Data<Log>) -> Result<HttpResponse, Unanswered> {
    let head = log.published().borrow().clone().ok_or(Unanswered::Absent)?;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header(("Cache-Control", "no-cache"))
        .body(head.checkpoint.clone()))
}

/// `GET /tile/…`: a tile or an entries tile, up to the published checkpoint (C2SP tlog-tiles, Merkle Tree, Log Entries).
async fn tile(log: web::Data<Log>, rest: web::Path<String>) -> Result<HttpResponse, Unanswered> {
    let tile: TilePath = format!("tile/{rest}").parse().map_err(|_| Unanswered::Absent)?;
    let needed = tiles::needed_size(&tile).ok_or(Unanswered::Absent)?;
    if needed.get() > size_of(&log.published()) {
        return Err(Unanswered::Absent);
    }
    let (index, width) = (tile.index(), u64::from(tile.width()));
    let bytes = blocking(move || match tile.kind() {
        TileKind::Hashes { level } => Ok(tiles::hashes_tile(&log.nodes.tiles().hashes(level, index, width)?)),
        TileKind::Entries => Ok(log.nodes.tiles().entries(index, width)?),
    })
    .await?;
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .insert_header(("Cache-Control", "public, max-age=31536000, immutable"))
        .body(bytes))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofQuery {
    size: Option<TreeSize>,
}

/// `GET /v1/proof/<source>/<epoch>/<sequence>[?size=<size>]`: a proof bundle of one record without event and salt.
async fn proof(
    log: web::Data<Log>,
    path: web::Path<(String, String, String)>,
    query: web::Query<ProofQuery>,
) -> Result<HttpResponse, Unanswered> {
    let (source, epoch, sequence) = path.into_inner();
    let (Ok(source), Ok(epoch), Ok(sequence)) =
        (source.parse::<SourceId>(), epoch.parse::<Epoch>(), sequence.parse::<Sequence>())
    else {
        return Err(Unanswered::Absent);
    };
    let size = query.size;
    let bundle = blocking(move || Ok(prove::bundle(&log, source, epoch, sequence, size)?)).await?;
    Ok(HttpResponse::Ok().json(bundle))
}

/// `GET /v1/anchors`: sequence numbers of the final anchors, the newest one, and what the sender is doing.
async fn anchor_list(log: web::Data<Log>, sender: web::Data<SenderView>) -> Result<HttpResponse, Unanswered> {
    #[derive(Serialize)]
    struct Answer {
        r#final: Vec<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        newest: Option<evidence::bundle::Anchor>,
        sender: serde_json::Value,
    }
    let sender = sender.snapshot();
    let answer = blocking(move || {
        let anchors = Anchors::of_log(log.dir());
        Ok(Answer { r#final: anchors.sequences()?, newest: anchors.newest()?, sender })
    })
    .await?;
    Ok(HttpResponse::Ok().json(answer))
}

/// `GET /v1/anchors/<seq>`: one final anchor.
async fn anchor(log: web::Data<Log>, seq: web::Path<String>) -> Result<HttpResponse, Unanswered> {
    let seq: u64 = seq.parse().map_err(|_| Unanswered::Absent)?;
    let found = blocking(move || Ok(Anchors::of_log(log.dir()).read(seq)?)).await?;
    Ok(HttpResponse::Ok().json(found.ok_or(Unanswered::Absent)?))
}

/// What the sender is doing, as `/v1/status` and `/v1/anchors` show it.
#[derive(Clone)]
pub struct SenderView(Arc<dyn Fn() -> serde_json::Value + Send + Sync>);

impl SenderView {
    /// A view that asks `snapshot` each time.
    pub fn new(snapshot: impl Fn() -> serde_json::Value + Send + Sync + 'static) -> Self {
        Self(Arc::new(snapshot))
    }

    /// The view of a log without a chain.
    pub fn absent() -> Self {
        Self::new(|| serde_json::json!({ "state": "not-configured" }))
    }

    fn snapshot(&self) -> serde_json::Value {
        (self.0)()
    }
}

/// `GET /v1/status`: the whole state in one look, for operators.
async fn status(log: web::Data<Log>, sender: web::Data<SenderView>) -> HttpResponse {
    #[derive(Serialize)]
    struct Answer<'a> {
        origin: &'a Origin,
        log_key: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        log_id: Option<LogId>,
        compared: bool,
        size: TreeSize,
        integrated: TreeSize,
        published: TreeSize,
        overdue: bool,
        sender: serde_json::Value,
    }
    HttpResponse::Ok().json(Answer {
        origin: &log.origin,
        log_key: log.key.to_string(),
        log_id: log.log_id,
        compared: log.sequencer().is_some(),
        size: TreeSize::new(size_of(&log.sequenced)),
        integrated: TreeSize::new(size_of(&log.integrated)),
        published: TreeSize::new(size_of(&log.published())),
        overdue: log.metrics.anchor_overdue.get() != 0,
        sender: sender.snapshot(),
    })
}

/// `GET /livez`: the process answers.
async fn livez() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the log is open and hears sources; a chain outage does not fail it.
///
/// It is ready before the start-up comparison: the comparison needs a source's hello, and an orchestrator starts the
/// source only when the sidecar is ready.
async fn readyz(log: web::Data<Log>) -> HttpResponse {
    let compared = if log.sequencer().is_some() { "done" } else { "waiting for a source or the chain" };
    HttpResponse::Ok().body(format!("ok\nlog: open, size {}\ncomparison: {compared}\n", size_of(&log.sequenced)))
}

/// `GET /metrics`: Prometheus text.
async fn metrics(log: web::Data<Log>) -> HttpResponse {
    let size = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
    log.metrics.log_size.set(size(size_of(&log.sequenced)));
    log.metrics.integrated_size.set(size(size_of(&log.integrated)));
    match log.metrics.text() {
        Ok(text) => HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

/// Runs what reads the disk apart from the requests that do not.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, Unanswered> + Send + 'static,
) -> Result<T, Unanswered> {
    web::block(read).await.map_err(|_| Unanswered::Stopping)?
}
