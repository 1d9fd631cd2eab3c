//! The table: where each type names the patients whose data it is.
//!
//! Where R5 names an owner otherwise than R4 both elements stand: no version has both, and an owner more refuses more.

use crate::resource_type::ResourceType;

/// How the owners of a type are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerRule {
    /// The resource is the patient.
    SelfPatient,
    /// The patients referred to at these element paths; other owned types there are resolved by reference.
    Paths(&'static [&'static str]),
    /// The patients referred to at these element paths, and nobody else there; at least one.
    PatientsAt(&'static [&'static str]),
    /// As `Paths`, but where every reference leads to a universal type the resource is universal too.
    PathsOrUniversal(&'static [&'static str]),
    /// Patients at these paths own it; where there is none it is universal.
    UniversalUnless(&'static [&'static str]),
    /// Nobody's: scope and organisational policy decide.
    Universal,
    /// Whoever owns what is inside: `entry.resource` of a Bundle, `parameter.resource` of Parameters.
    Inside,
    /// No owner can be told: refused.
    None,
}

use OwnerRule::{Inside, None as Nobody, Paths, PathsOrUniversal, PatientsAt, SelfPatient, Universal, UniversalUnless};

const PATIENT: OwnerRule = Paths(&["patient"]);
const SUBJECT: OwnerRule = Paths(&["subject"]);
const PATIENT_OR_SUBJECT: OwnerRule = Paths(&["patient", "subject"]);

/// The rule of a type (CONSENT.md, "Whose data is it").
pub fn owner_rule(rtype: ResourceType) -> OwnerRule {
    let of = |rules: &'static [(&'static str, OwnerRule)]| {
        let at = rules.binary_search_by_key(&rtype.as_str(), |(name, _)| name).ok()?;
        rules.get(at).map(|(_, rule)| *rule)
    };
    of(RULES).or_else(|| of(NEWER)).unwrap_or(Nobody)
}

/// Whether a type is nobody's by itself.
pub fn is_universal(rtype: ResourceType) -> bool {
    matches!(owner_rule(rtype), Universal | UniversalUnless(_))
}

