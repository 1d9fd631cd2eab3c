//! Two sides that run: FHIR servers with a world each, and a gateway of the same configuration before either.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use time::format_description::well_known::Rfc3339;

use super::canonical::Phases;
use super::side::{Side, load};
use super::world::Pair;
use crate::harness::fhir::{self, Fhir};
use crate::harness::gateway::{Gateway, GatewayOptions};
use crate::harness::hapi::HapiOptions;
use crate::harness::issuer::{Issuer, Keys};
use crate::harness::sidecar::{Sidecar, SidecarOptions};
use crate::harness::stack::{Server, Stack, Upstream};
use crate::harness::tools::Tools;
use crate::harness::{clock, say, workspace, written};

/// What both sides share.
pub struct Common<'a> {
    /// Where the tools are.
    pub tools: &'a Tools,
    /// Who gives tokens.
    pub issuer: &'a Issuer,
    /// The log that both gateways write to.
    pub sidecar: &'a Sidecar,
    /// Where the parts keep their files.
    pub folder: PathBuf,
    /// What names of logs begin with.
    pub name: String,
}

impl<'a> Common<'a> {
    /// Of this stack.
    ///
    /// # Errors
    /// When it has no sidecar.
    pub fn of(stack: &'a Stack, name: &str) -> Result<Self> {
        Ok(Self {
            tools: &stack.tools,
            issuer: &stack.issuer,
            sidecar: stack.sidecar()?,
            folder: stack.folder.join("twin"),
            name: name.to_owned(),
        })
    }
}

/// What both sides share, for a run of its own.
pub struct Parts {
    tools: Tools,
    issuer: Issuer,
    sidecar: Sidecar,
    folder: PathBuf,
}

impl Parts {
    /// Starts them; there is no chain.
    ///
    /// # Errors
    /// When a part cannot be started.
    pub async fn start() -> Result<Self> {
        let folder = workspace::target("twin")?.join("parts");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let tools = Tools::open()?;
        let issuer = Issuer::start(Keys::generate(1)?, 0, "https://gateway.demo.example/fhir").await?;
        let options = SidecarOptions {
            name: "twin-sidecar".to_owned(),
            folder: folder.join("sidecar"),
            origin: "log.demo.example/twin".to_owned(),
            cadence_seconds: 60,
            more: toml::Table::new(),
        };
        let sidecar = say::while_running("starting the sidecar", Sidecar::start(options, None)).await?;
        Ok(Self { tools, issuer, sidecar, folder })
    }

    /// They, shared.
    #[must_use]
    pub fn common(&self) -> Common<'_> {
        Common {
            tools: &self.tools,
            issuer: &self.issuer,
            sidecar: &self.sidecar,
            folder: self.folder.clone(),
            name: "twin".to_owned(),
        }
    }
}

/// Two FHIR servers, one for each world of a pair.
pub struct Servers([Upstream; 2]);

impl Servers {
    /// Starts them.
    ///
    /// # Errors
    /// When one cannot be started.
    pub async fn start(common: &Common<'_>) -> Result<Self> {
        let server = Server::Hapi(HapiOptions::default());
        let folder = &common.folder;
        std::fs::create_dir_all(folder)?;
        let name = |side: &str| format!("{}-{side}", common.name);
        let (a, b) = (name("a"), name("b"));
        let (a, b) = tokio::try_join!(
            Upstream::start(common.tools, &a, &server, folder),
            Upstream::start(common.tools, &b, &server, folder),
        )?;
        Ok(Self([a, b]))
    }

    /// Loads the worlds of these pairs; gives the time between the two loads.
    ///
    /// # Errors
    /// When a server does not take one.
    pub async fn load(&self, pairs: &[Pair]) -> Result<(String, Phases)> {
        let [a, b] = &self.0;
        let servers = [Fhir::at(a.base())?, Fhir::at(b.base())?];
        let begin = clock::now() - Duration::from_secs(60);
        let (first, second) = tokio::join!(side(&servers, pairs, 0, false), side(&servers, pairs, 1, false));
        first.and(second).context("the first load")?;
        // FHIR's times are compared by the second: nothing is stored within a second of the boundary.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let boundary = clock::now().replace_nanosecond(0)?;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let (first, second) = tokio::join!(side(&servers, pairs, 0, true), side(&servers, pairs, 1, true));
        first.and(second).context("the second load")?;
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let phases = Phases { begin, boundary, loaded: clock::now().replace_nanosecond(0)? };
        Ok((boundary.format(&Rfc3339)?, phases))
    }
}

