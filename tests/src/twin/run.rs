//! A run: pairs are loaded, requests are sent to both sides, every answer is compared.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use super::canonical::has_data;
use super::dice::Dice;
use super::making;
use super::requests::{self, Expect, Kind, READS, Request, WRITES};
use super::shrink;
use super::side::{Exchange, Side};
use super::twins::{Common, Gateways, Servers, say_loaded};
use super::verdict::{Difference, compare};
use super::world::{Gaps, Pair};
use crate::harness::say;

/// How much is tried.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// The seed: equal seeds, equal worlds and requests.
    pub seed: u64,
    /// The number of the first pair.
    pub first: usize,
    /// Pairs of worlds.
    pub pairs: usize,
    /// Requests in all.
    pub requests: usize,
    /// Pairs that one pair of servers holds: beyond, searches of many patients would meet the scan budget (ADR 0002).
    pub per_load: usize,
    /// Differences after which a run ends.
    pub most_differences: usize,
    /// What is switched on.
    pub gaps: Gaps,
}

/// How a run went.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests that both sides answered.
    pub requests: usize,
    /// Answers that were compared, pages of searches each.
    pub pages: usize,
    /// Requests that returned data.
    pub data: usize,
    /// Requests that could not be compared: a side was too busy.
    pub unsettled: usize,
    /// Differences.
    pub differences: Vec<Difference>,
    /// By kind: requests, and those that returned data.
    pub kinds: BTreeMap<&'static str, (usize, usize)>,
    /// By kind, and by status and rule of the first answer.
    pub answers: BTreeMap<(&'static str, String), usize>,
}

impl Tally {
    /// Per cent of the requests that returned data.
    #[must_use]
    pub fn data_share(&self) -> f64 {
        let (data, all) =
            (u32::try_from(self.data).unwrap_or(u32::MAX), u32::try_from(self.requests).unwrap_or(u32::MAX));
        100.0 * f64::from(data) / f64::from(all.max(1))
    }

    /// Adds another run's.
    pub fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.pages += other.pages;
        self.data += other.data;
        self.unsettled += other.unsettled;
        self.differences.extend(other.differences);
        for (kind, (all, data)) in other.kinds {
            let sum = self.kinds.entry(kind).or_default();
            *sum = (sum.0 + all, sum.1 + data);
        }
        for (answer, number) in other.answers {
            *self.answers.entry(answer).or_default() += number;
        }
    }

    fn count(&mut self, request: &Request, exchange: &Exchange) {
        let data = exchange.pages.iter().any(has_data);
        self.requests += 1;
        self.pages += exchange.pages.len();
        self.data += usize::from(data);
        let sum = self.kinds.entry(request.kind).or_default();
        *sum = (sum.0 + 1, sum.1 + usize::from(data));
        let rule =
            exchange.first.json().ok().and_then(|body| {
                body.pointer("/issue/0/details/coding/0/code").and_then(Value::as_str).map(str::to_owned)
            });
        let answer = format!("{} {}", exchange.first.status.as_u16(), rule.unwrap_or_default()).trim_end().to_owned();
        *self.answers.entry((request.kind, answer)).or_default() += 1;
    }
}

/// The tally of pairs that are at work at the same time, and when a line was said of it.
struct Shared(Mutex<(Tally, Instant)>);

impl Shared {
    fn new() -> Self {
        Self(Mutex::new((Tally::default(), Instant::now())))
    }

    /// Counts something; says every few seconds how far it is.
    fn with<T>(&self, count: impl FnOnce(&mut Tally) -> T) -> T {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (tally, said) = &mut *held;
        let counted = count(tally);
        if said.elapsed() > Duration::from_secs(5) {
            *said = Instant::now();
            say::step(&line(tally));
        }
        counted
    }

