//! What changed among the Consents since they were last asked about: which of the versions that the server tells are news.
//!
//! A server dates a version when its transaction begins and shows it when that ends, so a version may appear behind others
//! that are dated later. Each poll therefore asks from [`OVERLAP`] before the newest date on, by the server's own clock, and
//! what the poll before was told already is no news (docs/adr/0055).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use gateway_core::json::Value;
use gateway_core::owner::PatientId;
use gateway_core::reference::{Bases, Target};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::consents::whose;
use super::versions::is_deletion;

/// The longest time from a version's date to when it is shown.
pub(super) const OVERLAP: Duration = Duration::from_secs(60);
/// Versions that are read in one poll.
pub(super) const MOST: usize = 1_000;
/// The unit of dates that are asked for.
const UNIT: Duration = Duration::from_millis(1);

/// A version of a Consent that the server told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    name: Name,
    whose: Whose,
}

/// What tells one version from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    id: Option<String>,
    version: Option<String>,
    at: Option<OffsetDateTime>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Whose {
    Patient(PatientId),
    /// It was deleted: whoever had it is known by what is kept.
    Deleted,
    Unknown,
}

/// What the server told in one poll.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The versions, in any order.
    pub(super) versions: Vec<Version>,
    /// Whether there were more, or larger ones, than are read.
    pub(super) more: bool,
}

/// What is to be forgotten.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Forget {
    /// Nothing was told that is new.
    Nothing,
    /// What is kept of these patients, and of whoever's these Consents were.
    These {
        /// Logical ids.
        consents: BTreeSet<String>,
        /// Those whom the new versions name.
        patients: BTreeSet<PatientId>,
    },
    /// It is not known whose Consents changed.
    All,
}

impl Version {
    /// Reads an entry of a history or of a searchset; `base` is the server's own. `None` where it is no Consent's.
    pub(super) fn of(entry: Value<'_>, base: &str, bases: &Bases) -> Option<Self> {
        let response = entry.get("response");
        let stated = |key: &str| response.and_then(|response| response.str_at(key));
        let Some(resource) = entry.get("resource") else {
            let url = entry.get("request").and_then(|request| request.str_at("url"));
            let urls = [url, entry.str_at("fullUrl")];
            let named = urls.iter().flatten().find_map(|url| consent_of(url, base, bases));
            let (id, version) = named.unzip();
            let version = version.flatten().or_else(|| stated("etag").map(std::borrow::Cow::into_owned));
            let at = stated("lastModified").and_then(|text| date(&text));
            let whose = if is_deletion(entry) && id.is_some() { Whose::Deleted } else { Whose::Unknown };
            return Some(Self { name: Name { id, version, at }, whose });
        };
        if resource.str_at("resourceType").as_deref() != Some("Consent") {
            return None;
        }
        let meta = resource.get("meta");
        let stored = |key: &str| meta.and_then(|meta| meta.str_at(key));
        let at = stored("lastUpdated").or_else(|| stated("lastModified")).and_then(|text| date(&text));
        let version = stored("versionId").or_else(|| stated("etag")).map(std::borrow::Cow::into_owned);
        let id = resource.str_at("id").map(std::borrow::Cow::into_owned);
        let whose = whose(resource, bases).map_or(Whose::Unknown, Whose::Patient);
        Some(Self { name: Name { id, version, at }, whose })
    }

    /// When the server says that it was made.
    pub(super) fn at(&self) -> Option<OffsetDateTime> {
        self.name.at
    }
}

fn date(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// Logical id and version of the Consent that a URL names.
fn consent_of(url: &str, base: &str, bases: &Bases) -> Option<(String, Option<String>)> {
    let below = url.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')).unwrap_or(url);
    match Target::parse(below, bases) {
        Target::Local { rtype, id, version } if rtype.as_str() == "Consent" => Some((id, version)),
        Target::Local { .. } | Target::Fragment(_) | Target::Foreign(_) | Target::Malformed => None,
    }
}

/// The boundary between what was told and what is news.
///
/// INVARIANT: a version that is shown within [`OVERLAP`] of its date is news to exactly one poll, or all is forgotten in the
/// first poll that was asked after it was shown.
#[derive(Debug)]
pub(super) struct Boundary {
    /// The newest date that was told; no later than the gateway's own clock was then, so that a version dated in the future
    /// hides none.
    newest: OffsetDateTime,
    /// Nothing before it is news any more.
    floor: OffsetDateTime,
    /// When something new was told last.
    news_at: Instant,
    /// When more was told than is read.
    flooded_at: Option<Instant>,
    /// What the last poll told.
    told: BTreeSet<Name>,
}

impl Boundary {
    /// A boundary at the date of the newest version, as far as that is known. What is kept from before the first poll has to
    /// be forgotten after it.
    pub(super) fn begin(newest: OffsetDateTime, now: Instant, clock: OffsetDateTime) -> Self {
        let newest = newest.min(clock);
        Self { newest, floor: newest - OVERLAP, news_at: now, flooded_at: None, told: BTreeSet::new() }
    }

    /// The date from which on versions are to be asked for.
    pub(super) fn since(&self) -> OffsetDateTime {
        (self.newest - OVERLAP).max(self.floor)
    }

    /// Takes what the server told of versions from [`Self::since`] on; gives how many are new, and what is to be forgotten.
    pub(super) fn take(
        &mut self,
        told: &Told,
        asked: Instant,
        answered: Instant,
        clock: OffsetDateTime,
    ) -> (usize, Forget) {
        let news: Vec<&Version> = told.versions.iter().filter(|version| !self.told.contains(&version.name)).collect();
        for at in news.iter().filter_map(|version| version.at()) {
            self.newest = self.newest.max(at.min(clock));
        }
        self.told = told.versions.iter().map(|version| version.name.clone()).collect();
        let past = |then: Instant| asked.saturating_duration_since(then) > OVERLAP + UNIT;
        let flooded = told.more || self.flooded_at.is_some();
        if told.more {
            self.flooded_at = Some(answered);
        } else if self.flooded_at.is_some_and(past) {
            self.flooded_at = None;
        }
        if told.more && news.iter().all(|version| version.at().is_none()) {
            // HAPI gives deletions no date: without this they would be read again and again.
            self.newest = self.newest.max(clock - OVERLAP);
        }
        if told.more || (news.is_empty() && past(self.news_at)) {
            self.floor = self.newest + UNIT;
        }
        if told.more || !news.is_empty() {
            self.news_at = answered;
        }
        let forget = if flooded { Forget::All } else { forget(&news) };
        (news.len(), forget)
    }
}

fn forget(news: &[&Version]) -> Forget {
    let (mut consents, mut patients) = (BTreeSet::new(), BTreeSet::new());
    for version in news {
        match (&version.name.id, &version.whose) {
            (None, _) | (_, Whose::Unknown) => return Forget::All,
            (Some(id), whose) => {
                consents.insert(id.clone());
                if let Whose::Patient(patient) = whose {
                    patients.insert(patient.clone());
                }
            }
        }
    }
    if news.is_empty() { Forget::Nothing } else { Forget::These { consents, patients } }
}

#[cfg(test)]
mod tests;
