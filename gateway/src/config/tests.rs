#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::time::Duration;

use gateway_core::policy::{ConsentSettings, NoConsent};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::*;

const EXAMPLE: &str = include_str!("../../config.example.toml");

/// The least that a configuration needs.
pub(crate) const LEAST: &str = r#"
[server]
listen = "127.0.0.1:8080"
public_base = "http://127.0.0.1:8080/fhir/"
[upstream]
base = "http://127.0.0.1:8090/fhir"
[[auth.issuers]]
issuer = "https://login.example.org"
audience = ["https://fhir.example.org"]
[journal]
path = "/tmp/journal.db"
kek_file = "/tmp/kek"
tenant = "t"
[sidecar]
socket = "/tmp/sidecar.sock"
log_key = "log+0123abcd+AAAA"
[admin]
listen = "127.0.0.1:9090"
"#;

fn parse(text: &str) -> Result<Config, Problems> {
    Config::parse(text, [])
}

fn overridden(text: &str, environment: &[(&str, &str)]) -> Result<Config, Problems> {
    Config::parse(text, environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

/// Keys of the faults, in order.
fn keys(result: Result<Config, Problems>) -> Vec<String> {
    result.expect_err("it has faults").0.into_iter().map(|problem| problem.key).collect()
}

#[test]
fn the_example_is_valid_and_names_every_key() {
    let config = parse(EXAMPLE).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.server.limits.body, 4 << 20);
    assert_eq!(config.auth.clients.len(), 1);

    // A key counts as named when it stands at the start of a line, even commented out where it excludes another.
    let mut missing = Vec::new();
    every_key(&schema(), &mut String::new(), &mut |path| {
        let name = path.rsplit('.').next().unwrap();
        let table = format!("[{path}]");
        let named = EXAMPLE
            .lines()
            .map(|line| line.trim_start_matches("# "))
            .any(|line| line.starts_with(&format!("{name} =")) || line.contains(&table));
        if !named {
            missing.push(path.to_owned());
        }
    });
    assert!(missing.is_empty(), "config.example.toml does not name {missing:?}");
}

#[test]
fn a_shadow_names_what_differs() {
    let with = |more: &str| parse(&format!("{LEAST}{more}"));
    assert_eq!(with("").unwrap().shadow, None);
    assert_eq!(keys(with("[shadow]")), ["shadow.policy_file"]);
    assert_eq!(keys(with("[shadow]\npolicy = \"x\"")), ["shadow.policy", "shadow.policy_file"]);
    let shadow = with("[shadow]\ncedar_dir = \"/etc/other\"").unwrap().shadow.unwrap();
    assert_eq!((shadow.policy_file, shadow.cedar_dir), (None, Some("/etc/other".into())));
}

/// The example shows the defaults: what it sets equals what is set when it says nothing.
#[test]
fn the_example_shows_the_defaults() {
    let (shown, least) = (parse(EXAMPLE).unwrap(), parse(LEAST).unwrap());
    assert_eq!(shown.server.limits, least.server.limits);
    assert_eq!(shown.auth.jwks, least.auth.jwks);
    assert_eq!(shown.auth.issuers[0].claims, least.auth.issuers[0].claims);
    assert_eq!(shown.auth.issuers[0].algorithms, least.auth.issuers[0].algorithms);
    assert_eq!(shown.auth.clock_skew, least.auth.clock_skew);
    assert_eq!(shown.auth.purpose_header, least.auth.purpose_header);
    assert_eq!(shown.journal.max_size, least.journal.max_size);
    assert_eq!(shown.consent_source.max_staleness, least.consent_source.max_staleness);
    assert_eq!(shown.consent_source.poll, least.consent_source.poll);
    assert_eq!(shown.roles, least.roles);
    assert_eq!(shown.glass, least.glass);
    let without_names = |config: &Config| ConsentSettings {
        label_systems: Vec::new(),
        public_base: None,
        upstream_base: None,
        timezone: ConsentSettings::default().timezone, // "UTC" is one of its names
        ..config.consent.clone()
    };
    assert_eq!(without_names(&shown), without_names(&least));
}

#[test]
fn consents_are_polled_unless_that_is_off() {
    let polled = |poll: &str| {
        let text = LEAST.replace("[admin]", &format!("[consent_source]\npoll = \"{poll}\"\n[admin]"));
        parse(&text).unwrap().consent_source.poll
    };
    assert_eq!(parse(LEAST).unwrap().consent_source.poll, Some(Duration::from_secs(5)));
    assert_eq!(polled("500ms"), Some(Duration::from_millis(500)));
    assert_eq!((polled("off"), polled("0")), (None, None));
}

#[test]
fn three_faults_of_three_kinds_are_all_reported_sorted_with_their_lines() {
    let text = LEAST
        .replace("listen = \"127.0.0.1:8080\"", "listen = \"nowhere\"\nworkers = \"many\"")
        .replace("tenant = \"t\"", "tennant = \"t\"");
    let problems = parse(&text).unwrap_err().0;
    let seen: Vec<(&str, Option<Origin>)> =
        problems.iter().map(|problem| (problem.key.as_str(), problem.origin.clone())).collect();
    assert_eq!(
        seen,
        [
            ("journal.tenant", Some(Origin::Line(11))), // where the table is that misses it
            ("journal.tennant", Some(Origin::Line(14))),
            ("server.listen", Some(Origin::Line(3))),
            ("server.workers", Some(Origin::Line(4))),
        ]
    );
    assert!(problems.iter().all(|problem| !problem.cure.is_empty()));
    let printed = Problems(problems).to_string();
    assert!(printed.starts_with("the configuration has 4 errors"), "{printed}");
    assert!(!printed.contains("nowhere") && !printed.contains("many"), "values are never printed: {printed}");
}

#[test]
fn every_required_key_is_missed_by_name() {
    let whole: toml::Table = toml::from_str(LEAST).unwrap();
    for (section, members) in &whole {
        let Some(members) = members.as_table().filter(|_| section != "auth") else { continue };
        for key in members.keys() {
            let mut without = whole.clone();
            without[section].as_table_mut().unwrap().remove(key);
            assert_eq!(keys(parse(&toml::to_string(&without).unwrap())), [format!("{section}.{key}")]);
        }
    }
    assert_eq!(keys(parse("")), ["admin", "auth", "journal", "server", "sidecar", "upstream"]);
}

/// Each row: what is changed in the least configuration, and the keys whose faults are reported.
#[test]
fn faults_are_found_where_they_are() {
    let rows: &[(&str, &str, &[&str])] = &[
        ("http://127.0.0.1:8090/fhir", "http://hapi/fhir", &["upstream.base"]),
        ("http://127.0.0.1:8090/fhir", "ftp://hapi/fhir", &["upstream.base"]),
        ("http://127.0.0.1:8090/fhir", "https://user:word@hapi/fhir", &["upstream.base"]),
        ("https://login.example.org", "http://login.example.org", &["auth.issuers[0].issuer"]),
        ("audience = [\"https://fhir.example.org\"]", "audience = []", &["auth.issuers[0].audience"]),
        (
            "audience =",
            "algorithms = [\"HS256\", \"none\"]\naudience =",
            &["auth.issuers[0].algorithms", "auth.issuers[0].algorithms[0]", "auth.issuers[0].algorithms[1]"],
        ),
        ("[admin]", "[client]\n[admin]", &["client"]),
        ("[admin]", "[[client]]\nissuer = \"https://other\"\nclient = \"c\"\n[admin]", &["client[0].issuer"]),
        ("[admin]", "[auth]\nclock_skew = \"10m\"\n[admin]", &["auth.clock_skew"]),
        (
            "[admin]",
            "[consent]\nno_consent = \"yes\"\nresearch = \"no\"\nwat = 1\n[admin]",
            &["consent.no_consent", "consent.research", "consent.wat"],
        ),
        ("[admin]", "[consent]\ntimezone = \"Mars/Olympus\"\n[admin]", &["consent.timezone"]),
        ("[admin]", "[consent]\npublic_base = \"https://x\"\n[admin]", &["consent.public_base"]),
        (
            "[admin]",
            "[[redaction]]\npath = \"Patient.id\"\n[[redaction]]\npath = \"Patient.name\"\n[admin]",
            &["redaction[0].path"],
        ),
        ("socket =", "url = \"https://sidecar\"\nsocket =", &["sidecar.socket"]),
        (
            "socket = \"/tmp/sidecar.sock\"",
            "url = \"http://127.0.0.1\"",
            &["sidecar.ca_file", "sidecar.client_certificate_file", "sidecar.client_key_file", "sidecar.url"],
        ),
        ("log+0123abcd+AAAA", "log", &["sidecar.log_key"]),
        ("[admin]", "[admin]\ntoken_file = \"/a\"\ntoken_env = \"B\"", &["admin.token_file"]),
        ("[admin]", "[telemetry]\nlog_level = \"a=b=c\"\n[admin]", &["telemetry.log_level"]),
        ("[admin]", "[consent_source]\npoll = \"never\"\n[admin]", &["consent_source.poll"]),
        (
            "[admin]",
            "[consent_source]\nnotify_token_file = \"/a\"\nnotify_token_env = \"B\"\n[admin]",
            &["consent_source.notify_token_file"],
        ),
        (
            "[admin]",
            "[server.limits]\nbody = \"4 MB\"\nrequest_timeout = \"0s\"\nwindow_entries = 0\n[admin]",
            &["server.limits.body", "server.limits.request_timeout", "server.limits.window_entries"],
        ),
        (
            "[admin]",
            "[server.limits]\nheader = \"65 KiB\"\nquery = \"33 KiB\"\n[admin]",
            &["server.limits.header", "server.limits.query"],
        ),
        ("[admin]", "[consent_source]\nbearer_token_env = \"T\"\n[admin]", &["consent_source.bearer_token_env"]),
        ("[upstream]", "[upstream]\nclient_key_file = \"/k\"", &["upstream.client_certificate_file"]),
        (
            "[server]",
            "[server]\ncors_origins = [\"*\", \"https://a/b\"]",
            &["server.cors_origins[0]", "server.cors_origins[1]"],
        ),
        ("[server]", "[server]\nworkers = 1.5", &["server.workers"]),
        (
            "[admin]",
            "[audit_event]\nmax_delay = \"5m\"\nbase = \"https://a\"\n[admin]",
            &["audit_event.base", "audit_event.max_delay"],
        ),
        ("[admin]", "[audit_event]\nmode = \"fhir\"\nmax_delay = \"soon\"\n[admin]", &["audit_event.max_delay"]),
        // Each AuditEvent would pass the gateway and make further ones.
        (
            "[admin]",
            "[audit_event]\nmode = \"fhir\"\nbase = \"http://127.0.0.1:8080/fhir/\"\n[admin]",
            &["audit_event.base"],
        ),
    ];
    for (from, to, expected) in rows {
        let text = LEAST.replace(from, to);
        assert_ne!(text, LEAST, "the row {from:?} changes nothing");
        assert_eq!(keys(parse(&text)), *expected, "with {to:?}");
    }
}

#[test]
fn malformed_toml_is_reported_beside_the_rest() {
    let text = LEAST.replace("tenant = \"t\"", "tenant = \"t").replace("[admin]", "[admin]\ncolour = 1");
    let problems = parse(&text).unwrap_err().0;
    assert_eq!((problems[0].key.as_str(), problems[0].origin.clone()), ("", Some(Origin::Line(13))));
    assert!(problems.iter().any(|problem| problem.key == "admin.colour"), "{problems:?}");
}

#[test]
fn the_environment_overrides_keys_whatever_their_case() {
    let config = overridden(
        LEAST,
        &[
            ("SEALGATE__SERVER__LISTEN", "127.0.0.1:1"),
            ("sealgate__server__workers", "3"),
            ("SEALGATE__SERVER__LIMITS__BODY", "8MiB"),
            ("SEALGATE__SERVER__CORS_ORIGINS", "[\"https://a.example\"]"),
            ("SEALGATE__CONSENT__NO_CONSENT", "basic-normal"),
            ("SEALGATE__CONSENT__RESEARCH", "true"),
            ("SEALGATE__AUTH__CLOCK_SKEW", "5s"),
            ("SEALGATE_OTHER", "is not ours"),
        ],
    )
    .unwrap();
    assert_eq!(config.server.listen.port(), 1);
    assert_eq!(config.server.workers.unwrap().get(), 3);
    assert_eq!(config.server.limits.body, 8 << 20);
    assert_eq!(config.server.cors_origins, ["https://a.example"]);
    assert_eq!(config.consent.no_consent, NoConsent::BasicNormal);
    assert!(config.consent.research);
    assert_eq!(config.auth.clock_skew, Duration::from_secs(5));

    let problems = overridden(
        LEAST,
        &[
            ("SEALGATE__SERVER__WORKERS", "many"),
            ("SEALGATE__SERVER__WORKER", "3"),
            ("SEALGATE__SERVER__LISTEN", "x"),
            ("SEALGATE__CONSENT__RESEARCH", "1 \nb = 2"),
        ],
    )
    .unwrap_err()
    .0;
    let seen: Vec<_> = problems.iter().map(|problem| (problem.key.as_str(), problem.origin.clone().unwrap())).collect();
    let variable = |name: &str| Origin::Environment(name.to_owned());
    assert_eq!(
        seen,
        [
            ("consent.research", variable("SEALGATE__CONSENT__RESEARCH")),
            ("server.listen", variable("SEALGATE__SERVER__LISTEN")),
            ("server.worker", variable("SEALGATE__SERVER__WORKER")),
            ("server.workers", variable("SEALGATE__SERVER__WORKERS")),
        ]
    );
}

#[test]
fn the_effective_values_have_one_digest() {
    let digest = |environment: &[(&str, &str)]| overridden(LEAST, environment).unwrap().digest;
    assert_eq!(digest(&[]), parse(&format!("# a remark\n{LEAST}")).unwrap().digest);
    assert_ne!(digest(&[]), digest(&[("SEALGATE__CONSENT__NO_CONSENT", "basic-normal")]));
}

#[test]
fn bases_lose_their_slash_and_reach_the_consent_settings() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.consent.public_base.as_deref(), Some("http://127.0.0.1:8080/fhir"));
    assert_eq!(config.consent.upstream_base.as_deref(), Some("http://127.0.0.1:8090/fhir"));
    assert_eq!(config.server.public_base.path(), "/fhir");
    assert_eq!(config.consent_source.peer, config.upstream.peer);
}