    fn into_tally(self) -> Tally {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Pairs at work at the same time: those of a pair come in turn.
const AT_ONCE: usize = 6;

/// Everything of a budget, on servers of its own.
///
/// # Errors
/// When a part cannot be started or does not answer.
pub async fn whole(common: &Common<'_>, budget: Budget) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut done = 0;
    while done < budget.pairs && tally.differences.len() < budget.most_differences {
        let pairs = budget.per_load.min(budget.pairs - done);
        let requests = budget.requests * (done + pairs) / budget.pairs - budget.requests * done / budget.pairs;
        let servers = Box::pin(Servers::start(common)).await?;
        let part = Budget { first: budget.first + done, pairs, requests, ..budget };
        let (pairs_of, time) = loaded(&servers, &part).await?;
        let gateways = Gateways::start(common, &servers, "gateway", None).await?;
        tally.add(sent(common, &gateways, &part, pairs_of, &time, LOOKS_THEN_WRITES).await?);
        gateways.stop().await?;
        done += pairs;
        say::step(&format!("{done} of {} pairs: {}", budget.pairs, line(&tally)));
    }
    Ok(tally)
}

/// A line about a tally.
#[must_use]
pub fn line(tally: &Tally) -> String {
    format!(
        "{} requests, {} answers compared, {:.0} % returned data, {} differences, {} unsettled",
        tally.requests,
        tally.pages,
        tally.data_share(),
        tally.differences.len(),
        tally.unsettled
    )
}

type Time = (String, super::canonical::Phases);

/// Makes and loads the pairs of a budget.
///
/// # Errors
/// When a server does not take one.
pub async fn loaded(servers: &Servers, budget: &Budget) -> Result<(Vec<Pair>, Time)> {
    let begin = Instant::now();
    let numbers = budget.first..budget.first + budget.pairs;
    let pairs: Vec<Pair> = numbers.map(|number| making::pair(budget.seed, number, budget.gaps)).collect();
    let time = say::while_running("loading pairs of worlds", servers.load(&pairs)).await?;
    say_loaded(&pairs, begin);
    Ok((pairs, time))
}

/// Lists of kinds, one stage after the other, each with its share of the requests in per cent.
pub type Stages = &'static [(&'static [Kind], usize)];

/// First what looks only, of all pairs, then what may write.
pub const LOOKS_THEN_WRITES: Stages = &[(READS, 68), (WRITES, 32)];
/// What looks only.
pub const LOOKS: Stages = &[(READS, 100)];
/// What may write only.
pub const MAY_WRITE: Stages = &[(WRITES, 100)];

/// Sends the requests of a budget to both sides, stage by stage.
///
/// # Errors
/// When a side does not answer.
pub async fn sent(
    common: &Common<'_>,
    gateways: &Gateways,
    budget: &Budget,
    pairs: Vec<Pair>,
    time: &Time,
    stages: Stages,
) -> Result<Tally> {
    let each = budget.requests / budget.pairs.max(1);
    let all = Shared::new();
    let mut at_work = Vec::new();
    for pair in pairs {
        let sides = gateways.sides(common, &pair, time)?;
        at_work.push((pair, sides));
    }
    for (kinds, share) in stages.iter().copied() {
        let mut working = stream::iter(at_work)
            .map(|(pair, sides)| {
                let writes = kinds.iter().any(|kind| kind.name == "create");
                let share = if writes && !pair.scene.kind.writes() { share / 2 } else { share };
                one(budget, pair, sides, kinds, each * share / 100, &all)
            })
            .buffer_unordered(AT_ONCE);
        let mut finished = Vec::new();
        while let Some(done) = working.next().await {
            finished.push(done?);
        }
        drop(working);
        at_work = finished;
    }
    Ok(all.into_tally())
}

/// The requests of one pair, one after the other.
async fn one(
    budget: &Budget,
    pair: Pair,
    mut sides: [Side; 2],
    kinds: &'static [Kind],
    number: usize,
    all: &Shared,
) -> Result<(Pair, [Side; 2])> {
    let writes = kinds.iter().any(|kind| kind.name == "create");
    let mut dice = Dice::new(budget.seed, &format!("{}/{}", pair.name, if writes { "writes" } else { "reads" }));
    for _ in 0..number {
        let mut request = requests::roll(kinds, &mut dice, &pair.scene);
        if writes && request.expect != Expect::NotShown {
            request.expect = Expect::Unknown;
        }
        if all.with(|tally| tally.differences.len() >= budget.most_differences) {
            break;
        }
        let described = || {
            format!(
                "pair {} ({:?}), seed {}: {} {}",
                pair.name,
                pair.scene.kind,
                budget.seed,
                request.method,
                request.target()
            )
        };
        match compare(&mut sides, &request).await.with_context(described)? {
            None => {
                all.with(|tally| tally.unsettled += 1);
                if request.changes() {
                    // One side may have written and the other not: the worlds of this pair are twins no more.
                    break;
                }
            }
            Some((exchange, difference)) => {
                let difference = match difference {
                    Some(what) => Some(shrink::smallest(&mut sides, &pair, budget.seed, &request, what).await?),
                    None => None,
                };
                let differed = difference.is_some();
                all.with(|tally| {
                    tally.count(&request, &exchange);
                    if let Some(difference) = difference {
                        say::loud(&difference.to_string());
                        tally.differences.push(difference);
                    }
                });
                if differed && request.changes() {
                    break;
                }
            }
        }
    }
    Ok((pair, sides))
}
