//! The write side: authenticated sources add leaves and get receipts.

mod peer;
pub mod wire;

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use evidence::{
    ids::{SourceId, TreeSize},
    merkle::inclusion_path,
};

use tracing::Instrument as _;

pub use peer::{Peer, Peers, Source, TlsError, bind_socket, mutual_tls, on_socket_connect, on_tls_connect};
use wire::{ErrorAnswer, HelloAnswer, LeafAnswer, LeavesAnswer, WireError};

use crate::{
    compare::CompareError,
    group::{Addition, Refused},
    log::{Log, LogError},
    nodes::NodeError,
    sequence::{AddError, Receipt},
    telemetry::adopt,
};

/// Sources that may write; empty means all.
#[derive(Debug, Clone, Default)]
pub struct AllowedSources(pub Arc<Vec<SourceId>>);

/// Every way in which the write side says no; the one table from errors to answers.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error(transparent)]
    Malformed(#[from] WireError),
    #[error("this source may not write to this log")]
    SourceNotAllowed,
    #[error("the log waits for the start-up comparison: send /v1/hello with your last receipt")]
    NotComparedYet,
    #[error(transparent)]
    Add(#[from] AddError),
    #[error(transparent)]
    Compare(LogError),
    #[error("the proof cannot be made now")]
    Node(#[from] NodeError),
}

impl actix_web::ResponseError for Unanswered {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::SourceNotAllowed => StatusCode::FORBIDDEN,
            Self::Add(AddError::Refused(Refused::CommitmentDiffers { .. })) => StatusCode::CONFLICT,
            Self::Add(AddError::Refused(Refused::SequenceGap { .. })) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Compare(LogError::Compare(error)) if !error.is_fatal() => StatusCode::BAD_REQUEST,
            Self::Compare(LogError::Compare(CompareError::Behind { .. } | CompareError::Forked { .. })) => {
                StatusCode::CONFLICT
            }
            Self::NotComparedYet
            | Self::Add(AddError::Busy | AddError::Stopping)
            | Self::Compare(_)
            | Self::Node(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let (error, sequence, expected) = match self {
            Self::Malformed(_) => ("malformed", None, None),
            Self::SourceNotAllowed => ("source-not-allowed", None, None),
            Self::NotComparedYet => ("not-compared-yet", None, None),
            Self::Add(AddError::Busy) => ("busy", None, None),
            Self::Add(AddError::Stopping) => ("stopping", None, None),
            Self::Add(AddError::Refused(Refused::CommitmentDiffers { sequence })) => {
                ("commitment-differs", Some(*sequence), None)
            }
            Self::Add(AddError::Refused(Refused::SequenceGap { expected })) => ("sequence-gap", None, Some(*expected)),
            Self::Compare(LogError::Compare(CompareError::Behind { .. })) => ("log-behind", None, None),
            Self::Compare(LogError::Compare(CompareError::Forked { .. })) => ("log-forked", None, None),
            Self::Compare(LogError::Compare(CompareError::NotOurs(_) | CompareError::IndexBeyond)) => {
                ("receipt-not-ours", None, None)
            }
            Self::Compare(_) | Self::Node(_) => ("failed", None, None),
        };
        let mut response = HttpResponse::build(self.status_code());
        if self.status_code() == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header(("Retry-After", "1"));
        }
        response.json(ErrorAnswer { error, message: self.to_string(), sequence, expected })
    }
}

/// The routes of the write side.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/v1/hello", web::post().to(hello))
        .route("/v1/leaves", web::post().to(leaves))
        .route("/v1/leaf", web::post().to(leaf))
        .route("/checkpoint", web::get().to(checkpoint));
}

