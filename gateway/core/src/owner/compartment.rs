//! The patient compartment: which search parameters put a resource of a type into a patient's compartment.
//!
//! FHIR R4, CompartmentDefinition `patient` (4.0.1). It answers compartment searches and says which resources a
//! `patient/` request may touch; it does not say whose data a resource is: that is the owner table.

use crate::resource_type::ResourceType;

/// The compartment parameters of a type; empty where the type is in no patient's compartment.
pub fn patient_compartment(rtype: ResourceType) -> &'static [&'static str] {
    let found = PARAMS.binary_search_by_key(&rtype.as_str(), |(name, _)| name);
    found.ok().and_then(|at| PARAMS.get(at)).map_or(&[], |(_, params)| params)
}

/// Sorted by type. Patient itself is in its own compartment besides (`{def}` and `link`).
pub(super) const PARAMS: &[(&str, &[&str])] = &[
    ("Account", &["subject"]),
    ("AdverseEvent", &["subject"]),
    ("AllergyIntolerance", &["asserter", "patient", "recorder"]),
    ("Appointment", &["actor"]),
    ("AppointmentResponse", &["actor"]),
    ("AuditEvent", &["patient"]),
    ("Basic", &["author", "patient"]),
    ("BodyStructure", &["patient"]),
    ("CarePlan", &["patient", "performer"]),
    ("CareTeam", &["participant", "patient"]),
    ("ChargeItem", &["subject"]),
    ("Claim", &["patient", "payee"]),
    ("ClaimResponse", &["patient"]),
    ("ClinicalImpression", &["subject"]),
    ("Communication", &["recipient", "sender", "subject"]),
    ("CommunicationRequest", &["recipient", "requester", "sender", "subject"]),
    ("Composition", &["attester", "author", "subject"]),
    ("Condition", &["asserter", "patient"]),
    ("Consent", &["patient"]),
    ("Coverage", &["beneficiary", "payor", "policy-holder", "subscriber"]),
    ("CoverageEligibilityRequest", &["patient"]),
    ("CoverageEligibilityResponse", &["patient"]),
    ("DetectedIssue", &["patient"]),
    ("DeviceRequest", &["performer", "subject"]),
    ("DeviceUseStatement", &["subject"]),
    ("DiagnosticReport", &["subject"]),
    ("DocumentManifest", &["author", "recipient", "subject"]),
    ("DocumentReference", &["author", "subject"]),
    ("Encounter", &["patient"]),
    ("EnrollmentRequest", &["subject"]),
    ("EpisodeOfCare", &["patient"]),
    ("ExplanationOfBenefit", &["patient", "payee"]),
    ("FamilyMemberHistory", &["patient"]),
    ("Flag", &["patient"]),
    ("Goal", &["patient"]),
    ("Group", &["member"]),
    ("ImagingStudy", &["patient"]),
    ("Immunization", &["patient"]),
    ("ImmunizationEvaluation", &["patient"]),
    ("ImmunizationRecommendation", &["patient"]),
    ("Invoice", &["patient", "recipient", "subject"]),
    ("List", &["source", "subject"]),
    ("MeasureReport", &["patient"]),
    ("Media", &["subject"]),
    ("MedicationAdministration", &["patient", "performer", "subject"]),
    ("MedicationDispense", &["patient", "receiver", "subject"]),
    ("MedicationRequest", &["subject"]),
    ("MedicationStatement", &["subject"]),
    ("MolecularSequence", &["patient"]),
    ("NutritionOrder", &["patient"]),
    ("Observation", &["performer", "subject"]),
    ("Patient", &["link"]),
    ("Person", &["patient"]),
    ("Procedure", &["patient", "performer"]),
    ("Provenance", &["patient"]),
    ("QuestionnaireResponse", &["author", "subject"]),
    ("RelatedPerson", &["patient"]),
    ("RequestGroup", &["participant", "subject"]),
    ("ResearchSubject", &["individual"]),
    ("RiskAssessment", &["subject"]),
    ("Schedule", &["actor"]),
    ("ServiceRequest", &["performer", "subject"]),
    ("Specimen", &["subject"]),
    ("SupplyDelivery", &["patient"]),
    ("SupplyRequest", &["subject"]),
    ("VisionPrescription", &["patient"]),
];
