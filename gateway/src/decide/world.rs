//! The world of a decision as files: resources, Consents, and the facts that decisions hang on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gateway_core::consent::actors::Memberships;
use gateway_core::consent::{Body, Consent, Unusable, Why};
use gateway_core::decide::{ConsentFacts, Others, PatientConsents, PatientLinksFound, Resolved, linked_patients};
use gateway_core::facts::{FactsError, ResourceFacts};
use gateway_core::json::{Doc, Value};
use gateway_core::owner::PatientId;
use gateway_core::reference::{Bases, Target};
use gateway_core::version::FhirVersion;

use crate::gather::consents::{read, whose};

/// Files that are no FHIR.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorldFault {
    #[error("{file} cannot be read ({kind})")]
    Unreadable { file: PathBuf, kind: std::io::ErrorKind },
    #[error("{file} is not JSON: {fault}")]
    NotJson { file: PathBuf, fault: gateway_core::json::JsonError },
    #[error("{file} holds what is no resource of FHIR {version:?}")]
    NotAResource { file: PathBuf, version: FhirVersion },
    #[error("{file} holds a resource that is no Consent")]
    NotAConsent { file: PathBuf },
}

/// Files as they are.
pub(super) struct Texts(Vec<(PathBuf, Vec<u8>)>);

impl Texts {
    pub(super) fn read(files: &[PathBuf]) -> Result<Self, WorldFault> {
        let read = |file: &PathBuf| match std::fs::read(file) {
            Ok(bytes) => Ok((file.clone(), bytes)),
            Err(error) => Err(WorldFault::Unreadable { file: file.clone(), kind: error.kind() }),
        };
        files.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn parse(&self) -> Result<Parsed<'_>, WorldFault> {
        let mut files = Vec::with_capacity(self.0.len());
        for (file, bytes) in &self.0 {
            let doc = Doc::parse(bytes).map_err(|fault| WorldFault::NotJson { file: file.clone(), fault })?;
            files.push((file.as_path(), doc));
        }
        Ok(Parsed { files })
    }
}

/// Files as JSON.
pub(super) struct Parsed<'t> {
    files: Vec<(&'t Path, Doc<'t>)>,
}

impl Parsed<'_> {
    /// Every resource, a Bundle's entries one by one.
    pub(super) fn resources(&self, version: FhirVersion) -> Result<Vec<(&Path, Value<'_>)>, WorldFault> {
        let mut found = Vec::new();
        for (file, doc) in &self.files {
            let mut inside = Vec::new();
            entries(doc.root(), &mut inside)
                .map_err(|()| WorldFault::NotAResource { file: file.to_path_buf(), version })?;
            found.extend(inside.into_iter().map(|resource| (*file, resource)));
        }
        Ok(found)
    }
}

/// A resource, or what the entries of a Bundle hold; an entry without a resource holds nothing.
fn entries<'v>(resource: Value<'v>, found: &mut Vec<Value<'v>>) -> Result<(), ()> {
    match resource.str_at("resourceType").as_deref() {
        None => Err(()),
        Some("Bundle") => {
            let entries = resource.get("entry").into_iter().flat_map(|list| list.each());
            for entry in entries {
                if !entry.is_object() {
                    return Err(());
                }
                if let Some(resource) = entry.get("resource") {
                    self::entries(resource, found)?;
                }
            }
            Ok(())
        }
        Some(_) => {
            found.push(resource);
            Ok(())
        }
    }
}

/// What stands for a decision: readable, or there but not readable, which nobody may see.
pub(super) enum Subject<'v> {
    Readable { resource: Value<'v>, facts: Box<ResourceFacts> },
    Unreadable { name: String },
}

impl<'v> Subject<'v> {
    pub(super) fn of(
        file: &Path,
        resource: Value<'v>,
        version: FhirVersion,
        bases: &Bases,
    ) -> Result<Self, WorldFault> {
        match ResourceFacts::of(resource, bases) {
            Ok(facts) if !facts.resource_type.is_in(version) => {
                Err(WorldFault::NotAResource { file: file.to_path_buf(), version })
            }
            Ok(facts) => Ok(Self::Readable { resource, facts: Box::new(facts) }),
            Err(FactsError::NotAResource) => Err(WorldFault::NotAResource { file: file.to_path_buf(), version }),
            Err(FactsError::Malformed(_)) => {
                let rtype = resource.str_at("resourceType").unwrap_or_default();
                let id = resource.str_at("id");
                let name = id.map_or_else(|| rtype.to_string(), |id| format!("{rtype}/{id}"));
                Ok(Self::Unreadable { name })
            }
        }
    }
}

/// Every resource, for a decision.
pub(super) fn subjects<'v>(
    resources: &[(&Path, Value<'v>)],
    version: FhirVersion,
    bases: &Bases,
) -> Result<Vec<Subject<'v>>, WorldFault> {
    resources.iter().map(|(file, resource)| Subject::of(file, *resource, version, bases)).collect()
}

