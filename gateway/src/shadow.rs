//! Shadow: a second policy decides beside the one in force, without an effect.
//!
//! The path of a request leaves the question here with the facts that it was decided on, and goes on; a thread of its own
//! decides by the second policy and compares. What waits is bounded: beyond it questions are counted as skipped. A fault
//! of the shadow ends that comparison and nothing else. Nothing here is called by what an answer depends on
//! (docs/adr/0053).

mod compare;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use gateway_core::caller::Caller;
use gateway_core::decide::{Action, ConsentFacts, Others, Ruling};
use gateway_core::facts::ResourceFacts;
use gateway_core::policy::Policy;
use gateway_core::reasons::RuleName;
use gateway_core::scope::ScopeGrant;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::config::ShadowConfig;
use crate::decide::policy_file;
use crate::filter::{Ruled, Witness};
use crate::organisation::OrganisationPolicy;
use crate::probe;
use crate::rules::{Rules, RulesFault};
use crate::telemetry::{Metrics, ShadowResult};
use compare::Compared;
pub use compare::Verdict;
pub(crate) use compare::redacted;

/// Comparisons that may wait, each of a window's batch at most.
const WAITING: usize = 256;
/// Questions that may wait in all of them.
const QUESTIONS: u64 = 4_096;

/// The second policy.
pub struct Second {
    /// What Consents are decided under.
    pub policy: Arc<Policy>,
    /// What the organisation allows.
    pub organisation: Arc<OrganisationPolicy>,
}

impl Second {
    /// Reads it; what it does not name is that of the rules in force.
    ///
    /// # Errors
    /// It could not be put in force either, or it would need other facts.
    pub fn load(
        config: &ShadowConfig,
        policy: &Arc<Policy>,
        organisation: &Arc<OrganisationPolicy>,
    ) -> Result<Self, RulesFault> {
        let second = Self::read(config, policy, organisation)?;
        match second.policy.settings().patient_links == policy.settings().patient_links {
            true => Ok(second),
            false => Err(RulesFault::ShadowLinks),
        }
    }

    /// As [`Self::load`], for whoever gathers the facts that it needs himself.
    ///
    /// # Errors
    /// It could not be put in force either.
    pub fn read(
        config: &ShadowConfig,
        policy: &Arc<Policy>,
        organisation: &Arc<OrganisationPolicy>,
    ) -> Result<Self, RulesFault> {
        let own = match &config.policy_file {
            Some(file) => {
                let read = policy_file::read_as(file, policy.settings());
                Arc::new(read.map_err(|fault| RulesFault::ShadowPolicy(fault.to_string()))?)
            }
            None => Arc::clone(policy),
        };
        let probed =
            || RulesFault::ShadowPolicy("the enforcement probe failed: a denied resource was permitted".to_owned());
        probe::enforces(&own).then_some(()).ok_or_else(probed)?;
        let organisation = match &config.cedar_dir {
            Some(dir) => Arc::new(OrganisationPolicy::load(Some(dir)).map_err(RulesFault::ShadowOrganisation)?),
            None => Arc::clone(organisation),
        };
        Ok(Self { policy: own, organisation })
    }

    /// Equal digests decide equally.
    pub fn digest(&self) -> [u8; 32] {
        let hasher = Sha256::new().chain_update(b"sealgate/shadow/v1\0");
        hasher.chain_update(self.policy.digest()).chain_update(self.organisation.digest()).finalize().into()
    }
}

/// The thread that compares; a cheap handle to clone.
#[derive(Clone)]
pub struct Shadow {
    jobs: SyncSender<Job>,
    /// Questions that wait.
    waiting: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
}

/// A witness that asks the second policy what the one in force was asked.
struct Beside {
    shadow: Shadow,
    second: Arc<Second>,
}

/// A comparison to be made.
struct Job {
    second: Arc<Second>,
    /// The request's, so that a line of the log carries its id.
    span: tracing::Span,
    caller: Arc<Caller>,
    now: OffsetDateTime,
    asked: Asked,
}

