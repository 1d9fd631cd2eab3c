//! Each kind of event becomes what the table of `map` says.

use evidence::event::*;
use evidence::ids::Commitment;
use fhir_profiles::audit_event::{Gateway, audit_event_r4};
use serde_json::{Value, json};

use super::events::*;
use crate::audit_event::{Context, Pointing, Unmapped, records};

fn context(pointing: Pointing) -> Context {
    Context {
        gateway: Gateway { base: "https://fhir.example/r4".to_owned(), site: "hospital".to_owned() },
        log_origin: "log.example/h".to_owned(),
        pointing,
    }
}

fn mapped(event: &AccessEvent, request: Option<&Request>) -> Vec<Value> {
    mapped_by(event, request, Pointing::SameServer)
}

fn mapped_by(event: &AccessEvent, request: Option<&Request>, pointing: Pointing) -> Vec<Value> {
    let records = records(event, &Commitment::new([9; 32]), request, &context(pointing)).unwrap();
    records.iter().map(|record| serde_json::from_str(&audit_event_r4(record).unwrap()).unwrap()).collect()
}

/// Own profile, outcome, subtype.
fn gist(event: &Value) -> (&str, &str, &str) {
    let profile = event["meta"]["profile"].as_array().unwrap().last().unwrap().as_str().unwrap();
    let profile = profile.strip_prefix("https://sealgate.dev/fhir/StructureDefinition/sealgate-audit-").unwrap();
    (profile, event["outcome"].as_str().unwrap(), event["subtype"][0]["code"].as_str().unwrap_or(""))
}

fn entity<'a>(event: &'a Value, code: &str) -> &'a Value {
    event["entity"].as_array().unwrap().iter().find(|entity| entity["type"]["code"] == code).unwrap()
}

#[test]
fn a_request_that_was_served_is_the_plain_profile_of_its_interaction() {
    for (interaction, profile) in [
        ("create", "create"),
        ("read", "read"),
        ("vread", "read"),
        ("update", "update"),
        ("patch", "update"),
        ("delete", "delete"),
        ("search-type", "query"),
        ("search-system", "query"),
    ] {
        let whole = asked(interaction, Phase::Whole);
        let found = mapped(&request(whole.clone()), Some(&whole));
        assert_eq!(found.iter().map(gist).collect::<Vec<_>>(), [(profile, "0", interaction)]);
        assert!(!found[0].to_string().contains("Patient"), "a request event names no patient");
    }
}

#[test]
fn a_read_of_a_universal_resource_names_it() {
    let mut read = asked("read", Phase::Whole);
    let reference = Reference::new("Practitioner", "p").unwrap();
    read.universal = vec![UniversalUse { reference, version: Some("4".to_owned()) }];
    let found = mapped(&request(read.clone()), Some(&read));
    let what = &entity(&found[0], "2")["what"];
    assert_eq!(what["type"], "Practitioner");
    assert_eq!(what["identifier"]["value"], "https://fhir.example/r4/Practitioner/p/_history/4");
}

#[test]
fn what_is_told_by_its_outcome_is_not_told_before() {
    for phase in [Phase::Opened, Phase::Intent] {
        let begun = asked("update", phase);
        let event = request(begun.clone());
        assert!(mapped(&event, Some(&begun)).is_empty());
        for (end, status, gisted) in [
            (End::Complete, Some(200), ("update", "0", "update")),
            (End::Complete, Some(409), ("failure", "4", "update")),
            (End::ClientGone, Some(200), ("failure", "4", "update")),
            (End::UpstreamFailed, Some(502), ("failure", "8", "update")),
            (End::FilterFailed, Some(200), ("failure", "8", "update")),
            (End::Unknown, None, ("failure", "8", "update")),
        ] {
            let outcome = super::events::event(EventBody::Outcome(ended(event.id, end, status)));
            let found = mapped(&outcome, Some(&begun));
            assert_eq!(found.iter().map(gist).collect::<Vec<_>>(), [gisted], "{end:?}");
            assert_eq!(entity(&found[0], "XrequestId")["what"]["identifier"]["value"], event.id.to_string());
        }
    }
}

