//! The twin-world test, a fixed seed of it: what is hidden tells nothing, and what is visible is all there.

use anyhow::{Result, ensure};

use crate::harness::say;
use crate::harness::stack::Stack;
use crate::twin::run::{self, Budget};
use crate::twin::twins::Common;
use crate::twin::world::Gaps;

/// Pairs of worlds, and requests of every kind to both: equal answers, of which three in ten at least hold data.
pub(super) async fn hidden_parts_tell_nothing(stack: &mut Stack) -> Result<()> {
    let common = Common::of(stack, "e2e-twin")?;
    let budget = Budget {
        seed: 20_261_122,
        first: 0,
        pairs: 6,
        requests: 600,
        per_load: 40,
        most_differences: 3,
        gaps: Gaps::default(),
    };
    let tally = Box::pin(run::whole(&common, budget)).await?;
    say::step(&format!("twin: {}", run::line(&tally)));
    let found: Vec<String> = tally.differences.iter().map(ToString::to_string).collect();
    ensure!(found.is_empty(), "the worlds can be told apart:\n{}", found.join("\n"));
    ensure!(tally.data_share() >= 30.0, "{:.0} % of the requests returned data", tally.data_share());
    ensure!(tally.unsettled * 50 <= tally.requests, "{} of {} were not settled", tally.unsettled, tally.requests);
    Ok(())
}
