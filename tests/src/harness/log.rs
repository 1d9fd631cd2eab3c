//! The log, as a stranger reads it from the sidecar: checkpoint and entries tiles (C2SP tlog-tiles), every leaf decoded.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evidence::ids::{Commitment, Hash, SourceId};
use evidence::leaf::{LEAF_BYTES, Leaf};
use evidence::merkle::CompactRange;
use evidence::merkle::tile::{TILE_WIDTH, TileKind, TilePath};
use reqwest::Client;

use super::fhir;

/// The published log, read whole; its root is that of the published checkpoint.
#[derive(Debug)]
pub struct PublishedLog {
    /// Every leaf, in the order of the log.
    pub leaves: Vec<Leaf>,
}

impl PublishedLog {
    /// Reads the log of a sidecar's read side.
    ///
    /// # Errors
    /// When something cannot be read, an entry is no leaf, or the leaves do not give the root of the checkpoint.
    pub async fn read(sidecar: &str) -> Result<Self> {
        let client = fhir::client()?;
        let checkpoint = bytes(&client, &format!("{sidecar}/checkpoint")).await?;
        let checkpoint = String::from_utf8(checkpoint).context("a checkpoint that is no text")?;
        let mut lines = checkpoint.lines().skip(1);
        let size: u64 = lines.next().context("a checkpoint without a size")?.parse()?;
        let root = STANDARD.decode(lines.next().context("a checkpoint without a root")?)?;
        let mut leaves = Vec::new();
        let mut range = CompactRange::new();
        let width = u64::from(TILE_WIDTH);
        for tile in 0..size.div_ceil(width) {
            let entries = u16::try_from((size - tile * width).min(width))?;
            let path = TilePath::new(TileKind::Entries, tile, entries)?;
            let mut rest: &[u8] = &bytes(&client, &format!("{sidecar}/{path}")).await?;
            for _ in 0..entries {
                let (length, after) = rest.split_first_chunk::<2>().context("a tile that is too short")?;
                ensure!(usize::from(u16::from_be_bytes(*length)) == LEAF_BYTES, "an entry that is no leaf");
                let (leaf, after) = after.split_at_checked(LEAF_BYTES).context("a tile that is too short")?;
                let leaf = Leaf::from_bytes(leaf)?;
                range.append(leaf.hash())?;
                leaves.push(leaf);
                rest = after;
            }
            ensure!(rest.is_empty(), "{path} is too long");
        }
        ensure!(range.root() == Hash::try_from(root.as_slice())?, "the leaves do not give the checkpoint's root");
        Ok(Self { leaves })
    }

    /// Reads the log until it holds so many leaves of this source, or more.
    ///
    /// # Errors
    /// As [`PublishedLog::read`], and when they do not come within `limit`.
    pub async fn with(sidecar: &str, source: SourceId, leaves: u64, limit: Duration) -> Result<Self> {
        let begin = Instant::now();
        loop {
            let log = Self::read(sidecar).await?;
            let found = log.leaves.iter().filter(|leaf| leaf.source == source).count() as u64;
            if found >= leaves {
                return Ok(log);
            }
            if begin.elapsed() > limit {
                bail!("after {} s the log holds {found} of {leaves} leaves of {source}", limit.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// What this source has in the log by epoch and sequence: gapless from 0 in each epoch, and each place once.
    ///
    /// # Errors
    /// When a place is missing or stands in the log twice.
    pub fn of(&self, source: SourceId) -> Result<BTreeMap<(u32, u64), Commitment>> {
        let mut places = BTreeMap::new();
        for leaf in self.leaves.iter().filter(|leaf| leaf.source == source) {
            let place = (leaf.epoch.get(), leaf.sequence.get());
            ensure!(places.insert(place, leaf.commitment).is_none(), "{place:?} stands in the log twice");
        }
        let mut next = BTreeMap::<u32, u64>::new();
        for (epoch, sequence) in places.keys() {
            let expected = next.entry(*epoch).or_default();
            ensure!(expected == sequence, "epoch {epoch}: after {expected} records comes sequence {sequence}");
            *expected += 1;
        }
        Ok(places)
    }
}

async fn bytes(client: &Client, url: &str) -> Result<Vec<u8>> {
    let answer = client.get(url).send().await?.error_for_status()?;
    Ok(answer.bytes().await?.to_vec())
}
