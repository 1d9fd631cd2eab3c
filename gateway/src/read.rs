//! Read and vread: one resource.

use gateway_core::decide::{Action, Permit};
use gateway_core::facts::ResourceFacts;
use gateway_core::json::Doc;
use gateway_core::resource_type::ResourceType;
use sha2::{Digest as _, Sha256};

use crate::filter::{Judge, Judged, Shown, Window};
use crate::forward::{UpstreamError, UpstreamRequest};
use crate::gate::Gate;
use crate::outcome::{Answer, Outcome};
use crate::problem::Problem;

/// Which resource, and on what condition.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The type.
    pub rtype: ResourceType,
    /// The id.
    pub id: String,
    /// The version, for a vread.
    pub version: Option<String>,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
    /// The trace to pass on.
    pub traceparent: Option<String>,
}

/// Reads one resource. Absent, deleted and hidden answer alike (ADR 0001).
pub async fn read(gate: &Gate, judge: &Judge, permit: &Permit, wanted: &Wanted) -> Result<Outcome, Problem> {
    let Wanted { rtype, id, version, .. } = wanted;
    let mut window = Box::new(Window::only());
    // Before the version is asked for: whatever the upstream answers to a version that it cannot give, it answers so only
    // where there is such a resource.
    let current = match version {
        Some(_) => match current_facts(gate, judge, &format!("{rtype}/{id}")).await {
            Err(Problem::Upstream(UpstreamError::TooLarge)) => {
                return Ok(too_large(judge, &format!("{rtype}/{id}")).await);
            }
            facts => Some(facts?),
        },
        None => None,
    };
    if let Some(current) = &current {
        let rulings = judge.decide_all(&[(current, Action::Read)]).await?;
        if let Some(ruling) = rulings.iter().find(|ruling| !ruling.permits()) {
            window.deny(&ruling.refusing_owners(), &ruling.reasons());
            return Ok(Outcome::Refused { problem: Problem::Absent, denied: Some(window) });
        }
    }
    let target = match version {
        None => format!("{rtype}/{id}"),
        Some(version) => format!("{rtype}/{id}/_history/{version}"),
    };
    let request = UpstreamRequest { traceparent: wanted.traceparent.clone(), ..UpstreamRequest::get(target) };
    let answer = gate.upstream.forward(permit, request).await?;
    match answer.status {
        200 => {}
        // 400: HAPI's answer to an id or version that it could never have given.
        400 | 404 | 410 => return Err(Problem::Absent),
        status => return Err(Problem::UpstreamRefused { status }),
    }
    let (etag, last_modified) = (answer.etag.clone(), answer.last_modified.clone());
    let body = match answer.into_json_bytes(gate.shared.limits.entry).await {
        Err(UpstreamError::TooLarge) => return Ok(too_large(judge, &format!("{rtype}/{id}")).await),
        body => body?,
    };
    let doc = Doc::parse(&body).map_err(|_| Problem::Unfilterable("upstream-malformed-resource"))?;
    let mut subject = judge.subject(&body, doc.root(), Action::Read)?;
    if let Some(current) = &current {
        subject.facts.security.extend(current.security.iter().cloned());
        subject.facts.inline_labels.extend(current.inline_labels.iter().cloned());
    }
    let facts = &subject.facts;
    let other_version = version.is_some() && facts.version.is_some() && facts.version != *version;
    if facts.resource_type != *rtype || facts.id.as_deref() != Some(id.as_str()) || other_version {
        return Err(Problem::Unfilterable("upstream-other-resource"));
    }
    let judged = judge.judge(std::slice::from_ref(&subject)).await?;
    let shown = match judged.into_iter().next() {
        Some(Judged::Shown(shown)) => *shown,
        Some(Judged::Hidden { owners, reasons }) => {
            window.deny(&owners, &reasons);
            return Ok(Outcome::Refused { problem: Problem::Absent, denied: Some(window) });
        }
        None => return Err(Problem::Absent),
    };
    let Shown { bytes, owners, decision, removed, targets_dropped: _, hidden_targets: _ } = shown;
    // Of a Provenance always: the upstream's would tell that no target was taken out.
    let etag = match removed.is_empty() && rtype.as_str() != "Provenance" {
        true => etag,
        false => Some(own_validator(facts.version.as_deref(), &bytes)),
    };
    let labels = decision.labels().codings();
    window
        .disclose(facts, &owners, &labels, decision.reasons(), removed, None)
        .map_err(|_| Problem::Unfilterable("not-recordable"))?;
    let unchanged = matches!((&etag, &wanted.if_none_match), (Some(etag), Some(known)) if matches_any(known, etag));
    let mut answer = Answer { etag, last_modified, ..Answer::status(200) };
    if unchanged {
        answer.status = 304;
    } else {
        window.bytes = bytes;
    }
    Ok(Outcome::Whole { answer, window })
}

/// What cannot be decided on answers as what is not there.
pub(crate) async fn too_large(judge: &Judge, name: &str) -> Outcome {
    let denied = judge.too_large(Some(name), Action::Read).await.map(|withheld| {
        let mut window = Box::new(Window::only());
        window.deny(&withheld.owners, &withheld.reasons);
        window
    });
    Outcome::Refused { problem: Problem::Absent, denied }
}

/// The facts of the version that is current: an older one is shown only beside it and under its labels too, so that no
/// version is a way round what was labelled, moved or deleted later.
async fn current_facts(gate: &Gate, judge: &Judge, target: &str) -> Result<ResourceFacts, Problem> {
    let answer = gate.upstream.facts(target).await?;
    match answer.status {
        200 => {}
        400 | 404 | 410 => return Err(Problem::Absent),
        status => return Err(Problem::UpstreamRefused { status }),
    }
    let body = answer.into_json_bytes(gate.shared.limits.entry).await?;
    let doc = Doc::parse(&body).map_err(|_| Problem::Unfilterable("upstream-malformed-resource"))?;
    Ok(judge.subject(&body, doc.root(), Action::Read)?.facts)
}

/// The validator of a body that is not the upstream's: a client must not take one for the other.
pub(crate) fn own_validator(version: Option<&str>, bytes: &[u8]) -> String {
    let digest = hex::encode(Sha256::digest(bytes));
    format!("W/\"{}-{}\"", version.unwrap_or("0"), digest.get(..16).unwrap_or_default())
}

/// Whether a list of validators names this one: `If-None-Match` compares weakly (RFC 9110, 13.1.2).
pub(crate) fn matches_any(known: &str, etag: &str) -> bool {
    let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    known.trim() == "*" || known.split(',').any(|tag| weak(tag) == weak(etag))
}
