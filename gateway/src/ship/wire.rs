//! Bodies of the log's write side (`/v1/hello`, `/v1/leaves`); unknown keys of an answer are refused.

use evidence::ids::{Commitment, Epoch, LeafIndex, LogId, Origin, Sequence, SourceId, TreeSize};
use serde::{Deserialize, Serialize};

/// Body of `POST /v1/hello`.
#[derive(Debug, Serialize)]
pub(super) struct Hello<'a> {
    pub(super) source: SourceId,
    pub(super) epoch: Epoch,
    pub(super) last_receipt: Option<HelloReceipt<'a>>,
}

/// The newest receipt that this source holds.
#[derive(Debug, Serialize)]
pub(super) struct HelloReceipt<'a> {
    /// Index of the last leaf that it covers.
    pub(super) index: LeafIndex,
    pub(super) checkpoint: &'a str,
}

/// Answer of `POST /v1/hello`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HelloAnswer {
    #[serde(default, rename = "log_id")]
    pub(super) _log_id: Option<LogId>,
    pub(super) origin: Origin,
    pub(super) size: TreeSize,
}

/// Body of `POST /v1/leaves`.
#[derive(Debug, Serialize)]
pub(super) struct Leaves<'a> {
    pub(super) source: SourceId,
    pub(super) epoch: Epoch,
    pub(super) first: Sequence,
    pub(super) commitments: &'a [Commitment],
}

/// Answer of `POST /v1/leaves`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LeavesAnswer {
    pub(super) first_index: LeafIndex,
    /// Of how many leaves, from the first on, this is the receipt; all of them where it is absent.
    #[serde(default)]
    pub(super) count: Option<TreeSize>,
    pub(super) size: TreeSize,
    pub(super) checkpoint: String,
}

/// Any refusal; only the code and the number decide, the sentence is for people.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Refusal {
    #[serde(default)]
    pub(super) error: String,
    #[serde(default)]
    pub(super) sequence: Option<Sequence>,
    #[serde(default)]
    pub(super) expected: Option<Sequence>,
}
