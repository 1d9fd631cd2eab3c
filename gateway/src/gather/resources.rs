//! The facts of resources that others refer to: targets of a Provenance, the context of a Binary, what a Consent names.

use std::collections::{BTreeMap, BTreeSet};

use gateway_core::decide::{PatientLinksFound, linked_patients};
use gateway_core::facts::ResourceFacts;
use gateway_core::json::{Doc, Value};
use gateway_core::owner::PatientId;
use gateway_core::reference::Bases;

use crate::forward::{Upstream, UpstreamError};
use crate::problem::Problem;

/// Links from Patient to Patient that are followed.
const MOST_LINKS: usize = 8;
/// Ids in one query; keeps the URL under 4 KiB.
const BATCH: usize = 40;
/// Bytes of one answer to a query for facts.
const ANSWER_LIMIT: usize = 32 << 20;
/// Bytes of the summary of one resource.
const OUTLINE_LIMIT: usize = 256 << 10;
/// Pages of one query for facts.
const MOST_PAGES: usize = 64;

/// What is made of a resource while it is at hand.
pub type Note<'n> = &'n dyn Fn(Value<'_>, &mut ResourceFacts);

/// Fetches facts of resources on the upstream.
pub struct ResourceSource {
    pub(super) upstream: Upstream,
    pub(super) bases: Bases,
}

impl ResourceSource {
    /// A source on the upstream itself.
    pub fn new(upstream: Upstream, bases: Bases) -> Self {
        Self { upstream, bases }
    }

    /// The facts of the resources of these names (`Type/id`). One that does not exist, cannot be read or is too large is
    /// not in the answer: what hangs on it is hidden.
    pub async fn facts_of(&self, names: &BTreeSet<String>) -> Result<BTreeMap<String, ResourceFacts>, Problem> {
        self.noted_facts_of(names, &|_, _| ()).await
    }

    /// The same, with what `note` makes of each resource while it is at hand.
    pub async fn noted_facts_of(
        &self,
        names: &BTreeSet<String>,
        note: Note<'_>,
    ) -> Result<BTreeMap<String, ResourceFacts>, Problem> {
        let mut by_type: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (rtype, id) in names.iter().filter_map(|name| name.split_once('/')) {
            by_type.entry(rtype).or_default().push(id);
        }
        let mut found = BTreeMap::new();
        for (rtype, ids) in by_type {
            if rtype == "Binary" {
                for id in ids {
                    self.binary(id, note, &mut found).await?;
                }
                continue;
            }
            for batch in ids.chunks(BATCH) {
                self.search(rtype, batch, note, &mut found).await?;
            }
        }
        found.retain(|name, _| names.contains(name));
        Ok(found)
    }

    /// Which Patients are the same person as these.
    ///
    /// # Errors
    /// [`Problem::NoFacts`] where they cannot all be had: a link that is not known may lead to a Consent that denies.
    pub async fn links_of(&self, patients: &BTreeSet<PatientId>) -> Result<PatientLinksFound, Problem> {
        let mut links = PatientLinksFound::default();
        let mut known = patients.clone();
        let mut open: Vec<PatientId> = patients.iter().cloned().collect();
        for _ in 0..MOST_LINKS {
            if open.is_empty() {
                return Ok(links);
            }
            let mut found = Vec::new();
            for batch in std::mem::take(&mut open).chunks(BATCH) {
                let ids: Vec<&str> = batch.iter().map(PatientId::as_str).collect();
                let names: Vec<String> = batch.iter().map(|patient| percent_encode(&patient.reference())).collect();
                let queries = [format!("_id={}", ids.join(",")), format!("link={}", names.join(","))];
                for query in queries {
                    each_resource(&self.upstream, &format!("Patient?{query}&_count=200"), |patient| {
                        let Some(own) = patient.str_at("id").and_then(|id| PatientId::parse(&id).ok()) else {
                            return Err(NoFacts::Unreadable);
                        };
                        for other in linked_patients(patient, &self.bases) {
                            links.link(&own, &other);
                            found.push(other);
                        }
                        found.push(own);
                        Ok(())
                    })
                    .await?;
                }
            }
            open.extend(found.into_iter().filter(|patient| known.insert(patient.clone())));
        }
        if open.is_empty() { Ok(links) } else { Err(NoFacts::TooMany.into()) }
    }

    /// The facts of a resource that is too large to be read, as far as its summary tells them (FHIR R4 §3.1.1.5.9):
    /// whose it is, for the record. `None` where that cannot be had; it is never to permit anything.
    pub async fn outline(&self, name: &str) -> Option<ResourceFacts> {
        let answer = self.upstream.facts(&format!("{name}?_summary=true")).await.ok()?;
        if answer.status != 200 {
            return None;
        }
        let body = answer.into_json_bytes(OUTLINE_LIMIT).await.ok()?;
        let doc = Doc::parse(&body).ok()?;
        let facts = ResourceFacts::of(doc.root(), &self.bases).ok()?;
        let own = format!("{}/{}", facts.resource_type, facts.id.as_deref()?);
        (own == name).then_some(facts)
    }

    /// The DocumentReferences with an attachment at that Binary (R4 search parameter `location`); none where one of them
    /// cannot be read or they are too many, since all have to permit.
    pub async fn referrers_of_binary(&self, id: &str) -> Result<Vec<ResourceFacts>, Problem> {
        let name = format!("Binary/{id}");
        let places = [name.clone(), self.bases.upstream.join(&name), self.bases.public.join(&name)];
        let encoded: Vec<String> = places.iter().map(|place| percent_encode(place)).collect();
        let mut found = Vec::new();
        let target = format!("DocumentReference?location={}&_count=200", encoded.join(","));
        let read = each_resource(&self.upstream, &target, |document| {
            // The upstream may ignore the parameter: only what does point to it counts.
            let content = document.get("content").into_iter().flat_map(|list| list.items().collect::<Vec<_>>());
            let mut urls = content.filter_map(|part| part.get("attachment")?.str_at("url"));
            if urls.any(|url| places.iter().any(|place| *place == url)) {
                found.push(ResourceFacts::of(document, &self.bases).map_err(|_| NoFacts::TooMany)?);
            }
            Ok(())
        });
        match read.await {
            Ok(()) => Ok(found),
            Err(NoFacts::TooMany) => Ok(Vec::new()),
            Err(fault) => Err(fault.into()),
        }
    }

    /// R4 gives Binary no search parameters: it is read.
    async fn binary(
        &self,
        id: &str,
        note: Note<'_>,
        found: &mut BTreeMap<String, ResourceFacts>,
    ) -> Result<(), Problem> {
        let answer = self.upstream.facts(&format!("Binary/{id}")).await.map_err(|_| NoFacts::Unavailable)?;
        match answer.status {
            200 => {}
            // 400: HAPI's answer to an id that it could never have given.
            400 | 404 | 410 => return Ok(()),
            _ => return Err(NoFacts::Unavailable.into()),
        }
        let body = match answer.into_json_bytes(ANSWER_LIMIT).await {
            Ok(body) => body,
            Err(UpstreamError::TooLarge) => return Ok(()),
            Err(_) => return Err(NoFacts::Unavailable.into()),
        };
        let doc = Doc::parse(&body).map_err(|_| NoFacts::Unreadable)?;
        self.take(doc.root(), note, found);
        Ok(())
    }

    fn take(&self, resource: Value<'_>, note: Note<'_>, found: &mut BTreeMap<String, ResourceFacts>) {
        match ResourceFacts::of(resource, &self.bases) {
            Ok(mut facts) => {
                note(resource, &mut facts);
                found.extend(facts.id.clone().map(|id| (format!("{}/{id}", facts.resource_type), facts)));
            }
            Err(_) => tracing::warn!("a stored resource is not readable, so what hangs on it is hidden"),
        }
    }

    async fn search(
        &self,
        rtype: &str,
        ids: &[&str],
        note: Note<'_>,
        found: &mut BTreeMap<String, ResourceFacts>,
    ) -> Result<(), Problem> {
        let target = format!("{rtype}?_id={}&_count={BATCH}", ids.join(","));
        let read = each_resource(&self.upstream, &target, |resource| {
            self.take(resource, note, found);
            Ok(())
        });
        match (read.await, ids) {
            (Ok(()), _) => Ok(()),
            (Err(NoFacts::TooMany), [_]) => {
                tracing::warn!("a stored resource is too large to be read, so what hangs on it is hidden");
                Ok(())
            }
            (Err(NoFacts::TooMany), several) => {
                for id in several {
                    Box::pin(self.search(rtype, std::slice::from_ref(id), note, found)).await?;
                }
                Ok(())
            }
            (Err(fault), _) => Err(fault.into()),
        }
    }
}

/// Why a search for facts could not be run to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoFacts {
    /// The server did not answer it.
    #[error("facts cannot be had")]
    Unavailable,
    /// It answered with another status than 200.
    #[error("the server refuses to tell facts with status {0}")]
    Refused(u16),
    /// Its answer is no searchset.
    #[error("facts cannot be read")]
    Unreadable,
    /// More or larger resources than are read.
    #[error("facts are too many or too large")]
    TooMany,
}

