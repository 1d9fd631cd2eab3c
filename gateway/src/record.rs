//! Record: the one exit. Whatever becomes of a request passes here once, and only what was recorded can be answered.
//!
//! INVARIANT 1 (docs/ARCHITECTURE.md): no byte that discloses anything leaves before the events that say so are
//! durable. [`Recorded`] has private fields and is made in this file only, each time from the journal's own token of
//! durability, or from the counter for what discloses nothing and has no caller (EVIDENCE.md 1).

mod windows;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use evidence::event::{
    AccessEvent, BreakGlass, Caller as EventCaller, Coding as EventCoding, Counts, Decision, End, EventBody,
    HeartbeatCounters, Outcome as OutcomeEvent, Phase, Reason as EventReason, Request as RequestEvent, Universal,
};
use evidence::ids::{EventId, Hash, Timestamp};
use futures_util::stream::LocalBoxStream;
use gateway_core::caller::Caller;
use gateway_core::purpose;
use secrecy::SecretString;

use crate::clock;
use crate::counted::Counted;
use crate::filter::{BREAK_GLASS_GRANTED, Window};
use crate::glass::{Claimed, Lent, event_coding};
use crate::journal::{Durable, Entry, Journal, JournalError};
use crate::outcome::{Answer, Outcome};
use crate::problem::Problem;
use crate::tally::Tally;
use crate::telemetry::{DecisionOutcome, Metrics, Traced};
use windows::{Release, stream};

/// One access: what its events and its answer have in common.
#[derive(Clone, Debug)]
pub struct Access {
    /// Id of the request event and `X-Request-Id` of the answer.
    pub id: EventId,
    /// The trace that the request belongs to.
    pub trace_id: Option<String>,
    /// Whether the client can take an answer in several windows (HTTP/1.0 cannot).
    pub can_stream: bool,
}

/// Who asked for what, as far as the request event says it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The verified caller.
    pub caller: Arc<Caller>,
    /// Emergency access that the caller holds.
    pub lent: Lent,
    /// The digest of the rules that it is decided by.
    pub policy_digest: Hash,
    /// FHIR's code of the interaction.
    pub interaction: &'static str,
    /// The resource type.
    pub resource_type: Option<String>,
    /// The query in the clear; the journal seals it under the event's own key.
    pub query: Option<String>,
}

impl Asked {
    /// The same by a caller whose grants do not count.
    pub fn without_grants(&self) -> Self {
        let caller = Arc::new(Caller { break_glass: BTreeSet::new(), ..Caller::clone(&self.caller) });
        Self { caller, lent: Lent::default(), ..self.clone() }
    }

    /// What paging links of its answer are bound to: the rules that it is decided by, and the grants that the caller holds.
    pub fn epoch(&self) -> String {
        match self.lent.is_empty() {
            true => self.policy_digest.to_string(),
            false => format!("{} {}", self.policy_digest, self.lent.ids()),
        }
    }
}

/// An outcome whose record is durable. Only this can become a response.
pub struct Recorded {
    request: EventId,
    answer: Answer,
    body: RecordedBody,
}

/// The body of a recorded outcome.
pub enum RecordedBody {
    /// All of it.
    Whole(Bytes),
    /// Window after window; each is recorded before it is yielded. An error means: abort the connection.
    Windows(LocalBoxStream<'static, Result<Bytes, Aborted>>),
}

/// The answer cannot be continued; what was sent must not look complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer was aborted")]
pub struct Aborted;

impl Recorded {
    /// What to answer: request id, head, body.
    pub(crate) fn into_parts(self) -> (EventId, Answer, RecordedBody) {
        (self.request, self.answer, self.body)
    }
}

/// Proof that the intent of a write is on record; forwarding a write needs it.
#[derive(Clone, Debug)]
pub struct Intended {
    _durable: Arc<Durable>,
}

/// Writes events; cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    journal: Journal,
    counted: Arc<Counted>,
    tally: Arc<Tally>,
    metrics: Arc<Metrics>,
    traced: Arc<Traced>,
}

