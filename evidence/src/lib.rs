//! Access events, commitments, the RFC 6962 tree, checkpoints, proof bundles and their offline verification.
//!
//! INVARIANT: this crate is pure. It reads no clock, no file, no environment and no randomness; every
//! function is a function of its arguments, so that a verdict can be reproduced by anybody, anywhere.
//!
//! The order in which an access becomes evidence is the order of the modules:
//! [`event`] → [`commitment`] → [`leaf`] → [`merkle`] → [`checkpoint`] (a [`note`]) → [`bundle`] →
//! [`verify`] against a [`trust`] file, with [`ethereum`] for the anchor. The formats are specified in
//! `docs/spec/{event,commitment,log,proof}.md`.

pub mod bundle;
pub mod canonical;
pub mod checkpoint;
pub mod commitment;
pub mod ethereum;
pub mod event;
pub mod ids;
pub mod leaf;
pub mod merkle;
pub mod note;
mod printed;
pub mod trust;
pub mod verify;
