//! Whatever is accepted writes back as the same bytes, and the verifier has an answer to it.
#![no_main]

use evidence::bundle::ProofBundle;
use evidence::note::{KeyKind, NoteSigner};
use evidence::trust::TrustFile;
use evidence::verify::{BlockTrust, verify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(bundle) = ProofBundle::parse(data) {
        let written = bundle.to_canonical().expect("what was read can be written");
        assert_eq!(written, data.strip_suffix(b"\n").unwrap_or(data));
        let origin = "log.hospital-a.example/sealgate";
        let key = NoteSigner::from_seed(origin, KeyKind::Ed25519, &[1; 32]).expect("a good name");
        let trust = TrustFile::new(origin.parse().expect("a good name"), key.verifier().clone());
        let report = verify(&bundle, &trust, &BlockTrust::none());
        assert_ne!(report.verdict.exit_code(), 0, "without a trusted block nothing is verified");
    }
});
