//! The searches that US Core asks of a server, over the demo's patients.
//!
//! In a query `{p}` stands for the patient's id, `{P}` for it in capitals, `{F}` for the family name, all of them one word in the demo's data.

/// Whether a search is of one patient, whose id it names: then the gateway counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// One.
    One,
    /// Several, or nobody's data: no total.
    Many,
}

use Of::{Many, One};

/// The table.
pub(super) const SEARCHES: &[(&str, Of)] = &[
    // Patient
    ("Patient?_id={p}", One),
    ("Patient?identifier=https://sealgate.example/mrn|MRN-{P}", Many),
    ("Patient?name={F}", Many),
    ("Patient?family={F}&gender=female,male,other", Many),
    ("Patient?birthdate=ge1990-01-01&family={F}", Many),
    ("Patient?birthdate=lt1990-01-01&name={F}", Many),
    ("Patient?gender=female", Many),
    ("Patient?name={F}&_include=Patient:organization&_include=Patient:general-practitioner", Many),
    ("Patient?_sort=-birthdate", Many),
    ("Patient?_id={p}&_revinclude=Provenance:target", One),
    // Condition
    ("Condition?patient={p}", One),
    ("Condition?patient=Patient/{p}", One),
    ("Condition?subject=Patient/{p}", One),
    ("Condition?patient={p}&category=http://terminology.hl7.org/CodeSystem/condition-category|problem-list-item", One),
    ("Condition?patient={p}&clinical-status=active", One),
    ("Condition?patient={p}&code=http://snomed.info/sct|38341003", One),
    ("Condition?patient={p}&onset-date=ge2000-01-01&onset-date=lt2030-01-01", One),
    ("Condition?patient={p}&recorded-date=ge2015-01-01&_sort=-recorded-date", One),
    ("Condition?patient={p}&_include=Condition:asserter&_include=Condition:patient", One),
    ("Condition?patient={p}&_lastUpdated=gt2020-01-01T00:00:00Z", One),
    ("Condition?code=http://hl7.org/fhir/sid/icd-10-cm|I10", Many),
    ("Condition?patient={p}&_revinclude=MedicationRequest:patient", One),
    // Observation
    ("Observation?patient={p}", One),
    ("Observation?patient={p}&category=vital-signs", One),
    ("Observation?patient={p}&category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory", One),
    ("Observation?patient={p}&category=social-history", One),
    ("Observation?patient={p}&category=survey,laboratory", One),
    ("Observation?patient={p}&code=http://loinc.org|85354-9", One),
    ("Observation?patient={p}&code=http://loinc.org|8867-4,http://loinc.org|8310-5", One),
    ("Observation?patient={p}&category=vital-signs&date=ge2020-01-01", One),
    ("Observation?patient={p}&category=laboratory&date=gt2020-01-01&date=lt2030-01-01", One),
    ("Observation?patient={p}&code=http://loinc.org|29463-7&date=ge2020-01-01", One),
    ("Observation?patient={p}&status=final", One),
    ("Observation?patient={p}&_sort=-date", One),
    ("Observation?patient={p}&_sort=code,-date&category=vital-signs", One),
    ("Observation?patient={p}&_include=Observation:performer&_include=Observation:encounter", One),
    ("Observation?patient={p}&_include=Observation:subject&category=laboratory", One),
    ("Observation?code=http://loinc.org|85354-9", Many),
    ("Observation?category=vital-signs&_sort=_id", Many),
    ("Observation?patient={p}&category:not=vital-signs", One),
    ("Observation?patient={p}&_security=R", One),
    // MedicationRequest
    ("MedicationRequest?patient={p}", One),
    ("MedicationRequest?patient={p}&intent=order", One),
    ("MedicationRequest?patient={p}&intent=order,plan&status=active", One),
    ("MedicationRequest?patient={p}&intent=order&authoredon=ge2000-01-01", One),
    ("MedicationRequest?patient={p}&intent=order&_include=MedicationRequest:requester", One),
    ("MedicationRequest?patient={p}&_include=MedicationRequest:medication", One),
    ("MedicationRequest?patient={p}&_include=MedicationRequest:*", One),
    // Encounter
    ("Encounter?patient={p}", One),
    ("Encounter?_id={p}-visit-1", Many),
    ("Encounter?patient={p}&date=ge2020-01-01", One),
    ("Encounter?patient={p}&date=ge2020-01-01&date=le2026-12-31&_sort=date", One),
    ("Encounter?patient={p}&class=AMB", One),
    ("Encounter?patient={p}&status=finished", One),
    ("Encounter?patient={p}&location=Location/northfield-ward-3", One),
    (
        "Encounter?patient={p}&_include=Encounter:participant&_include=Encounter:location&_include=Encounter:service-provider",
        One,
    ),
    ("Encounter?patient={p}&_revinclude=Provenance:target", One),
    ("Encounter?patient={p}&_revinclude=Observation:encounter", One),
    // DocumentReference
    ("DocumentReference?patient={p}", One),
    ("DocumentReference?_id={p}-note", Many),
    (
        "DocumentReference?patient={p}&category=http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category|clinical-note",
        One,
    ),
    ("DocumentReference?patient={p}&category=clinical-note&date=ge2020-01-01", One),
    ("DocumentReference?patient={p}&type=http://loinc.org|11506-3", One),
    ("DocumentReference?patient={p}&type=http://loinc.org|11506-3&period=ge2020-01-01", One),
    ("DocumentReference?patient={p}&status=current", One),
    ("DocumentReference?patient={p}&_include=DocumentReference:author&_revinclude=Provenance:target", One),
    // Procedure
    ("Procedure?patient={p}", One),
    ("Procedure?patient={p}&status=completed", One),
    ("Procedure?patient={p}&date=ge2020-01-01", One),
    ("Procedure?patient={p}&code=http://snomed.info/sct|29303009&date=ge2020-01-01", One),
    ("Procedure?patient={p}&_include=Procedure:performer&_include=Procedure:encounter", One),
    // Immunization
    ("Immunization?patient={p}", One),
    ("Immunization?patient={p}&status=completed", One),
    ("Immunization?patient={p}&date=ge2020-01-01", One),
    ("Immunization?patient={p}&_include=Immunization:performer", One),
    // AllergyIntolerance
    ("AllergyIntolerance?patient={p}", One),
    (
        "AllergyIntolerance?patient={p}&clinical-status=http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical|active",
        One,
    ),
    ("AllergyIntolerance?patient={p}&_include=AllergyIntolerance:recorder", One),
    // DiagnosticReport
    ("DiagnosticReport?patient={p}", One),
    ("DiagnosticReport?patient={p}&category=http://terminology.hl7.org/CodeSystem/v2-0074|LAB", One),
    ("DiagnosticReport?patient={p}&category=LAB&date=ge2020-01-01", One),
    ("DiagnosticReport?patient={p}&code=http://loinc.org|24323-8&date=ge2020-01-01", One),
    ("DiagnosticReport?patient={p}&status=final", One),
    ("DiagnosticReport?patient={p}&_include=DiagnosticReport:result&_include=DiagnosticReport:performer", One),
    // CarePlan
    ("CarePlan?patient={p}&category=assess-plan", One),
    ("CarePlan?patient={p}&category=assess-plan&status=active", One),
    ("CarePlan?patient={p}&category=assess-plan&status=active&date=ge2020-01-01", One),
    ("CarePlan?patient={p}&_include=CarePlan:care-team&_include=CarePlan:goal", One),
    // CareTeam
    ("CareTeam?patient={p}&status=active", One),
    ("CareTeam?patient={p}&_include=CareTeam:participant", One),
    ("CareTeam?patient={p}&_revinclude=CarePlan:care-team", One),
    // Goal
    ("Goal?patient={p}", One),
    ("Goal?patient={p}&lifecycle-status=active", One),
    ("Goal?patient={p}&target-date=ge2020-01-01", One),
    // Coverage
    ("Coverage?patient={p}", One),
    ("Coverage?beneficiary=Patient/{p}&status=active", One),
    ("Coverage?patient={p}&_include=Coverage:payor", One),
    // Provenance
    ("Provenance?target=DocumentReference/{p}-note", Many),
    ("Provenance?target=Encounter/{p}-visit-1&_include=Provenance:agent&_include=Provenance:target", Many),
    ("Provenance?recorded=ge2020-01-01", Many),
    // What clinical resources refer to
    ("Practitioner?name=Okafor", Many),
    ("Practitioner?_id=okafor&_revinclude=PractitionerRole:practitioner", Many),
    (
        "PractitionerRole?practitioner=Practitioner/okafor&_include=PractitionerRole:practitioner&_include=PractitionerRole:organization",
        Many,
    ),
    ("Organization?name=Northfield", Many),
    ("Location?_id=northfield-ward-3&_include=Location:organization", Many),
    ("Medication?code=http://www.nlm.nih.gov/research/umls/rxnorm|197361", Many),
    // Values, modifiers and result parameters of every form
    ("Observation?patient=Patient/alder,Patient/{p}&category=laboratory", Many),
    ("Observation?subject:Patient={p}&category=laboratory", Many),
    ("Observation?patient={p}&date=ge2020-01-01T00:00:00%2B00:00", One),
    ("Observation?patient={p}&component-code-value-quantity=http://loinc.org|8480-6$gt60", One),
    ("Observation?patient={p}&value-quantity=gt10||kg", One),
    ("Observation?patient={p}&code:text=Heart", One),
    ("Observation?patient={p}&code:missing=false&_total=accurate", One),
    ("Condition?patient={p}&onset-date:missing=false&_sort=-_lastUpdated,_id", One),
    ("Patient?name:contains={F}", Many),
    ("Patient?family:exact={F}", Many),
    ("Patient?general-practitioner=Practitioner/baptiste,Practitioner/okafor", Many),
    ("Patient?_id=alder,{p}", Many),
    ("MedicationRequest?patient={p}&_include=*", One),
    ("Encounter?patient={p}&_include=Encounter:*", One),
    (
        "Encounter?patient={p}&_include=Encounter:participant&_include=Encounter:location&_revinclude=Provenance:target&_revinclude=Observation:encounter",
        One,
    ),
    (
        "Patient?_id={p}&_revinclude=Observation:subject&_revinclude=Condition:subject&_revinclude=Encounter:patient",
        One,
    ),
];
