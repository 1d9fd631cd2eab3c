#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use super::*;

#[test]
fn the_table_is_sorted_and_every_code_descends_from_the_top() {
    assert!(HIERARCHY.is_sorted_by(|a, b| a.0 < b.0));
    for (code, _) in HIERARCHY {
        assert_eq!(covers(&coding(TOP), &coding(code)), Truth::True, "{code}");
        assert_eq!(covers(&coding(code), &coding(TOP)), Truth::False, "{code}");
    }
}

#[test]
fn purposes_match_downward_only() {
    let cases = [
        (TREAT, TREAT, Truth::True),
        (TREAT, ETREAT, Truth::True),
        (TREAT, BTG, Truth::True),
        (ETREAT, TREAT, Truth::False),
        (BTG, ETREAT, Truth::False),
        ("HRESCH", "CLINTRCHPC", Truth::True),
        ("HPAYMT", "ELIGVER", Truth::True),
        ("HOPERAT", "HTEST", Truth::True),
        ("HOPERAT", TREAT, Truth::False),
    ];
    for (stated, asked, truth) in cases {
        assert_eq!(covers(&coding(stated), &coding(asked)), truth, "{stated} covers {asked}");
    }
}

#[test]
fn what_the_table_does_not_know_is_unknown_unless_equal() {
    let local = Coding::new("urn:example", "X");
    assert_eq!(covers(&local, &local), Truth::True);
    assert_eq!(covers(&local, &coding(TREAT)), Truth::Unknown);
    assert_eq!(covers(&coding(TREAT), &local), Truth::Unknown);
    assert_eq!(covers(&coding("NOSUCH"), &coding("NOSUCH")), Truth::True);
    assert_eq!(covers(&coding(TREAT), &coding("NOSUCH")), Truth::Unknown);
    assert_eq!(covers(&Coding::bare(TREAT), &Coding::bare(TREAT)), Truth::Unknown);
}

#[test]
fn the_system_has_other_names() {
    let by_oid = Coding::new("urn:oid:2.16.840.1.113883.5.8", BTG);
    assert_eq!(covers(&coding(TREAT), &by_oid), Truth::True);
    assert_eq!(covers(&by_oid, &coding(BTG)), Truth::True);
    assert_eq!(under_grant(&by_oid, false), coding(TREAT));
    assert_eq!(under_grant(&by_oid, true), coding(BTG), "policies ask for it by one name");
}

#[test]
fn a_grant_turns_treat_into_btg_and_its_absence_btg_into_treat() {
    assert_eq!(under_grant(&coding(TREAT), true), coding(BTG));
    assert_eq!(under_grant(&coding(TREAT), false), coding(TREAT));
    assert_eq!(under_grant(&coding(BTG), true), coding(BTG));
    assert_eq!(under_grant(&coding(BTG), false), coding(TREAT));
    assert_eq!(under_grant(&coding("HPAYMT"), true), coding("HPAYMT"));
}
