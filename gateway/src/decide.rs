//! Decide: the decision of the gateway on files, without a server (`fhir-gateway decide`).
//!
//! The same code as for requests: the core's session and ruling, the readers of Consents and memberships, and the
//! organisation's policies.

mod context;
pub mod label;
pub(crate) mod policy_file;
mod row;
mod world;

use std::path::PathBuf;

use clap::Args;
use gateway_core::caller::Caller;
use gateway_core::decide::{Action, Resolved, Session, decide_interaction, rule};
use gateway_core::facts::ResourceFacts;
use gateway_core::json::Doc;
use gateway_core::owner::PatientId;
use gateway_core::policy::Policy;
use gateway_core::resource_type::ResourceType;
use gateway_core::search_match::Image;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::organisation::{OrganisationPolicy, PolicyFault};
use context::{Context, ContextFault};
use policy_file::PolicyFileFault;
use row::{Row, Word};
use world::{Recorded, Subject, Texts, WorldFault, memberships, others};

/// What is decided, and on which files.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Who asks: fhirVersion, interaction, purpose, actors, client, organization, scopes, patient, breakGlass, attributes (JSON).
    #[arg(long, value_name = "FILE")]
    context: PathBuf,
    /// Consents, or Bundles of them. A patient of whom none is given has none recorded.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    consent: Vec<PathBuf>,
    /// The resources to decide on, or Bundles of them.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    resource: Vec<PathBuf>,
    /// Who belongs to whom: Practitioner, PractitionerRole, Organization, CareTeam, Group, RelatedPerson, or Bundles of them.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    facts: Vec<PathBuf>,
    /// The settings of `[consent]`, with `[[redaction]]`, `[roles]` and `label_sets` beside it (TOML or JSON).
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The folder of the organisation's policies; without it none is asked.
    #[arg(long, value_name = "DIR")]
    cedar: Option<PathBuf>,
    /// The time of the question (RFC 3339); default: now.
    #[arg(long, value_name = "TIME")]
    now: Option<String>,
}

/// The answer: what is known before any resource is looked at, and a row for each resource.
#[derive(Debug, Serialize)]
pub struct Answer {
    verdict: Word,
    results: Vec<Row>,
}

