//! What a verdict may name.

use crate::checkpoint::CheckpointError;
use crate::ethereum::EthereumError;
use crate::ids::{Address, ChainId, Commitment, Hash, LeafIndex, LogId, Timestamp, TreeSize};
use crate::merkle::MerkleError;

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Waiting {
    /// The first anchor.
    #[error("no anchor covers the checkpoint yet{}", .expected_by.map(|by| format!("; one is expected by {by}")).unwrap_or_default())]
    Anchor {
        /// Until when it is expected, as the log says.
        expected_by: Option<Timestamp>,
    },
    /// The finality of an anchor's block.
    #[error("block {block_number} of chain {chain_id} is not final yet")]
    Finality {
        /// The chain.
        chain_id: ChainId,
        /// The block.
        block_number: u64,
    },
}

/// What is missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The tenant is not in the bundle.
    #[error("the tenant is not in the bundle")]
    Tenant,
    /// The event is withheld.
    #[error("the event at place {index} is withheld")]
    Event {
        /// Whose.
        index: LeafIndex,
    },
    /// The salt is withheld.
    #[error("the salt of the event at place {index} is withheld")]
    Salt {
        /// Whose.
        index: LeafIndex,
    },
    /// The event is unchanged, but of a version or kind that this program cannot read.
    #[error("the event at place {index} is unchanged, but of a version or kind that this program does not know")]
    EventVersion {
        /// Whose.
        index: LeafIndex,
    },
    /// Too few witnesses have cosigned.
    #[error("the trust file asks for {quorum} cosignatures, the checkpoint has {found}")]
    Cosignatures {
        /// How many there are.
        found: u32,
        /// How many are asked for.
        quorum: u32,
    },
    /// Without a checkpoint nothing can be anchored.
    #[error("the checkpoint that an anchor would have to cover")]
    Checkpoint,
    /// The trust file pins no chain.
    #[error("the trust file pins no chain")]
    Chains,
    /// The trust file does not pin the anchor's chain.
    #[error("the trust file does not pin chain {chain_id}")]
    Chain {
        /// Which.
        chain_id: ChainId,
    },
    /// The trust file does not pin the contract.
    #[error("the trust file does not pin the contract on chain {chain_id}")]
    Contract {
        /// Which chain.
        chain_id: ChainId,
    },
    /// The trust file does not pin the contract's code.
    #[error("the trust file does not pin the code hash of the contract on chain {chain_id}")]
    CodeHash {
        /// Which chain.
        chain_id: ChainId,
    },
    /// The trust file does not pin the log in the contract.
    #[error("the trust file does not pin the log id on chain {chain_id}")]
    LogId {
        /// Which chain.
        chain_id: ChainId,
    },
    /// Nobody who is trusted has said which block is the chain's.
    #[error("the hash of block {block_number} of chain {chain_id} from a source that you trust")]
    BlockHash {
        /// Which chain.
        chain_id: ChainId,
        /// Which block.
        block_number: u64,
    },
}

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// The event cannot be what was committed to.
    #[error("the event at place {index} has no canonical form")]
    EventForm {
        /// Whose.
        index: LeafIndex,
    },
    /// Event, salt or tenant differ from what was committed to.
    #[error(
        "the event at place {index}, its salt or the tenant was changed: they give commitment {computed}, the leaf holds {in_leaf}"
    )]
    Commitment {
        /// Whose.
        index: LeafIndex,
        /// What event, salt and tenant give.
        computed: Commitment,
        /// What the leaf holds.
        in_leaf: Commitment,
    },
    /// The checkpoint is not one of the trusted log.
    #[error("the checkpoint is not one of the trusted log: {0}")]
    Checkpoint(CheckpointError),
    /// The leaf is not in the checkpoint's tree at its place.
    #[error("the leaf is not in the log at place {index}: {cause}")]
    Inclusion {
        /// Which place.
        index: LeafIndex,
        /// What differs.
        cause: MerkleError,
    },
    /// The anchored head is older than the checkpoint.
    #[error("the anchored head has {anchored} leaves and cannot cover a checkpoint of {checkpoint}")]
    AnchorTooSmall {
        /// The anchored size.
        anchored: TreeSize,
        /// The checkpoint's size.
        checkpoint: TreeSize,
    },
    /// The checkpoint's tree is not the beginning of the anchored one.
    #[error("the anchored head does not continue the checkpoint: {0}")]
    Consistency(MerkleError),
    /// The anchor is in another contract than is pinned.
    #[error("the anchor is in the contract {found}, the trust file pins {pinned}")]
    Contract {
        /// The anchor's.
        found: Address,
        /// The pinned one.
        pinned: Address,
    },
    /// The contract's code is another than is pinned.
    #[error("the contract's code has hash {found}, the trust file pins {pinned}")]
    CodeHash {
        /// The anchor's.
        found: Hash,
        /// The pinned one.
        pinned: Hash,
    },
    /// The anchor is of another log than is pinned.
    #[error("the anchor is of the log {found}, the trust file pins {pinned}")]
    LogId {
        /// The anchor's.
        found: LogId,
        /// The pinned one.
        pinned: LogId,
    },
    /// The header proves nothing.
    #[error("{0}")]
    Header(EthereumError),
    /// The header is that of another block.
    #[error(
        "the header is of block {computed_number} with hash {computed}, the anchor states block {stated_number} with hash {stated}"
    )]
    HeaderBlock {
        /// The hash of the header.
        computed: Hash,
        /// The number in the header.
        computed_number: u64,
        /// The hash that the anchor states.
        stated: Hash,
        /// The number that the anchor states.
        stated_number: u64,
    },
    /// The block does not hold the contract.
    #[error("the block does not prove the contract: {0}")]
    Account(EthereumError),
    /// The contract's code in the block is another than the anchor states.
    #[error("the contract's code in the block has hash {found}, the anchor states {stated}")]
    AccountCode {
        /// In the block.
        found: Hash,
        /// What the anchor states.
        stated: Hash,
    },
    /// A storage slot of the log is not proven.
    #[error("the block does not prove the log's {slot} slot: {cause}")]
    Slot {
        /// `first` (size and seq) or `second` (root).
        slot: &'static str,
        /// What is wrong.
        cause: EthereumError,
    },
    /// The bundle has no proof for a storage slot of the log, or more than one.
    #[error("the anchor must prove exactly the two slots of the log")]
    Slots,
    /// The contract holds another head than the anchor states.
    #[error(
        "the contract holds a head of {found_size} leaves with seq {found_seq} and root {found_root}, the anchor states {size}, {seq} and {root}"
    )]
    Head {
        /// In the contract.
        found_size: TreeSize,
        /// In the contract.
        found_seq: u64,
        /// In the contract.
        found_root: Hash,
        /// What the anchor states.
        size: TreeSize,
        /// What the anchor states.
        seq: u64,
        /// What the anchor states.
        root: Hash,
    },
    /// The chain has another block of that number.
    #[error("block {block_number} of chain {chain_id} has hash {trusted}, the anchor's has {found}")]
    Block {
        /// Which chain.
        chain_id: ChainId,
        /// Which block.
        block_number: u64,
        /// What the trusted source says.
        trusted: Hash,
        /// What the anchor says.
        found: Hash,
    },
    /// The event says that it was recorded after a block that already covers it.
    #[error(
        "the event at place {index} says that it was recorded at {at}, but the block that already covers it is of {block_time}"
    )]
    RecordedAfterAnchor {
        /// Whose.
        index: LeafIndex,
        /// When it says that it was recorded.
        at: Timestamp,
        /// When the block was made.
        block_time: Timestamp,
    },
}

