//! Read and vread: one resource.

use std::time::SystemTime;

use actix_web::http::header::HttpDate;
use gateway_core::decide::{Action, Permit};
use gateway_core::facts::ResourceFacts;
use gateway_core::json::Doc;
use gateway_core::resource_type::ResourceType;
use gateway_core::trim::Trim;
use sha2::{Digest as _, Sha256};

use crate::filter::{Judge, Judged, Shown, Window, trimmed};
use crate::forward::{UpstreamError, UpstreamRequest};
use crate::gate::Gate;
use crate::outcome::{Answer, Outcome, Refused};
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
    /// How much of it.
    pub trim: Trim,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
    /// `If-Modified-Since`; it does not count beside `If-None-Match`.
    pub if_modified_since: Option<String>,
    /// The trace to pass on.
    pub traceparent: Option<String>,
}

impl Wanted {
    /// The current version, all of it, on no condition.
    pub fn current(rtype: ResourceType, id: String) -> Self {
        Self {
            rtype,
            id,
            version: None,
            trim: Trim::Whole,
            if_none_match: None,
            if_modified_since: None,
            traceparent: None,
        }
    }
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
                return Ok(too_large(judge, &format!("{rtype}/{id}")).await.into());
            }
            facts => Some(facts?),
        },
        None => None,
    };
    if let Some(current) = &current {
        let rulings = judge.decide_all(&[(current, Action::Read)]).await?;
        if let Some(ruling) = rulings.iter().find(|ruling| !ruling.permits()) {
            window.deny_by([ruling]);
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
        Err(UpstreamError::TooLarge) => return Ok(too_large(judge, &format!("{rtype}/{id}")).await.into()),
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
    let Shown { bytes, owners, decision, removed, parts_dropped: _, hidden_parts: _ } = shown;
    let whole = removed.is_empty() && !is_shown_in_parts(*rtype);
    let etag = match whole {
        true => etag,
        false => Some(own_validator(facts.version.as_deref(), &bytes)),
    };
    let labels = decision.labels().codings();
    window
        .disclose(facts, &owners, &labels, decision.reasons(), removed, None)
        .map_err(|_| Problem::Unfilterable("not-recordable"))?;
    let unchanged = match &wanted.if_none_match {
        Some(known) => etag.as_ref().is_some_and(|etag| matches_any(known, etag)),
        // What is taken out of a resource may change without it: no date speaks for the rest.
        None => whole && not_since(last_modified.as_deref(), wanted.if_modified_since.as_deref()),
    };
    let mut answer = Answer { etag, last_modified, ..Answer::status(200) };
    if unchanged {
        answer.status = 304;
    } else {
        window.bytes = trimmed(bytes, &wanted.trim)?;
    }
    Ok(Outcome::Whole { answer, window })
}

/// What cannot be decided on answers as what is not there.
pub(crate) async fn too_large(judge: &Judge, name: &str) -> Refused {
    let denied = judge.too_large(Some(name), Action::Read).await.map(|withheld| {
        let mut window = Box::new(Window::only());
        window.deny(&withheld.owners, &withheld.reasons);
        window
    });
    Refused { problem: Problem::Absent, denied }
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

/// Whether resources of this type are shown part by part (targets of a Provenance, members of a Group): they have a
/// validator of our own always, because the upstream's would tell that nothing was taken out.
pub(crate) fn is_shown_in_parts(rtype: ResourceType) -> bool {
    matches!(rtype.as_str(), "Group" | "Provenance")
}

/// The validator of a body that is not the upstream's: a client must not take one for the other.
pub(crate) fn own_validator(version: Option<&str>, bytes: &[u8]) -> String {
    let digest = hex::encode(Sha256::digest(bytes));
    format!("W/\"{}-{}\"", version.unwrap_or("0"), digest.get(..16).unwrap_or_default())
}

/// Whether the resource was not modified since (RFC 9110, 13.1.3); a date that cannot be read says nothing.
fn not_since(modified: Option<&str>, since: Option<&str>) -> bool {
    let date = |text: Option<&str>| text?.parse::<HttpDate>().ok().map(SystemTime::from);
    matches!((date(modified), date(since)), (Some(modified), Some(since)) if modified <= since)
}

/// Whether a list of validators names this one: `If-None-Match` compares weakly (RFC 9110, 13.1.2).
pub(crate) fn matches_any(known: &str, etag: &str) -> bool {
    let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    known.trim() == "*" || known.split(',').any(|tag| weak(tag) == weak(etag))
}
