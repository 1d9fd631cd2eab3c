//! Doing the steps: each is journalled before anything leaves this machine.

use std::time::{Duration, Instant};

use alloy_primitives::{B256, Bytes, TxKind, U256};
use evidence::bundle::Anchor as Evidence;

use super::{
    Anchor, AnchorError,
    capture::{self, CaptureError},
    fees::Fees,
    flight::{Book, DropReason, Flight, FlightId, Inclusion, Variant},
    memory::Sending,
    registry::Anchoring,
    signer::SignerError,
    state::{Observation, Step, Waiting},
    transaction::Unsigned,
};
use crate::rpc::{Refusal, RpcError};

/// What the nodes said to a transaction, the most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sent {
    /// A node has it.
    Accepted,
    /// Its fee is too low.
    Underpriced,
    /// Its nonce is used.
    NonceTooLow,
    /// An earlier nonce is missing.
    NonceTooHigh,
    /// The account cannot pay.
    InsufficientFunds,
    /// Nobody said anything about the transaction; a node may have it all the same.
    Unclear,
}

impl Sent {
    /// What one node's answer means.
    pub(super) fn of(answer: &Result<B256, RpcError>) -> Self {
        match answer {
            Ok(_) => Self::Accepted,
            Err(RpcError::Transport { .. } | RpcError::Malformed { .. }) => Self::Unclear,
            Err(RpcError::Refused { refusal, .. }) => match refusal {
                Refusal::AlreadyKnown => Self::Accepted,
                Refusal::ReplacementUnderpriced | Refusal::Underpriced => Self::Underpriced,
                Refusal::NonceTooLow => Self::NonceTooLow,
                Refusal::NonceTooHigh => Self::NonceTooHigh,
                Refusal::InsufficientFunds => Self::InsufficientFunds,
                Refusal::Reverted | Refusal::Other => Self::Unclear,
            },
        }
    }
}

impl Anchor {
    /// Does one step; what is waited for when no further step should follow in this poll.
    pub(super) async fn perform(
        &mut self,
        book: &Book,
        seen: &Observation,
        step: Step,
    ) -> Result<Option<Waiting>, AnchorError> {
        match step {
            Step::Wait(waiting) => Ok(Some(waiting)),
            Step::Stop(equivocation) => {
                tracing::error!(%equivocation, "EQUIVOCATION");
                Err(equivocation.into())
            }
            Step::Prepare { nonce, expected_seq } => {
                self.journal.prepare(nonce, expected_seq)?;
                self.memory.planned = Some(Instant::now());
                self.memory.asked = false;
                Ok(None)
            }
            Step::Sign { flight, fees } => match book.flights.iter().find(|known| known.id == flight) {
                Some(flight) => self.sign(flight, fees, seen).await,
                None => Ok(Some(Waiting::Reconcile)),
            },
            Step::Send { flight, variant } => {
                let known = book.flights.iter().find(|known| known.id == flight);
                match known.and_then(|flight| flight.variant(variant)) {
                    Some(variant) => self.send(flight, variant, seen.tip.number).await,
                    None => Ok(Some(Waiting::Reconcile)),
                }
            }
            Step::Include { flight, inclusion } => {
                self.journal.mined(flight, &inclusion)?;
                self.memory.reverts = 0;
                let seq = seq_of(book, flight);
                tracing::info!(
                    seq,
                    size = inclusion.head.size.get(),
                    block = inclusion.block_number,
                    "anchor included"
                );
                self.capture_early(flight, seq, &inclusion).await?;
                Ok(None)
            }
            Step::Exclude { flight } => {
                tracing::warn!(seq = seq_of(book, flight), "a reorganisation took an anchor back");
                self.journal.excluded(flight)?;
                // Nothing that was counted before holds on the new branch.
                let variants = book.flights.iter().filter(|known| known.id == flight).flat_map(|known| &known.variants);
                for variant in variants {
                    self.memory.sending.insert(variant.hash, Sending::new(seen.tip.number));
                }
                Ok(Some(Waiting::InPool))
            }
            Step::Settle { flight, inclusion } => {
                self.capture_early(flight, seq_of(book, flight), &inclusion).await?;
                self.journal.safe(flight, &inclusion)?;
                Ok(None)
            }
            Step::Finish { flight, inclusion } => self.finish(flight, seq_of(book, flight), inclusion, seen).await,
            Step::Drop { flight, reason } => {
                tracing::warn!(seq = seq_of(book, flight), ?reason, "an anchor is given up; a new one is planned");
                self.journal.dropped(flight, reason)?;
                self.memory.asked = true;
                Ok(None)
            }
            Step::Adopt { head, block } => {
                tracing::warn!(seq = head.seq, "the chain holds a head of ours that this journal did not send");
                let (block_number, block_hash) = (block.number, block.hash);
                let inclusion = Inclusion { transaction: None, block_number, block_hash, head: head.head };
                let flight = self.journal.adopt(head.seq.saturating_sub(1), &inclusion)?;
                self.capture_early(flight, head.seq, &inclusion).await?;
                Ok(None)
            }
            Step::Undo { seq } => {
                let undone = self.journal.undo(seq)?;
                tracing::error!(?undone, "the chain UNDID anchors that were final; they are planned again");
                for seq in undone {
                    capture::set_aside(&self.settings.anchors, seq)?;
                }
                self.memory.asked = true;
                Ok(None)
            }
        }
    }