#[test]
fn secrets_are_never_printed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "hush-hush\n").unwrap();
    let source = SecretSource::File(file.clone());
    let secret = source.read().unwrap();
    assert_eq!(secret.expose_secret(), "hush-hush");
    assert!(!format!("{secret:?} {source:?}").contains("hush"));

    // Typed into the wrong key, it is not repeated either.
    let text = LEAST.replace("[upstream]", "[upstream]\nbearer_token = \"hush-hush\"\nread_timeout = \"hush-hush\"");
    let problems = parse(&text).unwrap_err();
    assert!(!format!("{problems} {problems:?}").contains("hush"), "{problems}");

    std::fs::write(&file, " \n").unwrap();
    assert_eq!(source.read().unwrap_err(), SecretError::Empty);
    std::fs::write(&file, vec![b'x'; 20_000]).unwrap();
    assert_eq!(source.read().unwrap_err(), SecretError::TooLong);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(source.read().unwrap_err(), SecretError::Unreadable(std::io::ErrorKind::NotFound));
}

#[test]
fn loading_checks_every_file_that_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.toml");
    let text = LEAST
        .replace("/tmp/kek", &dir.path().join("kek").display().to_string())
        .replace("[upstream]", "[upstream]\nbearer_token_file = \"/nowhere/token\"")
        .replace("[admin]", &format!("[admin]\ntoken_file = {:?}", dir.path().join("short")));
    std::fs::write(dir.path().join("short"), "guess").unwrap();
    std::fs::write(&file, text).unwrap();
    assert_eq!(keys(Config::load(&file)), ["admin.token_file", "journal.kek_file", "upstream.bearer_token_file"]);
    assert_eq!(keys(Config::load(&dir.path().join("absent"))), [""]);
}

