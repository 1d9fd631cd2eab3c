//! Images: the resource as the client wants it, as it is stored, and what may not differ between the two.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use gateway_core::decide::Action;
use gateway_core::facts::{InlineLabel, ResourceFacts};
use gateway_core::json::{Doc, Edits, Patch, quoted};
use gateway_core::owner::{PatientId, is_fhir_id};
use gateway_core::resource_type::ResourceType;
use gateway_core::rewrite::rebase;
use gateway_core::search_match::Image;

use super::references::references;
use super::{Writer, consent_refuses, refused};
use crate::filter::{Judged, Window};
use crate::forward::UpstreamError;
use crate::outcome::Refused;
use crate::problem::Problem;
use crate::read::{is_shown_in_parts, matches_any, own_validator, too_large};

/// The resource as the client wants it.
pub(super) struct ImageAfter {
    /// Its facts.
    pub(super) facts: ResourceFacts,
    /// What it points at.
    pub(super) references: BTreeSet<String>,
    /// The body, on the upstream's base.
    pub(super) bytes: Vec<u8>,
}

/// The resource as it is stored; the caller may see all of it and may do to it what he asked for.
pub(super) struct ImageBefore {
    /// Its facts.
    pub(super) facts: ResourceFacts,
    /// Whose it is.
    pub(super) owners: Vec<PatientId>,
    /// What it points at.
    pub(super) references: BTreeSet<String>,
    /// The version that was decided on, as `If-Match` names it.
    pub(super) version: String,
    /// The resource as it is stored, on the public base.
    pub(super) bytes: Vec<u8>,
}

impl Writer<'_> {
    /// The body, checked and on the upstream's base.
    pub(super) fn image_after(
        &self,
        rtype: ResourceType,
        id: Option<&str>,
        body: &[u8],
    ) -> Result<ImageAfter, Problem> {
        let bases = self.judge.bases();
        let parsed = |body| {
            Doc::parse(body).map_err(|error| {
                bad("body-malformed", &format!("The body is not acceptable JSON ({error}): nothing was written."))
            })
        };
        let body = &renamed(&parsed(body)?, &self.names.stored)?;
        let sent = parsed(body)?;
        let decided = renamed(&sent, &self.names.made)?;
        let doc = parsed(&decided)?;
        let mut facts = ResourceFacts::of(doc.root(), bases)
            .map_err(|error| bad("body-not-fhir", &format!("The body is no FHIR R4 resource ({error}).")))?;
        if facts.resource_type != rtype {
            return Err(bad("body-other-type", "The body's resourceType is not the type in the URL."));
        }
        if id.is_some() && facts.id.as_deref() != id {
            return Err(bad("body-other-id", "The body's id is not the id in the URL."));
        }
        let image = if id.is_some() { Image::Updated } else { Image::Created };
        self.judge.match_filters(doc.root(), image, &mut facts);
        let mut edits = Edits::new();
        rebase(sent.root(), &bases.public, &bases.upstream, &mut edits);
        let bytes = edits.apply(body).map_err(|_| bad("body-malformed", "The body cannot be carried over."))?;
        Ok(ImageAfter { references: references(doc.root(), &facts, bases), facts, bytes })
    }

    /// The operations of a JSON Patch.
    pub(super) fn read_patch(&self, body: &[u8]) -> Result<Patch, Problem> {
        Patch::parse(body, self.gate.shared.limits.patch_operations).map_err(Problem::Patch)
    }

    /// What a patch makes of the stored image, which the caller sees whole: he writes it as he reads it, on the public
    /// base.
    pub(super) fn patched(
        &self,
        rtype: ResourceType,
        id: &str,
        patch: &Patch,
        before: &ImageBefore,
    ) -> Result<ImageAfter, Problem> {
        let bytes = patch.apply(&before.bytes, self.gate.shared.limits.entry).map_err(Problem::Patch)?;
        self.image_after(rtype, Some(id), &bytes)
    }

    /// The stored image that the write replaces, if the caller may see it as it is and may do this to it.
    pub(super) async fn image_before(
        &self,
        rtype: ResourceType,
        id: &str,
        action: Action,
        if_match: Option<&str>,
    ) -> Result<ImageBefore, Refused> {
        let target = format!("{rtype}/{id}");
        let answer = self.gate.upstream.facts(&target).await.map_err(Problem::from)?;
        match answer.status {
            200 => {}
            // 400: HAPI's answer to an id that it could never have given.
            400 | 404 | 410 => return Err(Problem::Absent.into()),
            status => return Err(Problem::UpstreamRefused { status }.into()),
        }
        let etag = answer.etag.clone();
        let body = match answer.into_json_bytes(self.gate.shared.limits.entry).await {
            Err(UpstreamError::TooLarge) => return Err(too_large(self.judge, &target).await),
            body => body.map_err(Problem::from)?,
        };
        let doc = Doc::parse(&body).map_err(|_| Problem::Unfilterable("upstream-malformed-resource"))?;
        let read = self.judge.subject(&body, doc.root(), Action::Read)?;
        let facts = read.facts.clone();
        if facts.resource_type != rtype || facts.id.as_deref() != Some(id) {
            return Err(Problem::Unfilterable("upstream-other-resource").into());
        }
        let mut judged = self.judge.judge(&[read, self.judge.subject(&body, doc.root(), action)?]).await?.into_iter();
        let (seen, image) = (judged.next(), judged.next());
        // A scope without `r` does not make a stored resource one that the caller must not know of.
        let rulings = self.judge.decide_all(&[(&facts, action)]).await?;
        let Some(ruling) = rulings.into_iter().next() else { return Err(Problem::Absent.into()) };
        match (seen, ruling.permits()) {
            // What Consent hides from a reader is not to be learnt of by writing it.
            (Some(Judged::Hidden { owners, reasons }), true) if !owners.is_empty() => {
                let mut window = Box::new(Window::only());
                window.deny(&owners, &reasons);
                Err(Refused { problem: Problem::Absent, denied: Some(window) })
            }
            (seen, true) if is_cut(seen.as_ref()) || is_cut(image.as_ref()) => Err(refused(
                "redacted-image",
                "Parts of this resource are redacted for you, so you may not overwrite or delete it.",
            )
            .into()),
            (seen, true) => {
                let stored = facts.version.as_deref().filter(|version| is_fhir_id(version));
                let version = etag.or_else(|| stored.map(|version| format!("W/\"{version}\"")));
                let Some(version) = version else { return Err(Problem::Unversioned.into()) };
                let own = validator_shown(seen.as_ref(), &facts);
                let names = |known: &str, tag: Option<&str>| tag.is_some_and(|tag| matches_any(known, tag));
                if if_match.is_some_and(|known| !names(known, Some(&version)) && !names(known, own.as_deref())) {
                    return Err(Problem::VersionConflict.into());
                }
                let references = references(doc.root(), &facts, self.judge.bases());
                let mut edits = Edits::new();
                rebase(doc.root(), &self.judge.bases().upstream, &self.judge.bases().public, &mut edits);
                let bytes = edits.apply(&body).map_err(|_| Problem::Unfilterable("upstream-malformed-resource"))?;
                Ok(ImageBefore { references, owners: ruling.owners, facts, version, bytes })
            }
            (Some(Judged::Shown(_)), false) => Err(consent_refuses(&ruling)),
            (Some(Judged::Hidden { .. }) | None, false) => {
                let denied = Some(Window::denied([&ruling]));
                Err(Refused { problem: Problem::Absent, denied })
            }
        }
    }
}

