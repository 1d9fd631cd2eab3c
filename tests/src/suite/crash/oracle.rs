//! What the clients received against what is recorded, and what is recorded against what the log holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use evidence::event::{AccessEvent, End, EventBody, Outcome, Phase};
use evidence::ids::SourceId;
use futures_util::{StreamExt as _, TryStreamExt as _};
use rusqlite::{Connection, OpenFlags};
use uuid::Uuid;

use super::clients::{Exchange, Received};
use crate::harness::gateway::Gateway;
use crate::harness::log::PublishedLog;
use crate::harness::openings::{Admin, Opened};

/// How long the log may take to publish what it acknowledged: an anchor goes out every two seconds.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(60);
/// Openings that are asked for at once.
const AT_ONCE: usize = 16;

/// All that a gateway recorded, request by request.
pub(super) struct Records {
    requests: HashMap<String, Vec<Opened>>,
    source: SourceId,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Requests on record.
    pub(super) requests: usize,
    /// Records in the log, all of them opened or counted.
    pub(super) leaves: usize,
    /// Received resources, once for each owner.
    pub(super) disclosed: u64,
    /// Received resources without an owner.
    pub(super) universal: u64,
    /// Answers that were cut off after their head.
    pub(super) cut: u64,
    /// Requests that were closed as `unknown`.
    pub(super) unknown: u64,
}