/// Sorted by type; holds every R4 type (a test compares it with [`ResourceType::ALL`]).
pub(super) const RULES: &[(&str, OwnerRule)] = &[
    ("Account", SUBJECT),
    ("ActivityDefinition", Universal),
    ("AdverseEvent", SUBJECT),
    ("AllergyIntolerance", PATIENT),
    ("Appointment", PatientsAt(&["participant.actor", "subject"])),
    ("AppointmentResponse", Paths(&["actor", "appointment"])),
    ("AuditEvent", Paths(&["entity.what", "patient"])),
    ("Basic", SUBJECT),
    ("Binary", Paths(&["securityContext"])),
    ("BiologicallyDerivedProduct", Paths(&["collection.source"])),
    ("BodyStructure", PATIENT),
    ("Bundle", Inside),
    ("CapabilityStatement", Universal),
    ("CarePlan", SUBJECT),
    ("CareTeam", SUBJECT),
    ("CatalogEntry", Universal),
    ("ChargeItem", SUBJECT),
    ("ChargeItemDefinition", Universal),
    ("Claim", PATIENT),
    ("ClaimResponse", PATIENT),
    ("ClinicalImpression", SUBJECT),
    ("CodeSystem", Universal),
    ("Communication", SUBJECT),
    ("CommunicationRequest", SUBJECT),
    ("CompartmentDefinition", Universal),
    ("Composition", SUBJECT),
    ("ConceptMap", Universal),
    ("Condition", SUBJECT),
    ("Consent", PATIENT_OR_SUBJECT),
    ("Contract", SUBJECT),
    ("Coverage", Paths(&["beneficiary"])),
    ("CoverageEligibilityRequest", PATIENT),
    ("CoverageEligibilityResponse", PATIENT),
    ("DetectedIssue", PATIENT_OR_SUBJECT),
    ("Device", PATIENT),
    ("DeviceDefinition", Universal),
    ("DeviceMetric", Paths(&["source", "device"])),
    ("DeviceRequest", SUBJECT),
    ("DeviceUseStatement", SUBJECT),
    ("DiagnosticReport", SUBJECT),
    ("DocumentManifest", SUBJECT),
    ("DocumentReference", SUBJECT),
    ("EffectEvidenceSynthesis", Universal),
    ("Encounter", SUBJECT),
    ("Endpoint", Universal),
    ("EnrollmentRequest", Paths(&["candidate"])),
    ("EnrollmentResponse", Paths(&["request"])),
    ("EpisodeOfCare", PATIENT),
    ("EventDefinition", Universal),
    ("Evidence", Universal),
    ("EvidenceVariable", Universal),
    ("ExampleScenario", Universal),
    ("ExplanationOfBenefit", PATIENT),
    ("FamilyMemberHistory", PATIENT),
    ("Flag", SUBJECT),
    ("Goal", SUBJECT),
    ("GraphDefinition", Universal),
    ("Group", Paths(&["member.entity"])),
    ("GuidanceResponse", SUBJECT),
    ("HealthcareService", Universal),
    ("ImagingStudy", SUBJECT),
    ("Immunization", PATIENT),
    ("ImmunizationEvaluation", PATIENT),
    ("ImmunizationRecommendation", PATIENT),
    ("ImplementationGuide", Universal),
    ("InsurancePlan", Universal),
    ("Invoice", SUBJECT),
    ("Library", Universal),
    ("Linkage", Paths(&["item.resource"])),
    ("List", SUBJECT),
    ("Location", Universal),
    ("Measure", Universal),
    ("MeasureReport", SUBJECT),
    ("Media", SUBJECT),
    ("Medication", Universal),
    ("MedicationAdministration", SUBJECT),
    ("MedicationDispense", SUBJECT),
    ("MedicationKnowledge", Universal),
    ("MedicationRequest", SUBJECT),
    ("MedicationStatement", SUBJECT),
    ("MedicinalProduct", Universal),
    ("MedicinalProductAuthorization", Universal),
    ("MedicinalProductContraindication", Universal),
    ("MedicinalProductIndication", Universal),
    ("MedicinalProductIngredient", Universal),
    ("MedicinalProductInteraction", Universal),
    ("MedicinalProductManufactured", Universal),
    ("MedicinalProductPackaged", Universal),
    ("MedicinalProductPharmaceutical", Universal),
    ("MedicinalProductUndesirableEffect", Universal),
    ("MessageDefinition", Universal),
    ("MessageHeader", Paths(&["focus"])),
    ("MolecularSequence", PATIENT_OR_SUBJECT),
    ("NamingSystem", Universal),
    ("NutritionOrder", PATIENT_OR_SUBJECT),
    ("Observation", SUBJECT),
    ("ObservationDefinition", Universal),
    ("OperationDefinition", Universal),
    ("OperationOutcome", Nobody),
    ("Organization", Universal),
    ("OrganizationAffiliation", Universal),
    ("Parameters", Inside),
    ("Patient", SelfPatient),
    ("PaymentNotice", Paths(&["request", "response"])),
    ("PaymentReconciliation", Paths(&["request", "detail.request", "detail.response"])),
    ("Person", Paths(&["link.target"])),
    ("PlanDefinition", Universal),
    ("Practitioner", Universal),
    ("PractitionerRole", Universal),
    ("Procedure", SUBJECT),
    ("Provenance", PathsOrUniversal(&["target"])),
    ("Questionnaire", Universal),
    ("QuestionnaireResponse", SUBJECT),
    ("RelatedPerson", PATIENT),
    ("RequestGroup", SUBJECT),
    ("ResearchDefinition", Universal),
    ("ResearchElementDefinition", Universal),
    ("ResearchStudy", Nobody),
    ("ResearchSubject", Paths(&["individual", "subject"])),
    ("RiskAssessment", SUBJECT),
    ("RiskEvidenceSynthesis", Universal),
    ("Schedule", UniversalUnless(&["actor"])),
    ("SearchParameter", Universal),
    ("ServiceRequest", SUBJECT),
    ("Slot", Universal),
    ("Specimen", SUBJECT),
    ("SpecimenDefinition", Universal),
    ("StructureDefinition", Universal),
    ("StructureMap", Universal),
    ("Subscription", Nobody),
    ("Substance", Universal),
    ("SubstanceNucleicAcid", Universal),
    ("SubstancePolymer", Universal),
    ("SubstanceProtein", Universal),
    ("SubstanceReferenceInformation", Universal),
    ("SubstanceSourceMaterial", Universal),
    ("SubstanceSpecification", Universal),
    ("SupplyDelivery", PATIENT),
    ("SupplyRequest", Paths(&["deliverTo", "deliverFor"])),
    ("Task", Paths(&["for"])),
    ("TerminologyCapabilities", Universal),
    ("TestReport", Nobody),
    ("TestScript", Universal),
    ("ValueSet", Universal),
    ("VerificationResult", PathsOrUniversal(&["target"])),
    ("VisionPrescription", PATIENT),
];