impl Recorder {
    /// A recorder into `journal`.
    pub fn new(journal: Journal, counted: Arc<Counted>, metrics: Arc<Metrics>) -> Self {
        Self { journal, counted, tally: Arc::default(), metrics, traced: Arc::default() }
    }

    /// Which traces the records belong to, for the shipper.
    pub(crate) fn traced(&self) -> Arc<Traced> {
        Arc::clone(&self.traced)
    }

    /// The journal.
    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Requests without a caller.
    pub(crate) fn counted(&self) -> &Counted {
        &self.counted
    }

    /// What the gateway did since it started.
    pub(crate) fn counters(&self) -> HeartbeatCounters {
        self.tally.read(self.journal.statistics().records)
    }

    /// Records what became of a request without a caller: it is counted by reason, and discloses nothing.
    pub fn count(&self, access: &Access, answer: Answer, body: Bytes, reason: &str) -> Recorded {
        self.counted.add(reason);
        self.tally.refused(body.len());
        Recorded { request: access.id, answer, body: RecordedBody::Whole(body) }
    }

    /// Records that no caller could be established.
    pub fn turn_away(&self, access: &Access, problem: &Problem) -> Recorded {
        if let Problem::Unauthenticated(error) = problem {
            self.metrics.unauthenticated(error.rule());
        }
        let told = problem.told();
        let (answer, body) = Answer::told(&told);
        self.count(access, answer, body, &told.rule)
    }

    /// Records the outcome of an authenticated request. What cannot be recorded becomes a 503 that discloses nothing.
    pub async fn record(&self, access: &Access, asked: &Asked, outcome: Outcome) -> Recorded {
        match self.try_record(access, asked, outcome).await {
            Ok(recorded) => recorded,
            Err(problem) => {
                tracing::error!(request = %access.id, problem = %problem, "not recorded, not released");
                let told = problem.told();
                let (answer, body) = Answer::told(&told);
                self.count(access, answer, body, &told.rule)
            }
        }
    }

    /// Puts the intent of a write on record before it is forwarded.
    pub async fn intend(&self, access: &Access, asked: &Asked) -> Result<Intended, Problem> {
        self.intend_all(&[(access, asked)]).await
    }

    /// Puts the intents of writes that are forwarded together on record, all or none.
    pub async fn intend_all(&self, writes: &[(&Access, &Asked)]) -> Result<Intended, Problem> {
        let intent = |(access, asked): &(&Access, &Asked)| {
            let event = self.request_event(asked, access, Phase::Intent, Decision::Permit, Vec::new());
            entry(access.id, EventBody::Request(Box::new(event)), asked.query.clone())
        };
        let entries = writes.iter().map(intent).collect::<Result<Vec<_>, _>>()?;
        Ok(Intended { _durable: Arc::new(self.write(entries).await?) })
    }

    async fn try_record(&self, access: &Access, asked: &Asked, outcome: Outcome) -> Result<Recorded, Problem> {
        match outcome {
            Outcome::Refused { problem, denied } => self.refused(access, asked, &problem, denied.as_deref()).await,
            Outcome::Whole { answer, window } => {
                self.begin(access, asked, Phase::Whole, &answer, &window).await?;
                self.permitted(window.counts());
                Ok(whole(access, answer, *window))
            }
            Outcome::Windows { answer, first, rest } => {
                if !access.can_stream {
                    let problem = Problem::Refused {
                        rule: "http-1-0",
                        sentence: "This answer is sent in parts, which HTTP/1.0 cannot carry: use HTTP/1.1.".to_owned(),
                    };
                    return self.refused(access, asked, &problem, None).await;
                }
                self.begin(access, asked, Phase::Opened, &answer, &first).await?;
                self.permitted(first.counts());
                let release = Release::new(self.clone(), access.id, answer.status, &first);
                let body = stream(first, *rest, release);
                Ok(Recorded { request: access.id, answer, body: RecordedBody::Windows(body) })
            }
            Outcome::Granted { answer, window, claimed } => {
                self.granted(access, asked, answer, *window, *claimed).await
            }
            Outcome::Written { answer, window, end, intended: _ } => {
                let mut entries = window_entries(access.id, 0, &window)?;
                entries.push(outcome_entry(access.id, end, Some(answer.status), 1, window.counts())?);
                self.write(entries).await?;
                self.permitted(window.counts());
                Ok(whole(access, answer, *window))
            }
        }
    }