/// Who belongs to whom, by the files.
pub(super) fn memberships(facts: &[(&Path, Value<'_>)], bases: &Bases) -> Memberships {
    let mut found = Memberships { resolved: true, listed: Some(BTreeSet::new()), ..Memberships::default() };
    for (_, resource) in facts {
        found.take(*resource, bases, &|_| true);
    }
    found
}

/// Which of the Patients that are given are one person.
pub(super) fn links<'v>(
    given: impl Iterator<Item = (Value<'v>, &'v ResourceFacts)>,
    bases: &Bases,
) -> PatientLinksFound {
    let mut links = PatientLinksFound::default();
    for (resource, facts) in given {
        let Some(own) = facts.id.as_deref().and_then(|id| PatientId::parse(id).ok()) else { continue };
        linked_patients(resource, bases).iter().for_each(|other| links.link(&own, other));
    }
    links
}

/// The resources that ownership may hang on, out of all that are given.
pub(super) fn others<'v>(given: impl Iterator<Item = (Value<'v>, &'v ResourceFacts)>, bases: &Bases) -> Others {
    let mut others = Others::default();
    let mut repeated = BTreeSet::new();
    for (resource, facts) in given {
        let Some(id) = &facts.id else { continue };
        if facts.resource_type.as_str() == "DocumentReference" {
            for binary in binaries(resource, bases) {
                others.referrers.entry(binary).or_default().push(facts.clone());
            }
        }
        let name = format!("{}/{id}", facts.resource_type);
        if others.by_name.get(&name).is_some_and(|other| other != facts) {
            repeated.insert(name.clone());
        }
        others.by_name.insert(name, facts.clone());
    }
    // Two of one name: which of them is meant cannot be known.
    others.by_name.retain(|name, _| !repeated.contains(name));
    others
}

/// The Binaries that a DocumentReference's attachments point to.
fn binaries(document: Value<'_>, bases: &Bases) -> BTreeSet<String> {
    let content = document.get("content").into_iter().flat_map(|list| list.each());
    let urls = content.filter_map(|part| part.get("attachment")?.str_at("url"));
    urls.filter_map(|url| match Target::parse(&url, bases) {
        Target::Local { rtype, id, .. } if rtype.as_str() == "Binary" => Some(id),
        Target::Local { .. } | Target::Fragment(_) | Target::Foreign(_) | Target::Malformed => None,
    })
    .collect()
}

/// The Consents of the files, by patient.
#[derive(Default)]
pub(super) struct Recorded {
    by_patient: BTreeMap<PatientId, Vec<Result<Consent, Unusable>>>,
    /// Those that do not say whose they are: they may be anybody's.
    of_anybody: Vec<Result<Consent, Unusable>>,
}

impl Recorded {
    pub(super) fn read(files: &[(&Path, Value<'_>)], version: FhirVersion, bases: &Bases) -> Result<Self, WorldFault> {
        let mut recorded = Self::default();
        for (file, resource) in files {
            if resource.str_at("resourceType").as_deref() != Some("Consent") {
                return Err(WorldFault::NotAConsent { file: file.to_path_buf() });
            }
            let consent = read(*resource, version);
            match whose(*resource, bases) {
                Some(patient) => recorded.by_patient.entry(patient).or_default().push(consent),
                None => recorded.of_anybody.extend(anybodys(consent)),
            }
        }
        Ok(recorded)
    }

    /// The facts for deciding on resources with these owners.
    pub(super) fn facts(
        &self,
        subjects: &[Resolved],
        patient: Option<&PatientId>,
        others: &Others,
        links: PatientLinksFound,
        memberships: Memberships,
        bases: &Bases,
    ) -> ConsentFacts {
        let holders: Vec<Resolved> = others.by_name.values().map(|facts| Resolved::of(facts, others)).collect();
        let asked = subjects.iter().chain(&holders).flat_map(Resolved::patients).chain(patient.cloned());
        let owners = asked.flat_map(|patient| links.person(&patient));
        let of = |patient: &PatientId| -> Vec<Result<Consent, Unusable>> {
            let own = self.by_patient.get(patient).into_iter().flatten();
            own.chain(&self.of_anybody).cloned().collect()
        };
        let patients: BTreeMap<PatientId, PatientConsents> = owners
            .map(|patient| {
                let consents = of(&patient);
                (patient, PatientConsents::Recorded(consents.into()))
            })
            .collect();
        let consents = self.by_patient.values().flatten().chain(&self.of_anybody).flatten();
        let related = consents.flat_map(Consent::related);
        let outgoing = related.filter_map(|reference| {
            let name = Target::parse(reference, bases).normalised()?;
            let references = others.by_name.get(&name)?.references.iter().cloned().collect();
            Some((name, references))
        });
        ConsentFacts { patients, links, memberships: Arc::new(memberships), outgoing: outgoing.collect() }
    }
}

/// One that never counts is nobody's; any other is one that is not understood.
fn anybodys(consent: Result<Consent, Unusable>) -> Option<Result<Consent, Unusable>> {
    match consent {
        Ok(Consent { body: Body::Dormant(_), .. }) => None,
        Ok(consent) => Some(Err(Unusable {
            reference: Some(consent.reference),
            why: Why::OtherPatient,
            path: "patient".to_owned(),
        })),
        Err(unusable) => Some(Err(unusable)),
    }
}
