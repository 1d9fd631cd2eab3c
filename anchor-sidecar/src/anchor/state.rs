//! The sender as a state machine: what is known, and the one next step that follows from it. Pure.
//!
//! Truth is what the chain says at one pinned block, and the journal. The step is worked out anew from both each time, so
//! that a restart, a reorganisation and the ordinary course are the same code: RECONCILE is not a state but the rule.
//!
//! | state of EVIDENCE 6 | here |
//! |---|---|
//! | IDLE, PLAN | no flight under way; [`Waiting::Idle`], [`Step::Prepare`] |
//! | PREPARED, SIGNED, IN_POOL, MINED, SAFE, FINAL | [`Phase`], journalled |
//! | BUMP | [`Phase::Bump`] (a node asked for more) or time, both end in [`Step::Sign`] |
//! | RECONCILE, CATCH_UP | [`Waiting::Reconcile`], [`Step::Drop`], [`Step::Adopt`] |
//! | HOLD_FEE, BLOCKED_FUNDS | [`Waiting`], worked out from the market and the balance each time |
//! | EQUIVOCATION | [`Step::Stop`] |

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use alloy_primitives::{B256, U256};
use evidence::ids::Hash;
use serde::Serialize;

use super::{
    Head,
    fees::{self, FeePolicy, Fees, Market},
    flight::{Book, DropReason, Flight, FlightId, Inclusion, Phase},
    registry::ChainHead,
};
use crate::rpc::{BlockRef, Receipt};

/// How the contract's head relates to our log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lineage {
    /// It is a head of our log.
    Ours,
    /// It is larger than our log.
    Ahead,
    /// No log could have both it and our head.
    Foreign,
}

/// How the transmission of one variant goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// Blocks since it was first handed to a node.
    pub blocks: u64,
    /// Time since it was first handed to a node.
    pub since_first: Duration,
    /// Time since it was last handed to a node.
    pub since_last: Duration,
    /// Successive polls at which no node knew it.
    pub unknown_polls: u32,
    /// The last try failed a moment ago: not now.
    pub backing_off: bool,
}

/// What was seen in one poll, all of it at the block `tip` or before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The pinned block.
    pub tip: BlockRef,
    /// Height up to which blocks are safe.
    pub safe: u64,
    /// Height up to which blocks are final.
    pub finalized: u64,
    /// The contract's head.
    pub head: ChainHead,
    /// Its `seq` at the final block.
    pub final_seq: u64,
    /// How it relates to our log.
    pub lineage: Lineage,
    /// Whether the contract takes our publisher's heads.
    pub publishes: bool,
    /// The account's next nonce.
    pub nonce: u64,
    /// Its balance in wei.
    pub balance: U256,
    /// What gas costs.
    pub market: Market,
    /// Receipts of our variants in canonical blocks.
    pub receipts: BTreeMap<B256, Receipt>,
    /// Those of the blocks that hold our flights which are canonical.
    pub canonical: BTreeSet<B256>,
    /// Transmission, by variant.
    pub pace: BTreeMap<B256, Pace>,
    /// Successive polls at which the chain had moved past a flight without a receipt that explains it.
    pub unexplained_polls: BTreeMap<FlightId, u32>,
    /// Successive polls at which the head was behind one that was final.
    pub undone_polls: u32,
    /// The newest head of our log.
    pub newest: Head,
    /// Whether it is time for an anchor.
    pub due: bool,
}

/// The operator's settings for the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Bounds of what is offered.
    pub fees: FeePolicy,
    /// Blocks after which an unmined transaction is bumped.
    pub bump_after_blocks: u64,
    /// Least time between two bumps.
    pub bump_after: Duration,
    /// How often the same bytes are sent again while the ceiling holds.
    pub resend_held: Duration,
    /// Polls for which a thing that contradicts the journal must last before it is believed (nodes behind one address may
    /// lag behind each other).
    pub patience: u32,
}

