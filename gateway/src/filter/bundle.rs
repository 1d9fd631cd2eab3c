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
use super::paging::{Kind, Paging};
use super::plan::{Links, Parts, SearchPlan};
use super::trim::trimmed;
use super::window::Window;
use crate::problem::Problem;

/// The filtered answer to a search; yields windows until one is the last.
pub struct SearchAnswer {
    judge: Judge,
    permit: Permit,
    pages: Pages,
    plan: SearchPlan,
    links: Links,
    paging: Paging,
    state: State,
}

#[derive(Default)]
struct State {
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
}

impl SearchAnswer {
    /// An answer whose first upstream page is open.
    pub fn new(judge: Judge, permit: Permit, pages: Pages, plan: SearchPlan, links: Links) -> Self {
        let paging = Paging::new(Kind::Searchset, plan.page.clone());
        Self { judge, permit, pages, plan, links, paging, state: State::default() }
    }

    /// The next window; its `last` says whether the answer ends with it.
    pub async fn next_window(&mut self) -> Result<Window, Problem> {
        let mut window = Window::default();
        self.paging.begin(&mut window);
        loop {
            self.batch(&mut window).await?;
            if self.paging.is_done() {
                self.warn(&mut window);
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
        while !self.paging.batch_is_full(bytes, batch.len()) {
            match self.pages.next().await? {
                Next::Entry(raw) => {
                    self.paging.count_entry(window)?;
                    bytes += raw.len();
                    batch.push(raw);
                }
                Next::TooLong(begin) => {
                    self.paging.count_entry(window)?;
                    self.write(&batch, window).await?;
                    self.too_large(&begin, window).await;
                    return Ok(());
                }
                Next::PageEnd { next } => {
                    self.write(&batch, window).await?;
                    return self.turn(next, window).await;
                }
            }
        }
        self.write(&batch, window).await
    }

    /// Writes what waited for the page to end, and goes on to the next one where it is needed.
    async fn turn(&mut self, next: Option<String>, window: &mut Window) -> Result<(), Problem> {
        if !matches!(self.plan.parts, Parts::Around(_)) {
            self.write_waiting(window).await?;
        }
        self.paging.page_ended(self.pages.turned())?;
        let next = next.or_else(|| self.next_part());
        self.paging.turn(&mut self.pages, &self.permit, next).await?;
        if self.paging.is_done() {
            self.write_waiting_around(window).await?;
        }
        Ok(())
    }

    /// The target of the next search, where the answer is made of several.
    fn next_part(&mut self) -> Option<String> {
        let Parts::Then(parts) = &mut self.plan.parts else { return None };
        let part = parts.pop_front()?;
        (self.plan.rtype, self.plan.looks) = (part.rtype, part.looks);
        Some(part.target)
    }

    /// An entry that is too large to be decided on is left out like one that is hidden, and is on record where a match
    /// would have stood.
    async fn too_large(&mut self, begin: &[u8], window: &mut Window) {
        let name = entry::name_of_beginning(begin, self.plan.rtype, self.judge.bases());
        let name = name.filter(|_| self.paging.is_here());
        if let Some(withheld) = self.judge.too_large(name.as_deref(), Action::Search).await {
            window.deny(&withheld.owners, &withheld.reasons);
        }
    }

    async fn write(&mut self, batch: &[Vec<u8>], window: &mut Window) -> Result<(), Problem> {
        self.write_entries(batch, window, true).await
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
        match self.unless_found_by_removed(judged) {
            Judged::Hidden { owners, reasons } => {
                if self.paging.is_here() {
                    window.deny(&owners, &reasons);
                }
            }
            Judged::Shown(mut shown) => {
                let name = name(subject)?;
                if (self.paging.is_here() && self.state.shown.contains(&name)) || !self.paging.takes_place() {
                    return Ok(());
                }
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
        self.paging.separate(window);
        let out = &mut window.bytes;
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
        self.paging.separate(window);
        let entry = format!(r#"{{"resource":{outcome},"search":{{"mode":"outcome"}}}}"#);
        window.bytes.extend_from_slice(entry.as_bytes());
    }
}

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