/// Files or arguments that no decision can be made from; each is a sentence.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct DecideFault(#[from] Fault);

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("--context {file}: {why}")]
    Unreadable { file: PathBuf, why: std::io::ErrorKind },
    #[error("--context {file} is not a context: {why}")]
    Malformed { file: PathBuf, why: String },
    #[error("--context {file}: {why}")]
    Context { file: PathBuf, why: ContextFault },
    #[error(transparent)]
    World(#[from] WorldFault),
    #[error("--policy: {0}")]
    Policy(#[from] PolicyFileFault),
    #[error("--cedar: {0}")]
    Cedar(#[from] PolicyFault),
    #[error("--now is not a time such as 2026-06-01T12:00:00Z")]
    Now,
}

/// Decides what the files ask.
///
/// # Errors
/// [`DecideFault`]: the sentence for whoever wrote them.
pub fn decide(arguments: &Arguments) -> Result<Answer, DecideFault> {
    Ok(answer(arguments)?)
}

fn answer(arguments: &Arguments) -> Result<Answer, Fault> {
    let (context, caller, patient) = context(arguments)?;
    let policy = policy_file::read(arguments.policy.as_deref())?;
    let organisation = arguments.cedar.as_deref().map(|dir| OrganisationPolicy::load(Some(dir))).transpose()?;
    let now = match &arguments.now {
        Some(text) => OffsetDateTime::parse(text, &Rfc3339).map_err(|_| Fault::Now)?,
        None => crate::clock::now(),
    };
    let (version, bases) = (context.fhir_version, policy.bases());
    let [resources, consents, facts] =
        [&arguments.resource, &arguments.consent, &arguments.facts].map(|f| Texts::read(f));
    let (resources, consents, facts) = (resources?, consents?, facts?);
    let (resources, consents, facts) = (resources.parse()?, consents.parse()?, facts.parse()?);
    let facts = facts.resources(version)?;
    let mut subjects = world::subjects(&resources.resources(version)?, version, bases)?;
    let mut known = world::subjects(&facts, version, bases)?;
    let image = image(context.interaction.action());
    subjects.iter_mut().for_each(|subject| subject.match_filters(image, &caller, &policy));
    known.iter_mut().for_each(|subject| subject.match_filters(Image::Stored, &caller, &policy));
    let recorded = Recorded::read(&consents.resources(version)?, version, bases)?;

    let others = others(subjects.iter().chain(&known).filter_map(Subject::readable), bases);
    let resolved = |subject: &Subject<'_>| Some(Resolved::of(subject.readable()?.1, &others));
    let asked: Vec<Option<Resolved>> = subjects.iter().map(resolved).collect();
    let given: Vec<Resolved> = asked.iter().flatten().cloned().collect();
    let caller = with_grant(caller, context.break_glass(), patient.as_ref(), &given);
    let links = world::links(subjects.iter().chain(&known).filter_map(Subject::readable), bases);
    let consents = recorded.facts(&given, patient.as_ref(), &others, links, memberships(&facts, bases), bases);
    let session = Session::open(&caller, &consents, &policy, now);
    let asks = Asks { context: &context, caller: &caller, organisation: organisation.as_ref(), now };

    let mut results = Vec::with_capacity(subjects.len());
    for (subject, resolved) in subjects.iter().zip(asked) {
        results.push(match (subject.readable(), resolved) {
            (Some((resource, facts)), Some(resolved)) => {
                let refused = asks.organisation_refuses(Some(facts.resource_type.as_str()));
                let action = context.interaction.action();
                let ruling = rule(resolved, action, &others, |action, facts| session.decide(action, facts));
                Row::of(resource, facts, &ruling, refused.as_deref(), bases)
            }
            _ => Row::unreadable(&subject.name()),
        });
    }
    let types: Vec<ResourceType> = subjects.iter().filter_map(|s| Some(s.readable()?.1.resource_type)).collect();
    let permits = asks.may_begin(&types)
        && patient.is_none_or(|patient| session.permits_anything(context.interaction.action(), &patient));
    Ok(Answer { verdict: if permits { Word::Permit } else { Word::Deny }, results })
}

/// As what a resource is looked at: what a body says of itself does not hold yet.
fn image(action: Action) -> Image {
    match action {
        Action::Create => Image::Created,
        Action::Update => Image::Updated,
        Action::Read | Action::Search | Action::Delete => Image::Stored,
    }
}

fn context(arguments: &Arguments) -> Result<(Context, Caller, Option<PatientId>), Fault> {
    let file = || arguments.context.clone();
    let bytes =
        std::fs::read(&arguments.context).map_err(|error| Fault::Unreadable { file: file(), why: error.kind() })?;
    // The own parser first: it refuses keys that are there twice.
    let doc = Doc::parse(&bytes).map_err(|fault| Fault::Malformed { file: file(), why: fault.to_string() })?;
    if !doc.root().is_object() {
        return Err(Fault::Malformed { file: file(), why: "not an object".to_owned() });
    }
    let context: Context =
        serde_json::from_slice(&bytes).map_err(|fault| Fault::Malformed { file: file(), why: fault.to_string() })?;
    let (caller, patient) = context.caller().map_err(|why| Fault::Context { file: file(), why })?;
    Ok((context, caller, patient))
}

/// A grant in force is bound to the patient of the context; where none is named, to those whose resources are given.
fn with_grant(mut caller: Caller, granted: bool, patient: Option<&PatientId>, given: &[Resolved]) -> Caller {
    if granted {
        caller.break_glass = match patient {
            Some(patient) => [patient.clone()].into(),
            None => given.iter().flat_map(Resolved::patients).collect(),
        };
    }
    caller
}

/// What is asked before any resource is looked at.
struct Asks<'a> {
    context: &'a Context,
    caller: &'a Caller,
    organisation: Option<&'a OrganisationPolicy>,
    now: OffsetDateTime,
}

impl Asks<'_> {
    /// The policies that refuse the interaction on this type.
    fn organisation_refuses(&self, rtype: Option<&str>) -> Option<Vec<String>> {
        let organisation = self.organisation?;
        let asked = organisation.decide(self.caller, self.context.interaction.code(), rtype, self.now);
        asked.err().map(|refusal| refusal.policies)
    }

    /// Whether organisation and scopes leave anything of the interaction: on one of these types, or where there are none
    /// on any.
    fn may_begin(&self, types: &[ResourceType]) -> bool {
        let action = self.context.interaction.action();
        let scoped = |rtype: &ResourceType| decide_interaction(self.caller, action, *rtype).is_ok();
        if types.is_empty() {
            let mut every = ResourceType::ALL.iter().filter_map(|name| ResourceType::parse(name).ok());
            return self.organisation_refuses(None).is_none() && every.any(|rtype| scoped(&rtype));
        }
        types.iter().any(|rtype| scoped(rtype) && self.organisation_refuses(Some(rtype.as_str())).is_none())
    }
}

impl<'v> Subject<'v> {
    fn name(&self) -> String {
        match self {
            Self::Readable { facts, .. } => match &facts.id {
                Some(id) => format!("{}/{id}", facts.resource_type),
                None => facts.resource_type.to_string(),
            },
            Self::Unreadable { name } => name.clone(),
        }
    }

    /// What granular scopes hold of it.
    fn match_filters(&mut self, image: Image, caller: &Caller, policy: &Policy) {
        if let Self::Readable { resource, facts } = self {
            facts.match_filters(*resource, image, &caller.scopes, policy, policy.bases());
        }
    }

    fn readable(&self) -> Option<(gateway_core::json::Value<'v>, &ResourceFacts)> {
        match self {
            Self::Readable { resource, facts } => Some((*resource, facts)),
            Self::Unreadable { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
