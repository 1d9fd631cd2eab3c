//! Reload: Consent settings, redactions, roles, break glass, label sets, the client table and organisational policies change without a
//! restart (docs/adr/0030).
//!
//! The files are looked at every two seconds, and at once on SIGHUP. What can be put in force as a whole is: first the
//! event `policy-change` is durable, then the first request is decided by it. What cannot leaves everything as it was.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use evidence::event::{EventBody, PolicyChange};
use sha2::{Digest as _, Sha256};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Config;
use crate::gate::Shared;
use crate::rules::{Rules, RulesFault};
use crate::server::event;

/// How often the files are looked at. A change counts once it has stood for one round: it may be half written.
const EVERY: Duration = Duration::from_secs(2);

/// The sections that take effect at once; all others do so at the next start.
const RELOADED: [&str; 7] = ["break_glass", "client", "consent", "policy", "redaction", "roles", "shadow"];

/// Why changed files are not put in force.
#[derive(Debug, thiserror::Error)]
enum ReloadFault {
    /// The configuration has faults, each with its key and cure.
    #[error("{0}")]
    Config(String),
    /// What it names cannot be put in force.
    #[error(transparent)]
    Rules(#[from] RulesFault),
    /// The change cannot be put on record.
    #[error("the change cannot be recorded, so it is not in force: {0}")]
    Record(crate::journal::JournalError),
    /// The runtime is stopping.
    #[error("the gateway is stopping")]
    Stopping,
}

/// Watches the files of the rules in force.
pub struct Reloader {
    shared: Arc<Shared>,
    /// The configuration that runs.
    running: Arc<Config>,
    file: PathBuf,
    watched: Watched,
    /// What the files were when they were last taken or refused.
    seen: Print,
    /// What they were a round ago, where that is something else.
    settling: Option<Print>,
}

/// What the files held; a file that cannot be read is told from one that is empty.
type Print = [u8; 32];

/// What is named by the configuration file.
#[derive(Clone)]
struct Watched {
    policies: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Watched {
    fn of(config: &Config) -> Self {
        let shadow = config.shadow.as_ref();
        let policies = [&config.organisation.dir].into_iter().chain(shadow.map(|shadow| &shadow.cedar_dir));
        let files = [&config.organisation.label_sets].into_iter().chain(shadow.map(|shadow| &shadow.policy_file));
        Self { policies: policies.flatten().cloned().collect(), files: files.flatten().cloned().collect() }
    }
}

impl Reloader {
    /// Watches from now on; `None` where the configuration came from no file.
    pub fn new(shared: Arc<Shared>, config: &Config) -> Option<Self> {
        let file = config.file.clone()?;
        let watched = Watched::of(config);
        let seen = print(&file, &watched);
        Some(Self { shared, running: Arc::new(config.clone()), file, watched, seen, settling: None })
    }

    /// Looks for changes for ever; to be spawned.
    pub async fn keep_fresh(mut self) {
        let mut hangup = signal(SignalKind::hangup()).ok();
        loop {
            let asked = tokio::select! {
                () = tokio::time::sleep(EVERY) => false,
                () = hung_up(hangup.as_mut()) => true,
            };
            self.look(asked).await;
        }
    }

    async fn look(&mut self, asked: bool) {
        let (file, watched) = (self.file.clone(), self.watched.clone());
        let Ok(now) = tokio::task::spawn_blocking(move || print(&file, &watched)).await else { return };
        if !asked && now == self.seen {
            self.settling = None;
            return;
        }
        if !asked && self.settling.replace(now) != Some(now) {
            return;
        }
        match self.reload().await {
            Ok(changed) => {
                self.seen = now;
                if changed || asked {
                    tracing::info!(changed, policy_digest = %self.shared.rules.now().digest, "the rules were read again");
                }
            }
            Err(fault) => {
                self.shared.metrics.reload(false);
                tracing::error!(%fault, "the changed rules cannot be put in force; the old ones stay");
                // What cannot be recorded is tried again; what is faulty waits for the next change.
                if !matches!(fault, ReloadFault::Record(_)) {
                    self.seen = now;
                }
            }
        }
    }

    /// Puts in force what the files hold; whether that differs from what was.
    async fn reload(&mut self) -> Result<bool, ReloadFault> {
        let (file, running) = (self.file.clone(), Arc::clone(&self.running));
        let read = tokio::task::spawn_blocking(move || propose(&file, &running));
        let (rules, without, watched) = read.await.map_err(|_| ReloadFault::Stopping)??;
        self.watched = watched;
        if without {
            self.shared.metrics.reload(false);
        }
        let running = self.shared.rules.now();
        if !rules.differ(&running) {
            return Ok(false);
        }
        let previous = running.digest;
        // A shadow alone decides nothing that is on record.
        if rules.digest != previous {
            let change = PolicyChange { policy_digest: rules.digest, previous: Some(previous), by: None };
            let entries = event(EventBody::PolicyChange(change)).into_iter().collect();
            // INVARIANT: durable before the first decision under the new rules. CRASH: between the two the record says
            // more than was done; the next start says what it runs on.
            self.shared.recorder.journal().record(entries).await.map_err(ReloadFault::Record)?;
            self.shared.metrics.events("policy-change", 1);
        }
        self.shared.rules.replace(self.shared.shadow.beside(rules));
        self.shared.metrics.reload(true);
        Ok(true)
    }
}

/// The rules that the files ask for, whether they are without their shadow because that is faulty, and what to watch from
/// then on.
fn propose(file: &Path, running: &Config) -> Result<(Rules, bool, Watched), ReloadFault> {
    let mut config = Config::load(file).map_err(|problems| ReloadFault::Config(problems.to_string()))?;
    let later = running.sections_that_differ(&config);
    let later: Vec<&str> = later.into_iter().filter(|section| !RELOADED.contains(section)).collect();
    if !later.is_empty() {
        tracing::warn!(sections = ?later, "these sections have changed and take effect at the next start");
    }
    let watched = Watched::of(&config);
    // The two bases are those that are really called.
    config.consent.public_base.clone_from(&running.consent.public_base);
    config.consent.upstream_base.clone_from(&running.consent.upstream_base);
    let (rules, without) = match Rules::load(&config) {
        // It decides nothing, so neither does its fault: the rules go in force without it.
        Err(fault) if fault.is_the_shadows() => {
            tracing::error!(%fault, "the shadow policy is off until its files are corrected");
            config.shadow = None;
            (Rules::load(&config)?, true)
        }
        loaded => (loaded?, false),
    };
    Ok((rules, without, watched))
}

async fn hung_up(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// SHA-256 over the names and contents of all files that rules are read from.
fn print(file: &Path, watched: &Watched) -> Print {
    let mut hasher = Sha256::new();
    let mut part = |path: &Path| {
        let held = std::fs::read(path).ok();
        hasher.update((path.as_os_str().len() as u64).to_be_bytes());
        hasher.update(path.as_os_str().as_encoded_bytes());
        hasher.update([u8::from(held.is_some())]);
        hasher.update((held.as_ref().map_or(0, Vec::len) as u64).to_be_bytes());
        hasher.update(held.unwrap_or_default());
    };
    part(file);
    watched.files.iter().for_each(|path| part(path));
    let entries = watched.policies.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten().flatten();
    let mut policies: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    policies.retain(|path| path.extension().is_some_and(|extension| extension == "cedar"));
    policies.sort();
    policies.iter().for_each(|path| part(path));
    hasher.finalize().into()
}