async fn side(servers: &[Fhir; 2], pairs: &[Pair], which: usize, second: bool) -> Result<()> {
    let server = servers.get(which).context("two servers")?;
    for pair in pairs {
        let world = pair.worlds.get(which).context("two worlds")?;
        load(server, world, second)
            .await
            .with_context(|| format!("{}, world {}", pair.name, ["a", "b"].get(which).unwrap_or(&"")))?;
    }
    Ok(())
}

/// A gateway before each of the servers.
pub struct Gateways {
    gateways: [Gateway; 2],
    direct: [Fhir; 2],
}

impl Gateways {
    /// Starts them; `program` in the place of this workspace's gateway.
    ///
    /// # Errors
    /// When one is not ready.
    pub async fn start(common: &Common<'_>, servers: &Servers, name: &str, program: Option<&Path>) -> Result<Self> {
        let [a, b] = &servers.0;
        let options = |side: &str, upstream: &str| -> Result<GatewayOptions> {
            let folder = common.folder.join(format!("{name}-{side}"));
            if folder.exists() {
                std::fs::remove_dir_all(&folder)?;
            }
            Ok(GatewayOptions {
                name: format!("{}-{name}-{side}", common.name),
                folder,
                port: None,
                upstream: upstream.to_owned(),
                issuer: common.issuer.url.clone(),
                audience: common.issuer.audience.clone(),
                sidecar_socket: common.sidecar.socket.clone(),
                log_key: common.sidecar.log_key.clone(),
                more: settings()?,
            })
        };
        let gateways = tokio::try_join!(
            Gateway::start_program(options("a", a.base())?, program),
            Gateway::start_program(options("b", b.base())?, program),
        )?;
        Ok(Self { gateways: gateways.into(), direct: [Fhir::at(a.base())?, Fhir::at(b.base())?] })
    }

    /// The two sides for the caller of a pair.
    ///
    /// # Errors
    /// When no token can be signed.
    pub fn sides(&self, common: &Common<'_>, pair: &Pair, time: &(String, Phases)) -> Result<[Side; 2]> {
        let client = fhir::client()?;
        let token = common.issuer.token(&pair.claims)?;
        let [a, b] = &self.gateways;
        let [direct_a, direct_b] = &self.direct;
        let side = |gateway: &Gateway, direct: &Fhir| {
            Side::new(client.clone(), &gateway.url, direct.clone(), token.clone(), time.clone())
        };
        Ok([side(a, direct_a), side(b, direct_b)])
    }

    /// Ends them.
    ///
    /// # Errors
    /// When one does not end.
    pub async fn stop(mut self) -> Result<()> {
        for gateway in &mut self.gateways {
            gateway.stop().await?;
        }
        Ok(())
    }
}

/// What both gateways are told: a clinic's usual choice, and redactions for whoever does not treat.
fn settings() -> Result<toml::Table> {
    let redacted = ["Patient.telecom", "Patient.address", "Observation.note"].map(|path| {
        let treatment = "http://terminology.hl7.org/CodeSystem/v3-ActReason|TREAT";
        json!({"path": path, "except_purposes": [treatment], "except_own_record": true})
    });
    written::table(&json!({
        "consent": {"no_consent": "basic-normal"},
        "consent_source": {"timeout": "60s", "max_staleness": "10m"},
        "upstream": {"read_timeout": "120s"},
        "redaction": redacted,
    }))
}

/// Says what was loaded.
pub(super) fn say_loaded(pairs: &[Pair], begin: std::time::Instant) {
    let resources: usize = pairs.iter().flat_map(|pair| &pair.worlds).map(|world| world.first.len()).sum();
    let hidden: usize = pairs.iter().flat_map(|pair| &pair.worlds).map(|world| world.hidden.len()).sum();
    say::step(&format!(
        "{} pairs loaded in {:.0} s: {resources} resources in two worlds, {hidden} of them hidden",
        pairs.len(),
        begin.elapsed().as_secs_f64()
    ));
}
