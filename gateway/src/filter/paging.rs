//! Paging: which of the entries that are visible stand on the page that was asked for, how far the upstream is read for
//! it, and where the next page goes on (ADR 0002).
//!
//! Only what the caller may see counts. A page must not say whether what lies beyond it is hidden or not there, so the
//! upstream is read on until something visible is found there.

use gateway_core::decide::Permit;
use gateway_core::json::quoted;

use super::pages::Pages;
use super::plan::Links;
use super::window::Window;
use crate::cursor::Position;
use crate::problem::Problem;

/// The page of an answer that is asked for.
#[derive(Clone, Debug)]
pub struct PagePlan {
    /// The upstream's first page, as a target below its base.
    pub target: String,
    /// The query on which later pages go on where all is read to its end, without `_count`.
    pub query: String,
    /// The page size.
    pub count: u32,
    /// One patient's search and one resource's history are read to their end: pages and total of what is visible. Others
    /// are read until something visible lies beyond the page, or `SCAN` entries more than it holds were looked at.
    pub to_the_end: bool,
    /// Visible entries that earlier pages held.
    pub skip: u64,
    /// How much is read for it, and leaves at once.
    pub bounds: Bounds,
}

/// How much of the upstream is read for an answer, and how much of the answer leaves at once.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most entries that are read of the upstream.
    pub most_entries: u64,
    /// Bytes and entries of one window.
    pub window: (usize, usize),
}

/// Where a page of ours became full.
struct Full {
    /// The upstream's page that holds the last entry shown.
    page: String,
    /// Its mark.
    last: String,
}

/// What kind of Bundle the pages make up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Searchset,
    History,
}

/// An answer on its way through the upstream's pages.
pub(super) struct Paging {
    kind: Kind,
    plan: PagePlan,
    /// Whether the opening of the Bundle and of its `entry` have been written.
    opened: bool,
    entries_opened: bool,
    /// Entries read of the upstream.
    read: u64,
    /// Entries read when the page under way began, and how many pages in a row had none.
    read_before_page: u64,
    empty_pages: u32,
    /// Entries that the caller may see, those of earlier pages included.
    visible: u64,
    /// The upstream's page that is being read, and how many visible entries came before it.
    page: String,
    before_page: u64,
    /// Where the page became full, of entries that have marks. The next one goes on there.
    full: Option<Full>,
    /// The first visible entry beyond the page: the upstream's page that holds it, and how many visible ones stand before
    /// it there.
    more: Option<(String, u64)>,
    /// How many entries are to be decided on at once next, where each of them is costly.
    step: usize,
    /// The mark of the entry that is decided on, where the next page goes on by that.
    mark: Option<String>,
    /// Where an answer goes on that is not read to its end.
    upstream_next: Option<String>,
    done: bool,
}

impl Kind {
    /// `Bundle.type`
    fn code(self) -> &'static str {
        match self {
            Self::Searchset => "searchset",
            Self::History => "history",
        }
    }

    fn too_large(self) -> Problem {
        match self {
            Self::Searchset => Problem::Unfilterable("search-too-large"),
            Self::History => Problem::Unfilterable("history-too-large"),
        }
    }
}

impl Paging {
    /// At the beginning of the upstream's first page.
    pub(super) fn new(kind: Kind, plan: PagePlan) -> Self {
        Self {
            kind,
            page: plan.target.clone(),
            plan,
            opened: false,
            entries_opened: false,
            read: 0,
            read_before_page: 0,
            empty_pages: 0,
            visible: 0,
            before_page: 0,
            full: None,
            more: None,
            step: 0,
            mark: None,
            upstream_next: None,
            done: false,
        }
    }

