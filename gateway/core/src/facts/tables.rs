//! Which elements of a resource are its dates and its authors (FHIR R4; where R5 differs, both).

use super::DateKind::{self, Authored, Effective, Occurrence, Onset, Performed, Recorded};
use crate::resource_type::ResourceType;

/// The kind of date that a top-level member of a resource is, if any; choice types by their JSON names.
pub(super) fn date_kind(rtype: ResourceType, member: &str) -> Option<DateKind> {
    Some(match (member, rtype.as_str()) {
        ("date", "AdverseEvent") => Occurrence,
        ("date", "FamilyMemberHistory") => Recorded,
        ("date", "ImmunizationEvaluation") => Performed,
        ("authoredOn" | "authored" | "date" | "created" | "dateTime" | "dateWritten" | "sent", _) => Authored,
        ("effectiveDateTime" | "effectivePeriod" | "effectiveInstant" | "effectiveTiming", _) => Effective,
        ("occurrenceDateTime" | "occurrencePeriod" | "occurrenceTiming" | "started" | "billablePeriod", _) => {
            Occurrence
        }
        ("occurredDateTime" | "occurredPeriod", _) => Occurrence,
        // R5 spells it so in MedicationAdministration.
        ("occurenceDateTime" | "occurencePeriod" | "occurenceTiming", _) => Occurrence,
        ("actualPeriod", "Encounter") => Performed,
        ("onsetDateTime" | "onsetPeriod" | "identifiedDateTime" | "identifiedPeriod", _) => Onset,
        ("performedDateTime" | "performedPeriod" | "period" | "servicePeriod" | "startDate", _) => Performed,
        ("timingDateTime" | "timingPeriod" | "timingTiming" | "createdDateTime" | "createdPeriod", _) => Performed,
        ("whenHandedOver" | "whenPrepared", _) => Performed,
        ("recordedDate" | "recorded" | "issued" | "recordedOn" | "dateAsserted" | "receivedTime", _) => Recorded,
        _ => return None,
    })
}

/// The element paths that name who wrote, asserted or ordered a resource of this type (`data.meaning = authoredby`).
pub(super) fn author_paths(rtype: ResourceType) -> &'static [&'static str] {
    match rtype.as_str() {
        "AdverseEvent" => &["recorder"],
        "AllergyIntolerance" | "Condition" => &["recorder", "asserter", "participant.actor"],
        "AuditEvent" => &["agent.who"],
        "Basic" | "Composition" | "DetectedIssue" | "DocumentManifest" | "DocumentReference" | "Flag"
        | "RequestGroup" => &["author"],
        "CarePlan" => &["author", "contributor"],
        "ChargeItem" | "Claim" | "CoverageEligibilityRequest" | "ExplanationOfBenefit" => &["enterer", "provider"],
        "ClinicalImpression" => &["assessor"],
        "Communication" => &["sender"],
        "CommunicationRequest" | "DeviceRequest" | "ServiceRequest" | "SupplyRequest" | "Task" => &["requester"],
        "Consent" => &["performer", "organization"],
        "Contract" => &["author"],
        "DeviceUseStatement" | "List" => &["source"],
        "DiagnosticReport" => &["performer", "resultsInterpreter"],
        "Encounter" => &["participant.individual", "participant.actor"],
        "EpisodeOfCare" => &["careManager", "managingOrganization"],
        "Goal" => &["expressedBy"],
        "GuidanceResponse" | "ImmunizationRecommendation" => &["performer", "authority"],
        "ImagingStudy" => &["referrer", "interpreter"],
        "Immunization" | "MedicationAdministration" | "MedicationDispense" => &["performer.actor"],
        "MeasureReport" => &["reporter"],
        "Media" => &["operator"],
        "MedicationRequest" => &["requester", "recorder"],
        "MedicationStatement" => &["informationSource"],
        "MessageHeader" => &["author", "sender"],
        "NutritionOrder" => &["orderer"],
        "Observation" | "RiskAssessment" => &["performer"],
        "Procedure" => &["performer.actor", "recorder", "asserter"],
        "Provenance" => &["agent.who"],
        "QuestionnaireResponse" => &["author", "source"],
        "Specimen" => &["collection.collector"],
        "VisionPrescription" => &["prescriber"],
        _ => &[],
    }
}