impl Waiting {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Anchor { .. } => "anchor",
            Self::Finality { .. } => "finality",
        }
    }
}

impl Missing {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Event { .. } => "event",
            Self::Salt { .. } => "salt",
            Self::EventVersion { .. } => "event-version",
            Self::Cosignatures { .. } => "cosignatures",
            Self::Checkpoint => "checkpoint",
            Self::Chains => "chains",
            Self::Chain { .. } => "chain",
            Self::Contract { .. } => "contract",
            Self::CodeHash { .. } => "code-hash",
            Self::LogId { .. } => "log-id",
            Self::BlockHash { .. } => "block-hash",
        }
    }
}

impl Difference {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::EventForm { .. } => "event-form",
            Self::Commitment { .. } => "commitment",
            Self::Checkpoint(_) => "checkpoint",
            Self::Inclusion { .. } => "inclusion",
            Self::AnchorTooSmall { .. } => "anchor-too-small",
            Self::Consistency(_) => "consistency",
            Self::Contract { .. } => "contract",
            Self::CodeHash { .. } => "code-hash",
            Self::LogId { .. } => "log-id",
            Self::Header(_) => "header",
            Self::HeaderBlock { .. } => "header-block",
            Self::Account(_) => "account",
            Self::AccountCode { .. } => "account-code",
            Self::Slot { .. } => "slot",
            Self::Slots => "slots",
            Self::Head { .. } => "head",
            Self::Block { .. } => "block",
            Self::RecordedAfterAnchor { .. } => "recorded-after-anchor",
        }
    }
}
