//! The proof bundle of one leaf: its inclusion, the signed checkpoint, and the anchor that covers it.

use evidence::{
    bundle::{Anchor, AnchorLink, ProofBundle, Record},
    ids::{Epoch, LeafIndex, Sequence, SourceId, Timestamp, TreeSize},
    leaf::Leaf,
    merkle::{consistency_path, inclusion_path},
};

use crate::{
    anchors::{AnchorFileError, Anchors},
    log::Log,
    nodes::NodeError,
    store::StoreError,
};

/// Why no proof can be made.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The log does not hold that leaf.
    #[error("the log holds no leaf of that source, epoch and sequence")]
    Unknown,
    /// The size is none of a signed checkpoint that covers the leaf.
    #[error("no checkpoint of size {size} covers that leaf")]
    NoSuchHead {
        /// The size that was asked for.
        size: TreeSize,
    },
    /// The anchored head is not a head of this log.
    #[error("anchor {seq} is of size {size}, which the records do not have; run `anchor-sidecar fsck`")]
    ForeignAnchor {
        /// The anchor.
        seq: u64,
        /// Size of its tree.
        size: TreeSize,
    },
    /// The records cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A node cannot be read.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// An anchor cannot be read.
    #[error(transparent)]
    Anchor(#[from] AnchorFileError),
}

/// Makes the bundle of one leaf, without event and salt.
///
/// | `size` | the checkpoint is of | the anchor |
/// |---|---|---|
/// | absent, a final anchor covers the leaf | the anchored tree | the first that covers the leaf |
/// | absent, none does | the leaf's own record | none: waiting |
/// | given | that size, which a record must have | the first of at least that size, with a consistency proof |
///
/// # Errors
/// [`ProveError`].
pub fn bundle(
    log: &Log,
    source: SourceId,
    epoch: Epoch,
    sequence: Sequence,
    size: Option<TreeSize>,
) -> Result<ProofBundle, ProveError> {
    let (index, leaf) = find(log, source, epoch, sequence)?;
    let covering = size.or(index.get().checked_add(1).map(TreeSize::new)).ok_or(ProveError::Unknown)?;
    let anchor = Anchors::of_log(log.dir()).covering(covering)?;
    let head = log.read(|reader| match (size, &anchor) {
        (Some(size), _) => {
            let head = reader.at(size)?.filter(|_| size.get() > index.get());
            head.ok_or(ProveError::NoSuchHead { size })
        }
        (None, Some(Anchor { seq, size, root, .. })) => {
            let head = reader.at(*size)?.filter(|head| head.root == *root);
            head.ok_or(ProveError::ForeignAnchor { seq: *seq, size: *size })
        }
        (None, None) => reader.holding(index)?.ok_or(ProveError::Unknown),
    })?;
    let inclusion = inclusion_path(&*log.nodes, index, head.size)?;
    let record = Record { event: None, salt: None, leaf, index, inclusion };
    let mut bundle = ProofBundle::new(log.tenant.clone(), vec![record], head.checkpoint);
    match anchor {
        Some(anchor) => {
            let consistency = consistency_path(&*log.nodes, head.size, anchor.size)?;
            bundle.anchors.push(AnchorLink { consistency, anchor });
        }
        None => bundle.anchor_expected_by = expected_by(log),
    }
    Ok(bundle)
}

fn find(log: &Log, source: SourceId, epoch: Epoch, sequence: Sequence) -> Result<(LeafIndex, Leaf), ProveError> {
    log.read(|reader| {
        let run = reader.run(source, epoch, sequence)?.ok_or(ProveError::Unknown)?;
        let offset = run.offset_of(sequence).ok_or(ProveError::Unknown)?;
        let index = LeafIndex::new(run.index.get().saturating_add(offset));
        let leaf = reader.leaf(index)?.ok_or(ProveError::Unknown)?;
        Ok((index, leaf))
    })
}

/// When an anchor over what is recorded now should be final, if all is well.
fn expected_by(log: &Log) -> Option<Timestamp> {
    Some(crate::clock::now()?.saturating_add(log.anchored_within?))
}
