//! Explain: what each stage of the pipeline says of a token and a request, and which provisions of which Consents decide
//! each resource. Nothing of an answer is released, nothing is changed.
//!
//! The stages are the pipeline's own (`pipeline::look`): the same rules, the gateway's own credential, the same facts. A
//! witness notes every decision on the way; the bytes of the answer are thrown away.

pub mod command;
mod notes;
mod say;
mod stages;

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use gateway_core::caller::Caller;
use gateway_core::decide::Action;
use gateway_core::interaction::{Headers, Interaction, Request};
use gateway_core::resource_type::ResourceType;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::admin::Explain;
use crate::clock;
use crate::filter::{Further, Judge, Window};
use crate::gate::Gate;
use crate::glass::Moment;
use crate::outcome::Outcome;
use crate::permit;
use crate::pipeline;
use crate::problem::Problem;
use crate::record::Asked;
use crate::rules::Rules;
use notes::{Notes, Row};
use stages::{Answered, Says, Scoped, Stage, Who};

/// Windows of an answer that are looked at; a page of a search has fewer.
const WINDOWS: usize = 64;

/// What is to be explained.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The token, as the client sends it, without `Bearer`.
    #[serde(serialize_with = "exposed")]
    pub token: SecretString,
    /// The HTTP method.
    pub method: String,
    /// The URL: under the public base, or what comes after it (`Observation/x`).
    pub url: String,
    /// The purposes that the client narrows itself to by header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
}

/// The one place where it is written out again: from the command to the gateway on the same host.
fn exposed<S: serde::Serializer>(token: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose_secret())
}

/// What each stage says.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Method and URL as they were asked about.
    request: String,
    /// The digest of the rules that decided, as events carry it.
    policy_digest: String,
    /// The stages in their order.
    stages: Vec<Stage>,
    /// Every decision on a resource, in the order in which they were made.
    resources: Vec<Row>,
    /// Decisions beyond those that are listed.
    more_resources: u64,
    /// What the client would be told.
    answer: Answered,
}

/// Explains requests to this gateway.
pub struct Explainer {
    gate: Gate,
}

impl Explainer {
    /// With a gate of its own.
    pub fn new(gate: Gate) -> Self {
        Self { gate }
    }
}

impl Explain for Explainer {
    fn explain<'a>(&'a self, ask: &'a Ask) -> LocalBoxFuture<'a, Explanation> {
        Box::pin(explain(&self.gate, ask))
    }
}

/// What each stage says of a token and a request.
pub async fn explain(gate: &Gate, ask: &Ask) -> Explanation {
    let notes = Arc::new(Notes::default());
    let rules = Arc::new(gate.shared.rules.now().seen_by(Arc::<Notes>::clone(&notes)));
    let mut stages = Vec::new();
    let answer = match Box::pin(told(gate, &rules, ask, &mut stages)).await {
        Ok(answer) => answer,
        Err((stage, problem)) => {
            stages.push(Stage::refuses(stage, &problem));
            Answered::of(&problem)
        }
    };
    stages::ask_no_more(&mut stages);
    let (resources, more_resources) = notes.take();
    if answer.is_absence() {
        stages::tell_absence(&mut stages, resources.is_empty());
    }
    let request = format!("{} {}", ask.method, ask.url);
    Explanation { request, policy_digest: rules.digest.to_string(), stages, resources, more_resources, answer }
}

/// The stages in their order; the error is the stage that refuses.
async fn told(
    gate: &Gate,
    rules: &Arc<Rules>,
    ask: &Ask,
    stages: &mut Vec<Stage>,
) -> Result<Answered, (&'static str, Problem)> {
    // An explanation is work like a client's request, and is bounded with them.
    let at_work = gate.shared.at_work.try_acquire();
    let _at_work = at_work.map_err(|_| (stages::AUTHENTICATE, Problem::Overloaded("too-many-requests")))?;
    let caller = authenticate(gate, rules, ask).await.map_err(|problem| (stages::AUTHENTICATE, problem))?;
    stages.push(Stage::permits(stages::AUTHENTICATE).by(Who::of(&caller)));
    let interaction = interpret(gate, ask).map_err(|problem| (stages::INTERPRET, problem))?;
    stages.push(Stage::permits(stages::INTERPRET).about(&interaction));
    if matches!(interaction, Interaction::Capabilities | Interaction::SmartConfiguration) {
        return Ok(Answered::public());
    }
    interaction.served().map_err(|refusal| (stages::INTERPRET, Problem::Uninterpretable(refusal)))?;
    // As a request would, it goes by the grants that are in force now, and without them where that is what is allowed.
    let (caller, lent) = gate.shared.glass.lend(&rules.glass, caller, Moment::now());
    let mut asked = Asked {
        caller,
        lent,
        policy_digest: rules.digest,
        interaction: interaction.code(),
        resource_type: interaction.resource_type().map(|rtype| rtype.as_str().to_owned()),
        query: None,
    };
    if !asked.lent.is_empty() && organisation(rules, &asked.caller, &interaction, &mut Vec::new()).is_err() {
        asked = asked.without_grants();
    }
    organisation(rules, &asked.caller, &interaction, stages)?;
    let scoped = Scoped::of(&asked.caller, &interaction);
    permit::interaction(&asked.caller, &interaction).map_err(|problem| (stages::SCOPE, problem))?;
    stages.push(Stage::permits(stages::SCOPE).within(scoped));
    let decided = match interaction.is_write() {
        true => stored_image(gate, rules, &asked, &interaction).await,
        false => looked(gate, rules, &asked, interaction).await,
    };
    let (says, answered) = decided.map_err(|problem| (stages::DECIDE, problem))?;
    stages.push(Stage::new(stages::DECIDE, says));
    Ok(answered)
}