    /// The request event and the first window's events, in one batch.
    async fn begin(
        &self,
        access: &Access,
        asked: &Asked,
        phase: Phase,
        answer: &Answer,
        window: &Window,
    ) -> Result<Durable, Problem> {
        let mut event = self.request_event(asked, access, phase, Decision::Permit, Vec::new());
        event.status = Some(answer.status);
        event.universal = window.universal().to_vec();
        event.counts = window.counts();
        let mut entries = vec![entry(access.id, EventBody::Request(Box::new(event)), asked.query.clone())?];
        for body in window.events(access.id, 0).map_err(|_| Problem::Unrecordable("not-recordable"))? {
            entries.push(entry(clock::event_id(), body, None)?);
        }
        self.write(entries).await
    }

    async fn refused(
        &self,
        access: &Access,
        asked: &Asked,
        problem: &Problem,
        denied: Option<&Window>,
    ) -> Result<Recorded, Problem> {
        tracing::info!(request = %access.id, problem = %problem, "refused");
        let told = problem.told();
        // What consent hides is let through by every rule that looks at no data, and leaves no reason here.
        let (decision, reasons) = match matches!(problem, Problem::Absent | Problem::Suppressed) {
            true => (Decision::Permit, Vec::new()),
            false => (Decision::Refuse, vec![EventReason { rule: told.rule.clone(), detail: None }]),
        };
        let mut event = self.request_event(asked, access, Phase::Whole, decision, reasons);
        event.status = Some(told.status);
        let mut entries = vec![entry(access.id, EventBody::Request(Box::new(event)), asked.query.clone())?];
        if let Some(window) = denied {
            entries.extend(window_entries(access.id, 0, window)?);
        }
        self.write(entries).await?;
        let (answer, body) = Answer::told(&told);
        self.tally.refused(body.len());
        if denied.is_some() {
            self.metrics.decision(DecisionOutcome::Hide, "consent");
        } else if let Problem::Refused { rule, .. } = problem {
            self.metrics.decision(DecisionOutcome::Refuse, rule);
        } else if let Problem::Uninterpretable(refusal) = problem {
            self.metrics.decision(DecisionOutcome::Refuse, refusal.code());
        }
        Ok(Recorded { request: access.id, answer, body: RecordedBody::Whole(body) })
    }

    /// Records a claim and stores its grant in one; only then it counts.
    async fn granted(
        &self,
        access: &Access,
        asked: &Asked,
        answer: Answer,
        window: Window,
        claimed: Claimed,
    ) -> Result<Recorded, Problem> {
        let (grant, claim) = (claimed.grant(), claimed.claim());
        let until = Timestamp::from_date(grant.until).map_err(|_| Problem::Unrecordable("clock"))?;
        let reason = EventReason { rule: BREAK_GLASS_GRANTED.to_owned(), detail: Some(format!("until {until}")) };
        let mut event = self.request_event(asked, access, Phase::Whole, Decision::Permit, vec![reason]);
        event.purpose = asked.caller.breaking_glass().purposes.iter().map(event_coding).collect();
        event.break_glass = Some(BreakGlass { grant: grant.id.to_string(), reason: Some(event_coding(&claim.reason)) });
        event.status = Some(answer.status);
        event.counts = window.counts();
        // Words may name somebody: they stand sealed, beside the query.
        let query = format!("{} {}", asked.query.as_deref().unwrap_or_default(), claim.justification);
        let mut entries = vec![entry(access.id, EventBody::Request(Box::new(event)), Some(query))?];
        entries.extend(window_entries(access.id, 0, &window)?);
        let kinds: Vec<&'static str> = entries.iter().map(|entry| entry.event.kind()).collect();
        self.written(&kinds, self.journal.grant(entries, claimed.stored()).await)?;
        // CRASH: what is stored and not yet in force here is in force at the next start, on record and with the same end.
        tracing::warn!(grant = %grant.id, "the glass was broken: emergency access is granted and waits for its review");
        claimed.take_effect();
        self.metrics.glass_claim(true);
        self.permitted(window.counts());
        Ok(whole(access, answer, window))
    }

