#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use proptest::prelude::*;

use super::*;

const LETTERS: [(char, Letter); 5] =
    [('c', Letter::Create), ('r', Letter::Read), ('u', Letter::Update), ('d', Letter::Delete), ('s', Letter::Search)];

/// `rs:patient,d:all` → the grant of each letter.
fn grant(text: &str, letter: char) -> ScopeGrant {
    for part in text.split(',').filter(|part| *part != "-") {
        let (letters, grant) = part.split_once(':').unwrap();
        if letters.contains(letter) {
            return if grant == "all" { ScopeGrant::All } else { ScopeGrant::PatientOnly };
        }
    }
    ScopeGrant::None
}

#[test]
fn the_table_of_scopes() {
    let rows = include_str!("../../vectors/scopes.txt").lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    let mut count = 0;
    for row in rows {
        let (claim, expected) = row.split_once(" -> ").unwrap();
        let scopes = Scopes::parse(claim);
        let (grants, void) = expected.split_once(" ; void: ").unwrap_or((expected, ""));
        for (rtype, text) in grants.split_whitespace().map(|part| part.split_once('=').unwrap()) {
            let rtype = ResourceType::parse(rtype).unwrap();
            for (letter, named) in LETTERS {
                assert_eq!(scopes.allows(named, &rtype), grant(text, letter), "{row}: {letter}");
            }
        }
        let found: Vec<_> = scopes.void().iter().map(|void| format!("{:?}", void.why)).collect();
        assert_eq!(found.join(","), void, "{row}");
        assert!(scopes.void().iter().all(|void| !void.scope.contains('?')));
        count += 1;
    }
    assert!(count >= 30);
}

/// The definition, said another way: the letters of a scope as a subsequence of `cruds`.
fn in_order(perms: &str) -> bool {
    let mut rest = "cruds".chars();
    !perms.is_empty() && perms.chars().all(|letter| rest.any(|next| next == letter))
}

proptest! {
    #[test]
    fn letters_grant_exactly_when_in_order(perms in "[crudsx]{0,6}", context in "patient|user|system") {
        let scopes = Scopes::parse(&format!("{context}/Patient.{perms}"));
        let rtype = ResourceType::PATIENT;
        for (letter, named) in LETTERS {
            let expected = match (in_order(&perms) && perms.contains(letter), context.as_str()) {
                (false, _) => ScopeGrant::None,
                (true, "patient") => ScopeGrant::PatientOnly,
                (true, _) => ScopeGrant::All,
            };
            prop_assert_eq!(scopes.allows(named, &rtype), expected);
        }
    }

    #[test]
    fn more_scopes_never_grant_less(a in "(patient|user)/(Patient|\\*)\\.[cruds]{1,3}", b in "\\PC{0,30}") {
        let (alone, both) = (Scopes::parse(&a), Scopes::parse(&format!("{a} {b}")));
        for (_, letter) in LETTERS {
            prop_assert!(both.allows(letter, &ResourceType::PATIENT) >= alone.allows(letter, &ResourceType::PATIENT));
        }
    }

    #[test]
    fn a_filter_reaches_no_further_than_its_scope(tail in "category=[a-z]{1,4}|_id:not=[a-z]{1,3}|[a-z]{1,5}=x", perms in "r|rs|cud") {
        let (with, without) = (Scopes::parse(&format!("user/Observation.{perms}?{tail}")), Scopes::parse(&format!("user/Observation.{perms}")));
        let rtype = ResourceType::parse("Observation").unwrap();
        for (_, letter) in LETTERS {
            prop_assert!(with.reaches(letter, &rtype) <= without.reaches(letter, &rtype));
            prop_assert_eq!(with.reaches(letter, &ResourceType::PATIENT), ScopeGrant::None);
            prop_assert_eq!(with.reaches(letter, &rtype) == ScopeGrant::None, with.granular(letter, &rtype).next().is_none());
        }
    }

    #[test]
    fn a_filter_never_grants(tail in "\\PC{0,20}") {
        let tail: String = tail.chars().filter(|c| *c != ' ').collect();
        let scopes = Scopes::parse(&format!("user/*.cruds?{tail}"));
        for (_, letter) in LETTERS {
            prop_assert_eq!(scopes.allows(letter, &ResourceType::PATIENT), ScopeGrant::None);
        }
    }
}
