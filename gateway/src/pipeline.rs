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
use gateway_core::interaction::{Interaction, OperationLevel, Preferences, Refusal, SearchQuery, is_json};
use gateway_core::operations::{self, Operation};
use gateway_core::owner::PatientId;
use gateway_core::resource_type::ResourceType;

use crate::accept::{Incoming, public_document};
use crate::batch::{Answers, Entry, Request, batch, requests};
use crate::clock;
use crate::compartment::{self, compartment};
use crate::filter::{Judge, Of, Reaches};
use crate::gate::Gate;
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
    if interaction.is_write() {
        return Err(Problem::Uninterpretable(Refusal::NotServed("a write in an explanation")));
    }
    let access = Access { id: clock::event_id(), trace_id: None, can_stream: true };
    let head = Head::default();
    in_time(gate, Box::pin(serve(gate, rules, &access, asked, &head, interaction, Bytes::new()))).await
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
    organisation(rules, asked, &interaction)?;
    if interaction == Interaction::Batch {
        return Box::pin(in_batch(gate, rules, access, asked, head, &body)).await;
    }
    if interaction == Interaction::Transaction {
        return Box::pin(in_transaction(gate, rules, access, asked, head, &body)).await;
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
            let (handling, reaches) = (preferences.handling, reaches(rules, asked));
            let (query, fresh) = (&query, false);
            let asked = search::Asked { rtype, query, handling, cursors, rules, traceparent, reaches, fresh };
            Box::pin(search(gate, judge, permit, asked)).await
        }
        Verb::Compartment { patient, rtype, query } => {
            let cursors = shared.cursors.under(rules.digest.to_string());
            let (handling, reaches) = (preferences.handling, reaches(rules, asked));
            let query = &query;
            let asked = compartment::Asked { patient, rtype, query, handling, cursors, reaches, traceparent };
            Box::pin(compartment(gate, judge, permit, asked)).await
        }
        Verb::Operation { row, level, query, body } => {
            let cursors = shared.cursors.under(rules.digest.to_string());
            let (handling, reaches) = (preferences.handling, reaches(rules, asked));
            let invoked =
                Invoked { row, level, query, body, handling, cursors, reaches, rules: Arc::clone(rules), traceparent };
            Box::pin(operate(gate, judge, permit, (access, asked), invoked)).await
        }
        Verb::History { of, query } => {
            let cursors = shared.cursors.under(rules.digest.to_string());
            let (handling, reaches) = (preferences.handling, reaches(rules, asked));
            let asked = history::Asked { of, query: &query, handling, cursors, reaches, traceparent };
            Box::pin(history(gate, judge, permit, asked)).await
        }
        Verb::Write { change } => {
            let returns = preferences.returns;
            let (in_bundle, names) = (head.in_bundle, &Names::default());
            let writer = Writer { gate, rules, judge: &judge, access, asked, returns, traceparent, in_bundle, names };
            Box::pin(writer.write(change)).await
        }
    }
}

fn judge(gate: &Gate, rules: &Rules, asked: &Asked) -> Judge {
    Judge::new(gate.shared.facts.clone(), rules.policy.clone(), asked.caller.clone(), clock::now())
        .seen_by(rules.witness.clone())
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
    let Carried { entries, problem } = match transaction(gate, rules, &judge, returns, pieces).await {
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
    rules.organisation(&asked.caller, interaction.code(), rtype).map_err(|refusal| {
        tracing::info!(policies = ?refusal.policies, "refused by organisational policy");
        Problem::Refused {
            rule: "organisation-policy",
            sentence: "Your organisation's policy does not allow you this kind of request.".to_owned(),
        }
    })
}

/// What the organisation allows of an interaction that brings resources of many types: it is asked of each type.
fn reaches(rules: &Arc<Rules>, asked: &Asked) -> Reaches {
    let (rules, caller, interaction) = (Arc::clone(rules), Arc::clone(&asked.caller), asked.interaction);
    Reaches::new(move |rtype| rules.organisation.decide(&caller, interaction, Some(rtype), clock::now()).is_ok())
}

/// The verbs that interactions come down to.
enum Verb {
    Read { wanted: Wanted },
    Search { rtype: ResourceType, query: SearchQuery },
    Compartment { patient: PatientId, rtype: Option<ResourceType>, query: SearchQuery },
    History { of: Of, query: SearchQuery },
    Operation { row: &'static Operation, level: OperationLevel, query: SearchQuery, body: Bytes },
    Write { change: Change },
}

impl Verb {
    fn of(interaction: Interaction, body: Bytes, head: &Head) -> Result<Self, Problem> {
        let if_match = head.if_match.clone();
        let wanted = |rtype, id, version, trim| {
            let (if_none_match, if_modified_since) = (head.if_none_match.clone(), head.if_modified_since.clone());
            Ok(Self::Read {
                wanted: Wanted { rtype, id, version, trim, if_none_match, if_modified_since, traceparent: None },
            })
        };
        let name = interaction.name();
        let change = |change| {
            head.no_other_precondition()?;
            Ok(Self::Write { change })
        };
        match interaction {
            Interaction::Read { rtype, id, trim } => wanted(rtype, id, None, trim),
            Interaction::Vread { rtype, id, version, trim } => wanted(rtype, id, Some(version), trim),
            Interaction::SearchType { rtype, query, via: _ } => Ok(Self::Search { rtype, query }),
            Interaction::SearchCompartment { compartment: ResourceType::PATIENT, id, rtype, query, via: _ } => {
                let patient = PatientId::parse(&id).map_err(|_| Problem::Absent)?;
                Ok(Self::Compartment { patient, rtype, query })
            }
            Interaction::Operation { level, name, query } => {
                let not_served = Problem::Uninterpretable(Refusal::NotServed(name));
                let row = operations::served(name, &level).ok_or(not_served)?;
                let json = head.in_bundle || head.content_type.as_deref().is_some_and(is_json);
                if !body.is_empty() && !json {
                    return Err(Problem::Uninterpretable(Refusal::ContentType));
                }
                Ok(Self::Operation { row, level, query, body })
            }
            Interaction::HistoryInstance { rtype, id, query } => {
                Ok(Self::History { of: Of::Instance(rtype, id), query })
            }
            Interaction::HistoryType { rtype, query } => Ok(Self::History { of: Of::Type(rtype), query }),
            Interaction::HistorySystem { query } => Ok(Self::History { of: Of::System, query }),
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
            | Interaction::Batch
            | Interaction::Transaction => Err(Problem::Uninterpretable(Refusal::NotServed(name))),
        }
    }
}
