//! What is told of a replay: a line of JSON for an access, and the summary.

use std::collections::BTreeMap;

use evidence::event::Decision;
use gateway_core::decide::Ruling;
use gateway_core::owner::PatientId;
use gateway_core::reasons::Reason;
use serde::{Serialize, Serializer};

use super::recorded::Recorded;
use crate::shadow::redacted;
use crate::telemetry::ShadowResult;

/// Why something on record cannot be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NotReplayed {
    /// The keys were erased.
    Erased,
    /// Scope, the form of the request or another rule refused it that no policy changes.
    RefusedBefore,
    /// The record counts what a search withheld and does not name it.
    NotNamed,
    /// It is not on the FHIR server any more.
    Gone,
    /// Resources or Consents cannot be had now.
    FactsUnavailable,
    /// The rules of the configuration do not give again what is on record.
    NotReproduced,
}

impl NotReplayed {
    fn sentence(self) -> &'static str {
        match self {
            Self::Erased => "the keys were erased, so that nobody can read what was recorded",
            Self::RefusedBefore => "scope or the form of the request refused it, before any policy was asked",
            Self::NotNamed => "the record says how many resources were withheld, and does not name them",
            Self::Gone => "the resource is not on the FHIR server any more",
            Self::FactsUnavailable => "the FHIR server or the Consent source did not give what is needed",
            Self::NotReproduced => {
                "the configuration's rules do not give again what is on record: resources, Consents or rules have changed \
                 since, or it hung on claims that are not on record (fhirUser, scopes, launch patient)"
            }
        }
    }
}

/// One access, as it is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    request: String,
    at: String,
    subject: String,
    issuer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<String>,
    interaction: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_type: Option<String>,
    recorded: &'static str,
    /// What the organisation's other policy would do.
    #[serde(skip_serializing_if = "Option::is_none")]
    organisation: Option<Organisation>,
    /// The resources on which the rules differ.
    differences: Vec<Resource>,
    /// Resources on which they agree.
    same: u64,
    /// What could not be replayed, and how often.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    not_replayed: BTreeMap<NotReplayed, u64>,
}

#[derive(Debug, Serialize)]
struct Organisation {
    #[serde(serialize_with = "label")]
    difference: ShadowResult,
    policies: Vec<String>,
}

/// A resource on which the rules differ.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resource {
    resource: String,
    owners: Vec<String>,
    #[serde(serialize_with = "label")]
    difference: ShadowResult,
    /// What the other rules take out.
    redactions: Vec<String>,
    /// Why the other rules decide so.
    reasons: Vec<Reason>,
    /// Whether it was decided on another version than the one that was disclosed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    changed_since: bool,
}

fn label<S: Serializer>(result: &ShadowResult, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(result.label())
}

impl Resource {
    pub(super) fn of(resource: String, difference: ShadowResult, other: &Ruling, changed_since: bool) -> Self {
        Self {
            resource,
            owners: other.owners.iter().map(PatientId::reference).collect(),
            difference,
            redactions: redacted(other).collect(),
            reasons: other.decision.reasons().to_vec(),
            changed_since,
        }
    }
}

impl Row {
    pub(super) fn of(recorded: &Recorded) -> Self {
        let (event, caller) = (&recorded.event, &recorded.event.caller);
        Self {
            request: recorded.id.to_string(),
            at: recorded.at.to_string(),
            subject: caller.subject.clone(),
            issuer: caller.issuer.clone(),
            client: caller.client.clone(),
            organization: caller.organization.clone(),
            interaction: event.interaction.clone(),
            resource_type: event.resource_type.clone(),
            recorded: match event.decision {
                Decision::Permit => "permit",
                Decision::Refuse => "refuse",
            },
            organisation: None,
            differences: Vec::new(),
            same: 0,
            not_replayed: recorded.not_replayed.clone(),
        }
    }

    pub(super) fn cannot(&mut self, why: NotReplayed, count: u64) {
        if count > 0 {
            *self.not_replayed.entry(why).or_insert(0) += count;
        }
    }

    pub(super) fn organisation(&mut self, (difference, policies): (ShadowResult, Vec<String>)) {
        if difference != ShadowResult::Same {
            self.organisation = Some(Organisation { difference, policies });
        }
    }

    pub(super) fn resource(&mut self, resource: Resource) {
        if resource.difference == ShadowResult::Same {
            self.same += 1;
        } else {
            self.differences.push(resource);
        }
    }

    /// Whether the other rules would have decided otherwise.
    pub(super) fn differs(&self) -> bool {
        self.organisation.is_some() || !self.differences.is_empty()
    }

    /// The line of JSON.
    pub(super) fn line(&self) -> String {
        // Strings, numbers and lists: writing them to memory cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What came of a replay.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Recorded accesses.
    pub accesses: u64,
    /// Of these, those that the other rules would have decided otherwise in any part.
    pub differing: u64,
    /// Resources, and requests of the organisation's policy, by how the other rules differ.
    pub differences: BTreeMap<&'static str, u64>,
    /// Resources on which the rules agree.
    pub same: u64,
    /// Records whose keys were erased, of whatever kind.
    pub erased_records: u64,
    /// What could not be replayed, and why.
    pub not_replayed: Vec<Left>,
    #[serde(skip)]
    left: BTreeMap<NotReplayed, u64>,
}

/// Something that could not be replayed.
#[derive(Debug, Serialize)]
pub struct Left {
    reason: NotReplayed,
    count: u64,
    because: &'static str,
}

impl Summary {
    pub(super) fn count(&mut self, row: &Row) {
        self.accesses += 1;
        self.differing += u64::from(row.differs());
        self.same += row.same;
        let organisation = row.organisation.iter().map(|organisation| organisation.difference);
        for difference in row.differences.iter().map(|resource| resource.difference).chain(organisation) {
            *self.differences.entry(difference.label()).or_insert(0) += 1;
        }
        for (why, count) in &row.not_replayed {
            *self.left.entry(*why).or_insert(0) += count;
        }
        let left = self.left.iter();
        self.not_replayed =
            left.map(|(why, count)| Left { reason: *why, count: *count, because: why.sentence() }).collect();
    }
}
