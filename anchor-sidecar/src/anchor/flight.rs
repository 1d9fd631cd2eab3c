//! Anchors on their way, as the journal holds them.

use alloy_primitives::{B256, Bytes};
use serde::{Deserialize, Serialize};

use super::{Head, fees::Fees};

/// Number of a flight in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlightId(pub i64);

/// One anchor on its way: one nonce, one expected sequence number, every transaction ever signed for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flight {
    /// Its number in the journal.
    pub id: FlightId,
    /// The account's nonce; none where the anchor was not sent by this journal.
    pub nonce: Option<u64>,
    /// The contract's `seq` that it starts from; it ends at one more.
    pub expected_seq: u64,
    /// What was signed, oldest first. Every one may yet be mined.
    pub variants: Vec<Variant>,
    /// How far it is.
    pub phase: Phase,
    /// The variant that was mined last, kept through a reorganisation.
    pub mined_before: Option<B256>,
}

impl Flight {
    /// The contract's `seq` once it is mined.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.expected_seq.saturating_add(1)
    }

    /// The bytes to send: the newest; but once a later flight builds on this one (`followed`), the very bytes that were
    /// mined before, for it builds on their head.
    #[must_use]
    pub fn current(&self, followed: bool) -> Option<&Variant> {
        let mined = self.mined_before.filter(|_| followed);
        mined.and_then(|hash| self.variant(hash)).or_else(|| self.variants.last())
    }

    /// A variant by its hash.
    #[must_use]
    pub fn variant(&self, hash: B256) -> Option<&Variant> {
        self.variants.iter().find(|variant| variant.hash == hash)
    }
}

/// A signed transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Its hash.
    pub hash: B256,
    /// Its bytes.
    pub raw: Bytes,
    /// The head that it carries.
    pub head: Head,
    /// What it offers.
    pub fees: Fees,
    /// Its gas limit.
    pub gas_limit: u64,
}

/// How far a flight is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Nonce and head are chosen, nothing is signed.
    Prepared,
    /// The newest variant is signed; whether a node has it is not known.
    Signed,
    /// A node refused the newest variant for its fee.
    Bump,
    /// A node has the newest variant.
    InPool,
    /// A variant is in a block.
    Mined(Inclusion),
    /// That block is under the `safe` one.
    Safe(Inclusion),
    /// That block is under the `finalized` one, and the head there is ours.
    Final(Inclusion),
    /// It will not be pursued.
    Dropped(DropReason),
}

/// Where a flight was mined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inclusion {
    /// The variant; none for an adopted head.
    pub transaction: Option<B256>,
    /// Height of the block.
    pub block_number: u64,
    /// Its hash.
    pub block_hash: B256,
    /// The anchored head.
    pub head: Head,
}

/// Why a flight is not pursued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropReason {
    /// The chain moved before anything was signed.
    Stale,
    /// The call would fail in the contract.
    EstimateReverted,
    /// It was mined and failed in the contract.
    Reverted,
    /// Another transaction of this account used its nonce: the key is shared.
    ForeignNonce,
    /// Another transaction moved the head past it.
    Superseded,
    /// The block of an adopted head is no longer canonical.
    Reorganised,
    /// It was final, and the chain undid it.
    FinalUndone,
}

/// The journal's content, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Book {
    /// Flights that are neither final nor dropped, by expected sequence number.
    pub flights: Vec<Flight>,
    /// Highest final `seq`; 0 before the first.
    pub final_seq: u64,
}

impl Book {
    /// The highest `seq` that the journal knows of; 0 before the first.
    #[must_use]
    pub fn highest_seq(&self) -> u64 {
        self.flights.iter().map(Flight::seq).max().unwrap_or(0).max(self.final_seq)
    }
}
