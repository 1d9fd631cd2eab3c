//! A patient's compartment: `Patient/[id]/[type]` and `Patient/[id]/*`, in the normal form of searches by type
//! (docs/adr/0047).
//!
//! R4's CompartmentDefinition gives a type several parameters by which it belongs to a patient. Each is a search of its own;
//! what one of them found, the next does not show again.

use std::collections::{BTreeSet, VecDeque};

use gateway_core::decide::Permit;
use gateway_core::interaction::{CheckedSearch, Handling, KnownParams, Param, Refusal, SearchQuery};
use gateway_core::owner::{PatientId, owner_params, patient_compartment};
use gateway_core::resource_type::ResourceType;
use gateway_core::scope::{Letter, ScopeGrant};
use gateway_core::trim::Trim;

use crate::cursor::Cursors;
use crate::filter::{Further, Judge, Looks, Pages, Part, Parts, Reaches, SearchAnswer, SearchPlan};
use crate::gate::Gate;
use crate::links::{Wanted, links};
use crate::outcome::Outcome;
use crate::problem::Problem;
use crate::search::{LARGEST_PAGE, PAGE, UPSTREAM_PAGE, begin, first_target, refuse_redacted, upstream_page};

/// A search of a compartment as the client asked for it.
pub struct Asked<'a> {
    /// Whose.
    pub patient: PatientId,
    /// The type; `None` is `*`.
    pub rtype: Option<ResourceType>,
    /// URL and form parameters.
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

/// Searches, and answers with the first window and the maker of further ones. The compartment of a patient who is hidden
/// is as empty as that of one who is not there.
pub async fn compartment(gate: &Gate, judge: Judge, permit: Permit, asked: Asked<'_>) -> Result<Outcome, Problem> {
    let known = gate.shared.capabilities.known()?;
    let path = format!("{}/{}", asked.patient.reference(), asked.rtype.map_or("*", |rtype| rtype.as_str()));
    let wanted = wanted(&judge, &asked, &path, &known.params)?;
    let mut searches = searches(&judge, &asked, &wanted, &known.params);
    let Some(Part { rtype, target, looks }) = searches.pop_front() else {
        return Err(Problem::Uninterpretable(Refusal::NotServed("search-compartment")));
    };
    let shown = SearchQuery::parse(&wanted.shown, &[]).map_err(Problem::Uninterpretable)?;
    let plan = SearchPlan {
        rtype,
        page: wanted.page(gate, target),
        joined: false,
        reaches: asked.reaches.clone(),
        looks,
        trim: Trim::of(&shown).map_err(Problem::Uninterpretable)?,
        dropped: wanted.dropped,
        parts: Parts::Then(searches),
    };
    let links = links(gate, asked.cursors, &judge, path, wanted.shown);
    let mut pages = Pages::new(gate.upstream.clone(), gate.shared.limits.entry, asked.traceparent);
    let name = BTreeSet::from([asked.patient.reference()]);
    if let Err(hidden) = judge.may_refer(&name, permit.grant()).await? {
        // Nothing is asked of the upstream, so nothing is found.
        let plan = SearchPlan { parts: Parts::One, ..plan };
        let mut answer = begin(Further::Search(Box::new(SearchAnswer::new(judge, permit, pages, plan, links)))).await?;
        if let Outcome::Whole { window, .. } = &mut answer {
            window.deny_by(&hidden);
        }
        return Ok(answer);
    }
    match pages.open(&permit, plan.page.target.clone()).await? {
        200 => {}
        400 | 422 => {
            return Err(Problem::BadBody {
                status: 400,
                rule: "search-not-accepted",
                sentence: "The FHIR server does not accept a parameter or a value of this search.".to_owned(),
            });
        }
        status => return Err(Problem::UpstreamRefused { status }),
    }
    begin(Further::Search(Box::new(SearchAnswer::new(judge, permit, pages, plan, links)))).await
}