#[test]
fn a_refusal_is_a_failure_with_its_rule_and_the_sealed_request() {
    for (status, outcome) in [(403, "4"), (404, "4"), (503, "8")] {
        let mut refused = asked("search-type", Phase::Whole);
        refused.decision = Decision::Refuse;
        refused.status = Some(status);
        refused.reasons = vec![Reason { rule: "scope-missing".to_owned(), detail: None }];
        refused.query_sealed = Some("c2VhbGVk".to_owned());
        let found = mapped(&request(refused.clone()), Some(&refused));
        assert_eq!(found.iter().map(gist).collect::<Vec<_>>(), [("failure", outcome, "search-type")]);
        assert_eq!(found[0]["extension"][1]["valueCoding"]["code"], "scope-missing");
        assert_eq!(entity(&found[0], "2")["query"], "c2VhbGVk");
    }
    let mut unknown = asked("unknown", Phase::Whole);
    unknown.decision = Decision::Refuse;
    unknown.status = Some(404);
    assert_eq!(gist(&mapped(&request(unknown.clone()), Some(&unknown))[0]), ("failure", "4", ""));
}

#[test]
fn a_disclosure_by_search_is_one_patient_query_and_no_result() {
    let mut search = asked("search-type", Phase::Whole);
    search.query_sealed = Some("c2VhbGVk".to_owned());
    let asking = request(search.clone());
    let disclosure = disclosed(asking.id, "lena", vec![used("o1"), used("o2")]);
    let event = event(EventBody::Disclosure(disclosure));
    let found = mapped(&event, Some(&search));
    assert_eq!(found.iter().map(gist).collect::<Vec<_>>(), [("patient-query", "0", "search-type")]);
    assert_eq!(found[0]["id"], event.id.to_string());
    assert_eq!(entity(&found[0], "1")["what"]["reference"], "Patient/lena");
    assert_eq!(entity(&found[0], "2")["query"], "c2VhbGVk");
    assert!(!found[0].to_string().contains("Observation/"), "results are not recorded");
    let rules: Vec<_> =
        found[0]["extension"].as_array().unwrap().iter().skip(1).map(|e| &e["valueCoding"]["code"]).collect();
    assert_eq!(rules, ["consent-permit", "own-record"]);
    let link = &found[0]["extension"][0]["extension"];
    assert_eq!(link[0]["valueUri"], format!("urn:uuid:{}", event.id));
    assert_eq!(link[1]["valueString"], "09".repeat(32));
    assert_eq!(link[2]["valueString"], "log.example/h");
}

#[test]
fn a_disclosure_by_read_or_write_is_one_for_each_resource() {
    let update = asked("update", Phase::Intent);
    let asking = request(update.clone());
    let mut second = used("o2");
    second.redactions = vec![Redaction { path: "Observation.note".to_owned(), rule: "redaction-rule".to_owned() }];
    let event = event(EventBody::Disclosure(disclosed(asking.id, "lena", vec![used("o1"), second])));
    let found = mapped(&event, Some(&update));
    assert_eq!(found.iter().map(gist).collect::<Vec<_>>(), [("patient-update", "0", "update"); 2]);
    assert_eq!(found[0]["id"], event.id.to_string());
    assert_eq!(found[1]["id"], format!("{}-1", event.id));
    let data = entity(&found[0], "2");
    assert_eq!(data["what"]["identifier"]["value"], "https://fhir.example/r4/Observation/o1/_history/3");
    assert_eq!(data["securityLabel"][0]["code"], "R");
    assert!(found[1].to_string().contains("redaction-rule") && !found[0].to_string().contains("redaction-rule"));
}

#[test]
fn a_write_whose_end_is_not_known_is_no_access() {
    let update = asked("update", Phase::Intent);
    let asking = request(update.clone());
    let rule = Some("write-unknown".to_owned());
    for resources in [vec![used("o1")], Vec::new()] {
        let disclosure = Disclosure { rule: rule.clone(), ..disclosed(asking.id, "lena", resources) };
        let found = mapped(&event(EventBody::Disclosure(disclosure)), Some(&update));
        assert_eq!(found.iter().map(gist).collect::<Vec<_>>(), [("failure", "8", "update")]);
        assert!(found[0].to_string().contains("Patient/lena"));
    }
}

