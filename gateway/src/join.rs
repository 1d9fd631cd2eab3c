//! Join: chained parameters and `_has`, searched by in steps (CONSENT.md, leak table, "chained parameters").
//!
//! Each step is a search of the same caller, as if he had made it himself: what he may not see, or may not search by, is
//! not found, so that a hidden resource joins as one that is absent. What a step finds goes into the next search by id.

use std::collections::BTreeSet;

use gateway_core::decide::{Action, decide_interaction};
use gateway_core::include::referred_by;
use gateway_core::interaction::{Chain, Handling, KnownParams, Param, SearchQuery};
use gateway_core::json::Doc;
use gateway_core::resource_type::ResourceType;

use crate::filter::{Judge, PagePlan, SearchPlan};
use crate::gate::Gate;
use crate::problem::Problem;
use crate::search::{Asked, UPSTREAM_PAGE, answer, first_target, plan, upstream_page};

/// Ids in one query of the upstream; keeps its URL under 8 KiB.
const BATCH: usize = 50;

/// What a step found.
struct Found {
    rtype: ResourceType,
    id: String,
    /// What may leave of it.
    bytes: Vec<u8>,
}

/// The searches of the upstream that a search with chains comes down to, none where nothing can match; `None` for one
/// without chains.
pub(crate) async fn targets(
    gate: &Gate,
    judge: &Judge,
    asked: &Asked<'_>,
    searched: &SearchPlan,
    known: &KnownParams,
) -> Result<Option<Vec<String>>, Problem> {
    let query = SearchQuery::parse(&searched.page.query, &[]).map_err(Problem::Uninterpretable)?;
    let (chained, plain): (Vec<Param>, Vec<Param>) = query.params().iter().cloned().partition(Chain::is_one);
    if chained.is_empty() {
        return Ok(None);
    }
    let mut lists: Vec<(String, BTreeSet<String>)> = Vec::new();
    let mut ids: Option<BTreeSet<String>> = None;
    for param in &chained {
        let steps = gate.shared.limits.chain_steps;
        match Chain::parse(searched.rtype, param, known, steps).map_err(Problem::Uninterpretable)? {
            Chain::Forward { reference, of, inner } => {
                let found = forward(gate, judge, asked, &of, &inner).await?;
                lists.push((reference, found.into_iter().map(|one| format!("{}/{}", one.rtype, one.id)).collect()));
            }
            Chain::Reverse { source, reference, inner } => {
                let found = step(gate, judge, asked, source, &inner).await?;
                let mut referred = BTreeSet::new();
                for one in found {
                    let doc = Doc::parse(&one.bytes).map_err(|_| Problem::Unfilterable("join-unreadable"))?;
                    referred.extend(referred_by(doc.root(), &reference, searched.rtype, judge.bases()));
                }
                ids = Some(match ids {
                    None => referred,
                    Some(before) => before.intersection(&referred).cloned().collect(),
                });
            }
        }
    }
    lists.extend(ids.map(|ids| ("_id".to_owned(), ids)));
    batches(searched, &plain, lists).map(Some)
}

/// What refers to these is looked for: what the inner parameter finds on each of the types that the caller may search.
async fn forward(
    gate: &Gate,
    judge: &Judge,
    asked: &Asked<'_>,
    of: &[ResourceType],
    inner: &Param,
) -> Result<Vec<Found>, Problem> {
    let mut found = Vec::new();
    let mut refused = None;
    let mut searched = false;
    for rtype in of {
        match Box::pin(step(gate, judge, asked, *rtype, inner)).await {
            Ok(more) => {
                searched = true;
                found.extend(more);
            }
            // Scope and policy, which are the same whatever is stored.
            Err(refusal @ Problem::Refused { .. }) => refused = Some(refusal),
            Err(problem) => return Err(problem),
        }
        if found.len() > gate.shared.limits.chain_results {
            return Err(Problem::TooCostly);
        }
    }
    match refused {
        Some(refusal) if !searched => Err(refusal),
        Some(_) | None => Ok(found),
    }
}