    fn request_event(
        &self,
        asked: &Asked,
        access: &Access,
        phase: Phase,
        decision: Decision,
        reasons: Vec<EventReason>,
    ) -> RequestEvent {
        let caller = &asked.caller;
        let roles = caller.roles.iter().map(|code| EventCoding { system: None, code: code.clone() });
        // Whoever holds a grant asks to break the glass too, whatever comes of it.
        let breaks = (!asked.lent.is_empty()).then(|| purpose::coding(purpose::BTG));
        let breaks = breaks.filter(|breaks| !caller.purposes.contains(breaks));
        let purpose = caller.purposes.iter().chain(&breaks).map(event_coding);
        RequestEvent {
            phase,
            caller: EventCaller {
                issuer: caller.issuer.clone(),
                subject: caller.subject.clone(),
                client: caller.client.clone(),
                organization: caller.organization.as_ref().map(ToString::to_string),
                roles: roles.collect(),
                token_id: caller.token_id.clone(),
            },
            purpose: purpose.collect(),
            break_glass: asked.lent.event(),
            interaction: asked.interaction.to_owned(),
            resource_type: asked.resource_type.clone(),
            decision,
            reasons,
            policy_digest: asked.policy_digest,
            status: None,
            counts: Counts::default(),
            universal: Vec::new(),
            query_sealed: None,
            trace_id: access.trace_id.clone(),
        }
    }

    fn permitted(&self, counts: Counts) {
        self.tally.permitted(counts);
        self.metrics.released(counts.bytes);
        self.metrics.redactions(counts.redactions);
        let outcome = if counts.redactions > 0 { DecisionOutcome::Redact } else { DecisionOutcome::Permit };
        self.metrics.decision(outcome, "none");
    }

    async fn write(&self, entries: Vec<Entry>) -> Result<Durable, Problem> {
        let kinds: Vec<&'static str> = entries.iter().map(|entry| entry.event.kind()).collect();
        self.written(&kinds, self.journal.record(entries).await)
    }

    /// Counts what was written, and tells what was not as a problem of the request.
    fn written(&self, kinds: &[&'static str], written: Result<Durable, JournalError>) -> Result<Durable, Problem> {
        if let Ok(durable) = &written {
            self.traced.note(durable.records().iter().map(|record| (record.place.epoch, record.place.sequence)));
        }
        if written.is_ok() {
            kinds.iter().copied().for_each(|kind| self.metrics.events(kind, 1));
        }
        written.map_err(|error| {
            tracing::error!(%error, "the journal refused");
            let full = matches!(error, JournalError::Full(_));
            Problem::Unrecordable(if full { "journal-full" } else { "journal-unavailable" })
        })
    }
}

fn whole(access: &Access, answer: Answer, window: Window) -> Recorded {
    Recorded { request: access.id, answer, body: RecordedBody::Whole(window.bytes.into()) }
}

fn entry(id: EventId, body: EventBody, query: Option<String>) -> Result<Entry, Problem> {
    let at = Timestamp::from_date(clock::now()).map_err(|_| Problem::Unrecordable("clock"))?;
    Ok(Entry { event: AccessEvent { id, at, body }, query: query.map(SecretString::from) })
}

/// A later window's events; its resources without an owner stand in an event of their own, since the request event is
/// durable already.
fn window_entries(request: EventId, index: u32, window: &Window) -> Result<Vec<Entry>, Problem> {
    let mut bodies = window.events(request, index).map_err(|_| Problem::Unrecordable("not-recordable"))?;
    if !window.universal().is_empty() {
        bodies.push(EventBody::Universal(Universal { request, window: index, resources: window.universal().to_vec() }));
    }
    bodies.into_iter().map(|body| entry(clock::event_id(), body, None)).collect()
}

fn outcome_entry(
    request: EventId,
    end: End,
    status: Option<u16>,
    windows: u32,
    counts: Counts,
) -> Result<Entry, Problem> {
    let body = EventBody::Outcome(OutcomeEvent { request, end, status, windows, counts });
    entry(clock::event_id(), body, None)
}
