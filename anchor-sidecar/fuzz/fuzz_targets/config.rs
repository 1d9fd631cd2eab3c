//! Whatever configuration is refused has a fault to name, in order.
#![no_main]

use anchor_sidecar::config::{Faults, from_text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(Faults(faults)) = from_text(text, []) {
        assert!(!faults.is_empty() && faults.is_sorted());
    }
});