/// As [`RULES`], of the types that R4 does not have ([`ResourceType::NEWER`]).
pub(super) const NEWER: &[(&str, OwnerRule)] = &[
    ("ActorDefinition", Universal),
    ("AdministrableProductDefinition", Universal),
    ("ArtifactAssessment", Universal),
    ("BiologicallyDerivedProductDispense", PATIENT),
    ("Citation", Universal),
    ("ClinicalUseDefinition", Universal),
    ("ConditionDefinition", Universal),
    ("DeviceAssociation", SUBJECT),
    ("DeviceDispense", SUBJECT),
    ("DeviceUsage", PATIENT),
    ("EncounterHistory", SUBJECT),
    ("EvidenceReport", Universal),
    ("FormularyItem", Universal),
    ("GenomicStudy", SUBJECT),
    ("ImagingSelection", SUBJECT),
    ("Ingredient", Universal),
    ("InventoryItem", Universal),
    ("InventoryReport", Universal),
    ("ManufacturedItemDefinition", Universal),
    ("MedicinalProductDefinition", Universal),
    ("NutritionIntake", SUBJECT),
    ("NutritionProduct", Universal),
    ("PackagedProductDefinition", Universal),
    ("Permission", Nobody),
    ("RegulatedAuthorization", Universal),
    ("RequestOrchestration", SUBJECT),
    ("Requirements", Universal),
    ("SubscriptionStatus", Nobody),
    ("SubscriptionTopic", Universal),
    ("SubstanceDefinition", Universal),
    ("TestPlan", Universal),
    ("Transport", Paths(&["for"])),
];

/// The search parameters that name one owner patient of every match: with one value and no modifier, the search is of
/// that patient alone. Types with several owners (Appointment, Group, …) have none.
pub fn owner_params(rtype: ResourceType) -> &'static [&'static str] {
    match rtype.as_str() {
        "Patient" => &["_id"],
        "Coverage" => &["beneficiary", "patient"],
        "ResearchSubject" => &["individual", "patient"],
        "EnrollmentRequest" => &["patient", "subject"],
        "AllergyIntolerance"
        | "BodyStructure"
        | "Claim"
        | "ClaimResponse"
        | "Consent"
        | "CoverageEligibilityRequest"
        | "CoverageEligibilityResponse"
        | "DetectedIssue"
        | "Device"
        | "EpisodeOfCare"
        | "ExplanationOfBenefit"
        | "FamilyMemberHistory"
        | "Immunization"
        | "ImmunizationEvaluation"
        | "ImmunizationRecommendation"
        | "MolecularSequence"
        | "NutritionOrder"
        | "RelatedPerson"
        | "SupplyDelivery"
        | "Task"
        | "VisionPrescription" => &["patient"],
        "Account"
        | "AdverseEvent"
        | "Basic"
        | "CarePlan"
        | "CareTeam"
        | "ChargeItem"
        | "ClinicalImpression"
        | "Communication"
        | "CommunicationRequest"
        | "Composition"
        | "Condition"
        | "Contract"
        | "DeviceRequest"
        | "DeviceUseStatement"
        | "DiagnosticReport"
        | "DocumentManifest"
        | "DocumentReference"
        | "Encounter"
        | "Flag"
        | "Goal"
        | "GuidanceResponse"
        | "ImagingStudy"
        | "Invoice"
        | "List"
        | "MeasureReport"
        | "Media"
        | "MedicationAdministration"
        | "MedicationDispense"
        | "MedicationRequest"
        | "MedicationStatement"
        | "Observation"
        | "Procedure"
        | "QuestionnaireResponse"
        | "RequestGroup"
        | "RiskAssessment"
        | "ServiceRequest"
        | "Specimen"
        | "SupplyRequest" => &["patient", "subject"],
        _ => &[],
    }
}
