//! The facts of resources that others refer to: targets of a Provenance, the context of a Binary, what a Consent names.

use std::collections::{BTreeMap, BTreeSet};

use gateway_core::facts::ResourceFacts;
use gateway_core::json::{Doc, Value};
use gateway_core::reference::Bases;

use crate::forward::Upstream;
use crate::problem::Problem;

/// Ids in one query; keeps the URL under 4 KiB.
const BATCH: usize = 40;
/// Bytes of one answer to a query for facts.
pub(super) const ANSWER_LIMIT: usize = 32 << 20;
/// Pages of one query for facts.
pub(super) const MOST_PAGES: usize = 64;

/// Fetches facts of resources on the upstream.
pub struct ResourceSource {
    upstream: Upstream,
    bases: Bases,
}

impl ResourceSource {
    /// A source on the upstream itself.
    pub fn new(upstream: Upstream, bases: Bases) -> Self {
        Self { upstream, bases }
    }

    /// The facts of the resources of these names (`Type/id`); one that does not exist is not in the answer.
    pub async fn facts_of(&self, names: &BTreeSet<String>) -> Result<BTreeMap<String, ResourceFacts>, Problem> {
        let mut by_type: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (rtype, id) in names.iter().filter_map(|name| name.split_once('/')) {
            by_type.entry(rtype).or_default().push(id);
        }
        let mut found = BTreeMap::new();
        for (rtype, ids) in by_type {
            for batch in ids.chunks(BATCH) {
                let target = format!("{rtype}?_id={}&_count={BATCH}", batch.join(","));
                self.search(&target, &mut found).await?;
            }
        }
        found.retain(|name, _| names.contains(name));
        Ok(found)
    }

    /// The DocumentReferences with an attachment at that Binary (R4 search parameter `location`).
    pub async fn referrers_of_binary(&self, id: &str) -> Result<Vec<ResourceFacts>, Problem> {
        let name = format!("Binary/{id}");
        let places = [name.clone(), self.bases.upstream.join(&name), self.bases.public.join(&name)];
        let encoded: Vec<String> = places.iter().map(|place| percent_encode(place)).collect();
        let mut found = Vec::new();
        each_resource(
            &self.upstream,
            &format!("DocumentReference?location={}&_count=200", encoded.join(",")),
            |document| {
                // The upstream may ignore the parameter: only what does point to it counts.
                let content = document.get("content").into_iter().flat_map(|list| list.items().collect::<Vec<_>>());
                let mut urls = content.filter_map(|part| part.get("attachment")?.str_at("url"));
                if urls.any(|url| places.iter().any(|place| *place == url)) {
                    found.push(ResourceFacts::of(document, &self.bases).map_err(|_| UNREADABLE)?);
                }
                Ok(())
            },
        )
        .await?;
        Ok(found)
    }

    async fn search(&self, target: &str, found: &mut BTreeMap<String, ResourceFacts>) -> Result<(), Problem> {
        each_resource(&self.upstream, target, |resource| {
            let facts = ResourceFacts::of(resource, &self.bases).map_err(|_| UNREADABLE)?;
            if let Some(id) = &facts.id {
                found.insert(format!("{}/{id}", facts.resource_type), facts);
            }
            Ok(())
        })
        .await
    }
}

const UNREADABLE: Problem = Problem::NoFacts("facts-unreadable");
const UNAVAILABLE: Problem = Problem::NoFacts("facts-unavailable");

/// Runs a search for facts to its end and hands over each resource that matches.
///
/// All or nothing: a page that is missing or malformed is an error, because an absent fact may be the one that denies.
pub(super) async fn each_resource(
    upstream: &Upstream,
    target: &str,
    mut take: impl FnMut(Value<'_>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut target = target.to_owned();
    for _ in 0..MOST_PAGES {
        let answer = upstream.facts(&target).await.map_err(|_| UNAVAILABLE)?;
        if answer.status != 200 {
            tracing::warn!(status = answer.status, "a search for facts failed");
            return Err(UNAVAILABLE);
        }
        let body = answer.into_json_bytes(ANSWER_LIMIT).await.map_err(|_| UNAVAILABLE)?;
        let doc = Doc::parse(&body).map_err(|_| UNREADABLE)?;
        let bundle = doc.root();
        if bundle.str_at("resourceType").as_deref() != Some("Bundle") {
            return Err(UNREADABLE);
        }
        for entry in bundle.get("entry").into_iter().flat_map(|entries| entries.items().collect::<Vec<_>>()) {
            let outcome = entry.get("search").and_then(|s| s.str_at("mode")).is_some_and(|m| m == "outcome");
            match entry.get("resource") {
                Some(resource) if !outcome => take(resource)?,
                Some(_) => {}
                None => return Err(UNREADABLE),
            }
        }
        let next = bundle.get("link").and_then(|links| {
            let next = links.items().find(|link| link.str_at("relation").as_deref() == Some("next"));
            next.and_then(|link| link.str_at("url").map(std::borrow::Cow::into_owned))
        });
        match next {
            None => return Ok(()),
            Some(url) => target = upstream.target_of_link(&url).map_err(|_| UNREADABLE)?.to_owned(),
        }
    }
    Err(Problem::NoFacts("facts-too-many"))
}

/// Percent-encodes one query value, so that `,` and `|` inside it separate nothing.
pub(super) fn percent_encode(value: &str) -> String {
    percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string()
}