    /// PREPARED or BUMP → SIGNED, with the newest head.
    async fn sign(&mut self, flight: &Flight, fees: Fees, seen: &Observation) -> Result<Option<Waiting>, AnchorError> {
        let Some(nonce) = flight.nonce else { return Ok(Some(Waiting::Reconcile)) };
        let head = self.source.newest();
        let proof = self.source.consistency(seen.head.head.size, head.size).map_err(AnchorError::Source)?;
        let anchoring = Anchoring { log_id: self.settings.log_id, expected_seq: flight.expected_seq, head, proof };
        let input = self.call_data(&anchoring)?;
        let estimate = match self.estimate(&input).await {
            Ok(gas) => gas,
            Err(RpcError::Refused { refusal: Refusal::Reverted, message, .. }) => {
                return self.would_revert(flight, &message);
            }
            Err(RpcError::Refused { refusal: Refusal::InsufficientFunds, .. }) => {
                return Ok(Some(Waiting::BlockedFunds));
            }
            Err(error) => {
                tracing::warn!(%error, "gas cannot be estimated");
                return Ok(Some(Waiting::Signed));
            }
        };
        let before = flight.variants.iter().map(|variant| variant.gas_limit).max().unwrap_or(0);
        let gas_limit = estimate.saturating_add(estimate / 5).max(before);
        if seen.balance < U256::from(fees.cap()).saturating_mul(U256::from(gas_limit)) {
            return Ok(Some(Waiting::BlockedFunds));
        }
        let transaction = Unsigned {
            chain_id: self.chain.chain_id,
            nonce,
            gas_limit,
            fees,
            to: TxKind::Call(self.chain.contract),
            input,
        };
        let (hash, raw) = transaction.sign(self.keys.gas.as_ref())?;
        if flight.variant(hash).is_none() {
            self.journal.sign(flight.id, &Variant { hash, raw, head, fees, gas_limit })?;
        }
        Ok(None)
    }

    fn call_data(&self, anchoring: &Anchoring) -> Result<Bytes, SignerError> {
        let (publisher, gas) = (&self.keys.publisher, &self.keys.gas);
        if publisher.address() == gas.address() {
            return Ok(anchoring.call());
        }
        let signature = publisher.sign(anchoring.digest(self.chain.chain_id, self.chain.contract))?;
        Ok(anchoring.signed_call(signature.as_bytes()))
    }

