//! Paging links of ours: what stands in them, and what an answer goes on with by one (ADR 0002).

use gateway_core::interaction::SearchQuery;

use crate::cursor::{Cursors, LONGEST, Position};
use crate::filter::{Judge, Links, PagePlan};
use crate::gate::Gate;
use crate::problem::Problem;
use crate::{clock, random};

/// The paging parameter of our own links.
pub const CURSOR: &str = "_cursor";

/// Whether a query is a paging link of ours and nothing else. It may be longer than what clients write themselves, so that
/// no limit on queries cuts an answer off after its first page.
pub fn is_paging_link(query: &str) -> bool {
    let cursor = query.strip_prefix(CURSOR).and_then(|rest| rest.strip_prefix('='));
    cursor.is_some_and(|cursor| cursor.len() <= LONGEST && !cursor.contains('&'))
}

/// Whether a query goes on with an answer, by a paging link.
pub(crate) fn goes_on(query: &SearchQuery) -> bool {
    query.params().iter().any(|param| param.name == CURSOR)
}

/// Where the paging link that this query is goes on at `path`, and the query that the self link shows; `None` where it is
/// none.
pub(crate) fn opened(
    cursors: &Cursors,
    judge: &Judge,
    path: &str,
    query: &SearchQuery,
) -> Result<Option<(Position, String)>, Problem> {
    let Some(cursor) = query.params().iter().find(|param| param.name == CURSOR) else { return Ok(None) };
    let opened = cursors.open(judge.caller(), path, &cursor.value, clock::now());
    opened.map(Some).map_err(|_| stale_cursor())
}

pub(crate) fn stale_cursor() -> Problem {
    Problem::BadBody {
        status: 410,
        rule: "cursor-stale",
        sentence: "This paging link is not valid any more: repeat the search.".to_owned(),
    }
}

/// The links of an answer to what was asked at `path`, on the public base; a cursor is of use there only.
pub(crate) fn links(gate: &Gate, cursors: Cursors, judge: &Judge, path: String, shown: String) -> Links {
    let caller = judge.caller().clone();
    let base = gate.shared.bases.public.join(&path);
    Box::new(move |position| match position {
        None if shown.is_empty() => Ok(base.clone()),
        None => Ok(format!("{base}?{shown}")),
        Some(position) => {
            let nonce = random::nonce().map_err(|_| Problem::Overloaded("no-randomness"))?;
            let sealed = cursors.seal(&caller, &path, position, &shown, clock::now(), nonce);
            let sealed = sealed.map_err(|_| Problem::Unfilterable("cursor-not-sealed"))?;
            Ok(format!("{base}?{CURSOR}={sealed}"))
        }
    })
}

/// What counts of a client's query whose answer is of one patient, so that all of it is read for each of its pages.
pub(crate) struct Wanted {
    /// The query for the upstream, without what pages.
    pub(crate) query: SearchQuery,
    /// The query that the self link shows.
    pub(crate) shown: String,
    /// Unknown parameters that are not forwarded.
    pub(crate) dropped: Vec<String>,
    /// The page size.
    pub(crate) count: u32,
    /// Visible entries that earlier pages held.
    pub(crate) skip: u64,
}

impl Wanted {
    /// What the paging link that this query is goes on with; `None` where it is none.
    pub(crate) fn onward(
        cursors: &Cursors,
        judge: &Judge,
        path: &str,
        query: &SearchQuery,
    ) -> Result<Option<Self>, Problem> {
        match opened(cursors, judge, path, query)? {
            None => Ok(None),
            Some((Position::AfterMatches { query, skip, count }, shown)) => {
                let query = SearchQuery::parse(&query, &[]).map_err(Problem::Uninterpretable)?;
                Ok(Some(Self { query, shown, dropped: Vec::new(), count, skip }))
            }
            Some((Position::UpstreamPage { .. }, _)) => Err(stale_cursor()),
        }
    }

    /// The page, where the upstream's first one is at `target`.
    pub(crate) fn page(&self, gate: &Gate, target: String) -> PagePlan {
        let (query, bounds) = (self.query.to_query(), gate.shared.bounds());
        PagePlan { target, query, count: self.count, to_the_end: true, skip: self.skip, bounds }
    }
}
