//! What the journal holds of one access: who asked, for what, and what became of each resource.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evidence::event::{Decision, EventBody, Request as RequestEvent};
use evidence::ids::{EventId, Timestamp};
use gateway_core::caller::{ActorRef, Caller};
use gateway_core::coding::Coding;
use gateway_core::decide::Action;
use gateway_core::interaction::{Interaction, Request};
use gateway_core::owner::PatientId;
use gateway_core::scope::Scopes;
use secrecy::ExposeSecret;

use super::row::NotReplayed;
use crate::journal::{JournalError, Opening};

/// Scopes are not on record; where they refused, the event says so.
const UNRESTRICTED: &str = "user/*.cruds";
/// The rule by which patients read their own record.
const OWN_RECORD: &str = "own-record";

/// One recorded access.
pub(crate) struct Recorded {
    pub(super) id: EventId,
    pub(super) at: Timestamp,
    pub(super) event: RequestEvent,
    pub(super) caller: Arc<Caller>,
    pub(super) action: Action,
    /// What was disclosed, by `Type/id`, with the version.
    pub(super) disclosed: BTreeMap<String, Option<String>>,
    /// The one resource that was withheld, where the request names it.
    pub(super) withheld: Option<String>,
    /// What of it cannot be replayed, and how often.
    pub(super) not_replayed: BTreeMap<NotReplayed, u64>,
}

impl Recorded {
    /// The access whose request this record is; `None` for every other record. `parts` reads all records of it.
    pub(super) fn of(
        opening: &Opening,
        parts: impl FnOnce() -> Result<Vec<Option<Opening>>, JournalError>,
    ) -> Result<Option<Self>, JournalError> {
        let EventBody::Request(event) = &opening.event.body else { return Ok(None) };
        let mut found = Found::default();
        for part in parts()? {
            match part {
                None => found.erased += 1,
                Some(part) => found.take(&part.event.body),
            }
        }
        found.universal(event.universal.iter().map(|used| (used.reference.as_str(), used.version.as_deref())));
        let line = opening.query.as_ref().map(ExposeSecret::expose_secret);
        let mut not_replayed = BTreeMap::new();
        let mut cannot = |why: NotReplayed, count: u64| {
            if count > 0 {
                *not_replayed.entry(why).or_insert(0) += count;
            }
        };
        cannot(NotReplayed::Erased, found.erased);
        let refused_otherwise = event.decision == Decision::Refuse && !by_organisation(event);
        cannot(NotReplayed::RefusedBefore, u64::from(refused_otherwise));
        // Of a read one resource can be withheld, and it is the one that the request names.
        let withheld = line.and_then(named).filter(|name| found.denied == 1 && !found.disclosed.contains_key(name));
        cannot(NotReplayed::NotNamed, found.denied - u64::from(withheld.is_some()));
        Ok(Some(Self {
            id: opening.event.id,
            at: opening.event.at,
            caller: Arc::new(caller(event, &found)),
            action: action(&event.interaction),
            disclosed: found.disclosed,
            withheld,
            not_replayed,
            event: (**event).clone(),
        }))
    }
}

/// Whether the organisation's policy refused it.
fn by_organisation(event: &RequestEvent) -> bool {
    event.reasons.iter().any(|reason| reason.rule == "organisation-policy")
}

/// What the parts of an access say.
#[derive(Default)]
struct Found {
    disclosed: BTreeMap<String, Option<String>>,
    denied: u64,
    erased: u64,
    /// Patients who read their own record.
    own: BTreeSet<PatientId>,
    patients: BTreeSet<PatientId>,
}

impl Found {
    fn take(&mut self, body: &EventBody) {
        match body {
            EventBody::Disclosure(disclosure) => {
                let used = disclosure.resources.iter();
                self.universal(used.map(|used| (used.reference.as_str(), used.version.as_deref())));
                let Ok(patient) = PatientId::parse(disclosure.patient.as_str()) else { return };
                if disclosure.rule.as_deref().is_some_and(|rules| rules.split(' ').any(|rule| rule == OWN_RECORD)) {
                    self.own.insert(patient.clone());
                }
                self.patients.insert(patient);
            }
            EventBody::Universal(universal) => {
                let used = universal.resources.iter();
                self.universal(used.map(|used| (used.reference.as_str(), used.version.as_deref())));
            }
            EventBody::Denial(denial) => self.denied += denial.resources,
            EventBody::Request(_)
            | EventBody::Outcome(_)
            | EventBody::Unauthenticated(_)
            | EventBody::Start(_)
            | EventBody::Stop(_)
            | EventBody::Heartbeat(_)
            | EventBody::PolicyChange(_)
            | EventBody::AuditRead(_)
            | EventBody::Erasure(_)
            | EventBody::Review(_)
            | EventBody::EpochClosed(_) => {}
        }
    }

    fn universal<'r>(&mut self, used: impl Iterator<Item = (&'r str, Option<&'r str>)>) {
        self.disclosed.extend(used.map(|(name, version)| (name.to_owned(), version.map(str::to_owned))));
    }
}

/// The caller as far as the event tells him. His `fhirUser`, scopes and launch patient are not on record.
fn caller(event: &RequestEvent, found: &Found) -> Caller {
    let who = &event.caller;
    let purposes = event.purpose.iter().map(|p| Coding { system: p.system.clone(), code: p.code.clone() });
    let own = found.own.first().filter(|_| found.own.len() == 1);
    Caller {
        issuer: who.issuer.clone(),
        subject: who.subject.clone(),
        client: who.client.clone(),
        token_id: who.token_id.clone(),
        organization: who.organization.as_deref().and_then(|text| text.parse().ok()),
        roles: who.roles.iter().map(|role| role.code.clone()).collect(),
        purposes: purposes.collect(),
        actors: vec![ActorRef::identifier(who.issuer.as_str(), who.subject.as_str())],
        fhir_user: own.map(|patient| ActorRef::reference(patient.reference())),
        scopes: Scopes::parse(UNRESTRICTED),
        break_glass: if event.break_glass.is_some() { found.patients.clone() } else { BTreeSet::new() },
        ..Caller::default()
    }
}

fn action(interaction: &str) -> Action {
    match interaction {
        "create" => Action::Create,
        "update" | "patch" => Action::Update,
        "delete" => Action::Delete,
        "read" | "vread" | "history-instance" => Action::Read,
        _ => Action::Search,
    }
}

/// The resource that a read names, by the line of its request.
fn named(line: &str) -> Option<String> {
    let (method, target) = line.split_once(' ')?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let request = Request { method, path, query, ..Request::default() };
    if let Interaction::Read { rtype, id, .. }
    | Interaction::Vread { rtype, id, .. }
    | Interaction::Update { rtype, id }
    | Interaction::Patch { rtype, id }
    | Interaction::Delete { rtype, id } = Interaction::parse(&request).ok()?
    {
        Some(format!("{rtype}/{id}"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
