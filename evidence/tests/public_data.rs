//! Vectors that others wrote: RFC 8785, RFC 6962 and a small log signed by another program.
//!
//! They are no part of the project. The variable `SEALGATE_SHARED_DATA` names the folder that holds them;
//! without it these tests say that they checked nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use evidence::canonical::{parse_strict, to_canonical};
use evidence::checkpoint::Checkpoint;
use evidence::ids::{Hash, LeafIndex, TreeSize};
use evidence::merkle::{CompactRange, leaf_hash, verify_consistency, verify_inclusion};
use serde_json::Value;

#[expect(clippy::disallowed_methods, reason = "a test may be told where public data lies")]
#[expect(clippy::print_stderr, reason = "what is skipped is said loudly")]
fn folder(name: &str) -> Option<PathBuf> {
    let folder = std::env::var("SEALGATE_SHARED_DATA").ok().map(|root| Path::new(&root).join(name));
    match folder {
        Some(folder) if folder.is_dir() => Some(folder),
        _ => {
            eprintln!("SKIPPED: set SEALGATE_SHARED_DATA to a folder that holds {name}; nothing was checked");
            None
        }
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    assert!(!files.is_empty(), "{} holds vectors", folder.display());
    files
}

fn hash(value: &Value) -> Hash {
    Hash::try_from(STANDARD.decode(value.as_str().unwrap()).unwrap().as_slice()).unwrap()
}

fn hashes(value: &Value) -> Vec<Hash> {
    value.as_array().map(|items| items.iter().map(hash).collect()).unwrap_or_default()
}

#[test]
fn rfc_8785_inputs_become_the_published_outputs() {
    let Some(folder) = folder("jcs") else { return };
    for input in files(&folder.join("input")) {
        let output = std::fs::read(folder.join("output").join(input.file_name().unwrap())).unwrap();
        let canonical = to_canonical(&parse_strict(&std::fs::read(&input).unwrap()).unwrap()).unwrap();
        assert_eq!(String::from_utf8(canonical).unwrap(), String::from_utf8(output).unwrap(), "{}", input.display());
    }
}

#[test]
fn rfc_6962_known_roots_and_proofs_hold() {
    let Some(folder) = folder("merkle/rfc6962") else { return };
    let known = json(&folder.join("rfc6962-known-roots.json"));
    let mut range = CompactRange::new();
    let roots = known["rootsHexByTreeSize"].as_array().unwrap();
    for (size, root) in roots.iter().enumerate() {
        assert_eq!(range.root().to_string(), root.as_str().unwrap(), "size {size}");
        if let Some(leaf) = known["leafInputsHex"].get(size) {
            range.append(leaf_hash(&hex::decode(leaf.as_str().unwrap()).unwrap())).unwrap();
        }
    }
    for file in files(&folder.join("testdata/inclusion")) {
        let case = json(&file);
        let answer = verify_inclusion(
            &hash(&case["leafHash"]),
            LeafIndex::new(case["leafIdx"].as_u64().unwrap()),
            TreeSize::new(case["treeSize"].as_u64().unwrap()),
            &hashes(&case["proof"]),
            &hash(&case["root"]),
        );
        assert_eq!(answer.is_err(), case["wantErr"].as_bool().unwrap(), "{}: {answer:?}", file.display());
    }
    for file in files(&folder.join("testdata/consistency")) {
        let case = json(&file);
        let answer = verify_consistency(
            TreeSize::new(case["size1"].as_u64().unwrap()),
            &hash(&case["root1"]),
            TreeSize::new(case["size2"].as_u64().unwrap()),
            &hash(&case["root2"]),
            &hashes(&case["proof"]),
        );
        assert_eq!(answer.is_err(), case["wantErr"].as_bool().unwrap(), "{}: {answer:?}", file.display());
    }
}

#[test]
fn the_checkpoints_of_another_program_open_and_cover_its_leaves() {
    let Some(folder) = folder("merkle/tessera-log") else { return };
    let log = json(&folder.join("PUBLIC-KEY-AND-LEAVES.json"));
    let origin = log["origin"].as_str().unwrap().parse().unwrap();
    let key = log["noteVerifierKey"].as_str().unwrap().parse().unwrap();
    let leaves = log["leavesInOrder"].as_array().unwrap();
    let mut range = CompactRange::new();
    for size in 0..=leaves.len() {
        let file = folder.join(format!("testdata/log/checkpoint.{size}"));
        let note = std::fs::read_to_string(&file).unwrap();
        let opened = Checkpoint::open(&note, &origin, &key, &[]).unwrap();
        assert_eq!(opened.note.to_string(), note);
        assert_eq!((opened.checkpoint.size, opened.checkpoint.root), (range.size(), range.root()));
        if let Some(leaf) = leaves.get(size) {
            range.append(leaf_hash(leaf.as_str().unwrap().as_bytes())).unwrap();
        }
    }
}
