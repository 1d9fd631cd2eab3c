//! Reading from the gateway's admin address and from the sidecar's read side.

use std::time::Duration;

use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use super::output::Failure;

/// Bytes that an answer may have.
const LIMIT: usize = 64 << 20;

/// A client that follows no redirect and no proxy of the environment.
pub(super) fn client() -> Result<reqwest::Client, Failure> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()
        .map_err(Failure::failed)
}

/// Runs the asynchronous part of a command.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?.block_on(work)
}

/// An address below a base, whether or not the base ends in a slash.
pub(super) fn below(base: &Url, path: &str) -> Result<Url, Failure> {
    let base = format!("{}/{path}", base.as_str().trim_end_matches('/'));
    Url::parse(&base).map_err(Failure::usage)
}

/// Asks for JSON; `who` names the peer in failures.
pub(super) async fn read<T: DeserializeOwned>(request: reqwest::RequestBuilder, who: &str) -> Result<T, Failure> {
    #[derive(Deserialize)]
    struct Refusal {
        message: Option<String>,
    }
    let unreachable =
        |error: reqwest::Error| Failure::failed(format!("{who} does not answer: {}", error.without_url()));
    let mut response = request.send().await.map_err(unreachable)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len().saturating_add(chunk.len()) > LIMIT {
            return Err(Failure::failed(format!("{who} answers with more than {LIMIT} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    if !response.status().is_success() {
        let refusal = serde_json::from_slice::<Refusal>(&body).ok().and_then(|refusal| refusal.message);
        let why = refusal.map_or_else(String::new, |message| format!(": {message}"));
        return Err(Failure::failed(format!("{who} answers {}{why}", response.status())));
    }
    serde_json::from_slice(&body)
        .map_err(|error| Failure::failed(format!("{who} answers with something else than expected: {error}")))
}
