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
use gateway_core::interaction::{Interaction, Preferences, Refusal, SearchQuery};
use gateway_core::resource_type::ResourceType;

use crate::accept::{Incoming, public_document};
use crate::batch::{Answers, Entry, Request, batch, requests};
use crate::clock;
use crate::filter::Judge;
use crate::gate::Gate;
use crate::head::Head;
use crate::interpret::interpret;
use crate::outcome::{Answer, Outcome};
use crate::permit;
use crate::problem::Problem;
use crate::read::{Wanted, read};
use crate::record::{Access, Asked};
use crate::respond::respond;
use crate::rules::Rules;
use crate::search::{self, search};
use crate::write::{Carried, Change, Names, Piece, Which, Writer, transaction};

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
            let (asked, interaction) = interpret(gate, &mut incoming, caller, rules.digest).await;
            let outcome = match interaction {
                Ok((interaction, body)) => {
                    let writes = interaction.is_write();
                    match Head::of(&incoming) {
                        Err(problem) => Err(problem),
                        Ok(head) => {
                            let served = serve(gate, &rules, &access, &asked, &head, interaction, body);
                            // A write that has begun goes on to its recorded end.
                            if writes { served.await } else { in_time(gate, served).await }
                        }
                    }
                }
                Err(problem) => Err(problem),
            };
            recorder.record(&access, &asked, outcome.unwrap_or_else(Outcome::from)).await
        }
    };
    respond(recorded, head_only)
}

