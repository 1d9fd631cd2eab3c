//! Search by type: how a checked search becomes a plan, and a plan the first window of an answer.

use std::fmt::Display;

use gateway_core::decide::{Permit, redacts};
use gateway_core::interaction::{CheckedSearch, Handling, KnownParams, Param, Refusal, SearchQuery};
use gateway_core::owner::{PatientId, owner_params};
use gateway_core::resource_type::ResourceType;
use gateway_core::scope::ScopeGrant;
use gateway_core::trim::Trim;

use crate::cursor::{Cursors, Position};
use crate::filter::{Further, Judge, Links, Looks, PagePlan, Pages, Parts, Reaches, SearchAnswer, SearchPlan};
use crate::gate::Gate;
use crate::join;
use crate::links::{goes_on, links, opened, stale_cursor};
use crate::outcome::{Answer, Outcome};
use crate::problem::Problem;
use crate::rules::Rules;

/// The page size where the client names none, and the largest.
pub(crate) const PAGE: u32 = 50;
pub(crate) const LARGEST_PAGE: u32 = 1_000;
/// The upstream's page size where a search is read to its end.
pub(crate) const UPSTREAM_PAGE: u32 = 250;

/// A search as the client asked for it.
pub struct Asked<'a> {
    /// The type.
    pub rtype: ResourceType,
    /// URL and form parameters.
    pub query: &'a SearchQuery,
    /// `Prefer: handling`.
    pub handling: Handling,
    /// Makes and opens paging links, under the rules of this request.
    pub cursors: Cursors,
    /// What the organisation allows, where a search takes others.
    pub rules: &'a Rules,
    /// The trace to pass on.
    pub traceparent: Option<String>,
    /// Which types the organisation lets it bring along.
    pub reaches: Reaches,
    /// Whether the FHIR server is not to answer from a cache of its own.
    pub fresh: bool,
}

/// Searches, and answers with the first window and the maker of further ones.
pub async fn search(gate: &Gate, judge: Judge, permit: Permit, asked: Asked<'_>) -> Result<Outcome, Problem> {
    let known = gate.shared.capabilities.known()?;
    let (plan, shown) = plan(gate, &judge, &permit, &asked, &known.params)?;
    let links = links(gate, asked.cursors.clone(), &judge, plan.rtype.to_string(), shown.clone());
    // On the heap: it holds the search within it of every step of a chain.
    let answer = Box::pin(answer(gate, judge, permit, &asked, (plan, &shown), links)).await?;
    begin(Further::Search(Box::new(answer))).await
}

/// The first window of an answer, and the maker of further ones where it does not end there.
pub(crate) async fn begin(mut rest: Further) -> Result<Outcome, Problem> {
    let first = Box::new(rest.next_window().await?);
    let answer = Answer::status(200);
    Ok(match first.is_last() {
        true => Outcome::Whole { answer, window: first },
        false => Outcome::Windows { answer, first, rest: Box::new(rest) },
    })
}

/// What the criteria of a conditional interaction find among what the caller sees: read to the end, with two matches
/// shown and all of them counted. Every parameter must be one that narrows, and known: one that is passed over would let
/// the criteria match more.
pub async fn by_criteria(gate: &Gate, judge: Judge, permit: Permit, asked: Asked<'_>) -> Result<SearchAnswer, Problem> {
    const RESULTS: [&str; 8] =
        ["_count", "_cursor", "_elements", "_include", "_revinclude", "_sort", "_summary", "_total"];
    let result = RESULTS.iter().find(|name| asked.query.params().iter().any(|param| param.name == **name));
    if let Some(name) = result {
        return Err(Problem::Uninterpretable(Refusal::ParameterRefused(name)));
    }
    let known = gate.shared.capabilities.known()?;
    let (mut plan, shown) = plan(gate, &judge, &permit, &asked, &known.params)?;
    if shown.is_empty() {
        return Err(Problem::Uninterpretable(Refusal::CriteriaMissing));
    }
    let target = first_target(plan.rtype, &plan.page.query, UPSTREAM_PAGE);
    plan.page = PagePlan { target, count: 2, to_the_end: true, ..plan.page };
    let links = links(gate, asked.cursors.clone(), &judge, plan.rtype.to_string(), shown.clone());
    answer(gate, judge, permit, &asked, (plan, &shown), links).await
}

