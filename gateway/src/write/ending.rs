//! Ending: what is known of a write after it was sent, for the record and for the client (EVIDENCE.md 1; ADR 0029).
//!
//! Three ends: carried out (the upstream said so and gave the stored resource), not carried out (nothing was sent, or
//! the upstream refused), and not known: whatever else may have happened. The last is never told as one of the others.

use evidence::event::End;
use evidence::ids::Hash;
use gateway_core::decide::{Action, Permit};
use gateway_core::facts::ResourceFacts;
use gateway_core::interaction::Return;
use gateway_core::json::Doc;
use gateway_core::owner::{Owners, PatientId};
use gateway_core::resource_type::ResourceType;
use gateway_core::rewrite::rebase_url;
use sha2::{Digest as _, Sha256};

use super::Writer;
use crate::filter::{Judged, Shown, Window};
use crate::forward::{UpstreamAnswer, UpstreamError, UpstreamRequest};
use crate::outcome::{Answer, Outcome};
use crate::problem::Problem;
use crate::record::Intended;

/// What is known of a write before it is sent.
pub(super) struct Written {
    /// The type.
    pub(super) rtype: ResourceType,
    /// The id; none for a create.
    pub(super) id: Option<String>,
    /// Whose the resource is.
    pub(super) owners: Vec<PatientId>,
    /// The image that it replaces or deletes.
    pub(super) before: Option<ResourceFacts>,
    /// All images, for what is cached of them.
    pub(super) images: Vec<ResourceFacts>,
    /// What Consent kept back from the criteria that found it, and what searches in its references disclose.
    pub(super) seen: Option<Box<Window>>,
}

impl Written {
    /// A write that makes the one image of the other, where there is one; nothing was looked at on the way to it.
    pub(super) fn new(
        rtype: ResourceType,
        id: Option<&str>,
        owners: Vec<PatientId>,
        before: Option<ResourceFacts>,
        after: Option<ResourceFacts>,
    ) -> Self {
        let images = before.iter().cloned().chain(after).collect();
        Self { rtype, id: id.map(str::to_owned), owners, before, images, seen: None }
    }
}

/// The head of the answer, its body with what goes on record, and the end.
pub(super) type Ended = (Answer, Box<Window>, End);

impl Writer<'_> {
    /// Forwards a write whose intent is on record.
    pub(super) async fn send(
        &self,
        permit: &Permit,
        request: UpstreamRequest,
        written: Written,
        intended: Intended,
    ) -> Outcome {
        // From here on the stored Consents may differ from the cached ones, whatever the upstream answers.
        self.forget(&written.images);
        let answered = self.gate.upstream.forward(permit, request).await;
        self.forget(&written.images);
        let (answer, mut window, end) = match answered {
            Err(error) if error.may_have_arrived() => unknown(&Problem::Upstream(error), &written),
            Err(error) => failed(&Problem::Upstream(error)),
            Ok(answer) => match answer.status {
                200 | 201 | 204 => match self.accepted(answer, permit.action(), &written).await {
                    Ok(accepted) => accepted,
                    Err(problem) => unknown(&problem, &written),
                },
                // Accepted for later, or a gateway on the way that lost sight of it (RFC 9110, 15.3.3, 15.6.3, 15.6.5).
                status @ (202..=299 | 502 | 504) => unknown(&Problem::UpstreamRefused { status }, &written),
                status => failed(&Problem::UpstreamRefused { status }),
            },
        };
        beside(&mut window, end, written.seen);
        Outcome::Written { answer, window, end, intended }
    }

    /// What was written goes on record with its digest; what is echoed is filtered as a read.
    ///
    /// # Errors
    /// Where the answer does not tell what is stored.
    async fn accepted(&self, answer: UpstreamAnswer, action: Action, written: &Written) -> Result<Ended, Problem> {
        if action == Action::Delete {
            return self.stored(Answer::status(204), &[], action, written).await;
        }
        let bases = self.judge.bases();
        let location = answer.location.as_deref().and_then(|url| rebase_url(url, &bases.upstream, &bases.public));
        let head = Answer {
            etag: answer.etag.clone(),
            last_modified: answer.last_modified.clone(),
            location,
            ..Answer::status(answer.status)
        };
        let body = answer.into_json_bytes(self.gate.shared.limits.entry).await?;
        self.stored(head, &body, action, written).await
    }

    /// The same, once the body is read: the stored resource, or nothing of a delete.
    ///
    /// # Errors
    /// Where it does not tell what is stored.
    pub(super) async fn stored(
        &self,
        mut head: Answer,
        body: &[u8],
        action: Action,
        written: &Written,
    ) -> Result<Ended, Problem> {
        let mut window = Box::new(Window::only());
        if let (Action::Delete, Some(before)) = (action, &written.before) {
            put_on_record(&mut window, before, &written.owners, None)?;
            return Ok((Answer::status(204), window, End::Complete));
        }
        let doc = Doc::parse(body).map_err(|_| Problem::Unfilterable("upstream-malformed-resource"))?;
        let subject = self.judge.subject(body, doc.root(), Action::Read)?;
        let facts = &subject.facts;
        let other_id = written.id.is_some() && facts.id != written.id;
        if facts.resource_type != written.rtype || facts.id.is_none() || other_id {
            return Err(Problem::Unfilterable("upstream-other-resource"));
        }
        let owners = match &facts.owners {
            Owners::Patients(patients) => patients,
            Owners::Universal | Owners::ByReference(_) | Owners::Unknown(_) => &written.owners,
        };
        put_on_record(&mut window, facts, owners, Some(stored_digest(body)?))?;
        match self.returns {
            Some(Return::Minimal) => {}
            Some(Return::OperationOutcome) => window.bytes = STORED.to_vec(),
            Some(Return::Representation) | None => {
                // The write is carried out and on record: that its echo cannot be filtered takes nothing of that back.
                let judged = self.judge.judge(std::slice::from_ref(&subject)).await.unwrap_or_else(|problem| {
                    tracing::warn!(%problem, "a write is answered without its representation");
                    Vec::new()
                });
                if let Some(Judged::Shown(shown)) = judged.into_iter().next() {
                    let Shown { bytes, removed, .. } = *shown;
                    if !removed.is_empty() {
                        head.etag = None;
                    }
                    window.bytes = bytes;
                }
            }
        }
        Ok((head, window, End::Complete))
    }

    pub(super) fn forget(&self, images: &[ResourceFacts]) {
        let facts = &self.gate.shared.facts;
        for image in images {
            match image.resource_type.as_str() {
                "Consent" => match &image.owners {
                    Owners::Patients(patients) => patients.iter().for_each(|patient| facts.consents.forget(patient)),
                    Owners::Universal | Owners::ByReference(_) | Owners::Unknown(_) => facts.consents.forget_all(),
                },
                "Group" | "CareTeam" | "PractitionerRole" | "Practitioner" | "Organization" => {
                    facts.memberships.forget_all();
                }
                _ => {}
            }
        }
    }
}