    /// Writes how the Bundle begins, once.
    pub(super) fn begin(&mut self, window: &mut Window) {
        if !self.opened {
            self.opened = true;
            let head = format!(r#"{{"resourceType":"Bundle","type":"{}""#, self.kind.code());
            window.bytes.extend_from_slice(head.as_bytes());
        }
    }

    /// Whether so many bytes and entries are as much as is decided on at once.
    pub(super) fn batch_is_full(&self, bytes: usize, entries: usize) -> bool {
        let (most_bytes, most_entries) = self.plan.bounds.window;
        bytes >= most_bytes / BATCHES || entries >= most_entries.div_ceil(BATCHES)
    }

    /// How many entries are decided on at once where each of them is costly: as many as the page lacks, were they all
    /// visible, and twice as many each time that they were not.
    pub(super) fn most_at_once(&mut self) -> usize {
        let wanted = self.plan.skip.saturating_add(u64::from(self.plan.count)).saturating_add(1);
        let lacking = if self.plan.to_the_end { u64::MAX } else { wanted.saturating_sub(self.visible) };
        let most = usize::try_from(lacking).unwrap_or(usize::MAX).max(self.step).max(1);
        self.step = most.saturating_mul(2);
        most
    }

    /// Whether it is known what stands on the page, and that something visible follows: what else the upstream's page
    /// holds is not decided on.
    pub(super) fn is_settled(&self) -> bool {
        self.more.is_some() && !self.plan.to_the_end
    }

    /// A window is full when one more batch might burst it.
    pub(super) fn window_is_full(&self, window: &Window) -> bool {
        let (bytes, entries) = self.plan.bounds.window;
        let disclosed = usize::try_from(window.counts().disclosed).unwrap_or(usize::MAX);
        window.bytes.len() > bytes - bytes / BATCHES || disclosed > entries - entries / BATCHES
    }

    /// Counts an entry of the upstream, whatever becomes of it.
    pub(super) fn count_entry(&mut self, window: &mut Window) -> Result<(), Problem> {
        self.read += 1;
        window.count_entry();
        match self.read > self.plan.bounds.most_entries {
            true => Err(self.kind.too_large()),
            false => Ok(()),
        }
    }

    /// What is decided on next has this mark: where the page is full with it, the next one goes on behind it, and nothing
    /// before it is decided on again.
    pub(super) fn goes_on_behind(&mut self, mark: String) {
        self.mark = Some(mark);
    }

    /// Whether what comes next stands on this page, if it is visible; what is kept back there is on record.
    pub(super) fn is_here(&self) -> bool {
        (self.plan.skip..self.plan.skip + u64::from(self.plan.count)).contains(&self.visible)
    }

    /// Counts a visible entry; whether it stands on this page.
    pub(super) fn takes_place(&mut self) -> bool {
        let here = self.is_here();
        let beyond = !here && self.visible >= self.plan.skip;
        if beyond && self.more.is_none() && self.plan.count > 0 {
            self.more = Some((self.page.clone(), self.visible - self.before_page));
        }
        self.visible += 1;
        if here && self.visible == self.plan.skip + u64::from(self.plan.count) {
            self.full = self.mark.take().map(|last| Full { page: self.page.clone(), last });
        }
        here
    }

    /// Counts the upstream's page that ended, and whether it was without an entry. One with which a search ended, of
    /// several that make up an answer, is none of a row without an end.
    pub(super) fn page_ended(&mut self, search_ended: bool) -> Result<(), Problem> {
        let empty = self.read == self.read_before_page && !search_ended;
        self.read_before_page = self.read;
        self.empty_pages = if empty { self.empty_pages + 1 } else { 0 };
        match self.empty_pages > MOST_EMPTY_PAGES {
            true => Err(self.kind.too_large()),
            false => Ok(()),
        }
    }

    /// Opens the upstream's next page where it is needed; else the answer is done.
    pub(super) async fn turn(
        &mut self,
        pages: &mut Pages,
        permit: &Permit,
        next: Option<String>,
    ) -> Result<(), Problem> {
        let Some(target) = self.needed(next) else { return Ok(()) };
        match pages.open(permit, target).await? {
            200 => Ok(()),
            _ => Err(Problem::Unfilterable("upstream-page-missing")),
        }
    }

    /// The page to be read now, of the one that there would be.
    fn needed(&mut self, next: Option<String>) -> Option<String> {
        match next {
            Some(target) if self.reads_on() => {
                self.page.clone_from(&target);
                self.before_page = self.visible;
                Some(target)
            }
            next => {
                self.upstream_next = next;
                self.done = true;
                None
            }
        }
    }

    fn reads_on(&self) -> bool {
        let scanned = self.read >= SCAN + u64::from(self.plan.count);
        self.plan.to_the_end || (self.more.is_none() && !scanned)
    }

    /// Whether nothing more is read of the upstream.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Writes what stands before an element of `entry`.
    pub(super) fn separate(&mut self, window: &mut Window) {
        window.bytes.extend_from_slice(if self.entries_opened { b"," as &[u8] } else { br#","entry":["# });
        self.entries_opened = true;
    }

    /// Writes what follows on `entry`, which only now is known: the total of what is visible, and the links.
    pub(super) fn finish(&mut self, window: &mut Window, links: &Links) -> Result<(), Problem> {
        let out = &mut window.bytes;
        if self.entries_opened {
            out.push(b']');
        }
        if self.plan.to_the_end {
            out.extend_from_slice(format!(r#","total":{}"#, self.visible).as_bytes());
        }
        out.extend_from_slice(br#","link":[{"relation":"self","url":"#);
        out.extend_from_slice(quoted(&links(None)?).as_bytes());
        if let Some(next) = self.next_position() {
            out.extend_from_slice(br#"},{"relation":"next","url":"#);
            out.extend_from_slice(quoted(&links(Some(next))?).as_bytes());
        }
        out.extend_from_slice(b"}]}");
        Ok(())
    }

    /// Where the next page goes on, if there is one.
    fn next_position(&self) -> Option<Position> {
        let PagePlan { query, count, to_the_end, skip, .. } = &self.plan;
        let count = *count;
        if *to_the_end {
            let skip = skip + u64::from(count);
            return self.more.is_some().then(|| Position::AfterMatches { query: query.clone(), skip, count });
        }
        let at =
            |target: &str, skip, after| Some(Position::UpstreamPage { target: target.to_owned(), skip, after, count });
        match (&self.full, &self.more, &self.upstream_next) {
            (_, None, None) => None,
            (Some(Full { page, last }), _, _) => at(page, 0, Some(last.clone())),
            (None, Some((target, skip)), _) => at(target, *skip, None),
            (None, None, Some(target)) => at(target, 0, None),
        }
    }
}

/// Entries of the upstream that an answer of many patients looks at beyond its page size, at least.
const SCAN: u64 = 1_000;
/// Pages without an entry that are followed in a row.
const MOST_EMPTY_PAGES: u32 = 8;
/// Batches of entries that make a window.
const BATCHES: usize = 8;

#[cfg(test)]
mod tests;