impl From<NoFacts> for Problem {
    fn from(fault: NoFacts) -> Self {
        match fault {
            NoFacts::Unavailable | NoFacts::Refused(_) => Self::NoFacts("facts-unavailable"),
            NoFacts::Unreadable => Self::NoFacts("facts-unreadable"),
            NoFacts::TooMany => Self::NoFacts("facts-too-many"),
        }
    }
}

/// Runs a search for facts to its end and hands over each resource that matches.
///
/// All or nothing: a page that is missing or malformed is an error, because an absent fact may be the one that denies.
pub(super) async fn each_resource(
    upstream: &Upstream,
    target: &str,
    mut take: impl FnMut(Value<'_>) -> Result<(), NoFacts>,
) -> Result<(), NoFacts> {
    let entries = each_entry(upstream, target, |entry| {
        let outcome = entry.get("search").and_then(|s| s.str_at("mode")).is_some_and(|m| m == "outcome");
        match entry.get("resource") {
            Some(resource) if !outcome => take(resource),
            Some(_) => Ok(()),
            None => Err(NoFacts::Unreadable),
        }
    });
    entries.await.map_err(|fault| match fault {
        NoFacts::Refused(status) => {
            tracing::warn!(status, "a search for facts failed");
            NoFacts::Unavailable
        }
        NoFacts::Unavailable | NoFacts::Unreadable | NoFacts::TooMany => fault,
    })
}

/// The same for the entries of a Bundle of any type.
pub(super) async fn each_entry(
    upstream: &Upstream,
    target: &str,
    mut take: impl FnMut(Value<'_>) -> Result<(), NoFacts>,
) -> Result<(), NoFacts> {
    let mut target = target.to_owned();
    for _ in 0..MOST_PAGES {
        let answer = upstream.facts(&target).await.map_err(|_| NoFacts::Unavailable)?;
        if answer.status != 200 {
            return Err(NoFacts::Refused(answer.status));
        }
        let body = answer.into_json_bytes(ANSWER_LIMIT).await.map_err(|error| match error {
            UpstreamError::TooLarge => NoFacts::TooMany,
            UpstreamError::Unreachable
            | UpstreamError::NoAnswer
            | UpstreamError::Timeout
            | UpstreamError::BrokenOff
            | UpstreamError::NotFhirJson
            | UpstreamError::Encoded
            | UpstreamError::ForeignLink => NoFacts::Unavailable,
        })?;
        let doc = Doc::parse(&body).map_err(|_| NoFacts::Unreadable)?;
        let bundle = doc.root();
        if bundle.str_at("resourceType").as_deref() != Some("Bundle") {
            return Err(NoFacts::Unreadable);
        }
        for entry in bundle.get("entry").into_iter().flat_map(|entries| entries.items().collect::<Vec<_>>()) {
            take(entry)?;
        }
        let next = bundle.get("link").and_then(|links| {
            let next = links.items().find(|link| link.str_at("relation").as_deref() == Some("next"));
            next.and_then(|link| link.str_at("url").map(std::borrow::Cow::into_owned))
        });
        match next {
            None => return Ok(()),
            Some(url) => target = upstream.target_of_link(&url).map_err(|_| NoFacts::Unreadable)?.to_owned(),
        }
    }
    Err(NoFacts::TooMany)
}

/// Percent-encodes one query value, so that `,` and `|` inside it separate nothing.
pub(super) fn percent_encode(value: &str) -> String {
    percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string()
}
