#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use super::{Faults, IngestListener, from_text, raw::RawConfig};

const GOOD: &str = "\
[log]\norigin = \"log.example.org/north\"\ndir = \"/var/lib/log\"\nkey_file = \"/etc/log.key\"\n\
[ingest]\nsocket = \"/run/ingest.sock\"\n";

fn faults(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    match from_text(text, environment) {
        Ok(_) => Vec::new(),
        Err(Faults(faults)) => faults.into_iter().map(|fault| fault.key).collect(),
    }
}

#[test]
fn the_least_that_is_needed_is_enough() {
    let config = from_text(GOOD, []).unwrap();
    assert!(config.anchor.is_none());
    assert_eq!(config.limits.batch, 1024);
}

#[test]
fn the_shipped_example_is_valid_and_names_every_key() {
    let example = include_str!("../../config.example.toml");
    from_text(example, []).unwrap();
    let schema = serde_json::to_value(schemars::schema_for!(RawConfig)).unwrap();
    for (section, _) in schema["properties"].as_object().unwrap() {
        assert!(example.contains(&format!("[{section}]")), "section {section}");
    }
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        for (key, _) in definition["properties"].as_object().into_iter().flatten() {
            assert!(example.contains(&format!("{key} = ")), "{name}: key {key}");
        }
    }
}

#[test]
fn every_fault_is_reported_at_once_with_its_key() {
    let text = "\
        [log]\norigin = \"two words\"\ndir = 7\ncolour = \"red\"\n\
        [ingest]\nsocket = \"/s\"\nlisten = \"0.0.0.0:1\"\nallowed_sources = [\"xyz\"]\n\
        [public]\nlisten = \"nowhere\"\n\
        [anchor]\nrpc = [\"ftp://x\"]\nchain_id = 1\n\
        [limits]\nbatch = 0\n[surprise]\nx = 1\n";
    let found = faults(text, &[("SEALGATE__LIMITS__GROUP", "1"), ("SEALGATE__NOWHERE__X", "1")]);
    for key in [
        "log.origin",
        "log.dir",
        "log.colour",
        "log.key_file",
        "ingest.listen",
        "public.listen",
        "anchor.rpc",
        "anchor.contract",
        "anchor.log_id",
        "anchor.publisher_key_file",
        "limits.batch",
        "limits.group",
        "surprise",
        "SEALGATE__NOWHERE__X",
    ] {
        assert!(found.iter().any(|found| found == key), "{key} is missing in {found:?}");
    }
    assert!(found.is_sorted());
}

#[test]
fn the_environment_overrides_single_keys_of_any_type() {
    let environment = [
        ("SEALGATE__LOG__DIR", "/elsewhere"),
        ("SEALGATE__LOG__TENANT", "42"),
        ("SEALGATE__INGEST__ALLOWED_UIDS", "[1, 2]"),
        ("SEALGATE__LIMITS__BATCH", "7"),
        ("HOME", "/home/somebody"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = from_text(GOOD, environment).unwrap();
    assert_eq!(config.log.dir, std::path::Path::new("/elsewhere"));
    assert_eq!(config.log.tenant.unwrap().as_str(), "42");
    assert_eq!(config.limits.batch, 7);
    assert!(matches!(config.ingest.listener, IngestListener::Socket { allowed_uids, .. } if allowed_uids == [1, 2]));
    assert_eq!(faults(GOOD, &[("SEALGATE__LIMITS__BATCH", "many")]), ["SEALGATE__LIMITS__BATCH"]);
    assert_eq!(faults(GOOD, &[("SEALGATE__LIMITS__BATHC", "7")]), ["SEALGATE__LIMITS__BATHC"]);
    assert_eq!(faults(GOOD, &[("SEALGATE__LIMITS", "7")]), ["SEALGATE__LIMITS"]);
}

#[test]
fn one_end_point_needs_the_dangerous_switch() {
    let anchor = |more: &str| {
        let id = "11".repeat(32);
        format!(
            "{GOOD}[anchor]\nrpc = [\"http://127.0.0.1:1\"]\nchain_id = 1\ncontract = \"0x{}\"\nlog_id = \"{id}\"\n\
             publisher_key_file = \"/k\"\n{more}",
            "22".repeat(20),
        )
    };
    assert_eq!(faults(&anchor(""), &[]), ["anchor.rpc"]);
    assert_eq!(faults(&anchor("danger_single_rpc = true\n"), &[]), Vec::<String>::new());
    let late = anchor("danger_single_rpc = true\ncadence_seconds = 60\noverdue_seconds = 60\n");
    assert_eq!(faults(&late, &[]), ["anchor.overdue_seconds"]);
}

#[test]
fn an_rpc_url_is_never_repeated_in_a_fault() {
    let text = format!("{GOOD}[anchor]\nrpc = [\"ws://secret-key@host\"]\n");
    let faults = from_text(&text, []).unwrap_err().to_string();
    assert!(faults.contains("anchor.rpc") && !faults.contains("secret-key"), "{faults}");
}
