//! What the operator has chosen: how Consents are read and combined, which elements are removed, how codes are labelled.

use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use crate::coding::Coding;
use crate::consent::Concept;
use crate::consent::dates::Zone;
use crate::consent::reference::bases;
use crate::labels::{self, LabelSets};
use crate::purpose;
use crate::redact::ElementPath;
use crate::reference::{BaseUrl, Bases};
use crate::resource_type::ResourceType;

/// `[consent]`: where the specifications leave a choice (CONSENT.md, "Exact answers"); the defaults are the safe ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsentSettings {
    /// What holds for a patient without a recorded Consent.
    pub no_consent: NoConsent,
    /// How several applicable Consents of one patient are combined.
    pub several_consents: SeveralConsents,
    /// Which of several matching provisions at the deepest depth decides.
    pub siblings: Siblings,
    /// How many of a resource's sensitivity codes a permit has to name.
    pub labels: LabelRule,
    /// What a resource without a label counts as.
    pub unlabelled: Unlabelled,
    /// The effect of an R4 root provision without `type` whose policy is not in the table.
    pub untyped_root: UntypedRoot,
    /// What a Consent that is not understood does.
    pub not_understood: NotUnderstood,
    /// Whether Consents of R4 scope `research` count.
    pub research: bool,
    /// The zone of dates that name none.
    pub timezone: Zone,
    /// The base URL by which clients know the gateway; references under it are local.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_base: Option<String>,
    /// The base URL of the FHIR server; references under it are local.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_base: Option<String>,
    /// Code systems of the operator's own sensitivity labels (flat: a code covers itself).
    pub label_systems: Vec<String>,
    /// What a break-glass grant in force does to Consent.
    pub break_glass: BreakGlass,
    /// Whether the Consents of linked Patients count for each other.
    pub patient_links: PatientLinks,
    /// Categories of R5 Consents that do not count: `code` of any system, `system|code`, or `{system, code}`. A Consent
    /// of which every category is one of these never counts; `research = true` takes those of research out.
    #[serde(deserialize_with = "categories")]
    pub ignore_categories: Vec<Coding>,
    /// The implicit policy by realm, purpose and resource type: the first rule that holds, else `no_consent`.
    pub no_consent_by: Vec<NoConsentBy>,
}

impl Default for ConsentSettings {
    fn default() -> Self {
        Self {
            no_consent: NoConsent::default(),
            several_consents: SeveralConsents::default(),
            siblings: Siblings::default(),
            labels: LabelRule::default(),
            unlabelled: Unlabelled::default(),
            untyped_root: UntypedRoot::default(),
            not_understood: NotUnderstood::default(),
            research: false,
            timezone: Zone::default(),
            public_base: None,
            upstream_base: None,
            label_systems: Vec::new(),
            break_glass: BreakGlass::default(),
            patient_links: PatientLinks::default(),
            ignore_categories: IGNORED_CATEGORIES.iter().map(|(system, code)| Coding::new(*system, *code)).collect(),
            no_consent_by: Vec::new(),
        }
    }
}

/// Research, treatment and advance-directive categories (consentscope, consentcategorycodes, v3-ActCode, LOINC).
const IGNORED_CATEGORIES: &[(&str, &str)] = &[
    ("http://terminology.hl7.org/CodeSystem/consentscope", "research"),
    ("http://terminology.hl7.org/CodeSystem/consentscope", "treatment"),
    ("http://terminology.hl7.org/CodeSystem/consentscope", "adr"),
    ("http://terminology.hl7.org/CodeSystem/consentcategorycodes", "acd"),
    ("http://terminology.hl7.org/CodeSystem/consentcategorycodes", "dnr"),
    ("http://terminology.hl7.org/CodeSystem/consentcategorycodes", "hcd"),
    ("http://terminology.hl7.org/CodeSystem/consentcategorycodes", "polst"),
    ("http://terminology.hl7.org/CodeSystem/consentcategorycodes", "research"),
    ("http://terminology.hl7.org/CodeSystem/consentcategorycodes", "rsdid"),
    ("http://terminology.hl7.org/CodeSystem/consentcategorycodes", "rsreid"),
    ("http://terminology.hl7.org/CodeSystem/v3-ActCode", "RESEARCH"),
    ("http://terminology.hl7.org/CodeSystem/v3-ActCode", "RSDID"),
    ("http://terminology.hl7.org/CodeSystem/v3-ActCode", "RSREID"),
    ("http://loinc.org", "42348-3"),
    ("http://loinc.org", "64293-4"),
    ("http://loinc.org", "75320-2"),
];

/// Codes of research, in small letters.
const RESEARCH: &[&str] = &["research", "rsdid", "rsreid"];

