//! Searchsets as they came over the wire: every resource with the very bytes that the server wrote, cut out by a JSON reader that is not the
//! gateway's.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use crate::harness::fhir::{Answer, Fhir};

/// An entry of a searchset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    /// `Type/id`.
    pub(super) address: String,
    /// `fullUrl`.
    pub(super) full_url: String,
    /// The resource's bytes.
    pub(super) raw: String,
}

/// A page of a search.
#[derive(Debug)]
pub(super) struct Page {
    /// `search.mode` `match`, in order.
    pub(super) matches: Vec<Entry>,
    /// `search.mode` `include`, in order.
    pub(super) includes: Vec<Entry>,
    /// `total`, where there is one.
    pub(super) total: Option<u64>,
    /// The link `self`.
    pub(super) own: String,
    /// The link `next`, where there is one.
    pub(super) next: Option<String>,
    /// `X-Request-Id`, where there is one.
    pub(super) request: Option<String>,
}

/// How a search is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// `GET Type?…`
    Get,
    /// `POST Type/_search` with a form.
    Post,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBundle<'a> {
    resource_type: String,
    #[serde(rename = "type")]
    kind: String,
    total: Option<u64>,
    #[serde(default)]
    link: Vec<RawLink>,
    #[serde(borrow, default)]
    entry: Vec<RawEntry<'a>>,
}

#[derive(Deserialize)]
struct RawLink {
    relation: String,
    url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEntry<'a> {
    full_url: String,
    #[serde(borrow)]
    resource: &'a RawValue,
    search: RawSearch,
}

#[derive(Deserialize)]
struct RawSearch {
    mode: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    resource_type: String,
    id: String,
}

/// Reads an answer that must be a searchset.
pub(super) fn page(answer: &Answer) -> Result<Page> {
    let bundle: RawBundle<'_> = serde_json::from_slice(&answer.body).context("an answer that is no searchset")?;
    ensure!(bundle.resource_type == "Bundle" && bundle.kind == "searchset", "{} {}", bundle.resource_type, bundle.kind);
    let (mut matches, mut includes) = (Vec::new(), Vec::new());
    for entry in bundle.entry {
        let raw = entry.resource.get();
        let named: Named = serde_json::from_str(raw).context("a resource without type or id")?;
        let address = format!("{}/{}", named.resource_type, named.id);
        let read = Entry { address, full_url: entry.full_url, raw: raw.to_owned() };
        match entry.search.mode.as_str() {
            "match" => matches.push(read),
            "include" => includes.push(read),
            other => bail!("{}: search mode {other}", read.address),
        }
    }
    let link = |relation: &str| bundle.link.iter().find(|link| link.relation == relation).map(|link| link.url.clone());
    Ok(Page {
        matches,
        includes,
        total: bundle.total,
        own: link("self").context("a searchset without a self link")?,
        next: link("next"),
        request: answer.header("x-request-id").map(str::to_owned),
    })
}

/// All pages of a search; the first is sent as told, the others by their links.
pub(super) async fn walk(server: &Fhir, query: &str, by: By) -> Result<Vec<Page>> {
    let mut pages = Vec::new();
    let mut answer = first(server, query, by).await?;
    loop {
        let read = page(&answer.success()?)?;
        let next = read.next.clone();
        pages.push(read);
        ensure!(pages.len() < 2_000, "the pages do not end");
        match next {
            Some(next) => answer = server.get(&next).await?,
            None => return Ok(pages),
        }
    }
}

async fn first(server: &Fhir, query: &str, by: By) -> Result<Answer> {
    match by {
        By::Get => server.get(query).await,
        By::Post => {
            let (kind, form) = query.split_once('?').context("a search without parameters")?;
            let request = server
                .request(Method::POST, &format!("{kind}/_search"))
                .header("content-type", "application/x-www-form-urlencoded")
                .header("cache-control", "no-cache")
                .body(form.to_owned());
            Fhir::send(request).await
        }
    }
}

/// How many matches and included resources both sides gave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Equal {
    /// Pages.
    pub(super) pages: usize,
    /// Matches on all pages.
    pub(super) matches: usize,
    /// Included resources on all pages.
    pub(super) includes: usize,
}

/// Compares a search's pages as the server gave them with those that came through the gateway. `one_patient`: there must be an exact total on every
/// page, else there must be none. Where the query names no `_count` each side has a page size of its own, and the pages are compared as one.
pub(super) fn compare(
    held: &[Page],
    (through, received): (&Fhir, &[Page]),
    query: &str,
    one_patient: bool,
) -> Result<Equal> {
    let all = |pages: &[Page]| -> (Vec<Entry>, BTreeSet<Entry>) {
        let matches = pages.iter().flat_map(|page| page.matches.iter().cloned()).collect();
        let includes = pages.iter().flat_map(|page| page.includes.iter().cloned()).collect();
        (matches, includes)
    };
    let (all_matches, all_includes) = all(held);
    let total = one_patient.then_some(all_matches.len() as u64);
    for page in received {
        ensure!(page.total == total, "total {:?} instead of {total:?}", page.total);
        own_link(through, &page.own, query)?;
        if let Some(next) = &page.next {
            ensure!(next.starts_with(&format!("{}/", through.base())), "next is {next}");
        }
    }
    if query.contains("_count=") {
        ensure!(held.len() == received.len(), "{} pages instead of {}", received.len(), held.len());
        for (at, (held, received)) in held.iter().zip(received).enumerate() {
            let number = at + 1;
            same(through, &held.matches, &received.matches).with_context(|| format!("page {number}, matches"))?;
            same(through, &sorted(&held.includes), &sorted(&received.includes))
                .with_context(|| format!("page {number}, included"))?;
        }
    } else {
        let (matches, includes) = all(received);
        same(through, &all_matches, &matches).context("matches")?;
        same(through, &sorted(&all_includes), &sorted(&includes)).context("included")?;
    }
    Ok(Equal { pages: received.len(), matches: all_matches.len(), includes: all_includes.len() })
}

