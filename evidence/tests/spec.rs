//! The examples of `docs/spec` are those of the vectors.
//!
//! A fenced block whose first line ends in `file.json#/pointer` must be what the vectors hold there: as text, or
//! as JSON. In JSON `"…"` stands for anything, and `["…"]` for any list.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::path::Path;

use serde_json::Value;

/// (language, vector file, pointer, body) of every block that names a vector.
fn blocks(page: &str) -> Vec<(String, String, String, String)> {
    let text = read(Path::new("docs/spec").join(page));
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let (language, source) = info.split_once(' ').unwrap_or_else(|| panic!("{page}: {line} names no vector"));
        let (file, pointer) = source.split_once('#').unwrap_or_else(|| panic!("{page}: {line} names no vector"));
        blocks.push((language.to_owned(), file.to_owned(), pointer.to_owned(), body.join("\n")));
    }
    blocks
}

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn matches(example: &Value, real: &Value) -> bool {
    match (example, real) {
        (Value::String(any), _) if any == "…" => true,
        (Value::Array(items), Value::Array(_)) if matches!(items.as_slice(), [Value::String(any)] if any == "…") => {
            true
        }
        (Value::Array(items), Value::Array(real)) => {
            items.len() == real.len() && items.iter().zip(real).all(|(item, real)| matches(item, real))
        }
        (Value::Object(members), Value::Object(real)) => {
            members.len() == real.len()
                && members.iter().all(|(name, member)| real.get(name).is_some_and(|real| matches(member, real)))
        }
        _ => example == real,
    }
}

fn check(page: &str, examples: usize) {
    let blocks = blocks(page);
    assert_eq!(blocks.len(), examples, "{page} has as many examples as it should");
    for (language, file, pointer, body) in blocks {
        let vectors: Value = serde_json::from_str(&read(format!("evidence/vectors/{file}"))).unwrap();
        let real = vectors.pointer(&pointer).unwrap_or_else(|| panic!("{page}: {file} has nothing at {pointer}"));
        if language == "json" {
            let example: Value =
                serde_json::from_str(&body).unwrap_or_else(|error| panic!("{page} {pointer}: {error}"));
            // Some vectors hold JSON as a string, because its very bytes matter.
            let real = real.as_str().map_or_else(|| real.clone(), |text| serde_json::from_str(text).unwrap());
            assert!(matches(&example, &real), "{page}: the example of {file}#{pointer} is not the vector");
        } else {
            assert_eq!(body, real.as_str().unwrap().trim_end_matches('\n'), "{page}: {file}#{pointer}");
        }
    }
}

#[test]
fn event() {
    check("event.md", 3);
}

#[test]
fn commitment() {
    check("commitment.md", 1);
}

#[test]
fn log() {
    check("log.md", 3);
    let vectors: Value = serde_json::from_str(&read("evidence/vectors/merkle.json")).unwrap();
    assert!(read("docs/spec/log.md").contains(vectors["roots"][0].as_str().unwrap()));
}

#[test]
fn proof() {
    check("proof.md", 4);
    // Every code that a vector gives stands in the table, and no other.
    let vectors: Value = serde_json::from_str(&read("evidence/vectors/bundle.json")).unwrap();
    let mut codes: Vec<&str> = vectors["verifies"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|case| case["expect"]["codes"].as_array().unwrap())
        .map(|code| code.as_str().unwrap())
        .collect();
    codes.sort_unstable();
    codes.dedup();
    let page = read("docs/spec/proof.md");
    let table: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(code, _)| code).collect();
    assert_eq!(table, codes);
}

#[test]
fn an_example_that_differs_is_noticed() {
    let real = serde_json::json!({"a": ["x", "y"], "b": "z"});
    assert!(matches(&serde_json::json!({"a": ["…"], "b": "…"}), &real));
    assert!(!matches(&serde_json::json!({"a": ["x"], "b": "z"}), &real));
    assert!(!matches(&serde_json::json!({"a": ["…"]}), &real));
    assert!(!matches(&serde_json::json!({"a": ["…"], "b": "y"}), &real));
}
