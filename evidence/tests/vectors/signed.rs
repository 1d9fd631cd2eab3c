//! note.json and checkpoint.json.

use evidence::checkpoint::Checkpoint;
use evidence::ids::Hash;
use evidence::note::{KeyKind, Note, NoteSigner, NoteVerifier};
use serde_json::json;

use crate::{cases, held, kit, parsed, text};

#[test]
fn note() {
    let (log, one, two) = (kit::log_key(), kit::witness(1), kit::witness(2));
    let mut note = Note::new("a text\n\nwith an empty line\n").unwrap();
    note.sign(&log).unwrap();
    note.cosign(&one, 1_795_364_410).unwrap();
    let whole = note.to_string();
    let lines: Vec<&str> = whole.lines().collect();
    let (log_line, one_line) = (lines[4], lines[5]);
    let body = "a text\n\nwith an empty line\n";
    let other_seed = NoteSigner::from_seed(kit::origin().as_str(), KeyKind::Ed25519, &[9; 32]).unwrap();
    let mut by_other = Note::new(body).unwrap();
    by_other.sign(&other_seed).unwrap();
    let mut other_text = Note::new("another text\n").unwrap();
    other_text.sign(&log).unwrap();
    let alien_line = other_text.to_string().lines().last().unwrap().to_owned();
    let grease = "\u{2014} grease.example AAAAAAAAAAAAAAAA";
    let many: String = format!("{grease}\n").repeat(15);

    let known = [log.verifier().to_string(), one.verifier().to_string(), two.verifier().to_string()];
    let verifies = |why: &str, note: &str, by: &[&str]| json!({"why": why, "note": note, "verified_by": by});
    let made = json!({
        "description": "Signed notes, checked with all the keys in `keys`. The secrets are public and worth nothing. docs/spec/log.md",
        "secrets": [log.to_skey(), one.to_skey(), two.to_skey()],
        "keys": known,
        "verifies": [
            verifies("as made", &whole, &["log.hospital-a.example/sealgate", "witness-1.example"]),
            verifies("an unknown key is ignored", &format!("{whole}{grease}\n"), &["log.hospital-a.example/sealgate", "witness-1.example"]),
            verifies("sixteen signatures", &format!("{body}\n{many}{log_line}\n"), &["log.hospital-a.example/sealgate"]),
            verifies("a known name under an unknown key is ignored",
                &format!("{body}\n{}\n{one_line}\n", by_other.to_string().lines().last().unwrap()), &["witness-1.example"]),
            verifies("a line twice counts once", &format!("{body}\n{log_line}\n{log_line}\n"), &["log.hospital-a.example/sealgate"]),
        ],
        "refused": [
            {"why": "the text was changed", "note": whole.replacen("a text", "a test", 1)},
            {"why": "an empty line was taken out of the text", "note": whole.replacen("\n\n", "\n", 1)},
            {"why": "a known key over another text beside a good signature", "note": format!("{body}\n{one_line}\n{alien_line}\n")},
            {"why": "one letter of the signature", "note": whole.replacen(&log_line[60..61], if &log_line[60..61] == "A" { "B" } else { "A" }, 1)},
            {"why": "only unknown keys", "note": format!("{body}\n{grease}\n")},
            {"why": "a known name under an unknown key alone", "note": by_other.to_string()},
            {"why": "no signature", "note": body},
            {"why": "no empty line", "note": format!("{body}{log_line}\n")},
            {"why": "no newline at the end", "note": whole.trim_end()},
            {"why": "a carriage return", "note": whole.replace('\n', "\r\n")},
            {"why": "a hyphen for the dash", "note": whole.replace('\u{2014}', "-")},
            {"why": "base64 without its padding", "note": whole.replace('=', "")},
            {"why": "something that is no signature line", "note": format!("{whole}PS\n")},
            {"why": "a plus in the name", "note": whole.replace("\u{2014} log", "\u{2014} l+g")},
        ],
    });
    let file = held("note.json", &made);
    for (secret, key) in cases(&file, "secrets").iter().zip(cases(&file, "keys")) {
        let signer = NoteSigner::from_skey(secret.as_str().unwrap()).unwrap();
        assert_eq!(signer.verifier().to_string(), key.as_str().unwrap());
    }
    let keys: Vec<NoteVerifier> = parsed(&file, "keys");
    for case in cases(&file, "verifies") {
        let note = Note::parse(text(case, "note")).unwrap();
        let names: Vec<String> = note.verify(&keys).unwrap().into_iter().map(|by| by.name).collect();
        assert_eq!(names, parsed::<Vec<String>>(case, "verified_by"), "{case}");
    }
    for case in cases(&file, "refused") {
        let verified = Note::parse(text(case, "note")).and_then(|note| note.verify(&keys));
        assert!(verified.is_err(), "{case}");
    }
}

#[test]
fn checkpoint() {
    let note = kit::checkpoint_note();
    let log = kit::log_key();
    let signed = |body: &str| {
        let mut note = Note::new(body).unwrap();
        note.sign(&log).unwrap();
        note.to_string()
    };
    let body = Note::parse(&note).unwrap().text().to_owned();
    let mut only_witness = Note::new(body.clone()).unwrap();
    only_witness.cosign(&kit::witness(1), 1).unwrap();
    let opened = Checkpoint::open(&note, &kit::origin(), log.verifier(), &[]).unwrap().checkpoint;
    let made = json!({
        "description": "Checkpoints, opened with `origin`, `log_key` and `witnesses`. docs/spec/log.md",
        "origin": kit::origin(), "log_key": log.verifier(), "witnesses": [kit::witness(1).verifier(), kit::witness(2).verifier()],
        "opens": [
            {"note": note, "size": opened.size, "root": opened.root, "cosignatures": 2},
            {"note": signed(&body), "size": opened.size, "root": opened.root, "cosignatures": 0},
        ],
        "refused": [
            {"why": "another size", "note": note.replacen("\n23\n", "\n24\n", 1)},
            {"why": "another root", "note": note.replacen(body.lines().nth(2).unwrap(), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 1)},
            {"why": "another origin, signed by the same key", "note": signed(&body.replacen("hospital-a", "hospital-b", 1))},
            {"why": "an extension line, signed", "note": signed(&format!("{body}extension\n"))},
            {"why": "a size with a leading zero, signed", "note": signed(&body.replacen("\n23\n", "\n023\n", 1))},
            {"why": "a size with a sign, signed", "note": signed(&body.replacen("\n23\n", "\n+23\n", 1))},
            {"why": "a root of 31 bytes, signed", "note": signed(&format!("{}\n23\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\n", kit::origin()))},
            {"why": "no root, signed", "note": signed(&format!("{}\n23\n", kit::origin()))},
            {"why": "signed by a witness only", "note": only_witness.to_string()},
        ],
    });
    let file = held("checkpoint.json", &made);
    let (origin, log_key) = (parsed(&file, "origin"), parsed(&file, "log_key"));
    let witnesses: Vec<NoteVerifier> = parsed(&file, "witnesses");
    for case in cases(&file, "opens") {
        let opened = Checkpoint::open(text(case, "note"), &origin, &log_key, &witnesses).unwrap();
        assert_eq!(opened.checkpoint.size, parsed(case, "size"));
        assert_eq!(opened.checkpoint.root, parsed::<Hash>(case, "root"));
        assert_eq!(opened.signatures.len(), 1 + parsed::<usize>(case, "cosignatures"));
    }
    for case in cases(&file, "refused") {
        assert!(Checkpoint::open(text(case, "note"), &origin, &log_key, &witnesses).is_err(), "{case}");
    }
}
