//! What a gateway's journal says of a request, as its admin port gives it: every opening recomputed, nothing believed.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use evidence::commitment::commit;
use evidence::event::AccessEvent;
use evidence::ids::{Commitment, Epoch, Salt, Sequence, SourceId, TenantId};
use reqwest::Client;
use serde::Deserialize;
use serde_json::Value;

use super::fhir;
use super::gateway::Gateway;

/// One recorded event, and where its commitment must stand in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// The event.
    pub event: AccessEvent,
    /// The journal.
    pub source: SourceId,
    /// Epoch and sequence.
    pub place: (u32, u64),
    /// The commitment, recomputed from event and salt.
    pub commitment: Commitment,
}

/// An admin port with its token.
#[derive(Debug, Clone)]
pub struct Admin {
    base: String,
    token: String,
    client: Client,
}

#[derive(Deserialize)]
struct Answer {
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

impl Admin {
    /// The admin port of this gateway.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn of(gateway: &Gateway) -> Result<Self> {
        Ok(Self { base: gateway.admin.clone(), token: gateway.admin_token.trim().to_owned(), client: fhir::client()? })
    }

    /// The request's event and all that refer to it.
    ///
    /// # Errors
    /// When the journal has no such request or cannot be read.
    pub async fn openings(&self, request: &str) -> Result<Vec<Opened>> {
        let url = format!("{}/v1/openings/{request}", self.base);
        let answer = self.client.get(url).bearer_auth(&self.token).send().await?;
        ensure!(answer.status().is_success(), "openings of {request}: {}", answer.status());
        let answer: Answer = answer.json().await?;
        let opened = answer.openings.into_iter().map(|opening| {
            let event = AccessEvent::from_value(opening.event)?;
            let commitment = commit(&answer.tenant, &opening.salt, &event.canonical_bytes()?);
            let place = (opening.epoch.get(), opening.sequence.get());
            Ok(Opened { event, source: opening.source, place, commitment })
        });
        opened.collect::<Result<_>>().with_context(|| format!("openings of {request}"))
    }

    /// Status and list of readiness.
    ///
    /// # Errors
    /// When the admin port does not answer.
    pub async fn readiness(&self) -> Result<(u16, String)> {
        let answer = self.client.get(format!("{}/readyz?verbose", self.base)).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// A number out of the metrics, by the beginning of its line (name and labels).
    ///
    /// # Errors
    /// When there is no such number.
    pub async fn measured(&self, name: &str) -> Result<f64> {
        let text = self.client.get(format!("{}/metrics", self.base)).send().await?.text().await?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
        Ok(line.trim().parse()?)
    }

    /// Waits until every record has a receipt of the log.
    ///
    /// # Errors
    /// When records still wait after `limit`.
    pub async fn shipped(&self, limit: Duration) -> Result<()> {
        let begin = Instant::now();
        loop {
            let waiting = self.measured("sealgate_journal{measure=\"unshipped_events\"}").await?;
            if waiting == 0.0 {
                return Ok(());
            }
            if begin.elapsed() > limit {
                let (_, readiness) = self.readiness().await?;
                bail!("{waiting} records wait for the log after {} s:\n{readiness}", limit.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