impl Records {
    /// Opens every request of the journal. The journal's file says only which there are.
    pub(super) async fn open(gateway: &Gateway) -> Result<Self> {
        let journal = Connection::open_with_flags(&gateway.journal, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let source: [u8; 16] = journal.query_row("SELECT source FROM identity", [], |row| row.get(0))?;
        let ids: Vec<[u8; 16]> = journal
            .prepare("SELECT DISTINCT request FROM record WHERE request IS NOT NULL")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        drop(journal);
        let admin = Admin::of(gateway)?;
        let requests = futures_util::stream::iter(ids)
            .map(|id| {
                let admin = admin.clone();
                async move {
                    let id = Uuid::from_bytes(id).to_string();
                    let opened = admin.openings(&id).await?;
                    anyhow::Ok((id, opened))
                }
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(Self { requests, source: SourceId::new(source) })
    }

    /// Every opening's leaf stands in the log exactly once, under its place; the places have no gap, and the log holds no more and no less than
    /// the journal.
    pub(super) async fn in_the_log(&self, gateway: &Gateway, sidecar: &str, found: &mut Found) -> Result<()> {
        Admin::of(gateway)?.shipped(PUBLISHED_WITHIN).await?;
        let journal = Connection::open_with_flags(&gateway.journal, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let records: i64 = journal.query_row("SELECT count(*) FROM record", [], |row| row.get(0))?;
        drop(journal);
        let log = PublishedLog::with(sidecar, self.source, records.try_into()?, PUBLISHED_WITHIN).await?;
        let places = log.of(self.source)?;
        for opened in self.requests.values().flatten() {
            ensure!(opened.source == self.source, "{}: another journal", opened.event.id);
            let logged = places.get(&opened.place).with_context(|| format!("{:?} is not in the log", opened.place))?;
            ensure!(*logged == opened.commitment, "{:?}: the log holds another commitment", opened.place);
        }
        ensure!(places.keys().all(|(epoch, _)| *epoch == 1), "an epoch was opened without a restore");
        found.leaves = places.len();
        Ok(())
    }

    /// Each request was begun once and, where that is due, ended once.
    pub(super) fn well_formed(&self, found: &mut Found) -> Result<()> {
        for (id, opened) in &self.requests {
            let (begun, ended) = course(opened);
            ensure!(begun.len() == 1, "{id}: {} request events", begun.len());
            let ends = usize::from(!matches!(begun.first(), Some(Phase::Whole)));
            ensure!(ended.len() == ends, "{id}, {begun:?}: {} outcomes", ended.len());
            found.unknown += ended.iter().filter(|outcome| outcome.end == End::Unknown).count() as u64;
            // A later window, a denial in it or a universal resource in it: all of them within the windows of the outcome.
            if let Some(outcome) = ended.first() {
                let last = opened.iter().filter_map(|opened| window(&opened.event)).max();
                ensure!(
                    last.is_none_or(|last| last < outcome.windows),
                    "{id}: window {last:?} is on record, the outcome says {}",
                    outcome.windows
                );
            }
        }
        found.requests = self.requests.len();
        Ok(())
    }

    /// Everything that a client received is on record exactly once per owner, universal ones once; a whole answer discloses nothing else.
    pub(super) fn hold(&self, exchanges: &[Exchange], found: &mut Found) -> Result<()> {
        let mut seen = BTreeSet::new();
        for exchange in exchanges {
            ensure!(seen.insert(&exchange.request), "{} stands on two answers", exchange.request);
            found.cut += u64::from(!exchange.whole);
            self.holds(exchange, found)
                .with_context(|| format!("{} ({}, {})", exchange.asked, exchange.status, exchange.request))?;
        }
        Ok(())
    }

    fn holds(&self, exchange: &Exchange, found: &mut Found) -> Result<()> {
        let Some(opened) = self.requests.get(&exchange.request) else {
            // What discloses nothing and could not be recorded is counted, not recorded.
            ensure!(exchange.status >= 500, "the request is not on record");
            ensure!(exchange.received.iter().all(|received| received.reference.starts_with("OperationOutcome")));
            return Ok(());
        };
        let mut recorded = recorded(opened);
        for Received { reference, version, owners } in &exchange.received {
            let keys: Vec<Option<&String>> = if owners.is_empty() {
                found.universal += 1;
                vec![None]
            } else {
                found.disclosed += owners.len() as u64;
                owners.iter().map(Some).collect()
            };
            for owner in keys {
                let key = (owner.cloned(), reference.clone(), version.clone());
                match recorded.remove(&key) {
                    Some(1) => {}
                    Some(times) => bail!("{key:?} was received once and is on record {times} times"),
                    None => bail!("{key:?} was received and is not on record"),
                }
            }
        }
        ensure!(
            !exchange.whole || recorded.is_empty(),
            "on record, but not in the whole answer: {:?}",
            recorded.keys().collect::<Vec<_>>()
        );
        Ok(())
    }

    /// How many updates the gateway meant to make, and how many of them it knows to have been made.
    pub(super) fn updates(&self) -> (u64, u64) {
        let mut counted = (0, 0);
        for opened in self.requests.values() {
            let (begun, ended) = course(opened);
            if begun.contains(&Phase::Intent) {
                counted.0 += 1;
                counted.1 += u64::from(ended.iter().any(|outcome| outcome.end == End::Complete));
            }
        }
        counted
    }
}

/// How the request began, and how it ended.
fn course(opened: &[Opened]) -> (Vec<Phase>, Vec<&Outcome>) {
    let (mut begun, mut ended) = (Vec::new(), Vec::new());
    for Opened { event, .. } in opened {
        if let EventBody::Request(request) = &event.body {
            begun.push(request.phase);
        } else if let EventBody::Outcome(outcome) = &event.body {
            ended.push(outcome);
        }
    }
    (begun, ended)
}

fn window(event: &AccessEvent) -> Option<u32> {
    if let EventBody::Disclosure(disclosure) = &event.body {
        Some(disclosure.window)
    } else if let EventBody::Universal(universal) = &event.body {
        Some(universal.window)
    } else {
        None
    }
}

/// An owner (none for a universal resource), the resource, its version.
type Key = (Option<String>, String, Option<String>);

/// How often each resource is on record under each owner.
fn recorded(opened: &[Opened]) -> BTreeMap<Key, u64> {
    let mut recorded = BTreeMap::<Key, u64>::new();
    for Opened { event, .. } in opened {
        let (owner, resources): (_, Vec<_>) = if let EventBody::Disclosure(disclosure) = &event.body {
            let resources = disclosure.resources.iter().map(|used| (&used.reference, &used.version)).collect();
            (Some(disclosure.patient.to_string()), resources)
        } else if let EventBody::Request(request) = &event.body {
            (None, request.universal.iter().map(|used| (&used.reference, &used.version)).collect())
        } else if let EventBody::Universal(universal) = &event.body {
            (None, universal.resources.iter().map(|used| (&used.reference, &used.version)).collect())
        } else {
            continue;
        };
        for (reference, version) in resources {
            *recorded.entry((owner.clone(), reference.to_string(), version.clone())).or_default() += 1;
        }
    }
    recorded
}

#[cfg(test)]
mod tests;
