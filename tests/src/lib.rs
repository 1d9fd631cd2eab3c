//! Starts the real parts: demo, end-to-end tests, benchmarks.
//!
//! [`harness`] starts one real program after the other (FHIR server, chain node, issuer, sidecar, gateway), each alone or all of them as a
//! [`harness::stack::Stack`]; [`demo`] tells a story on it, [`suite`] holds the end-to-end tests, [`twin`] looks for what tells two worlds apart, `bench` (feature of that name) the benchmarks.

#[cfg(feature = "bench")]
pub mod bench;
pub mod demo;
pub mod harness;
pub mod suite;
pub mod twin;
