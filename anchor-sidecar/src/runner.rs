//! The path of an event through the sidecar, told once:
//! sequence → integrate → checkpoint → anchor → confirm → prove.

use std::{sync::Arc, time::Duration};

use actix_web::{App, HttpServer, dev::Server, web};
use opentelemetry::metrics::Meter;
use tokio::sync::mpsc::{self, UnboundedReceiver};

use crate::{
    anchoring::{self, Anchoring, AnchoringError},
    config::{Config, IngestListener},
    ingest::{self, AllowedSources, Peers, TlsError},
    log::{Log, LogError},
    public::{self, SenderView},
    telemetry::{Metrics, TelemetryError},
    volume::VolumeError,
};

/// Why the sidecar does not run, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Telemetry.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The sender.
    #[error(transparent)]
    Anchoring(#[from] AnchoringError),
    /// A socket or a file.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The write side's certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address cannot be bound.
    #[error("{what} cannot be bound ({source}); is the address free?")]
    Bind {
        /// The key of the configuration.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A server ended.
    #[error("a server ended: {0}")]
    Server(std::io::Error),
    /// Something that the log must not survive.
    #[error("{0}")]
    Fatal(String),
}

/// Runs the sidecar, whose metrics go to `meter` too, until SIGTERM or SIGINT, or until something that it must not survive.
///
/// # Errors
/// [`RunError`].
pub async fn serve(config: Config, meter: Option<Meter>) -> Result<(), RunError> {
    let metrics = Metrics::new()?;
    let (fatal, mut fatals) = mpsc::unbounded_channel();

    // The records are read and integrated; nothing is sequenced or signed before the comparison.
    let log = Log::open(&config, Arc::clone(&metrics), fatal)?;
    tracing::info!(origin = %log.origin, size = log.nodes.size().get(), "the log is open");
    if let Some(meter) = meter {
        metrics.export(&meter, &log);
    }

    // sequence: sources put leaves in; their hello is the comparison. integrate and checkpoint follow by themselves.
    let ingest = ingest_server(&config, &log)?;
    // anchor and confirm: the sender brings integrated heads into the contract and stays with them until they are final.
    let anchoring = config.anchor.as_ref().map(|anchor| Anchoring::start(anchor, &log)).transpose()?;
    let overdue_after = config.anchor.as_ref().map(|anchor| anchor.overdue_after);
    let followers = follow(&log, anchoring.as_ref().zip(overdue_after));
    // prove: anybody reads.
    let sender = anchoring.as_ref().map_or_else(SenderView::absent, Anchoring::view);
    let public = public_server(&config, &log, sender)?;

    let ended = wait(&mut fatals, ingest, public).await;
    followers.iter().for_each(tokio::task::JoinHandle::abort);
    // CRASH: what must not be survived ends here, without another record: as after a kill, the next start finds out.
    ended?;
    // Flush: what is queued is recorded, then integrated; then the last checkpoint is shown.
    let drained = Arc::clone(&log);
    let flushed = tokio::task::spawn_blocking(move || {
        drained.stop();
        // The checkpoint of an anchored log is shown to strangers with its anchor, not before.
        match &anchoring {
            Some(anchoring) => anchoring.stop(),
            None => drained.publish()?,
        }
        Ok::<_, LogError>(())
    });
    match flushed.await {
        Ok(flushed) => flushed?,
        Err(error) => return Err(RunError::Fatal(error.to_string())),
    }
    tracing::info!(size = log.nodes.size().get(), "stopped");
    Ok(())
}

/// What follows the log's head: the checkpoint that strangers see, at once or at the cadence of the anchors.
fn follow(log: &Arc<Log>, anchoring: Option<(&Anchoring, Duration)>) -> Vec<tokio::task::JoinHandle<()>> {
    let Some((anchoring, overdue_after)) = anchoring else { return vec![tokio::spawn(publish(Arc::clone(log)))] };
    let (follower, status) = (Arc::clone(log), anchoring.status());
    let chain = async move {
        if let Err(error) = anchoring::follow(Arc::clone(&follower), status).await {
            follower.end(error.to_string());
        }
    };
    let measure = anchoring::measure(Arc::clone(log), anchoring.status(), overdue_after);
    vec![tokio::spawn(chain), tokio::spawn(measure)]
}

/// Waits for the end and stops the servers: writers first, readers last.
async fn wait(fatals: &mut UnboundedReceiver<String>, ingest: Server, public: Server) -> Result<(), RunError> {
    let (ingest_handle, public_handle) = (ingest.handle(), public.handle());
    let mut ingest = tokio::spawn(ingest);
    let mut public = tokio::spawn(public);
    let ended = tokio::select! {
        biased;
        Some(why) = fatals.recv() => Err(RunError::Fatal(why)),
        ended = &mut ingest => Err(server_end(ended)),
        ended = &mut public => Err(server_end(ended)),
        () = asked_to_stop() => Ok(()),
    };
    // After an error nobody may be answered any more; else open requests are finished within limits.drain.
    let graceful = ended.is_ok();
    ingest_handle.stop(graceful).await;
    public_handle.stop(graceful).await;
    ended
}

fn server_end(ended: Result<std::io::Result<()>, tokio::task::JoinError>) -> RunError {
    RunError::Server(match ended {
        Ok(Ok(())) => std::io::Error::other("it stopped by itself"),
        Ok(Err(error)) => error,
        Err(error) => std::io::Error::other(error),
    })
}

/// Resolves on SIGTERM or SIGINT; never, where signals cannot be heard.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("asked to stop: requests are finished, the queue is flushed");
}