fn not_accepted() -> Problem {
    Problem::BadBody {
        status: 400,
        rule: "search-not-accepted",
        sentence: "The FHIR server does not accept a parameter or a value of this search.".to_owned(),
    }
}

/// The answer to a planned search, its first page open. `shown` is the query that it is known by.
pub(crate) async fn answer(
    gate: &Gate,
    judge: Judge,
    permit: Permit,
    asked: &Asked<'_>,
    (mut plan, shown): (SearchPlan, &str),
    links: Links,
) -> Result<SearchAnswer, Problem> {
    let known = gate.shared.capabilities.known()?;
    let query = SearchQuery::parse(shown, &[]).map_err(Problem::Uninterpretable)?;
    plan.looks = Looks::of(&query, plan.rtype, &known.params, judge.bases());
    plan.trim = Trim::of(&query).map_err(Problem::Uninterpretable)?;
    let mut targets = match join::targets(gate, &judge, asked, &plan, &known.params).await? {
        None => vec![plan.page.target.clone()],
        Some(targets) => {
            plan.joined = true;
            targets
        }
    };
    let further = targets.split_off(targets.len().min(1));
    let entry = gate.shared.limits.entry;
    let mut pages = Pages::new(gate.upstream.clone(), entry, asked.traceparent.clone()).fresh(asked.fresh);
    // Where no resource can match, the FHIR server is not asked.
    if let Some(first) = targets.pop() {
        match pages.open(&permit, first.clone()).await? {
            200 => {}
            // An upstream forgets its paging state after a while.
            404 | 410 if goes_on(asked.query) => return Err(stale_cursor()),
            400 | 422 => return Err(not_accepted()),
            status => return Err(Problem::UpstreamRefused { status }),
        }
        plan.page.target = first;
    }
    Ok(SearchAnswer::new(judge, permit, pages.then(further), plan, links))
}

/// The plan, and the query that the self link shows.
pub(crate) fn plan(
    gate: &Gate,
    judge: &Judge,
    permit: &Permit,
    asked: &Asked<'_>,
    known: &KnownParams,
) -> Result<(SearchPlan, String), Problem> {
    let bounds = gate.shared.bounds();
    let plan = |target: String, query: String, count: u32, to_the_end: bool, skip: u64| SearchPlan {
        rtype: asked.rtype,
        page: PagePlan { target, query, count, to_the_end, skip, bounds },
        joined: false,
        looks: Looks::default(),
        trim: Trim::default(),
        dropped: Vec::new(),
        reaches: asked.reaches.clone(),
        parts: Parts::One,
    };
    if let Some((position, shown)) = opened(&asked.cursors, judge, asked.rtype.as_str(), asked.query)? {
        return Ok(match position {
            Position::UpstreamPage { target, skip, count, .. } => {
                (plan(target, String::new(), count, false, skip), shown)
            }
            Position::AfterMatches { query, skip, count } => (
                plan(
                    first_target(asked.rtype, &query, upstream_page(&query, count, UPSTREAM_PAGE)),
                    query,
                    count,
                    true,
                    skip,
                ),
                shown,
            ),
        });
    }
    let steps = gate.shared.limits.chain_steps;
    let checked = asked.query.check_joined(asked.rtype, known, asked.handling, steps);
    let checked = checked.map_err(Problem::Uninterpretable)?;
    refuse_redacted(judge, &checked)?;
    let (query, one_patient) = narrowed(gate, judge, permit, &checked, known)?;
    // What several searches make up is read to its end, whosever it is.
    let one_patient = one_patient || !checked.chains().is_empty();
    let count = match *checked.trim() == Trim::Count {
        true => 0,
        false => checked.count().unwrap_or(PAGE).min(LARGEST_PAGE),
    };
    if count == 0 && !one_patient {
        return Err(Problem::Refused {
            rule: "total-of-many-patients",
            sentence: "A total is given for searches of one patient only: name the patient.".to_owned(),
        });
    }
    let largest = if one_patient { UPSTREAM_PAGE } else { count.max(PAGE) };
    let target = first_target(asked.rtype, &query, upstream_page(&query, count, largest));
    let plan = SearchPlan { dropped: checked.dropped().to_vec(), ..plan(target, query, count, one_patient, 0) };
    Ok((plan, checked.shown().to_query()))
}

