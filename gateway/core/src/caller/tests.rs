#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use super::*;

#[test]
fn actors_are_written_as_reference_or_as_system_and_value() {
    let cases = [
        ("Organization/x", ActorRef::reference("Organization/x")),
        ("https://a.example/fhir/Practitioner/1", ActorRef::reference("https://a.example/fhir/Practitioner/1")),
        ("urn:oid:1.2|a|b", ActorRef::identifier("urn:oid:1.2", "a|b")),
        ("|v", ActorRef::Identifier { system: None, value: "v".to_owned() }),
    ];
    for (text, actor) in cases {
        assert_eq!(text.parse::<ActorRef>(), Ok(actor.clone()));
        assert_eq!(actor.to_string(), text);
        let json = serde_json::to_string(&actor).unwrap();
        assert_eq!(serde_json::from_str::<ActorRef>(&json).unwrap(), actor);
    }
    for text in ["", "system|", "|"] {
        assert_eq!(text.parse::<ActorRef>(), Err(NotAnActor), "{text:?}");
    }
}

#[test]
fn fhir_user_and_organization_are_identities_too() {
    let caller = Caller {
        fhir_user: Some(ActorRef::reference("Practitioner/1")),
        organization: Some(ActorRef::reference("Organization/2")),
        actors: vec![ActorRef::identifier("urn:s", "v")],
        ..Caller::default()
    };
    let names: Vec<String> = caller.identities().map(ToString::to_string).collect();
    assert_eq!(names, ["Practitioner/1", "Organization/2", "urn:s|v"]);
}
