//! The real parts, each startable alone: where the programs come from ([`tools`]), how they run ([`process`]), what they are.

pub mod anvil;
pub mod clock;
pub mod collector;
pub mod empty_root;
pub mod fhir;
pub mod gateway;
pub mod hapi;
pub mod hfs;
pub mod issuer;
pub mod load;
pub mod log;
pub mod openings;
mod orphans;
pub mod process;
pub mod programs;
pub mod say;
pub mod sidecar;
pub mod stack;
pub mod tools;
pub mod workspace;
pub mod written;
