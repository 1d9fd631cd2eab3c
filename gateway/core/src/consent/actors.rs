//! Who a caller is beyond the names in the token: roles, organisations, care teams and groups.
//!
//! Practitioner → PractitionerRole → Organization (`partOf`) → CareTeam → Group (CONSENT.md, "Consent"). An Organization
//! covers its parts, not its parents, so membership is followed upwards from the caller only.

mod take;

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::dates::{Moment, Period, Zone};
use super::reference::{normalise, type_of};
use super::truth::Truth;
use crate::caller::{ActorRef, Caller};
use crate::reference::Bases;

/// What is known of who belongs to whom; facts, fetched by the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memberships {
    /// Whether everything that the caller's identities belong to was looked up. If not, an actor that is not found is
    /// unknown and so satisfies every deny.
    pub resolved: bool,
    /// Who belongs to whom.
    pub edges: Vec<Membership>,
    /// Which identifiers the resources bear.
    pub identities: Vec<Identity>,
    /// The CareTeams and Groups (`Type/id`) that were looked at, where any other one is unknown: it may be missing, and
    /// with it who belongs to it. `None` where it was asked which of all there are the caller belongs to.
    pub listed: Option<BTreeSet<String>>,
}

/// One step from a member to what it is a member of: a Practitioner to its PractitionerRole, that to its Organization
/// and back to its Practitioner, an Organization to the one it is part of, a member to its CareTeam or Group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The member.
    pub member: ActorRef,
    /// What it belongs to.
    pub of: ActorRef,
    /// Whether it is in force; inactive ones do not count, `None` = the resource does not say, which counts.
    pub active: Option<bool>,
    /// FHIR dates of `period.start` and `period.end`, as written; outside of it the membership does not count.
    pub start: Option<String>,
    /// As `start`.
    pub end: Option<String>,
}

/// The identifiers of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The resource, a literal reference.
    pub reference: ActorRef,
    /// Its business identifiers.
    pub identifiers: Vec<ActorRef>,
}

/// The types whose instances are one person or device, so that two different ones are never the same actor.
const INDIVIDUALS: &[&str] = &["Practitioner", "Patient", "RelatedPerson", "Device", "Person"];

/// Everything that a caller is, with how sure that is.
#[derive(Clone, Debug)]
pub struct Identities {
    /// Normalised references and identifiers; the value is never `False`.
    known: BTreeMap<ActorRef, Truth>,
    /// Whether what is not in `known` is certainly not the caller.
    closed: bool,
    /// As [`Memberships::listed`].
    listed: Option<BTreeSet<String>>,
}

impl Identities {
    /// Follows the caller's identities through the memberships that count at `now`.
    pub fn of(caller: &Caller, memberships: &Memberships, bases: &Bases, zone: &Zone, now: OffsetDateTime) -> Self {
        let mut identities =
            Self { known: BTreeMap::new(), closed: memberships.resolved, listed: memberships.listed.clone() };
        let mut open: Vec<(ActorRef, Truth)> = Vec::new();
        let certain = caller.identities().map(|identity| (identity, Truth::True));
        // In another part than the recipient's: whether that is who asks is unknown.
        let otherwise = caller.other_parts.iter().map(|identity| (identity, Truth::Unknown));
        for (identity, truth) in certain.chain(otherwise) {
            match normalised(identity, bases) {
                Some(actor) => open.push((actor, truth)),
                // An identity that can be compared with nothing could be anybody.
                None => identities.closed = false,
            }
        }
        let steps = steps(memberships, bases, zone, now);
        while let Some((actor, truth)) = open.pop() {
            let known = identities.known.get(&actor).copied();
            if known == Some(Truth::True) || known == Some(truth) {
                continue;
            }
            for (from, to, counts) in &steps {
                if *from == actor {
                    open.push((to.clone(), truth.and(*counts)));
                }
            }
            identities.known.insert(actor, truth);
        }
        // An identifier that belongs to no known resource could belong to any.
        let identified = |actor: &ActorRef| match actor {
            ActorRef::Reference(_) => true,
            ActorRef::Identifier { system, .. } if system.as_deref() == Some(take::PARTICIPATION) => true,
            ActorRef::Identifier { .. } => steps.iter().any(|(from, _, _)| from == actor),
        };
        if !identities.known.keys().all(identified) {
            identities.closed = false;
        }
        identities
    }

