//! Offline verification: a bundle against a trust file (`docs/spec/proof.md`).
//!
//! Three questions, one tick each: is the content unchanged, is it in the log at its place, and is the log
//! anchored in a block of the chain. A tick has one of four verdicts ([`Verdict`]), and so has the whole.

use crate::bundle::{ProofBundle, Record};
use crate::checkpoint::{Checkpoint, OpenedCheckpoint};
use crate::commitment::commit;
use crate::event::AccessEvent;
use crate::ids::TenantId;
use crate::merkle::verify_inclusion;
use crate::trust::TrustFile;

mod anchor;
mod block;
mod findings;
mod report;
mod verdict;

#[cfg(test)]
mod tests;

pub use block::{BlockBasis, BlockTrust, Finality, TrustedBlock};
pub use findings::{Difference, Missing, Waiting};
pub use report::{AnchorReport, CosignatureReport, EventReport, LogReport, RecordReport, Report, TrustReport};
pub use verdict::{Finding, Verdict};

/// Verifies a bundle against what the caller believes.
///
/// It never fails: whatever is wrong with the bundle is a [`Difference`] in the report. It reads nothing but
/// its arguments, so the same arguments give the same report.
#[must_use]
pub fn verify(bundle: &ProofBundle, trust: &TrustFile, blocks: &BlockTrust) -> Report {
    let contents: Vec<Content> = bundle.records.iter().map(|record| content(bundle.tenant.as_ref(), record)).collect();
    let (opened, head) = open_checkpoint(bundle, trust);
    let records: Vec<RecordReport> = bundle
        .records
        .iter()
        .zip(&contents)
        .map(|(record, content)| RecordReport {
            source: record.leaf.source,
            epoch: record.leaf.epoch,
            sequence: record.leaf.sequence,
            index: record.index,
            event: content.event.as_ref().map(EventReport::of),
            content: content.verdict.clone(),
            logged: head.clone().and(position(record, opened.as_ref())),
        })
        .collect();

    let events: Vec<_> = bundle
        .records
        .iter()
        .zip(&contents)
        .filter_map(|(record, content)| content.event.as_ref().map(|event| (record.index, event)))
        .collect();
    let anchors: Vec<AnchorReport> = match &opened {
        Some(opened) => {
            bundle.anchors.iter().map(|link| anchor::check(link, &opened.checkpoint, &events, trust, blocks)).collect()
        }
        None => Vec::new(),
    };

    let content = Verdict::all(records.iter().map(|record| record.content.clone()));
    let logged = Verdict::all(records.iter().map(|record| record.logged.clone()));
    let anchored = anchored(bundle, trust, opened.is_some(), &anchors);
    Report {
        verdict: Verdict::all([content.clone(), logged.clone(), anchored.clone()]),
        content,
        logged,
        anchored,
        records,
        log: opened.as_ref().map(LogReport::of),
        anchors,
        trust: TrustReport::of(trust, blocks),
    }
}

/// The first tick of one record.
struct Content {
    verdict: Verdict,
    /// The event, where it is the one that the leaf commits to.
    event: Option<AccessEvent>,
}

fn content(tenant: Option<&TenantId>, record: &Record) -> Content {
    let untold = |verdict| Content { verdict, event: None };
    let (Some(tenant), Some(event), Some(salt)) = (tenant, &record.event, &record.salt) else {
        let missing = [
            tenant.is_none().then_some(Missing::Tenant),
            record.event.is_none().then_some(Missing::Event { index: record.index }),
            record.salt.is_none().then_some(Missing::Salt { index: record.index }),
        ];
        return untold(Verdict::CannotCheck(missing.into_iter().flatten().collect()));
    };
    let Ok(canonical) = crate::canonical::to_canonical(event) else {
        return untold(Verdict::differs(Difference::EventForm { index: record.index }));
    };
    let computed = commit(tenant, salt, &canonical);
    if computed != record.leaf.commitment {
        let in_leaf = record.leaf.commitment;
        return untold(Verdict::differs(Difference::Commitment { index: record.index, computed, in_leaf }));
    }
    // Unchanged, whatever it says; but what cannot be read has no time to check. Nor is an event what this program would not
    // itself write, such as a null in an absent member's place (event.md, Form).
    match AccessEvent::from_value(event.clone()) {
        Ok(event) if event.canonical_bytes().is_ok_and(|bytes| bytes == canonical) => {
            Content { verdict: Verdict::Verified, event: Some(event) }
        }
        Ok(_) | Err(_) => untold(Verdict::missing(Missing::EventVersion { index: record.index })),
    }
}

/// The checkpoint and what its signatures are worth.
fn open_checkpoint(bundle: &ProofBundle, trust: &TrustFile) -> (Option<OpenedCheckpoint>, Verdict) {
    let (witnesses, quorum) = match &trust.witnesses {
        Some(policy) => (policy.keys.as_slice(), policy.quorum),
        None => ([].as_slice(), 0),
    };
    match Checkpoint::open(&bundle.checkpoint, &trust.origin, &trust.log_key, witnesses) {
        Err(error) => (None, Verdict::differs(Difference::Checkpoint(error))),
        Ok(opened) => {
            // The log's own signature has no time; those that have are the witnesses'.
            let cosignatures = opened.signatures.iter().filter(|by| by.timestamp.is_some()).count();
            let found = u32::try_from(cosignatures).unwrap_or(u32::MAX);
            let verdict = if found < quorum {
                Verdict::missing(Missing::Cosignatures { found, quorum })
            } else {
                Verdict::Verified
            };
            (Some(opened), verdict)
        }
    }
}

/// The second tick of one record, given that the checkpoint is the log's.
fn position(record: &Record, opened: Option<&OpenedCheckpoint>) -> Verdict {
    let Some(OpenedCheckpoint { checkpoint, .. }) = opened else { return Verdict::Verified };
    let included =
        verify_inclusion(&record.leaf.hash(), record.index, checkpoint.size, &record.inclusion, &checkpoint.root);
    match included {
        Ok(()) => Verdict::Verified,
        Err(cause) => Verdict::differs(Difference::Inclusion { index: record.index, cause }),
    }
}

/// The third tick: one good anchor is enough, one that differs is too much.
fn anchored(bundle: &ProofBundle, trust: &TrustFile, opened: bool, anchors: &[AnchorReport]) -> Verdict {
    if trust.chains.is_empty() {
        return Verdict::missing(Missing::Chains).or_worse(anchors);
    }
    if !opened && !bundle.anchors.is_empty() {
        return Verdict::missing(Missing::Checkpoint);
    }
    if bundle.anchors.is_empty() {
        return Verdict::Waiting(Waiting::Anchor { expected_by: bundle.anchor_expected_by });
    }
    Verdict::any(anchors.iter().map(|anchor| anchor.verdict.clone()))
}
