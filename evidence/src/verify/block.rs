//! Which blocks the caller believes to be the chain's, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{ChainId, Hash};

/// What the caller says about blocks; without any, no anchor can be checked to its end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlockTrust {
    /// The blocks, at most one for each chain and number.
    pub blocks: Vec<TrustedBlock>,
}

/// A block that the caller believes to be its chain's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedBlock {
    /// The chain.
    pub chain_id: ChainId,
    /// The number.
    #[serde(with = "crate::printed::decimal")]
    pub number: u64,
    /// The hash of the chain's block of that number.
    pub hash: Hash,
    /// Whether the block can still be replaced.
    pub finality: Finality,
    /// Why it is believed.
    pub basis: BlockBasis,
}

/// Whether a block can still be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finality {
    /// It cannot: it is at or under the chain's `finalized`, or deep enough.
    Final,
    /// It can.
    Pending,
}

/// Why a block is believed to be the chain's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by", deny_unknown_fields)]
pub enum BlockBasis {
    /// Nodes said so.
    Rpc {
        /// How many of them agreed.
        endpoints: u32,
    },
    /// A light client followed the chain's consensus.
    LightClient,
    /// The user gave the hash.
    User,
}

impl BlockTrust {
    /// Believes no block.
    #[must_use]
    pub const fn none() -> Self {
        Self { blocks: Vec::new() }
    }

    /// The block of a number, if one is believed.
    #[must_use]
    pub fn block(&self, chain_id: ChainId, number: u64) -> Option<&TrustedBlock> {
        self.blocks.iter().find(|block| block.chain_id == chain_id && block.number == number)
    }
}

impl From<TrustedBlock> for BlockTrust {
    fn from(block: TrustedBlock) -> Self {
        Self { blocks: vec![block] }
    }
}

impl fmt::Display for BlockBasis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rpc { endpoints: 1 } => f.write_str("one RPC endpoint"),
            Self::Rpc { endpoints } => write!(f, "{endpoints} RPC endpoints that agree"),
            Self::LightClient => f.write_str("a light client"),
            Self::User => f.write_str("the user"),
        }
    }
}
