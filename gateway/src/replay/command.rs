//! `fhir-gateway replay`: reads the journal of the configuration and decides it again by other rules.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use evidence::event::{AccessEvent, AuditRead, EventBody};
use evidence::ids::Timestamp;
use gateway_core::reference::{BaseUrl, Bases, NotABase};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Deciding, Replay, Stopped, Telling};
use crate::assemble::{self, ServeError};
use crate::clock;
use crate::config::{Config, Problems, ShadowConfig};
use crate::explain::command::{AdminPort, Fault as AdminFault};
use crate::journal::{Archive, Entry, Journal, JournalError, OpenError, Settings};
use crate::keys::KeyEncryptionKey;
use crate::peer::PeerSetup;
use crate::rules::{Rules, RulesFault};
use crate::shadow::Second;
use crate::telemetry::{Metrics, MetricsFault};

/// What is replayed, and by which other rules.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The configuration file (TOML): its journal is read, with its keys, and its rules are the present ones.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The other rules: a whole configuration, of which what decides is taken.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["policy", "cedar"])]
    against: Option<PathBuf>,
    /// The other rules: a policy file, as `decide --policy` takes it.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The other rules: a folder of organisational policies. Without any of the three: those of `[shadow]`.
    #[arg(long, value_name = "DIR")]
    cedar: Option<PathBuf>,
    /// Only what was recorded at or after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what was recorded before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Print a line for every access, and not only where the rules differ.
    #[arg(long)]
    all: bool,
}

