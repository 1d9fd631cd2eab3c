#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::collections::BTreeMap;

use gateway_core::caller::ActorRef;
use gateway_core::coding::Coding;
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-22 16:20:00 UTC);
const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";

fn shipped() -> OrganisationPolicy {
    OrganisationPolicy::load(None).unwrap()
}

/// The shipped set and one more file.
fn with(text: &str) -> Result<OrganisationPolicy, PolicyFault> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("own.cedar"), text).unwrap();
    std::fs::write(dir.path().join("README.txt"), "not a policy").unwrap();
    OrganisationPolicy::load(Some(dir.path()))
}

fn caller(client: Option<&str>, purposes: &[&str], roles: &[&str]) -> Caller {
    Caller {
        issuer: "https://login.example.org".to_owned(),
        subject: "alice".to_owned(),
        client: client.map(str::to_owned),
        organization: Some(ActorRef::reference("Organization/ward-7")),
        purposes: purposes.iter().map(|code| Coding::new(ACT_REASON, *code)).collect(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..Caller::default()
    }
}

fn refused(policies: &[&str]) -> Result<(), Refusal> {
    Err(Refusal { policies: policies.iter().map(|id| (*id).to_owned()).collect() })
}

#[test]
fn the_shipped_set_decides_as_documented() {
    let policy = shipped();
    let rows = [
        (caller(Some("app"), &[], &[]), Ok(())),
        (caller(Some("app"), &["TREAT"], &[]), Ok(())),
        (caller(None, &["TREAT"], &["break-glass"]), refused(&[])),
        (caller(Some("app"), &["BTG"], &[]), refused(&["forbid-break-glass-without-role"])),
        (caller(Some("app"), &["TREAT", "BTG"], &["physician"]), refused(&["forbid-break-glass-without-role"])),
        (caller(Some("app"), &["BTG"], &["break-glass"]), Ok(())),
        (caller(None, &["BTG"], &[]), refused(&["forbid-break-glass-without-role"])),
    ];
    for (caller, expected) in rows {
        assert_eq!(policy.decide(&caller, "read", Some("Observation"), NOW), expected, "{caller:?}");
        assert_eq!(policy.decide(&caller, "read", Some("Observation"), NOW), expected, "remembered: {caller:?}");
    }
}

#[test]
fn every_interaction_code_has_its_action_and_no_other_has() {
    let policy = shipped();
    let known = caller(Some("app"), &[], &[]);
    for code in [
        "read",
        "vread",
        "update",
        "patch",
        "delete",
        "create",
        "search-type",
        "search-system",
        "history-instance",
        "history-type",
        "history-system",
        "capabilities",
        "batch",
        "transaction",
        "operation",
    ] {
        assert_eq!(policy.decide(&known, code, None, NOW), Ok(()), "{code}");
    }
    for code in ["look", "change", "READ", "", "execute"] {
        assert_eq!(policy.decide(&known, code, None, NOW), refused(&[]), "{code}");
    }
}

#[test]
fn an_operator_can_add_by_role_group_type_and_time() {
    let policy = with(
        r#"@id("research-looks-only") forbid (principal, action in Action::"change", resource)
             when { principal.roles.contains("researcher") };
           @id("no-consents") forbid (principal, action, resource == ResourceType::"Consent")
             when { principal has organization && principal.organization == "Organization/ward-7" };
           @id("closed") forbid (principal, action, resource is Server) when { context.now >= 2000000000 };"#,
    )
    .unwrap();
    let researcher = caller(Some("app"), &[], &["researcher"]);
    assert_eq!(policy.decide(&researcher, "read", Some("Patient"), NOW), Ok(()));
    assert_eq!(policy.decide(&researcher, "update", Some("Patient"), NOW), refused(&["research-looks-only"]));
    assert_eq!(policy.decide(&researcher, "batch", None, NOW), refused(&["research-looks-only"]));
    assert_eq!(
        policy.decide(&researcher, "create", Some("Consent"), NOW),
        refused(&["no-consents", "research-looks-only"])
    );
    let other = caller(Some("app"), &[], &[]);
    let then = OffsetDateTime::from_unix_timestamp(2_000_000_040).unwrap();
    assert_eq!(policy.decide(&other, "search-system", None, NOW), Ok(()));
    assert_eq!(policy.decide(&other, "search-system", None, then), refused(&["closed"]), "a decision ages");
    assert_ne!(policy.digest(), shipped().digest());
}

/// Cedar skips a policy that fails; a skipped `forbid` must not permit.
#[test]
fn a_policy_that_cannot_be_evaluated_refuses() {
    let policy = with(
        r#"@id("overflows") forbid (principal, action, resource) when { context.now * 9223372036854775807 > 0 };"#,
    )
    .unwrap();
    assert_eq!(policy.decide(&caller(Some("app"), &[], &[]), "read", Some("Patient"), NOW), refused(&["overflows"]));
}

#[test]
fn an_own_default_replaces_the_shipped_one() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("default.cedar"), "@id(\"all\") permit (principal, action, resource);").unwrap();
    let policy = OrganisationPolicy::load(Some(dir.path())).unwrap();
    assert_eq!(policy.decide(&caller(None, &["BTG"], &[]), "delete", Some("Patient"), NOW), Ok(()));
}

