//! History of a resource, of a type and of the server: how a request becomes a plan, and a plan the first window of an
//! answer (docs/adr/0046).

use std::collections::BTreeSet;

use gateway_core::decide::Permit;
use gateway_core::interaction::{Handling, SearchQuery};

use crate::cursor::{Cursors, Position};
use crate::filter::{Further, HistoryAnswer, HistoryPlan, Judge, Of, PagePlan, Pages, Reaches, Window};
use crate::gate::Gate;
use crate::links::{goes_on, links, opened, stale_cursor};
use crate::outcome::Outcome;
use crate::problem::Problem;
use crate::search::{LARGEST_PAGE, PAGE, UPSTREAM_PAGE, begin, first_target};

/// Entries of one page of the upstream, at least: where a page of ours ends in the middle of it, the next one reads it
/// again.
const SMALLEST_PAGE: u32 = 20;

/// A history as the client asked for it.
pub struct Asked<'a> {
    /// Whose.
    pub of: Of,
    /// The parameters.
    pub query: &'a SearchQuery,
    /// `Prefer: handling`.
    pub handling: Handling,
    /// Makes and opens paging links, under the rules of this request.
    pub cursors: Cursors,
    /// Which types the organisation lets this request reach.
    pub reaches: Reaches,
    /// The trace to pass on.
    pub traceparent: Option<String>,
}

/// Answers with the first window and the maker of further ones.
pub async fn history(gate: &Gate, judge: Judge, permit: Permit, asked: Asked<'_>) -> Result<Outcome, Problem> {
    if let Of::Instance(rtype, id) = &asked.of
        && let Some(absent) = hidden(gate, &judge, &asked.of, format!("{rtype}/{id}")).await?
    {
        return Ok(absent);
    }
    let (plan, shown) = plan(gate, &judge, &asked)?;
    let mut pages = Pages::new(gate.upstream.clone(), gate.shared.limits.entry, asked.traceparent);
    match pages.open(&permit, plan.page.target.clone()).await? {
        200 => {}
        404 | 410 if goes_on(asked.query) => return Err(stale_cursor()),
        400 | 422 => {
            return Err(Problem::BadBody {
                status: 400,
                rule: "history-not-accepted",
                sentence: "The FHIR server does not accept a parameter or a value of this history.".to_owned(),
            });
        }
        status => return Err(Problem::UpstreamRefused { status }),
    }
    let links = links(gate, asked.cursors, &judge, plan.of.path(), shown);
    begin(Further::History(Box::new(HistoryAnswer::new(judge, permit, pages, plan, links)))).await
}

/// What a history of a resource answers that never was or that the caller may not see: both alike.
async fn hidden(gate: &Gate, judge: &Judge, of: &Of, name: String) -> Result<Option<Outcome>, Problem> {
    let lineages = judge.lineages(&BTreeSet::from([name.clone()]), gate.shared.limits.entry).await?;
    let Some(lineage) = lineages.get(&name) else { return Err(Problem::Absent) };
    let rulings = judge.decide_all(&[(&lineage.newest, of.action())]).await?;
    let Some(ruling) = rulings.iter().find(|ruling| !ruling.permits()) else { return Ok(None) };
    Ok(Some(Outcome::Refused { problem: Problem::Absent, denied: Some(Window::denied([ruling])) }))
}

/// The plan, and the query that the self link shows.
fn plan(gate: &Gate, judge: &Judge, asked: &Asked<'_>) -> Result<(HistoryPlan, String), Problem> {
    let to_the_end = matches!(asked.of, Of::Instance(..));
    let plan = |target: String, query: String, count: u32, skip: u64, after: Option<String>| HistoryPlan {
        of: asked.of.clone(),
        page: PagePlan { target, query, count, to_the_end, skip, bounds: gate.shared.bounds() },
        after,
        largest: gate.shared.limits.entry,
        reaches: asked.reaches.clone(),
    };
    let target = |query: &str, count: u32| {
        first_target(asked.of.path(), query, if to_the_end { UPSTREAM_PAGE } else { count.max(SMALLEST_PAGE) })
    };
    if let Some((position, shown)) = opened(&asked.cursors, judge, &asked.of.path(), asked.query)? {
        return Ok(match position {
            Position::UpstreamPage { target, skip, after, count } => {
                (plan(target, String::new(), count, skip, after), shown)
            }
            Position::AfterMatches { query, skip, count } => {
                (plan(target(&query, count), query, count, skip, None), shown)
            }
        });
    }
    let checked = asked.query.check_history(asked.handling).map_err(Problem::Uninterpretable)?;
    let count = checked.count().unwrap_or(PAGE).min(LARGEST_PAGE);
    if count == 0 && !to_the_end {
        return Err(Problem::Refused {
            rule: "total-of-many-patients",
            sentence: "A total is given for the history of one resource only: name the resource.".to_owned(),
        });
    }
    let query = checked.narrowing().to_query();
    Ok((plan(target(&query, count), query, count, 0, None), checked.shown().to_query()))
}
