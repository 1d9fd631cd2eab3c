//! Talking FHIR to a server directly: what the tests compare with, and how data gets in.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

/// An HTTP client that goes where it is sent: no redirects, no proxies of the environment.
///
/// # Errors
/// When TLS cannot be set up.
pub fn client() -> Result<Client> {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_secs(300))
        .connect_timeout(Duration::from_secs(5))
        // The admin port closes what was idle for five seconds: a request must not meet that.
        .pool_idle_timeout(Duration::from_secs(2))
        .build()
        .context("no HTTP client")
}

/// A FHIR server or the gateway before it, with the token of one caller.
#[derive(Debug, Clone)]
pub struct Fhir {
    base: String,
    token: Option<String>,
    client: Client,
}

/// An answer, read whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body's bytes.
    pub body: bytes::Bytes,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("an answer {} that is no JSON", self.status))
    }

    /// A header, where it is there and readable.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The same answer, where the status is a success.
    ///
    /// # Errors
    /// With status and the beginning of the body where it is not.
    pub fn success(self) -> Result<Self> {
        let shown: String = String::from_utf8_lossy(&self.body).chars().take(600).collect();
        ensure!(self.status.is_success(), "the server answers {}: {shown}", self.status);
        Ok(self)
    }
}

impl Fhir {
    /// A server at this base, called without a token.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn at(base: impl Into<String>) -> Result<Self> {
        let base: String = base.into();
        Ok(Self { base: base.trim_end_matches('/').to_owned(), token: None, client: client()? })
    }

    /// The same server with this bearer token.
    #[must_use]
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// The base, without a slash at the end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A request to `path`, which may be an absolute URL (such as a `next` link); add headers and a body, then [`Self::send`] it.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = if path.starts_with("http://") || path.starts_with("https://") {
            path.to_owned()
        } else if path.is_empty() || path.starts_with('?') {
            format!("{}{path}", self.base)
        } else {
            format!("{}/{path}", self.base)
        };
        let request = self.client.request(method, url).header("accept", "application/fhir+json");
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn send(request: reqwest::RequestBuilder) -> Result<Answer> {
        let response = request.send().await?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = response.bytes().await?;
        Ok(Answer { status, headers, body })
    }

    /// GET, whatever the status.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        Self::send(self.request(Method::GET, path).header("cache-control", "no-cache")).await
    }

    /// GET of a resource or bundle that must succeed.
    ///
    /// # Errors
    /// When the server answers otherwise.
    pub async fn read(&self, path: &str) -> Result<Value> {
        self.get(path).await?.success().and_then(|answer| answer.json()).with_context(|| format!("GET {path}"))
    }

    /// All pages of a search: its entries, in order.
    ///
    /// # Errors
    /// When a page does not succeed, or pages never end.
    pub async fn search(&self, query: &str) -> Result<Vec<Value>> {
        let mut entries = Vec::new();
        let mut next = Some(query.to_owned());
        for _ in 0..10_000 {
            let Some(query) = next else {
                return Ok(entries);
            };
            let page = self.read(&query).await?;
            if let Some(found) = page.get("entry").and_then(Value::as_array) {
                entries.extend(found.iter().cloned());
            }
            next = link(&page, "next").map(str::to_owned);
        }
        anyhow::bail!("{query}: the pages do not end")
    }

    /// How many resources a search finds, by the server's own count.
    ///
    /// # Errors
    /// When the server does not count.
    pub async fn count(&self, query: &str) -> Result<u64> {
        let joint = if query.contains('?') { '&' } else { '?' };
        self.read(&format!("{query}{joint}_summary=count"))
            .await?
            .get("total")
            .and_then(Value::as_u64)
            .with_context(|| format!("{query}: an answer without a total"))
    }

    /// Sends a body with this method; whatever the status.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn write(&self, method: Method, path: &str, body: &Value) -> Result<Answer> {
        let request =
            self.request(method, path).header("content-type", "application/fhir+json").body(serde_json::to_vec(body)?);
        Self::send(request).await
    }

    /// PUT of a resource to its own address; it must succeed.
    ///
    /// # Errors
    /// When the server answers otherwise.
    pub async fn put(&self, resource: &Value) -> Result<Value> {
        let address = address(resource).context("a resource without type or id")?;
        self.write(Method::PUT, &address, resource).await?.success()?.json()
    }
}

/// `Type/id` of a resource.
#[must_use]
pub fn address(resource: &Value) -> Option<String> {
    let kind = resource.get("resourceType")?.as_str()?;
    let id = resource.get("id")?.as_str()?;
    Some(format!("{kind}/{id}"))
}

/// The address of a link of a bundle.
#[must_use]
pub fn link<'a>(bundle: &'a Value, relation: &str) -> Option<&'a str> {
    bundle
        .get("link")?
        .as_array()?
        .iter()
        .find(|link| link.get("relation").and_then(Value::as_str) == Some(relation))?
        .get("url")?
        .as_str()
}
