//! A history, filtered as a stream: the versions of one resource, of a type or of the server (docs/adr/0046).
//!
//! Each version is decided with the Consents of now and under the labels of all versions of its resource, and leaves only
//! beside a current version that the caller may see. That a resource was deleted leaves only where what was deleted would.

mod of;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gateway_core::decide::{Action, Permit};
use gateway_core::facts::ResourceFacts;
use gateway_core::json::{Doc, quoted};
use gateway_core::owner::PatientId;
use sha2::{Digest as _, Sha256};

pub use self::of::{HistoryPlan, Of};
use self::told::{Told, name_of};
use super::Ruling;
use super::entry::MALFORMED;
use super::judge::{Judge, Judged, Shown, Subject};
use super::pages::{Next, Pages};
use super::paging::{Kind, Paging};
use super::plan::Links;
use super::window::Window;
use crate::gather::versions::{Lineage, is_deletion};
use crate::links::stale_cursor;
use crate::problem::Problem;
use crate::read::{is_shown_in_parts, own_validator};

/// The filtered answer to a history; yields windows until one is the last.
pub struct HistoryAnswer {
    judge: Judge,
    permit: Permit,
    pages: Pages,
    plan: HistoryPlan,
    links: Links,
    paging: Paging,
    /// The mark of the entry behind which it goes on, until that is found.
    after: Option<String>,
    /// By name; `None` where a resource's history is hidden whatever it holds.
    lineages: BTreeMap<String, Option<Arc<Lineage>>>,
}

/// An entry of the upstream that may have a place in the answer.
struct Entry<'a> {
    mark: String,
    name: String,
    told: Told,
    /// `None`: it was deleted.
    stored: Option<Subject<'a>>,
    lineage: Arc<Lineage>,
}

impl HistoryAnswer {
    /// An answer whose first upstream page is open.
    pub fn new(judge: Judge, permit: Permit, pages: Pages, plan: HistoryPlan, links: Links) -> Self {
        let paging = Paging::new(Kind::History, plan.page.clone());
        let after = plan.after.clone();
        Self { judge, permit, pages, plan, links, paging, after, lineages: BTreeMap::new() }
    }

    /// The next window; its `last` says whether the answer ends with it.
    pub async fn next_window(&mut self) -> Result<Window, Problem> {
        let mut window = Window::default();
        self.paging.begin(&mut window);
        loop {
            self.batch(&mut window).await?;
            if self.paging.is_done() {
                self.paging.finish(&mut window, &self.links)?;
                window.last = true;
                return Ok(window);
            }
            if self.paging.window_is_full(&window) {
                return Ok(window);
            }
        }
    }

    /// Reads and writes at most a fraction of a window, less where a page ends.
    async fn batch(&mut self, window: &mut Window) -> Result<(), Problem> {
        let (mut batch, mut bytes): (Vec<Vec<u8>>, usize) = (Vec::new(), 0);
        // Of each entry's resource all versions are read.
        let most = self.paging.most_at_once();
        while batch.len() < most && !self.paging.batch_is_full(bytes, batch.len()) {
            match self.pages.next().await? {
                Next::Entry(raw) => {
                    self.paging.count_entry(window)?;
                    match &self.after {
                        Some(after) if mark(&raw) == *after => self.after = None,
                        Some(_) => {}
                        None if self.paging.is_settled() => {}
                        None => {
                            bytes += raw.len();
                            batch.push(raw);
                        }
                    }
                }
                // Its resource is hidden whole: no version of it is decided on without all the others.
                Next::TooLong(_) => self.paging.count_entry(window)?,
                Next::PageEnd { next } => {
                    self.write(&batch, window).await?;
                    // A history is one search.
                    self.paging.page_ended(false)?;
                    self.paging.turn(&mut self.pages, &self.permit, next).await?;
                    // Nothing left yet: what the link goes on behind is not there any more.
                    let lost = self.paging.is_done() && self.after.is_some();
                    return if lost { Err(stale_cursor()) } else { Ok(()) };
                }
            }
        }
        self.write(&batch, window).await
    }

