//! Create, update, delete: decided on the image before and the image after, recorded before and after.
//!
//! INVARIANT 1: the intent is durable before anything is forwarded ([`Intended`] is what `send` needs), the outcome
//! before the client hears of it. A write to a Consent drops that patient's cached Consents before it is answered.

use std::collections::BTreeSet;

use bytes::Bytes;
use evidence::event::End;
use evidence::ids::Hash;
use gateway_core::decide::{Action, Permit};
use gateway_core::facts::{InlineLabel, ResourceFacts};
use gateway_core::interaction::Return;
use gateway_core::json::{Doc, Edits, Value};
use gateway_core::owner::Owners;
use gateway_core::reference::{Bases, Target};
use gateway_core::resource_type::ResourceType;
use gateway_core::rewrite::{rebase, rebase_url};
use sha2::{Digest as _, Sha256};

use crate::filter::{Judge, Judged, Ruling, Shown, Window};
use crate::forward::{Method, UpstreamAnswer, UpstreamRequest};
use crate::gate::Gate;
use crate::outcome::{Answer, Outcome};
use crate::problem::Problem;
use crate::record::{Access, Asked, Intended};

/// What is to be written.
pub enum Change {
    /// `POST [type]`
    Create {
        /// The type.
        rtype: ResourceType,
        /// The resource, as the client sent it.
        body: Bytes,
    },
    /// `PUT [type]/[id]`
    Update {
        /// The type.
        rtype: ResourceType,
        /// The id.
        id: String,
        /// The resource, as the client sent it.
        body: Bytes,
        /// `If-Match`.
        if_match: Option<String>,
    },
    /// `DELETE [type]/[id]`
    Delete {
        /// The type.
        rtype: ResourceType,
        /// The id.
        id: String,
        /// `If-Match`.
        if_match: Option<String>,
    },
}

/// A write on its way.
pub struct Writer<'a> {
    /// The gate.
    pub gate: &'a Gate,
    /// Decides for the caller.
    pub judge: &'a Judge,
    /// Leave for the interaction.
    pub permit: &'a Permit,
    /// The access.
    pub access: &'a Access,
    /// Who asked for what.
    pub asked: &'a Asked,
    /// `Prefer: return`.
    pub returns: Option<Return>,
    /// The trace to pass on.
    pub traceparent: Option<String>,
}