/// The next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing to do before the next poll.
    Wait(Waiting),
    /// Stop for good and call somebody.
    Stop(Equivocation),
    /// Journal a new flight.
    Prepare {
        /// The account's nonce.
        nonce: u64,
        /// The contract's `seq`.
        expected_seq: u64,
    },
    /// Sign (again) for a flight, with the newest head, and journal the bytes.
    Sign {
        /// The flight.
        flight: FlightId,
        /// What to offer.
        fees: Fees,
    },
    /// Hand journalled bytes to the nodes.
    Send {
        /// The flight.
        flight: FlightId,
        /// The variant.
        variant: B256,
    },
    /// It was mined.
    Include {
        /// The flight.
        flight: FlightId,
        /// Where.
        inclusion: Inclusion,
    },
    /// It was mined, and a reorganisation took it back.
    Exclude {
        /// The flight.
        flight: FlightId,
    },
    /// Its block is safe.
    Settle {
        /// The flight.
        flight: FlightId,
        /// Where.
        inclusion: Inclusion,
    },
    /// Its block is final: keep the evidence for ever.
    Finish {
        /// The flight.
        flight: FlightId,
        /// Where.
        inclusion: Inclusion,
    },
    /// Give it up.
    Drop {
        /// The flight.
        flight: FlightId,
        /// Why.
        reason: DropReason,
    },
    /// Journal a head of ours that is on the chain and that this journal did not send.
    Adopt {
        /// The head.
        head: ChainHead,
        /// The block at which it was seen.
        block: BlockRef,
    },
    /// The chain undid what was final: forget the finals above this `seq` and plan again.
    Undo {
        /// What the chain has.
        seq: u64,
    },
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waiting {
    /// The next anchor's time.
    Idle,
    /// A failed hand-over to be tried again.
    Signed,
    /// A block.
    InPool,
    /// The block to become safe.
    Mined,
    /// Receipts that explain what the chain shows.
    Reconcile,
    /// The market to come under the operator's ceiling. Alarm.
    HoldFee,
    /// Ether on the gas account. Alarm.
    BlockedFunds,
    /// The contract to take the head, which it would not. Alarm.
    BlockedRevert,
    /// The contract's publisher is not ours (rotated or frozen). Alarm.
    NotPublisher,
}

impl Waiting {
    /// Whether somebody should be called.
    #[must_use]
    pub const fn is_alarm(self) -> bool {
        match self {
            Self::HoldFee | Self::BlockedFunds | Self::BlockedRevert | Self::NotPublisher => true,
            Self::Idle | Self::Signed | Self::InPool | Self::Mined | Self::Reconcile => false,
        }
    }
}

/// Why the sender stops for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Equivocation {
    /// The contract holds more than our log.
    #[error("the contract's head has size {chain}, our log {ours}: this volume is older than what was anchored")]
    Behind {
        /// Size on the chain.
        chain: u64,
        /// Size of our log.
        ours: u64,
    },
    /// The contract holds another history.
    #[error(
        "the contract's head of size {chain} (root {root}) is not a head of our log: two histories exist under this log id"
    )]
    Foreign {
        /// Size on the chain.
        chain: u64,
        /// Root on the chain.
        root: Hash,
    },
}

/// Works out the next step.
#[must_use]
pub fn step(book: &Book, seen: &Observation, policy: &Policy) -> Step {
    let chain = seen.head.head;
    match seen.lineage {
        Lineage::Ours => {}
        Lineage::Ahead => {
            return Step::Stop(Equivocation::Behind { chain: chain.size.get(), ours: seen.newest.size.get() });
        }
        Lineage::Foreign => {
            return Step::Stop(Equivocation::Foreign { chain: chain.size.get(), root: chain.root });
        }
    }
    if seen.head.seq < book.final_seq {
        let lasts = seen.undone_polls >= policy.patience;
        return if lasts { Step::Undo { seq: seen.head.seq } } else { Step::Wait(Waiting::Reconcile) };
    }
    // Oldest first: a later flight cannot be mined before an earlier one.
    let last = book.flights.len().saturating_sub(1);
    for (position, flight) in book.flights.iter().enumerate() {
        if let Some(step) = pursue(flight, position < last, seen, policy) {
            return step;
        }
    }
    // Everything that was sent is safe. CATCH_UP before PLAN.
    if seen.head.seq > book.highest_seq() {
        return Step::Adopt { head: seen.head, block: seen.tip };
    }
    plan(seen, policy)
}

/// The step for one flight; `None` when it is safe and only awaits finality.
fn pursue(flight: &Flight, followed: bool, seen: &Observation, policy: &Policy) -> Option<Step> {
    let id = flight.id;
    let receipt = flight.variants.iter().find_map(|variant| seen.receipts.get(&variant.hash).map(|r| (variant, r)));
    match (&flight.phase, receipt) {
        (Phase::Final(_) | Phase::Dropped(_), _) => None,
        (_, Some((_, receipt))) if !receipt.succeeded => Some(Step::Drop { flight: id, reason: DropReason::Reverted }),
        (Phase::Mined(there) | Phase::Safe(there), Some((_, receipt))) if receipt.block_hash == there.block_hash => {
            confirm(flight, there, seen)
        }
        // Mined, perhaps anew. The head must bear the receipt out.
        (_, Some((variant, receipt))) if seen.head.seq >= flight.seq() => Some(Step::Include {
            flight: id,
            inclusion: Inclusion {
                transaction: Some(variant.hash),
                block_number: receipt.block_number,
                block_hash: receipt.block_hash,
                head: variant.head,
            },
        }),
        (_, Some(_)) => Some(Step::Wait(Waiting::Reconcile)),
        // No receipt, but the very block is canonical: a node that lags or keeps no index.
        (Phase::Mined(there) | Phase::Safe(there), None) if seen.canonical.contains(&there.block_hash) => {
            confirm(flight, there, seen)
        }
        (Phase::Mined(there) | Phase::Safe(there), None) => Some(match there.transaction {
            Some(_) => Step::Exclude { flight: id },
            None => Step::Drop { flight: id, reason: DropReason::Reorganised },
        }),
        (Phase::Prepared, None) => Some(first_signature(flight, seen, policy)),
        (Phase::Signed | Phase::Bump | Phase::InPool, None) => Some(push(flight, followed, seen, policy)),
    }
}

