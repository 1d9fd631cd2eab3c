//! The request path, told once from top to bottom:
//!
//! ```text
//! accept → authenticate → interpret → organisation → scope → gather + decide + forward + filter → record → respond
//! ```
//!
//! A stage hands the next one a value that it cannot do without: a [`Caller`] is what [`interpret`] speaks for, a
//! [`Permit`](gateway_core::decide::Permit) is what the upstream is asked with, an [`Outcome`] is what is recorded, and only
//! [`Recorded`](crate::record::Recorded) becomes a response. Every way out, refusals and failures too, passes `record`
//! and `respond` exactly once.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use bytes::Bytes;
use evidence::ids::EventId;
use futures_util::future::LocalBoxFuture;
use gateway_core::caller::Caller;
use gateway_core::interaction::{Interaction, Preferences, Refusal};
use gateway_core::operations::{self, Reach};

use crate::accept::{Incoming, public_document};
use crate::batch::{Entry, Request, batch, carried_out, requests};
use crate::clock;
use crate::compartment::{self, compartment};
use crate::filter::{Judge, Reaches};
use crate::gate::Gate;
use crate::glass::{Moment, signalled};
use crate::head::Head;
use crate::history::{self, history};
use crate::interpret::interpret;
use crate::operate::{Invoked, operate};
use crate::outcome::{Answer, Outcome};
use crate::permit;
use crate::problem::Problem;
use crate::read::{Wanted, read};
use crate::record::{Access, Asked};
use crate::respond::respond;
use crate::rules::Rules;
use crate::search::{self, search};
use crate::verb::Verb;
use crate::write::{Names, Piece, Writer, transaction};

/// Answers one request.
pub async fn answer(gate: &Gate, mut incoming: Incoming) -> HttpResponse<BoxBody> {
    let access = incoming.access();
    let head_only = incoming.is_head();
    let recorder = &gate.shared.recorder;
    if let Err(problem) = incoming.head_within(gate.shared.limits.header) {
        return respond(recorder.turn_away(&access, &problem), head_only);
    }
    if let Some((name, answer, body)) = public_document(gate, &incoming) {
        return respond(recorder.count(&access, answer, body, name), head_only);
    }
    // One snapshot of the rules for all of the request.
    let rules = gate.shared.rules.now();
    let recorded = match authenticate(gate, &rules, &incoming).await {
        Err(problem) => recorder.turn_away(&access, &problem),
        Ok(caller) => {
            // As with the rules, the request goes by the grants that are in force now; one that ends counts no more.
            let lent = gate.shared.glass.lend(&rules.glass, caller, Moment::now());
            let (asked, interaction) = interpret(gate, &mut incoming, lent, rules.digest).await;
            let outcome = async {
                let (interaction, body) = interaction?;
                let (head, writes) = (Head::of(&incoming)?, interaction.is_write());
                in_time(gate, writes, serve(gate, &rules, &access, &asked, &head, interaction, body)).await
            };
            let outcome = outcome.await.unwrap_or_else(Outcome::from);
            recorder.record(&access, &asked, outcome).await
        }
    };
    respond(recorded, head_only)
}

/// Who asks.
async fn authenticate(gate: &Gate, rules: &Rules, incoming: &Incoming) -> Result<Arc<Caller>, Problem> {
    let narrow = incoming.header(&gate.shared.purpose_header)?;
    let authorization = incoming.header("authorization")?;
    Ok(gate.shared.authenticator.authenticate(&rules.clients, authorization, narrow, clock::now()).await?)
}

/// Looks as a request would, for an explanation: what comes of it is neither recorded nor answered, and must not leave.
///
/// # Errors
/// As a request; what changes is not carried out.
pub(crate) async fn look(
    gate: &Gate,
    rules: &Arc<Rules>,
    asked: &Asked,
    interaction: Interaction,
) -> Result<Outcome, Problem> {
    let grants = matches!(&interaction, Interaction::Operation { level, name, .. }
        if operations::served(name, level).is_some_and(|row| row.reach == Reach::Grant));
    if interaction.is_write() || grants {
        return Err(Problem::Uninterpretable(Refusal::NotServed("a change in an explanation")));
    }
    let access = Access { id: clock::event_id(), trace_id: None, can_stream: true };
    let head = Head::default();
    in_time(gate, false, Box::pin(serve(gate, rules, &access, asked, &head, interaction, Bytes::new()))).await
}