/// One step: the search of that type by that parameter, read to its end.
async fn step(
    gate: &Gate,
    judge: &Judge,
    asked: &Asked<'_>,
    rtype: ResourceType,
    inner: &Param,
) -> Result<Vec<Found>, Problem> {
    let allowed = asked.rules.organisation(judge.caller(), "search-type", Some(rtype.as_str()));
    allowed.map_err(|_| refused(rtype))?;
    let permit = decide_interaction(judge.caller(), Action::Search, rtype).map_err(|_| refused(rtype))?;
    let query = SearchQuery::from_params(vec![inner.clone()]);
    let asked = Asked {
        rtype,
        query: &query,
        handling: Handling::Strict,
        cursors: asked.cursors.clone(),
        rules: asked.rules,
        reaches: asked.reaches.clone(),
        traceparent: asked.traceparent.clone(),
        fresh: asked.fresh,
    };
    let known = gate.shared.capabilities.known()?;
    let (planned, shown) = plan(gate, judge, &permit, &asked, &known.params)?;
    let most = gate.shared.limits.chain_results;
    let target = first_target(rtype, &planned.page.query, UPSTREAM_PAGE);
    // One more than may be joined tells that they are too many: of what is visible, so that nothing hidden is told.
    let count = u32::try_from(most).unwrap_or(u32::MAX).saturating_add(1);
    let page = PagePlan { target, count, to_the_end: true, ..planned.page };
    let planned = SearchPlan { page, ..planned };
    let links = Box::new(|_| Ok(String::new()));
    let answered = Box::pin(answer(gate, judge.clone(), permit, &asked, (planned, &shown), links)).await;
    let mut answered = answered?;
    let mut bundle = Vec::new();
    loop {
        let window = answered.next_window().await?;
        bundle.extend_from_slice(&window.bytes);
        if bundle.len() > gate.shared.limits.batch_answer {
            return Err(Problem::TooCostly);
        }
        if window.is_last() {
            break;
        }
    }
    let found = matches(&bundle)?;
    if found.len() > most { Err(Problem::TooCostly) } else { Ok(found) }
}

fn refused(rtype: ResourceType) -> Problem {
    Problem::Refused {
        rule: "chain-not-permitted",
        sentence: format!("A chained parameter or _has of this search looks into {rtype}, which you may not search."),
    }
}

/// The matches of a searchset of ours.
fn matches(bundle: &[u8]) -> Result<Vec<Found>, Problem> {
    let unreadable = || Problem::Unfilterable("join-unreadable");
    let doc = Doc::parse(bundle).map_err(|_| unreadable())?;
    let entries = doc.root().get("entry").into_iter().flat_map(|list| list.items().collect::<Vec<_>>());
    let matched = entries.filter(|entry| {
        let mode = entry.get("search").and_then(|search| search.str_at("mode"));
        mode.as_deref() == Some("match")
    });
    let found = matched.map(|entry| {
        let resource = entry.get("resource")?;
        let rtype = ResourceType::parse(&resource.str_at("resourceType")?).ok()?;
        Some(Found { rtype, id: resource.str_at("id")?.into_owned(), bytes: resource.raw().to_vec() })
    });
    found.collect::<Option<_>>().ok_or_else(unreadable)
}

/// The searches by these lists: the longest goes in batches, the others have to fit one.
fn batches(
    searched: &SearchPlan,
    plain: &[Param],
    mut lists: Vec<(String, BTreeSet<String>)>,
) -> Result<Vec<String>, Problem> {
    if lists.iter().any(|(_, values)| values.is_empty()) {
        return Ok(Vec::new());
    }
    lists.sort_by_key(|(_, values)| values.len());
    let Some((name, longest)) = lists.pop() else { return Ok(Vec::new()) };
    let one = |name: &str, values: &[String]| Param { name: name.to_owned(), modifier: None, value: values.join(",") };
    let mut rest = plain.to_vec();
    for (name, values) in lists {
        if values.len() > BATCH {
            return Err(Problem::TooCostly);
        }
        rest.push(one(&name, &values.into_iter().collect::<Vec<_>>()));
    }
    let longest: Vec<String> = longest.into_iter().collect();
    // Each batch is in its own order.
    if longest.len() > BATCH && plain.iter().any(|param| param.name == "_sort") {
        return Err(Problem::TooCostly);
    }
    let targets = longest.chunks(BATCH).map(|chunk| {
        let params = rest.iter().cloned().chain([one(&name, chunk)]).collect();
        let query = SearchQuery::from_params(params).to_query();
        let page = upstream_page(&query, searched.page.count, UPSTREAM_PAGE);
        first_target(searched.rtype, &query, page)
    });
    Ok(targets.collect())
}
