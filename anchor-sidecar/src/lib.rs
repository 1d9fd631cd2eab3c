//! The append-only log of commitments, its anchor on an EVM chain, and the verifier command line.
//!
//! [`runner`] tells the path of an event; each stage is a module with the verb's name.

pub mod anchor;
pub mod anchoring;
pub mod anchors;
pub mod cli;
pub mod clock;
pub mod compare;
pub mod config;
pub mod fsck;
pub mod group;
pub mod ingest;
pub mod integrate;
pub mod log;
pub mod nodes;
pub mod overdue;
pub mod prove;
pub mod public;
pub mod rpc;
pub mod runner;
pub mod sequence;
pub mod store;
pub mod telemetry;
#[cfg(test)]
mod testlog;
pub mod tiles;
pub mod volume;