#[test]
fn policies_that_cannot_be_enforced_stop_the_start() {
    let fault = |text: &str| with(text).err().expect("it is refused").to_string();
    for (text, said) in [
        ("permit (principal, action, resource);", "own.cedar holds a policy without @id"),
        ("@id(\"\") permit (principal, action, resource);", "own.cedar holds a policy without @id"),
        ("@id(\"permit-known-client\") permit (principal, action, resource);", "own.cedar repeats the @id"),
        ("permit (principal", "own.cedar is not Cedar"),
        ("@id(\"t\") permit (principal == ?principal, action, resource);", "own.cedar holds a template"),
        ("@id(\"x\") permit (principal, action, resource) when { principal.shoe_size > 4 };", "do not fit the schema"),
        ("@id(\"x\") permit (principal, action == Action::\"fly\", resource);", "do not fit the schema"),
        // `client` may be absent, so asking for it unguarded would fail at a decision.
        (
            "@id(\"x\") permit (principal, action, resource) when { principal.client == \"a\" };",
            "do not fit the schema",
        ),
    ] {
        let found = fault(text);
        assert!(found.contains(said), "{text}: {found}");
    }
    assert!(OrganisationPolicy::load(Some(std::path::Path::new("/nowhere"))).is_err());
}

/// Every part of a question counts, and parts do not run into each other.
#[test]
fn different_questions_have_different_keys() {
    let base = caller(Some("a"), &["TREAT"], &["r1", "r2"]);
    let variants = [
        Caller { client: None, ..base.clone() },
        Caller { client: Some("b".to_owned()), ..base.clone() },
        Caller { subject: "bob".to_owned(), ..base.clone() },
        Caller { issuer: "https://other".to_owned(), ..base.clone() },
        Caller { organization: None, ..base.clone() },
        Caller { roles: vec!["r1r2".to_owned()], ..base.clone() },
        Caller { roles: vec!["r1".to_owned()], ..base.clone() },
        Caller { purposes: Vec::new(), ..base.clone() },
        Caller { purposes: vec![Coding::bare("TREAT")], ..base.clone() },
    ];
    let mut keys: BTreeMap<[u8; 32], String> = BTreeMap::new();
    let mut note = |key: [u8; 32], what: String| assert_eq!(keys.insert(key, what), None);
    note(question(&base, "read", None, 0), "base".to_owned());
    note(question(&base, "vread", None, 0), "interaction".to_owned());
    note(question(&base, "read", Some("Patient"), 0), "type".to_owned());
    note(question(&base, "read", None, 1), "minute".to_owned());
    for variant in variants {
        note(question(&variant, "read", None, 0), format!("{variant:?}"));
    }
}
