//! Which parameters, includes and reverse includes are tried, by type.

/// What a parameter's values are.
#[derive(Clone, Copy)]
pub(super) enum Values {
    /// A code of the type, or the one that only hidden resources have.
    Code,
    /// A date with a prefix.
    Date,
    /// A number with a prefix.
    Number,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A resource of one of these types, visible or hidden.
    To(&'static [&'static str]),
}

/// Parameters by type, besides the patient's.
pub(super) fn parameters(rtype: &str) -> &'static [(&'static str, Values)] {
    use Values::{Code, Date, Number, To, Words};
    match rtype {
        "Patient" => &[
            ("gender", Words(&["female", "male"])),
            ("family", Words(&["Ash", "Beech", "Li"])),
            ("birthdate", Date),
            ("organization", To(&["Organization"])),
            ("general-practitioner", To(&["Practitioner"])),
        ],
        "Encounter" => &[
            ("status", Words(&["finished", "in-progress", "planned"])),
            ("class", Words(&["AMB", "IMP"])),
            ("date", Date),
            ("participant", To(&["Practitioner"])),
            ("location", To(&["Location"])),
            ("diagnosis", To(&["Condition"])),
        ],
        "Condition" => &[
            ("code", Code),
            ("clinical-status", Words(&["active", "resolved"])),
            ("category", Words(&["problem-list-item"])),
            ("recorded-date", Date),
            ("encounter", To(&["Encounter"])),
            ("asserter", To(&["Practitioner"])),
        ],
        "Observation" => &[
            ("code", Code),
            ("category", Words(&["vital-signs", "laboratory"])),
            ("status", Words(&["final", "amended", "corrected"])),
            ("date", Date),
            ("value-quantity", Number),
            ("encounter", To(&["Encounter"])),
            ("performer", To(&["Practitioner"])),
            ("has-member", To(&["Observation"])),
        ],
        "MedicationRequest" => &[
            ("status", Words(&["active", "completed", "stopped"])),
            ("intent", Words(&["order", "plan"])),
            ("authoredon", Date),
            ("encounter", To(&["Encounter"])),
            ("requester", To(&["Practitioner"])),
            ("medication", To(&["Medication"])),
            ("code", Code),
        ],
        "Procedure" => &[
            ("code", Code),
            ("status", Words(&["completed"])),
            ("date", Date),
            ("encounter", To(&["Encounter"])),
            ("reason-reference", To(&["Condition"])),
        ],
        "AllergyIntolerance" => &[
            ("code", Code),
            ("clinical-status", Words(&["active"])),
            ("criticality", Words(&["low", "high"])),
            ("date", Date),
            ("recorder", To(&["Practitioner"])),
        ],
        "Immunization" => &[
            ("vaccine-code", Code),
            ("status", Words(&["completed", "not-done"])),
            ("date", Date),
            ("performer", To(&["Practitioner"])),
        ],
        "DiagnosticReport" => &[
            ("code", Code),
            ("category", Words(&["LAB"])),
            ("date", Date),
            ("encounter", To(&["Encounter"])),
            ("result", To(&["Observation"])),
        ],
        "ServiceRequest" => &[
            ("code", Code),
            ("status", Words(&["active"])),
            ("authored", Date),
            ("encounter", To(&["Encounter"])),
            ("requester", To(&["Practitioner"])),
        ],
        "DocumentReference" => &[
            ("type", Code),
            ("status", Words(&["current"])),
            ("date", Date),
            ("encounter", To(&["Encounter"])),
            ("location", To(&["Binary"])),
        ],
        "Appointment" => &[("status", Words(&["booked"])), ("date", Date), ("practitioner", To(&["Practitioner"]))],
        _ => &[],
    }
}

/// Includes by type.
pub(super) fn includes(rtype: &str) -> &'static [&'static str] {
    match rtype {
        "Patient" => &["Patient:organization", "Patient:general-practitioner"],
        "Encounter" => &[
            "Encounter:subject",
            "Encounter:participant",
            "Encounter:diagnosis",
            "Encounter:location",
            "Encounter:service-provider",
            "Encounter:*",
        ],
        "Condition" => &["Condition:encounter", "Condition:patient", "Condition:asserter"],
        "Observation" => &[
            "Observation:encounter",
            "Observation:patient",
            "Observation:has-member",
            "Observation:performer",
            "Observation:*",
        ],
        "MedicationRequest" => &[
            "MedicationRequest:medication",
            "MedicationRequest:requester",
            "MedicationRequest:encounter",
            "MedicationRequest:patient",
        ],
        "Procedure" => &["Procedure:encounter", "Procedure:reason-reference", "Procedure:subject"],
        "AllergyIntolerance" => &["AllergyIntolerance:recorder", "AllergyIntolerance:patient"],
        "Immunization" => &["Immunization:performer", "Immunization:patient"],
        "DiagnosticReport" => {
            &["DiagnosticReport:result", "DiagnosticReport:encounter", "DiagnosticReport:patient", "*"]
        }
        "ServiceRequest" => &["ServiceRequest:encounter", "ServiceRequest:requester", "ServiceRequest:subject"],
        "DocumentReference" => {
            &["DocumentReference:encounter", "DocumentReference:author", "DocumentReference:patient"]
        }
        "Provenance" => &["Provenance:target", "Provenance:agent"],
        "Appointment" => &["Appointment:patient", "Appointment:actor"],
        _ => &[],
    }
}

/// Reverse includes by type.
pub(super) fn revincludes(rtype: &str) -> &'static [&'static str] {
    match rtype {
        "Patient" => &[
            "Observation:patient",
            "Condition:patient",
            "Encounter:patient",
            "Provenance:target",
            "Appointment:patient",
            "DocumentReference:patient",
        ],
        "Encounter" => &[
            "Observation:encounter",
            "Condition:encounter",
            "Procedure:encounter",
            "Provenance:target",
            "DocumentReference:encounter",
        ],
        "Condition" => &["Procedure:reason-reference", "Encounter:diagnosis", "Provenance:target"],
        "Observation" => &["Observation:has-member", "DiagnosticReport:result", "Provenance:target"],
        "Practitioner" => &["Observation:performer", "Encounter:participant", "Provenance:agent"],
        "Medication" => &["MedicationRequest:medication"],
        "Organization" => &["Patient:organization", "Encounter:service-provider"],
        "Location" => &["Encounter:location"],
        _ => &["Provenance:target"],
    }
}