impl ConsentSettings {
    /// Whether each of these categories is one that does not count. A category that no code tells, and none at all,
    /// counts.
    pub(crate) fn ignores(&self, categories: &[Concept]) -> bool {
        let ignored = |coding: &Coding| {
            let research = self.research && RESEARCH.contains(&coding.code.to_ascii_lowercase().as_str());
            let listed =
                |one: &Coding| one.code == coding.code && (one.system.is_none() || one.system == coding.system);
            !research && self.ignore_categories.iter().any(listed)
        };
        !categories.is_empty() && categories.iter().all(|category| category.iter().any(ignored))
    }
}

/// One rule of `no_consent_by`; what it does not name it does not ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConsentBy {
    /// What holds where the rule does.
    pub no_consent: NoConsent,
    /// Issuers of tokens (`iss`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub realms: Vec<String>,
    /// Purposes, with what is below them: a code of v3-ActReason, `system|code`, or `{system, code}`.
    #[serde(default, deserialize_with = "purposes", skip_serializing_if = "Vec::is_empty")]
    pub purposes: Vec<Coding>,
    /// Resource types.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_types: Vec<String>,
}

/// A code as `code`, as `system|code`, or as an object.
#[derive(Deserialize)]
#[serde(untagged)]
enum CodeOrCoding {
    Text(String),
    Coding(Coding),
}

fn codings<'de, D: Deserializer<'de>>(deserializer: D, plain: Option<&str>) -> Result<Vec<Coding>, D::Error> {
    let codes = Vec::<CodeOrCoding>::deserialize(deserializer)?;
    codes
        .into_iter()
        .map(|code| match code {
            CodeOrCoding::Coding(coding) => Ok(coding),
            CodeOrCoding::Text(text) => match text.split_once('|') {
                Some((system, code)) if !code.is_empty() => Ok(Coding::new(system, code)),
                Some(_) => Err(serde::de::Error::custom("a code is empty")),
                None if text.is_empty() => Err(serde::de::Error::custom("a code is empty")),
                None => Ok(Coding { system: plain.map(str::to_owned), code: text }),
            },
        })
        .collect()
}

fn categories<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Coding>, D::Error> {
    codings(deserializer, None)
}

fn purposes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Coding>, D::Error> {
    codings(deserializer, Some(purpose::SYSTEM))
}

/// The implicit policy (IHE PCF volume 1, 53.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoConsent {
    /// Nobody.
    #[default]
    Deny,
    /// Treatment, up to normal confidentiality.
    BasicNormal,
    /// Every purpose, up to normal confidentiality.
    AllNormal,
    /// Only under break glass.
    BreakGlassOnly,
}

/// The combining rule over the applicable Consents of one patient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeveralConsents {
    /// Any deny denies.
    #[default]
    DenyOverrides,
    /// Any permit permits.
    PermitOverrides,
    /// The latest `dateTime` decides; undated ones and ties that differ deny.
    MostRecent,
    /// The deepest matching provision decides, then the one that states more elements; a tie that differs denies.
    MostSpecific,
    /// They must agree.
    RefuseAmbiguous,
}

/// Among provisions at one depth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Siblings {
    /// Any matching deny wins.
    #[default]
    Deny,
    /// The one that states more elements wins; a tie that differs denies.
    MostSpecific,
}

/// How sensitivity codes are permitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabelRule {
    /// All of the resource's sensitivity codes have to be named.
    #[default]
    AllLabels,
    /// One is enough (literal IHE PCF).
    AnyLabel,
}

/// A resource without confidentiality and sensitivity codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unlabelled {
    /// Codes are labelled by the label sets, always; what they do not label is `N`.
    #[default]
    Label,
    /// It is `N`, and the label sets are not used.
    Normal,
    /// It is hidden from all but its patient, and the label sets are not used.
    Hide,
}

/// An R4 root that says neither permit nor deny.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UntypedRoot {
    /// It denies.
    #[default]
    Deny,
    /// It permits.
    Permit,
}

/// A Consent that is not understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotUnderstood {
    /// It denies every question about its patient, under every combining rule.
    #[default]
    Deny,
    /// It is as if it were not recorded.
    Ignore,
}

/// A break-glass grant in force for the patient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakGlass {
    /// The purpose TREAT becomes BTG and the Consents decide on that.
    #[default]
    ConsentDecides,
    /// The patient's Consents are not asked.
    OverridesConsent,
}

/// Patients who are one person (`Patient.link`, of whatever type).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatientLinks {
    /// Each Patient is a person of its own.
    #[default]
    Ignore,
    /// The Consents of all of them count for each. Patients are then what decisions are made from, so that changing them
    /// is for policy writers.
    Follow,
}

/// One element that is removed from what callers see, unless an exception holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedactionRule {
    /// The element, as `Patient.telecom` (resource type first, no indices).
    pub path: String,
    /// Not removed where every purpose of the request is one of these or below; without a known purpose it is removed.
    #[serde(default)]
    pub except_purposes: Vec<Coding>,
    /// Not removed for a caller with one of these roles.
    #[serde(default)]
    pub except_roles: Vec<String>,
    /// Not removed from the own record of the patient who reads it.
    #[serde(default)]
    pub except_own_record: bool,
}