/// The body of a create without its id, which means nothing (FHIR R4 §3.1.0.8): HAPI takes it in a transaction for the
/// name by which other entries refer to what is new.
pub(super) fn without_id(body: &[u8]) -> Result<Vec<u8>, Problem> {
    let failed = || bad("body-malformed", "The body cannot be carried over.");
    let doc = Doc::parse(body).map_err(|_| failed())?;
    let mut edits = Edits::new();
    edits.remove_children(doc.root(), |member| member.key_is("id"));
    edits.apply(body).map_err(|_| failed())
}

/// The document with these references replaced.
fn renamed<'a>(doc: &Doc<'a>, names: &BTreeMap<String, String>) -> Result<Cow<'a, [u8]>, Problem> {
    if names.is_empty() {
        return Ok(Cow::Borrowed(doc.source()));
    }
    let mut edits = Edits::new();
    let mut below = vec![doc.root()];
    while let Some(value) = below.pop() {
        for child in value.children() {
            match child.as_str().filter(|_| child.key_is("reference")).and_then(|text| names.get(text.as_ref())) {
                Some(name) => edits.replace(child.span(), quoted(name)),
                None => below.push(child),
            }
        }
    }
    let bytes = edits.apply(doc.source()).map_err(|_| bad("body-malformed", "The body cannot be carried over."))?;
    Ok(Cow::Owned(bytes))
}

pub(super) fn bad(rule: &'static str, sentence: &str) -> Problem {
    Problem::BadBody { status: 400, rule, sentence: sentence.to_owned() }
}

/// A write cannot move a record to another patient or weaken its labels (CONSENT.md, leak table, "PUT / PATCH / DELETE").
pub(super) fn guard(before: &ResourceFacts, after: &ResourceFacts) -> Result<(), Problem> {
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

/// The validator that a read of this image gave, where that is not the upstream's.
fn validator_shown(seen: Option<&Judged>, facts: &ResourceFacts) -> Option<String> {
    match seen {
        Some(Judged::Shown(shown)) if is_shown_in_parts(facts.resource_type) => {
            Some(own_validator(facts.version.as_deref(), &shown.bytes))
        }
        Some(Judged::Shown(_) | Judged::Hidden { .. }) | None => None,
    }
}

/// Whether something was taken out of the image before it was shown.
fn is_cut(judged: Option<&Judged>) -> bool {
    matches!(judged, Some(Judged::Shown(shown)) if shown.parts_dropped || !shown.removed.is_empty())
}
