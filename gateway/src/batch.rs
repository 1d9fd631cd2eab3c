//! Batch and transaction: a Bundle of interactions (FHIR R4 §3.1.0.11; ADR 0010, 0049).
//!
//! Each entry is a request of its own: it is decided on its own, has an event of its own, and what it discloses or writes
//! is on record before the answer leaves. `entry` reads entries, `answer` puts their answers together.

mod answer;
mod entry;

use std::time::Instant;

use gateway_core::interaction::Interaction;
use gateway_core::json::Doc;

use answer::Answers;
pub use entry::{Entry, Rank};

use crate::clock;
use crate::gate::Gate;
use crate::head::Head;
use crate::outcome::Outcome;
use crate::problem::Problem;
use crate::record::{Access, Asked};
use crate::write::Carried;

/// An entry with the record that it will have; what cannot be read of it is its refusal.
pub struct Request {
    /// Its access.
    pub access: Access,
    /// Who asked for what.
    pub asked: Asked,
    /// What it asks for.
    pub entry: Result<Entry, Problem>,
}

/// Whether this body is a transaction; anything else is answered as a batch, and refused there where it is none.
pub fn is_transaction(body: &[u8]) -> bool {
    Doc::parse(body).is_ok_and(|doc| doc.root().str_at("type").as_deref() == Some("transaction"))
}

/// The entries of a Bundle of that type, in its order.
///
/// # Errors
/// Where it is none, or has more entries than are taken.
pub fn requests(
    gate: &Gate,
    access: &Access,
    asked: &Asked,
    head: &Head,
    (body, kind): (&[u8], &str),
) -> Result<Vec<Request>, Problem> {
    head.no_precondition()?;
    let bad = |status, rule, sentence: &str| Problem::BadBody { status, rule, sentence: sentence.to_owned() };
    let doc = Doc::parse(body).map_err(|error| {
        bad(400, "body-malformed", &format!("The body is not acceptable JSON ({error}): nothing was written."))
    })?;
    let bundle = doc.root();
    if bundle.str_at("resourceType").as_deref() != Some("Bundle") || bundle.str_at("type").as_deref() != Some(kind) {
        return Err(bad(
            400,
            "bundle-type",
            "The body is no Bundle of type batch or transaction: nothing was written.",
        ));
    }
    let entries: Vec<_> = bundle.get("entry").into_iter().flat_map(|list| list.items().collect::<Vec<_>>()).collect();
    if entries.len() > gate.shared.limits.batch_entries {
        return Err(bad(
            413,
            "too-many-entries",
            "The Bundle has more entries than this gateway takes: nothing was written.",
        ));
    }
    let read = |(index, value): (usize, &gateway_core::json::Value<'_>)| {
        let entry = Entry::read(*value, &gate.shared.bases, head, gate.shared.limits.query);
        let interaction = entry.as_ref().ok().map(|entry| &entry.interaction);
        let line = entry.as_ref().map_or_else(|_| "not readable".to_owned(), |entry| entry.line.clone());
        Request {
            access: Access { id: clock::event_id(), trace_id: access.trace_id.clone(), can_stream: true },
            asked: Asked {
                caller: asked.caller.clone(),
                lent: asked.lent.clone(),
                policy_digest: asked.policy_digest,
                interaction: interaction.map_or("unknown", Interaction::code),
                resource_type: interaction.and_then(Interaction::resource_type).map(|rtype| rtype.as_str().to_owned()),
                query: Some(format!("{line} (entry {index} of {kind} {})", access.id)),
            },
            entry,
        }
    };
    Ok(entries.iter().enumerate().map(read).collect())
}

/// Answers a batch: each entry by `serve`, in FHIR's order of processing, each recorded when it is answered.
///
/// # Errors
/// Where it is no batch; of an entry nothing is an error of the batch.
pub async fn batch(
    gate: &Gate,
    access: &Access,
    asked: &Asked,
    (head, body): (&Head, &[u8]),
    serve: impl AsyncFn(&Access, &Asked, Entry) -> Result<Outcome, Problem>,
) -> Result<Outcome, Problem> {
    let begun = Instant::now();
    let mut requests: Vec<(usize, Request)> =
        requests(gate, access, asked, head, (body, "batch"))?.into_iter().enumerate().collect();
    let mut answers = Answers::new(&gate.shared, requests.len());
    // The order is told by the ranks; entries of one rank keep theirs.
    requests.sort_by_key(|(_, request)| request.entry.as_ref().map(Entry::rank).unwrap_or_default());
    for (at, Request { access, asked, entry }) in requests {
        let outcome = match entry {
            Err(problem) => Err(problem),
            // What has not begun by then would be begun for nobody.
            Ok(_) if begun.elapsed() > gate.shared.limits.request_timeout => {
                Err(Problem::Overloaded("request-timeout"))
            }
            Ok(entry) => serve(&access, &asked, entry).await,
        };
        let outcome = outcome.unwrap_or_else(Outcome::from);
        let recorded = gate.shared.recorder.record(&access, &asked, outcome).await;
        answers.take(at, recorded).await;
    }
    Ok(answers.bundle("batch-response"))
}

/// Answers a transaction that was carried out: each entry is recorded as it ended.
///
/// # Errors
/// Where it is not known how it ended, or that nothing was written.
pub async fn carried_out(gate: &Gate, Carried { entries, problem }: Carried) -> Result<Outcome, Problem> {
    let mut answers = Answers::new(&gate.shared, entries.len());
    for (at, (access, asked, outcome)) in entries.into_iter().enumerate() {
        answers.take(at, gate.shared.recorder.record(&access, &asked, outcome).await).await;
    }
    problem.map_or_else(|| Ok(answers.bundle("transaction-response")), Err)
}
