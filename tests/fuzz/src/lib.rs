//! Fuzz targets: for each reader of what strangers send, a property that holds of every input.
//!
//! A target is a plain function over bytes, so that its seeds run as unit tests too (`cargo test -p fuzz`). Seeds are
//! the repository's own vectors and scenarios: those that the reader takes, so that none can go stale unseen. `cargo
//! fuzz-all` builds the targets for libFuzzer and runs them (ADR 0034).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a finding"
)]

pub mod core;
pub mod evidence;
pub mod sidecar;

mod harvest;
#[cfg(test)]
mod tests;

/// The variable that tells a fuzzing program which of its targets to run.
pub const TARGET_VARIABLE: &str = "SEALGATE_FUZZ_TARGET";

/// One fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// `crate-format`.
    pub name: &'static str,
    /// Reads the input and panics where the property does not hold; gives whether the input was taken.
    pub run: fn(&[u8]) -> bool,
    /// Inputs of which some are taken.
    pub candidates: fn() -> Vec<Vec<u8>>,
}

impl Target {
    /// What of the candidates is taken; and what breaks the property, for the fuzzer to tell of.
    #[must_use]
    pub fn seeds(&self) -> Vec<Vec<u8>> {
        let taken = |input: &Vec<u8>| std::panic::catch_unwind(|| (self.run)(input)).unwrap_or(true);
        (self.candidates)().into_iter().filter(taken).collect()
    }
}

/// All targets with the program that runs each.
#[must_use]
pub fn all() -> Vec<(&'static str, Target)> {
    let of = |program: &'static str, targets: &'static [Target]| targets.iter().map(move |target| (program, *target));
    of("fuzz-evidence", evidence::TARGETS)
        .chain(of("fuzz-core", core::TARGETS))
        .chain(of("fuzz-sidecar", sidecar::TARGETS))
        .collect()
}

/// The target of this program that the environment names.
///
/// # Panics
/// Where it names none of them.
#[must_use]
pub fn named(targets: &'static [Target]) -> Target {
    let name = std::env::var_os(TARGET_VARIABLE).unwrap_or_default();
    let target = targets.iter().find(|target| *target.name == *name);
    *target.unwrap_or_else(|| panic!("{TARGET_VARIABLE} names none of {:?}", targets.iter().map(|t| t.name)))
}