/// Puts on record beside a write what was looked at on the way to it; what failed echoes nothing of it.
pub(super) fn beside(window: &mut Window, end: End, seen: Option<Box<Window>>) {
    let told = if end == End::UpstreamFailed { seen.and_then(|seen| seen.kept_back()) } else { seen };
    if let Some(told) = told {
        window.absorb(*told);
    }
}

const STORED: &[u8] =
    br#"{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational","details":{"text":"Stored."}}]}"#;

/// Nothing was written.
pub(super) fn failed(problem: &Problem) -> Ended {
    tracing::warn!(%problem, "a write failed");
    ended(problem, Window::only(), End::UpstreamFailed)
}

/// It may have been written: what was known before goes on record, the version before among it, without a digest.
pub(super) fn unknown(problem: &Problem, written: &Written) -> Ended {
    tracing::warn!(%problem, "a write may or may not have been carried out");
    let timeout =
        matches!(problem, Problem::Upstream(UpstreamError::Timeout) | Problem::UpstreamRefused { status: 504 });
    let mut window = Window::only();
    window.unsure(&written.owners);
    // Of what has no owner the sealed request line says the name.
    if let Some(before) = written.before.as_ref().filter(|_| !written.owners.is_empty())
        && let Err(problem) = put_on_record(&mut window, before, &written.owners, None)
    {
        tracing::error!(%problem, "the image before a write cannot be recorded");
    }
    ended(&Problem::WriteUnknown { status: if timeout { 504 } else { 502 } }, window, End::Unknown)
}

fn ended(problem: &Problem, mut window: Window, end: End) -> Ended {
    let (answer, body) = Answer::told(&problem.told());
    window.bytes = body.to_vec();
    (answer, Box::new(window), end)
}

fn put_on_record(
    window: &mut Window,
    facts: &ResourceFacts,
    owners: &[PatientId],
    digest: Option<Hash>,
) -> Result<(), Problem> {
    window
        .disclose(facts, owners, &facts.security, &[], Vec::new(), digest)
        .map_err(|_| Problem::Unfilterable("not-recordable"))
}

/// SHA-256 of the stored resource in RFC 8785 form, without what the server changes by itself
/// (`meta.versionId`, `meta.lastUpdated`, `meta.source`).
fn stored_digest(body: &[u8]) -> Result<Hash, Problem> {
    let failed = || Problem::Unfilterable("upstream-malformed-resource");
    let mut value: serde_json::Value = serde_json::from_slice(body).map_err(|_| failed())?;
    if let Some(meta) = value.get_mut("meta").and_then(serde_json::Value::as_object_mut) {
        for volatile in ["versionId", "lastUpdated", "source"] {
            meta.remove(volatile);
        }
    }
    let canonical = evidence::canonical::to_canonical(&value).map_err(|_| failed())?;
    Ok(Hash::new(Sha256::digest(canonical).into()))
}
