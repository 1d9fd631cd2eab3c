//! Who asks: what a verified token and the operator's client table say, and nothing that a caller could add.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::coding::Coding;
use crate::owner::PatientId;
use crate::purpose;
use crate::scope::Scopes;

/// A caller whose token has been verified.
///
/// INVARIANT: every field comes from verified claims or from the operator's configuration keyed by verified issuer,
/// client and role (ARCHITECTURE.md, invariant 4); a request header never adds to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// `client_id` or `azp`.
    pub client: Option<String>,
    /// `jti`.
    pub token_id: Option<String>,
    /// The organisation on whose behalf the caller asks; it counts as an actor.
    pub organization: Option<ActorRef>,
    /// Roles, as the operator's rules name them.
    pub roles: Vec<String>,
    /// Purposes of use; every one must be permitted, none means that the purpose is unknown.
    pub purposes: Vec<Coding>,
    /// Identities of the caller in FHIR terms; `fhir_user` and `organization` need not be repeated here.
    pub actors: Vec<ActorRef>,
    /// Actors that the caller is named beside in another part than the recipient's (IRCP): whether he asks as one of
    /// them is unknown, so they satisfy no permit and every deny.
    pub other_parts: Vec<ActorRef>,
    /// SMART `fhirUser`; counts as an actor, and `Patient/x` makes `x` the caller's own record.
    pub fhir_user: Option<ActorRef>,
    /// SMART launch context `patient`: the patient whom `patient/` scopes mean.
    pub launch_patient: Option<PatientId>,
    /// The SMART scopes of the token.
    pub scopes: Scopes,
    /// The patients for whom this caller has a break-glass grant in force (CONSENT.md, "Break glass": a grant is bound
    /// to caller, patient and purpose).
    pub break_glass: BTreeSet<PatientId>,
    /// Further verified claims, by the name that the operator gave them.
    pub attributes: BTreeMap<String, String>,
}

impl Caller {
    /// Every identity of the caller: `fhir_user`, `organization` and `actors`.
    pub fn identities(&self) -> impl Iterator<Item = &ActorRef> {
        self.fhir_user.iter().chain(self.organization.iter()).chain(self.actors.iter())
    }

    /// The caller as one whose treatment is breaking the glass, without any grant: whom organisational policy is asked about.
    #[must_use]
    pub fn breaking_glass(&self) -> Self {
        let purposes = self.purposes.iter().map(|purpose| purpose::under_grant(purpose, true)).collect();
        Self { purposes, break_glass: BTreeSet::new(), ..self.clone() }
    }
}

/// An actor as a token, a Consent or a client table names it: by literal reference or by identifier.
///
/// Printed, parsed and serialised as `Organization/x` (any FHIR reference) or as `system|value`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActorRef {
    /// A FHIR literal reference, relative or absolute, as written.
    Reference(String),
    /// A business identifier.
    Identifier {
        /// The namespace; an identifier without one never equals another for certain.
        system: Option<String>,
        /// The value in it.
        value: String,
    },
}

/// A text that names no actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an actor is a FHIR reference or system|value")]
pub struct NotAnActor;

impl ActorRef {
    /// An identifier with its system.
    pub fn identifier(system: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Identifier { system: Some(system.into()), value: value.into() }
    }

    /// A literal reference.
    pub fn reference(reference: impl Into<String>) -> Self {
        Self::Reference(reference.into())
    }
}

impl fmt::Display for ActorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reference(reference) => f.write_str(reference),
            Self::Identifier { system, value } => write!(f, "{}|{value}", system.as_deref().unwrap_or_default()),
        }
    }
}

impl FromStr for ActorRef {
    type Err = NotAnActor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('|') {
            Some((_, "")) => Err(NotAnActor),
            Some(("", value)) => Ok(Self::Identifier { system: None, value: value.to_owned() }),
            Some((system, value)) => Ok(Self::identifier(system, value)),
            None if text.is_empty() => Err(NotAnActor),
            None => Ok(Self::reference(text)),
        }
    }
}

impl Serialize for ActorRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ActorRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
