//! All parts together: FHIR server with data, chain, issuer, sidecar, gateway. Every part can be left out.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::anvil::Anvil;
use super::fhir::Fhir;
use super::gateway::{Gateway, GatewayOptions};
use super::hapi::{Hapi, HapiOptions};
use super::hfs::Hfs;
use super::issuer::{Issuer, Keys};
use super::load::{self, Loaded};
use super::sidecar::{Sidecar, SidecarOptions};
use super::tools::Tools;
use super::{say, workspace};

/// Which FHIR server stands behind the gateway.
#[derive(Debug, Clone)]
pub enum Server {
    /// HAPI FHIR JPA, the reference.
    Hapi(HapiOptions),
    /// The second server, that `SEALGATE_HFS` names.
    Hfs,
    /// One that runs already, at this base.
    At(String),
}

/// What is loaded into it.
#[derive(Debug, Clone)]
pub enum Data {
    /// Nothing.
    None,
    /// The demo's patients, of `tests/data/demo`.
    Demo,
    /// Transaction bundles of a folder, at most so many patients.
    Folder(PathBuf, Option<usize>),
}

/// What a stack is to be.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// The name that log files begin with.
    pub name: String,
    /// Where the parts keep their files; emptied before.
    pub folder: PathBuf,
    /// The FHIR server.
    pub server: Server,
    /// Its data.
    pub data: Data,
    /// Whether there is a chain, and the log is anchored on it.
    pub chain: bool,
    /// Whether a sidecar is started.
    pub sidecar: bool,
    /// Whether a gateway is started; it needs the sidecar.
    pub gateway: bool,
    /// Where the issuer's keys are kept; new ones in memory when absent.
    pub issuer_keys: Option<PathBuf>,
    /// Seconds between two anchors.
    pub cadence_seconds: u64,
    /// Keys of the gateway's configuration over the usual ones.
    pub gateway_more: toml::Table,
    /// Keys of the sidecar's configuration over the usual ones.
    pub sidecar_more: toml::Table,
}

impl StackOptions {
    /// Everything, with the demo's data, in `target/e2e/<name>`.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn whole(name: &str) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            folder: workspace::target("e2e")?.join(name),
            server: Server::Hapi(HapiOptions::default()),
            data: Data::Demo,
            chain: true,
            sidecar: true,
            gateway: true,
            issuer_keys: None,
            cadence_seconds: 2,
            gateway_more: toml::Table::new(),
            sidecar_more: toml::Table::new(),
        })
    }
}

/// The FHIR server that runs.
#[derive(Debug)]
pub enum Upstream {
    /// HAPI.
    Hapi(Hapi),
    /// The second server.
    Hfs(Hfs),
    /// One that somebody else started.
    At(String),
}

impl Upstream {
    /// Its FHIR base, without a slash at the end.
    #[must_use]
    pub fn base(&self) -> &str {
        match self {
            Self::Hapi(hapi) => &hapi.base,
            Self::Hfs(hfs) => &hfs.base,
            Self::At(base) => base,
        }
    }

    /// Starts or finds it; `folder` takes its files, where it has any.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start(tools: &Tools, name: &str, server: &Server, folder: &Path) -> Result<Self> {
        match server {
            Server::Hapi(options) => {
                let name = format!("{name}-hapi");
                let starting = Hapi::start(tools, &name, options);
                say::while_running("starting HAPI FHIR", starting).await.map(Self::Hapi)
            }
            Server::Hfs => {
                let name = format!("{name}-hfs");
                let database = folder.join("hfs.db");
                let starting = Hfs::start(&name, &database);
                say::while_running("starting the second FHIR server", starting).await.map(Self::Hfs)
            }
            Server::At(base) => {
                let base = base.trim_end_matches('/').to_owned();
                Fhir::at(&base)?.read("metadata").await.with_context(|| format!("no FHIR server answers at {base}"))?;
                Ok(Self::At(base))
            }
        }
    }
}

