//! Events about the gateway and its records.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{Epoch, EventId, Hash, SourceId, Timestamp};
use crate::printed::decimal;

/// Requests of one minute that were refused before anybody was known, and reads of public metadata.
///
/// They are counted, so that a flood cannot fill the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unauthenticated {
    /// The beginning of the minute.
    pub minute: Timestamp,
    /// How many for each reason.
    #[serde(with = "counted")]
    pub reasons: BTreeMap<String, u64>,
}

/// The gateway started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The version of the program.
    pub version: String,
    /// The digest of the image that it runs from, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    /// The digest of the configuration.
    pub config_digest: Hash,
    /// The digest of the policy.
    pub policy_digest: Hash,
    /// How far the clock lay from a reference, in milliseconds, where one was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_offset_ms: Option<i32>,
}

/// The gateway stopped in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {}

/// The gateway lives; once a minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// What it did since it started.
    pub counters: HeartbeatCounters,
}

/// What the gateway did since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatCounters {
    /// Requests.
    #[serde(with = "decimal")]
    pub requests: u64,
    /// Requests that were permitted.
    #[serde(with = "decimal")]
    pub permits: u64,
    /// Requests that were refused.
    #[serde(with = "decimal")]
    pub refusals: u64,
    /// Elements that were taken out.
    #[serde(with = "decimal")]
    pub redactions: u64,
    /// Events that were recorded.
    #[serde(with = "decimal")]
    pub events: u64,
    /// Bytes that were answered.
    #[serde(with = "decimal")]
    pub bytes: u64,
}

/// The policy changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyChange {
    /// The digest of the new policy.
    pub policy_digest: Hash,
    /// The digest of the old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Hash>,
    /// Who changed it, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Somebody read the audit records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditRead {
    /// Who.
    pub by: String,
    /// What kind of records, such as `openings`.
    pub what: String,
    /// The request whose records were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<EventId>,
}

/// The keys of a patient were erased. It does not say whose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erasure {
    /// Who ordered it.
    pub by: String,
    /// On what ground.
    pub basis: String,
    /// How many events cannot be opened any more.
    #[serde(with = "decimal")]
    pub events: u64,
}

/// Somebody signed off a review of the records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// Who.
    pub by: String,
    /// The beginning of the time that was reviewed.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// What came of it.
    pub finding: String,
}

/// An epoch ended: no new event belongs to it. A journal that went on from an older copy of itself says how many events it
/// has; the log may hold more of that epoch, and what these say is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochClosed {
    /// The journal.
    pub source: SourceId,
    /// The epoch that ended.
    pub epoch: Epoch,
    /// How many events it has: its sequences are 0 up to one less than this.
    #[serde(with = "decimal")]
    pub events: u64,
}

/// A map of counts, each a decimal string.
mod counted {
    use std::collections::BTreeMap;
    use std::str::FromStr;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::printed::Decimal;

    pub(super) fn serialize<S: Serializer>(counts: &BTreeMap<String, u64>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(counts.iter().map(|(reason, count)| (reason, count.to_string())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, u64>, D::Error> {
        BTreeMap::<String, String>::deserialize(deserializer)?
            .into_iter()
            .map(|(reason, count)| match Decimal::from_str(&count) {
                Ok(count) => Ok((reason, count.0)),
                Err(error) => Err(D::Error::custom(error)),
            })
            .collect()
    }
}
