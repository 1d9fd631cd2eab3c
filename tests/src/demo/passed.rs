//! How many resources pass the gateway: the same searches directly and through it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::Value;

use crate::harness::fhir::{Fhir, address};

/// What one type gave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// Found by the FHIR server.
    pub direct: usize,
    /// Of these, given by the gateway.
    pub through: usize,
    /// Given by the gateway and not found by the server: must be none.
    pub foreign: usize,
}

/// Searches each of these types for each of these patients, both ways.
///
/// # Errors
/// When a search does not succeed.
pub async fn count(
    direct: &Fhir,
    gateway: &Fhir,
    types: &[&str],
    patients: &[String],
) -> Result<BTreeMap<String, Passed>> {
    let mut counts: BTreeMap<String, Passed> = BTreeMap::new();
    for kind in types {
        let count = counts.entry((*kind).to_owned()).or_default();
        for patient in patients {
            let query = format!("{kind}?patient={patient}&_count=200");
            let here = addresses(&direct.search(&query).await?);
            let there = addresses(&gateway.search(&query).await?);
            count.direct += here.len();
            count.through += there.intersection(&here).count();
            count.foreign += there.difference(&here).count();
        }
    }
    Ok(counts)
}

fn addresses(entries: &[Value]) -> BTreeSet<String> {
    entries.iter().filter_map(|entry| address(entry.get("resource")?)).collect()
}