fn wanted(judge: &Judge, asked: &Asked<'_>, path: &str, known: &KnownParams) -> Result<Wanted, Problem> {
    if let Some(wanted) = Wanted::onward(&asked.cursors, judge, path, asked.query)? {
        return Ok(wanted);
    }
    let checked = match asked.rtype {
        Some(rtype) if patient_compartment(rtype).is_empty() && rtype != ResourceType::PATIENT => {
            return Err(Problem::BadBody {
                status: 404,
                rule: "not-in-compartment",
                sentence: format!("{rtype} is not in the compartment of a Patient: search it by type."),
            });
        }
        Some(rtype) => {
            let checked = asked.query.check(rtype, known, asked.handling).map_err(Problem::Uninterpretable)?;
            refuse_redacted(judge, &checked)?;
            checked
        }
        None => of_all_types(asked.query, asked.handling)?,
    };
    let paging = |param: &&Param| !matches!(param.name.as_str(), "_count" | "_total");
    let count = match Trim::of(checked.shown()).map_err(Problem::Uninterpretable)? {
        Trim::Count => 0,
        Trim::Whole | Trim::Elements(_) | Trim::Summary | Trim::Text | Trim::Data => {
            checked.count().unwrap_or(PAGE).min(LARGEST_PAGE)
        }
    };
    Ok(Wanted {
        query: SearchQuery::from_params(checked.forwarded().params().iter().filter(paging).cloned().collect()),
        shown: checked.shown().to_query(),
        dropped: checked.dropped().to_vec(),
        count,
        skip: 0,
    })
}

/// Of all types at once only what every type has can be asked.
fn of_all_types(query: &SearchQuery, handling: Handling) -> Result<CheckedSearch, Problem> {
    for param in query.params() {
        for refused in ["_include", "_revinclude", "_sort"] {
            if param.name == refused {
                return Err(Problem::Uninterpretable(Refusal::ParameterRefused(refused)));
            }
        }
    }
    // `_id` and `_lastUpdated` are every type's; nothing else is known of all.
    query.check(ResourceType::PATIENT, &KnownParams::new(), handling).map_err(Problem::Uninterpretable)
}

/// The searches that the compartment is made of.
fn searches(judge: &Judge, asked: &Asked<'_>, wanted: &Wanted, known: &KnownParams) -> VecDeque<Part> {
    let types: Vec<ResourceType> = match asked.rtype {
        Some(rtype) => vec![rtype],
        None => {
            let scoped = |rtype: &ResourceType| {
                judge.caller().scopes.reaches(Letter::Search, rtype) != ScopeGrant::None
                    && asked.reaches.reaches(rtype.as_str())
            };
            let all = ResourceType::ALL.iter().filter_map(|name| ResourceType::parse(name).ok());
            all.filter(scoped).collect()
        }
    };
    let mut searches = VecDeque::new();
    for rtype in types {
        for param in parameters(rtype, &asked.patient) {
            if known.contains(rtype, &param.name) {
                searches.push_back(search(judge, rtype, param, wanted, known));
            }
        }
    }
    searches
}

/// The parameters by which a type belongs to a patient, those that say whose it is first. The patient is in his own
/// compartment.
fn parameters(rtype: ResourceType, patient: &PatientId) -> Vec<Param> {
    let param = |name: &str, value: String| Param { name: name.to_owned(), modifier: None, value };
    let names = patient_compartment(rtype);
    let owner = owner_params(rtype);
    let (first, then): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| owner.contains(name));
    let itself = (rtype == ResourceType::PATIENT).then(|| param("_id", patient.as_str().to_owned()));
    let named = first.into_iter().chain(then).map(|name| param(name, patient.reference()));
    itself.into_iter().chain(named).collect()
}

fn search(judge: &Judge, rtype: ResourceType, param: Param, wanted: &Wanted, known: &KnownParams) -> Part {
    let mut params = vec![param];
    params.extend(wanted.query.params().iter().cloned());
    let query = SearchQuery::from_params(params);
    let looks = Looks::of(&query, rtype, known, judge.bases());
    let query = query.to_query();
    let page = upstream_page(&query, wanted.count, UPSTREAM_PAGE);
    Part { rtype, target: first_target(rtype, &query, page), looks }
}
