//! One access, decided again by both sets of rules.

use std::collections::BTreeSet;

use evidence::event::Decision;
use gateway_core::decide::{Action, Ruling};
use gateway_core::facts::ResourceFacts;
use time::OffsetDateTime;

use super::Replay;
use super::recorded::Recorded;
use super::row::{NotReplayed, Resource, Row};
use crate::clock;
use crate::filter::Judge;
use crate::problem::Problem;
use crate::shadow::Verdict;
use crate::telemetry::ShadowResult;

/// Resources that are asked about at a time.
const AT_A_TIME: usize = 200;

impl Replay {
    /// Decides it again.
    pub(super) async fn again(&self, recorded: &Recorded) -> Row {
        let mut row = Row::of(recorded);
        let at = i128::from(recorded.at.unix_millis()) * 1_000_000;
        let at = OffsetDateTime::from_unix_timestamp_nanos(at).unwrap_or_else(|_| clock::now());
        if recorded.not_replayed.contains_key(&NotReplayed::RefusedBefore) {
            return row;
        }
        self.organisation(recorded, at, &mut row);
        if recorded.event.decision == Decision::Refuse {
            return row;
        }
        let names: Vec<&String> = recorded.disclosed.keys().chain(recorded.withheld.iter()).collect();
        let judges = self.judges(&recorded.caller, at);
        for names in names.chunks(AT_A_TIME) {
            let names: BTreeSet<String> = names.iter().map(|name| (*name).clone()).collect();
            match decided(&judges, &names, recorded.action).await {
                Err(problem) => {
                    tracing::warn!(%problem, "resources of a recorded access cannot be had");
                    row.cannot(NotReplayed::FactsUnavailable, names.len() as u64);
                }
                Ok(rulings) => compare(recorded, names, rulings, &mut row),
            }
        }
        row
    }

    fn organisation(&self, recorded: &Recorded, at: OffsetDateTime, row: &mut Row) {
        let (event, caller) = (&recorded.event, &recorded.caller);
        let rtype = event.resource_type.as_deref();
        let asked = |rules: &super::Deciding| rules.organisation.decide(caller, &event.interaction, rtype, at);
        let (present, other) = (asked(&self.present), asked(&self.other));
        if present.is_ok() != (event.decision == Decision::Permit) {
            return row.cannot(NotReplayed::NotReproduced, 1);
        }
        row.organisation(match (present.is_ok(), other) {
            (true, Err(refusal)) => (ShadowResult::WouldDeny, refusal.policies),
            (false, Ok(())) => (ShadowResult::WouldPermit, Vec::new()),
            (true, Ok(())) | (false, Err(_)) => (ShadowResult::Same, Vec::new()),
        });
    }
}

/// A resource with what both say of it.
struct Both {
    facts: ResourceFacts,
    present: Ruling,
    other: Ruling,
}

async fn decided(judges: &[Judge; 2], names: &BTreeSet<String>, action: Action) -> Result<Vec<Both>, Problem> {
    let [present, other] = judges;
    let found = present.targets(names).await?;
    let questions: Vec<_> = found.values().map(|facts| (facts, action)).collect();
    let (now, then) = (present.decide_all(&questions).await?, other.decide_all(&questions).await?);
    let both = found.values().cloned().zip(now.into_iter().zip(then));
    Ok(both.map(|(facts, (present, other))| Both { facts, present, other }).collect())
}

fn compare(recorded: &Recorded, mut names: BTreeSet<String>, rulings: Vec<Both>, row: &mut Row) {
    for Both { facts, present, other } in rulings {
        let name = format!("{}/{}", facts.resource_type, facts.id.as_deref().unwrap_or_default());
        names.remove(&name);
        let version = recorded.disclosed.get(&name);
        if present.permits() != version.is_some() {
            row.cannot(NotReplayed::NotReproduced, 1);
            continue;
        }
        let result = Verdict::of(&present).against(&Verdict::of(&other));
        let changed_since = version.is_some_and(|version| *version != facts.version);
        row.resource(Resource::of(name, result, &other, changed_since));
    }
    row.cannot(NotReplayed::Gone, names.len() as u64);
}
