//! The command on files, as whoever runs it sees it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

mod cases;
mod pcf;
mod r5;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli;

/// Files of one case.
struct Case {
    dir: tempfile::TempDir,
    line: Vec<OsString>,
}

impl Case {
    fn of(context: &Value) -> Self {
        let case = Self { dir: tempfile::tempdir().unwrap(), line: Vec::new() };
        case.with("context", context)
    }

    fn with(self, option: &str, content: &Value) -> Self {
        self.text(option, &content.to_string())
    }

    fn text(self, option: &str, content: &str) -> Self {
        let file = self.dir.path().join(format!("{}.json", self.line.len()));
        std::fs::write(&file, content).unwrap();
        self.plain(option, &file)
    }

    fn plain(mut self, option: &str, value: impl AsRef<Path>) -> Self {
        self.line.extend([format!("--{option}").into(), value.as_ref().as_os_str().to_owned()]);
        self
    }

    fn ran(&self) -> (String, String, String) {
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let line = ["fhir-gateway".into(), "decide".into()].into_iter().chain(self.line.iter().cloned());
        let code = cli::run(line, |_| panic!("no server"), &mut out, &mut errors);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (format!("{code:?}"), text(out), text(errors))
    }

    fn decided(&self) -> Value {
        let (code, out, errors) = self.ran();
        assert_eq!(code, format!("{:?}", ExitCode::SUCCESS), "{errors}");
        assert!(out.ends_with("}\n") && out.lines().count() == 1, "{out}");
        serde_json::from_str(&out).unwrap()
    }

    /// The verdict, and each row's decision, in one word each.
    fn words(&self) -> Vec<String> {
        let answer = self.decided();
        let rows = answer["results"].as_array().unwrap().iter().map(|row| row["decision"].clone());
        std::iter::once(answer["verdict"].clone()).chain(rows).map(|word| word.as_str().unwrap().to_owned()).collect()
    }

    fn refused(&self, with: &str) {
        let (code, out, errors) = self.ran();
        assert_eq!((code, out.as_str()), (format!("{:?}", ExitCode::from(64)), ""), "{errors}");
        assert!(errors.contains(with) && errors.ends_with('\n'), "{with}: {errors}");
    }
}

fn consent(id: &str, provision: &Value) -> Value {
    json!({
        "resourceType": "Consent", "id": id, "meta": {"versionId": "3"}, "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": "Patient/p"}, "dateTime": "2026-01-10", "provision": provision
    })
}

fn observation(id: &str, patient: &str) -> Value {
    json!({
        "resourceType": "Observation", "id": id, "status": "final", "subject": {"reference": format!("Patient/{patient}")},
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]}, "effectiveDateTime": "2026-03-02"
    })
}

fn purposes(codes: &[&str]) -> Value {
    let codings = codes.iter().map(|code| json!({"system": gateway_core::purpose::SYSTEM, "code": code}));
    Value::Array(codings.collect())
}
