//! Whatever body is accepted holds 1 to the limit of commitments, whose sequence numbers the store can hold.
#![no_main]

use anchor_sidecar::ingest::wire;
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 1024;

fuzz_target!(|data: &[u8]| {
    for addition in [wire::leaves(data, LIMIT), wire::leaf(data)].into_iter().flatten() {
        assert!((1..=LIMIT).contains(&addition.commitments.len()));
        assert!(i64::try_from(addition.end()).is_ok());
    }
    let _ = wire::hello(data);
});
