//! Loads transaction bundles into a FHIR server.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reqwest::Method;
use serde_json::Value;

use super::{fhir::Fhir, say};

/// What was loaded.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// Bundles that the server took whole.
    pub bundles: usize,
    /// Resources in them, by type.
    pub resources: HashMap<String, u64>,
    /// Addresses (`Patient/x`) of the patients among them.
    pub patients: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

impl Loaded {
    /// All resources.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.resources.values().sum()
    }
}

/// The bundles of a folder in the order in which they must be loaded: what others refer to (organisations, practitioners) first, then by name.
///
/// # Errors
/// When the folder cannot be read.
pub fn bundles(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "json") {
                files.push(path);
            }
        }
    }
    files.sort_by_key(|path| (rank(path), path.clone()));
    Ok(files)
}

/// 0 and 1 for what others refer to, 2 for the rest.
fn rank(path: &Path) -> u8 {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    if name.starts_with("hospital") || name.starts_with("organi") {
        0
    } else if name.starts_with("practitioner") || path.iter().any(|part| part == "reference-bundles") {
        1
    } else {
        2
    }
}

/// Loads every transaction bundle of a folder, the first `patients` that hold a patient (all when `None`), and says a line for each.
///
/// # Errors
/// When a file is no transaction bundle or the server refuses one: what was loaded before stays.
pub async fn folder(server: &Fhir, folder: &Path, patients: Option<usize>) -> Result<Loaded> {
    let begin = Instant::now();
    let files = bundles(folder)?;
    ensure!(!files.is_empty(), "{} holds no bundles (*.json)", folder.display());
    let mut loaded = Loaded::default();
    let mut known = HashMap::new();
    for (at, file) in files.iter().enumerate() {
        if patients.is_some_and(|most| loaded.patients.len() >= most) && rank(file) == 2 {
            continue;
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let text = std::fs::read(file)?;
        let bundle: Value = serde_json::from_slice(&text).with_context(|| format!("{name} is no JSON"))?;
        let bundle_begin = Instant::now();
        let entries = load(server, bundle, &mut known, &mut loaded).await.with_context(|| format!("loading {name}"))?;
        say::step(&format!(
            "loaded {}/{} {name}: {entries} resources in {:.1} s",
            at + 1,
            files.len(),
            bundle_begin.elapsed().as_secs_f64()
        ));
    }
    loaded.took = begin.elapsed();
    Ok(loaded)
}

/// Loads one bundle; `known` holds where the `fullUrl`s of earlier ones went.
async fn load(
    server: &Fhir,
    mut bundle: Value,
    known: &mut HashMap<String, String>,
    loaded: &mut Loaded,
) -> Result<usize> {
    ensure!(
        bundle.get("resourceType").and_then(Value::as_str) == Some("Bundle")
            && bundle.get("type").and_then(Value::as_str) == Some("transaction"),
        "it is no transaction bundle"
    );
    rewrite(&mut bundle, known);
    let answer = server.write(Method::POST, "", &bundle).await?.success()?.json()?;
    let sent = entries(&bundle)?;
    let got = entries(&answer)?;
    ensure!(sent.len() == got.len(), "the server answers {} entries to {}", got.len(), sent.len());
    for (sent, got) in sent.iter().zip(got) {
        let kind =
            sent.pointer("/resource/resourceType").and_then(Value::as_str).context("an entry without a resource")?;
        let address = got
            .pointer("/response/location")
            .and_then(Value::as_str)
            .and_then(|location| address_in(location, kind))
            .with_context(|| format!("{kind}: the server does not say where it went"))?;
        if let Some(url) = sent.get("fullUrl").and_then(Value::as_str) {
            known.insert(url.to_owned(), address.clone());
        }
        if kind == "Patient" {
            loaded.patients.push(address);
        }
        *loaded.resources.entry(kind.to_owned()).or_default() += 1;
    }
    loaded.bundles += 1;
    Ok(sent.len())
}

fn entries(bundle: &Value) -> Result<&Vec<Value>> {
    match bundle.get("entry") {
        Some(Value::Array(entries)) => Ok(entries),
        _ => bail!("a bundle without entries"),
    }
}

/// `Type/id` out of a location that may be absolute and versioned.
fn address_in(location: &str, kind: &str) -> Option<String> {
    let mut parts = location.split('/').skip_while(|part| *part != kind);
    let kind = parts.next()?;
    let id = parts.next()?;
    Some(format!("{kind}/{id}"))
}

/// Replaces references to what earlier bundles brought; those within the bundle are the server's to resolve.
fn rewrite(value: &mut Value, known: &HashMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "reference" => {
                        if let Some(address) = known.get(text.as_str()) {
                            text.clone_from(address);
                        }
                    }
                    Value::Object(_) | Value::Array(_) => rewrite(member, known),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| rewrite(element, known)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

    use super::*;

    #[test]
    fn locations_of_every_form() {
        for location in [
            "Patient/a/_history/1",
            "http://127.0.0.1:8080/fhir/Patient/a/_history/1",
            "https://example.org/base/Patient/a",
            "/Patient/a",
        ] {
            assert_eq!(address_in(location, "Patient").unwrap(), "Patient/a", "{location}");
        }
        assert_eq!(address_in("Observation/a", "Patient"), None);
    }

    #[test]
    fn what_others_refer_to_comes_first() {
        let mut names =
            vec!["a.json", "practitionerInformation1.json", "b/organisations.json", "hospitalInformation1.json"];
        names.sort_by_key(|name| (rank(Path::new(name)), (*name).to_owned()));
        assert_eq!(
            names,
            ["b/organisations.json", "hospitalInformation1.json", "practitionerInformation1.json", "a.json"]
        );
    }

    #[test]
    fn only_known_references_are_rewritten() {
        let mut bundle = serde_json::json!({
            "entry": [{"fullUrl": "urn:uuid:1", "resource": {"performer": [{"reference": "urn:uuid:1"}, {"reference": "urn:uuid:2"}]}}]
        });
        rewrite(&mut bundle, &HashMap::from([("urn:uuid:1".to_owned(), "Practitioner/x".to_owned())]));
        assert_eq!(bundle.pointer("/entry/0/resource/performer/0/reference").unwrap(), "Practitioner/x");
        assert_eq!(bundle.pointer("/entry/0/resource/performer/1/reference").unwrap(), "urn:uuid:2");
        assert_eq!(bundle.pointer("/entry/0/fullUrl").unwrap(), "urn:uuid:1");
    }
}