/// Shows each integrated head to strangers.
async fn publish(log: Arc<Log>) {
    let mut integrated = log.integrated.clone();
    loop {
        let shown = Arc::clone(&log);
        match tokio::task::spawn_blocking(move || shown.publish()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return log.end(error.to_string()),
            Err(_) => return,
        }
        if integrated.changed().await.is_err() {
            return;
        }
    }
}

/// Binds the write side.
fn ingest_server(config: &Config, log: &Arc<Log>) -> Result<Server, RunError> {
    let log_data = web::Data::from(Arc::clone(log));
    let sources = web::Data::new(AllowedSources(Arc::new(config.ingest.allowed_sources.clone())));
    let body = config.limits.body;
    let app = move |peers: &web::Data<Peers>| {
        App::new()
            .app_data(log_data.clone())
            .app_data(sources.clone())
            .app_data(peers.clone())
            .app_data(web::PayloadConfig::new(body))
            .configure(ingest::routes)
    };
    let drain = config.limits.drain.as_secs();
    match &config.ingest.listener {
        IngestListener::Socket { path, allowed_uids } => {
            let (listener, owner) = ingest::bind_socket(path)?;
            let uids = if allowed_uids.is_empty() { vec![owner] } else { allowed_uids.clone() };
            let peers = web::Data::new(Peers::Uids(Arc::new(uids)));
            let server = HttpServer::new(move || app(&peers)).on_connect(ingest::on_socket_connect);
            let server = server.disable_signals().shutdown_timeout(drain).listen_uds(listener);
            Ok(server.map_err(|source| RunError::Bind { what: "ingest.socket", source })?.run())
        }
        IngestListener::MutualTls { listen, cert, key, client_ca } => {
            let tls = ingest::mutual_tls(cert, key, client_ca)?;
            let peers = web::Data::new(Peers::Certified);
            let server = HttpServer::new(move || app(&peers)).on_connect(ingest::on_tls_connect);
            let server = server.disable_signals().shutdown_timeout(drain).bind_rustls_0_23(listen, tls);
            Ok(server.map_err(|source| RunError::Bind { what: "ingest.listen", source })?.run())
        }
    }
}

/// Binds the read side.
fn public_server(config: &Config, log: &Arc<Log>, sender: SenderView) -> Result<Server, RunError> {
    let log_data = web::Data::from(Arc::clone(log));
    let sender = web::Data::new(sender);
    let app = move || App::new().app_data(log_data.clone()).app_data(sender.clone()).configure(public::routes);
    let server = HttpServer::new(app).disable_signals().shutdown_timeout(config.limits.drain.as_secs());
    let server = server.workers(2).bind(config.public.listen);
    Ok(server.map_err(|source| RunError::Bind { what: "public.listen", source })?.run())
}
