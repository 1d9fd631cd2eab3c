//! The codes that the profiles fix, each with its system.

use super::{Access, Caller, OperationKind, SearchScope, Severity, Statement, Verb};

/// A code that a profile fixes: system, code, display.
pub(super) type Known = (&'static str, &'static str, &'static str);

const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const LIFECYCLE: &str = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle";
const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const OBJECT_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const SOURCE_TYPE: &str = "http://terminology.hl7.org/CodeSystem/security-source-type";

pub(super) const BALP_PROFILE: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.";
pub(super) const OWN_PROFILE: &str = "https://sealgate.dev/fhir/StructureDefinition/sealgate-audit-";
pub(super) const ACCESS_EVENT: &str = "https://sealgate.dev/fhir/StructureDefinition/sealgate-access-event";
pub(super) const RULE: &str = "https://sealgate.dev/fhir/StructureDefinition/sealgate-rule";
pub(super) const REFUSAL: &str = "https://sealgate.dev/fhir/CodeSystem/sealgate-refusal";
pub(super) const EVENT_KIND: &str = "https://sealgate.dev/fhir/CodeSystem/sealgate-event-kind";
pub(super) const RECORD_TAG: &str = "https://sealgate.dev/fhir/sid/audit-record";
pub(super) const ABSENT_REASON: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";
pub(super) const URI_SYSTEM: &str = "urn:ietf:rfc:3986";
pub(super) const TOKEN_PREFIX: &str = "urn:ietf:params:oauth:jti:";
pub(super) const INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";
pub(super) const XREQUEST_ID: Known =
    ("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId", "X-Request-Id");

pub(super) const REST: Known = ("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest", "RESTful Operation");
pub(super) const SECURITY_ALERT: Known = (DCM, "110113", "Security Alert");
const AUDIT_LOG_USED: Known = (DCM, "110101", "Audit Log Used");
const USER_AUTHENTICATION: Known = (DCM, "110114", "User Authentication");
const DESTROY: Known = (LIFECYCLE, "destroy", "Destroy/Delete Record Lifecycle Event");
const ATTEST: Known = (LIFECYCLE, "attest", "Attest Record Lifecycle Event");
const ARCHIVE: Known = (LIFECYCLE, "archive", "Archive Record Lifecycle Event");
pub(super) const AUTHZ_CONSENT: Known =
    ("https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType", "AuthZ-Consent", "Consent Authorization Decision");

pub(super) const APPLICATION: Known = (DCM, "110150", "Application");
pub(super) const APPLICATION_LAUNCHER: Known = (DCM, "110151", "Application Launcher");
const DESTINATION_ROLE: Known = (DCM, "110152", "Destination Role ID");
const SOURCE_ROLE: Known = (DCM, "110153", "Source Role ID");
const CUSTODIAN: Known =
    ("http://terminology.hl7.org/CodeSystem/provenance-participant-type", "custodian", "Custodian");
pub(super) const INFORMATION_RECIPIENT: Known =
    ("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP", "information recipient");
const INFORMANT: Known = ("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "INF", "Informant");
/// The client sends data.
const GIVES: [Known; 3] = [SOURCE_ROLE, DESTINATION_ROLE, INFORMANT];
/// The client gets data.
const TAKES: [Known; 3] = [DESTINATION_ROLE, SOURCE_ROLE, INFORMATION_RECIPIENT];
/// The client sends a query.
pub(super) const ASKS: [Known; 3] = [SOURCE_ROLE, DESTINATION_ROLE, INFORMATION_RECIPIENT];
pub(super) const PROVIDER: Known =
    ("http://terminology.hl7.org/CodeSystem/v3-RoleClass", "PROV", "healthcare provider");
pub(super) const AUTHORIZATION_SERVER: Known =
    ("http://terminology.hl7.org/CodeSystem/extra-security-role-type", "authserver", "authorization server");

pub(super) const PERSON: Known = (ENTITY_TYPE, "1", "Person");
pub(super) const SYSTEM_OBJECT: Known = (ENTITY_TYPE, "2", "System Object");
pub(super) const PATIENT_ROLE: Known = (OBJECT_ROLE, "1", "Patient");
pub(super) const DOMAIN_RESOURCE: Known = (OBJECT_ROLE, "4", "Domain Resource");
pub(super) const SECURITY_RESOURCE: Known = (OBJECT_ROLE, "13", "Security Resource");
pub(super) const QUERY_ROLE: Known = (OBJECT_ROLE, "24", "Query");
pub(super) const CONSENT_TYPE: Known = ("http://hl7.org/fhir/resource-types", "Consent", "Consent");
pub(super) const OAUTH_TOKEN: Known =
    ("https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes", "UserOauthAgent", "User OAuth Agent participant");

pub(super) const APPLICATION_SERVER: Known = (SOURCE_TYPE, "4", "Application Server");
pub(super) const SECURITY_SERVER: Known = (SOURCE_TYPE, "6", "Security Server");

/// The codes of `restful-interaction` that a request of the gateway may be.
pub(super) const INTERACTIONS: [&str; 14] = [
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "history-system",
    "create",
    "search-type",
    "search-system",
    "capabilities",
    "batch",
    "operation",
];

/// `AuditEvent.action` of an interaction; what is not understood is an execution.
pub(super) fn action(interaction: &str) -> &'static str {
    match interaction {
        "create" => "C",
        "read" | "vread" | "history-instance" | "history-type" | "history-system" | "capabilities" => "R",
        "update" | "patch" => "U",
        "delete" => "D",
        _ => "E",
    }
}

/// What a RESTful profile fixes.
pub(super) struct Rest {
    pub(super) subtype: &'static str,
    pub(super) action: &'static str,
    /// Type of the client agent, of the server agent, of the user.
    pub(super) agents: [Known; 3],
}

impl Access {
    /// Who is the source of the data and who their destination depends on the interaction (BALP, each profile; that of
    /// the user is a required binding to its value set DataSources where data are written).
    pub(super) fn rest(&self) -> Rest {
        let rest = |subtype, action, agents| Rest { subtype, action, agents };
        match self {
            Self::Object { verb, .. } => match verb {
                Verb::Create => rest("create", "C", GIVES),
                Verb::Read => rest("read", "R", TAKES),
                Verb::Vread => rest("vread", "R", TAKES),
                Verb::Update => rest("update", "U", GIVES),
                Verb::Patch => rest("patch", "U", GIVES),
                Verb::Delete => rest("delete", "D", [APPLICATION, CUSTODIAN, INFORMANT]),
            },
            Self::Search { scope, .. } => match scope {
                SearchScope::Type => rest("search-type", "E", ASKS),
                SearchScope::System => rest("search-system", "E", ASKS),
            },
        }
    }

    /// The end of the names of BALP's profile and of ours, without and with a patient.
    fn profiles(&self) -> [(&'static str, &'static str); 2] {
        match self {
            Self::Object { verb, .. } => match verb {
                Verb::Create => [("Create", "create"), ("PatientCreate", "patient-create")],
                Verb::Read | Verb::Vread => [("Read", "read"), ("PatientRead", "patient-read")],
                Verb::Update | Verb::Patch => [("Update", "update"), ("PatientUpdate", "patient-update")],
                Verb::Delete => [("Delete", "delete"), ("PatientDelete", "patient-delete")],
            },
            Self::Search { .. } => [("Query", "query"), ("PatientQuery", "patient-query")],
        }
    }
}

impl Statement {
    /// The end of the name of BALP's profile, where there is one, and of ours.
    pub(super) fn profiles(&self) -> (Option<&'static str>, &'static str) {
        match self {
            Self::Access { access, patient } => {
                let [plain, of_patient] = access.profiles();
                let (balp, own) = if patient.is_some() { of_patient } else { plain };
                (Some(balp), own)
            }
            Self::ConsentDecision(_) => (Some("AuthZconsent"), "consent-decision"),
            Self::Failure { .. } => (None, "failure"),
            Self::Operation { .. } => (None, "operation"),
        }
    }
}

impl Severity {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Minor => "4",
            Self::Serious => "8",
        }
    }
}

impl OperationKind {
    /// Type, action, and the kind of the access event.
    pub(super) fn codes(self) -> (Known, &'static str, &'static str) {
        match self {
            Self::Unauthenticated => (USER_AUTHENTICATION, "E", "unauthenticated"),
            Self::PolicyChange => (SECURITY_ALERT, "U", "policy-change"),
            Self::AuditRead => (AUDIT_LOG_USED, "R", "audit-read"),
            Self::Erasure => (DESTROY, "D", "erasure"),
            Self::Review => (ATTEST, "E", "review"),
            Self::EpochClosed => (ARCHIVE, "E", "epoch-closed"),
        }
    }
}

impl Caller {
    /// Whether somebody stands behind the client: with client credentials the subject is the client itself.
    pub(super) fn is_user(&self) -> bool {
        self.client.as_deref() != Some(self.subject.as_str())
    }
}