/// A choice that cannot be enforced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A redaction path is not `Type.element…`, or names what no resource may lose.
    #[error("redaction path {0:?} is not an element that can be removed")]
    RedactionPath(String),
    /// A base URL is not an absolute http(s) URL without query.
    #[error("{0} is not an absolute http(s) URL")]
    Base(&'static str),
    /// `no_consent_by` names what is no resource type.
    #[error("{0:?} is not a FHIR resource type")]
    ResourceType(String),
    /// A local label system is empty or one of the built-in ones.
    #[error("label system {0:?} is empty or built in")]
    LabelSystem(String),
}

/// The policy that a decision is made under; made only from choices that can be enforced.
#[derive(Clone, Debug)]
pub struct Policy {
    settings: ConsentSettings,
    redactions: Vec<(ElementPath, RedactionRule)>,
    label_sets: LabelSets,
    roles: PolicyRoles,
    bases: Bases,
    digest: String,
}

/// Which roles may see and write what decisions are made from (CONSENT.md, "policy inputs").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyRoles {
    /// May read and write Consents of any patient.
    pub consent_recorder: Vec<String>,
    /// May write Group, CareTeam and PractitionerRole; by default nobody, through the gateway.
    pub policy_writer: Vec<String>,
}

impl Default for PolicyRoles {
    fn default() -> Self {
        Self { consent_recorder: vec!["consent-recorder".to_owned()], policy_writer: Vec::new() }
    }
}

impl Policy {
    /// Takes the operator's choices, or says which one cannot be enforced.
    pub fn new(
        settings: ConsentSettings,
        redactions: Vec<RedactionRule>,
        label_sets: LabelSets,
        roles: PolicyRoles,
    ) -> Result<Self, PolicyError> {
        for system in &settings.label_systems {
            if system.is_empty() || labels::is_built_in(system) {
                return Err(PolicyError::LabelSystem(system.clone()));
            }
        }
        let types = settings.no_consent_by.iter().flat_map(|rule| &rule.resource_types);
        if let Some(unknown) = types.into_iter().find(|name| ResourceType::parse_any(name).is_err()) {
            return Err(PolicyError::ResourceType(unknown.clone()));
        }
        for (key, base) in [("public_base", &settings.public_base), ("upstream_base", &settings.upstream_base)] {
            if base.as_deref().is_some_and(|base| BaseUrl::parse(base).is_err()) {
                return Err(PolicyError::Base(key));
            }
        }
        let bases = bases(settings.public_base.as_deref(), settings.upstream_base.as_deref())
            .map_err(|_| PolicyError::Base("public_base"))?;
        let digest = digest(&settings, &redactions, &label_sets, &roles);
        let redactions = redactions
            .into_iter()
            .map(|rule| match ElementPath::parse(&rule.path) {
                Ok(path) => Ok((path, rule)),
                Err(_) => Err(PolicyError::RedactionPath(rule.path)),
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { settings, redactions, label_sets, roles, bases, digest })
    }

    /// The consent settings.
    pub fn settings(&self) -> &ConsentSettings {
        &self.settings
    }

    /// The operator's redaction rules, each with its path read.
    pub fn redactions(&self) -> &[(ElementPath, RedactionRule)] {
        &self.redactions
    }

    /// The label sets.
    pub fn label_sets(&self) -> &LabelSets {
        &self.label_sets
    }

    /// The named roles.
    pub fn roles(&self) -> &PolicyRoles {
        &self.roles
    }

    /// What counts as local in references.
    pub fn bases(&self) -> &Bases {
        &self.bases
    }

    /// SHA-256 (lower-case hex) over every choice and over the versions of the pinned tables; equal digests decide
    /// equally.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// The digest of a policy: each part length-prefixed, so that no two policies share an input.
fn digest(settings: &ConsentSettings, redactions: &[RedactionRule], sets: &LabelSets, roles: &PolicyRoles) -> String {
    let mut hasher = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    };
    part(b"sealgate/policy/v1");
    for table in [purpose::VERSION, labels::CONFIDENTIALITY_VERSION, labels::SENSITIVITY_VERSION] {
        part(table.as_bytes());
    }
    // Structs of strings, lists and enums: writing them to memory cannot fail, and a part that did would leave a gap
    // in the count of parts.
    for json in [
        serde_json::to_vec(settings),
        serde_json::to_vec(redactions),
        serde_json::to_vec(sets),
        serde_json::to_vec(roles),
    ]
    .into_iter()
    .flatten()
    {
        part(&json);
    }
    hex::encode(hasher.finalize())
}

#[cfg(test)]
mod tests;
