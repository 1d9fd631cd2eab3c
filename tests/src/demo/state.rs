//! `target/demo/`: what a running demo tells others, and what is kept between runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::harness::issuer::{Algorithm, Keys, with_defaults};
use crate::harness::workspace;

/// How long the demo's tokens live.
const LIFETIME: Duration = Duration::from_secs(12 * 3600);

/// `target/demo/state.json`: there while a demo is ready, and only then.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    /// FHIR base of the gateway.
    pub gateway_url: String,
    /// Base of the gateway's admin port.
    pub admin_url: String,
    /// File with the token of the admin port.
    pub admin_token_file: PathBuf,
    /// FHIR base of the server behind it.
    pub upstream_url: String,
    /// Base of the sidecar's read side.
    pub sidecar_url: String,
    /// JSON-RPC address of the chain.
    pub chain_rpc: String,
    /// Chain id.
    pub chain_id: u64,
    /// Address of the contract.
    pub contract: String,
    /// The log's name.
    pub log_origin: String,
    /// The log's id in the contract.
    pub log_id: String,
    /// What a verifier must know beforehand.
    pub trust_file: PathBuf,
    /// `iss` of the demo's tokens.
    pub issuer: String,
    /// Tokens by name.
    pub tokens: BTreeMap<String, String>,
}

/// The folder of the demo.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// `<workspace>/target/demo`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open() -> Result<Self> {
        workspace::target("demo").map(Self)
    }

    /// `state.json`.
    #[must_use]
    pub fn state_file(&self) -> PathBuf {
        self.0.join("state.json")
    }

    /// The folder of the parts' files; made anew at each start.
    #[must_use]
    pub fn parts(&self) -> PathBuf {
        self.0.join("parts")
    }

    /// The issuer's signing keys, kept between runs so that a token can be made from beside a running demo.
    #[must_use]
    pub fn issuer_keys(&self) -> PathBuf {
        self.0.join("issuer-keys.json")
    }

    /// Where the verifier's trust file is put.
    #[must_use]
    pub fn trust_file(&self) -> PathBuf {
        self.0.join("trust.json")
    }

    /// Says who the issuer is, as soon as it is there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn remember_issuer(&self, issuer: &Issuer) -> Result<()> {
        workspace::replace(&self.0.join("issuer.json"), &serde_json::to_vec_pretty(issuer)?)
    }

    /// A token of the demo's issuer with these claims over the defaults.
    ///
    /// # Errors
    /// When no demo was ever started here.
    pub fn token(&self, claims: &Value) -> Result<String> {
        let issuer = std::fs::read(self.0.join("issuer.json"))
            .context("no demo was started here yet: run `cargo demo` first")?;
        let issuer: Issuer = serde_json::from_slice(&issuer)?;
        let claims = with_defaults(&issuer.url, &issuer.audience, LIFETIME, claims);
        Keys::kept(&self.issuer_keys())?.sign(Algorithm::RS256, &claims)
    }

    /// Writes `state.json` whole; the guard takes it away when it goes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn publish(&self, state: &State) -> Result<Published> {
        let file = self.state_file();
        workspace::replace(&file, &serde_json::to_vec_pretty(state)?)?;
        Ok(Published(file))
    }

    /// Takes a `state.json` of an earlier, killed run away.
    pub fn forget_state(&self) {
        let _ = std::fs::remove_file(self.state_file());
    }
}

/// The demo's issuer, as others know it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Issuer {
    /// Its `iss`.
    pub url: String,
    /// The audience of its tokens.
    pub audience: String,
}

/// `state.json`, while it is true.
#[derive(Debug)]
pub struct Published(PathBuf);

impl Published {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
