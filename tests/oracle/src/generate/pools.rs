//! The pools: few values, so that they meet.

pub(super) const PUBLIC: &str = "https://gateway.example.org/fhir";
pub(super) const UPSTREAM: &str = "http://upstream.example.org/fhir";
pub(super) const ELSEWHERE: &str = "https://elsewhere.example.org/fhir";

pub(super) const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
pub(super) const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
pub(super) const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
pub(super) const ACTIONS: &str = "http://terminology.hl7.org/CodeSystem/consentaction";
pub(super) const SCOPES: &str = "http://terminology.hl7.org/CodeSystem/consentscope";
pub(super) const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
pub(super) const RESOURCE_TYPES: &str = "http://hl7.org/fhir/resource-types";
pub(super) const ICD: &str = "http://hl7.org/fhir/sid/icd-10-cm";
pub(super) const LOINC: &str = "http://loinc.org";
pub(super) const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
pub(super) const LOCAL_LABELS: &str = "https://hospital.example.org/labels";
pub(super) const OTHER: &str = "https://other.example.org/codes";
pub(super) const NPI: &str = "http://hl7.org/fhir/sid/us-npi";

/// When the question is asked: around the ends of the periods below in each of the zones.
pub(super) const NOW: &[&str] = &[
    "2026-06-01T12:00:00Z",
    "2026-06-01T12:00:00Z",
    "2026-06-01T00:00:00Z",
    "2026-05-31T23:59:59Z",
    "2026-05-31T14:59:59Z",
    "2026-05-31T15:00:00Z",
    "2026-06-01T04:59:59Z",
    "2026-06-01T05:00:00Z",
    "2026-12-31T23:59:59Z",
];

/// Starts of periods that are asked about `NOW`.
pub(super) const STARTS: &[&str] =
    &["2026", "2026-06", "2026-06-01", "2026-06-01T12:00:00Z", "2025-01-01", "2026-06-01T14:00:00+02:00", "2026-06-02"];
/// Ends that are never before any of the starts.
pub(super) const ENDS: &[&str] = &["2026", "2026-12-31", "2027", "2030-01-01", "2026-12-31T23:59:59Z"];
/// Ends that may be over.
pub(super) const PAST: &[&str] = &["2026-05-31", "2026-05", "2025", "2026-06-01", "2026-06-01T12:00:00Z"];

/// Dates of data, and starts of `dataPeriod`.
pub(super) const DATA_STARTS: &[&str] =
    &["2020", "2021", "2021-06", "2022-01-01", "2022-03-01T10:00:00Z", "2022-06", "2022-03-01", "2022"];
/// Dates of data that are not the start of a period: the first begins where a `dataPeriod` ends.
pub(super) const DATA_DATES: &[&str] =
    &["2023-01-01", "2023", "2021", "2022-01-01", "2022-03-01T10:00:00Z", "2022-06", "2022-03-01", "2022"];
/// Ends of `dataPeriod`, never before its starts.
pub(super) const DATA_ENDS: &[&str] = &["2022-12-31", "2022", "2023-01-01", "2022-07-01T00:00:00Z", "2024"];

pub(super) const PURPOSES: &[&str] =
    &["TREAT", "TREAT", "TREAT", "ETREAT", "BTG", "BTG", "COC", "HPAYMT", "HRESCH", "PATRQT", "FAMRQT", "HOPERAT"];

/// Actors as local references.
pub(super) const ACTORS: &[&str] = &[
    "Practitioner/d1",
    "Practitioner/d2",
    "PractitionerRole/r1",
    "Organization/o1",
    "Organization/o2",
    "Organization/o3",
    "CareTeam/c1",
    "Group/g1",
    "RelatedPerson/x1",
    "Patient/p1",
    "Device/v1",
];

/// Instances that `data` names and resources refer to.
pub(super) const INSTANCES: &[&str] =
    &["Encounter/e1", "Encounter/e2", "Task/t1", "Observation/a", "Practitioner/d1", "Practitioner/d2"];

pub(super) const IDENTIFIERS: &[&str] =
    &["http://hl7.org/fhir/sid/us-npi|1", "http://hl7.org/fhir/sid/us-npi|2", "urn:oid:1.2.3|1", "urn:oid:1.2.3|o1"];

/// Clinical codes: (system, code).
pub(super) const CODES: &[(&str, &str)] = &[
    (ICD, "B20"),
    (ICD, "F10.20"),
    (ICD, "F11"),
    (ICD, "F110"),
    (LOINC, "2339-0"),
    (LOINC, "34133-9"),
    (RXNORM, "6813"),
    (OTHER, "B20"),
];

/// Labels: (system, code).
pub(super) const LABELS: &[(&str, &str)] = &[
    (CONFIDENTIALITY, "V"),
    (CONFIDENTIALITY, "R"),
    (CONFIDENTIALITY, "R"),
    (CONFIDENTIALITY, "N"),
    (CONFIDENTIALITY, "N"),
    (CONFIDENTIALITY, "M"),
    (CONFIDENTIALITY, "L"),
    (CONFIDENTIALITY, "U"),
    (ACT_CODE, "HIV"),
    (ACT_CODE, "SPI"),
    (ACT_CODE, "SUD"),
    (ACT_CODE, "SUD"),
    (ACT_CODE, "ETHUD"),
    (ACT_CODE, "OPIOIDUD"),
    (ACT_CODE, "PSY"),
    (ACT_CODE, "COGN"),
    (LOCAL_LABELS, "CELEBRITY"),
    (CONFIDENTIALITY, "HIV"),
    (CONFIDENTIALITY, "PSY"),
    (ACT_REASON, "HTEST"),
    (ACT_CODE, "NORDSCLCD"),
];

pub(super) const PROFILE: &str = "http://hl7.org/fhir/StructureDefinition/bp";
