//! Access events to map and to feed.

use evidence::event::*;
use evidence::ids::{Epoch, EventId, Hash, SourceId, Timestamp};

use crate::clock;

pub(super) fn event(body: EventBody) -> AccessEvent {
    AccessEvent { id: clock::event_id(), at: Timestamp::from_date(clock::now()).unwrap(), body }
}

pub(super) fn asked(interaction: &str, phase: Phase) -> Request {
    Request {
        phase,
        caller: Caller {
            issuer: "https://issuer.example".to_owned(),
            subject: "dr-voss".to_owned(),
            client: Some("ward-app".to_owned()),
            organization: Some("Organization/north".to_owned()),
            roles: vec![Coding { system: None, code: "physician".to_owned() }],
            token_id: Some("t1".to_owned()),
        },
        purpose: vec![Coding { system: Some("urn:purpose".to_owned()), code: "TREAT".to_owned() }],
        break_glass: None,
        interaction: interaction.to_owned(),
        resource_type: Some("Observation".to_owned()),
        decision: Decision::Permit,
        reasons: Vec::new(),
        policy_digest: Hash::new([1; 32]),
        status: match phase {
            Phase::Intent => None,
            Phase::Whole | Phase::Opened => Some(200),
        },
        counts: Counts::default(),
        universal: Vec::new(),
        query_sealed: None,
        trace_id: None,
    }
}

pub(super) fn request(request: Request) -> AccessEvent {
    event(EventBody::Request(Box::new(request)))
}

pub(super) fn used(id: &str) -> ResourceUse {
    ResourceUse {
        reference: Reference::new("Observation", id).unwrap(),
        version: Some("3".to_owned()),
        digest: None,
        labels: vec![Coding { system: Some("urn:labels".to_owned()), code: "R".to_owned() }],
        redactions: Vec::new(),
    }
}

pub(super) fn consents() -> Vec<ConsentUse> {
    vec![ConsentUse { consent: "Consent/c/_history/2".parse().unwrap(), provision: "provision".to_owned() }]
}

pub(super) fn disclosed(request: EventId, patient: &str, resources: Vec<ResourceUse>) -> Disclosure {
    Disclosure {
        request,
        window: 0,
        patient: Reference::new("Patient", patient).unwrap(),
        resources,
        consents: Vec::new(),
        rule: Some("consent-permit own-record".to_owned()),
    }
}

pub(super) fn denied(request: EventId, patient: &str) -> Denial {
    Denial {
        request,
        window: 0,
        patient: Reference::new("Patient", patient).unwrap(),
        resources: 2,
        rule: "consent-deny".to_owned(),
        consents: consents(),
    }
}

pub(super) fn ended(request: EventId, end: End, status: Option<u16>) -> Outcome {
    Outcome { request, end, status, windows: 1, counts: Counts::default() }
}

/// One event of each kind that belongs to no request.
pub(super) fn operations() -> Vec<EventBody> {
    let at = Timestamp::from_date(clock::now()).unwrap();
    let hash = Hash::new([2; 32]);
    let by = || "admin".to_owned();
    vec![
        EventBody::Unauthenticated(Unauthenticated { minute: at, reasons: [("token-expired".to_owned(), 3)].into() }),
        EventBody::PolicyChange(PolicyChange { policy_digest: hash, previous: Some(hash), by: None }),
        EventBody::AuditRead(AuditRead { by: by(), what: "openings".to_owned(), request: None }),
        EventBody::Erasure(Erasure { by: by(), basis: "article 17".to_owned(), events: 7 }),
        EventBody::Review(Review { by: by(), from: at, to: at, finding: "none".to_owned() }),
        EventBody::EpochClosed(EpochClosed { source: SourceId::new([3; 16]), epoch: Epoch::new(1), events: 9 }),
    ]
}

/// One event of each kind that has no AuditEvent.
pub(super) fn silent() -> Vec<EventBody> {
    let hash = Hash::new([2; 32]);
    vec![
        EventBody::Start(Start {
            version: "1".to_owned(),
            image_digest: None,
            config_digest: hash,
            policy_digest: hash,
            clock_offset_ms: None,
        }),
        EventBody::Stop(Stop {}),
        EventBody::Heartbeat(Heartbeat { counters: HeartbeatCounters::default() }),
    ]
}
