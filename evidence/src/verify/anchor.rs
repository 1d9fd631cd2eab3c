//! The third tick: one anchor, from the checkpoint down to the block.

use super::{AnchorReport, BlockTrust, Difference, Finality, Missing, Verdict, Waiting};
use crate::bundle::{Anchor, AnchorLink, StorageProof};
use crate::checkpoint::Checkpoint;
use crate::ethereum::{BlockHeader, HeadSlot, decode_header, head_slots, prove_account, prove_slot};
use crate::event::AccessEvent;
use crate::ids::{Hash, LeafIndex};
use crate::merkle::verify_consistency;
use crate::trust::TrustFile;

/// Checks one anchor; `events` are those whose content is verified, with their places.
pub(super) fn check(
    link: &AnchorLink,
    checkpoint: &Checkpoint,
    events: &[(LeafIndex, &AccessEvent)],
    trust: &TrustFile,
    blocks: &BlockTrust,
) -> AnchorReport {
    let anchor = &link.anchor;
    let (header, state) = match in_state(anchor) {
        Ok(header) => (Some(header), Verdict::Verified),
        Err(difference) => (None, Verdict::differs(*difference)),
    };
    let times = header.as_ref().map_or(Verdict::Verified, |header| recorded_before(header, events, trust));
    let verdict =
        covers(link, checkpoint).and(pinned(anchor, trust)).and(state).and(times).and(in_chain(anchor, blocks));
    AnchorReport {
        chain_id: anchor.chain_id,
        contract: anchor.contract,
        seq: anchor.seq,
        size: anchor.size,
        block_number: anchor.block_number,
        block_hash: anchor.block_hash,
        block_time: header.map(|header| header.time),
        transaction: anchor.transaction,
        block_trusted_by: blocks.block(anchor.chain_id, anchor.block_number).map(|block| block.basis),
        verdict,
    }
}

/// The checkpoint's tree is the beginning of the anchored one.
fn covers(link: &AnchorLink, checkpoint: &Checkpoint) -> Verdict {
    let anchor = &link.anchor;
    if anchor.size < checkpoint.size {
        let (anchored, checkpoint) = (anchor.size, checkpoint.size);
        return Verdict::differs(Difference::AnchorTooSmall { anchored, checkpoint });
    }
    match verify_consistency(checkpoint.size, &checkpoint.root, anchor.size, &anchor.root, &link.consistency) {
        Ok(()) => Verdict::Verified,
        Err(cause) => Verdict::differs(Difference::Consistency(cause)),
    }
}

/// Contract, code and log are those that the trust file pins.
fn pinned(anchor: &Anchor, trust: &TrustFile) -> Verdict {
    let chain_id = anchor.chain_id;
    let Some(chain) = trust.chain(chain_id) else { return Verdict::missing(Missing::Chain { chain_id }) };
    let contract = match chain.contract {
        None => Verdict::missing(Missing::Contract { chain_id }),
        Some(pinned) if pinned == anchor.contract => Verdict::Verified,
        Some(pinned) => Verdict::differs(Difference::Contract { found: anchor.contract, pinned }),
    };
    let code_hash = match chain.code_hash {
        None => Verdict::missing(Missing::CodeHash { chain_id }),
        Some(pinned) if pinned == anchor.code_hash => Verdict::Verified,
        Some(pinned) => Verdict::differs(Difference::CodeHash { found: anchor.code_hash, pinned }),
    };
    let log_id = match chain.log_id {
        None => Verdict::missing(Missing::LogId { chain_id }),
        Some(pinned) if pinned == anchor.log_id => Verdict::Verified,
        Some(pinned) => Verdict::differs(Difference::LogId { found: anchor.log_id, pinned }),
    };
    contract.and(code_hash).and(log_id)
}

/// The head stands in the contract in the state of the block that the anchor states.
fn in_state(anchor: &Anchor) -> Result<BlockHeader, Box<Difference>> {
    let header = decode_header(anchor.header_rlp.as_ref()).map_err(Difference::Header)?;
    if header.hash != anchor.block_hash || header.number != anchor.block_number {
        return Err(Box::new(Difference::HeaderBlock {
            computed: header.hash,
            computed_number: header.number,
            stated: anchor.block_hash,
            stated_number: anchor.block_number,
        }));
    }
    let account =
        prove_account(&header.state_root, &anchor.contract, &anchor.account_proof).map_err(Difference::Account)?;
    if account.code_hash != anchor.code_hash {
        let (found, stated) = (account.code_hash, anchor.code_hash);
        return Err(Box::new(Difference::AccountCode { found, stated }));
    }
    let [first_key, second_key] = head_slots(&anchor.log_id);
    let [first, second] = anchor.storage_proofs.as_slice() else { return Err(Box::new(Difference::Slots)) };
    let head = HeadSlot::unpack(&slot("first", &account.storage_root, &first_key, first)?);
    let root = slot("second", &account.storage_root, &second_key, second)?;
    if (head.size, head.seq, root) != (anchor.size, anchor.seq, anchor.root) {
        return Err(Box::new(Difference::Head {
            found_size: head.size,
            found_seq: head.seq,
            found_root: root,
            size: anchor.size,
            seq: anchor.seq,
            root: anchor.root,
        }));
    }
    Ok(header)
}

fn slot(
    name: &'static str,
    storage_root: &Hash,
    key: &Hash,
    StorageProof { key: stated, value, proof }: &StorageProof,
) -> Result<Hash, Box<Difference>> {
    if stated != key {
        return Err(Box::new(Difference::Slots));
    }
    prove_slot(storage_root, key, value, proof).map_err(|cause| Difference::Slot { slot: name, cause })?;
    Ok(*value)
}

/// No event was recorded after the block that already covers it.
fn recorded_before(header: &BlockHeader, events: &[(LeafIndex, &AccessEvent)], trust: &TrustFile) -> Verdict {
    let latest = header.time.saturating_add(trust.clock_skew());
    Verdict::all(events.iter().filter(|(_, event)| event.at > latest).map(|(index, event)| {
        Verdict::differs(Difference::RecordedAfterAnchor { index: *index, at: event.at, block_time: header.time })
    }))
}

/// The block is the chain's, and stays so.
fn in_chain(anchor: &Anchor, blocks: &BlockTrust) -> Verdict {
    let Anchor { chain_id, block_number, .. } = *anchor;
    match blocks.block(chain_id, block_number) {
        None => Verdict::missing(Missing::BlockHash { chain_id, block_number }),
        Some(block) if block.hash != anchor.block_hash => Verdict::differs(Difference::Block {
            chain_id,
            block_number,
            trusted: block.hash,
            found: anchor.block_hash,
        }),
        Some(block) => match block.finality {
            Finality::Final => Verdict::Verified,
            Finality::Pending => Verdict::Waiting(Waiting::Finality { chain_id, block_number }),
        },
    }
}
