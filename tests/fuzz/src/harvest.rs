//! Seeds out of files of vectors: every text, every hexadecimal text as bytes, every object as canonical JSON.

use serde_json::Value;

/// The longest seed; longer ones only slow the fuzzer down.
const LONGEST: usize = 48 << 10;

/// Everything in these documents that may be an input of some reader, each once.
pub(crate) fn all(documents: &[&str]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for document in documents {
        visit(&serde_json::from_str(document).expect("vectors are JSON"), &mut found);
    }
    found.retain(|input| input.len() <= LONGEST);
    found.sort();
    found.dedup();
    found
}

fn visit(value: &Value, found: &mut Vec<Vec<u8>>) {
    match value {
        Value::String(text) => {
            found.push(text.clone().into_bytes());
            found.extend(hex::decode(text));
        }
        Value::Array(items) => items.iter().for_each(|item| visit(item, found)),
        Value::Object(members) => {
            found.extend(evidence::canonical::to_canonical(value));
            members.values().for_each(|member| visit(member, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The rows of a file of vectors in lines.
pub(crate) fn rows(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
}
