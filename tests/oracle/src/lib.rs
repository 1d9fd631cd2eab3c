//! The oracle: a second evaluator of Consent, and its comparison with the engine.
//!
//! [`evaluator`] is written from CONSENT.md and FHIR alone; [`generate`] makes questions; [`compare`] asks both;
//! [`coverage`] counts what was asked; [`shrink`] makes a difference small enough to judge.

pub mod case;
pub mod compare;
pub mod coverage;
pub mod evaluator;
pub mod generate;
pub mod shrink;