/// Mined → SAFE → FINAL.
fn confirm(flight: &Flight, there: &Inclusion, seen: &Observation) -> Option<Step> {
    let (id, inclusion) = (flight.id, there.clone());
    if matches!(flight.phase, Phase::Mined(_)) {
        let safe = there.block_number <= seen.safe;
        return Some(if safe { Step::Settle { flight: id, inclusion } } else { Step::Wait(Waiting::Mined) });
    }
    let is_final = there.block_number <= seen.finalized && seen.final_seq >= flight.seq();
    is_final.then_some(Step::Finish { flight: id, inclusion })
}

/// PREPARED → SIGNED, unless the chain moved meanwhile.
fn first_signature(flight: &Flight, seen: &Observation, policy: &Policy) -> Step {
    if flight.nonce != Some(seen.nonce) || flight.expected_seq != seen.head.seq {
        return Step::Drop { flight: flight.id, reason: DropReason::Stale };
    }
    match fees::first(seen.market, policy.fees) {
        Some(fees) => Step::Sign { flight: flight.id, fees },
        None => Step::Wait(Waiting::HoldFee),
    }
}

/// Whether the chain has moved past an unmined flight: its nonce is used, or the head is beyond its `expected_seq`.
#[must_use]
pub fn moved_past(flight: &Flight, nonce: u64, head_seq: u64) -> bool {
    flight.nonce.is_some_and(|own| nonce > own) || head_seq > flight.expected_seq
}

/// SIGNED → IN_POOL, with BUMP, HOLD_FEE and RECONCILE.
fn push(flight: &Flight, followed: bool, seen: &Observation, policy: &Policy) -> Step {
    let id = flight.id;
    if moved_past(flight, seen.nonce, seen.head.seq) {
        let polls = seen.unexplained_polls.get(&id).copied().unwrap_or_default();
        return if polls < policy.patience {
            Step::Wait(Waiting::Reconcile)
        } else if seen.head.seq > flight.expected_seq {
            Step::Drop { flight: id, reason: DropReason::Superseded }
        } else {
            Step::Drop { flight: id, reason: DropReason::ForeignNonce }
        };
    }
    let Some(variant) = flight.current(followed) else {
        // Nothing is signed although the journal says so: plan again.
        return Step::Drop { flight: id, reason: DropReason::Stale };
    };
    let pace = seen.pace.get(&variant.hash).copied().unwrap_or_default();
    let send = Step::Send { flight: id, variant: variant.hash };
    if pace.backing_off {
        return Step::Wait(Waiting::Signed);
    }
    let slow = pace.blocks >= policy.bump_after_blocks && pace.since_first >= policy.bump_after;
    let too_cheap = seen.market.least() > variant.fees.cap();
    match flight.phase {
        Phase::Signed => send,
        Phase::InPool if pace.unknown_polls >= 2 && !too_cheap => send,
        // INVARIANT: only the last flight changes; a later one builds on the bytes of an earlier.
        Phase::Bump | Phase::InPool if !followed && (slow || too_cheap || flight.phase == Phase::Bump) => {
            match fees::bump(variant.fees, seen.market, policy.fees) {
                Some(fees) => Step::Sign { flight: id, fees },
                None if pace.since_last >= policy.resend_held => send,
                None => Step::Wait(Waiting::HoldFee),
            }
        }
        Phase::Bump if pace.since_last >= policy.resend_held => send,
        Phase::Bump => Step::Wait(Waiting::HoldFee),
        Phase::InPool | Phase::Prepared | Phase::Mined(_) | Phase::Safe(_) | Phase::Final(_) | Phase::Dropped(_) => {
            Step::Wait(Waiting::InPool)
        }
    }
}

/// IDLE → PLAN.
fn plan(seen: &Observation, policy: &Policy) -> Step {
    if !seen.publishes {
        return Step::Wait(Waiting::NotPublisher);
    }
    if !seen.due {
        return Step::Wait(Waiting::Idle);
    }
    if fees::first(seen.market, policy.fees).is_none() {
        return Step::Wait(Waiting::HoldFee);
    }
    if seen.balance.is_zero() {
        return Step::Wait(Waiting::BlockedFunds);
    }
    Step::Prepare { nonce: seen.nonce, expected_seq: seen.head.seq }
}

#[cfg(test)]
mod tests;