/// Why nothing, or not all, is replayed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The configuration.
    #[error("{0}")]
    Config(#[from] Problems),
    /// The rules.
    #[error("{0}")]
    Rules(#[from] RulesFault),
    /// No other rules.
    #[error("name the other rules by --against, --policy or --cedar, or by [shadow] in the configuration")]
    NoOther,
    /// A time.
    #[error("{0} is not a time such as 2026-06-01T12:00:00Z")]
    Time(&'static str),
    /// What is needed of the configuration.
    #[error("{0}")]
    Parts(#[from] ServeError),
    /// The journal.
    #[error("journal: {0}")]
    Open(#[from] OpenError),
    /// The look cannot be recorded.
    #[error("the journal is read only after that is on record, and it cannot be recorded: {0}")]
    NotRecorded(String),
    /// It ended early.
    #[error("{0}")]
    Stopped(#[from] Stopped),
    /// The clients.
    #[error("{0}")]
    Peer(#[from] PeerSetup),
    /// A base URL.
    #[error("server.public_base or upstream.base: {0}")]
    Base(#[from] NotABase),
    /// Metrics.
    #[error("{0}")]
    Metrics(#[from] MetricsFault),
    /// No runtime.
    #[error("no runtime can be started: {0}")]
    Runtime(std::io::Error),
}

impl Fault {
    /// Whether the fault is in what was given, and not in what was met.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Config(_) | Self::Rules(_) | Self::NoOther | Self::Time(_) | Self::Base(_) => true,
            Self::Parts(_)
            | Self::Open(_)
            | Self::NotRecorded(_)
            | Self::Stopped(_)
            | Self::Peer(_)
            | Self::Metrics(_)
            | Self::Runtime(_) => false,
        }
    }
}

/// Replays; lines and then the summary go to `out`, progress to `errors`.
///
/// # Errors
/// [`Fault`]
pub fn replay(arguments: &Arguments, out: &mut dyn Write, errors: &mut dyn Write) -> Result<(), Fault> {
    let config = Config::load(&arguments.config)?;
    let present = Rules::load(&config)?;
    let other = other(arguments, &config, &present)?;
    let (since, until) =
        (moment("--since", arguments.since.as_deref())?, moment("--until", arguments.until.as_deref())?);
    let metrics = Arc::new(Metrics::new(None)?);
    let bases = Bases {
        public: BaseUrl::parse(config.server.public_base.as_str())?,
        upstream: BaseUrl::parse(config.upstream.peer.base.as_str())?,
    };
    let upstream = assemble::upstream(&config.upstream, &metrics)?;
    let facts = Arc::new(assemble::facts(&config, &upstream, &bases, &metrics)?);
    let (settings, kek) = assemble::journal_of(&config)?;
    let archive = Archive::open(&settings, kek.clone())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::Runtime)?;
    put_on_record(&config, settings, kek, &runtime)?;

    let present = Deciding { policy: present.policy, organisation: present.organisation };
    let replay = Replay { present, other, facts, since, until };
    let mut telling = Lines { out, errors, told: 0 };
    let summary = runtime.block_on(replay.run(&archive, arguments.all, &mut telling))?;
    let summary = serde_json::json!({ "summary": summary });
    writeln!(telling.out, "{summary}").and_then(|()| telling.out.flush()).map_err(Stopped::Output)?;
    Ok(())
}

fn other(arguments: &Arguments, config: &Config, present: &Rules) -> Result<Deciding, Fault> {
    if let Some(file) = &arguments.against {
        let mut against = Config::load(file)?;
        // The two bases are those that are really called.
        against.consent.public_base.clone_from(&config.consent.public_base);
        against.consent.upstream_base.clone_from(&config.consent.upstream_base);
        let Rules { policy, organisation, .. } = Rules::load(&against)?;
        return Ok(Deciding { policy, organisation });
    }
    let named = ShadowConfig { policy_file: arguments.policy.clone(), cedar_dir: arguments.cedar.clone() };
    let named = match (&named.policy_file, &named.cedar_dir) {
        (None, None) => config.shadow.clone().ok_or(Fault::NoOther)?,
        _ => named,
    };
    let Second { policy, organisation } = Second::read(&named, &present.policy, &present.organisation)?;
    Ok(Deciding { policy, organisation })
}

fn moment(name: &'static str, text: Option<&str>) -> Result<Option<Timestamp>, Fault> {
    let parsed = text.map(|text| {
        let date = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| Fault::Time(name))?;
        Timestamp::from_date(date).map_err(|_| Fault::Time(name))
    });
    parsed.transpose()
}

/// A replay reads what was recorded of patients: that is on record first, by the gateway that runs, or where none does
/// in the journal itself.
fn put_on_record(
    config: &Config,
    settings: Settings,
    kek: KeyEncryptionKey,
    runtime: &tokio::runtime::Runtime,
) -> Result<(), Fault> {
    let not = |why: &dyn std::fmt::Display| Fault::NotRecorded(why.to_string());
    let journal = match Journal::open(settings, kek) {
        Ok((journal, _)) => journal,
        Err(OpenError::InUse) => {
            let port = AdminPort::of(config).map_err(|fault: AdminFault| not(&fault))?;
            return port.post("v1/replays", None).map(drop).map_err(|fault| not(&fault));
        }
        Err(fault) => return Err(not(&fault)),
    };
    let at = Timestamp::from_date(clock::now()).map_err(|fault| not(&fault))?;
    let read = AuditRead { by: "command-line".to_owned(), what: "replay".to_owned(), request: None };
    let event = AccessEvent { id: clock::event_id(), at, body: EventBody::AuditRead(read) };
    let recorded: Result<(), JournalError> = runtime.block_on(async {
        journal.record(vec![Entry::from(event)]).await?;
        journal.close().await
    });
    recorded.map_err(|fault| not(&fault))
}

struct Lines<'w> {
    out: &'w mut dyn Write,
    errors: &'w mut dyn Write,
    /// Tenths that were told.
    told: u64,
}

impl Telling for Lines<'_> {
    fn line(&mut self, line: &str) -> std::io::Result<()> {
        writeln!(self.out, "{line}")
    }

    fn progress(&mut self, done: u64, all: u64) {
        let tenth = (done * 10).checked_div(all).unwrap_or(10);
        if tenth > self.told {
            self.told = tenth;
            // A replay goes on when nobody reads how far it is.
            drop(writeln!(self.errors, "{done} of {all} records"));
        }
    }
}
