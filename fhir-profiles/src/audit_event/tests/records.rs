//! One record for each kind of statement.

use super::super::*;

fn gateway() -> Gateway {
    Gateway { base: "https://fhir.clinic-north.example".to_owned(), site: "clinic-north".to_owned() }
}

fn caller() -> Caller {
    Caller {
        issuer: "https://login.clinic-north.example".to_owned(),
        subject: "dr-ada-voss".to_owned(),
        client: Some("ward-app".to_owned()),
        organization: Some(organization()),
        roles: vec![
            Code { system: None, code: "physician".to_owned() },
            Code { system: Some("http://snomed.info/sct".to_owned()), code: "309343006".to_owned() },
        ],
        token_id: Some("5c1e6c1b".to_owned()),
    }
}

fn organization() -> Party {
    Party::Reference("Organization/clinic-north".to_owned())
}

fn logical(resource_type: &str, id: &str, version: &str) -> ResourceRef {
    let url = format!("https://fhir.clinic-north.example/{resource_type}/{id}/_history/{version}");
    ResourceRef { resource_type: resource_type.to_owned(), pointer: Some(Pointer::Logical(url)) }
}

fn patient() -> ResourceRef {
    ResourceRef { resource_type: "Patient".to_owned(), pointer: Some(Pointer::Literal("Patient/lena".to_owned())) }
}

fn query(base64: &str) -> Query {
    Query { base64: base64.to_owned(), description: "The request, sealed.".to_owned() }
}

pub(super) fn search(base64: &str) -> Access {
    Access::Search { scope: SearchScope::Type, query: query(base64) }
}

fn object(verb: Verb, what: ResourceRef) -> Access {
    let system = Some("http://terminology.hl7.org/CodeSystem/v3-Confidentiality".to_owned());
    Access::Object { verb, what, labels: vec![Code { system, code: "N".to_owned() }] }
}

fn decision(permitted: bool) -> Statement {
    let used = |id: &str, provision: &str| ConsentUse {
        consent: logical("Consent", id, "2"),
        provision: provision.to_owned(),
    };
    Statement::ConsentDecision(ConsentDecision {
        patient: patient(),
        first: used("lena", "provision.provision[0]"),
        others: vec![used("lena-research", "")],
        organization: match permitted {
            true => organization(),
            false => Party::Identifier { system: Some("urn:oid:2.16.1".to_owned()), value: "north".to_owned() },
        },
        permitted,
    })
}

fn failure(severity: Severity, patient: Option<ResourceRef>, interaction: &str) -> Statement {
    Statement::Failure {
        interaction: interaction.to_owned(),
        severity,
        description: "The request was refused with status 403.".to_owned(),
        query: patient.is_none().then(|| query("3q2+7w==")),
        patient,
    }
}

fn record(id: usize, rules: &[&str], statement: Statement) -> AuditRecord {
    let event = format!("01934f2e-7c1c-7c11-8a3b-{id:012x}");
    AuditRecord {
        id: if matches!(statement, Statement::ConsentDecision(_)) { format!("{event}-consent") } else { event.clone() },
        recorded: "2026-11-22T16:20:00.123Z".to_owned(),
        event: AccessEventLink {
            id: event,
            commitment: "1f".repeat(32),
            log_origin: "log.clinic-north.example/sealgate".to_owned(),
        },
        gateway: gateway(),
        caller: Some(caller()),
        purposes: vec![Code {
            system: Some("http://terminology.hl7.org/CodeSystem/v3-ActReason".to_owned()),
            code: "TREAT".to_owned(),
        }],
        request: Some("01934f2e-7c1c-7c11-8a3b-00000000ffff".to_owned()),
        rules: rules.iter().map(|rule| (*rule).to_owned()).collect(),
        statement,
    }
}

fn operation(id: usize, kind: OperationKind, by: Option<&str>, details: &[(&str, &str)]) -> AuditRecord {
    let details = details.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let statement = Statement::Operation {
        kind,
        succeeded: kind != OperationKind::Unauthenticated,
        by: by.map(str::to_owned),
        details,
    };
    AuditRecord { caller: None, purposes: Vec::new(), request: None, ..record(id, &[], statement) }
}

pub(super) fn records() -> Vec<(&'static str, AuditRecord)> {
    let access = |access, patient| Statement::Access { access, patient };
    let of_type = |resource_type: &str| ResourceRef { resource_type: resource_type.to_owned(), pointer: None };
    let practitioner = || logical("Practitioner", "ada-voss", "4");
    let observation = || logical("Observation", "weight", "3");
    let system = Access::Search { scope: SearchScope::System, query: query("3q2+7w==") };
    vec![
        ("create", record(1, &[], access(object(Verb::Create, of_type("Observation")), None))),
        ("read", record(2, &["universal"], access(object(Verb::Read, practitioner()), None))),
        ("update", record(3, &[], access(object(Verb::Update, practitioner()), None))),
        ("delete", record(4, &[], access(object(Verb::Delete, practitioner()), None))),
        ("query", record(5, &[], access(search("3q2+7w=="), None))),
        ("query-system", record(6, &[], access(system, None))),
        ("patient-create", record(7, &[], access(object(Verb::Create, observation()), Some(patient())))),
        ("patient-read", record(8, &["consent-permit"], access(object(Verb::Read, observation()), Some(patient())))),
        ("patient-vread", record(9, &["own-record"], access(object(Verb::Vread, observation()), Some(patient())))),
        ("patient-update", record(10, &[], access(object(Verb::Update, observation()), Some(patient())))),
        ("patient-patch", record(11, &[], access(object(Verb::Patch, observation()), Some(patient())))),
        ("patient-delete", record(12, &[], access(object(Verb::Delete, observation()), Some(patient())))),
        ("patient-query", record(13, &["consent-permit"], access(search("3q2+7w=="), Some(patient())))),
        ("consent-permit", record(14, &["consent-permit"], decision(true))),
        ("consent-deny", record(15, &["consent-deny"], decision(false))),
        ("refused", record(16, &["scope-missing"], failure(Severity::Minor, None, "search-type"))),
        ("not-understood", record(17, &["interaction-unknown"], failure(Severity::Minor, None, "unknown"))),
        ("failed", record(18, &["upstream-timeout"], failure(Severity::Serious, None, "read"))),
        ("hidden", record(19, &["implicit-deny"], failure(Severity::Serious, Some(patient()), "search-type"))),
        ("audit-read", operation(20, OperationKind::AuditRead, Some("admin"), &[("what", "openings")])),
        ("unauthenticated", operation(21, OperationKind::Unauthenticated, None, &[("token-expired", "12")])),
        ("policy-change", operation(22, OperationKind::PolicyChange, None, &[("policy", "ab")])),
        ("erasure", operation(23, OperationKind::Erasure, Some("privacy office"), &[("events", "7")])),
        ("review", operation(24, OperationKind::Review, Some("c. berg"), &[("finding", "none")])),
        ("epoch-closed", operation(25, OperationKind::EpochClosed, None, &[])),
    ]
}
