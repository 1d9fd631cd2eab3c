//! A world in which the doctor may see everything: a FHIR server of the test's own, every patient of it with one Consent that permits treatment,
//! and a gateway before it.

use std::path::Path;

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::Value;

use super::Skip;
use crate::demo::cast::Role;
use crate::demo::consents;
use crate::harness::fhir::{Fhir, address};
use crate::harness::gateway::{Gateway, GatewayOptions};
use crate::harness::hapi::HapiOptions;
use crate::harness::load::{self, Loaded};
use crate::harness::stack::{Server, Stack, Upstream};

/// The world; its parts end when it goes.
pub(super) struct Permitted {
    /// The FHIR server, called directly.
    pub(super) direct: Fhir,
    /// The same through the gateway, as the doctor.
    pub(super) through: Fhir,
    /// What was loaded.
    pub(super) loaded: Loaded,
    /// The gateway.
    pub(super) gateway: Gateway,
    _upstream: Upstream,
}

impl Permitted {
    /// Starts it with the bundles of a folder (the first `patients` of it), logging to the stack's sidecar.
    pub(super) async fn start(stack: &Stack, name: &str, data: &Path, patients: Option<usize>) -> Result<Self> {
        let server = match stack.upstream {
            Upstream::Hapi(_) => Server::Hapi(HapiOptions::default()),
            Upstream::Hfs(_) => Server::Hfs,
            Upstream::At(_) => {
                let why = "it writes Consents: tried with servers of our own only";
                return Err(Skip(why.to_owned()).into());
            }
        };
        let folder = stack.folder.join(name);
        std::fs::create_dir_all(&folder)?;
        let upstream = Upstream::start(&stack.tools, &format!("e2e-{name}"), &server, &folder).await?;
        let direct = Fhir::at(upstream.base())?;
        let loaded = load::folder(&direct, data, patients).await?;
        forget_consents(&direct).await?;
        consents::permit_all(&direct, &loaded.patients).await?;
        let sidecar = stack.sidecar()?;
        let gateway = Gateway::start(GatewayOptions {
            name: format!("e2e-{name}-gateway"),
            folder: folder.join("gateway"),
            port: None,
            upstream: upstream.base().to_owned(),
            issuer: stack.issuer.url.clone(),
            audience: stack.issuer.audience.clone(),
            sidecar_socket: sidecar.socket.clone(),
            log_key: sidecar.log_key.clone(),
            more: toml::Table::new(),
        })
        .await?;
        let through = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
        Ok(Self { direct, through, loaded, gateway, _upstream: upstream })
    }

    /// Everything on record of a request: the openings that the admin port gives.
    pub(super) async fn openings(&self, request: &str) -> Result<Vec<Value>> {
        openings(&self.gateway, request).await
    }

    /// Ends gateway and server.
    pub(super) async fn stop(mut self) -> Result<()> {
        self.gateway.stop().await
    }
}

/// The events of a request, as the admin port opens them.
pub(super) async fn openings(gateway: &Gateway, request: &str) -> Result<Vec<Value>> {
    let admin = Fhir::at(&gateway.admin)?.with_token(gateway.admin_token.clone());
    let mut answer = admin.read(&format!("v1/openings/{request}")).await?;
    match answer.get_mut("openings").map(Value::take) {
        Some(Value::Array(openings)) => {
            openings.into_iter().map(|mut o| o.get_mut("event").map(Value::take).context("no event")).collect()
        }
        _ => bail!("openings without a list"),
    }
}

/// The data's own Consents hide things: they go.
async fn forget_consents(direct: &Fhir) -> Result<()> {
    for entry in direct.search("Consent?_count=100").await? {
        let consent = entry.get("resource").and_then(address).context("an entry without a resource")?;
        Fhir::send(direct.request(Method::DELETE, &consent)).await?.success()?;
    }
    Ok(())
}
