use super::*;

const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";

fn clinician() -> Value {
    json!({"fhirVersion": "R4", "purpose": ["TREAT"], "actors": [{"reference": "Practitioner/dr"}]})
}

fn treatment() -> Value {
    consent("c", &json!({"type": "permit", "purpose": purposes(&["TREAT"])}))
}

#[test]
fn the_answer_is_of_the_published_shape() {
    let case = Case::of(&clinician()).with("consent", &treatment()).with("resource", &observation("x", "p"));
    let expected = json!({"verdict": "permit", "results": [{
        "resource": "Observation/x", "decision": "permit", "redactions": [], "labels": ["N"],
        "reasons": [{"consent": "Consent/c", "provision": "provision", "rule": "consent-permit"}]
    }]});
    assert_eq!(case.decided(), expected);
}

#[test]
fn bundles_count_entry_by_entry_in_every_option() {
    let bundle = |resources: Vec<Value>| {
        let entries: Vec<Value> = resources.into_iter().map(|one| json!({"resource": one})).collect();
        json!({"resourceType": "Bundle", "type": "collection", "entry": entries})
    };
    let member = json!({"resourceType": "Group", "id": "g", "type": "practitioner", "actual": true,
        "member": [{"entity": {"reference": "Practitioner/dr"}}]});
    let to_group = json!({"type": "permit", "actor": [{"reference": {"reference": "Group/g"}}]});
    let mut other = consent("d", &to_group);
    other["patient"]["reference"] = json!("Patient/q");
    let case = Case::of(&clinician())
        .with("consent", &bundle(vec![treatment(), other]))
        .with("resource", &bundle(vec![observation("x", "p"), observation("y", "q"), observation("z", "nobody")]))
        .with("facts", &bundle(vec![member]));
    assert_eq!(case.words(), ["permit", "permit", "permit", "deny"]);
}