enum Asked {
    Resources {
        questions: Vec<(ResourceFacts, Action)>,
        others: Others,
        facts: ConsentFacts,
        reach: Option<ScopeGrant>,
        live: Vec<Verdict>,
    },
    Organisation {
        interaction: &'static str,
        resource_type: Option<String>,
        passes: bool,
    },
}

impl Shadow {
    /// Starts the thread; it ends with the last handle.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let (jobs, queued) = sync_channel(WAITING);
        let own = Arc::clone(&metrics);
        let waiting = Arc::<AtomicU64>::default();
        let left = Arc::clone(&waiting);
        let working = move || work(&queued, &left, &own, compare::compare);
        std::thread::Builder::new().name("shadow".to_owned()).spawn(working)?;
        Ok(Self { jobs, waiting, metrics })
    }

    /// These rules, their decisions compared with those of their second policy where they have one.
    #[must_use]
    pub fn beside(&self, rules: Rules) -> Rules {
        match &rules.second {
            None => rules,
            Some(second) => rules.seen_by(Arc::new(Beside { shadow: self.clone(), second: Arc::clone(second) })),
        }
    }
}

impl Beside {
    fn leave(&self, caller: &Arc<Caller>, now: OffsetDateTime, asked: Asked) {
        let (second, caller) = (Arc::clone(&self.second), Arc::clone(caller));
        let job = Job { second, span: tracing::Span::current(), caller, now, asked };
        let questions = job.asked.questions();
        self.shadow.waiting.fetch_add(questions, Ordering::Relaxed);
        match self.shadow.jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                self.shadow.waiting.fetch_sub(questions, Ordering::Relaxed);
                self.shadow.metrics.shadow(ShadowResult::Skipped, "none", job.asked.questions());
            }
        }
    }
}

impl Witness for Beside {
    fn ruled(&self, asked: &Ruled<'_>, rulings: &[Ruling]) {
        let questions = asked.questions.len() as u64;
        if self.shadow.waiting.load(Ordering::Relaxed) + questions > QUESTIONS {
            return self.shadow.metrics.shadow(ShadowResult::Skipped, "none", questions);
        }
        let questions = asked.questions.iter().map(|(facts, action)| ((*facts).clone(), *action)).collect();
        let (others, facts, live) = (asked.others.clone(), asked.facts.clone(), rulings.iter().map(Verdict::of));
        let live = live.collect();
        self.leave(asked.caller, asked.now, Asked::Resources { questions, others, facts, reach: asked.reach, live });
    }

    fn cut(&self, _resource: &ResourceFacts, _removed: &[(String, RuleName)]) {}

    fn organisation(
        &self,
        caller: &Arc<Caller>,
        asked: (&'static str, Option<&str>),
        now: OffsetDateTime,
        passes: bool,
    ) {
        let (interaction, resource_type) = (asked.0, asked.1.map(str::to_owned));
        self.leave(caller, now, Asked::Organisation { interaction, resource_type, passes });
    }
}

impl Asked {
    fn questions(&self) -> u64 {
        match self {
            Self::Resources { questions, .. } => questions.len() as u64,
            Self::Organisation { .. } => 1,
        }
    }
}

fn work(queued: &Receiver<Job>, waiting: &AtomicU64, metrics: &Metrics, compare: impl Fn(&Job) -> Compared) {
    while let Ok(job) = queued.recv() {
        let _entered = job.span.enter();
        // INVARIANT: whatever happens to the shadow, the next comparison is made and no request knows of it.
        let compared = catch_unwind(AssertUnwindSafe(|| compare(&job)));
        waiting.fetch_sub(job.asked.questions(), Ordering::Relaxed);
        let Ok(compared) = compared else {
            tracing::error!("the shadow policy could not decide; nothing else is affected");
            metrics.shadow(ShadowResult::Failed, "none", job.asked.questions());
            continue;
        };
        for ((result, rule), count) in &compared.counts {
            metrics.shadow(*result, rule, *count);
            if *result != ShadowResult::Same {
                let result = result.label();
                tracing::info!(result, rule, count, interaction = compared.interaction, "the shadow policy differs");
            }
        }
    }
}

#[cfg(test)]
mod tests;
