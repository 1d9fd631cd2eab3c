//! The twin-world test: two worlds whose visible parts are equal for a caller give that caller equal answers, byte for byte.
//!
//! [`making`] makes pairs of worlds, [`requests`] makes requests, [`side`] sends them, [`canonical`] takes out of an answer
//! what a server assigns, [`verdict`] compares, [`shrink`] makes a difference small, [`run`] does it in numbers, and
//! [`mutants`] shows that the test finds what it is made for.

pub mod callers;
pub mod canonical;
pub mod consents;
pub mod dice;
pub mod making;
pub mod mutants;
mod odd;
mod parameters;
pub mod records;
pub mod requests;
pub mod run;
mod searches;
pub mod shrink;
pub mod side;
pub mod twins;
pub mod verdict;
pub mod world;
mod writes;
