//! A searchset, filtered as a stream (EVIDENCE.md 1, "Windows"; CONSENT.md, leak table).
//!
//! Entries of the upstream are taken in batches of at most one window; each is decided on its own; what may leave is
//! written out with its own bytes. `total` and `link` follow `entry`, because only then are they known. Not more than
//! one batch and one window are in memory, and the names of what this page shows.

mod around;
mod includes;

use std::collections::BTreeSet;

use gateway_core::decide::{Action, Permit};
use gateway_core::json::{Doc, Value, quoted};
use gateway_core::owner::PatientId;
use gateway_core::reasons::{Reason, RuleName};

use super::entry::{self, MALFORMED, Mode, mode, name};
use super::judge::{Judge, Judged, Shown, Subject};
use super::pages::{Next, Pages};
use super::plan::{Links, Parts, SearchPlan};
use super::trim::trimmed;
use super::window::Window;
use crate::cursor::Position;
use crate::problem::Problem;

/// The filtered answer to a search; yields windows until one is the last.
pub struct SearchAnswer {
    judge: Judge,
    permit: Permit,
    pages: Pages,
    plan: SearchPlan,
    links: Links,
    state: State,
}

#[derive(Default)]
struct State {
    /// Whether the opening of the Bundle and of its `entry` have been written.
    opened: bool,
    entries_opened: bool,
    /// Entries read of the upstream.
    read: u64,
    /// Entries read when the page under way began, and how many pages in a row had none.
    read_before_page: u64,
    empty_pages: u32,
    /// Matches that the caller may see, those of earlier pages included.
    visible: u64,
    /// The upstream's page that is being read, and how many visible matches came before it.
    page: String,
    before_page: u64,
    /// The first visible match beyond this page: the upstream's page that holds it, and how many stand before it there.
    more: Option<(String, u64)>,
    /// `Type/id` of every match, where the same may be found twice.
    found: BTreeSet<String>,
    /// `Type/id` of the matches on this page.
    shown: BTreeSet<String>,
    /// What the matches on this page refer to by the parameters of `_include`.
    referred: BTreeSet<String>,
    /// `Type/id` of the included resources on this page.
    included: BTreeSet<String>,
    /// Included entries whose match has not come yet; they wait for the end of their upstream page.
    waiting: Vec<Vec<u8>>,
    waiting_bytes: usize,
    /// Whether all of a record has come, and what it refers to is written.
    settling: bool,
    /// `Type/id` of all that was counted, on earlier pages too, where several searches find the same.
    seen: BTreeSet<String>,
    /// Where a many-patient search goes on.
    upstream_next: Option<String>,
    done: bool,
}

impl SearchAnswer {
    /// An answer whose first upstream page is open.
    pub fn new(judge: Judge, permit: Permit, pages: Pages, plan: SearchPlan, links: Links) -> Self {
        let state = State { page: plan.target.clone(), ..State::default() };
        Self { judge, permit, pages, plan, links, state }
    }

