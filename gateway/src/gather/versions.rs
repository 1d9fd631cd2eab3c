//! All versions of one resource, as far as a decision on any of them needs them (docs/adr/0046).

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use gateway_core::facts::ResourceFacts;
use gateway_core::json::Value;

use super::resources::{NoFacts, Note, ResourceSource, each_entry};
use crate::problem::Problem;

/// A resource with more versions than this is hidden from its history: one that is not read may bear the label that
/// denies.
const MOST_VERSIONS: usize = 1_000;
/// Histories that are read side by side.
const AT_ONCE: usize = 8;

/// What is known of all versions of one resource.
#[derive(Clone, Debug)]
pub struct Lineage {
    /// The newest version that is no deletion, under the labels of all versions.
    pub newest: ResourceFacts,
    /// Whether it was deleted after that.
    pub deleted: bool,
    /// The versions right before deletions, under the labels of all versions; the newest is not among them.
    pub before_deletions: Vec<ResourceFacts>,
}

impl Lineage {
    /// Puts the labels of all versions on one of them: a label that was added or taken away later reaches each.
    pub fn label(&self, version: &mut ResourceFacts) {
        version.security.clone_from(&self.newest.security);
        version.inline_labels.clone_from(&self.newest.inline_labels);
    }
}

/// A Lineage as it is being read, newest version first.
#[derive(Default)]
struct Reading {
    newest: Option<ResourceFacts>,
    deleted: bool,
    before_deletions: Vec<ResourceFacts>,
    /// Whether the entry before was a deletion.
    after_deletion: bool,
    versions: usize,
    /// The last numeric version id, as most servers count them.
    number: Option<u64>,
    labels: Option<ResourceFacts>,
}

impl Reading {
    fn stored(&mut self, facts: ResourceFacts) -> Result<(), NoFacts> {
        let number = facts.version.as_deref().and_then(|version| version.parse().ok());
        // FHIR R4: "sorted with oldest versions last"; what is current hangs on it.
        if matches!((self.number, number), (Some(newer), Some(this)) if this >= newer) {
            return Err(NoFacts::Unreadable);
        }
        self.number = number;
        match &mut self.labels {
            None => self.labels = Some(facts.clone()),
            Some(all) => {
                let security: Vec<_> = facts.security.iter().filter(|l| !all.security.contains(l)).cloned().collect();
                all.security.extend(security);
                let inline = facts.inline_labels.iter().filter(|l| !all.inline_labels.contains(l));
                let inline: Vec<_> = inline.cloned().collect();
                all.inline_labels.extend(inline);
            }
        }
        let after_deletion = std::mem::take(&mut self.after_deletion);
        if self.newest.is_none() {
            self.newest = Some(facts);
        } else if after_deletion {
            self.before_deletions.push(facts);
        }
        Ok(())
    }

    fn deletion(&mut self) {
        self.deleted |= self.newest.is_none();
        self.after_deletion = true;
    }

    fn lineage(self) -> Option<Lineage> {
        let (newest, labels) = (self.newest?, self.labels?);
        let mut lineage = Lineage { newest: labels, deleted: self.deleted, before_deletions: Vec::new() };
        let label = |mut facts: ResourceFacts| {
            lineage.label(&mut facts);
            facts
        };
        let before_deletions = self.before_deletions.into_iter().map(label).collect();
        let newest = label(newest);
        (lineage.newest, lineage.before_deletions) = (newest, before_deletions);
        Some(lineage)
    }
}

impl ResourceSource {
    /// The lineages of the resources of these names (`Type/id`). One that never was, or of which a version is larger than
    /// `largest` bytes or cannot be read, or that has too many, is not in the answer: its history is hidden.
    pub async fn lineages(
        &self,
        names: &BTreeSet<String>,
        largest: usize,
        note: Note<'_>,
    ) -> Result<BTreeMap<String, Lineage>, Problem> {
        let names: Vec<&String> = names.iter().collect();
        let mut found = BTreeMap::new();
        for some in names.chunks(AT_ONCE) {
            let lineages = try_join_all(some.iter().map(|name| self.lineage(name, largest, note))).await?;
            found.extend(some.iter().zip(lineages).filter_map(|(name, known)| Some(((*name).clone(), known?))));
        }
        Ok(found)
    }

    async fn lineage(&self, name: &str, largest: usize, note: Note<'_>) -> Result<Option<Lineage>, Problem> {
        let mut reading = Reading::default();
        let target = format!("{name}/_history?_count=200");
        let read = each_entry(&self.upstream, &target, |entry| {
            reading.versions += 1;
            if reading.versions > MOST_VERSIONS {
                return Err(NoFacts::TooMany);
            }
            match entry.get("resource") {
                Some(resource) if resource.raw().len() > largest => Err(NoFacts::TooMany),
                Some(resource) => {
                    let mut facts = ResourceFacts::of(resource, &self.bases).map_err(|_| NoFacts::Unreadable)?;
                    note(resource, &mut facts);
                    let own = facts.id.as_deref().map(|id| format!("{}/{id}", facts.resource_type));
                    if own.as_deref() == Some(name) { reading.stored(facts) } else { Err(NoFacts::Unreadable) }
                }
                None if is_deletion(entry) => {
                    reading.deletion();
                    Ok(())
                }
                None => Err(NoFacts::Unreadable),
            }
        });
        match read.await {
            Ok(()) => Ok(reading.lineage()),
            // 400: HAPI's answer to an id that it could never have given.
            Err(NoFacts::Refused(400 | 404 | 410)) => Ok(None),
            Err(NoFacts::TooMany | NoFacts::Unreadable) => {
                tracing::warn!(
                    "a resource has too many versions, or one that is not readable, so its history is hidden"
                );
                Ok(None)
            }
            Err(fault @ (NoFacts::Refused(_) | NoFacts::Unavailable)) => Err(fault.into()),
        }
    }
}

/// Whether an entry without a resource says that it was deleted.
pub(crate) fn is_deletion(entry: Value<'_>) -> bool {
    entry.get("request").and_then(|request| request.str_at("method")).as_deref() == Some("DELETE")
}

#[cfg(test)]
mod tests;