async fn authenticate(gate: &Gate, rules: &Rules, ask: &Ask) -> Result<Arc<Caller>, Problem> {
    let header = SecretString::from(format!("Bearer {}", ask.token.expose_secret()));
    let (authorization, narrow) = (Some(header.expose_secret()), ask.purpose.as_deref());
    let authenticated = gate.shared.authenticator.authenticate(&rules.clients, authorization, narrow, clock::now());
    Ok(authenticated.await?)
}

fn interpret(gate: &Gate, ask: &Ask) -> Result<Interaction, Problem> {
    let base = gate.shared.bases.public.as_str().trim_end_matches('/');
    let below = ask.url.strip_prefix(base).unwrap_or(&ask.url);
    let (path, query) = below.split_once('?').unwrap_or((below, ""));
    let path = format!("/{}", path.trim_start_matches('/'));
    let json = (!matches!(ask.method.as_str(), "GET" | "HEAD" | "DELETE")).then_some(match ask.method.as_str() {
        "PATCH" => "application/json-patch+json",
        _ => "application/fhir+json",
    });
    let headers = Headers { content_type: json, ..Headers::default() };
    let request = Request { method: &ask.method, path: &path, query, headers, form: &[] };
    Interaction::parse(&request).map_err(Problem::Uninterpretable)
}

fn organisation(
    rules: &Rules,
    caller: &Caller,
    interaction: &Interaction,
    stages: &mut Vec<Stage>,
) -> Result<(), (&'static str, Problem)> {
    let rtype = interaction.resource_type();
    let rtype = rtype.as_ref().map(ResourceType::as_str);
    match rules.organisation.decide(caller, interaction.code(), rtype, clock::now()) {
        Ok(()) => {
            stages.push(Stage::permits(stages::ORGANISATION));
            Ok(())
        }
        Err(refusal) => {
            let sentence = match refusal.policies.is_empty() {
                true => "No organisational policy permits it.".to_owned(),
                false => format!("Refused by organisational policy {}.", refusal.policies.join(", ")),
            };
            Err((stages::ORGANISATION, Problem::Refused { rule: "organisation-policy", sentence }))
        }
    }
}

/// What looks is looked at as a client would; what comes of it is counted and thrown away.
async fn looked(
    gate: &Gate,
    rules: &Arc<Rules>,
    asked: &Asked,
    interaction: Interaction,
) -> Result<(Says, Answered), Problem> {
    match pipeline::look(gate, rules, asked, interaction).await? {
        Outcome::Refused { problem, .. } => Err(problem),
        Outcome::Whole { answer, window }
        | Outcome::Written { answer, window, .. }
        | Outcome::Granted { answer, window, .. } => Ok((Says::Permit, Answered::given(answer.status).with(&window))),
        Outcome::Windows { answer, first, rest } => {
            let answered = Answered::given(answer.status).with(&first);
            let drained = drained(answered, first.is_last(), *rest);
            let drained = tokio::time::timeout(gate.shared.limits.request_timeout, drained).await;
            Ok((Says::Permit, drained.unwrap_or(Err(Problem::Overloaded("request-timeout")))?))
        }
    }
}

async fn drained(mut answered: Answered, mut ended: bool, mut rest: Further) -> Result<Answered, Problem> {
    for _ in 0..WINDOWS {
        if ended {
            return Ok(answered);
        }
        let window: Window = rest.next_window().await?;
        ended = window.is_last();
        answered = answered.with(&window);
    }
    Ok(answered.cut_short())
}

/// A write is not carried out. What is stored is decided on; what the body would make of it cannot be.
async fn stored_image(
    gate: &Gate,
    rules: &Rules,
    asked: &Asked,
    interaction: &Interaction,
) -> Result<(Says, Answered), Problem> {
    let (name, action) = if let Interaction::Update { rtype, id } | Interaction::Patch { rtype, id } = interaction {
        (format!("{rtype}/{id}"), Action::Update)
    } else if let Interaction::Delete { rtype, id } = interaction {
        (format!("{rtype}/{id}"), Action::Delete)
    } else {
        return Ok((Says::Undecided, Answered::undecided()));
    };
    let judge = Judge::new(gate.shared.facts.clone(), rules.policy.clone(), asked.caller.clone(), clock::now())
        .lending(asked.lent.clone())
        .seen_by(rules.witness.clone());
    let decided = judge.decide_named(&[name].into(), action).await?;
    match decided.first() {
        Some((_, ruling)) if ruling.permits() => Ok((Says::Undecided, Answered::undecided())),
        Some(_) | None => Err(Problem::Absent),
    }
}