    /// The next window; its `last` says whether the answer ends with it.
    pub async fn next_window(&mut self) -> Result<Window, Problem> {
        let mut window = Window::default();
        if !self.state.opened {
            self.state.opened = true;
            window.bytes.extend_from_slice(br#"{"resourceType":"Bundle","type":"searchset""#);
        }
        loop {
            let batch = self.batch(&mut window).await?;
            self.write(batch, &mut window).await?;
            if self.state.done {
                self.finish(&mut window)?;
                window.last = true;
                return Ok(window);
            }
            if self.full(&window) {
                return Ok(window);
            }
        }
    }

    /// A window is full when one more batch might burst it.
    fn full(&self, window: &Window) -> bool {
        let (bytes, entries) = self.plan.window;
        let disclosed = usize::try_from(window.counts().disclosed).unwrap_or(usize::MAX);
        window.bytes.len() > bytes - bytes / BATCHES || disclosed > entries - entries / BATCHES
    }

    /// Raw entries of the upstream, at most a fraction of a window, less where a page ends; with them the included ones that
    /// waited for their page to end.
    async fn batch(&mut self, window: &mut Window) -> Result<Vec<Vec<u8>>, Problem> {
        let (most_bytes, most_entries) = (self.plan.window.0 / BATCHES, self.plan.window.1.div_ceil(BATCHES));
        let mut batch: Vec<Vec<u8>> = Vec::new();
        let mut bytes = 0;
        while bytes < most_bytes && batch.len() < most_entries {
            match self.pages.next().await? {
                Next::Entry(raw) => {
                    self.count_entry(window)?;
                    bytes += raw.len();
                    batch.push(raw);
                }
                Next::TooLong(begin) => {
                    self.count_entry(window)?;
                    self.write(batch, window).await?;
                    self.too_large(&begin, window).await;
                    return Ok(Vec::new());
                }
                Next::PageEnd { next } => {
                    self.write(std::mem::take(&mut batch), window).await?;
                    if !matches!(self.plan.parts, Parts::Around(_)) {
                        self.write_waiting(window).await?;
                    }
                    // A search that ends is no page without an end.
                    let empty = self.state.read == self.state.read_before_page && !self.pages.turned();
                    self.state.read_before_page = self.state.read;
                    self.state.empty_pages = if empty { self.state.empty_pages + 1 } else { 0 };
                    if self.state.empty_pages > MOST_EMPTY_PAGES {
                        return Err(Problem::Unfilterable("search-too-large"));
                    }
                    let next = next.or_else(|| self.next_part());
                    match next {
                        Some(target) if self.reads_on() => {
                            match self.pages.open(&self.permit, target.clone()).await? {
                                200 => {}
                                _ => return Err(Problem::Unfilterable("upstream-page-missing")),
                            }
                            self.state.page = target;
                            self.state.before_page = self.state.visible;
                        }
                        next => {
                            self.write_waiting_around(window).await?;
                            self.state.upstream_next = next;
                            self.state.done = true;
                        }
                    }
                    return Ok(Vec::new());
                }
            }
        }
        Ok(batch)
    }

    /// The target of the next search, where the answer is made of several.
    fn next_part(&mut self) -> Option<String> {
        let Parts::Then(parts) = &mut self.plan.parts else { return None };
        let part = parts.pop_front()?;
        (self.plan.rtype, self.plan.looks) = (part.rtype, part.looks);
        self.state.empty_pages = 0;
        Some(part.target)
    }

    fn count_entry(&mut self, window: &mut Window) -> Result<(), Problem> {
        self.state.read += 1;
        window.count_entry();
        match self.state.read > self.plan.most_entries {
            true => Err(Problem::Unfilterable("search-too-large")),
            false => Ok(()),
        }
    }

    /// An entry that is too large to be decided on is left out like one that is hidden, and is on record where a match
    /// would have stood.
    async fn too_large(&mut self, begin: &[u8], window: &mut Window) {
        let on_this_page = self.plan.skip..self.plan.skip + u64::from(self.plan.count);
        let name = entry::name_of_beginning(begin, self.plan.rtype, self.judge.bases());
        let name = name.filter(|_| on_this_page.contains(&self.state.visible));
        if let Some(withheld) = self.judge.too_large(name.as_deref(), Action::Search).await {
            window.deny(&withheld.owners, &withheld.reasons);
        }
    }

    /// Whether the upstream's next page is needed. A page of ours must not say whether what lies beyond it is hidden or
    /// not there, so it is read on until a visible match is found there.
    fn reads_on(&self) -> bool {
        let scanned = self.state.read >= SCAN + u64::from(self.plan.count);
        self.plan.to_the_end || (self.state.more.is_none() && !scanned)
    }

    async fn write(&mut self, batch: Vec<Vec<u8>>, window: &mut Window) -> Result<(), Problem> {
        self.write_entries(&batch, window, true).await
    }

    /// Decides each entry of the batch and writes those that may leave and belong on this page.
    async fn write_entries(&mut self, batch: &[Vec<u8>], window: &mut Window, may_wait: bool) -> Result<(), Problem> {
        let mut docs = Vec::with_capacity(batch.len());
        for raw in batch {
            docs.push(Doc::parse(raw).map_err(|_| MALFORMED)?);
        }
        let mut subjects: Vec<(Subject<'_>, Mode, &[u8])> = Vec::with_capacity(batch.len());
        let mut matches = BTreeSet::new();
        for (doc, raw) in docs.iter().zip(batch) {
            let resource = doc.root().get("resource").ok_or(MALFORMED)?;
            let mode = match &self.plan.parts {
                Parts::Around(around) if !around.holds(resource) => continue,
                Parts::Around(_) => Mode::Match,
                Parts::One | Parts::Then(_) => mode(doc, self.plan.rtype)?,
            };
            if mode == Mode::Outcome || (mode == Mode::Include && !self.may_bring(resource)) {
                continue;
            }
            let mut subject = match self.judge.subject(raw, resource, Action::Search) {
                Err(Problem::Absent) => continue,
                read => read?,
            };
            if mode == Mode::Match {
                matches.insert(name(&subject)?);
            }
            if let Parts::Around(_) = self.plan.parts {
                subject.action = around::action(subject.facts.resource_type);
            }
            subjects.push((subject, mode, raw));
        }
        let along = subjects.iter().filter(|(_, mode, _)| *mode == Mode::Include).map(|(subject, ..)| name(subject));
        let along: BTreeSet<String> = along.collect::<Result<_, _>>()?;
        for (subject, mode, _) in &mut subjects {
            if *mode == Mode::Include {
                // What refers to a match was searched for; what a match refers to needs leave to read only.
                let came = |name: &String| self.state.included.contains(name) || along.contains(name);
                let iterated = |name: &String| self.plan.looks.iterates() && came(name);
                let refers =
                    |name: &String| self.state.shown.contains(name) || matches.contains(name) || iterated(name);
                subject.action =
                    if subject.facts.references.iter().any(refers) { Action::Search } else { Action::Read };
            }
        }
        let (questions, rest): (Vec<Subject<'_>>, Vec<(Mode, &[u8])>) =
            subjects.into_iter().map(|(subject, mode, raw)| (subject, (mode, raw))).unzip();
        let judged = self.judge.judge(&questions).await?;
        for ((subject, (mode, raw)), judged) in questions.iter().zip(rest).zip(judged) {
            match mode {
                Mode::Match => match &self.plan.parts {
                    Parts::Around(around) => {
                        let patient = around.patient.clone();
                        self.write_around(&patient, subject, judged, raw, window)?;
                    }
                    Parts::Then(_) if !self.state.seen.insert(name(subject)?) => {}
                    Parts::One | Parts::Then(_) => self.write_match(subject, judged, window)?,
                },
                Mode::Include => self.write_include(subject, judged, raw, may_wait, window)?,
                Mode::Outcome => {}
            }
        }
        Ok(())
    }

    /// Whether the organisation lets the search bring resources of this type along.
    fn may_bring(&self, resource: Value<'_>) -> bool {
        self.plan.reaches.reaches(&resource.str_at("resourceType").unwrap_or_default())
    }

    fn write_match(&mut self, subject: &Subject<'_>, judged: Judged, window: &mut Window) -> Result<(), Problem> {
        if self.plan.joined && !self.state.found.insert(name(subject)?) {
            return Ok(());
        }
        let judged = self.unless_found_by_removed(judged);
        let begun = self.state.visible >= self.plan.skip;
        let full = self.state.visible >= self.plan.skip + u64::from(self.plan.count);
        match judged {
            Judged::Hidden { owners, reasons } => {
                if begun && !full {
                    window.deny(&owners, &reasons);
                }
            }
            Judged::Shown(_) if !begun => self.state.visible += 1,
            Judged::Shown(_) if full => {
                if self.state.more.is_none() && self.plan.count > 0 {
                    self.state.more = Some((self.state.page.clone(), self.state.visible - self.state.before_page));
                }
                self.state.visible += 1;
            }
            Judged::Shown(mut shown) => {
                let name = name(subject)?;
                if self.state.shown.contains(&name) {
                    return Ok(());
                }
                self.state.visible += 1;
                // Only what may leave counts as referring: a removed reference must not pull its target in.
                let doc = Doc::parse(&shown.bytes).map_err(|_| MALFORMED)?;
                self.state.referred.extend(self.plan.looks.included_by(doc.root(), self.judge.bases()));
                self.state.shown.insert(name);
                self.entry(subject, &mut shown, "match", window)?;
                disclose(window, subject, *shown)?;
            }
        }
        Ok(())
    }

    /// A match that may have been found by what is taken out of it is none for this caller. It is on record of whom it
    /// was taken out for: the patients of the hidden targets that were looked for, else its own.
    fn unless_found_by_removed(&self, judged: Judged) -> Judged {
        let looks = &self.plan.looks;
        let mut shown = match judged {
            Judged::Shown(shown) => shown,
            hidden @ Judged::Hidden { .. } => return hidden,
        };
        if shown.parts_dropped && looks.at_other_parts(&shown.bytes, self.judge.bases()) {
            let mut targets = std::mem::take(&mut shown.hidden_parts);
            targets.retain(|target| looks.for_target(&target.name) && !target.owners.is_empty());
            if targets.is_empty() {
                return Judged::Hidden { owners: shown.owners, reasons: vec![Reason::of(RuleName::HiddenTarget)] };
            }
            let (owners, reasons): (BTreeSet<PatientId>, Vec<Reason>) =
                targets.into_iter().fold(Default::default(), |(mut owners, mut reasons), target| {
                    owners.extend(target.owners);
                    reasons.extend(target.reasons);
                    (owners, reasons)
                });
            return Judged::Hidden { owners: owners.into_iter().collect(), reasons };
        }
        if shown.removed.iter().any(|(path, _)| looks.at(path)) {
            let removing = shown.decision.reasons().iter().filter(|reason| reason.rule == RuleName::ElementLabel);
            return Judged::Hidden { reasons: removing.cloned().collect(), owners: shown.owners };
        }
        Judged::Shown(shown)
    }

    fn entry(
        &mut self,
        subject: &Subject<'_>,
        shown: &mut Shown,
        mode: &str,
        window: &mut Window,
    ) -> Result<(), Problem> {
        let resource = trimmed(std::mem::take(&mut shown.bytes), &self.plan.trim)?;
        let out = &mut window.bytes;
        out.extend_from_slice(if self.state.entries_opened { b"," as &[u8] } else { br#","entry":["# });
        self.state.entries_opened = true;
        let id = subject.facts.id.as_deref().unwrap_or_default();
        let url = self.judge.bases().public.join(&format!("{}/{id}", subject.facts.resource_type));
        out.extend_from_slice(br#"{"fullUrl":"#);
        out.extend_from_slice(quoted(&url).as_bytes());
        out.extend_from_slice(br#","resource":"#);
        out.extend_from_slice(&resource);
        out.extend_from_slice(br#","search":{"mode":""#);
        out.extend_from_slice(mode.as_bytes());
        out.extend_from_slice(br#""}}"#);
        Ok(())
    }

    /// Warns of parameters that were not forwarded (FHIR R4 §3.1.1.3, "Handling Errors"): their names, never values.
    fn warn(&mut self, window: &mut Window) {
        if self.plan.dropped.is_empty() {
            return;
        }
        let issues: Vec<serde_json::Value> = self.plan.dropped.iter().map(|name| ignored(name)).collect();
        let outcome = serde_json::json!({"resourceType": "OperationOutcome", "issue": issues});
        let out = &mut window.bytes;
        out.extend_from_slice(if self.state.entries_opened { b"," as &[u8] } else { br#","entry":["# });
        self.state.entries_opened = true;
        out.extend_from_slice(format!(r#"{{"resource":{outcome},"search":{{"mode":"outcome"}}}}"#).as_bytes());
    }

    fn finish(&mut self, window: &mut Window) -> Result<(), Problem> {
        self.warn(window);
        let out = &mut window.bytes;
        if self.state.entries_opened {
            out.push(b']');
        }
        let mut next = None;
        if self.plan.to_the_end {
            out.extend_from_slice(format!(r#","total":{}"#, self.state.visible).as_bytes());
            if self.state.more.is_some() {
                let skip = self.plan.skip + u64::from(self.plan.count);
                next = Some(Position::AfterMatches { query: self.plan.query.clone(), skip, count: self.plan.count });
            }
        } else if let Some((target, skip)) = self.state.more.take() {
            next = Some(Position::UpstreamPage { target, skip, count: self.plan.count });
        } else if let Some(target) = self.state.upstream_next.take() {
            next = Some(Position::UpstreamPage { target, skip: 0, count: self.plan.count });
        }
        out.extend_from_slice(br#","link":[{"relation":"self","url":"#);
        out.extend_from_slice(quoted(&(self.links)(None)?).as_bytes());
        if let Some(next) = next {
            out.extend_from_slice(br#"},{"relation":"next","url":"#);
            out.extend_from_slice(quoted(&(self.links)(Some(next))?).as_bytes());
        }
        out.extend_from_slice(b"}]}");
        Ok(())
    }
}

/// Entries of the upstream that a search of many patients looks at beyond its page size, at least.
const SCAN: u64 = 1_000;
/// Pages without an entry that are followed in a row.
const MOST_EMPTY_PAGES: u32 = 8;
/// Batches of entries that make a window.
const BATCHES: usize = 8;
fn ignored(name: &str) -> serde_json::Value {
    serde_json::json!({
        "severity": "warning",
        "code": "not-supported",
        "details": {"text": format!("The search parameter {name} is not known to this server and was ignored.")},
    })
}

fn disclose(window: &mut Window, subject: &Subject<'_>, shown: Shown) -> Result<(), Problem> {
    let labels = shown.decision.labels().codings();
    let reasons = shown.decision.reasons();
    window
        .disclose(&subject.facts, &shown.owners, &labels, reasons, shown.removed, None)
        .map_err(|_| Problem::Unfilterable("not-recordable"))
}