    /// Decides each entry of the batch and writes those that may leave and belong on this page.
    async fn write(&mut self, batch: &[Vec<u8>], window: &mut Window) -> Result<(), Problem> {
        let mut docs = Vec::with_capacity(batch.len());
        for raw in batch {
            docs.push(Doc::parse(raw).map_err(|_| MALFORMED)?);
        }
        let entries = self.entries(&docs).await?;
        let gates = self.gates(&entries).await?;
        let (mut subjects, mut places) = (Vec::new(), Vec::new());
        for mut entry in entries {
            let subject = entry.stored.take();
            places.push((subject.is_some(), entry));
            subjects.extend(subject);
        }
        let mut judged = self.judge.judge(&subjects).await?.into_iter().zip(&subjects);
        for (stored, entry) in places {
            let gate = gates.get(&entry.name).ok_or(MALFORMED)?;
            let version = if stored { judged.next() } else { None };
            if !self.plan.page.to_the_end {
                self.paging.goes_on_behind(entry.mark.clone());
            }
            match version {
                Some((judged, subject)) => self.write_version(&entry, gate, judged, &subject.facts, window)?,
                None => self.write_deletion(&entry, gate, window)?,
            }
        }
        Ok(())
    }

    /// The entries that may have a place, under the labels of all versions of their resources.
    async fn entries<'a>(&mut self, docs: &'a [Doc<'a>]) -> Result<Vec<Entry<'a>>, Problem> {
        let action = self.plan.of.action();
        let mut found = Vec::with_capacity(docs.len());
        for doc in docs {
            let entry = doc.root();
            let stored = match entry.get("resource") {
                Some(resource) => match self.judge.subject(doc.source(), resource, action) {
                    Err(Problem::Absent) => continue,
                    read => Some(read?),
                },
                None if is_deletion(entry) => None,
                None => continue,
            };
            let Some(name) = name_of(entry, stored.as_ref(), self.judge.bases()) else { continue };
            let rtype = name.split('/').next().unwrap_or_default();
            if self.plan.of.holds(&name) && self.plan.reaches.reaches(rtype) {
                let told = Told::of(entry, &name, self.judge.bases());
                found.push((mark(doc.source()), name, told, stored));
            }
        }
        self.learn(found.iter().map(|(_, name, ..)| name)).await?;
        let entries = found.into_iter().filter_map(|(mark, name, told, mut stored)| {
            let lineage = Arc::clone(self.lineages.get(&name)?.as_ref()?);
            if let Some(subject) = &mut stored {
                lineage.label(&mut subject.facts);
            }
            Some(Entry { mark, name, told, stored, lineage })
        });
        Ok(entries.collect())
    }

    /// Reads the lineages that are not known yet.
    async fn learn(&mut self, names: impl Iterator<Item = &String>) -> Result<(), Problem> {
        if self.lineages.len() > MOST_LINEAGES {
            self.lineages.clear();
        }
        let missing: BTreeSet<String> = names.filter(|name| !self.lineages.contains_key(*name)).cloned().collect();
        let mut found = self.judge.lineages(&missing, self.plan.largest).await?;
        for name in missing {
            let lineage = found.remove(&name).map(Arc::new);
            self.lineages.insert(name, lineage);
        }
        Ok(())
    }

    /// For each resource whether its newest version, and those that were deleted, may be seen.
    async fn gates(&self, entries: &[Entry<'_>]) -> Result<BTreeMap<String, Gate>, Problem> {
        let action = self.plan.of.action();
        let lineages: BTreeMap<&String, &Arc<Lineage>> =
            entries.iter().map(|entry| (&entry.name, &entry.lineage)).collect();
        let mut questions: Vec<(&ResourceFacts, Action)> = Vec::new();
        for lineage in lineages.values() {
            questions.push((&lineage.newest, action));
            questions.extend(lineage.before_deletions.iter().map(|facts| (facts, action)));
        }
        let mut rulings = self.judge.decide_all(&questions).await?.into_iter();
        let gate = |(name, lineage): (&String, &Arc<Lineage>)| {
            let newest = rulings.next()?;
            let deleted = rulings.by_ref().take(lineage.before_deletions.len()).collect();
            Some((name.clone(), Gate { newest, deleted }))
        };
        Ok(lineages.into_iter().filter_map(gate).collect())
    }

    fn write_version(
        &mut self,
        entry: &Entry<'_>,
        gate: &Gate,
        judged: Judged,
        facts: &ResourceFacts,
        window: &mut Window,
    ) -> Result<(), Problem> {
        // What was deleted is not there any more, in any version (docs/adr/0001).
        if entry.lineage.deleted {
            return Ok(());
        }
        if !gate.newest.permits() {
            self.kept_back(std::slice::from_ref(&gate.newest), window);
            return Ok(());
        }
        let shown = match judged {
            Judged::Shown(shown) => shown,
            Judged::Hidden { owners, reasons } => {
                if self.paging.is_here() {
                    window.deny(&owners, &reasons);
                }
                return Ok(());
            }
        };
        if !self.paging.takes_place() {
            return Ok(());
        }
        let Shown { bytes, owners, decision, removed, parts_dropped: _, hidden_parts: _ } = *shown;
        let etag = (!removed.is_empty() || is_shown_in_parts(facts.resource_type))
            .then(|| own_validator(facts.version.as_deref(), &bytes));
        self.entry(entry, Some(&bytes), etag.as_ref(), window);
        let labels = decision.labels().codings();
        window
            .disclose(facts, &owners, &labels, decision.reasons(), removed, None)
            .map_err(|_| Problem::Unfilterable("not-recordable"))
    }

    fn write_deletion(&mut self, entry: &Entry<'_>, gate: &Gate, window: &mut Window) -> Result<(), Problem> {
        let all = || std::iter::once(&gate.newest).chain(&gate.deleted);
        if all().any(|ruling| !ruling.permits()) {
            self.kept_back(all().filter(|ruling| !ruling.permits()), window);
            return Ok(());
        }
        if !self.paging.takes_place() {
            return Ok(());
        }
        self.entry(entry, None, None, window);
        let owners: BTreeSet<PatientId> = all().flat_map(|ruling| ruling.owners.iter().cloned()).collect();
        let owners: Vec<PatientId> = owners.into_iter().collect();
        let mut facts = entry.lineage.newest.clone();
        facts.version.clone_from(&entry.told.version);
        let decision = &gate.newest.decision;
        window
            .disclose(&facts, &owners, &decision.labels().codings(), decision.reasons(), Vec::new(), None)
            .map_err(|_| Problem::Unfilterable("not-recordable"))
    }

    fn kept_back<'r>(&self, rulings: impl IntoIterator<Item = &'r Ruling>, window: &mut Window) {
        if self.paging.is_here() {
            window.deny_by(rulings);
        }
    }

    fn entry(&mut self, entry: &Entry<'_>, resource: Option<&[u8]>, etag: Option<&String>, window: &mut Window) {
        self.paging.separate(window);
        let out = &mut window.bytes;
        out.extend_from_slice(br#"{"fullUrl":"#);
        out.extend_from_slice(quoted(&self.judge.bases().public.join(&entry.name)).as_bytes());
        if let Some(resource) = resource {
            out.extend_from_slice(br#","resource":"#);
            out.extend_from_slice(resource);
        }
        out.extend_from_slice(entry.told.members(etag).as_bytes());
        out.push(b'}');
    }
}

/// What tells an entry from all others: a version is told of in the same words each time.
fn mark(raw: &[u8]) -> String {
    Sha256::digest(raw).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a resource's history may be seen at all.
struct Gate {
    /// The decision on its newest version.
    newest: Ruling,
    /// Those on the versions that were deleted once.
    deleted: Vec<Ruling>,
}

/// Lineages that are kept while an answer is made.
const MOST_LINEAGES: usize = 512;
