#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use proptest::prelude::*;

use super::*;

fn signer(name: &str, kind: KeyKind, seed: u8) -> NoteSigner {
    NoteSigner::from_seed(name, kind, &[seed; 32]).unwrap()
}

fn log() -> NoteSigner {
    signer("log.example/a", KeyKind::Ed25519, 1)
}

fn witness(seed: u8) -> NoteSigner {
    signer(&format!("witness.example/w{seed}"), KeyKind::CosignatureV1, seed)
}

const TEXT: &str = "log.example/a\n1\nroot\n";

fn signed() -> Note {
    let mut note = Note::new(TEXT).unwrap();
    note.sign(&log()).unwrap();
    note
}

#[test]
fn a_signed_note_reads_back_and_verifies() {
    let mut note = signed();
    note.cosign(&witness(2), 1_700_000_000).unwrap();
    let text = note.to_string();
    assert_eq!(Note::parse(&text).unwrap(), note);
    let by = note.verify(&[log().verifier().clone(), witness(2).verifier().clone()]).unwrap();
    assert_eq!(by.len(), 2);
    assert_eq!((by[0].name.as_str(), by[0].timestamp), ("log.example/a", None));
    assert_eq!((by[1].name.as_str(), by[1].timestamp), ("witness.example/w2", Some(1_700_000_000)));
}

#[test]
fn the_text_may_hold_empty_lines() {
    // The poem of C2SP signed-note.
    let poem = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n";
    let mut note = Note::new(poem).unwrap();
    note.sign(&log()).unwrap();
    let read = Note::parse(&note.to_string()).unwrap();
    assert_eq!(read.text(), poem);
    assert!(read.verify(&[log().verifier().clone()]).is_ok());
}

#[test]
fn sixteen_and_more_signatures_are_accepted_and_unknown_keys_ignored() {
    let mut note = signed();
    for seed in 2..50 {
        note.cosign(&witness(seed), 1).unwrap();
    }
    let read = Note::parse(&note.to_string()).unwrap();
    assert_eq!(read.signatures().len(), 49);
    assert_eq!(read.verify(&[log().verifier().clone()]).unwrap().len(), 1);
    assert_eq!(read.verify(&[witness(60).verifier().clone()]), Err(NoteError::NoKnownKey));
    assert_eq!(read.verify(&[]), Err(NoteError::NoKnownKey));
}

#[test]
fn a_key_of_the_same_name_is_another_key() {
    let same_name = signer("log.example/a", KeyKind::Ed25519, 9);
    assert_eq!(signed().verify(&[same_name.verifier().clone()]), Err(NoteError::NoKnownKey));
}

#[test]
fn a_known_key_that_does_not_fit_rejects_the_whole_note() {
    let known = [log().verifier().clone(), witness(2).verifier().clone()];
    let mut note = signed();
    note.cosign(&witness(2), 5).unwrap();
    let changed = note.to_string().replacen("\n1\n", "\n2\n", 1);
    let changed = Note::parse(&changed).unwrap();
    assert!(matches!(changed.verify(&known), Err(NoteError::BadSignature { .. })));

    // A good log signature does not save a bad cosignature.
    let mut other = Note::new("other\n").unwrap();
    other.cosign(&witness(2), 5).unwrap();
    let mut mixed = signed();
    mixed.add_line(&other.signatures()[0].to_string()).unwrap();
    assert_eq!(mixed.verify(&known), Err(NoteError::BadSignature { name: "witness.example/w2".to_owned() }));
    assert!(mixed.verify(&known[..1]).is_ok());
}

#[test]
fn a_cosignature_covers_its_time() {
    let mut note = Note::new(TEXT).unwrap();
    note.cosign(&witness(2), 5).unwrap();
    let line = note.signatures()[0].clone();
    let mut bytes = line.bytes.clone();
    bytes[7] = 6;
    let mut later = Note::new(TEXT).unwrap();
    later.push_signature(NoteSignature { bytes, ..line }).unwrap();
    assert!(matches!(later.verify(&[witness(2).verifier().clone()]), Err(NoteError::BadSignature { .. })));
}

#[test]
fn one_key_counts_once() {
    let mut note = signed();
    note.sign(&log()).unwrap();
    assert_eq!(note.verify(&[log().verifier().clone()]).unwrap().len(), 1);
}

#[test]
fn a_key_signs_only_what_it_is_for() {
    let mut note = signed();
    assert!(matches!(note.sign(&witness(2)), Err(NoteError::KeyKind { .. })));
    assert!(matches!(note.cosign(&log(), 1), Err(NoteError::KeyKind { .. })));
}

