//! Sealgate's FHIR profiles (FSH under `input/`), and the only crate that names fhirbolt (ADR 0013).
//!
//! What others call are plain functions over JSON text and plain fields: nothing of fhirbolt's types crosses the wall,
//! because each crate that names them instantiates every resource of R4.

pub mod audit_event;
pub mod consent;