    /// Whether nothing is known of who asks.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether the caller is, or belongs to, the actor.
    pub fn include(&self, actor: &ActorRef, bases: &Bases) -> Truth {
        if self.is_empty() {
            return Truth::Unknown;
        }
        let Some(actor) = normalised(actor, bases) else { return Truth::Unknown };
        if let Some(truth) = self.known.get(&actor) {
            return *truth;
        }
        let excluded = self.closed && !self.is_unlisted(&actor);
        if excluded || self.is_another_individual(&actor) { Truth::False } else { Truth::Unknown }
    }

    /// Whether it cannot be known who belongs to it, because it was not among what was looked at.
    fn is_unlisted(&self, actor: &ActorRef) -> bool {
        let (Some(listed), ActorRef::Reference(reference)) = (&self.listed, actor) else { return false };
        matches!(reference.split('/').next(), Some("CareTeam" | "Group")) && !listed.contains(reference)
    }

    /// Whether the caller is for certain an individual of the actor's type, and this is another one.
    fn is_another_individual(&self, actor: &ActorRef) -> bool {
        let individual = |actor: &ActorRef| match actor {
            ActorRef::Reference(reference) => type_of(reference).filter(|kind| INDIVIDUALS.contains(&kind.as_str())),
            ActorRef::Identifier { .. } => None,
        };
        let Some(kind) = individual(actor) else { return false };
        self.known.iter().any(|(known, truth)| *truth == Truth::True && individual(known) == Some(kind))
    }
}

/// The steps that count, both ways between a resource and its identifiers.
fn steps(
    memberships: &Memberships,
    bases: &Bases,
    zone: &Zone,
    now: OffsetDateTime,
) -> Vec<(ActorRef, ActorRef, Truth)> {
    let mut steps = Vec::new();
    for edge in &memberships.edges {
        let counts = edge.counts(zone, now);
        if let (Some(member), Some(of)) = (normalised(&edge.member, bases), normalised(&edge.of, bases))
            && counts != Truth::False
        {
            steps.push((member, of, counts));
        }
    }
    for identity in &memberships.identities {
        let Some(resource) = normalised(&identity.reference, bases) else { continue };
        for identifier in identity.identifiers.iter().filter_map(|identifier| normalised(identifier, bases)) {
            steps.push((resource.clone(), identifier.clone(), Truth::True));
            steps.push((identifier, resource.clone(), Truth::True));
        }
    }
    steps
}

impl Membership {
    /// Inactive or out of period: it does not count; a period that cannot be read: unknown.
    fn counts(&self, zone: &Zone, now: OffsetDateTime) -> Truth {
        if self.active == Some(false) {
            return Truth::False;
        }
        let read = |text: &Option<String>| text.as_deref().map(Moment::parse).transpose();
        let span = match (read(&self.start), read(&self.end)) {
            (Ok(None), Ok(None)) => return Truth::True,
            (Ok(start), Ok(end)) => Period { start, end }.span(zone),
            (Err(_), _) | (_, Err(_)) => None,
        };
        span.map_or(Truth::Unknown, |span| Truth::from(span.contains(now)))
    }
}

/// The form in which equal means same; `None` where it can be compared with nothing (no system, contained, malformed).
fn normalised(actor: &ActorRef, bases: &Bases) -> Option<ActorRef> {
    match actor {
        ActorRef::Reference(reference) => normalise(reference, bases).map(ActorRef::Reference),
        ActorRef::Identifier { system: Some(_), .. } => Some(actor.clone()),
        ActorRef::Identifier { system: None, .. } => None,
    }
}

#[cfg(test)]
mod tests;