/// Policy and scope first, which look at no data; then the interaction's own verb.
async fn serve(
    gate: &Gate,
    rules: &Arc<Rules>,
    access: &Access,
    asked: &Asked,
    head: &Head,
    interaction: Interaction,
    body: Bytes,
) -> Result<Outcome, Problem> {
    interaction.served().map_err(Problem::Uninterpretable)?;
    let plain;
    let asked = match organisation(rules, asked, &interaction) {
        Ok(()) => asked,
        Err(refused) if asked.lent.is_empty() => return Err(refused),
        // What is allowed without breaking the glass is served without it.
        Err(_) => {
            plain = asked.without_grants();
            organisation(rules, &plain, &interaction)?;
            &plain
        }
    };
    if interaction == Interaction::Batch {
        return Box::pin(in_batch(gate, rules, access, asked, head, &body)).await;
    }
    if interaction == Interaction::Transaction {
        return Box::pin(in_transaction(gate, rules, access, asked, head, &body)).await;
    }
    let permit = permit::interaction(&asked.caller, &interaction)?;
    let Preferences { handling, returns } =
        Preferences::parse(head.prefer.as_deref()).map_err(Problem::Uninterpretable)?;
    let judge = judge(gate, rules, asked);
    let traceparent = head.traceparent.clone();
    let cursors = || gate.shared.cursors.under(asked.epoch());
    let signalled = |outcome| signalled(&rules.glass, &asked.caller, outcome);
    let reaches = || reaches(rules, asked);
    match Verb::of(interaction, body, head)? {
        Verb::Read { wanted } => read(gate, &judge, &permit, &Wanted { traceparent, ..wanted }).await.map(signalled),
        Verb::Search { rtype, query } => {
            let (query, cursors, reaches, fresh) = (&query, cursors(), reaches(), false);
            let asked = search::Asked { rtype, query, handling, cursors, rules, traceparent, reaches, fresh };
            Box::pin(search(gate, judge, permit, asked)).await
        }
        Verb::Compartment { patient, rtype, query } => {
            let (query, cursors, reaches) = (&query, cursors(), reaches());
            let asked = compartment::Asked { patient, rtype, query, handling, cursors, reaches, traceparent };
            Box::pin(compartment(gate, judge, permit, asked)).await
        }
        Verb::History { of, query } => {
            let (query, cursors, reaches) = (&query, cursors(), reaches());
            let asked = history::Asked { of, query, handling, cursors, reaches, traceparent };
            Box::pin(history(gate, judge, permit, asked)).await.map(signalled)
        }
        Verb::Operation { row, level, query, body } => {
            let (cursors, reaches, rules) = (cursors(), reaches(), Arc::clone(rules));
            let invoked = Invoked { row, level, query, body, handling, cursors, reaches, rules, traceparent };
            Box::pin(operate(gate, judge, permit, (access, asked), invoked)).await.map(signalled)
        }
        Verb::Write { change } => {
            let (in_bundle, names) = (head.in_bundle, &Names::default());
            let writer = Writer { gate, rules, judge: &judge, access, asked, returns, traceparent, in_bundle, names };
            Box::pin(writer.write(change)).await
        }
    }
}

/// A batch: each entry takes the path of a request of its own.
async fn in_batch(
    gate: &Gate,
    rules: &Arc<Rules>,
    access: &Access,
    asked: &Asked,
    head: &Head,
    body: &[u8],
) -> Result<Outcome, Problem> {
    batch(gate, access, asked, (head, body), async |access: &Access, asked: &Asked, entry: Entry| {
        let writes = entry.interaction.is_write();
        let Entry { head, interaction, body, .. } = entry;
        let served: LocalBoxFuture<'_, _> = Box::pin(serve(gate, rules, access, asked, &head, interaction, body));
        in_time(gate, writes, served).await
    })
    .await
}

