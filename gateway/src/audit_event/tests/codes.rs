//! The code system `sealgate-refusal` lists the very names that the sources use.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gateway_core::reasons::RuleName;

/// What stands before a rule's name in the sources.
const BEFORE: [&str; 8] = [
    "rule: \"",
    "NoFacts(\"",
    "Unrecordable(\"",
    "Overloaded(\"",
    "Unfilterable(\"",
    "refused(\"",
    "overloaded(&gate, id, \"",
    "bad(\"",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect(path)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The text up to the closing quote, where it is a name.
fn name(rest: &str) -> Option<String> {
    rest.split('"').next().filter(|text| is_name(text)).map(str::to_owned)
}

fn sources(folder: PathBuf, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let test = path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs");
        if test || path.ends_with("audit_event") {
            continue;
        }
        if path.is_dir() {
            sources(path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(std::fs::read_to_string(path).unwrap());
        }
    }
}

/// The source on one line: a call may begin on the line above its first argument.
fn flat(source: &str) -> String {
    source.split_whitespace().collect::<Vec<_>>().join(" ").replace("( ", "(")
}

/// The names that follow `=>` in a function: `Self::X => "name"`.
fn arms(source: &str, function: &str) -> Vec<String> {
    let (_, body) = source.split_once(function).expect(function);
    let (body, _) = body.split_once("\n    }\n").expect(function);
    body.split("=> \"").skip(1).filter_map(name).collect()
}

/// The third argument of `row(status, "issue", "rule", …)`, and the like with an expression for the issue.
fn rows(source: &str) -> Vec<String> {
    source.split("row(").skip(1).filter_map(|call| name(call.split(", \"").nth(2)?)).collect()
}

/// The names that a request may be refused, hidden or failed by, as the sources have them.
fn used() -> BTreeSet<String> {
    let mut used: BTreeSet<String> = RuleName::ALL.iter().map(|rule| rule.as_str().to_owned()).collect();
    used.extend(arms(&read("core/src/interaction/refusal.rs"), "fn code(&self)"));
    let auth = read("src/auth/error.rs");
    used.extend(arms(&auth, "pub fn rule(&self)"));
    used.extend(arms(&auth, "fn rule(self)"));
    used.extend(rows(&flat(&read("src/problem.rs"))));
    let mut all = Vec::new();
    sources(root().join("src"), &mut all);
    for source in &all {
        let flat = flat(source);
        for before in BEFORE {
            used.extend(flat.split(before).skip(1).filter_map(name));
        }
        // A status may stand before the name.
        used.extend(flat.split("bad(4").skip(1).filter_map(|rest| name(rest.get(2..)?.strip_prefix(", \"")?)));
        used.extend(flat.split("JournalError::Full(_) => \"").skip(1).filter_map(name));
    }
    used
}

/// `* #name "Display" "Definition"` of the first code system.
fn listed() -> Vec<String> {
    let fsh = read("../fhir-profiles/input/fsh/codes.fsh");
    let (_, system) = fsh.split_once("CodeSystem: SealgateRefusal\n").unwrap();
    let (system, _) = system.split_once("\nValueSet:").unwrap();
    system.lines().filter_map(|line| line.strip_prefix("* #")?.split(' ').next().map(str::to_owned)).collect()
}

#[test]
fn the_code_system_lists_what_the_sources_use() {
    let listed = listed();
    let set: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(set.len(), listed.len(), "a code stands twice");
    let used = used();
    let missing: Vec<_> = used.difference(&set).collect();
    assert!(missing.is_empty(), "add to fhir-profiles/input/fsh/codes.fsh: {missing:?}");
    // Names that reach a client or an event by another way than the patterns above.
    let elsewhere = ["journal-unavailable", "journal-full", "break-glass-granted"];
    let stale: Vec<_> = set.difference(&used).filter(|name| !elsewhere.contains(&name.as_str())).collect();
    assert!(stale.is_empty(), "no source uses: {stale:?}");
}

#[test]
fn the_scan_finds_each_kind_of_name() {
    let used = used();
    for name in [
        "scope-missing",
        "method-unknown",
        "token-expired",
        "no-token",
        "version-conflict",
        "not-found",
        "consents-too-many",
        "body-too-large",
        "body-not-fhir",
        "too-many-requests",
        "owner-change",
    ] {
        assert!(used.contains(name), "{name}: the scan has gone blind");
    }
}
