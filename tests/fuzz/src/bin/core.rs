//! The targets of `fuzz::core` as a libFuzzer program; the environment says which one runs.
#![no_main]

use std::sync::OnceLock;

use fuzz::Target;

static TARGET: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    (TARGET.get_or_init(|| fuzz::named(fuzz::core::TARGETS)).run)(data);
});
