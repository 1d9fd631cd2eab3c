//! `prove`: a proof bundle of one request's records, or of one leaf.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use evidence::{
    bundle::{BundleError, ProofBundle},
    checkpoint::Checkpoint,
    ids::{Epoch, EventId, Salt, Sequence, SourceId, TenantId, TreeSize},
    note::Note,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{
    http,
    output::{Exit, Failure, Output, line},
};
use crate::volume;

/// Time between two tries.
const AGAIN: Duration = Duration::from_secs(2);

/// What to prove, and who is asked.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("subject").required(true))]
pub(super) struct ProveArguments {
    /// Id of the request (`X-Request-Id` of the answer): its event and everything that refers to it.
    #[arg(long, group = "subject", requires = "gateway", requires = "admin_token_file")]
    request: Option<EventId>,
    /// File that holds that id, as `fhir-gateway selftest` writes it.
    #[arg(long, group = "subject", requires = "gateway", requires = "admin_token_file")]
    request_file: Option<PathBuf>,
    /// One leaf as SOURCE/EPOCH/SEQUENCE; the bundle then holds neither event nor salt.
    #[arg(long, group = "subject", value_parser = place)]
    leaf: Option<Place>,
    /// The gateway's admin address.
    #[arg(long)]
    gateway: Option<Url>,
    /// File with the gateway's admin token.
    #[arg(long)]
    admin_token_file: Option<PathBuf>,
    /// The sidecar's read address.
    #[arg(long)]
    sidecar: Url,
    /// File to write; default: standard output.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Seconds to try again until the log has the records and a final anchor covers them.
    #[arg(long, default_value_t = 0)]
    wait_seconds: u64,
}

/// One leaf's place in its source.
#[derive(Debug, Clone, Copy)]
struct Place {
    source: SourceId,
    epoch: Epoch,
    sequence: Sequence,
}

fn place(text: &str) -> Result<Place, String> {
    let mut parts = text.split('/');
    let parsed = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(source), Some(epoch), Some(sequence), None) => source
            .parse()
            .ok()
            .zip(epoch.parse().ok())
            .zip(sequence.parse().ok())
            .map(|((source, epoch), sequence)| Place { source, epoch, sequence }),
        _ => None,
    };
    parsed.ok_or_else(|| "write SOURCE/EPOCH/SEQUENCE: 32 hex digits, a number, a number".into())
}

/// Answer of the gateway's `GET /v1/openings/<request id>`.
#[derive(Deserialize)]
struct Openings {
    tenant: TenantId,
    openings: Vec<Opening>,
}

#[derive(Deserialize)]
struct Opening {
    event: Value,
    salt: Salt,
    source: SourceId,
    epoch: Epoch,
    sequence: Sequence,
}

/// Makes the bundle and writes it; exit code 2 while no final anchor covers it.
pub(super) fn prove(arguments: &ProveArguments, output: &Output) -> Result<Exit, Failure> {
    let bundle = http::block_on(assemble(arguments))?;
    let mut bytes = bundle.to_canonical().map_err(Failure::failed)?;
    bytes.push(b'\n');
    let exit = if bundle.anchors.is_empty() { Exit::Waiting } else { Exit::Done };
    let Some(path) = &arguments.out else {
        line(String::from_utf8_lossy(&bytes).trim_end())?;
        return Ok(exit);
    };
    volume::replace(path, &bytes).map_err(Failure::failed)?;
    let count = bundle.records.len();
    let anchored = match bundle.anchors.first() {
        Some(link) => format!("anchored in block {} of chain {}", link.anchor.block_number, link.anchor.chain_id),
        None => "waiting for a final anchor; prove again later".into(),
    };
    output.answer(
        format_args!("{count} record(s) written to {}, {anchored}", path.display()),
        &json!({ "file": path, "records": count, "anchored": !bundle.anchors.is_empty() }),
    )?;
    Ok(exit)
}

async fn assemble(arguments: &ProveArguments) -> Result<ProofBundle, Failure> {
    let client = http::client()?;
    if let Some(place) = arguments.leaf {
        return patiently(arguments, async || part(&client, &arguments.sidecar, place, None).await).await;
    }
    // An answer leaves after its events are durable, so there is nothing to wait for here.
    let Openings { tenant, openings } = openings(&client, arguments).await?;
    if openings.is_empty() {
        return Err(Failure::failed("the gateway knows no record of that request"));
    }
    patiently(arguments, async || whole(&client, &arguments.sidecar, &tenant, &openings).await).await
}

