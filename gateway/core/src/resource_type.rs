//! The closed set of FHIR resource types: those of R4, and those that R4B and R5 have besides.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::version::FhirVersion;

/// One of the 146 resource types of FHIR R4 (4.0.1), or one that R4B or R5 has besides; any other name does not parse.
///
/// INVARIANT: the inner string is an element of [`ResourceType::ALL`] or [`ResourceType::NEWER`], so comparing strings
/// compares types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceType(&'static str);

/// A name that is no FHIR resource type of the version asked for (names are case-sensitive).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a FHIR resource type")]
pub struct UnknownResourceType;

impl ResourceType {
    /// Every type of R4, sorted by name.
    pub const ALL: &'static [&'static str] = &[
        "Account",
        "ActivityDefinition",
        "AdverseEvent",
        "AllergyIntolerance",
        "Appointment",
        "AppointmentResponse",
        "AuditEvent",
        "Basic",
        "Binary",
        "BiologicallyDerivedProduct",
        "BodyStructure",
        "Bundle",
        "CapabilityStatement",
        "CarePlan",
        "CareTeam",
        "CatalogEntry",
        "ChargeItem",
        "ChargeItemDefinition",
        "Claim",
        "ClaimResponse",
        "ClinicalImpression",
        "CodeSystem",
        "Communication",
        "CommunicationRequest",
        "CompartmentDefinition",
        "Composition",
        "ConceptMap",
        "Condition",
        "Consent",
        "Contract",
        "Coverage",
        "CoverageEligibilityRequest",
        "CoverageEligibilityResponse",
        "DetectedIssue",
        "Device",
        "DeviceDefinition",
        "DeviceMetric",
        "DeviceRequest",
        "DeviceUseStatement",
        "DiagnosticReport",
        "DocumentManifest",
        "DocumentReference",
        "EffectEvidenceSynthesis",
        "Encounter",
        "Endpoint",
        "EnrollmentRequest",
        "EnrollmentResponse",
        "EpisodeOfCare",
        "EventDefinition",
        "Evidence",
        "EvidenceVariable",
        "ExampleScenario",
        "ExplanationOfBenefit",
        "FamilyMemberHistory",
        "Flag",
        "Goal",
        "GraphDefinition",
        "Group",
        "GuidanceResponse",
        "HealthcareService",
        "ImagingStudy",
        "Immunization",
        "ImmunizationEvaluation",
        "ImmunizationRecommendation",
        "ImplementationGuide",
        "InsurancePlan",
        "Invoice",
        "Library",
        "Linkage",
        "List",
        "Location",
        "Measure",
        "MeasureReport",
        "Media",
        "Medication",
        "MedicationAdministration",
        "MedicationDispense",
        "MedicationKnowledge",
        "MedicationRequest",
        "MedicationStatement",
        "MedicinalProduct",
        "MedicinalProductAuthorization",
        "MedicinalProductContraindication",
        "MedicinalProductIndication",
        "MedicinalProductIngredient",
        "MedicinalProductInteraction",
        "MedicinalProductManufactured",
        "MedicinalProductPackaged",
        "MedicinalProductPharmaceutical",
        "MedicinalProductUndesirableEffect",
        "MessageDefinition",
        "MessageHeader",
        "MolecularSequence",
        "NamingSystem",
        "NutritionOrder",
        "Observation",
        "ObservationDefinition",
        "OperationDefinition",
        "OperationOutcome",
        "Organization",
        "OrganizationAffiliation",
        "Parameters",
        "Patient",
        "PaymentNotice",
        "PaymentReconciliation",
        "Person",
        "PlanDefinition",
        "Practitioner",
        "PractitionerRole",
        "Procedure",
        "Provenance",
        "Questionnaire",
        "QuestionnaireResponse",
        "RelatedPerson",
        "RequestGroup",
        "ResearchDefinition",
        "ResearchElementDefinition",
        "ResearchStudy",
        "ResearchSubject",
        "RiskAssessment",
        "RiskEvidenceSynthesis",
        "Schedule",
        "SearchParameter",
        "ServiceRequest",
        "Slot",
        "Specimen",
        "SpecimenDefinition",
        "StructureDefinition",
        "StructureMap",
        "Subscription",
        "Substance",
        "SubstanceNucleicAcid",
        "SubstancePolymer",
        "SubstanceProtein",
        "SubstanceReferenceInformation",
        "SubstanceSourceMaterial",
        "SubstanceSpecification",
        "SupplyDelivery",
        "SupplyRequest",
        "Task",
        "TerminologyCapabilities",
        "TestReport",
        "TestScript",
        "ValueSet",
        "VerificationResult",
        "VisionPrescription",
    ];

    /// The types that R4 does not have, sorted by name, each with the first version that has it.
    pub const NEWER: &'static [(&'static str, FhirVersion)] = &[
        ("ActorDefinition", FhirVersion::R5),
        ("AdministrableProductDefinition", FhirVersion::R4B),
        ("ArtifactAssessment", FhirVersion::R5),
        ("BiologicallyDerivedProductDispense", FhirVersion::R5),
        ("Citation", FhirVersion::R4B),
        ("ClinicalUseDefinition", FhirVersion::R4B),
        ("ConditionDefinition", FhirVersion::R5),
        ("DeviceAssociation", FhirVersion::R5),
        ("DeviceDispense", FhirVersion::R5),
        ("DeviceUsage", FhirVersion::R5),
        ("EncounterHistory", FhirVersion::R5),
        ("EvidenceReport", FhirVersion::R4B),
        ("FormularyItem", FhirVersion::R5),
        ("GenomicStudy", FhirVersion::R5),
        ("ImagingSelection", FhirVersion::R5),
        ("Ingredient", FhirVersion::R4B),
        ("InventoryItem", FhirVersion::R5),
        ("InventoryReport", FhirVersion::R5),
        ("ManufacturedItemDefinition", FhirVersion::R4B),
        ("MedicinalProductDefinition", FhirVersion::R4B),
        ("NutritionIntake", FhirVersion::R5),
        ("NutritionProduct", FhirVersion::R4B),
        ("PackagedProductDefinition", FhirVersion::R4B),
        ("Permission", FhirVersion::R5),
        ("RegulatedAuthorization", FhirVersion::R4B),
        ("RequestOrchestration", FhirVersion::R5),
        ("Requirements", FhirVersion::R5),
        ("SubscriptionStatus", FhirVersion::R4B),
        ("SubscriptionTopic", FhirVersion::R4B),
        ("SubstanceDefinition", FhirVersion::R4B),
        ("TestPlan", FhirVersion::R5),
        ("Transport", FhirVersion::R5),
    ];

    /// `Patient`.
    pub const PATIENT: Self = Self("Patient");
    /// `Bundle`.
    pub const BUNDLE: Self = Self("Bundle");
    /// `Consent`.
    pub const CONSENT: Self = Self("Consent");
    /// `Provenance`.
    pub const PROVENANCE: Self = Self("Provenance");
    /// `Binary`.
    pub const BINARY: Self = Self("Binary");
    /// `Group`.
    pub const GROUP: Self = Self("Group");

    /// The type of that name, if FHIR R4 has it.
    pub fn parse(name: &str) -> Result<Self, UnknownResourceType> {
        let at = Self::ALL.binary_search(&name).map_err(|_| UnknownResourceType)?;
        Self::ALL.get(at).copied().map(Self).ok_or(UnknownResourceType)
    }

    /// The type of that name, if any version has it.
    pub fn parse_any(name: &str) -> Result<Self, UnknownResourceType> {
        Self::parse(name).or_else(|unknown| {
            let at = Self::NEWER.binary_search_by_key(&name, |(newer, _)| newer).map_err(|_| unknown)?;
            Self::NEWER.get(at).map(|(newer, _)| Self(newer)).ok_or(unknown)
        })
    }

    /// Whether a version has this type.
    pub fn is_in(self, version: FhirVersion) -> bool {
        if let Some((_, first)) = Self::NEWER.iter().find(|(newer, _)| *newer == self.0) {
            return version == *first || (*first, version) == (FhirVersion::R4B, FhirVersion::R5);
        }
        match version {
            FhirVersion::R4 => true,
            FhirVersion::R4B => !gone_in_r4b(self.0),
            // R5 took these five back.
            FhirVersion::R5 if RETURNED.contains(&self.0) => true,
            FhirVersion::R5 => !gone_in_r4b(self.0) && !GONE_IN_R5.contains(&self.0),
        }
    }

    /// The name as FHIR writes it.
    pub fn as_str(&self) -> &'static str {
        self.0
    }
}

const RETURNED: &[&str] = &[
    "SubstanceNucleicAcid",
    "SubstancePolymer",
    "SubstanceProtein",
    "SubstanceReferenceInformation",
    "SubstanceSourceMaterial",
];

const GONE_IN_R5: &[&str] = &[
    "CatalogEntry",
    "DeviceUseStatement",
    "DocumentManifest",
    "Media",
    "RequestGroup",
    "ResearchDefinition",
    "ResearchElementDefinition",
];

fn gone_in_r4b(name: &str) -> bool {
    name.starts_with("MedicinalProduct")
        || matches!(name, "EffectEvidenceSynthesis" | "RiskEvidenceSynthesis" | "SubstanceSpecification")
        || RETURNED.contains(&name)
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl FromStr for ResourceType {
    type Err = UnknownResourceType;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::parse(name)
    }
}

impl Serialize for ResourceType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for ResourceType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&name).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