/// The schema of `[consent]` is written by hand beside the type: same keys, and every word is taken.
#[test]
fn the_schema_of_consent_is_that_of_the_type() {
    let schema = schema();
    let consent = &schema["properties"]["consent"];
    let properties =
        consent["anyOf"][0]["properties"].as_object().or_else(|| consent["properties"].as_object()).unwrap();
    let of_type = serde_json::to_value(ConsentSettings::default()).unwrap();
    let names: Vec<&String> = properties.keys().collect();
    assert_eq!(names, of_type.as_object().unwrap().keys().collect::<Vec<_>>());
    for (key, property) in properties {
        let shape = property["anyOf"].get(0).unwrap_or(property);
        for word in shape["enum"].as_array().into_iter().flatten().filter(|word| !word.is_null()) {
            let table = Value::Object([(key.clone(), word.clone())].into_iter().collect());
            assert!(serde_json::from_value::<ConsentSettings>(table).is_ok(), "{key} = {word}");
        }
    }
}

#[test]
fn units_are_exact() {
    for (text, expected) in
        [("500ms", Some(500)), ("30s", Some(30_000)), ("5m", Some(300_000)), ("2h", Some(7_200_000))]
    {
        assert_eq!(units::duration(text).map(|duration| duration.as_millis()), expected, "{text}");
    }
    for text in ["", "s", "5", "5 s", "-5s", "1.5s", "5S", "99999999999999999999s", "18446744073709551615d"] {
        assert_eq!(units::duration(text), None, "{text}");
    }
    for (text, expected) in [("1B", 1), ("2 KiB", 2048), ("3MiB", 3 << 20), ("1 GiB", 1 << 30)] {
        assert_eq!(units::size(text), Some(expected), "{text}");
    }
    for text in ["", "1", "1 KB", "1.5 KiB", "B", "18446744073709551615 KiB"] {
        assert_eq!(units::size(text), None, "{text}");
    }
}

/// Calls `visit` with the path of every property below `schema`.
fn every_key(schema: &Value, path: &mut String, visit: &mut dyn FnMut(&str)) {
    let shapes = schema["anyOf"].as_array().map_or(std::slice::from_ref(schema), Vec::as_slice);
    for shape in shapes {
        if let Some(items) = shape.get("items") {
            every_key(items, path, visit);
        }
        for (name, property) in shape["properties"].as_object().into_iter().flatten() {
            let length = path.len();
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(name);
            visit(path);
            every_key(property, path, visit);
            path.truncate(length);
        }
    }
}