#[test]
fn labels_of_the_shipped_sets_count() {
    let mut condition = observation("x", "p");
    condition["code"] = json!({"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "B20"}]});
    let provision = json!({"type": "permit", "provision": [
        {"type": "deny", "securityLabel": [{"system": ACT_CODE, "code": "HIV"}]}]});
    let case = || Case::of(&clinician()).with("consent", &consent("c", &provision)).with("resource", &condition);
    let answer = case().decided();
    assert_eq!(answer["results"][0]["labels"], json!(["R", "HIV"]));
    assert_eq!(answer["results"][0]["decision"], "deny");
    assert_eq!(answer["results"][0]["reasons"][0]["provision"], "provision.provision[0]");
    assert_eq!(answer["verdict"], "permit");
    assert_eq!(case().text("policy", "[consent]\nunlabelled = \"normal\"\n").words(), ["permit", "permit"]);
    let none = r#"{"label_sets": {"version": "own", "sets": []}}"#;
    assert_eq!(case().text("policy", none).words(), ["permit", "permit"]);
}

#[test]
fn the_verdict_asks_what_the_patients_consents_could_permit() {
    let with_patient = |interaction: &str| {
        let mut context = clinician();
        context["patient"] = json!("p");
        context["interaction"] = json!(interaction);
        context
    };
    let verdict = |context: &Value, consents: &[Value]| {
        let case = consents.iter().fold(Case::of(context), |case, consent| case.with("consent", consent));
        case.words().join(" ")
    };
    let label = |code| json!([{"system": CONFIDENTIALITY, "code": code}]);
    let rows = [
        (json!({"type": "permit", "purpose": purposes(&["TREAT"])}), "permit"),
        (json!({"type": "permit", "purpose": purposes(&["HRESCH"])}), "deny"),
        (json!({"type": "permit", "actor": [{"reference": {"reference": "Practitioner/other"}}]}), "deny"),
        (json!({"type": "permit", "period": {"end": "2020"}}), "deny"),
        (
            json!({"type": "permit", "dataPeriod": {"start": "2020", "end": "2021"}, "code": [{"coding": [{"system": "s", "code": "c"}]}]}),
            "permit",
        ),
        (
            json!({"type": "permit", "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Flag"}]}),
            "permit",
        ),
        (
            json!({"type": "permit", "data": [{"meaning": "authoredby", "reference": {"reference": "Practitioner/a"}}]}),
            "permit",
        ),
        (
            json!({"type": "permit", "provision": [{"type": "deny", "actor": [{"reference": {"reference": "Practitioner/dr"}}]}]}),
            "deny",
        ),
        (json!({"type": "permit", "provision": [{"type": "deny", "securityLabel": label("R")}]}), "permit"),
        (json!({"type": "permit", "provision": [{"type": "deny", "securityLabel": label("U")}]}), "deny"),
        (json!({"type": "deny", "provision": [{"type": "permit", "securityLabel": label("N")}]}), "permit"),
        (json!({"type": "permit", "securityLabel": [{"system": ACT_CODE, "code": "HIV"}]}), "permit"),
    ];
    for (provision, expected) in rows {
        assert_eq!(verdict(&with_patient("read"), &[consent("c", &provision)]), expected, "{provision}");
    }
    assert_eq!(verdict(&with_patient("read"), &[]), "deny");
    assert_eq!(verdict(&clinician(), &[]), "permit");
    let looks = json!({"type": "permit", "action": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentaction", "code": "access"}]}]});
    assert_eq!(verdict(&with_patient("search"), &[consent("c", &looks)]), "permit");
    assert_eq!(verdict(&with_patient("create"), &[consent("c", &looks)]), "deny");
    let all = consent("c", &json!({"type": "permit"}));
    let mut broken = consent("b", &json!({"type": "permit"}));
    broken["colour"] = json!(1);
    assert_eq!(verdict(&with_patient("read"), &[all.clone(), consent("d", &json!({"type": "deny"}))]), "deny");
    assert_eq!(verdict(&with_patient("read"), &[all, broken]), "deny");
}

#[test]
fn the_verdict_asks_scopes_and_the_launch_patient() {
    let verdict = |scopes: Value, patient: Value| {
        let mut context = clinician();
        context["scopes"] = scopes;
        context["patient"] = patient;
        Case::of(&context).with("consent", &treatment()).with("resource", &observation("x", "p")).words()
    };
    assert_eq!(verdict(json!("user/Observation.r"), Value::Null), ["permit", "permit"]);
    assert_eq!(verdict(json!("user/Observation.s"), Value::Null), ["deny", "deny"]);
    assert_eq!(verdict(json!(""), Value::Null), ["deny", "deny"]);
    assert_eq!(verdict(json!("patient/*.r"), Value::Null), ["deny", "deny"]);
    assert_eq!(verdict(json!("patient/*.r"), json!("p")), ["permit", "permit"]);
    assert_eq!(verdict(json!("patient/*.r"), json!("q")), ["deny", "deny"]);
}

#[test]
fn the_organisation_is_asked_where_its_policies_are_given() {
    let dir = tempfile::tempdir().unwrap();
    let forbid = r#"@id("no-observations") forbid (principal, action, resource == ResourceType::"Observation");"#;
    std::fs::write(dir.path().join("own.cedar"), forbid).unwrap();
    let mut context = clinician();
    context["client"] = json!("app");
    let flag = json!({"resourceType": "Flag", "id": "f", "status": "active", "subject": {"reference": "Patient/p"}, "code": {"text": "x"}});
    let case = |context: &Value| {
        Case::of(context)
            .with("consent", &treatment())
            .with("resource", &observation("x", "p"))
            .plain("cedar", dir.path())
    };
    let answer = case(&context).decided();
    assert_eq!(answer["verdict"], "deny");
    assert_eq!(
        answer["results"][0]["reasons"],
        json!([{"consent": null, "provision": null, "rule": "organisation-policy"}])
    );
    assert_eq!(case(&context).with("resource", &flag).words(), ["permit", "deny", "permit"]);
    // The shipped set asks for a client.
    assert_eq!(case(&clinician()).with("resource", &flag).words(), ["deny", "deny", "deny"]);
    Case::of(&context).plain("cedar", dir.path().join("absent")).refused("--cedar");
}

#[test]
fn own_records_break_glass_and_roles() {
    let own = json!({"actors": [{"reference": "Patient/p"}]});
    let denied = consent("c", &json!({"type": "permit", "actor": [{"reference": {"reference": "Practitioner/x"}}]}));
    assert_eq!(Case::of(&own).with("resource", &observation("x", "p")).words(), ["permit", "permit"]);
    assert_eq!(
        Case::of(&own).with("consent", &denied).with("resource", &observation("x", "p")).words(),
        ["permit", "permit"]
    );
    assert_eq!(Case::of(&own).with("resource", &observation("x", "q")).words(), ["permit", "deny"]);
    let emergency = consent("c", &json!({"type": "permit", "purpose": purposes(&["BTG"])}));
    let glass = |granted: bool| {
        let mut context = clinician();
        context["breakGlass"] = json!(granted);
        Case::of(&context).with("consent", &emergency).with("resource", &observation("x", "p")).words()
    };
    assert_eq!(glass(true), ["permit", "permit"]);
    assert_eq!(glass(false), ["permit", "deny"]);
    let recorder = json!({"actors": [{"reference": "Practitioner/dr", "role": "consent-recorder"}]});
    assert_eq!(Case::of(&recorder).with("resource", &emergency).words(), ["permit", "permit"]);
    assert_eq!(Case::of(&clinician()).with("resource", &emergency).words(), ["permit", "deny"]);
    // In another part than the recipient's it is unknown who asks.
    let author = json!({"purpose": ["TREAT"], "actors": [{"reference": "Practitioner/dr", "role": "AUT"}]});
    let to_dr = |effect: &str| {
        consent("c", &json!({"type": effect, "actor": [{"reference": {"reference": "Practitioner/dr"}}]}))
    };
    assert_eq!(
        Case::of(&author).with("consent", &to_dr("permit")).with("resource", &observation("x", "p")).words(),
        ["permit", "deny"]
    );
    let but_dr = consent(
        "c",
        &json!({"type": "permit", "provision": [{"type": "deny", "actor": [{"reference": {"reference": "Practitioner/dr"}}]}]}),
    );
    assert_eq!(
        Case::of(&author).with("consent", &but_dr).with("resource", &observation("x", "p")).words(),
        ["permit", "deny"]
    );
}

#[test]
fn owners_by_reference_are_found_among_the_files() {
    let binary = json!({"resourceType": "Binary", "id": "b", "contentType": "text/plain"});
    let document = json!({"resourceType": "DocumentReference", "id": "d", "status": "current", "subject": {"reference": "Patient/p"},
        "content": [{"attachment": {"url": "Binary/b"}}]});
    let provenance = json!({"resourceType": "Provenance", "id": "v", "recorded": "2026-01-01T00:00:00Z", "agent": [{"who": {"reference": "Practitioner/a"}}],
        "target": [{"reference": "Observation/x"}, {"reference": "Observation/y"}, {"reference": "Practitioner/a"}]});
    let group = json!({"resourceType": "Group", "id": "g", "type": "person", "actual": true,
        "member": [{"entity": {"reference": "Patient/q"}}, {"entity": {"reference": "Patient/p"}}]});
    let hidden = json!({"resourceType": "Group", "id": "h", "type": "person", "actual": true, "member": [{"entity": {"reference": "Patient/q"}}]});
    let appointment = json!({"resourceType": "Appointment", "id": "a", "status": "booked", "participant": [
        {"actor": {"reference": "Patient/p"}, "status": "accepted"}, {"actor": {"reference": "RelatedPerson/absent"}, "status": "accepted"}]});
    let case = [
        &binary,
        &document,
        &provenance,
        &group,
        &hidden,
        &appointment,
        &observation("x", "p"),
        &observation("y", "q"),
    ]
    .into_iter()
    .fold(Case::of(&clinician()).with("consent", &treatment()), |case, resource| case.with("resource", resource));
    assert_eq!(case.words(), ["permit", "permit", "permit", "permit", "permit", "deny", "permit", "permit", "deny"]);
    let rows = case.decided()["results"].clone();
    assert_eq!(rows[2]["redactions"], json!(["Provenance.target[1]"]));
    assert_eq!(rows[3]["redactions"], json!(["Group.member[0]"]));
    // Nothing points to it, or it is not there.
    assert_eq!(
        Case::of(&clinician()).with("consent", &treatment()).with("resource", &binary).words(),
        ["permit", "deny"]
    );
    assert_eq!(
        Case::of(&clinician()).with("consent", &treatment()).with("resource", &provenance).words(),
        ["permit", "deny"]
    );
}

#[test]
fn redactions_are_the_elements_that_are_there() {
    let policy = "[[redaction]]\npath = \"Observation.note\"\n[[redaction]]\npath = \"Observation.component\"\n";
    let mut resource = observation("x", "p");
    resource["note"] = json!([{"text": "x"}]);
    let case = Case::of(&clinician()).with("consent", &treatment()).with("resource", &resource).text("policy", policy);
    assert_eq!(case.decided()["results"][0]["redactions"], json!(["Observation.note"]));
}

#[test]
fn settings_may_stand_in_their_table_or_alone_in_toml_or_json() {
    let normal = ["permit", "permit"];
    for policy in [
        "[consent]\nno_consent = \"basic-normal\"",
        "no_consent = \"basic-normal\"",
        r#"{"no_consent": "basic-normal"}"#,
        r#"{"consent": {"no_consent": "basic-normal"}}"#,
    ] {
        assert_eq!(
            Case::of(&clinician()).with("resource", &observation("x", "p")).text("policy", policy).words(),
            normal,
            "{policy}"
        );
    }
    let by = r#"{"no_consent_by": [{"no_consent": "deny", "purposes": ["HRESCH"]}, {"no_consent": "all-normal", "resource_types": ["Observation"]}]}"#;
    let asked = |purpose: &[&str]| {
        let context = json!({"purpose": purpose});
        Case::of(&context).with("resource", &observation("x", "p")).text("policy", by).words().pop().unwrap()
    };
    assert_eq!((asked(&["TREAT"]), asked(&["HRESCH"]), asked(&[])), ("permit".into(), "deny".into(), "deny".into()));
    for policy in [
        "colour = 1",
        "[consent]\ncolour = 1",
        "[consent]\n[colour]",
        "no_consent = \"yes\"",
        "[",
        r#"{"consent": {}, "no_consent": "deny"}"#,
        r#"{"no_consent_by": [{"no_consent": "deny", "resource_types": ["Nope"]}]}"#,
    ] {
        Case::of(&clinician()).text("policy", policy).refused("--policy");
    }
}

#[test]
fn what_cannot_be_read_ends_with_64_and_a_sentence() {
    let base = || Case::of(&clinician());
    Case::of(&json!({"colour": 1})).refused("unknown field `colour`");
    Case::of(&json!([])).refused("not an object");
    Case { dir: tempfile::tempdir().unwrap(), line: Vec::new() }
        .text("context", r#"{"patient": "a", "patient": "b"}"#)
        .refused("is not a context");
    base().text("resource", "{").refused("is not JSON");
    base().text("resource", r#"{"resourceType": "Patient", "id": "a", "id": "b"}"#).refused("is not JSON");
    base().text("resource", "{}").refused("no resource of FHIR R4");
    base().text("resource", r#"{"resourceType": "Nope"}"#).refused("no resource of FHIR R4");
    base().text("resource", r#"{"resourceType": "DeviceUsage", "id": "x"}"#).refused("no resource of FHIR R4");
    base().text("consent", r#"{"resourceType": "Patient", "id": "x"}"#).refused("no Consent");
    base().plain("consent", "/absent/file").refused("cannot be read");
    base().plain("now", "yesterday").refused("--now");
    Case { dir: tempfile::tempdir().unwrap(), line: Vec::new() }.refused("--context");
}

#[test]
fn what_is_there_but_not_readable_is_hidden() {
    let mut resource = observation("x", "p");
    resource["meta"] = json!({"security": [{"system": "x"}]});
    let answer = Case::of(&clinician()).with("consent", &treatment()).with("resource", &resource).decided();
    assert_eq!(answer["results"][0]["decision"], "deny");
    assert_eq!(answer["results"][0]["resource"], "Observation/x");
}

#[test]
fn the_time_of_the_question_is_given() {
    let ends = consent("c", &json!({"type": "permit", "period": {"end": "2026-05-01"}}));
    let at = |now: &str| {
        Case::of(&clinician()).with("consent", &ends).with("resource", &observation("x", "p")).plain("now", now).words()
    };
    assert_eq!(at("2026-05-01T23:00:00Z"), ["permit", "permit"]);
    assert_eq!(at("2026-05-02T00:00:00Z"), ["permit", "deny"]);
}

#[test]
fn consents_of_linked_patients_count_for_each_other_where_the_setting_says_so() {
    let patient = |id: &str, other: &str| json!({"resourceType": "Patient", "id": id, "link": [{"other": {"reference": format!("Patient/{other}")}, "type": "seealso"}]});
    let case = |policy: &str| {
        let case = Case::of(&clinician()).with("consent", &treatment()).with("resource", &observation("x", "q"));
        case.with("facts", &patient("r", "p"))
            .with("facts", &patient("r2", "x"))
            .with("facts", &patient("r", "q"))
            .text("policy", policy)
            .words()
    };
    assert_eq!(case(""), ["permit", "deny"]);
    assert_eq!(case("patient_links = \"follow\""), ["permit", "permit"]);
}

#[test]
fn a_consent_without_category_or_role_is_understood() {
    let mut bare = consent(
        "c",
        &json!({"type": "deny", "provision": [
        {"type": "permit", "actor": [{"reference": {"reference": "Practitioner/dr"}}]}]}),
    );
    bare.as_object_mut().unwrap().remove("category");
    assert_eq!(
        Case::of(&clinician()).with("consent", &bare).with("resource", &observation("x", "p")).words(),
        ["permit", "permit"]
    );
}