/// Gives up what looks only and takes longer than it may: nothing of it was released.
async fn in_time(gate: &Gate, served: impl Future<Output = Result<Outcome, Problem>>) -> Result<Outcome, Problem> {
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

/// Who asks.
async fn authenticate(gate: &Gate, rules: &Rules, incoming: &Incoming) -> Result<Arc<Caller>, Problem> {
    let narrow = incoming.header(&gate.shared.purpose_header)?;
    let authorization = incoming.header("authorization")?;
    let caller = gate.shared.authenticator.authenticate(&rules.clients, authorization, narrow, clock::now()).await?;
    Ok(Arc::new(caller))
}

/// Policy and scope first, which look at no data; then the interaction's own verb.
async fn serve(
    gate: &Gate,
    rules: &Rules,
    access: &Access,
    asked: &Asked,
    head: &Head,
    interaction: Interaction,
    body: Bytes,
) -> Result<Outcome, Problem> {
    interaction.served().map_err(Problem::Uninterpretable)?;
    organisation(rules, asked, &interaction)?;
    if interaction == Interaction::Batch {
        return in_batch(gate, rules, access, asked, head, &body).await;
    }
    if interaction == Interaction::Transaction {
        return in_transaction(gate, rules, access, asked, head, &body).await;
    }
    let permit = permit::interaction(&asked.caller, &interaction)?;
    let preferences = Preferences::parse(head.prefer.as_deref()).map_err(Problem::Uninterpretable)?;
    let shared = &gate.shared;
    let judge = judge(gate, rules, asked);
    let traceparent = head.traceparent.clone();
    match Verb::of(interaction, body, head)? {
        Verb::Read { wanted } => read(gate, &judge, &permit, &Wanted { traceparent, ..wanted }).await,
        Verb::Search { rtype, query } => {
            let cursors = shared.cursors.under(rules.digest.to_string());
            let asked = search::Asked { rtype, query: &query, handling: preferences.handling, cursors, traceparent };
            search(gate, judge, permit, asked).await
        }
        Verb::Write { change } => {
            let returns = preferences.returns;
            let (in_bundle, names) = (head.in_bundle, &Names::default());
            let writer = Writer { gate, judge: &judge, access, asked, returns, traceparent, in_bundle, names };
            writer.write(change).await
        }
    }
}

fn judge(gate: &Gate, rules: &Rules, asked: &Asked) -> Judge {
    Judge::new(gate.shared.facts.clone(), rules.policy.clone(), asked.caller.clone(), clock::now())
}

/// A batch: each entry takes the path of a request of its own.
async fn in_batch(
    gate: &Gate,
    rules: &Rules,
    access: &Access,
    asked: &Asked,
    head: &Head,
    body: &[u8],
) -> Result<Outcome, Problem> {
    batch(gate, access, asked, (head, body), async |access: &Access, asked: &Asked, entry: Entry| {
        let writes = entry.interaction.is_write();
        let Entry { head, interaction, body, .. } = entry;
        let served: LocalBoxFuture<'_, _> = Box::pin(serve(gate, rules, access, asked, &head, interaction, body));
        if writes { served.await } else { in_time(gate, served).await }
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
            Verb::Read { .. } | Verb::Search { .. } => {
                return Err(Problem::Uninterpretable(Refusal::NotServed("a read in a transaction")));
            }
        }
    }
    let returns = Preferences::parse(head.prefer.as_deref()).map_err(Problem::Uninterpretable)?.returns;
    let judge = judge(gate, rules, asked);
    let Carried { entries, problem } = match transaction(gate, &judge, returns, pieces).await {
        Ok(carried) => carried,
        Err(refused) => return Ok(refused.into()),
    };
    let mut answers = Answers::new(&gate.shared, entries.len());
    for (at, (access, asked, outcome)) in entries.into_iter().enumerate() {
        answers.take(at, gate.shared.recorder.record(&access, &asked, outcome).await).await;
    }
    problem.map_or_else(|| Ok(answers.bundle("transaction-response")), Err)
}

/// What the organisation allows at all (ADR 0009).
fn organisation(rules: &Rules, asked: &Asked, interaction: &Interaction) -> Result<(), Problem> {
    let rtype = interaction.resource_type().map(|rtype| rtype.as_str());
    rules.organisation.decide(&asked.caller, interaction.code(), rtype, clock::now()).map_err(|refusal| {
        tracing::info!(policies = ?refusal.policies, "refused by organisational policy");
        Problem::Refused {
            rule: "organisation-policy",
            sentence: "Your organisation's policy does not allow you this kind of request.".to_owned(),
        }
    })
}

/// The three verbs that interactions come down to.
enum Verb {
    Read { wanted: Wanted },
    Search { rtype: ResourceType, query: SearchQuery },
    Write { change: Change },
}

impl Verb {
    fn of(interaction: Interaction, body: Bytes, head: &Head) -> Result<Self, Problem> {
        let if_match = head.if_match.clone();
        let wanted = |rtype, id, version| {
            let (if_none_match, if_modified_since) = (head.if_none_match.clone(), head.if_modified_since.clone());
            Ok(Self::Read {
                wanted: Wanted { rtype, id, version, if_none_match, if_modified_since, traceparent: None },
            })
        };
        let name = interaction.name();
        let change = |change| {
            head.no_other_precondition()?;
            Ok(Self::Write { change })
        };
        match interaction {
            Interaction::Read { rtype, id } => wanted(rtype, id, None),
            Interaction::Vread { rtype, id, version } => wanted(rtype, id, Some(version)),
            Interaction::SearchType { rtype, query, via: _ } => Ok(Self::Search { rtype, query }),
            Interaction::Create { rtype } => change(Change::Create { rtype, body, unless: None }),
            Interaction::ConditionalCreate { rtype, criteria } => {
                change(Change::Create { rtype, body, unless: Some(criteria) })
            }
            Interaction::Update { rtype, id } => change(Change::Update { rtype, which: Which::Id(id), body, if_match }),
            Interaction::ConditionalUpdate { rtype, criteria } => {
                change(Change::Update { rtype, which: Which::Criteria(criteria), body, if_match })
            }
            Interaction::Patch { rtype, id } => change(Change::Patch { rtype, which: Which::Id(id), body, if_match }),
            Interaction::ConditionalPatch { rtype, criteria } => {
                change(Change::Patch { rtype, which: Which::Criteria(criteria), body, if_match })
            }
            Interaction::Delete { rtype, id } => change(Change::Delete { rtype, which: Which::Id(id), if_match }),
            Interaction::ConditionalDelete { rtype, criteria } => {
                change(Change::Delete { rtype, which: Which::Criteria(criteria), if_match })
            }
            Interaction::Capabilities
            | Interaction::SmartConfiguration
            | Interaction::SearchSystem { .. }
            | Interaction::SearchCompartment { .. }
            | Interaction::HistoryInstance { .. }
            | Interaction::HistoryType { .. }
            | Interaction::HistorySystem { .. }
            | Interaction::Batch
            | Interaction::Transaction
            | Interaction::Operation { .. } => Err(Problem::Uninterpretable(Refusal::NotServed(name))),
        }
    }
}
