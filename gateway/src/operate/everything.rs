//! `Patient/[id]/$everything`: a searchset of one patient's record, each entry decided on its own.

use gateway_core::consent::dates::Moment;
use gateway_core::decide::Permit;
use gateway_core::interaction::{KnownParams, OperationLevel, Param, Refusal, SearchQuery};
use gateway_core::owner::PatientId;
use gateway_core::resource_type::ResourceType;
use gateway_core::trim::Trim;

use super::{Invoked, body, not_accepted, only, unless_readable};
use crate::filter::{Around, Further, Judge, Looks, Pages, Parts, SearchAnswer, SearchPlan};
use crate::gate::Gate;
use crate::links::{Wanted, links};
use crate::outcome::Outcome;
use crate::problem::Problem;
use crate::search::{UPSTREAM_PAGE, begin, first_target};

/// What it takes (FHIR R4, Patient, "Fetch Patient Record").
const TAKES: &[&str] = &["start", "end", "_since", "_type", "_count"];

pub(super) async fn everything(
    gate: &Gate,
    judge: Judge,
    permit: Permit,
    invoked: Invoked,
) -> Result<Outcome, Problem> {
    let OperationLevel::Instance(_, id) = &invoked.level else { return Err(Problem::Absent) };
    let patient = PatientId::parse(id).map_err(|_| Problem::Absent)?;
    if let Some(absent) = unless_readable(&judge, &patient.reference()).await? {
        return Ok(absent);
    }
    let path = format!("{}/{}", patient.reference(), invoked.row.name);
    let wanted = wanted(&judge, &invoked, &path)?;
    let target = first_target(&path, &wanted.query.to_query(), UPSTREAM_PAGE);
    let dates = |param: &&Param| matches!(param.name.as_str(), "start" | "end");
    let dates = SearchQuery::from_params(wanted.query.params().iter().filter(dates).cloned().collect());
    let looks = Looks::of(&dates, ResourceType::PATIENT, &KnownParams::new(), judge.bases());
    let plan = SearchPlan {
        rtype: ResourceType::PATIENT,
        page: wanted.page(gate, target),
        joined: false,
        looks,
        reaches: invoked.reaches.clone(),
        trim: Trim::default(),
        dropped: wanted.dropped,
        parts: Parts::Around(Around { patient, reaches: invoked.reaches.clone() }),
    };
    let mut pages = Pages::new(gate.upstream.clone(), gate.shared.limits.entry, invoked.traceparent);
    match pages.open(&permit, plan.page.target.clone()).await? {
        200 => {}
        400 | 422 => return Err(not_accepted()),
        404 | 410 => return Err(Problem::Absent),
        status => return Err(Problem::UpstreamRefused { status }),
    }
    let links = links(gate, invoked.cursors, &judge, path, wanted.shown);
    begin(Further::Search(Box::new(SearchAnswer::new(judge, permit, pages, plan, links)))).await
}

fn wanted(judge: &Judge, invoked: &Invoked, path: &str) -> Result<Wanted, Problem> {
    if let Some(wanted) = Wanted::onward(&invoked.cursors, judge, path, &invoked.query)? {
        return Ok(wanted);
    }
    let more = body(&invoked.body, None)?.params;
    let (taken, dropped) = only(TAKES, &invoked.query, more, invoked.handling)?;
    let mut params = Vec::new();
    let mut count = None;
    for param in taken.params() {
        let value = param.value.as_str();
        match param.name.as_str() {
            "_count" => {
                let digits = value.bytes().all(|b| b.is_ascii_digit());
                let stated = digits.then(|| value.parse().ok()).flatten();
                let stated: u32 = stated.ok_or(Problem::Uninterpretable(Refusal::ValueRefused("_count")))?;
                if count.replace(stated).is_some() {
                    return Err(Problem::Uninterpretable(Refusal::ValueRefused("_count")));
                }
            }
            "_type" if value.split(',').any(|name| ResourceType::parse(name).is_err()) => {
                return Err(Problem::Uninterpretable(Refusal::ValueRefused("_type")));
            }
            // Not every server says of what is no date that it is none, and then gives more than was asked for.
            "start" | "end" | "_since" if Moment::parse(value).is_err() => {
                let name = TAKES.iter().find(|name| **name == param.name).copied().unwrap_or_default();
                return Err(Problem::Uninterpretable(Refusal::ValueRefused(name)));
            }
            _ => params.push(param.clone()),
        }
    }
    // Without a page size the record is given whole.
    let count = count.unwrap_or(u32::MAX);
    Ok(Wanted { query: SearchQuery::from_params(params), shown: taken.to_query(), dropped, count, skip: 0 })
}