    async fn estimate(&self, input: &Bytes) -> Result<u64, RpcError> {
        let mut last = RpcError::Transport { method: "eth_estimateGas", what: "no end point".into() };
        for rpc in &self.chain.endpoints {
            match rpc.estimate_gas(self.keys.gas.address(), Some(self.chain.contract), input).await {
                Ok(gas) => return Ok(gas),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The contract would not take the head: look again; after three times call somebody.
    fn would_revert(&mut self, flight: &Flight, message: &str) -> Result<Option<Waiting>, AnchorError> {
        tracing::warn!(seq = flight.seq(), message, "the contract would refuse the anchor");
        self.memory.reverts = self.memory.reverts.saturating_add(1);
        if flight.variants.is_empty() {
            self.journal.dropped(flight.id, DropReason::EstimateReverted)?;
            self.memory.asked = self.memory.reverts < 3;
        }
        Ok(Some(if self.memory.reverts < 3 { Waiting::Reconcile } else { Waiting::BlockedRevert }))
    }

    /// Hands journalled bytes to all nodes, one after another.
    async fn send(&mut self, flight: FlightId, variant: &Variant, block: u64) -> Result<Option<Waiting>, AnchorError> {
        let mut sent = Sent::Unclear;
        for rpc in &self.chain.endpoints {
            let answer = rpc.send_raw(&variant.raw).await;
            if let Err(error) = &answer {
                tracing::info!(endpoint = rpc.name(), hash = %variant.hash, %error, "a node did not take the transaction");
            }
            sent = sent.min(Sent::of(&answer));
        }
        let sending = self.memory.sending.entry(variant.hash).or_insert_with(|| Sending::new(block));
        sending.last = Instant::now();
        sending.unknown = 0;
        sending.failures = if sent == Sent::Accepted { 0 } else { sending.failures.saturating_add(1) };
        sending.not_before = match sent {
            Sent::Accepted | Sent::Underpriced => None,
            Sent::NonceTooLow | Sent::NonceTooHigh | Sent::InsufficientFunds | Sent::Unclear => {
                Some(Instant::now() + backoff(sending.failures))
            }
        };
        Ok(match sent {
            Sent::Accepted => {
                self.journal.accepted(flight)?;
                Some(Waiting::InPool)
            }
            Sent::Underpriced => {
                self.journal.underpriced(flight)?;
                // Once at once, then poll by poll: the offer must not race to the ceiling within a second.
                let again = std::mem::replace(&mut self.memory.underpriced, true);
                again.then_some(Waiting::Signed)
            }
            Sent::NonceTooLow | Sent::NonceTooHigh => Some(Waiting::Reconcile),
            Sent::InsufficientFunds => Some(Waiting::BlockedFunds),
            Sent::Unclear => Some(Waiting::Signed),
        })
    }

    /// Captures evidence while nodes still have the state; a failure is made good later.
    async fn capture_early(&mut self, flight: FlightId, seq: u64, there: &Inclusion) -> Result<(), AnchorError> {
        if self.journal.captured(flight, there.block_hash)?.is_some() {
            return Ok(());
        }
        match self.capture(seq, there).await {
            Ok(evidence) => {
                self.journal.capture(flight, there.block_hash, &capture::text(&evidence)?)?;
            }
            Err(error) => tracing::warn!(seq, %error, "the evidence of an anchor is not captured yet"),
        }
        Ok(())
    }

    async fn capture(&self, seq: u64, there: &Inclusion) -> Result<Evidence, CaptureError> {
        let mut last = CaptureError::NoBlock(there.block_hash);
        for rpc in &self.chain.endpoints {
            match capture::capture(rpc, &self.place, seq, there).await {
                Ok(evidence) => return Ok(evidence),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// SAFE → FINAL: the file first, then the journal.
    async fn finish(
        &mut self,
        flight: FlightId,
        seq: u64,
        inclusion: Inclusion,
        seen: &Observation,
    ) -> Result<Option<Waiting>, AnchorError> {
        let text = match self.journal.captured(flight, inclusion.block_hash)? {
            Some(text) => Some(text),
            None => match self.capture(seq, &inclusion).await {
                Ok(evidence) => Some(capture::text(&evidence)?),
                Err(error) => self.capture_late(seq, &inclusion, seen, &error).await?,
            },
        };
        match text {
            Some(text) => {
                capture::keep(&self.settings.anchors, seq, &text)?;
                tracing::info!(seq, size = inclusion.head.size.get(), block = inclusion.block_number, "anchor final");
            }
            None if self.memory.uncaptured < self.settings.policy.patience => {
                self.memory.uncaptured = self.memory.uncaptured.saturating_add(1);
                return Ok(Some(Waiting::Mined));
            }
            None => {
                self.memory.uncaptured = 0;
                tracing::error!(
                    seq,
                    "no node has the evidence of this anchor any more; the next anchor covers its leaves"
                );
                self.memory.asked = true;
            }
        }
        self.journal.finished(flight, &inclusion)?;
        Ok(None)
    }

    /// The block's state is pruned: the head may still stand at the present tip.
    async fn capture_late(
        &self,
        seq: u64,
        inclusion: &Inclusion,
        seen: &Observation,
        why: &CaptureError,
    ) -> Result<Option<String>, AnchorError> {
        tracing::warn!(seq, error = %why, "the evidence at the anchor's own block cannot be captured");
        // Only a final block may stand in the file, and only if the head is still this one there.
        if seen.final_seq != seq {
            return Ok(None);
        }
        let Ok(block) = self.chain.block_at(seen.finalized).await else { return Ok(None) };
        let (block_number, block_hash) = (block.number, block.hash);
        let later = Inclusion { block_number, block_hash, ..inclusion.clone() };
        match self.capture(seq, &later).await {
            Ok(evidence) => Ok(Some(capture::text(&evidence)?)),
            Err(_) => Ok(None),
        }
    }
}

fn seq_of(book: &Book, flight: FlightId) -> u64 {
    book.flights.iter().find(|known| known.id == flight).map_or(0, Flight::seq)
}

/// 1, 2, 4 … 30 s.
fn backoff(failures: u32) -> Duration {
    Duration::from_secs(1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(30).clamp(1, 30))
}

#[cfg(test)]
mod tests;
