use super::*;

const ALL: [Truth; 3] = [Truth::False, Truth::Unknown, Truth::True];

/// Kleene's tables are minimum and maximum over False < Unknown < True.
#[test]
fn the_connectives_are_kleenes() {
    let rank = |truth: Truth| ALL.iter().position(|t| *t == truth);
    for a in ALL {
        for b in ALL {
            assert_eq!(rank(a.and(b)), rank(a).min(rank(b)), "{a:?} and {b:?}");
            assert_eq!(rank(a.or(b)), rank(a).max(rank(b)), "{a:?} or {b:?}");
        }
    }
    assert_eq!(Truth::any([]), Truth::False);
}

#[test]
fn unknown_satisfies_every_deny_and_no_permit() {
    assert!(Truth::True.satisfies(Effect::Permit) && Truth::True.satisfies(Effect::Deny));
    assert!(!Truth::False.satisfies(Effect::Permit) && !Truth::False.satisfies(Effect::Deny));
    assert!(!Truth::Unknown.satisfies(Effect::Permit) && Truth::Unknown.satisfies(Effect::Deny));
}