impl Writer<'_> {
    /// Decides, records the intent, forwards, records the outcome.
    pub async fn write(&self, change: Change) -> Result<Outcome, Problem> {
        match change {
            Change::Create { rtype, body } => self.create(rtype, &body).await,
            Change::Update { rtype, id, body, if_match } => self.update(rtype, &id, &body, if_match.as_deref()).await,
            Change::Delete { rtype, id, if_match } => self.delete(rtype, &id, if_match.as_deref()).await,
        }
    }

    async fn create(&self, rtype: ResourceType, body: &[u8]) -> Result<Outcome, Problem> {
        let after = self.image_after(rtype, None, body)?;
        self.attachments(&after.binaries).await?;
        if let Some(refused) = self.refused(&after.facts, Action::Create).await? {
            return Ok(refused);
        }
        let request = UpstreamRequest {
            method: Method::Post,
            target: rtype.as_str().to_owned(),
            body: Some(after.bytes.into()),
            if_match: None,
            traceparent: self.traceparent.clone(),
        };
        let intended = self.gate.shared.recorder.intend(self.access, self.asked).await?;
        self.send(request, &[&after.facts], intended).await
    }

    async fn update(
        &self,
        rtype: ResourceType,
        id: &str,
        body: &[u8],
        if_match: Option<&str>,
    ) -> Result<Outcome, Problem> {
        let after = self.image_after(rtype, Some(id), body)?;
        let before = match self.image_before(rtype, id, Action::Update, if_match).await? {
            Ok(before) => before,
            Err(outcome) => return Ok(outcome),
        };
        guard(&before.facts, &after.facts)?;
        self.attachments(&after.binaries.difference(&before.binaries).cloned().collect()).await?;
        if let Some(refused) = self.refused(&after.facts, Action::Update).await? {
            return Ok(refused);
        }
        let request = UpstreamRequest {
            method: Method::Put,
            target: format!("{rtype}/{id}"),
            body: Some(after.bytes.into()),
            if_match: before.etag,
            traceparent: self.traceparent.clone(),
        };
        let intended = self.gate.shared.recorder.intend(self.access, self.asked).await?;
        self.send(request, &[&before.facts, &after.facts], intended).await
    }

    async fn delete(&self, rtype: ResourceType, id: &str, if_match: Option<&str>) -> Result<Outcome, Problem> {
        let before = match self.image_before(rtype, id, Action::Delete, if_match).await? {
            Ok(before) => before,
            Err(outcome) => return Ok(outcome),
        };
        let request = UpstreamRequest {
            method: Method::Delete,
            target: format!("{rtype}/{id}"),
            body: None,
            if_match: before.etag,
            traceparent: self.traceparent.clone(),
        };
        let intended = self.gate.shared.recorder.intend(self.access, self.asked).await?;
        self.send(request, &[&before.facts], intended).await
    }

    /// The body, checked and on the upstream's base.
    fn image_after(&self, rtype: ResourceType, id: Option<&str>, body: &[u8]) -> Result<ImageAfter, Problem> {
        let bad = |rule, sentence: &str| Problem::BadBody { status: 400, rule, sentence: sentence.to_owned() };
        let doc = Doc::parse(body).map_err(|error| {
            bad("body-malformed", &format!("The body is not acceptable JSON ({error}): nothing was written."))
        })?;
        let facts = ResourceFacts::of(doc.root(), self.judge.bases())
            .map_err(|error| bad("body-not-fhir", &format!("The body is no FHIR R4 resource ({error}).")))?;
        if facts.resource_type != rtype {
            return Err(bad("body-other-type", "The body's resourceType is not the type in the URL."));
        }
        if id.is_some() && facts.id.as_deref() != id {
            return Err(bad("body-other-id", "The body's id is not the id in the URL."));
        }
        let mut edits = Edits::new();
        rebase(doc.root(), &self.judge.bases().public, &self.judge.bases().upstream, &mut edits);
        let bytes = edits.apply(body).map_err(|_| bad("body-malformed", "The body cannot be carried over."))?;
        Ok(ImageAfter { binaries: binaries(doc.root(), self.judge.bases()), facts, bytes })
    }

    /// A Binary belongs to whom the documents that point to it belong to, so nobody points to one that he may not see:
    /// his own document would open it for him. One that is hidden and one that is not there answer alike.
    async fn attachments(&self, binaries: &BTreeSet<String>) -> Result<(), Problem> {
        for binary in binaries {
            let hidden = refused(
                "attachment-not-visible",
                "An attachment is a Binary that is not there, or you may not see it.",
            );
            let answer = self.gate.upstream.facts(binary).await?;
            match answer.status {
                200 => {}
                400 | 404 | 410 => return Err(hidden),
                status => return Err(Problem::UpstreamRefused { status }),
            }
            let body = answer.into_json_bytes(self.gate.shared.limits.entry).await?;
            let doc = Doc::parse(&body).map_err(|_| Problem::Unfilterable("upstream-malformed-resource"))?;
            let Ok(stored) = ResourceFacts::of(doc.root(), self.judge.bases()) else { return Err(hidden) };
            if !self.judge.decide_all(&[(&stored, Action::Read)]).await?.iter().all(Ruling::permits) {
                return Err(hidden);
            }
        }
        Ok(())
    }

    /// The stored image that the write replaces, if the caller may see it as it is and may do this to it.
    async fn image_before(
        &self,
        rtype: ResourceType,
        id: &str,
        action: Action,
        if_match: Option<&str>,
    ) -> Result<Result<ImageBefore, Outcome>, Problem> {
        let target = format!("{rtype}/{id}");
        let answer = self.gate.upstream.facts(&target).await?;
        match answer.status {
            200 => {}
            404 | 410 => return Err(Problem::Absent),
            status => return Err(Problem::UpstreamRefused { status }),
        }
        let etag = answer.etag.clone();
        let body = answer.into_json_bytes(self.gate.shared.limits.entry).await?;
        let doc = Doc::parse(&body).map_err(|_| Problem::Unfilterable("upstream-malformed-resource"))?;
        let read = self.judge.subject(&body, doc.root(), Action::Read)?;
        let facts = read.facts.clone();
        let mut judged = self.judge.judge(&[read, self.judge.subject(&body, doc.root(), action)?]).await?.into_iter();
        let (seen, image) = (judged.next(), judged.next());
        // A scope without `r` does not make a stored resource one that the caller must not know of.
        let rulings = self.judge.decide_all(&[(&facts, action)]).await?;
        let Some(ruling) = rulings.into_iter().next() else { return Err(Problem::Absent) };
        match (seen, ruling.permits()) {
            // What Consent hides from a reader is not to be learnt of by writing it.
            (Some(Judged::Hidden { owners, reasons }), true) if !owners.is_empty() => {
                let mut window = Box::new(Window::only());
                window.deny(&owners, &reasons);
                Ok(Err(Outcome::Refused { problem: Problem::Absent, denied: Some(window) }))
            }
            (seen, true) if is_cut(seen.as_ref()) || is_cut(image.as_ref()) => Err(refused(
                "redacted-image",
                "Parts of this resource are redacted for you, so you may not overwrite or delete it.",
            )),
            (_, true) => {
                if if_match.is_some_and(|known| Some(known.trim()) != etag.as_deref()) {
                    return Err(Problem::VersionConflict);
                }
                Ok(Ok(ImageBefore { binaries: binaries(doc.root(), self.judge.bases()), facts, etag }))
            }
            (Some(Judged::Shown(_)), false) => Ok(Err(consent_refuses(&ruling))),
            (Some(Judged::Hidden { .. }) | None, false) => {
                Ok(Err(Outcome::Refused { problem: Problem::Absent, denied: denied(&ruling) }))
            }
        }
    }

    async fn refused(&self, facts: &ResourceFacts, action: Action) -> Result<Option<Outcome>, Problem> {
        let rulings = self.judge.decide_all(&[(facts, action)]).await?;
        Ok(rulings.iter().find(|ruling| !ruling.permits()).map(consent_refuses))
    }

    /// Forwards a write whose intent is on record.
    async fn send(
        &self,
        request: UpstreamRequest,
        images: &[&ResourceFacts],
        intended: Intended,
    ) -> Result<Outcome, Problem> {
        // From here on the stored Consents may differ from the cached ones, whatever the upstream answers.
        self.forget(images);
        let answered = self.gate.upstream.forward(self.permit, request).await;
        self.forget(images);
        let (answer, window, end) = match answered {
            Err(error) => failed(&Problem::Upstream(error)),
            Ok(answer) => match answer.status {
                200 | 201 | 204 => match self.accepted(answer, images).await {
                    Ok(accepted) => accepted,
                    Err(problem) => failed(&problem),
                },
                status => failed(&Problem::UpstreamRefused { status }),
            },
        };
        Ok(Outcome::Written { answer, window, end, intended })
    }

    /// What was written goes on record with its digest; what is echoed is filtered as a read.
    async fn accepted(
        &self,
        answer: UpstreamAnswer,
        images: &[&ResourceFacts],
    ) -> Result<(Answer, Box<Window>, End), Problem> {
        let mut window = Box::new(Window::only());
        let bases = self.judge.bases();
        let location = answer.location.as_deref().and_then(|url| rebase_url(url, &bases.upstream, &bases.public));
        let mut head = Answer {
            etag: answer.etag.clone(),
            last_modified: answer.last_modified.clone(),
            location,
            ..Answer::status(answer.status)
        };
        if self.permit.action() == Action::Delete {
            head = Answer::status(204);
            for facts in images {
                put_on_record(&mut window, facts, None)?;
            }
            return Ok((head, window, End::Complete));
        }
        let body = answer.into_json_bytes(self.gate.shared.limits.entry).await?;
        let doc = Doc::parse(&body).map_err(|_| Problem::Unfilterable("upstream-malformed-resource"))?;
        let subject = self.judge.subject(&body, doc.root(), Action::Read)?;
        put_on_record(&mut window, &subject.facts, Some(stored_digest(&body)?))?;
        match self.returns {
            Some(Return::Minimal) => {}
            Some(Return::OperationOutcome) => window.bytes = STORED.to_vec(),
            Some(Return::Representation) | None => {
                let judged = self.judge.judge(std::slice::from_ref(&subject)).await?.into_iter().next();
                if let Some(Judged::Shown(shown)) = judged {
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

    fn forget(&self, images: &[&ResourceFacts]) {
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

struct ImageAfter {
    facts: ResourceFacts,
    binaries: BTreeSet<String>,
    bytes: Vec<u8>,
}

struct ImageBefore {
    facts: ResourceFacts,
    binaries: BTreeSet<String>,
    etag: Option<String>,
}

const STORED: &[u8] =
    br#"{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational","details":{"text":"Stored."}}]}"#;

/// A write cannot move a record to another patient or weaken its labels (CONSENT.md, leak table, "PUT / PATCH / DELETE").
fn guard(before: &ResourceFacts, after: &ResourceFacts) -> Result<(), Problem> {
    if before.owners != after.owners {
        return Err(refused("owner-change", "A write may not move a resource to another patient."));
    }
    let kept = |element: &InlineLabel| {
        let same = after.inline_labels.iter().filter(|other| other.path == element.path);
        same.into_iter().any(|other| element.labels.iter().all(|label| other.labels.contains(label)))
    };
    let resource = before.security.iter().all(|label| after.security.contains(label));
    match resource && before.inline_labels.iter().all(kept) {
        true => Ok(()),
        false => Err(refused("labels-weakened", "A write may not take security labels away.")),
    }
}

/// The Binaries that a DocumentReference's attachments are (`Binary/x`).
fn binaries(document: Value<'_>, bases: &Bases) -> BTreeSet<String> {
    let content = document.get("content").into_iter().flat_map(|list| list.items().collect::<Vec<_>>());
    let urls = content.filter_map(|part| part.get("attachment")?.str_at("url"));
    let names = urls.filter_map(|url| Target::parse(&url, bases).normalised());
    names.filter(|name| name.starts_with("Binary/")).collect()
}

/// Whether something was taken out of the image before it was shown.
fn is_cut(judged: Option<&Judged>) -> bool {
    matches!(judged, Some(Judged::Shown(shown)) if shown.targets_dropped || !shown.removed.is_empty())
}

fn refused(rule: &'static str, sentence: &str) -> Problem {
    Problem::Refused { rule, sentence: sentence.to_owned() }
}

/// The caller may know of the resource, or brought it along: that it may not be written is told, why is not.
fn consent_refuses(ruling: &Ruling) -> Outcome {
    Outcome::Refused {
        problem: refused("write-not-permitted", "You may not write this resource."),
        denied: denied(ruling),
    }
}

fn denied(ruling: &Ruling) -> Option<Box<Window>> {
    let mut window = Box::new(Window::only());
    window.deny(&ruling.refusing_owners(), &ruling.reasons());
    Some(window)
}

fn failed(problem: &Problem) -> (Answer, Box<Window>, End) {
    tracing::warn!(%problem, "a write failed");
    let (answer, body) = Answer::told(&problem.told());
    let mut window = Box::new(Window::only());
    window.bytes = body.to_vec();
    (answer, window, End::UpstreamFailed)
}

fn put_on_record(window: &mut Window, facts: &ResourceFacts, digest: Option<Hash>) -> Result<(), Problem> {
    let owners = match &facts.owners {
        Owners::Patients(patients) => patients.as_slice(),
        Owners::Universal | Owners::ByReference(_) | Owners::Unknown(_) => &[],
    };
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
