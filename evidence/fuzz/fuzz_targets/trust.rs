//! Whatever is accepted reads back from what it is written as.
#![no_main]

use evidence::trust::TrustFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(trust) = TrustFile::parse(data) {
        let written = trust.to_json().expect("what was read can be written");
        assert_eq!(TrustFile::parse(written.as_bytes()).expect("what was written can be read"), trust);
    }
});
