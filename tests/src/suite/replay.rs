//! `fhir-gateway replay`: what other rules would have decided of what is on record.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::explain::recorded;
use super::told::{self, OPEN};
use crate::demo::cast::Role;
use crate::harness::fhir::Fhir;
use crate::harness::gateway::Gateway;
use crate::harness::stack::Stack;
use crate::harness::workspace;

/// Of a patient without a Consent.
const UNCONSENTED: &str = "Observation/hazel-bp";

/// The lines of a replay and its summary.
struct Replayed {
    lines: Vec<Value>,
    summary: Value,
}

impl Replayed {
    async fn of(gateway: &Gateway, arguments: &[&str]) -> Result<Self> {
        let arguments: Vec<&str> = ["replay"].iter().chain(arguments).copied().collect();
        let (code, text) = gateway.command(&arguments).await?;
        ensure!(code == 0, "{arguments:?} ends with {code}: {text}");
        ensure!(text.lines().any(|line| line.ends_with(" records")), "no progress: {text}");
        let lines: serde_json::Result<Vec<Value>> =
            text.lines().filter(|line| line.starts_with('{')).map(serde_json::from_str).collect();
        let mut lines = lines?;
        let summary = lines.pop().and_then(|mut last| last.get_mut("summary").map(Value::take));
        Ok(Self { lines, summary: summary.context("no summary")? })
    }

    /// Differences of resources, by resource.
    fn resources(&self) -> BTreeMap<&str, &str> {
        let differences = self.lines.iter().filter_map(|line| line.get("differences")?.as_array()).flatten();
        differences.filter_map(|d| Some((d.get("resource")?.as_str()?, d.get("difference")?.as_str()?))).collect()
    }

    fn number(&self, key: &str) -> u64 {
        self.summary.get(key).and_then(Value::as_u64).unwrap_or_default()
    }

    /// How many were not replayed for this reason.
    fn left(&self, reason: &str) -> u64 {
        let left = self.summary.get("notReplayed").and_then(Value::as_array).into_iter().flatten();
        let mut left = left.filter(|left| left.get("reason").and_then(Value::as_str) == Some(reason));
        left.next().and_then(|left| left.get("count")?.as_u64()).unwrap_or_default()
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

/// Rules that refuse more, that permit more, that take out more, and the same rules: each tells its own differences and
/// no others.
pub(super) async fn other_rules_differ_where_they_must(stack: &mut Stack) -> Result<()> {
    let options = told::second(stack, "replay", stack.upstream.base(), &json!({}))?;
    let folder = options.folder.clone();
    let mut gateway = Gateway::start(options).await?;
    let caller = |gateway: &Gateway, role: Role| -> Result<Fhir> { gateway.fhir(stack.issuer.token(&role.claims())?) };
    let (doctor, researcher) = (caller(&gateway, Role::Doctor)?, caller(&gateway, Role::Researcher)?);
    let patient = caller(&gateway, Role::Patient)?;
    let asked = [
        (&doctor, Method::GET, OPEN, 200),
        (&doctor, Method::GET, UNCONSENTED, 200),
        (&doctor, Method::GET, "Observation/cedar-bp", 404),
        (&doctor, Method::GET, "Condition?patient=Patient/birch", 200),
        (&researcher, Method::GET, UNCONSENTED, 404),
        (&researcher, Method::DELETE, OPEN, 403),
        (&patient, Method::GET, OPEN, 200),
    ];
    for (who, method, what, status) in asked.clone() {
        let answer = Fhir::send(who.request(method, what)).await?;
        ensure!(answer.status.as_u16() == status, "{what} answers {}", answer.status);
    }

    let looks = recorded(&gateway, "audit-read")?;
    let same = Replayed::of(&gateway, &["--against", text(&gateway.config)?]).await?;
    ensure!(same.lines.is_empty() && same.number("differing") == 0, "the same rules differ: {:?}", same.lines);
    ensure!(same.number("accesses") == asked.len() as u64, "accesses: {}", same.summary);
    // The two reads of alder, those of hazel, cedar's, and what the search disclosed.
    ensure!(same.number("same") >= 6, "replayed: {}", same.summary);
    ensure!(same.left("refused-before") == 1, "what scope refused: {}", same.summary);
    ensure!(same.left("not-named") > 0, "what the search withheld: {}", same.summary);
    ensure!(same.left("not-reproduced") == 0, "not reproduced: {}", same.summary);
    ensure!(recorded(&gateway, "audit-read")? == looks + 1, "the replay is not on record");

    let policy = folder.join("other.toml");
    let differs = async |rules: &str, expected: &[(&str, &str)]| -> Result<()> {
        workspace::replace(&policy, rules.as_bytes())?;
        let replayed = Replayed::of(&gateway, &["--policy", text(&policy)?]).await?;
        let found = replayed.resources();
        ensure!(found == expected.iter().copied().collect(), "{rules}: {found:?}");
        Ok(())
    };
    differs("no_consent = \"deny\"", &[(UNCONSENTED, "would-deny")]).await?;
    differs("no_consent = \"all-normal\"", &[(UNCONSENTED, "would-permit")]).await?;
    let redacting = "[consent]\nno_consent = \"basic-normal\"\n[[redaction]]\npath = \"Observation.code\"\nexcept_own_record = true";
    differs(redacting, &[(OPEN, "would-redact"), (UNCONSENTED, "would-redact")]).await?;

    // Organisational policy: a request is refused whatever it would have disclosed.
    let cedar = folder.join("other-policies");
    std::fs::create_dir_all(&cedar)?;
    let forbid =
        r#"@id("no-reads") forbid (principal, action == Action::"read", resource == ResourceType::"Observation");"#;
    workspace::replace(&cedar.join("a.cedar"), forbid.as_bytes())?;
    let replayed = Replayed::of(&gateway, &["--cedar", text(&cedar)?]).await?;
    let organisation = |line: &Value| line.pointer("/organisation/difference") == Some(&json!("would-deny"));
    ensure!(replayed.lines.len() == 5 && replayed.lines.iter().all(organisation), "{:?}", replayed.lines);
    ensure!(replayed.resources().is_empty(), "{:?}", replayed.lines);

    // Without other rules, and with a faulty file.
    let (code, told) = gateway.command(&["replay"]).await?;
    ensure!(code == 64 && told.contains("--against"), "{code}: {told}");
    workspace::replace(&policy, b"no_consent = \"perhaps\"")?;
    let (code, told) = gateway.command(&["replay", "--policy", text(&policy)?]).await?;
    ensure!(code == 64, "{code}: {told}");

    // Where no gateway runs the look is recorded all the same; what was erased is said to be.
    gateway.stop().await?;
    Connection::open(&gateway.journal)?.execute("DELETE FROM subject_key", [])?;
    let looks = recorded(&gateway, "audit-read")?;
    let erased = Replayed::of(&gateway, &["--against", text(&gateway.config)?]).await?;
    ensure!(recorded(&gateway, "audit-read")? == looks + 1, "the replay is not on record");
    ensure!(erased.left("erased") > 0 && erased.number("same") < same.number("same"), "{}", erased.summary);
    Ok(())
}
