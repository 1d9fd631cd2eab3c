#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use time::macros::datetime;

use super::*;
use crate::consent::reference::bases;

fn step(member: &str, of: &str) -> Membership {
    Membership { member: member.parse().unwrap(), of: of.parse().unwrap(), active: None, start: None, end: None }
}

fn include(identities: &[&str], memberships: &Memberships, actor: &str) -> Truth {
    let bases = bases(None, None).unwrap();
    let actors = identities.iter().map(|actor| actor.parse().unwrap()).collect();
    let caller = Caller { actors, ..Caller::default() };
    let now = datetime!(2026-06-01 12:00 UTC);
    Identities::of(&caller, memberships, &bases, &Zone::utc(), now).include(&actor.parse().unwrap(), &bases)
}

#[test]
fn membership_is_followed_upwards_and_through_circles() {
    let edges = vec![
        step("Practitioner/1", "PractitionerRole/r"),
        step("PractitionerRole/r", "Practitioner/1"),
        step("PractitionerRole/r", "Organization/part"),
        step("Organization/part", "Organization/whole"),
        step("Organization/other", "Organization/whole"),
    ];
    let known = Memberships { resolved: true, edges, ..Memberships::default() };
    for member in ["Practitioner/1", "PractitionerRole/r", "Organization/part", "Organization/whole"] {
        assert_eq!(include(&["Practitioner/1"], &known, member), Truth::True, "{member}");
    }
    assert_eq!(include(&["Practitioner/1"], &known, "Organization/other"), Truth::False);
    assert_eq!(include(&["Organization/whole"], &known, "Organization/part"), Truth::False);
}

#[test]
fn an_uncertain_step_gives_way_to_a_certain_one() {
    let uncertain = Membership { end: Some("soon".to_owned()), ..step("Practitioner/1", "Group/g") };
    let mut known = Memberships { resolved: true, edges: vec![uncertain], ..Memberships::default() };
    known.edges.push(step("Group/g", "Group/above"));
    assert_eq!(include(&["Practitioner/1"], &known, "Group/g"), Truth::Unknown);
    assert_eq!(include(&["Practitioner/1"], &known, "Group/above"), Truth::Unknown);
    known.edges.push(step("Practitioner/1", "CareTeam/t"));
    known.edges.push(step("CareTeam/t", "Group/g"));
    assert_eq!(include(&["Practitioner/1"], &known, "Group/g"), Truth::True);
    assert_eq!(include(&["Practitioner/1"], &known, "Group/above"), Truth::True);
}

#[test]
fn who_is_not_found_is_unknown_unless_everything_was_looked_up() {
    let looked_up = Memberships { resolved: true, ..Memberships::default() };
    let not = Memberships::default();
    assert_eq!(include(&["Practitioner/1"], &looked_up, "Organization/o"), Truth::False);
    assert_eq!(include(&["Practitioner/1"], &not, "Organization/o"), Truth::Unknown);
    assert_eq!(include(&["Practitioner/1"], &not, "Practitioner/2"), Truth::False);
    assert_eq!(include(&["Practitioner/1", "#contained"], &looked_up, "Organization/o"), Truth::Unknown);
    assert_eq!(include(&["urn:s|1"], &looked_up, "Organization/o"), Truth::Unknown);
    assert_eq!(include(&[], &looked_up, "Practitioner/1"), Truth::Unknown);
}
