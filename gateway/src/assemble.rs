//! Assemble: from the configuration to the parts that serve, in the order in which they can fail.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::rt::task::JoinHandle;
use evidence::ids::{Origin, TenantId};
use evidence::note::NoteVerifier;
use gateway_core::reference::{BaseUrl, Bases, NotABase};
use tokio::sync::{Semaphore, watch};

use crate::admin::{self, Admin, Check, CheckFn, CheckState};
use crate::audit::JournalAudit;
use crate::audit_event::{self, Feed, FeedError, FeedState};
use crate::auth::{Authenticator, Readiness, key_client};
use crate::capability::Issuer;
use crate::config::{AuditEventMode, Config, KeyLocation, SecretError, SecretSource, SidecarAddress, UpstreamConfig};
use crate::counted::Counted;
use crate::cursor::Cursors;
use crate::explain::Explainer;
use crate::forward::{Patience, Upstream};
use crate::gate::{CapabilityCache, Gate, Shared};
use crate::gather::Facts;
use crate::gather::consents::ConsentSource;
use crate::gather::memberships::MembershipSource;
use crate::gather::resources::ResourceSource;
use crate::gather::watch::Watch;
use crate::glass::{Glass, Moment, Reviews};
use crate::journal::{self, Journal, JournalError, OpenError};
use crate::keys::{KeyEncryptionKey, KeyError};
use crate::peer::PeerSetup;
use crate::probe;
use crate::record::Recorder;
use crate::reload::Reloader;
use crate::rules::{InForce, Rules, RulesFault};
use crate::server;
use crate::shadow::Shadow;
use crate::ship::{self, ShipError, ShipState, Shipper};
use crate::standing;
use crate::telemetry::{JournalReading, Metrics, MetricsFault, Peer};
use crate::tls::{self, Certificates, TlsFault};
use crate::turns::Turns;

/// How often the Consent source is asked whether it answers.
const CONSENT_SOURCE_EVERY: Duration = Duration::from_secs(5);
/// How often certificates are looked at for a change.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(30);

