//! The parts of the file that become `gateway_core::policy`: `[consent]`, `[[redaction]]` and `[roles]`.
//!
//! The types of `gateway-core` are the truth; what stands here documents their keys for the schema, and a test holds the
//! two together.

use gateway_core::labels::LabelSets;
use gateway_core::policy::{ConsentSettings, Policy, PolicyError, PolicyRoles, RedactionRule};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::section::Section;
use super::typed_auth::purpose;

/// `[consent]`: how Consents are evaluated; what is not set has the safe default.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it is read for its schema only")]
pub(super) struct ConsentKeys {
    /// What holds for a patient without a recorded Consent; default `deny`.
    no_consent: Option<NoConsent>,
    /// How several applicable Consents of one patient are combined; default `deny-overrides`.
    several_consents: Option<SeveralConsents>,
    /// Which of several matching provisions at the deepest depth decides; default `deny`.
    siblings: Option<Siblings>,
    /// How many of a resource's sensitivity codes a permit has to name; default `all-labels`.
    labels: Option<Labels>,
    /// What a resource without a label counts as; default `label`.
    unlabelled: Option<Unlabelled>,
    /// The effect of an R4 root provision without a type and without a known policy; default `deny`.
    untyped_root: Option<UntypedRoot>,
    /// What a Consent that is not understood does; default `deny`.
    not_understood: Option<NotUnderstood>,
    /// Whether Consents of R4 scope `research` count; default false.
    research: Option<bool>,
    /// The zone of dates that name none, such as `Europe/Vienna`; default `UTC`.
    timezone: Option<String>,
    /// Code systems of local sensitivity labels.
    label_systems: Option<Vec<String>>,
    /// What a break-glass grant in force does to Consent; default `consent-decides`.
    break_glass: Option<BreakGlass>,
    /// Whether the Consents of linked Patients (`Patient.link`) count for each other; default `ignore`.
    patient_links: Option<PatientLinks>,
    /// Categories of R5 Consents that do not count, as `code` of any system or `system|code`; default: research, treatment
    /// and advance directives.
    ignore_categories: Option<Vec<String>>,
    /// The implicit policy by realm, purpose and resource type: the first rule that holds, else `no_consent`; default: none.
    no_consent_by: Option<Vec<NoConsentByKeys>>,
}

/// `[[consent.no_consent_by]]`: what is not named is not asked for.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it is read for its schema only")]
struct NoConsentByKeys {
    /// What holds where the rule does.
    no_consent: NoConsent,
    /// Issuers of tokens.
    realms: Option<Vec<String>>,
    /// Purposes with what is below them, as a code of v3-ActReason or `system|code`.
    purposes: Option<Vec<String>>,
    /// FHIR resource types.
    resource_types: Option<Vec<String>>,
}

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $word:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(JsonSchema)]
        #[schemars(rename_all = "kebab-case")]
        #[expect(dead_code, reason = "it is read for its schema only")]
        enum $name { $($(#[$doc])* $word),+ }
    };
}

words!(NoConsent { Deny, BasicNormal, AllNormal, BreakGlassOnly });
words!(SeveralConsents { DenyOverrides, PermitOverrides, MostRecent, MostSpecific, RefuseAmbiguous });
words!(Siblings { Deny, MostSpecific });
words!(Labels { AllLabels, AnyLabel });
words!(Unlabelled { Label, Normal, Hide });
words!(UntypedRoot { Deny, Permit });
words!(NotUnderstood { Deny, Ignore });
words!(PatientLinks { Ignore, Follow });
words!(BreakGlass { ConsentDecides, OverridesConsent });

/// `[[redaction]]`: an element that is removed from what leaves, unless an exception holds.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRedaction {
    /// The element, as `Patient.telecom`: resource type first, no indices.
    #[schemars(required)]
    path: Option<String>,
    /// Not removed where every purpose of the request is one of these or below it: `system|code`, or a bare code of v3-ActReason.
    except_purposes: Option<Vec<String>>,
    /// Not removed for a caller with one of these roles.
    except_roles: Option<Vec<String>>,
    /// Not removed from the own record of the patient who reads it; default false.
    except_own_record: Option<bool>,
}

/// `[roles]`: who may see and write what decisions are made from.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRoles {
    /// May read and write Consents of any patient; default `consent-recorder`.
    consent_recorder: Option<Vec<String>>,
    /// May write Group, CareTeam and PractitionerRole; default: nobody.
    policy_writer: Option<Vec<String>>,
}

/// Reads `[consent]`; every faulty key is reported, not the first only. The two bases come from `[server]` and
/// `[upstream]`, so that they cannot differ from what is really called.
pub(super) fn consent(table: Map<String, Value>, section: &mut Section<'_>) -> Option<ConsentSettings> {
    let mut whole = true;
    for (key, value) in &table {
        let alone = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
        let read = serde_json::from_value(alone)
            .map_err(|_| ("the value is not one that this key takes", "see `config schema`"));
        let Some(alone) = section.parsed(key, "", |_| read) else {
            whole = false;
            continue;
        };
        whole &= enforceable(key, &policy_of(alone, Vec::new()), section);
    }
    if whole { serde_json::from_value(Value::Object(table)).ok() } else { None }
}

/// Types one rule of `[[redaction]]`.
pub(super) fn redaction(raw: RawRedaction, section: &mut Section<'_>) -> Option<RedactionRule> {
    let path = section.present("path", raw.path);
    let purposes: Vec<_> = raw
        .except_purposes
        .unwrap_or_default()
        .iter()
        .enumerate()
        .map(|(index, text)| section.parsed(&format!("except_purposes[{index}]"), text, purpose))
        .collect();
    let rule = RedactionRule {
        path: path?,
        except_purposes: purposes.into_iter().collect::<Option<_>>()?,
        except_roles: raw.except_roles.unwrap_or_default(),
        except_own_record: raw.except_own_record.unwrap_or(false),
    };
    let settings = ConsentSettings::default();
    enforceable("path", &policy_of(settings, vec![rule.clone()]), section).then_some(rule)
}

/// Types `[roles]`.
pub(super) fn roles(raw: RawRoles) -> PolicyRoles {
    let default = PolicyRoles::default();
    PolicyRoles {
        consent_recorder: raw.consent_recorder.unwrap_or(default.consent_recorder),
        policy_writer: raw.policy_writer.unwrap_or(default.policy_writer),
    }
}

fn policy_of(settings: ConsentSettings, redactions: Vec<RedactionRule>) -> Result<Policy, PolicyError> {
    Policy::new(settings, redactions, LabelSets::default(), PolicyRoles::default())
}

fn enforceable(key: &str, policy: &Result<Policy, PolicyError>, section: &mut Section<'_>) -> bool {
    let (fault, cure) = match policy {
        Ok(_) => return true,
        Err(PolicyError::RedactionPath(_)) => {
            ("not an element that can be removed", "write it as Patient.telecom; resourceType, id and meta stay")
        }
        Err(PolicyError::LabelSystem(_)) => {
            ("a label system is empty or built in", "name the URI of a local code system")
        }
        Err(PolicyError::ResourceType(_)) => ("a rule names no FHIR resource type", "write it as Observation"),
        Err(PolicyError::Base(_)) => ("not an absolute http(s) URL", "write it as https://fhir.example.org/r4"),
    };
    section.fault(key, fault, cure);
    false
}
