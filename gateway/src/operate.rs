//! Operations: each by its row of the table in [`gateway_core::operations`], which says what it reaches and so how its
//! output is filtered (docs/adr/0047).

mod everything;
mod meta;
mod parameters;
mod terminology;

use std::sync::Arc;

use bytes::Bytes;
use gateway_core::decide::Permit;
use gateway_core::interaction::{Handling, OperationLevel, Refusal, SearchQuery};
use gateway_core::operations::{Operation, Reach};

use crate::cursor::Cursors;
use crate::filter::{Judge, Reaches, Window};
use crate::gate::Gate;
use crate::glass::{Asking, claim};
use crate::outcome::Outcome;
use crate::problem::Problem;
use crate::record::{Access, Asked as Request};
use crate::rules::Rules;
use crate::write::{Names, Writer};

/// An operation as the client invoked it.
pub struct Invoked {
    /// Its row.
    pub row: &'static Operation,
    /// On what.
    pub level: OperationLevel,
    /// The parameters in the URL.
    pub query: SearchQuery,
    /// The body, which is JSON; empty where there is none.
    pub body: Bytes,
    /// `Prefer: handling`.
    pub handling: Handling,
    /// Makes and opens paging links, under the rules of this request.
    pub cursors: Cursors,
    /// Which types the organisation lets this request reach.
    pub reaches: Reaches,
    /// The rules of this request.
    pub rules: Arc<Rules>,
    /// The trace to pass on.
    pub traceparent: Option<String>,
}

/// Carries it out.
pub async fn operate(
    gate: &Gate,
    judge: Judge,
    permit: Permit,
    (access, asked): (&Access, &Request),
    invoked: Invoked,
) -> Result<Outcome, Problem> {
    match invoked.row.reach {
        Reach::Grant => {
            let asking = Asking { level: &invoked.level, query: &invoked.query, body: &invoked.body };
            let claimed = claim(&gate.shared.glass, &invoked.rules, &permit, (access, asked), asking).await;
            claimed.inspect_err(|_| gate.shared.metrics.glass_claim(false))
        }
        Reach::Record => everything::everything(gate, judge, permit, invoked).await,
        Reach::Terminology => terminology::terminology(gate, &judge, &permit, invoked).await,
        Reach::Meta => meta::meta(gate, &judge, &permit, invoked).await,
        Reach::Validation => {
            let traceparent = invoked.traceparent.clone();
            let rules = &invoked.rules;
            let names = &Names::default();
            let (returns, in_bundle, judge) = (None, false, &judge);
            let writer = Writer { gate, rules, judge, access, asked, returns, traceparent, in_bundle, names };
            writer.validate(&permit, &invoked).await
        }
    }
}

/// The answer where the resource of this name (`Type/id`) is not there or hidden: both alike.
pub(crate) async fn unless_readable(judge: &Judge, name: &str) -> Result<Option<Outcome>, Problem> {
    let Err(hidden) = judge.may_read(name).await? else { return Ok(None) };
    let denied = hidden.map(|ruling| Window::denied([&ruling]));
    Ok(Some(Outcome::Refused { problem: Problem::Absent, denied }))
}

/// What an operation says that the FHIR server does not take.
pub(crate) fn not_accepted() -> Problem {
    Problem::BadBody {
        status: 400,
        rule: "operation-not-accepted",
        sentence: "The FHIR server does not accept this operation or a parameter of it.".to_owned(),
    }
}

/// A body that the operation does not take.
pub(crate) fn bad_body(sentence: &str) -> Problem {
    Problem::BadBody { status: 400, rule: "operation-body", sentence: sentence.to_owned() }
}

/// The parameters of an operation that passes on those of this list only, each as often as it stands; what would trim
/// the answer is refused by name, others are dropped, or refused where handling is strict.
pub(crate) fn only(
    known: &[&str],
    query: &SearchQuery,
    more: Vec<gateway_core::interaction::Param>,
    handling: Handling,
) -> Result<(SearchQuery, Vec<String>), Problem> {
    let (mut passed, mut dropped) = (Vec::new(), Vec::new());
    for param in query.params().iter().cloned().chain(more) {
        let refused = REFUSED.iter().find(|refused| **refused == param.name);
        match (param.name.as_str(), param.value.as_str()) {
            ("_format" | "_pretty", _) | ("_summary", "false") => {}
            (name, _) if known.contains(&name) && param.modifier.is_none() => passed.push(param),
            _ => match refused {
                Some(refused) => return Err(Problem::Uninterpretable(Refusal::ParameterRefused(refused))),
                None if handling == Handling::Strict => {
                    return Err(Problem::Uninterpretable(Refusal::ParameterUnknown));
                }
                None => dropped.push(param.key()),
            },
        }
    }
    Ok((SearchQuery::from_params(passed), dropped))
}

/// Parameters that reach or trim what cannot be filtered.
const REFUSED: &[&str] = &["_content", "_elements", "_filter", "_list", "_summary", "_text"];

pub(crate) use parameters::body;