/// Why the gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The key-encryption key.
    #[error("journal.kek_file: {0}")]
    Key(#[from] KeyError),
    /// The journal cannot be opened.
    #[error("journal: {0}")]
    Open(#[from] OpenError),
    /// The journal's grants cannot be read, or the start cannot be recorded.
    #[error("journal: {0}")]
    Journal(JournalError),
    /// Shipping.
    #[error("sidecar: {0}")]
    Ship(#[from] ShipError),
    /// The feed of AuditEvents.
    #[error("audit_event: {0}")]
    Feed(#[from] FeedError),
    /// The log's key.
    #[error("sidecar.log_key is not a verifier key of a log")]
    LogKey,
    /// The tenant's name.
    #[error("journal.tenant is not usable as a name")]
    Tenant,
    /// What decides.
    #[error(transparent)]
    Rules(#[from] RulesFault),
    /// Metrics.
    #[error(transparent)]
    Metrics(#[from] MetricsFault),
    /// A base URL.
    #[error("server.public_base or upstream.base: {0}")]
    Base(#[from] NotABase),
    /// The client of a FHIR server.
    #[error("upstream or consent_source: {0}")]
    Upstream(#[from] PeerSetup),
    /// The client for key sets.
    #[error("auth: the client for key sets cannot be made: {0}")]
    KeyClient(#[from] reqwest::Error),
    /// The thread of the shadow policy.
    #[error("shadow: its thread cannot be started: {0}")]
    Thread(std::io::Error),
    /// TLS.
    #[error("server.tls: {0}")]
    Tls(#[from] TlsFault),
    /// A secret.
    #[error("{0}")]
    Secret(#[from] SecretError),
    /// A port.
    #[error("{0} cannot be bound: {1}")]
    Bind(&'static str, std::io::Error),
}

/// The parts of a gateway, made and not yet serving.
pub struct Assembled {
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// The first client of the data path.
    pub upstream: Upstream,
    /// The journal.
    pub journal: Journal,
    /// TLS of the FHIR surface.
    pub tls: Option<rustls::ServerConfig>,
    metrics: Arc<Metrics>,
    certificates: Option<Arc<Certificates>>,
    shipper: Option<Shipper>,
    feed: Option<Feed>,
    feed_state: Option<watch::Receiver<FeedState>>,
    ship_state: watch::Receiver<ShipState>,
    consent_source: Arc<AtomicBool>,
    watch: Option<Arc<Watch>>,
    stopping: Arc<AtomicBool>,
}

/// A client of the upstream's data path.
pub fn upstream(config: &UpstreamConfig, metrics: &Arc<Metrics>) -> Result<Upstream, PeerSetup> {
    let patience = Patience { connect: config.connect_timeout, read: config.read_timeout };
    Ok(Upstream::new(&config.peer, patience)?.measured(Arc::clone(metrics), Peer::Upstream))
}

/// Where the journal is, and the key that it is opened with.
///
/// # Errors
/// The key-encryption key cannot be read, or the tenant is not usable as a name.
pub fn journal_of(config: &Config) -> Result<(journal::Settings, KeyEncryptionKey), ServeError> {
    let tenant = TenantId::new(config.journal.tenant.as_str()).map_err(|_| ServeError::Tenant)?;
    let settings = journal::Settings {
        max_bytes: config.journal.max_size,
        max_backlog: config.journal.max_backlog,
        ..journal::Settings::new(config.journal.path.clone(), tenant)
    };
    Ok((settings, KeyEncryptionKey::read(&config.journal.kek_file)?))
}

impl Assembled {
    /// Makes the parts. Nothing is bound; the journal is open and its orphans are closed.
    pub fn make(config: &Config, metrics: Arc<Metrics>) -> Result<Self, ServeError> {
        let rules = Rules::load(config)?;
        let (settings, kek) = journal_of(config)?;
        let cursor_key = kek.cursor_key()?;
        let (journal, report) = Journal::open(settings, kek)?;
        tracing::info!(entries = report.orphans_closed, "journal open, orphans closed");
        let (shipper, ship_state) = Shipper::new(ship_settings(config)?, journal.clone())?;
        let feed = feed(config, &journal)?;
        let feed_state = feed.as_ref().map(Feed::state);
        let bases = Bases {
            public: BaseUrl::parse(config.server.public_base.as_str())?,
            upstream: BaseUrl::parse(config.upstream.peer.base.as_str())?,
        };
        let upstream = upstream(&config.upstream, &metrics)?;
        let facts = facts(config, &upstream, &bases, &metrics)?;
        let shadow = Shadow::start(Arc::clone(&metrics)).map_err(ServeError::Thread)?;
        let certificates = config.server.tls.as_ref().map(Certificates::load).transpose()?;
        let tls = certificates.clone().map(tls::server_config).transpose()?;
        let glass = Glass::load(journal.grants().map_err(ServeError::Journal)?, Moment::now());
        let shared = Shared {
            glass: Arc::new(glass),
            authenticator: Arc::new(Authenticator::new(&config.auth, key_client()?)),
            facts: Arc::new(facts),
            recorder: Recorder::new(journal.clone(), Arc::<Counted>::default(), Arc::clone(&metrics)),
            cursors: Cursors::new(&cursor_key, rules.digest.to_string()),
            rules: InForce::new(shadow.beside(rules)),
            shadow,
            capabilities: CapabilityCache::default(),
            issuer: OnceLock::new(),
            limits: config.server.limits.clone(),
            most_entries: config.upstream.max_response_entries as u64,
            bases,
            cors_origins: config.server.cors_origins.clone(),
            purpose_header: config.auth.purpose_header.clone(),
            at_work: Arc::new(Semaphore::new(config.server.limits.concurrent_requests)),
            metrics: Arc::clone(&metrics),
            turns: Turns::default(),
        };
        let shipper = shipper.traced(shared.recorder.traced());
        watch_journal(&metrics, &journal);
        if let Some(state) = feed_state.clone() {
            let journal = journal.clone();
            metrics.watch_feed(move || standing::reading(&state, &journal))?;
        }
        let watch = consent_watch(config);
        if let Some(watch) = watch.clone() {
            metrics.watch_consents(move || watch.reading())?;
        }
        let shared = Arc::new(shared);
        let watched = Arc::clone(&shared);
        metrics.watch_glass(move || watched.glass.reading(&watched.rules.now().glass, Moment::now()))?;
        Ok(Self {
            shared,
            upstream,
            journal,
            tls,
            metrics,
            certificates,
            shipper: Some(shipper),
            feed,
            feed_state,
            ship_state,
            consent_source: Arc::default(),
            watch,
            stopping: Arc::default(),
        })
    }

    /// Says in readiness that the gateway takes no more requests.
    pub fn stop_being_ready(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// The admin port, with every condition of readiness.
    pub fn admin_server(&self, config: &Config) -> Result<actix_web::dev::Server, ServeError> {
        let token = config.admin.token.as_ref().map(SecretSource::read).transpose()?;
        let audit = Arc::new(JournalAudit::new(self.journal.clone()));
        let gate = Gate { shared: Arc::clone(&self.shared), upstream: upstream(&config.upstream, &self.metrics)? };
        let mut admin = Admin::new(self.checks(config), Arc::clone(&self.metrics), audit, token.as_ref())
            .reviewing(Reviews::new(Arc::clone(&self.shared)))
            .explained_by(Arc::new(Explainer::new(gate)));
        if let (Some(watch), Some(token)) = (&self.watch, &config.consent_source.notify_token) {
            let watch = Arc::clone(watch);
            admin = admin.with_notices(&token.read()?, move || watch.wake());
        }
        let (server, _) = admin::serve(admin, config.admin.listen).map_err(|e| ServeError::Bind("admin.listen", e))?;
        Ok(server)
    }

    fn checks(&self, config: &Config) -> Vec<Box<dyn Check>> {
        let holds = |holds: bool, why: &str| if holds { Ok(()) } else { Err(why.to_owned()) };
        let (journal, backlogged, most) = (self.journal.clone(), self.journal.clone(), config.journal.max_backlog);
        let (shared, keys) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
        let (in_force, ship) = (Arc::clone(&self.shared), self.ship_state.clone());
        let (stopping, consent_source) = (Arc::clone(&self.stopping), Arc::clone(&self.consent_source));
        let mut checks: Vec<Box<dyn Check>> = vec![
            Box::new(CheckFn("serving", move || holds(!stopping.load(Ordering::SeqCst), "the gateway is stopping"))),
            Box::new(CheckFn("journal", move || holds(journal.writable(), "the journal does not take events"))),
            Box::new(CheckFn("backlog", move || {
                holds(backlogged.backlog().unshipped < most, "too many events wait for the log")
            })),
            Box::new(CheckFn("log", move || standing::log(&ship.borrow()))),
            Box::new(CheckFn("jwks", move || match keys.authenticator.ready() {
                Readiness::Ready => Ok(()),
                Readiness::Waiting(issuers) => Err(format!("no keys yet of {}", issuers.join(", "))),
            })),
            Box::new(CheckFn("upstream", move || {
                holds(shared.capabilities.known().is_ok(), "the upstream's capabilities are not known yet")
            })),
            Box::new(CheckFn("consent-source", move || {
                holds(consent_source.load(Ordering::SeqCst), "the Consent source does not answer")
            })),
            Box::new(CheckFn("enforcement", move || {
                holds(probe::enforces(&in_force.rules.now().policy), "a denied resource would be permitted")
            })),
        ];
        let beside = Arc::clone(&self.shared);
        checks.push(Box::new(CheckFn("shadow", move || match beside.rules.now().second {
            None => CheckState::Holds,
            Some(_) => CheckState::Noted("a second policy is compared; it decides nothing".to_owned()),
        })));
        if let Some(watch) = self.watch.clone() {
            checks.push(Box::new(CheckFn("consent-watch", move || standing::consents(&watch))));
        }
        if let (Some(state), AuditEventMode::Fhir { max_delay, .. }) = (&self.feed_state, &config.audit_event) {
            let (state, journal, max_delay) = (state.clone(), self.journal.clone(), *max_delay);
            checks.push(Box::new(CheckFn("audit-events", move || standing::feed(&state, &journal, max_delay))));
        }
        checks
    }

    /// Starts the work behind the requests.
    pub fn spawn_background(&mut self, config: &Config) -> Result<Vec<JoinHandle<()>>, ServeError> {
        let facts = upstream(&config.upstream, &self.metrics)?;
        let shared = &self.shared;
        let mut tasks = vec![
            actix_web::rt::spawn(server::beat(Arc::clone(shared))),
            actix_web::rt::spawn(server::learn_capabilities(Arc::clone(shared), facts, shared.bases.clone())),
            actix_web::rt::spawn(watch_consent_source(Arc::clone(shared), Arc::clone(&self.consent_source))),
            actix_web::rt::spawn(learn_issuer(Arc::clone(shared), config.clone())),
        ];
        let keys = Arc::clone(&shared.authenticator);
        tasks.push(actix_web::rt::spawn(async move { keys.keep_fresh().await }));
        if let Some(certificates) = &self.certificates {
            tasks.push(actix_web::rt::spawn(Arc::clone(certificates).keep_fresh(CERTIFICATES_EVERY)));
        }
        if let Some(watch) = self.watch.clone() {
            tasks.push(actix_web::rt::spawn(watch.keep(Arc::clone(&shared.facts), config.consent_source.poll)));
        }
        tasks.extend(Reloader::new(Arc::clone(shared), config).map(|rules| actix_web::rt::spawn(rules.keep_fresh())));
        tasks.extend(self.shipper.take().map(|shipper| actix_web::rt::spawn(shipper.run())));
        tasks.extend(self.feed.take().map(|feed| actix_web::rt::spawn(feed.run())));
        Ok(tasks)
    }
}

fn ship_settings(config: &Config) -> Result<ship::Settings, ServeError> {
    let target = match &config.sidecar.address {
        SidecarAddress::Socket(path) => ship::Target::Socket(path.clone()),
        SidecarAddress::Https { url, identity, ca_file } => ship::Target::Https {
            url: url.clone(),
            authorities: ca_file.clone(),
            certificate: identity.certificate.clone(),
            key: identity.key.clone(),
        },
    };
    let log_key = config.sidecar.log_key.parse().map_err(|_| ServeError::LogKey)?;
    Ok(ship::Settings { target, log_key, timeout: Duration::from_secs(10) })
}

/// The feed of AuditEvents, where the configuration asks for one.
fn feed(config: &Config, journal: &Journal) -> Result<Option<Feed>, ServeError> {
    let AuditEventMode::Fhir { peer: endpoint, .. } = &config.audit_event else { return Ok(None) };
    let log_key: NoteVerifier = config.sidecar.log_key.parse().map_err(|_| ServeError::LogKey)?;
    let origin = Origin::new(log_key.name()).map_err(|_| ServeError::LogKey)?;
    let settings = audit_event::Settings::new(
        (**endpoint).clone(),
        &config.journal.path,
        &config.server.public_base,
        &config.upstream.peer.base,
        origin,
    );
    Ok(Some(Feed::new(settings, journal.clone())?))
}

/// The watch over the Consents, where anything is to wake it.
fn consent_watch(config: &Config) -> Option<Arc<Watch>> {
    let source = &config.consent_source;
    (source.poll.is_some() || source.notify_token.is_some()).then(Arc::default)
}

/// The sources of facts that the configuration names.
///
/// # Errors
/// The client of the Consent source cannot be made.
pub(crate) fn facts(
    config: &Config,
    upstream: &Upstream,
    bases: &Bases,
    metrics: &Arc<Metrics>,
) -> Result<Facts, ServeError> {
    let source = &config.consent_source;
    let patience = Patience { connect: source.connect_timeout, read: source.timeout };
    let consents = Upstream::new(&source.peer, patience)?.measured(Arc::clone(metrics), Peer::ConsentSource);
    Ok(Facts {
        consents: ConsentSource::new(
            consents,
            bases.clone(),
            source.max_staleness,
            source.cache_patients,
            Arc::clone(metrics),
        ),
        memberships: MembershipSource::new(upstream.clone(), bases.clone(), source.max_staleness),
        resources: ResourceSource::new(upstream.clone(), bases.clone()),
        bases: bases.clone(),
        metrics: Arc::clone(metrics),
    })
}

fn watch_journal(metrics: &Metrics, journal: &Journal) {
    let journal = journal.clone();
    metrics.watch_journal(move || {
        let (statistics, backlog) = (journal.statistics(), journal.backlog());
        JournalReading {
            unshipped: backlog.unshipped,
            oldest_age: backlog.oldest_age.unwrap_or_default(),
            records: statistics.records,
            commits: statistics.commits,
            commit_time: statistics.commit_time,
            file_bytes: statistics.file_bytes,
            writable: journal.writable(),
        }
    });
}

async fn watch_consent_source(shared: Arc<Shared>, reachable: Arc<AtomicBool>) {
    loop {
        let answers = shared.facts.consents.reachable().await;
        reachable.store(answers, Ordering::SeqCst);
        tokio::time::sleep(if answers { CONSENT_SOURCE_EVERY } else { Duration::from_millis(500) }).await;
    }
}

/// Reads the discovery document of the first issuer, for the SMART configuration.
async fn learn_issuer(shared: Arc<Shared>, config: Config) {
    let Some(first) = config.auth.issuers.first() else { return };
    let url = match &first.keys {
        KeyLocation::Discovery(url) => url.clone(),
        KeyLocation::Jwks(jwks) => {
            let issuer = Issuer { issuer: first.issuer.clone(), jwks_uri: Some(jwks.to_string()), ..Issuer::default() };
            drop(shared.issuer.set(issuer));
            return;
        }
    };
    let Ok(client) = key_client() else { return };
    loop {
        let answer = client.get(url.clone()).timeout(config.auth.jwks.timeout).send().await;
        if let Ok(answer) = answer
            && let Ok(document) = answer.json::<serde_json::Value>().await
            && document.get("issuer").and_then(serde_json::Value::as_str) == Some(first.issuer.as_str())
        {
            let at = |key: &str| document.get(key).and_then(serde_json::Value::as_str).map(ToOwned::to_owned);
            let issuer = Issuer {
                issuer: first.issuer.clone(),
                jwks_uri: at("jwks_uri"),
                authorization_endpoint: at("authorization_endpoint"),
                token_endpoint: at("token_endpoint"),
                introspection_endpoint: at("introspection_endpoint"),
                revocation_endpoint: at("revocation_endpoint"),
            };
            drop(shared.issuer.set(issuer));
            return;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}
