//! Journals and events for the tests of the durable record.

use std::path::Path;

use evidence::event::{
    AccessEvent, Caller, Counts, Decision, Disclosure, End, EventBody, Outcome, Phase, Reference, Request, ResourceUse,
};
use evidence::ids::{EventId, Hash, TenantId, Timestamp};
use fhir_gateway::clock;
use fhir_gateway::journal::{Entry, Journal, OpenError, OpenReport, Settings};
use fhir_gateway::keys::KeyEncryptionKey;
use zeroize::Zeroizing;

pub(crate) fn kek(byte: u8) -> KeyEncryptionKey {
    KeyEncryptionKey::new(Zeroizing::new([byte; 32])).unwrap()
}

pub(crate) fn settings(directory: &Path) -> Settings {
    Settings::new(directory.join("journal.db"), TenantId::new("hospital").unwrap())
}

pub(crate) fn open(directory: &Path) -> Result<(Journal, OpenReport), OpenError> {
    Journal::open(settings(directory), kek(7))
}

fn event(body: EventBody) -> AccessEvent {
    AccessEvent { id: clock::event_id(), at: Timestamp::from_date(clock::now()).unwrap(), body }
}

pub(crate) fn request(phase: Phase) -> AccessEvent {
    event(EventBody::Request(Box::new(Request {
        phase,
        caller: Caller {
            issuer: "https://issuer.example".to_owned(),
            subject: "practitioner-1".to_owned(),
            client: Some("ehr".to_owned()),
            organization: None,
            roles: Vec::new(),
            token_id: None,
        },
        purpose: Vec::new(),
        break_glass: None,
        interaction: "read".to_owned(),
        resource_type: Some("Observation".to_owned()),
        decision: Decision::Permit,
        reasons: Vec::new(),
        policy_digest: Hash::new([1; 32]),
        status: Some(200),
        counts: Counts::default(),
        universal: Vec::new(),
        query_sealed: None,
        trace_id: None,
    })))
}

pub(crate) fn disclosure(request: EventId, window: u32, patient: &str) -> AccessEvent {
    event(EventBody::Disclosure(Disclosure {
        request,
        window,
        patient: Reference::new("Patient", patient).unwrap(),
        resources: vec![ResourceUse {
            reference: Reference::new("Observation", "o1").unwrap(),
            version: Some("3".to_owned()),
            digest: None,
            labels: Vec::new(),
            redactions: Vec::new(),
        }],
        consents: Vec::new(),
        rule: Some("implicit-normal".to_owned()),
    }))
}

#[allow(dead_code, reason = "not every test closes requests")]
pub(crate) fn outcome(request: EventId) -> AccessEvent {
    event(EventBody::Outcome(Outcome {
        request,
        end: End::Complete,
        status: Some(200),
        windows: 1,
        counts: Counts::default(),
    }))
}

/// A read that was permitted, with one patient's disclosure.
pub(crate) fn read(patient: &str) -> Vec<Entry> {
    let request = request(Phase::Whole);
    let disclosure = disclosure(request.id, 0, patient);
    vec![request.into(), disclosure.into()]
}
