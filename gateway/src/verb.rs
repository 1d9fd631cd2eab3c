//! Verb: what the interactions of FHIR come down to, so that each is served in one place.

use bytes::Bytes;
use gateway_core::interaction::{Interaction, OperationLevel, Refusal, SearchQuery, is_json};
use gateway_core::operations::{self, Operation, Reach};
use gateway_core::owner::PatientId;
use gateway_core::resource_type::ResourceType;

use crate::filter::Of;
use crate::head::Head;
use crate::problem::Problem;
use crate::read::Wanted;
use crate::write::{Change, Which};

/// A verb with all that it takes of the request.
pub(crate) enum Verb {
    Read { wanted: Wanted },
    Search { rtype: ResourceType, query: SearchQuery },
    Compartment { patient: PatientId, rtype: Option<ResourceType>, query: SearchQuery },
    History { of: Of, query: SearchQuery },
    Operation { row: &'static Operation, level: OperationLevel, query: SearchQuery, body: Bytes },
    Write { change: Change },
}

impl Verb {
    /// The verb of an interaction with this body and head.
    pub(crate) fn of(interaction: Interaction, body: Bytes, head: &Head) -> Result<Self, Problem> {
        let if_match = head.if_match.clone();
        let wanted = |rtype, id, version, trim| {
            let (if_none_match, if_modified_since) = (head.if_none_match.clone(), head.if_modified_since.clone());
            Ok(Self::Read {
                wanted: Wanted { rtype, id, version, trim, if_none_match, if_modified_since, traceparent: None },
            })
        };
        let name = interaction.name();
        let change = |change| {
            head.no_other_precondition()?;
            Ok(Self::Write { change })
        };
        match interaction {
            Interaction::Read { rtype, id, trim } => wanted(rtype, id, None, trim),
            Interaction::Vread { rtype, id, version, trim } => wanted(rtype, id, Some(version), trim),
            Interaction::SearchType { rtype, query, via: _ } => Ok(Self::Search { rtype, query }),
            Interaction::SearchCompartment { compartment: ResourceType::PATIENT, id, rtype, query, via: _ } => {
                let patient = PatientId::parse(&id).map_err(|_| Problem::Absent)?;
                Ok(Self::Compartment { patient, rtype, query })
            }
            Interaction::Operation { level, name, query } => {
                let not_served = Problem::Uninterpretable(Refusal::NotServed(name));
                let row = operations::served(name, &level).ok_or(not_served)?;
                if row.reach == Reach::Grant && head.in_bundle {
                    return Err(Problem::Uninterpretable(Refusal::NotServed("$break-glass in a batch")));
                }
                let json = head.in_bundle || head.content_type.as_deref().is_some_and(is_json);
                if !body.is_empty() && !json {
                    return Err(Problem::Uninterpretable(Refusal::ContentType));
                }
                Ok(Self::Operation { row, level, query, body })
            }
            Interaction::HistoryInstance { rtype, id, query } => {
                Ok(Self::History { of: Of::Instance(rtype, id), query })
            }
            Interaction::HistoryType { rtype, query } => Ok(Self::History { of: Of::Type(rtype), query }),
            Interaction::HistorySystem { query } => Ok(Self::History { of: Of::System, query }),
            Interaction::Create { rtype } => change(Change::Create { rtype, body, unless: None }),
            Interaction::ConditionalCreate { rtype, criteria } => {
                change(Change::Create { rtype, body, unless: Some(criteria) })
            }
            Interaction::Update { rtype, id } => change(Change::Update { rtype, which: Which::Id(id), body, if_match }),
            Interaction::ConditionalUpdate { rtype, criteria } => {
                change(Change::Update { rtype, which: Which::Criteria(criteria), body, if_match })
            }
            Interaction::Patch { rtype, id } => change(Change::Patch { rtype, which: Which::Id(id), body, if_match }),
            Interaction::ConditionalPatch { rtype, criteria } => {
                change(Change::Patch { rtype, which: Which::Criteria(criteria), body, if_match })
            }
            Interaction::Delete { rtype, id } => change(Change::Delete { rtype, which: Which::Id(id), if_match }),
            Interaction::ConditionalDelete { rtype, criteria } => {
                change(Change::Delete { rtype, which: Which::Criteria(criteria), if_match })
            }
            Interaction::Capabilities
            | Interaction::SmartConfiguration
            | Interaction::SearchSystem { .. }
            | Interaction::SearchCompartment { .. }
            | Interaction::Batch
            | Interaction::Transaction => Err(Problem::Uninterpretable(Refusal::NotServed(name))),
        }
    }
}
