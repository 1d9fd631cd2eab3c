//! The context of a decision as a file: who asks, what for, with which scopes.

use std::collections::BTreeMap;

use gateway_core::caller::{ActorRef, Caller};
use gateway_core::coding::Coding;
use gateway_core::decide::Action;
use gateway_core::owner::PatientId;
use gateway_core::purpose;
use gateway_core::scope::Scopes;
use gateway_core::version::FhirVersion;
use serde::Deserialize;
use serde_json::Value;

/// What stands for no restriction by scope.
const UNRESTRICTED: &str = "user/*.cruds";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";

/// `CTX.json`; an unknown key refuses the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Context {
    pub(super) fhir_version: FhirVersion,
    pub(super) interaction: Interaction,
    purpose: Vec<Purpose>,
    actors: Vec<Actor>,
    client: Option<String>,
    organization: Option<Organization>,
    scopes: Option<String>,
    patient: Option<String>,
    break_glass: bool,
    attributes: BTreeMap<String, Value>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Interaction {
    #[default]
    Read,
    Search,
    Create,
    Update,
    Delete,
}

impl Interaction {
    pub(super) fn action(self) -> Action {
        match self {
            Self::Read => Action::Read,
            Self::Search => Action::Search,
            Self::Create => Action::Create,
            Self::Update => Action::Update,
            Self::Delete => Action::Delete,
        }
    }

