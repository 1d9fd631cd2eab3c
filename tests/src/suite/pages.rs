//! Searchsets as they came over the wire: every resource with the very bytes that the server wrote, cut out by a JSON reader that is not the
//! gateway's.

use std::collections::BTreeSet;

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
/// page, else there must be none.
pub(super) fn compare(
    (direct, held): (&Fhir, &[Page]),
    (through, received): (&Fhir, &[Page]),
    query: &str,
    one_patient: bool,
) -> Result<Equal> {
    ensure!(held.len() == received.len(), "{} pages instead of {}", received.len(), held.len());
    let mut equal = Equal { pages: held.len(), ..Equal::default() };
    let all: usize = held.iter().map(|page| page.matches.len()).sum();
    let total = if one_patient { Some(all as u64) } else { None };
    for (at, (held, received)) in held.iter().zip(received).enumerate() {
        let number = at + 1;
        same(direct, through, &held.matches, &received.matches).with_context(|| format!("page {number}, matches"))?;
        let sorted = |entries: &[Entry]| -> Vec<Entry> {
            entries.iter().cloned().collect::<BTreeSet<Entry>>().into_iter().collect()
        };
        same(direct, through, &sorted(&held.includes), &sorted(&received.includes))
            .with_context(|| format!("page {number}, included"))?;
        ensure!(received.total == total, "page {number}: total {:?} instead of {total:?}", received.total);
        ensure!(received.next.is_some() == held.next.is_some(), "page {number}: next {:?}", received.next);
        own_link(through, &received.own, query).with_context(|| format!("page {number}"))?;
        if let Some(next) = &received.next {
            ensure!(next.starts_with(&format!("{}/", through.base())), "page {number}: next is {next}");
        }
        equal.matches += held.matches.len();
        equal.includes += held.includes.len();
    }
    Ok(equal)
}

/// The same entries in the same order, byte for byte, but for addresses under the server's base, which are under the gateway's.
fn same(direct: &Fhir, through: &Fhir, held: &[Entry], received: &[Entry]) -> Result<()> {
    let names = |entries: &[Entry]| entries.iter().map(|entry| entry.address.clone()).collect::<Vec<_>>();
    ensure!(names(held) == names(received), "held {:?}\n        received {:?}", names(held), names(received));
    let (from, to) = (format!("\"{}/", direct.base()), format!("\"{}/", through.base()));
    for (held, received) in held.iter().zip(received) {
        let expected = held.raw.replace(&from, &to);
        ensure!(expected == received.raw, "{}: held\n{expected}\nreceived\n{}", held.address, received.raw);
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