/// All parts, running. They end when this value goes: the gateway first, the FHIR server last.
pub struct Stack {
    /// The gateway.
    pub gateway: Option<Gateway>,
    /// The sidecar.
    pub sidecar: Option<Sidecar>,
    /// The chain.
    pub anvil: Option<Anvil>,
    /// The issuer.
    pub issuer: Issuer,
    /// The FHIR server.
    pub upstream: Upstream,
    /// What was loaded into it.
    pub loaded: Loaded,
    /// Where the parts keep their files.
    pub folder: PathBuf,
    /// Where the tools are.
    pub tools: Tools,
}

impl Stack {
    /// Starts the parts, each as soon as what it needs is there.
    ///
    /// # Errors
    /// When a part cannot be started; those that run are ended.
    pub async fn start(options: StackOptions) -> Result<Self> {
        let folder = options.folder;
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be emptied", folder.display()))?;
        }
        std::fs::create_dir_all(&folder)?;
        let tools = Tools::open()?;
        let (upstream, chain) = tokio::try_join!(
            Upstream::start(&tools, &options.name, &options.server, &folder),
            chain(&tools, &options.name, options.chain),
        )?;
        let loaded = fill(&Fhir::at(upstream.base())?, &options.data).await?;
        let keys = match &options.issuer_keys {
            Some(file) => Keys::kept(file)?,
            None => Keys::generate(1)?,
        };
        let issuer = Issuer::start(keys, 0, "https://gateway.demo.example/fhir").await?;
        let mut stack = Self { gateway: None, sidecar: None, anvil: chain, issuer, upstream, loaded, folder, tools };
        if options.sidecar || options.gateway {
            let sidecar = SidecarOptions {
                name: format!("{}-sidecar", options.name),
                folder: stack.folder.join("sidecar"),
                origin: "log.demo.example/north".to_owned(),
                cadence_seconds: options.cadence_seconds,
                more: options.sidecar_more,
            };
            let starting = Sidecar::start(sidecar, stack.anvil.as_ref());
            stack.sidecar = Some(say::while_running("starting the sidecar", starting).await?);
        }
        if options.gateway {
            let sidecar = stack.sidecar()?;
            let gateway = GatewayOptions {
                name: format!("{}-gateway", options.name),
                folder: stack.folder.join("gateway"),
                port: None,
                upstream: stack.upstream.base().to_owned(),
                issuer: stack.issuer.url.clone(),
                audience: stack.issuer.audience.clone(),
                sidecar_socket: sidecar.socket.clone(),
                log_key: sidecar.log_key.clone(),
                more: options.gateway_more,
            };
            let starting = Gateway::start(gateway);
            stack.gateway = Some(say::while_running("starting the gateway", starting).await?);
        }
        Ok(stack)
    }

    /// The FHIR server, called directly.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn direct(&self) -> Result<Fhir> {
        Fhir::at(self.upstream.base())
    }

    /// The gateway.
    ///
    /// # Errors
    /// When the stack was started without one.
    pub fn gateway(&self) -> Result<&Gateway> {
        self.gateway.as_ref().context("this stack has no gateway")
    }

    /// The sidecar.
    ///
    /// # Errors
    /// When the stack was started without one.
    pub fn sidecar(&self) -> Result<&Sidecar> {
        self.sidecar.as_ref().context("this stack has no sidecar")
    }

    /// The chain.
    ///
    /// # Errors
    /// When the stack was started without one.
    pub fn anvil(&self) -> Result<&Anvil> {
        self.anvil.as_ref().context("this stack has no chain")
    }
}

async fn chain(tools: &Tools, name: &str, wanted: bool) -> Result<Option<Anvil>> {
    if !wanted {
        return Ok(None);
    }
    Anvil::start(tools, &format!("{name}-anvil")).await.map(Some)
}

async fn fill(server: &Fhir, data: &Data) -> Result<Loaded> {
    match data {
        Data::None => Ok(Loaded::default()),
        Data::Demo => load::folder(server, &workspace::package("data/demo"), None).await,
        Data::Folder(folder, patients) => load::folder(server, folder, *patients).await,
    }
}
