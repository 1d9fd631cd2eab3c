#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use time::OffsetDateTime;
use time::macros::datetime;

use super::*;
use crate::caller::Caller;
use crate::consent::actors::Identities;
use crate::consent::dates::Zone;
use crate::consent::reference::bases;
use crate::consent::truth::Truth;
use crate::json::Doc;

const NOW: OffsetDateTime = datetime!(2026-06-01 12:00 UTC);

fn taken(resources: &[&str]) -> Memberships {
    let bases = bases(None, None).unwrap();
    let mut found = Memberships { resolved: true, ..Memberships::default() };
    for text in resources {
        found.take(Doc::parse(text.as_bytes()).unwrap().root(), &bases, &|_| true);
    }
    found
}

fn include(identity: &str, found: &Memberships, actor: &str) -> Truth {
    let bases = bases(None, None).unwrap();
    let caller = Caller { actors: vec![identity.parse().unwrap()], ..Caller::default() };
    Identities::of(&caller, found, &bases, &Zone::utc(), NOW).include(&actor.parse().unwrap(), &bases)
}

#[test]
fn groups_in_groups_and_teams_in_teams_are_followed_also_in_circles() {
    let found = taken(&[
        r#"{"resourceType":"Group","id":"in","member":[{"entity":{"reference":"Practitioner/1"}},{"entity":{"reference":"Group/out"}}]}"#,
        r#"{"resourceType":"Group","id":"out","member":[{"entity":{"reference":"Group/in"}}]}"#,
        r#"{"resourceType":"CareTeam","id":"t","status":"active","participant":[{"member":{"reference":"CareTeam/u"}}]}"#,
        r#"{"resourceType":"CareTeam","id":"u","status":"active","participant":[{"member":{"reference":"Practitioner/1"}}]}"#,
        r#"{"resourceType":"CareTeam","id":"v","status":"inactive","participant":[{"member":{"reference":"Practitioner/1"}}]}"#,
    ]);
    for group in ["Group/in", "Group/out", "CareTeam/t", "CareTeam/u"] {
        assert_eq!(include("Practitioner/1", &found, group), Truth::True, "{group}");
        assert_eq!(include("Practitioner/2", &found, group), Truth::False, "{group}");
    }
    assert_eq!(include("Practitioner/1", &found, "CareTeam/v"), Truth::False);
}

#[test]
fn a_related_person_is_known_by_identifier_while_the_relation_lasts() {
    let person = |more: &str| {
        format!(r#"{{"resourceType":"RelatedPerson","id":"m","identifier":[{{"system":"s","value":"1"}}]{more}}}"#)
    };
    let rows = [
        ("", Truth::True),
        (r#","active":true,"period":{"start":"2020"}"#, Truth::True),
        (r#","active":false"#, Truth::Unknown),
        (r#","period":{"end":"2025"}"#, Truth::Unknown),
    ];
    for (more, expected) in rows {
        let found = taken(&[&person(more)]);
        assert_eq!(include("s|1", &found, "RelatedPerson/m"), expected, "{more}");
    }
    assert_eq!(include("RelatedPerson/m", &taken(&[&person("")]), "s|1"), Truth::True);
}

#[test]
fn a_team_that_was_not_looked_at_may_hold_the_caller() {
    let bases = bases(None, None).unwrap();
    let mut found = Memberships { resolved: true, listed: Some(Default::default()), ..Memberships::default() };
    let group = r#"{"resourceType":"Group","id":"g","member":[{"entity":{"reference":"Practitioner/1"}}]}"#;
    found.take(Doc::parse(group.as_bytes()).unwrap().root(), &bases, &|_| true);
    assert_eq!(include("Practitioner/2", &found, "Group/g"), Truth::False);
    assert_eq!(include("Practitioner/2", &found, "Group/h"), Truth::Unknown);
    assert_eq!(include("Practitioner/2", &found, "Organization/o"), Truth::False);
}

#[test]
fn members_who_are_not_known_are_passed_over() {
    let bases = bases(None, None).unwrap();
    let mut found = Memberships::default();
    let group = r#"{"resourceType":"Group","id":"g","member":[{"entity":{"reference":"Practitioner/1"}}]}"#;
    let doc = Doc::parse(group.as_bytes()).unwrap();
    assert!(found.take(doc.root(), &bases, &|name| name == "Practitioner/2").is_empty());
    assert!(found.edges.is_empty());
    assert_eq!(found.take(doc.root(), &bases, &|name| name == "Practitioner/1"), ["Group/g"]);
}
