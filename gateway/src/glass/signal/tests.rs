//! Who is told, by role, realm and purpose.

use gateway_core::coding::Coding;

use super::*;

fn caller(purposes: &[&str], roles: &[&str]) -> Caller {
    Caller {
        issuer: "https://a".to_owned(),
        purposes: purposes.iter().map(|code| Coding::new(purpose::SYSTEM, *code)).collect(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..Caller::default()
    }
}

fn rule(hidden: Hidden, realms: &[&str], purposes: &[&str]) -> HiddenBy {
    HiddenBy {
        hidden,
        realms: realms.iter().map(|realm| (*realm).to_owned()).collect(),
        purposes: purposes.iter().map(|code| Coding::new(purpose::SYSTEM, *code)).collect(),
    }
}

#[test]
fn only_who_may_break_the_glass_for_treatment_is_told() {
    let config = GlassConfig { hidden: Hidden::Signalled, ..GlassConfig::default() };
    assert!(tells(&config, &caller(&["TREAT"], &["break-glass"])));
    assert!(tells(&config, &caller(&["BTG"], &["x", "break-glass"])));
    assert!(!tells(&config, &caller(&["TREAT"], &["physician"])));
    assert!(!tells(&config, &caller(&["HRESCH"], &["break-glass"])));
    assert!(!tells(&config, &caller(&[], &["break-glass"])));
    assert!(!tells(&GlassConfig::default(), &caller(&["TREAT"], &["break-glass"])), "secret is the default");
    let nobody = GlassConfig { roles: Vec::new(), ..config };
    assert!(!tells(&nobody, &caller(&["TREAT"], &["break-glass"])));
}

#[test]
fn the_first_rule_that_holds_decides_and_the_unknown_tells_less() {
    use Hidden::{Secret, Signalled};
    let decides = |hidden, rules: Vec<HiddenBy>, purposes: &[&str]| {
        let config = GlassConfig { hidden, hidden_by: rules, ..GlassConfig::default() };
        super::hidden(&config, &caller(purposes, &[]))
    };
    assert_eq!(decides(Secret, vec![rule(Signalled, &["https://a"], &[])], &["TREAT"]), Signalled);
    assert_eq!(decides(Secret, vec![rule(Signalled, &["https://b"], &[])], &["TREAT"]), Secret);
    assert_eq!(decides(Secret, vec![rule(Signalled, &[], &["TREAT"])], &["BTG"]), Signalled, "below");
    assert_eq!(decides(Secret, vec![rule(Signalled, &[], &["BTG"])], &["TREAT"]), Secret, "above");
    let both = || vec![rule(Secret, &[], &["TREAT"]), rule(Signalled, &["https://a"], &[])];
    assert_eq!(decides(Signalled, both(), &["TREAT"]), Secret, "the first");
    assert_eq!(decides(Secret, both(), &["HRESCH"]), Signalled, "the next");
    // One of two purposes, or none that is known: a rule that tells does not hold, one that keeps secret does.
    assert_eq!(decides(Secret, vec![rule(Signalled, &[], &["TREAT"])], &["TREAT", "HRESCH"]), Secret);
    assert_eq!(decides(Signalled, vec![rule(Secret, &[], &["TREAT"])], &["TREAT", "HRESCH"]), Secret);
    assert_eq!(decides(Signalled, vec![rule(Secret, &[], &["TREAT"])], &[]), Secret);
    assert_eq!(decides(Secret, vec![rule(Signalled, &[], &["TREAT"])], &[]), Secret);
}
