//! References: what a body newly points at must be there, and the caller may know of it (CONSENT.md, leak table,
//! "update-as-create, referential integrity"; ADR 0028).
//!
//! The upstream refuses what points at nothing, or does not, as it is set up. Either tells of a hidden resource whoever
//! points at it, so the gateway answers for both: absent and hidden alike, before anything is forwarded.

use std::collections::BTreeSet;

use gateway_core::caller::ActorRef;
use gateway_core::facts::ResourceFacts;
use gateway_core::json::Value;
use gateway_core::owner::{Owners, PatientId};
use gateway_core::reference::{Bases, Target, literal_references};
use gateway_core::resource_type::ResourceType;
use gateway_core::scope::ScopeGrant;

use super::Writer;
use crate::filter::Window;
use crate::outcome::Refused;
use crate::problem::Problem;

impl Writer<'_> {
    /// Refuses a body whose new references name what is absent or hidden; what the stored image holds already, and the
    /// caller sees, may stay. `reach` is what the scopes grant for the body.
    pub(super) async fn new_references(
        &self,
        after: &BTreeSet<String>,
        before: &BTreeSet<String>,
        reach: ScopeGrant,
    ) -> Result<(), Refused> {
        let bad = |status, rule, sentence: &str| Problem::BadBody { status, rule, sentence: sentence.to_owned() };
        let mut names = BTreeSet::new();
        for reference in after.difference(before) {
            match Target::parse(reference, self.judge.bases()) {
                Target::Local { rtype, id, .. } => {
                    names.insert(format!("{rtype}/{id}"));
                }
                Target::Fragment(_) | Target::Foreign(_) => {}
                // A server may resolve a search (`Patient?identifier=…`) or a path that is not in its normal form.
                Target::Malformed => {
                    return Err(bad(
                        400,
                        "reference-malformed",
                        "A reference in the body is neither Type/id nor an absolute URL nor a contained resource: nothing was written.",
                    )
                    .into());
                }
            }
        }
        // What he makes himself is decided on where it is made.
        names.retain(|name| !self.names.made.values().any(|made| made == name));
        // Who the caller is, he knows: a patient who forbade everything still speaks for himself.
        if let Some(ActorRef::Reference(own)) = &self.asked.caller.fhir_user
            && let Some(own) = Target::parse(own, self.judge.bases()).normalised()
        {
            names.remove(&own);
        }
        if names.len() > self.gate.shared.limits.references {
            return Err(too_many_references().into());
        }
        if names.is_empty() {
            return Ok(());
        }
        match self.judge.may_refer(&names, reach).await? {
            Ok(()) => Ok(()),
            Err(hidden) => {
                let by_consent = hidden.iter().any(|ruling| !ruling.refusing_owners().is_empty());
                let denied = by_consent.then(|| Window::denied(&hidden));
                Err(Refused { problem: Problem::ReferenceNotVisible, denied })
            }
        }
    }
}

pub(super) fn too_many_references() -> Problem {
    Problem::BadBody {
        status: 413,
        rule: "too-many-references",
        sentence: "The body refers to more resources than this gateway resolves.".to_owned(),
    }
}

/// What a resource points at: its references in normal form (`Type/id`), whatever is no reference as it stands, the
/// Binaries of its attachments, and its owners. The entries of a Bundle stand inside of it.
pub(super) fn references(resource: Value<'_>, facts: &ResourceFacts, bases: &Bases) -> BTreeSet<String> {
    let normal = |text: String| match Target::parse(&text, bases) {
        Target::Fragment(_) => None,
        target @ (Target::Local { .. } | Target::Foreign(_) | Target::Malformed) => {
            Some(target.normalised().unwrap_or(text))
        }
    };
    let mut found: BTreeSet<String> = literal_references(resource).into_iter().filter_map(normal).collect();
    let entries = resource.get("entry").filter(|_| facts.resource_type.as_str() == "Bundle");
    for entry in entries.into_iter().flat_map(|list| list.items().collect::<Vec<_>>()) {
        let inner = entry.get("resource");
        let name = inner.and_then(|inner| Some(format!("{}/{}", inner.str_at("resourceType")?, inner.str_at("id")?)));
        if let Some(name) = name {
            found.remove(&name);
        }
    }
    found.extend(attachments(resource, bases));
    match &facts.owners {
        // Whoever may write a Consent has leave to say whose it is: its patient's Consents are not asked for that.
        Owners::Patients(patients) if facts.resource_type == ResourceType::CONSENT => {
            found.retain(|name| !patients.iter().any(|patient| patient.reference() == *name));
        }
        Owners::Patients(patients) => found.extend(patients.iter().map(PatientId::reference)),
        Owners::ByReference(names) => found.extend(names.iter().cloned()),
        Owners::Universal | Owners::Unknown(_) => {}
    }
    found
}

/// The Binaries that a DocumentReference's attachments are (`Binary/x`). A Binary belongs to whom the documents that
/// point to it belong to, so nobody points to one that he may not see: his own document would open it for him.
fn attachments(document: Value<'_>, bases: &Bases) -> BTreeSet<String> {
    let content = document.get("content").into_iter().flat_map(|list| list.items().collect::<Vec<_>>());
    let urls = content.filter_map(|part| part.get("attachment")?.str_at("url"));
    let names = urls.filter_map(|url| Target::parse(&url, bases).normalised());
    names.filter(|name| name.starts_with("Binary/")).collect()
}