/// `POST /v1/hello`: a source says what it has seen; the start-up comparison.
async fn hello(
    _peer: Source,
    request: HttpRequest,
    log: web::Data<Log>,
    allowed: web::Data<AllowedSources>,
    body: web::Bytes,
) -> Result<HttpResponse, Unanswered> {
    let span = tracing::info_span!("POST /v1/hello", "otel.kind" = "server");
    adopt(&span, &request);
    async move {
        let (source, _, claim) = wire::hello(&body)?;
        check_source(&allowed, source)?;
        // Reading the tree may touch the disk, so it does not hold up other requests.
        let log = log.into_inner();
        let heard = {
            let log = Arc::clone(&log);
            web::block(move || log.hear(&claim)).await
        };
        heard.map_err(|_| Unanswered::Add(AddError::Stopping))?.map_err(Unanswered::Compare)?;
        Ok(HttpResponse::Ok().json(HelloAnswer {
            log_id: log.log_id,
            origin: log.origin.clone(),
            size: TreeSize::new(crate::sequence::size_of(&log.sequenced)),
        }))
    }
    .instrument(span)
    .await
}

/// `POST /v1/leaves`: a batch; the receipt is its index range and the group's checkpoint.
async fn leaves(
    _peer: Source,
    request: HttpRequest,
    log: web::Data<Log>,
    allowed: web::Data<AllowedSources>,
    body: web::Bytes,
) -> Result<HttpResponse, Unanswered> {
    let span = tracing::info_span!("POST /v1/leaves", "otel.kind" = "server");
    adopt(&span, &request);
    async move {
        let addition = wire::leaves(&body, log.limits.batch)?;
        let receipt = add(&log, &allowed, addition).await?;
        Ok(HttpResponse::Ok().json(LeavesAnswer {
            first_index: receipt.index,
            count: TreeSize::new(receipt.count),
            size: receipt.head.size,
            checkpoint: &receipt.head.checkpoint,
        }))
    }
    .instrument(span)
    .await
}

/// `POST /v1/leaf`: one leaf; the receipt is its inclusion proof in the group's checkpoint.
async fn leaf(
    _peer: Source,
    request: HttpRequest,
    log: web::Data<Log>,
    allowed: web::Data<AllowedSources>,
    body: web::Bytes,
) -> Result<HttpResponse, Unanswered> {
    let span = tracing::info_span!("POST /v1/leaf", "otel.kind" = "server");
    adopt(&span, &request);
    async move {
        let addition = wire::leaf(&body)?;
        let receipt = add(&log, &allowed, addition).await?;
        let inclusion = inclusion_path(&*log.nodes, receipt.index, receipt.head.size)?;
        Ok(HttpResponse::Ok().json(LeafAnswer {
            index: receipt.index,
            inclusion,
            checkpoint: &receipt.head.checkpoint,
        }))
    }
    .instrument(span)
    .await
}

/// `GET /checkpoint` inside: the newest checkpoint whose tiles are on disk.
async fn checkpoint(_peer: Source, log: web::Data<Log>, _request: HttpRequest) -> HttpResponse {
    match log.integrated.borrow().clone() {
        Some(head) => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(head.checkpoint.clone()),
        None => HttpResponse::NotFound().finish(),
    }
}

async fn add(log: &Log, allowed: &AllowedSources, addition: Addition) -> Result<Receipt, Unanswered> {
    check_source(allowed, addition.stream.0)?;
    let sequencer = log.sequencer().ok_or(Unanswered::NotComparedYet)?;
    let added = sequencer.add(addition).await;
    let outcome = match &added {
        Ok(_) => "recorded",
        Err(AddError::Refused(Refused::CommitmentDiffers { .. })) => "commitment-differs",
        Err(AddError::Refused(Refused::SequenceGap { .. })) => "sequence-gap",
        Err(AddError::Busy) => "busy",
        Err(AddError::Stopping) => "stopping",
    };
    log.metrics.additions.with_label_values(&[outcome]).inc();
    Ok(added?)
}

fn check_source(allowed: &AllowedSources, source: SourceId) -> Result<(), Unanswered> {
    if allowed.0.is_empty() || allowed.0.contains(&source) { Ok(()) } else { Err(Unanswered::SourceNotAllowed) }
}
