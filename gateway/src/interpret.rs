//! Interpret: which FHIR interaction a request is, and what its event will say of it.

use std::sync::Arc;

use bytes::Bytes;
use evidence::ids::Hash;
use gateway_core::caller::Caller;
use gateway_core::interaction::{Headers, Interaction, Refusal, Request};

use crate::accept::Incoming;
use crate::batch::is_transaction;
use crate::gate::Gate;
use crate::glass::Lent;
use crate::links::is_paging_link;
use crate::problem::Problem;
use crate::record::Asked;

/// Reads the body and tells the interaction. [`Asked`] is there in any case: a request that is not understood is
/// recorded too.
pub async fn interpret(
    gate: &Gate,
    incoming: &mut Incoming,
    (caller, lent): (Arc<Caller>, Lent),
    policy_digest: Hash,
) -> (Asked, Result<(Interaction, Bytes), Problem>) {
    let line = format!("{} {}?{}", incoming.method(), incoming.path().unwrap_or_default(), incoming.query());
    let mut asked =
        Asked { caller, lent, policy_digest, interaction: "unknown", resource_type: None, query: Some(line) };
    let body = match incoming.body(gate.shared.limits.body).await {
        Ok(body) => body,
        Err(problem) => return (asked, Err(problem)),
    };
    let interaction = match interaction(incoming, &body, gate.shared.limits.query) {
        Ok(interaction) => interaction,
        Err(problem) => return (asked, Err(problem)),
    };
    let whole = interaction == Interaction::Batch && is_transaction(&body);
    let interaction = if whole { Interaction::Transaction } else { interaction };
    asked.interaction = interaction.code();
    asked.resource_type = interaction.resource_type().map(|rtype| rtype.as_str().to_owned());
    if is_search_form(incoming)
        && let (Some(line), Ok(form)) = (&mut asked.query, std::str::from_utf8(&body))
    {
        line.push('&');
        line.push_str(form);
    }
    (asked, Ok((interaction, body)))
}

fn interaction(incoming: &Incoming, body: &Bytes, longest_query: usize) -> Result<Interaction, Problem> {
    if incoming.query().len() > longest_query && !is_paging_link(incoming.query()) {
        return Err(Problem::Uninterpretable(Refusal::QueryTooLong));
    }
    let path = incoming.path().ok_or(Problem::Uninterpretable(Refusal::InteractionUnknown))?;
    let headers = Headers {
        accept: incoming.header("accept")?,
        content_type: incoming.header("content-type")?,
        prefer: incoming.header("prefer")?,
        if_none_exist: incoming.header("if-none-exist")?,
        method_override: ["x-http-method-override", "x-http-method", "x-method-override"]
            .iter()
            .any(|name| incoming.has(name)),
    };
    let form: &[u8] = if is_search_form(incoming) { body } else { &[] };
    let request = Request { method: incoming.method(), path, query: incoming.query(), headers, form };
    Interaction::parse(&request).map_err(Problem::Uninterpretable)
}

fn is_search_form(incoming: &Incoming) -> bool {
    incoming.method() == "POST" && incoming.path().is_some_and(|path| path.ends_with("/_search"))
}
