//! What the sender remembers between two polls and may forget in a restart.

use std::{collections::BTreeMap, time::Instant};

use alloy_primitives::B256;
use evidence::ids::TreeSize;

use super::{
    Head,
    flight::{Book, FlightId},
    observe::ChainView,
    state::{Pace, moved_past},
};

/// What a restart may forget.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Chain id and code were checked.
    pub(super) identified: bool,
    /// Height of the last tip.
    pub(super) tip: u64,
    /// Successive polls at which it was lower.
    pub(super) tip_went_back: u32,
    /// When the last anchor was planned.
    pub(super) planned: Option<Instant>,
    /// An anchor is asked for, whatever the time.
    pub(super) asked: bool,
    /// Transmission, by variant.
    pub(super) sending: BTreeMap<B256, Sending>,
    /// See [`super::state::Observation::unexplained_polls`].
    pub(super) unexplained: BTreeMap<FlightId, u32>,
    /// See [`super::state::Observation::undone_polls`].
    pub(super) undone: u32,
    /// The contract's head that was proven to be ours, and the size of our log then.
    pub(super) lineage: Option<(Head, TreeSize)>,
    /// Successive estimates that reverted.
    pub(super) reverts: u32,
    /// Successive failures to capture final evidence.
    pub(super) uncaptured: u32,
    /// A node refused a fee in this poll.
    pub(super) underpriced: bool,
}

/// How the transmission of one variant goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sending {
    /// First time handed to a node.
    pub(super) first: Instant,
    /// The tip then.
    pub(super) first_block: u64,
    /// Last time.
    pub(super) last: Instant,
    /// Successive polls at which no node knew it.
    pub(super) unknown: u32,
    /// Successive failed tries.
    pub(super) failures: u32,
    /// No try before this.
    pub(super) not_before: Option<Instant>,
}

impl Memory {
    /// Counts what must last before it is believed, once a poll.
    pub(super) fn count(&mut self, book: &Book, view: &ChainView) {
        let memory = self;
        memory.underpriced = false;
        memory.undone = if view.head.seq < book.final_seq { memory.undone.saturating_add(1) } else { 0 };
        let mut unexplained = BTreeMap::new();
        for flight in &book.flights {
            let explained = flight.variants.iter().any(|variant| view.receipts.contains_key(&variant.hash));
            if !explained && moved_past(flight, view.nonce, view.head.seq) {
                let polls = memory.unexplained.get(&flight.id).copied().unwrap_or_default();
                unexplained.insert(flight.id, polls.saturating_add(1));
            }
        }
        memory.unexplained = unexplained;
        for (hash, sending) in &mut memory.sending {
            sending.unknown = if view.unknown.contains(hash) { sending.unknown.saturating_add(1) } else { 0 };
        }
        // After a restart nothing is remembered of what the journal says was sent.
        for hash in &view.unknown {
            memory.sending.entry(*hash).or_insert_with(|| Sending { unknown: 1, ..Sending::new(view.tip.number) });
        }
        memory.sending.retain(|hash, _| book.flights.iter().any(|flight| flight.variant(*hash).is_some()));
        for variant in book.flights.iter().flat_map(|flight| &flight.variants) {
            memory.sending.entry(variant.hash).or_insert_with(|| Sending::new(view.tip.number));
        }
    }
}

impl Sending {
    pub(super) fn new(block: u64) -> Self {
        let now = Instant::now();
        Self { first: now, first_block: block, last: now, unknown: 0, failures: 0, not_before: None }
    }

    pub(super) fn pace(&self, tip: u64) -> Pace {
        Pace {
            blocks: tip.saturating_sub(self.first_block),
            since_first: self.first.elapsed(),
            since_last: self.last.elapsed(),
            unknown_polls: self.unknown,
            backing_off: self.not_before.is_some_and(|then| Instant::now() < then),
        }
    }
}
