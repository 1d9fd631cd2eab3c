//! One of the two sides: a FHIR server with one world, the gateway before it, and the caller's token.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method};
use serde_json::Value;

use super::canonical::{Canonical, Maker, Phases};
use super::requests::{Body, Request, joined};
use super::world::World;
use crate::harness::fhir::{Answer, Fhir, address, link};

/// Pages of one search that are followed.
const MOST_PAGES: usize = 120;

/// One side, for the caller of one pair.
#[derive(Debug, Clone)]
pub struct Side {
    client: Client,
    /// The gateway's public base.
    base: String,
    token: String,
    boundary: String,
    /// The FHIR server itself.
    pub direct: Fhir,
    maker: Maker,
}

/// What a request brought: every page of it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The answers, the first one first.
    pub pages: Vec<Canonical>,
    /// The first one as it came.
    pub first: Answer,
}

impl Side {
    /// The side of this gateway and server.
    #[must_use]
    pub fn new(client: Client, base: &str, direct: Fhir, token: String, (boundary, phases): (String, Phases)) -> Self {
        Self { client, base: base.to_owned(), token, boundary, direct, maker: Maker::new(base, phases) }
    }

    /// Sends a request and follows its pages to the end.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn exchange(&mut self, request: &Request) -> Result<Exchange> {
        let mut filled = request.clone();
        if filled.headers.iter().any(|(_, value)| value.contains("{etag}")) {
            let known = self.once(&Request::get("etag", request.path.clone())).await?;
            let etag = known.header("etag").unwrap_or("W/\"none\"").to_owned();
            for (_, value) in &mut filled.headers {
                *value = value.replace("{etag}", &etag);
            }
        }
        let first = self.once(&filled).await?;
        let mut pages = vec![self.canonical(&first)];
        let mut next = next_of(&first);
        while let Some(url) = next {
            if pages.len() >= MOST_PAGES {
                break;
            }
            let page = self.follow(&url).await?;
            pages.push(self.canonical(&page));
            next = next_of(&page);
        }
        Ok(Exchange { pages, first })
    }

    fn canonical(&mut self, answer: &Answer) -> Canonical {
        self.maker.answer(answer.status.as_u16(), &answer.headers, &answer.body)
    }

    /// The same resource as the FHIR server itself gives it.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn upstream(&self, path: &str) -> Result<String> {
        let answer = self.direct.get(path).await?.success()?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let base = self.direct.base();
        Ok(self.maker.clone().text(&text.replace(base, &self.base)))
    }

    async fn follow(&self, url: &str) -> Result<Answer> {
        ensure!(url.starts_with(&self.base), "a link leads away from the gateway: {url}");
        let request = self.client.get(url).bearer_auth(&self.token).header("accept", "application/fhir+json");
        Fhir::send(request).await
    }

    async fn once(&self, request: &Request) -> Result<Answer> {
        let fill = |text: &str| text.replace("{base}", &self.base).replace("{boundary}", &self.boundary);
        let target = fill(&request.target());
        let joint = if target.is_empty() || target.starts_with('?') { "" } else { "/" };
        let method = Method::from_bytes(request.method.as_bytes())?;
        let mut sending = self.client.request(method, format!("{}{joint}{target}", self.base)).bearer_auth(&self.token);
        if !request.headers.iter().any(|(name, _)| name == "accept") {
            sending = sending.header("accept", "application/fhir+json");
        }
        for (name, value) in &request.headers {
            sending = sending.header(name, fill(value));
        }
        let sending = match &request.body {
            Body::None => sending,
            Body::Json(body) => sending.header("content-type", "application/fhir+json").body(fill(&body.to_string())),
            Body::Form(form) => {
                sending.header("content-type", "application/x-www-form-urlencoded").body(fill(&joined(form)))
            }
            Body::Text(media, text) => sending.header("content-type", *media).body(text.clone()),
        };
        Fhir::send(sending).await
    }

    /// Takes a resource out of the FHIR server, past the gateway; gives it, to be put back.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn take(&self, address: &str) -> Result<Option<Value>> {
        let held = self.direct.get(address).await?;
        if !held.status.is_success() {
            return Ok(None);
        }
        let request = self.direct.request(Method::DELETE, address);
        Fhir::send(request).await?.success()?;
        held.json().map(Some)
    }
}

fn next_of(answer: &Answer) -> Option<String> {
    if !answer.status.is_success() || answer.body.is_empty() {
        return None;
    }
    link(&answer.json().ok()?, "next").map(str::to_owned)
}

/// Loads what a world holds first, or second, as one transaction.
///
/// # Errors
/// When the server does not take it.
pub async fn load(server: &Fhir, world: &World, second: bool) -> Result<()> {
    let resources = if second { &world.second } else { &world.first };
    let mut entries = Vec::new();
    for resource in resources {
        let url = address(resource).context("a resource without an address")?;
        entries.push(serde_json::json!({"request": {"method": "PUT", "url": url}, "resource": resource}));
    }
    for address in world.deleted.iter().filter(|_| second) {
        entries.push(serde_json::json!({"request": {"method": "DELETE", "url": address}}));
    }
    if entries.is_empty() {
        return Ok(());
    }
    let bundle = serde_json::json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
    for attempt in 1.. {
        let answer = server.write(Method::POST, "", &bundle).await?;
        // Two transactions at once may wait for each other in the database: HAPI says so, and nothing of it is stored.
        if answer.status.is_server_error() && attempt < 3 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            continue;
        }
        answer.success()?;
        break;
    }
    Ok(())
}
