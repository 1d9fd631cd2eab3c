//! What several Consents of one patient say together.
//!
//! Only applicable answers are combined (CONSENT.md, "Consent").

use super::Effect;
use super::dates::{Span, Zone};
use super::evaluate::Answer;
use super::{Consent, dates::Moment};
use crate::policy::{ConsentSettings, SeveralConsents};
use crate::reasons::RuleName;

/// A Consent that is applicable, and its answer.
#[derive(Clone, Debug)]
pub struct Applicable<'a> {
    /// The Consent.
    pub consent: &'a Consent,
    /// Its answer.
    pub answer: Answer,
}

/// The combined answer of at least one applicable Consent.
#[derive(Clone, Debug)]
pub struct Combined<'a> {
    /// What they say together.
    pub effect: Effect,
    /// The answers that decided: those that agree with the effect, or all where they differ and that is the reason.
    pub deciding: Vec<Applicable<'a>>,
    /// Why, where it is not simply what the deciding ones say.
    pub because: Option<RuleName>,
}

/// Combines the applicable answers by the setting; `None` where there is none.
pub fn combine<'a>(applicable: Vec<Applicable<'a>>, settings: &ConsentSettings) -> Option<Combined<'a>> {
    if applicable.is_empty() {
        return None;
    }
    let any = |effect| applicable.iter().any(|one| one.answer.effect == effect);
    if !(any(Effect::Permit) && any(Effect::Deny)) {
        let effect = if any(Effect::Deny) { Effect::Deny } else { Effect::Permit };
        return Some(Combined { effect, deciding: applicable, because: None });
    }
    Some(match settings.several_consents {
        SeveralConsents::DenyOverrides => only(applicable, Effect::Deny),
        SeveralConsents::PermitOverrides => only(applicable, Effect::Permit),
        SeveralConsents::RefuseAmbiguous => differing(applicable, RuleName::ConsentsDiffer),
        SeveralConsents::MostRecent => agreed(most_recent(applicable, &settings.timezone)),
        SeveralConsents::MostSpecific => agreed(most_specific(applicable)),
    })
}

fn only(applicable: Vec<Applicable<'_>>, effect: Effect) -> Combined<'_> {
    let deciding = applicable.into_iter().filter(|one| one.answer.effect == effect).collect();
    Combined { effect, deciding, because: None }
}

fn differing(applicable: Vec<Applicable<'_>>, because: RuleName) -> Combined<'_> {
    Combined { effect: Effect::Deny, deciding: applicable, because: Some(because) }
}

/// What the remaining ones agree on; a tie is a deny.
fn agreed(remaining: Vec<Applicable<'_>>) -> Combined<'_> {
    if remaining.iter().all(|one| one.answer.effect == Effect::Permit) && !remaining.is_empty() {
        Combined { effect: Effect::Permit, deciding: remaining, because: None }
    } else if remaining.iter().all(|one| one.answer.effect == Effect::Deny) {
        Combined { effect: Effect::Deny, deciding: remaining, because: None }
    } else {
        differing(remaining, RuleName::ConsentsTie)
    }
}

/// Those that may be the latest: not certainly before another. Undated ones may be.
fn most_recent<'a>(applicable: Vec<Applicable<'a>>, zone: &Zone) -> Vec<Applicable<'a>> {
    let span = |date: &Option<Moment>| date.as_ref().and_then(|date| date.span(zone));
    let dates: Vec<Option<Span>> = applicable.iter().map(|one| span(&one.consent.date_time)).collect();
    let latest_start = dates.iter().filter_map(|date| date.as_ref()?.start).max();
    let outdated = |date: &Option<Span>| match (date.as_ref().and_then(|date| date.end), latest_start) {
        (Some(end), Some(latest)) => end <= latest,
        (None, _) | (_, None) => false,
    };
    applicable.into_iter().zip(&dates).filter(|(_, date)| !outdated(date)).map(|(one, _)| one).collect()
}

/// The deepest, then those that state most.
fn most_specific(mut applicable: Vec<Applicable<'_>>) -> Vec<Applicable<'_>> {
    let rank = |one: &Applicable<'_>| (one.answer.depth, one.answer.stated);
    let highest = applicable.iter().map(rank).max();
    applicable.retain(|one| Some(rank(one)) == highest);
    applicable
}
