//! Whatever is accepted writes back as the same text; keys too.
#![no_main]

use evidence::note::{Note, NoteSigner, NoteVerifier};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(note) = Note::parse(text) {
        assert_eq!(note.to_string(), text);
    }
    if let Ok(key) = text.parse::<NoteVerifier>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(key) = NoteSigner::from_skey(text) {
        assert_eq!(key.to_skey(), text);
    }
});
