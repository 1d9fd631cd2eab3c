#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::cell::Cell;

use super::*;

/// Runs a command line; gives the code as it would be, what was written, and whether the gateway was started.
fn ran(line: &[&str]) -> (String, String, String, bool) {
    let (mut out, mut errors, started) = (Vec::new(), Vec::new(), Cell::new(false));
    let arguments = std::iter::once("fhir-gateway").chain(line.iter().copied()).map(OsString::from);
    let serve = |_: Config| {
        started.set(true);
        ExitCode::from(7)
    };
    let code = run(arguments, serve, &mut out, &mut errors);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (format!("{code:?}"), text(out), text(errors), started.get())
}

fn code(number: u8) -> String {
    format!("{:?}", ExitCode::from(number))
}

struct Installation {
    dir: tempfile::TempDir,
}

impl Installation {
    fn new() -> Self {
        let own = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(own.path("policies")).unwrap();
        std::fs::write(own.path("kek"), "00").unwrap();
        own.write("");
        own
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self) -> String {
        self.path("gateway.toml").display().to_string()
    }

    fn write(&self, more: &str) {
        let text = format!(
            r#"
            [server]
            listen = "127.0.0.1:8080"
            public_base = "http://127.0.0.1:8080/fhir"
            [upstream]
            base = "http://127.0.0.1:8090/fhir"
            [[auth.issuers]]
            issuer = "https://login.example.org"
            audience = ["https://fhir.example.org"]
            [journal]
            path = "/tmp/journal.db"
            kek_file = "{kek}"
            tenant = "t"
            [sidecar]
            socket = "/tmp/sidecar.sock"
            log_key = "log+0123abcd+AAAA"
            [admin]
            listen = "127.0.0.1:9090"
            [policy]
            cedar_dir = "{policies}"
            {more}
            "#,
            kek = self.path("kek").display(),
            policies = self.path("policies").display(),
        );
        std::fs::write(self.path("gateway.toml"), text).unwrap();
    }
}

#[test]
fn a_valid_configuration_is_checked_and_served() {
    let installation = Installation::new();
    let file = installation.file();
    let expected = (code(0), "configuration is valid\n".to_owned(), String::new(), false);
    assert_eq!(ran(&["config", "check", "--config", &file]), expected);
    assert_eq!(ran(&["serve", "--config", &file]), (code(7), String::new(), String::new(), true));
}

#[test]
fn a_bad_configuration_ends_with_64_and_starts_nothing() {
    let installation = Installation::new();
    installation.write("colour = 1\n[server.limits]\nbody = \"x\"\n[consent]\nno_consent = 3");
    for command in [&["serve", "--config"][..], &["config", "check", "--config"]] {
        let (ended, out, errors, started) = ran(&[command, &[installation.file().as_str()]].concat());
        assert_eq!((ended, out.as_str(), started), (code(64), "", false));
        assert!(errors.starts_with("the configuration has 3 errors\n"), "{errors}");
        for key in ["policy.colour", "server.limits.body", "consent.no_consent"] {
            assert!(errors.contains(&format!("  {key} (line ")), "{key}: {errors}");
        }
    }
    installation.write("");
    std::fs::write(installation.path("policies").join("own.cedar"), "permit").unwrap();
    let (ended, _, errors, _) = ran(&["config", "check", "--config", &installation.file()]);
    assert_eq!(ended, code(64));
    assert!(errors.contains("policy.cedar_dir: own.cedar is not Cedar"), "{errors}");
}

#[test]
fn usage_help_version_and_schema() {
    for line in [&[][..], &["fly"], &["serve"], &["config"], &["serve", "--config"]] {
        let (ended, _, errors, _) = ran(line);
        assert_eq!(ended, code(64), "{line:?}");
        assert!(errors.contains("Usage") || errors.contains("--help"), "{errors}");
    }
    assert_eq!(ran(&["--help"]).0, code(0));
    assert_eq!(ran(&["version"]).1, format!("fhir-gateway {}\n", env!("CARGO_PKG_VERSION")));
    let (ended, schema, _, _) = ran(&["config", "schema"]);
    assert_eq!(ended, code(0));
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(schema.pointer("/additionalProperties"), Some(&serde_json::Value::Bool(false)));
}
