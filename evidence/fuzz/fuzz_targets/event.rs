//! Whatever is accepted writes back as the same bytes.
#![no_main]

use evidence::event::AccessEvent;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(event) = AccessEvent::from_canonical(data) {
        assert_eq!(event.canonical_bytes().expect("what was read can be written"), data);
    }
});
