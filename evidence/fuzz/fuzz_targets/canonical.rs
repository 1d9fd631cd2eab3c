//! Whatever is accepted has one canonical form, which is accepted and is its own canonical form.
#![no_main]

use evidence::canonical::{parse_canonical, parse_strict, to_canonical};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = parse_strict(data) {
        let canonical = to_canonical(&value).expect("what was read can be written");
        let again = parse_canonical(&canonical).expect("what was written can be read");
        assert_eq!(to_canonical(&again).expect("as before"), canonical);
    }
});
