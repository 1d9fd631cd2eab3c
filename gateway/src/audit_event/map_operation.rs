//! What the gateway and its operator did, in FHIR's terms.

use evidence::event::EventBody;
use fhir_profiles::audit_event::{OperationKind, Statement};

/// The statement of an event that belongs to no request; nothing for the kinds that have none.
pub(super) fn statement(body: &EventBody) -> Option<Statement> {
    let (kind, by, details): (_, Option<&str>, Vec<(&str, String)>) = match body {
        EventBody::Unauthenticated(counted) => {
            let counts = counted.reasons.iter().map(|(reason, count)| (reason.as_str(), count.to_string()));
            let minute = std::iter::once(("minute", counted.minute.to_string()));
            (OperationKind::Unauthenticated, None, minute.chain(counts).collect())
        }
        EventBody::PolicyChange(change) => {
            let policy = std::iter::once(("policy", change.policy_digest.to_string()));
            let previous = change.previous.iter().map(|digest| ("previous", digest.to_string()));
            (OperationKind::PolicyChange, change.by.as_deref(), policy.chain(previous).collect())
        }
        EventBody::AuditRead(read) => {
            let what = std::iter::once(("what", read.what.clone()));
            let request = read.request.iter().map(|request| ("request", request.to_string()));
            (OperationKind::AuditRead, Some(read.by.as_str()), what.chain(request).collect())
        }
        EventBody::Erasure(erasure) => {
            let details = vec![("basis", erasure.basis.clone()), ("events", erasure.events.to_string())];
            (OperationKind::Erasure, Some(erasure.by.as_str()), details)
        }
        EventBody::Review(review) => {
            let details = vec![
                ("from", review.from.to_string()),
                ("to", review.to.to_string()),
                ("finding", review.finding.clone()),
            ];
            (OperationKind::Review, Some(review.by.as_str()), details)
        }
        EventBody::EpochClosed(closed) => {
            let details = vec![
                ("source", closed.source.to_string()),
                ("epoch", closed.epoch.to_string()),
                ("events", closed.events.to_string()),
            ];
            (OperationKind::EpochClosed, None, details)
        }
        EventBody::Request(_)
        | EventBody::Outcome(_)
        | EventBody::Disclosure(_)
        | EventBody::Denial(_)
        | EventBody::Universal(_)
        | EventBody::Start(_)
        | EventBody::Stop(_)
        | EventBody::Heartbeat(_) => return None,
    };
    let details = details.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Some(Statement::Operation { kind, succeeded: succeeded(body), by: by.map(str::to_owned), details })
}

/// Requests without a caller are refusals, unless all of the minute asked for public documents only.
fn succeeded(body: &EventBody) -> bool {
    let EventBody::Unauthenticated(counted) = body else { return true };
    counted.reasons.keys().all(|reason| matches!(reason.as_str(), "metadata" | "smart-configuration"))
}