/// A transaction: each entry is allowed on its own, all are decided and written together.
async fn in_transaction(
    gate: &Gate,
    rules: &Rules,
    access: &Access,
    asked: &Asked,
    head: &Head,
    body: &[u8],
) -> Result<Outcome, Problem> {
    let mut pieces = Vec::new();
    for Request { access, asked, entry } in requests(gate, access, asked, head, (body, "transaction"))? {
        let Entry { interaction, body, head, full_url, .. } = entry?;
        interaction.served().map_err(Problem::Uninterpretable)?;
        organisation(rules, &asked, &interaction)?;
        permit::interaction(&asked.caller, &interaction)?;
        match Verb::of(interaction, body, &head)? {
            Verb::Write { change } => pieces.push(Piece { access, asked, head, full_url, change }),
            Verb::Read { .. }
            | Verb::Search { .. }
            | Verb::Compartment { .. }
            | Verb::History { .. }
            | Verb::Operation { .. } => {
                return Err(Problem::Uninterpretable(Refusal::NotServed("a read in a transaction")));
            }
        }
    }
    let returns = Preferences::parse(head.prefer.as_deref()).map_err(Problem::Uninterpretable)?.returns;
    let judge = judge(gate, rules, asked);
    match transaction(gate, rules, &judge, returns, pieces).await {
        Ok(carried) => carried_out(gate, carried).await,
        Err(refused) => Ok(refused.into()),
    }
}

/// What the organisation allows at all (ADR 0009).
fn organisation(rules: &Rules, asked: &Asked, interaction: &Interaction) -> Result<(), Problem> {
    let rtype = interaction.resource_type().map(|rtype| rtype.as_str());
    rules.organisation(&asked.caller, interaction.code(), rtype).map_err(|refusal| {
        tracing::info!(policies = ?refusal.policies, "refused by organisational policy");
        Problem::Refused {
            rule: "organisation-policy",
            sentence: "Your organisation's policy does not allow you this kind of request.".to_owned(),
        }
    })
}

fn judge(gate: &Gate, rules: &Rules, asked: &Asked) -> Judge {
    let (facts, policy, caller) = (gate.shared.facts.clone(), rules.policy.clone(), asked.caller.clone());
    Judge::new(facts, policy, caller, clock::now()).lending(asked.lent.clone()).seen_by(rules.witness.clone())
}

/// What the organisation allows of an interaction that brings resources of many types: it is asked of each type.
fn reaches(rules: &Arc<Rules>, asked: &Asked) -> Reaches {
    let (rules, caller, interaction) = (Arc::clone(rules), Arc::clone(&asked.caller), asked.interaction);
    Reaches::new(move |rtype| rules.organisation.decide(&caller, interaction, Some(rtype), clock::now()).is_ok())
}

/// Gives up what looks only and takes longer than it may: nothing of it was released. A write that has begun goes on to
/// its recorded end.
async fn in_time(
    gate: &Gate,
    writes: bool,
    served: impl Future<Output = Result<Outcome, Problem>>,
) -> Result<Outcome, Problem> {
    if writes {
        return served.await;
    }
    let limit = gate.shared.limits.request_timeout;
    tokio::time::timeout(limit, served).await.unwrap_or(Err(Problem::Overloaded("request-timeout")))
}

/// Answers a request that is not looked at, because too many are at work, or one whose end the client does not see. It
/// is counted.
pub fn overloaded(gate: &Gate, id: EventId, why: &'static str) -> HttpResponse<BoxBody> {
    let access = Access { id, trace_id: None, can_stream: false };
    let told = Problem::Overloaded(why).told();
    let (answer, body) = Answer::told(&told);
    respond(gate.shared.recorder.count(&access, answer, body, why), false)
}