#[test]
fn malformed_notes_are_refused() {
    let good = signed().to_string();
    let line = good.lines().last().unwrap().to_owned();
    for wrong in [
        String::new(),
        "\n".to_owned(),
        TEXT.to_owned(),
        format!("{TEXT}\n"),
        format!("{TEXT}{line}\n"),
        format!("{TEXT}\n{line}"),
        format!("{TEXT}\n{line}\n\n"),
        format!("{TEXT}\n{line}\nno signature\n"),
        good.replace('\u{2014}', "-"),
        good.replace("log.example/a ", "log.example/a  "),
        good.replace("\u{2014} log.example/a", "\u{2014} log+example/a"),
        good.replace('=', ""),
        good.replace("\n1\n", "\n1\r\n"),
        good.replace("root", "ro\tot"),
        format!("{TEXT}\n\u{2014} log.example/a AAAAAA==\n"),
        format!("{TEXT}\n{}", format!("{line}\n").repeat(MAX_SIGNATURES + 1)),
        format!("{}\n\n{line}\n", "x".repeat(MAX_NOTE_BYTES)),
    ] {
        assert!(Note::parse(&wrong).is_err(), "{wrong:?}");
    }
    assert!(Note::parse(&good).is_ok());
}

#[test]
fn keys_read_back_from_their_texts() {
    for key in [log(), witness(3)] {
        let vkey = key.verifier().to_string();
        assert_eq!(vkey.parse::<NoteVerifier>().unwrap(), *key.verifier());
        let again = NoteSigner::from_skey(&key.to_skey()).unwrap();
        assert_eq!(again.verifier(), key.verifier());
        assert_eq!(again.to_skey(), key.to_skey());
    }
    assert!(!format!("{:?}", log()).contains("PRIVATE"));
}

#[test]
fn the_published_key_and_checkpoint_of_go_sumdb_verify() {
    // sum.golang.org's key is public knowledge; its id shows that the id is computed as the Go programs do.
    let key: NoteVerifier = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8".parse().unwrap();
    assert_eq!(key.key_id().to_string(), "033de0ae");
    assert_eq!(key.kind(), KeyKind::Ed25519);
}

#[test]
fn malformed_keys_are_refused() {
    let vkey = log().verifier().to_string();
    let (start, key) = vkey.rsplit_once('+').unwrap();
    for wrong in
        ["", "a", "a+b", "a+00000000+", &format!("{start}+AAAA"), &format!("x{vkey}"), &vkey.replace("AY", "Ag")]
    {
        assert!(wrong.parse::<NoteVerifier>().is_err(), "{wrong}");
    }
    // Type 0x02 is not known here.
    let mut bytes = STANDARD.decode(key).unwrap();
    bytes[0] = 2;
    assert!(format!("{start}+{}", STANDARD.encode(&bytes)).parse::<NoteVerifier>().is_err());
    // A point of small order would let anybody sign anything.
    assert_eq!(NoteVerifier::new("a", KeyKind::Ed25519, &[0; 32]), Err(NoteError::Key));
    assert!(NoteSigner::from_skey(&vkey).is_err());
    assert!(NoteSigner::from_seed("a b", KeyKind::Ed25519, &[1; 32]).is_err());
}

proptest! {
    #[test]
    fn any_text_survives(text in "[^\\x00-\\x1f]{0,40}(\n[^\\x00-\\x1f]{0,40}){0,5}") {
        let text = format!("{text}\n");
        let mut note = Note::new(text.clone()).unwrap();
        note.sign(&log()).unwrap();
        let read = Note::parse(&note.to_string()).unwrap();
        prop_assert_eq!(read.text(), text);
        prop_assert!(read.verify(&[log().verifier().clone()]).is_ok());
    }

    #[test]
    fn no_text_makes_it_fall(text in any::<String>()) {
        if let Ok(note) = Note::parse(&text) {
            prop_assert_eq!(note.to_string(), text);
        }
    }

    #[test]
    fn a_flipped_bit_never_verifies(at in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let mut bytes = signed().to_string().into_bytes();
        let place = at.index(bytes.len());
        bytes[place] ^= 1 << bit;
        if let Ok(text) = String::from_utf8(bytes)
            && let Ok(note) = Note::parse(&text)
        {
            prop_assert!(note.verify(&[log().verifier().clone()]).is_err());
        }
    }
}