/// Tries again until a final anchor covers the records or the time is over; then what there is, or why there is nothing.
async fn patiently(
    arguments: &ProveArguments,
    make: impl AsyncFn() -> Result<ProofBundle, Failure>,
) -> Result<ProofBundle, Failure> {
    let end = Instant::now() + Duration::from_secs(arguments.wait_seconds);
    loop {
        let made = make().await;
        if made.as_ref().is_ok_and(|bundle| !bundle.anchors.is_empty()) || Instant::now() >= end {
            return made;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn whole(
    client: &reqwest::Client,
    sidecar: &Url,
    tenant: &TenantId,
    openings: &[Opening],
) -> Result<ProofBundle, Failure> {
    // An anchor may become final between two questions; then all are asked again.
    for _ in 0..3 {
        match together(client, sidecar, tenant, openings).await? {
            Ok(bundle) => return Ok(bundle),
            Err(BundleError::Unlike) => {}
            Err(error) => return Err(Failure::failed(error)),
        }
    }
    Err(Failure::failed("the log keeps moving while it is asked; try again"))
}

/// The id of the request, from the command line or its file.
fn request(arguments: &ProveArguments) -> Result<Option<EventId>, Failure> {
    let Some(file) = &arguments.request_file else { return Ok(arguments.request) };
    let text = read(file)?;
    text.trim().parse().map(Some).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
}

fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
}

async fn openings(client: &reqwest::Client, arguments: &ProveArguments) -> Result<Openings, Failure> {
    let (Some(request), Some(gateway), Some(token_file)) =
        (request(arguments)?, &arguments.gateway, &arguments.admin_token_file)
    else {
        return Err(Failure::usage("--request needs --gateway and --admin-token-file"));
    };
    let token = read(token_file)?;
    let token = SecretString::from(token.trim().to_owned());
    let url = http::below(gateway, &format!("v1/openings/{request}"))?;
    http::read(client.get(url).bearer_auth(token.expose_secret()), "the gateway").await
}

/// The records in one tree: the newest of the trees that the log would prove each of them in.
async fn together(
    client: &reqwest::Client,
    sidecar: &Url,
    tenant: &TenantId,
    openings: &[Opening],
) -> Result<Result<ProofBundle, BundleError>, Failure> {
    let mut size = None;
    let mut first = Vec::new();
    for opening in openings {
        let bundle = part(client, sidecar, opening.place(), None).await?;
        size = size.max(Some(head_size(&bundle)?));
        first.push(bundle);
    }
    let mut parts = Vec::new();
    for (opening, bundle) in openings.iter().zip(first) {
        let alike = size == Some(head_size(&bundle)?);
        let mut bundle = if alike { bundle } else { part(client, sidecar, opening.place(), size).await? };
        bundle.tenant = Some(tenant.clone());
        for record in &mut bundle.records {
            record.event = Some(opening.event.clone());
            record.salt = Some(opening.salt);
        }
        parts.push(bundle);
    }
    // Each part was made at its own moment: what holds for all is the last of the times.
    let expected_by = parts.iter().filter_map(|part| part.anchor_expected_by).max();
    for part in parts.iter_mut().filter(|part| part.anchors.is_empty()) {
        part.anchor_expected_by = expected_by;
    }
    Ok(ProofBundle::merge(parts))
}

impl Opening {
    fn place(&self) -> Place {
        Place { source: self.source, epoch: self.epoch, sequence: self.sequence }
    }
}

/// Size of the checkpoint; who signed it is for `verify`.
fn head_size(bundle: &ProofBundle) -> Result<TreeSize, Failure> {
    let note = Note::parse(&bundle.checkpoint).map_err(Failure::failed)?;
    let checkpoint: Checkpoint = note.text().parse().map_err(Failure::failed)?;
    Ok(checkpoint.size)
}

async fn part(
    client: &reqwest::Client,
    sidecar: &Url,
    Place { source, epoch, sequence }: Place,
    size: Option<TreeSize>,
) -> Result<ProofBundle, Failure> {
    let mut url = http::below(sidecar, &format!("v1/proof/{source}/{epoch}/{sequence}"))?;
    if let Some(size) = size {
        url.query_pairs_mut().append_pair("size", &size.to_string());
    }
    http::read(client.get(url), "the sidecar").await
}