#[test]
fn consents_are_told_where_user_and_organisation_are_known() {
    let read = asked("read", Phase::Whole);
    let asking = request(read.clone());
    let disclosure = Disclosure { consents: consents(), ..disclosed(asking.id, "lena", vec![used("o1")]) };
    let permitted = event(EventBody::Disclosure(disclosure));
    let withheld = event(EventBody::Denial(denied(asking.id, "lena")));
    let found = mapped(&permitted, Some(&read));
    assert_eq!(
        found.iter().map(gist).collect::<Vec<_>>(),
        [("patient-read", "0", "read"), ("consent-decision", "0", "AuthZ-Consent")]
    );
    assert_eq!(found[1]["id"], format!("{}-consent", permitted.id));
    assert_eq!(
        entity(&found[1], "Consent")["what"]["identifier"]["value"],
        "https://fhir.example/r4/Consent/c/_history/2"
    );
    let found = mapped(&withheld, Some(&read));
    assert_eq!(
        found.iter().map(gist).collect::<Vec<_>>(),
        [("failure", "8", "read"), ("consent-decision", "8", "AuthZ-Consent")]
    );
    assert_eq!(found[0]["outcomeDesc"], "2 resources of the patient withheld.");

    let mut without_organisation = read.clone();
    without_organisation.caller.organization = None;
    let mut client_itself = read.clone();
    client_itself.caller.client = Some(client_itself.caller.subject.clone());
    for request in [without_organisation, client_itself] {
        assert_eq!(mapped(&permitted, Some(&request)).len(), 1);
        assert_eq!(mapped(&withheld, Some(&request)).len(), 1);
    }
}

#[test]
fn universal_resources_of_a_write_are_told_and_those_of_a_search_are_results() {
    let resources = vec![UniversalUse { reference: Reference::new("Location", "w").unwrap(), version: None }];
    for (interaction, expected) in [("create", 1), ("search-type", 0)] {
        let begun = asked(interaction, Phase::Intent);
        let asking = request(begun.clone());
        let universal = Universal { request: asking.id, window: 0, resources: resources.clone() };
        assert_eq!(mapped(&event(EventBody::Universal(universal)), Some(&begun)).len(), expected, "{interaction}");
    }
}

#[test]
fn operations_are_told_and_the_course_of_the_gateway_is_not() {
    for body in operations() {
        let kind = event(body.clone()).kind();
        let found = mapped(&event(body), None);
        let outcome = if kind == "unauthenticated" { "4" } else { "0" };
        assert_eq!(found.iter().map(gist).collect::<Vec<_>>(), [("operation", outcome, kind)]);
    }
    for body in silent() {
        assert!(mapped(&event(body), None).is_empty());
    }
}

#[test]
fn public_documents_are_no_failure() {
    let EventBody::Unauthenticated(mut counted) = operations().remove(0) else { panic!("the first is the count") };
    counted.reasons = [("metadata".to_owned(), 2), ("smart-configuration".to_owned(), 1)].into();
    assert_eq!(
        gist(&mapped(&event(EventBody::Unauthenticated(counted)), None)[0]),
        ("operation", "0", "unauthenticated")
    );
}

#[test]
fn references_are_literal_only_where_they_do_no_harm() {
    let read = asked("read", Phase::Whole);
    let asking = request(read.clone());
    let event = event(EventBody::Disclosure(disclosed(asking.id, "lena", vec![used("o1")])));
    let whats = |pointing| {
        let found = mapped_by(&event, Some(&read), pointing);
        (entity(&found[0], "1")["what"].clone(), entity(&found[0], "2")["what"].clone())
    };
    let logical =
        |kind: &str, url: &str| json!({"type": kind, "identifier": {"system": "urn:ietf:rfc:3986", "value": url}});
    let base = "https://fhir.example/r4";
    let (patient, data) = (format!("{base}/Patient/lena"), format!("{base}/Observation/o1/_history/3"));
    assert_eq!(
        whats(Pointing::SameServer),
        (json!({"type": "Patient", "reference": "Patient/lena"}), logical("Observation", &data))
    );
    assert_eq!(
        whats(Pointing::Elsewhere),
        (json!({"type": "Patient", "reference": patient}), json!({"type": "Observation", "reference": data}))
    );
    assert_eq!(whats(Pointing::Logical), (logical("Patient", &patient), logical("Observation", &data)));
}

#[test]
fn an_event_without_its_request_is_not_guessed_at() {
    let asking = request(asked("read", Phase::Whole));
    let commitment = Commitment::new([9; 32]);
    for body in [
        EventBody::Disclosure(disclosed(asking.id, "lena", vec![used("o1")])),
        EventBody::Denial(denied(asking.id, "lena")),
        EventBody::Outcome(ended(asking.id, End::Complete, Some(200))),
    ] {
        let found = records(&event(body), &commitment, None, &context(Pointing::SameServer));
        assert_eq!(found, Err(Unmapped::NoRequest));
    }
    let operation = asked("operation", Phase::Whole);
    let found = records(&request(operation.clone()), &commitment, Some(&operation), &context(Pointing::SameServer));
    assert_eq!(found, Err(Unmapped::Interaction));
}
