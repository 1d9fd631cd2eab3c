//! The vectors of `evidence/vectors`: made here from the code, held against the files, and run from the files.
//!
//! A change of a format shows as a difference between code and file. The test then writes what it made into
//! the build's temporary directory and says where; whoever means the change reviews it and copies it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::path::Path;

use serde_json::Value;

#[path = "../kit/mod.rs"]
mod kit;

mod bundle;
mod events;
mod patch;
mod signed;
mod tree;

/// The file of vectors; fails where the code makes others.
fn held(name: &str, made: &Value) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    let found: Option<Value> = std::fs::read(&file).ok().map(|bytes| serde_json::from_slice(&bytes).unwrap());
    if found.as_ref() != Some(made) {
        let made_file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&made_file, serde_json::to_string_pretty(made).unwrap() + "\n").unwrap();
        panic!("{name} is not what the code makes; what it makes is in {}", made_file.display());
    }
    found.unwrap()
}

fn cases<'a>(file: &'a Value, list: &str) -> &'a [Value] {
    let cases = file[list].as_array().unwrap();
    assert!(!cases.is_empty(), "{list} holds something");
    cases
}

fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member].as_str().unwrap_or_else(|| panic!("{member} of {case}"))
}

/// A member read as the type that it prints.
fn parsed<T: serde::de::DeserializeOwned>(case: &Value, member: &str) -> T {
    serde_json::from_value(case[member].clone()).unwrap_or_else(|error| panic!("{member} of {case}: {error}"))
}
