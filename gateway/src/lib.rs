//! The FHIR proxy that enforces consent and records every access before the answer is released.
//!
//! [`pipeline`] tells the path of a request from top to bottom; every module that it calls carries the verb as its name.

pub mod accept;
pub mod admin;
pub mod assemble;
pub mod audit;
pub mod audit_event;
pub mod auth;
pub mod capability;
pub mod cli;
pub mod clock;
pub mod config;
pub mod cors;
pub mod counted;
pub mod cursor;
pub mod decide;
pub mod filter;
pub mod forward;
pub mod gate;
pub mod gather;
pub mod interpret;
pub mod journal;
pub mod keys;
pub mod organisation;
pub mod outcome;
pub mod peer;
pub mod pipeline;
pub mod probe;
pub mod problem;
pub mod random;
pub mod read;
pub mod record;
pub mod reload;
pub mod respond;
pub mod rules;
pub mod search;
pub mod selftest;
pub mod server;
pub mod ship;
mod standing;
pub mod tally;
pub mod telemetry;
pub mod tls;
pub mod write;