/// Each entry once, by address: FHIR gives included resources no order. The `fullUrl` is no part of it.
fn sorted<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<Entry> {
    let by_address: BTreeMap<&str, &Entry> = entries.into_iter().map(|entry| (entry.address.as_str(), entry)).collect();
    by_address.into_values().cloned().collect()
}

/// The same entries in the same order, byte for byte; only `fullUrl` is the gateway's.
fn same(through: &Fhir, held: &[Entry], received: &[Entry]) -> Result<()> {
    let names = |entries: &[Entry]| -> Vec<String> { entries.iter().map(|entry| entry.address.clone()).collect() };
    if names(held) != names(received) {
        let at = held.iter().zip(received).take_while(|(held, received)| held.address == received.address).count();
        let (here, there) = (held.get(at).map(|entry| &entry.address), received.get(at).map(|entry| &entry.address));
        bail!("{} held and {} received; number {at}: held {here:?}, received {there:?}", held.len(), received.len());
    }
    for (held, received) in held.iter().zip(received) {
        ensure!(held.raw == received.raw, "{}: held\n{}\nreceived\n{}", held.address, held.raw, received.raw);
        let full_url = format!("{}/{}", through.base(), held.address);
        ensure!(received.full_url == full_url, "fullUrl {} instead of {full_url}", received.full_url);
    }
    Ok(())
}

/// The self link is under the gateway's base and says the search as it was asked.
fn own_link(through: &Fhir, own: &str, query: &str) -> Result<()> {
    let parameters = |url: &str| -> Result<(String, Vec<(String, String)>)> {
        let url = Url::parse(url).with_context(|| format!("{url} is no URL"))?;
        let pairs = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        Ok((url.path().to_owned(), pairs))
    };
    ensure!(own.starts_with(&format!("{}/", through.base())), "self is {own}");
    ensure!(parameters(own)? == parameters(&format!("{}/{query}", through.base()))?, "self is {own} for {query}");
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed expectation is a failed test")]

    use super::*;

    const BASE: &str = "http://gateway.example/fhir";

    fn entry(base: &str, id: &str, raw: &str) -> Entry {
        let address = format!("Condition/{id}");
        Entry { full_url: format!("{base}/{address}"), address, raw: raw.to_owned() }
    }

    fn pages(base: &str, total: Option<u64>) -> Vec<Page> {
        let page = |id: &str, next: Option<&str>| Page {
            matches: vec![entry(base, id, "{\"a\":1.0}"), entry(base, &format!("{id}2"), "{}")],
            includes: vec![entry(base, "p", "{\"p\":1}"), entry(base, "q", "{}")],
            total,
            own: format!("{base}/Condition?patient=a&_count=2"),
            next: next.map(|next| format!("{base}/{next}")),
            request: None,
        };
        vec![page("a", Some("Condition?_cursor=x")), page("b", None)]
    }

    type Change = fn(&mut Vec<Page>);

    /// What a gateway that loses nothing gives is equal; every single change is told.
    #[test]
    fn every_difference_is_found() {
        let query = "Condition?patient=a&_count=2";
        let held = pages("http://server.example", None);
        let through = Fhir::at(BASE).unwrap();
        let verdict = |received: &[Page], one| compare(&held, (&through, received), query, one);
        let equal = verdict(&pages(BASE, Some(4)), true).unwrap();
        assert_eq!(equal, Equal { pages: 2, matches: 4, includes: 2 });
        verdict(&pages(BASE, None), false).unwrap();

        let changes: [(&str, Change); 11] = [
            ("a byte", |p| p[0].matches[0].raw = "{\"a\":1.00}".to_owned()),
            ("white space", |p| p[0].includes[0].raw = "{\"p\": 1}".to_owned()),
            ("a match is missing", |p| drop(p[1].matches.pop())),
            ("an include is missing", |p| drop(p[1].includes.pop())),
            ("another order", |p| p[0].matches.reverse()),
            ("an entry twice", |p| {
                let again = p[0].matches[0].clone();
                p[0].matches.push(again);
            }),
            ("a page is missing", |p| drop(p.pop())),
            ("another total", |p| p[1].total = Some(3)),
            ("the server's fullUrl", |p| p[0].matches[0].full_url = "http://server.example/Condition/a".to_owned()),
            ("the server's next", |p| p[0].next = Some("http://server.example?_getpages=1".to_owned())),
            ("another self", |p| p[0].own = format!("{BASE}/Condition?patient=a")),
        ];
        for (what, change) in changes {
            let mut received = pages(BASE, Some(4));
            change(&mut received);
            assert!(verdict(&received, true).is_err(), "{what}");
        }
    }
}
