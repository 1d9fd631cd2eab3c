//! `[break_glass]`: who may claim emergency access, for how long, and what is told where Consent hides something
//! (CONSENT.md, "Break glass"; docs/adr/0052).

use std::time::Duration;

use gateway_core::coding::Coding;
use gateway_core::purpose;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::section::Section;
use super::typed::index;
use super::typed_auth::purpose as coding;

/// Longer than this a grant is no emergency any more.
const MOST_DURATION: Duration = Duration::from_secs(12 * 3600);

/// `[break_glass]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBreakGlass {
    /// Roles of which a caller's token has to carry one; default `break-glass`; none: nobody breaks the glass.
    roles: Option<Vec<String>>,
    /// How long a grant lasts; default `1h`, at most `12h`. It ends by itself and is never prolonged.
    duration: Option<String>,
    /// Codes of which a claim has to name one as its reason: `system|code`, or a bare code of v3-ActReason; default:
    /// `ETREAT`, `ERTREAT`.
    #[schemars(length(min = 1))]
    reasons: Option<Vec<String>>,
    /// Grants that one caller may have in force at the same time; default 5.
    #[schemars(range(min = 1))]
    most_in_force: Option<u32>,
    /// Grants that may wait for their review; beyond it claims are refused; default 1000.
    #[schemars(range(min = 1))]
    most_unreviewed: Option<u32>,
    /// How soon after a claim its review is due; default `72h`.
    review_within: Option<String>,
    /// What a caller who may break the glass is told of a record that Consent hides; default `secret`.
    hidden: Option<Hidden>,
    /// The same by realm and purpose: the first rule that holds, else `hidden`; default: none.
    hidden_by: Option<Vec<RawHiddenBy>>,
}

/// `[[break_glass.hidden_by]]`: what is not named is not asked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHiddenBy {
    /// What is told where the rule holds.
    #[schemars(required)]
    hidden: Option<Hidden>,
    /// Issuers of tokens.
    realms: Option<Vec<String>>,
    /// Purposes with what is below them, as a code of v3-ActReason or `system|code`.
    purposes: Option<Vec<String>>,
}

/// What a caller who may break the glass is told of a record that Consent hides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Hidden {
    /// Nothing: it answers as what never was.
    #[default]
    Secret,
    /// That it is suppressed, and that the glass can be broken.
    Signalled,
}

/// One rule of `hidden_by`; what it does not name it does not ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HiddenBy {
    /// What is told where the rule holds.
    pub hidden: Hidden,
    /// Issuers of tokens.
    pub realms: Vec<String>,
    /// Purposes, with what is below them.
    pub purposes: Vec<Coding>,
}

/// `[break_glass]`, typed. It is part of the policy digest: everything of it decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GlassConfig {
    /// Roles of which a token has to carry one.
    pub roles: Vec<String>,
    /// How long a grant lasts.
    pub duration: Duration,
    /// Codes of which a claim has to name one.
    pub reasons: Vec<Coding>,
    /// Grants of one caller in force at the same time.
    pub most_in_force: usize,
    /// Grants that wait for their review.
    pub most_unreviewed: usize,
    /// How soon after a claim its review is due.
    pub review_within: Duration,
    /// What is told of what Consent hides, where no rule of `hidden_by` holds.
    pub hidden: Hidden,
    /// The same by realm and purpose.
    pub hidden_by: Vec<HiddenBy>,
}

impl Default for GlassConfig {
    fn default() -> Self {
        Self {
            roles: vec!["break-glass".to_owned()],
            duration: Duration::from_secs(3600),
            reasons: vec![purpose::coding(purpose::ETREAT), purpose::coding(purpose::ERTREAT)],
            most_in_force: 5,
            most_unreviewed: 1000,
            review_within: Duration::from_secs(72 * 3600),
            hidden: Hidden::Secret,
            hidden_by: Vec::new(),
        }
    }
}

/// Types `[break_glass]`.
pub(super) fn glass(raw: RawBreakGlass, section: &mut Section<'_>) -> Option<GlassConfig> {
    let default = GlassConfig::default();
    let duration = section.duration("duration", raw.duration.as_deref(), default.duration);
    if duration.is_some_and(|duration| duration > MOST_DURATION) {
        section.fault("duration", "longer than an emergency", "write at most 12h; a claim can be made again");
    }
    let review_within = section.duration("review_within", raw.review_within.as_deref(), default.review_within);
    let reasons = match raw.reasons {
        Some(reasons) if reasons.is_empty() => {
            section.fault("reasons", "no reason is accepted", "remove the key, or `roles = []` to let nobody claim");
            None
        }
        Some(reasons) => codings("reasons", &reasons, section),
        None => Some(default.reasons),
    };
    let rules = raw.hidden_by.unwrap_or_default().into_iter().enumerate();
    let rules: Vec<_> =
        rules.map(|(index, rule)| hidden_by(rule, &mut section.below(&format!("hidden_by[{index}]")))).collect();
    Some(GlassConfig {
        roles: raw.roles.unwrap_or(default.roles),
        duration: duration.filter(|duration| *duration <= MOST_DURATION)?,
        reasons: reasons?,
        most_in_force: raw.most_in_force.map_or(default.most_in_force, index),
        most_unreviewed: raw.most_unreviewed.map_or(default.most_unreviewed, index),
        review_within: review_within?,
        hidden: raw.hidden.unwrap_or_default(),
        hidden_by: rules.into_iter().collect::<Option<_>>()?,
    })
}

fn hidden_by(raw: RawHiddenBy, section: &mut Section<'_>) -> Option<HiddenBy> {
    let hidden = section.present("hidden", raw.hidden);
    let purposes = codings("purposes", &raw.purposes.unwrap_or_default(), section);
    Some(HiddenBy { hidden: hidden?, realms: raw.realms.unwrap_or_default(), purposes: purposes? })
}

fn codings(name: &str, texts: &[String], section: &mut Section<'_>) -> Option<Vec<Coding>> {
    let read = |(index, text): (usize, &String)| section.parsed(&format!("{name}[{index}]"), text, coding);
    let read: Vec<_> = texts.iter().enumerate().map(read).collect();
    read.into_iter().collect()
}