/// The upstream's page size. A server includes so many resources on a page and no more: with includes its pages are as
/// short as the client's, so that none is lost.
pub(crate) fn upstream_page(query: &str, count: u32, largest: u32) -> u32 {
    let includes = query.split('&').any(|param| param.starts_with("_include") || param.starts_with("_revinclude"));
    if includes { count.clamp(1, largest) } else { largest }
}

/// The upstream's first page of what is asked at `path`.
pub(crate) fn first_target(path: impl Display, query: &str, page: u32) -> String {
    let separator = if query.is_empty() { "" } else { "&" };
    format!("{path}?{query}{separator}_count={page}")
}

/// The query for the upstream, and whether it is of one patient: the one it names, or the launch patient where the
/// token's scopes reach no further. Narrowing only spares the upstream; each entry is decided anyway.
fn narrowed(
    gate: &Gate,
    judge: &Judge,
    permit: &Permit,
    checked: &CheckedSearch,
    known: &KnownParams,
) -> Result<(String, bool), Problem> {
    let paging = |param: &&Param| !matches!(param.name.as_str(), "_count" | "_total");
    let mut params: Vec<Param> = checked.forwarded().params().iter().filter(paging).cloned().collect();
    let named = checked.single_patient(&gate.shared.bases);
    let launch = match permit.grant() {
        ScopeGrant::PatientOnly => judge.caller().launch_patient.clone(),
        ScopeGrant::None | ScopeGrant::All => None,
    };
    let launched = launch.filter(|launch| named.as_ref() != Some(launch));
    let narrowing = launched.and_then(|launch| narrowing(checked.rtype(), &launch, known));
    let one_patient = named.is_some() || narrowing.is_some();
    params.extend(narrowing);
    // They go on in the paging links, for each page to search by again.
    params.extend(checked.chains().iter().cloned());
    Ok((SearchQuery::from_params(params).to_query(), one_patient))
}

/// The parameter that keeps a search of this type to one patient.
fn narrowing(rtype: ResourceType, patient: &PatientId, known: &KnownParams) -> Option<Param> {
    let name = owner_params(rtype).iter().find(|name| known.contains(rtype, name))?;
    let value = if *name == "_id" { patient.as_str().to_owned() } else { patient.reference() };
    Some(Param { name: (*name).to_owned(), modifier: None, value })
}

/// Who gets elements of a type redacted cannot search by them (ADR 0017).
pub(crate) fn refuse_redacted(judge: &Judge, checked: &CheckedSearch) -> Result<(), Problem> {
    if !redacts(judge.caller(), checked.rtype(), judge.policy()) {
        return Ok(());
    }
    let safe = |param: &Param| {
        let plain = param.modifier.is_none();
        match param.name.as_str() {
            "_id" | "_lastUpdated" | "_count" | "_total" | "_include" | "_revinclude" => true,
            "_sort" => param.value.split(',').all(|key| matches!(key.trim_start_matches('-'), "_id" | "_lastUpdated")),
            name => plain && owner_params(checked.rtype()).contains(&name),
        }
    };
    let by_owner = |param: &Param| {
        let reference = param.name.split('.').next().unwrap_or_default();
        param.name == "_has" || owner_params(checked.rtype()).contains(&reference)
    };
    match checked.forwarded().params().iter().all(safe) && checked.chains().iter().all(by_owner) {
        true => Ok(()),
        false => Err(Problem::Refused {
            rule: "search-by-redacted",
            sentence: format!(
                "Elements of {} are redacted for you, so you may search it by patient, _id and _lastUpdated only.",
                checked.rtype()
            ),
        }),
    }
}
