//! What the tape accepts another parser accepts, and facts, redaction and rewriting of it end in JSON or an error.
#![no_main]

use gateway_core::facts::ResourceFacts;
use gateway_core::json::{Doc, Edits};
use gateway_core::redact::{ElementPath, redact};
use gateway_core::reference::{BaseUrl, Bases};
use gateway_core::rewrite::rebase;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(doc) = Doc::parse(bytes) else { return };
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).expect("what we accept is JSON");
    let bases = Bases {
        public: BaseUrl::parse("https://p").expect("a base"),
        upstream: BaseUrl::parse("http://u").expect("a base"),
    };
    let _ = ResourceFacts::of(doc.root(), &bases);
    let mut edits = Edits::new();
    let paths =
        [ElementPath::parse("Patient.name.given").expect("a path"), ElementPath::parse("Patient.a").expect("a path")];
    if redact(doc.root(), &paths, &mut edits).is_err() {
        return;
    }
    rebase(doc.root(), &bases.upstream, &bases.public, &mut edits);
    let edited = edits.apply(bytes).expect("planned edits agree");
    if let Err(error) = Doc::parse(&edited) {
        panic!("edited text is not JSON: {error}");
    }
});
