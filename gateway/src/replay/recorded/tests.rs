//! What is made of a journal's records, out of a real journal.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]

use evidence::event::{
    AccessEvent, Caller as EventCaller, Counts, Denial, Disclosure, Phase, Reason, Reference, ResourceUse,
};
use evidence::ids::{Hash, TenantId};
use secrecy::SecretString;

use super::*;
use crate::clock;
use crate::journal::{Archive, Entry, Journal, Settings};
use crate::keys::KeyEncryptionKey;

fn request(interaction: &str, decision: Decision, rules: &[&str]) -> RequestEvent {
    RequestEvent {
        phase: Phase::Whole,
        caller: EventCaller {
            issuer: "https://login.example.org".to_owned(),
            subject: "okafor".to_owned(),
            client: None,
            organization: Some("Organization/north".to_owned()),
            roles: Vec::new(),
            token_id: None,
        },
        purpose: Vec::new(),
        break_glass: None,
        interaction: interaction.to_owned(),
        resource_type: Some("Observation".to_owned()),
        decision,
        reasons: rules.iter().map(|rule| Reason { rule: (*rule).to_owned(), detail: None }).collect(),
        policy_digest: Hash::new([7; 32]),
        status: Some(200),
        counts: Counts::default(),
        universal: Vec::new(),
        query_sealed: None,
        trace_id: None,
    }
}

fn reference(kind: &str, id: &str) -> Reference {
    Reference::new(kind, id).unwrap()
}

fn disclosed(request: EventId, patient: &str, resource: &str, rule: &str) -> EventBody {
    let used = ResourceUse {
        reference: reference("Observation", resource),
        version: Some("3".to_owned()),
        digest: None,
        labels: Vec::new(),
        redactions: Vec::new(),
    };
    EventBody::Disclosure(Disclosure {
        request,
        window: 0,
        patient: reference("Patient", patient),
        resources: vec![used],
        consents: Vec::new(),
        rule: Some(rule.to_owned()),
    })
}

fn denied(request: EventId, resources: u64) -> EventBody {
    let (patient, rule) = (reference("Patient", "closed"), "consent-deny".to_owned());
    EventBody::Denial(Denial { request, window: 0, patient, resources, rule, consents: Vec::new() })
}

/// A record that follows the request of this id.
type Part = fn(EventId) -> EventBody;

/// A journal of these accesses: line, event, and the parts that follow.
struct Kept {
    folder: tempfile::TempDir,
}

impl Kept {
    fn settings(&self) -> Settings {
        Settings::new(self.folder.path().join("journal.db"), TenantId::new("t").unwrap())
    }

    fn key(&self) -> KeyEncryptionKey {
        KeyEncryptionKey::read(&self.folder.path().join("kek")).unwrap()
    }

    async fn of(accesses: Vec<(&str, RequestEvent, Vec<Part>)>) -> Self {
        let kept = Self { folder: tempfile::tempdir().unwrap() };
        KeyEncryptionKey::create(&kept.folder.path().join("kek")).unwrap();
        let (journal, _) = Journal::open(kept.settings(), kept.key()).unwrap();
        for (line, event, parts) in accesses {
            let id = clock::event_id();
            let at = Timestamp::from_date(clock::now()).unwrap();
            let body = EventBody::Request(Box::new(event));
            let mut batch =
                vec![Entry { event: AccessEvent { id, at, body }, query: Some(SecretString::from(line.to_owned())) }];
            batch.extend(
                parts.iter().map(|part| Entry::from(AccessEvent { id: clock::event_id(), at, body: part(id) })),
            );
            journal.record(batch).await.unwrap();
        }
        journal.close().await.unwrap();
        kept
    }

    /// The accesses that are read of it.
    fn read(&self) -> Vec<Recorded> {
        let archive = Archive::open(&self.settings(), self.key()).unwrap();
        let records = archive.follow(0, 1000).unwrap();
        let openings = records.into_iter().filter_map(|record| record.opening);
        openings.filter_map(|o| Recorded::of(&o, || archive.of_request(o.event.id)).unwrap()).collect()
    }
}

#[actix_web::test]
async fn an_access_is_what_its_records_say() {
    let permit = |interaction| request(interaction, Decision::Permit, &[]);
    let refuse = |interaction, rule| request(interaction, Decision::Refuse, &[rule]);
    let own: Part = |id| disclosed(id, "open", "a", "own-record");
    let implicit: Part = |id| disclosed(id, "open", "a", "implicit-basic-normal");
    let (one, four): (Part, Part) = (|id| denied(id, 1), |id| denied(id, 4));
    let kept = Kept::of(vec![
        ("GET /Observation/a?", permit("read"), vec![own]),
        ("GET /Observation/hidden?", permit("read"), vec![one]),
        ("GET /Observation?code=x", permit("search-type"), vec![implicit, four]),
        ("DELETE /Observation/a?", refuse("delete", "scope-missing"), Vec::new()),
        ("GET /Observation/a?", refuse("read", "organisation-policy"), Vec::new()),
    ])
    .await;
    let read = kept.read();
    let [own, hidden, search, scope, organisation] = read.as_slice() else { panic!("{} accesses", read.len()) };

    assert_eq!(own.disclosed, [("Observation/a".to_owned(), Some("3".to_owned()))].into());
    assert_eq!((own.action, own.caller.fhir_user.clone()), (Action::Read, Some(ActorRef::reference("Patient/open"))));
    assert_eq!(own.caller.organization, Some(ActorRef::reference("Organization/north")));
    assert!(own.not_replayed.is_empty());

    assert_eq!(hidden.withheld.as_deref(), Some("Observation/hidden"));
    assert!(hidden.disclosed.is_empty() && hidden.not_replayed.is_empty());

    assert_eq!((search.action, &search.withheld), (Action::Search, &None));
    assert_eq!(search.caller.fhir_user, None, "another's record is nobody's own");
    assert_eq!(search.not_replayed, [(NotReplayed::NotNamed, 4)].into());

    assert_eq!(scope.not_replayed, [(NotReplayed::RefusedBefore, 1)].into());
    assert!(organisation.not_replayed.is_empty());
}

#[actix_web::test]
async fn what_was_erased_is_said_to_be() {
    let own: Part = |id| disclosed(id, "open", "a", "own-record");
    let event = request("read", Decision::Permit, &[]);
    let kept = Kept::of(vec![("GET /Observation/a?", event, vec![own])]).await;
    let file = rusqlite::Connection::open(kept.settings().path).unwrap();
    file.execute("DELETE FROM subject_key", []).unwrap();
    let read = kept.read();
    let [access] = read.as_slice() else { panic!("{} accesses", read.len()) };
    assert!(access.disclosed.is_empty());
    assert_eq!(access.not_replayed, [(NotReplayed::Erased, 1)].into());
}
