//! Terminology reads: `$expand`, `$lookup`, `$validate-code`, `$translate`, `$subsumes`.
//!
//! They reach definitional resources only, which are nobody's. That this is so is checked on what goes in and what comes out:
//! a body or an answer that holds or names anything that may be a patient's is not passed on.

use bytes::Bytes;
use gateway_core::decide::Permit;
use gateway_core::interaction::{OperationLevel, Param, Refusal, SearchQuery};
use gateway_core::json::{Doc, Edits, Value};
use gateway_core::owner::is_universal;
use gateway_core::reference::{BaseUrl, Bases, Target, literal_references};
use gateway_core::resource_type::ResourceType;
use gateway_core::rewrite::rebase;
use gateway_core::scope::{Letter, ScopeGrant};

use super::{Invoked, REFUSED, bad_body, not_accepted, unless_readable};
use crate::filter::{Judge, Window};
use crate::forward::{Method, UpstreamRequest};
use crate::gate::Gate;
use crate::outcome::{Answer, Outcome};
use crate::problem::Problem;

pub(super) async fn terminology(
    gate: &Gate,
    judge: &Judge,
    permit: &Permit,
    invoked: Invoked,
) -> Result<Outcome, Problem> {
    let letter = invoked.row.letter(&invoked.level).unwrap_or(Letter::Read);
    let path = match &invoked.level {
        OperationLevel::Instance(rtype, id) => {
            if let Some(absent) = unless_readable(judge, &format!("{rtype}/{id}")).await? {
                return Ok(absent);
            }
            format!("{rtype}/{id}/{}", invoked.row.name)
        }
        // By its canonical url any of that type may be meant.
        OperationLevel::Type(rtype) if judge.caller().scopes.allows(letter, rtype) == ScopeGrant::None => {
            return Err(Problem::Refused {
                rule: "scope-filter",
                sentence: format!("The token's scopes reach some resources of {rtype} only: name one."),
            });
        }
        OperationLevel::Type(rtype) => format!("{rtype}/{}", invoked.row.name),
        OperationLevel::System | OperationLevel::Version(..) => return Err(Problem::Absent),
    };
    let query = passed(&invoked.query)?.to_query();
    let target = if query.is_empty() { path } else { format!("{path}?{query}") };
    let bases = judge.bases();
    let request = UpstreamRequest { traceparent: invoked.traceparent, ..UpstreamRequest::get(target) };
    let request = match invoked.body.is_empty() {
        true => request,
        false => UpstreamRequest { method: Method::Post, body: Some(asked_with(&invoked.body, bases)?), ..request },
    };
    let answer = gate.upstream.forward(permit, request).await?;
    match answer.status {
        200 => {}
        404 | 410 => return Err(Problem::Absent),
        400 | 412 | 422 | 501 => return Err(not_accepted()),
        status => return Err(Problem::UpstreamRefused { status }),
    }
    let bytes = answer.into_json_bytes(gate.shared.limits.entry).await?;
    let doc = Doc::parse(&bytes).map_err(|_| Problem::Unfilterable("upstream-malformed-resource"))?;
    let kind = doc.root().str_at("resourceType");
    if !matches!(kind.as_deref(), Some("Parameters" | "ValueSet")) || !is_nobodys(doc.root(), bases) {
        return Err(Problem::Unfilterable("operation-output"));
    }
    let mut window = Box::new(Window::only());
    window.bytes = rebased(doc.root(), &bytes, &bases.upstream, &bases.public)
        .ok_or(Problem::Unfilterable("upstream-malformed-resource"))?;
    Ok(Outcome::Whole { answer: Answer::status(200), window })
}

/// Every parameter but those that trim the answer.
fn passed(query: &SearchQuery) -> Result<SearchQuery, Problem> {
    let mut passed: Vec<Param> = Vec::new();
    for param in query.params() {
        match (param.name.as_str(), param.value.as_str()) {
            ("_format" | "_pretty", _) | ("_summary", "false") => {}
            (name, _) => match REFUSED.iter().find(|refused| **refused == name) {
                Some(refused) => return Err(Problem::Uninterpretable(Refusal::ParameterRefused(refused))),
                None => passed.push(param.clone()),
            },
        }
    }
    Ok(SearchQuery::from_params(passed))
}

/// The body, on the upstream's base.
fn asked_with(body: &[u8], bases: &Bases) -> Result<Bytes, Problem> {
    let doc = Doc::parse(body).map_err(|_| bad_body("The body is not acceptable JSON."))?;
    if doc.root().str_at("resourceType").as_deref() != Some("Parameters") {
        return Err(bad_body("The body is no Parameters resource."));
    }
    if !is_nobodys(doc.root(), bases) {
        return Err(bad_body("The body holds or names a resource that is no definitional or terminology resource."));
    }
    let bytes = rebased(doc.root(), body, &bases.public, &bases.upstream);
    bytes.map(Bytes::from).ok_or_else(|| bad_body("The body cannot be carried over."))
}

fn rebased(root: Value<'_>, source: &[u8], from: &BaseUrl, to: &BaseUrl) -> Option<Vec<u8>> {
    let mut edits = Edits::new();
    rebase(root, from, to, &mut edits);
    edits.apply(source).ok()
}

/// Whether everything that stands in it or that it refers to is nobody's by its type.
fn is_nobodys(root: Value<'_>, bases: &Bases) -> bool {
    let refers = |reference: &String| match Target::parse(reference, bases) {
        Target::Local { rtype, .. } => is_universal(rtype),
        Target::Fragment(_) => true,
        Target::Foreign(_) | Target::Malformed => false,
    };
    root.children().all(holds_nobodys) && literal_references(root).iter().all(refers)
}

fn holds_nobodys(value: Value<'_>) -> bool {
    let own = match value.get("resourceType") {
        None => true,
        Some(name) => {
            let rtype = name.as_str().and_then(|name| ResourceType::parse(&name).ok());
            rtype.is_some_and(|rtype| is_universal(rtype) || rtype.as_str() == "Parameters")
        }
    };
    own && value.children().all(holds_nobodys)
}

#[cfg(test)]
mod tests;