    /// The name that organisational policies know it by.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Search => "search-type",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Purpose {
    Code(String),
    Coding(CodingJson),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CodingJson {
    system: Option<String>,
    code: String,
    #[serde(rename = "display")]
    _display: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Actor {
    reference: Option<String>,
    identifier: Option<Identifier>,
    role: Option<Role>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identifier {
    system: Option<String>,
    value: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Role {
    Code(String),
    Coding(CodingJson),
    Concept(Concept),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Concept {
    coding: Vec<CodingJson>,
    #[serde(rename = "text")]
    _text: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Organization {
    Reference(String),
    Identifier(Identifier),
    Actor(Actor),
}

/// What a context says that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ContextFault {
    #[error("{0} is not a FHIR reference such as Practitioner/x")]
    Reference(&'static str),
    #[error("{0} names neither a reference nor an identifier")]
    Nobody(&'static str),
    #[error("patient is not the id of a patient")]
    Patient,
    #[error("purpose has an empty code")]
    Purpose,
    #[error("attributes.{0} is not text")]
    Attribute(String),
}

impl Context {
    /// The caller, and the patient to whom a grant of break glass is bound (any, where none is named).
    pub(super) fn caller(&self) -> Result<(Caller, Option<PatientId>), ContextFault> {
        let patient = self.patient.as_deref().map(PatientId::parse).transpose().map_err(|_| ContextFault::Patient)?;
        let mut caller = Caller {
            issuer: self.attribute("issuer")?.unwrap_or_else(|| "urn:sealgate:decide".to_owned()),
            subject: self.attribute("subject")?.unwrap_or_else(|| "caller".to_owned()),
            client: self.client.clone(),
            organization: self.organization.as_ref().map(Organization::actor).transpose()?,
            roles: self.roles()?,
            scopes: Scopes::parse(self.scopes.as_deref().unwrap_or(UNRESTRICTED)),
            launch_patient: patient.clone(),
            ..Caller::default()
        };
        for purpose in &self.purpose {
            let coding = match purpose {
                Purpose::Code(code) => Coding::new(purpose::SYSTEM, code.as_str()),
                Purpose::Coding(coding) => coding.coding(),
            };
            if coding.code.is_empty() {
                return Err(ContextFault::Purpose);
            }
            if !caller.purposes.contains(&coding) {
                caller.purposes.push(coding);
            }
        }
        for actor in &self.actors {
            let names = actor.names("actors")?;
            let roles = actor.role.as_ref().map(Role::codings).unwrap_or_default();
            caller.roles.extend(roles.iter().map(|role| match role.system.as_deref() {
                Some(PARTICIPATION) | None => role.code.clone(),
                Some(_) => role.to_string(),
            }));
            let recipient = actor.role.is_none() || roles.iter().any(|role| role.is(PARTICIPATION, "IRCP"));
            if !recipient {
                caller.other_parts.extend(names);
                continue;
            }
            // A patient who asks reads the own record.
            let patient = names.iter().find(|name| is_patient(name)).cloned();
            caller.fhir_user = caller.fhir_user.take().or(patient);
            caller.actors.extend(names);
        }
        caller.roles.sort();
        caller.roles.dedup();
        for (name, value) in &self.attributes {
            if !matches!(name.as_str(), "issuer" | "subject" | "roles") {
                caller.attributes.insert(name.clone(), text(name, value)?);
            }
        }
        Ok((caller, patient))
    }

    pub(super) fn break_glass(&self) -> bool {
        self.break_glass
    }

    fn attribute(&self, name: &str) -> Result<Option<String>, ContextFault> {
        self.attributes.get(name).map(|value| text(name, value)).transpose()
    }

    fn roles(&self) -> Result<Vec<String>, ContextFault> {
        match self.attributes.get("roles") {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(|item| text("roles", item)).collect(),
            Some(one) => Ok(vec![text("roles", one)?]),
        }
    }
}

/// Texts, numbers and truth values; anything else is written as JSON.
fn text(name: &str, value: &Value) -> Result<String, ContextFault> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Null => Err(ContextFault::Attribute(name.to_owned())),
        Value::Object(_) | Value::Array(_) if matches!(name, "issuer" | "subject" | "roles") => {
            Err(ContextFault::Attribute(name.to_owned()))
        }
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Ok(value.to_string()),
    }
}

fn is_patient(actor: &ActorRef) -> bool {
    match actor {
        ActorRef::Reference(reference) => reference.rsplit('/').nth(1) == Some("Patient"),
        ActorRef::Identifier { .. } => false,
    }
}

/// A literal reference has a type and an id, or is a URI.
fn reference(text: &str, of: &'static str) -> Result<ActorRef, ContextFault> {
    if text.contains(['/', ':']) { Ok(ActorRef::reference(text)) } else { Err(ContextFault::Reference(of)) }
}

impl CodingJson {
    fn coding(&self) -> Coding {
        Coding { system: self.system.clone(), code: self.code.clone() }
    }
}

impl Identifier {
    fn actor(&self) -> ActorRef {
        ActorRef::Identifier { system: self.system.clone(), value: self.value.clone() }
    }
}

impl Actor {
    fn names(&self, of: &'static str) -> Result<Vec<ActorRef>, ContextFault> {
        let literal = self.reference.as_deref().map(|text| reference(text, of)).transpose()?;
        let names: Vec<ActorRef> = literal.into_iter().chain(self.identifier.as_ref().map(Identifier::actor)).collect();
        if names.is_empty() { Err(ContextFault::Nobody(of)) } else { Ok(names) }
    }
}

impl Organization {
    fn actor(&self) -> Result<ActorRef, ContextFault> {
        match self {
            Self::Reference(text) => match text.split_once('|') {
                Some((system, value)) => Ok(ActorRef::identifier(system, value)),
                None => reference(text, "organization"),
            },
            Self::Identifier(identifier) => Ok(identifier.actor()),
            Self::Actor(actor) => {
                actor.names("organization")?.into_iter().next().ok_or(ContextFault::Nobody("organization"))
            }
        }
    }
}

impl Role {
    /// A plain code is one of v3-ParticipationType.
    fn codings(&self) -> Vec<Coding> {
        match self {
            Self::Code(code) => match code.split_once('|') {
                Some((system, code)) => vec![Coding::new(system, code)],
                None => vec![Coding::new(PARTICIPATION, code.as_str())],
            },
            Self::Coding(coding) => vec![plain(coding)],
            Self::Concept(concept) => concept.coding.iter().map(plain).collect(),
        }
    }
}

fn plain(coding: &CodingJson) -> Coding {
    let system = coding.system.clone().unwrap_or_else(|| PARTICIPATION.to_owned());
    Coding { system: Some(system), code: coding.code.clone() }
}

#[cfg(test)]
mod tests;
