//! A stranger's check: a bundle of the real sidecar, given to what is no Rust of ours. The page `verify.html` in Chromium, its verifier under
//! Node.js, and the manual steps in Python say Verified, and each notices a bit.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use super::Skip;
use super::told::{serves, until};
use crate::demo::cast::Role;
use crate::harness::sidecar::Sidecar;
use crate::harness::stack::Stack;
use crate::harness::workspace;

/// What each says of one bundle.
struct Said {
    /// The verifier of the page, under Node.js: verdicts and codes.
    verifier: Value,
    /// What a reader of the page sees; nothing where Chromium does not run here.
    page: Option<Value>,
    /// What the manual steps print.
    by_hand: String,
}

/// A doctor's read, proven by the sidecar, is Verified by all three against the real chain; with one bit changed it is not.
pub(super) async fn a_real_bundle_is_checked_without_our_programs(stack: &mut Stack) -> Result<()> {
    let doctor = stack.gateway()?.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let request = serves(&doctor).await?.to_string();
    let folder = stack.folder.join("stranger");
    std::fs::create_dir_all(&folder)?;
    let (bundle, trust) = (folder.join("access.sealproof.json"), folder.join("trust.json"));
    stack.sidecar()?.trust_file(&trust).await?;
    prove(stack, &request, &bundle).await?;

    let said = asked(stack, &bundle, &trust).await?;
    let verdict = said.verifier.get("verdict").and_then(Value::as_str);
    ensure!(verdict == Some("verified"), "the verifier says {}", said.verifier);
    ensure!(said.by_hand.lines().next_back() == Some("Verified"), "by hand: {}", said.by_hand);
    if let Some(page) = &said.page {
        ensure!(seen(page) == Some("Verified"), "the page says {page}");
        ensure!(page.get("said") == Some(&Value::Array(Vec::new())), "the browser complains: {page}");
    }

    let whole = std::fs::read(&bundle)?;
    for after in [r#""subject":""#, r#""account_proof":["f"#, r#""leaf":""#] {
        std::fs::write(&bundle, flipped(&whole, after)?)?;
        let said = asked(stack, &bundle, &trust).await?;
        let verdict = said.verifier.get("verdict").and_then(Value::as_str);
        ensure!(verdict == Some("not-verified"), "a bit after {after}: {}", said.verifier);
        ensure!(said.by_hand.contains("NOT verified: "), "a bit after {after}, by hand: {}", said.by_hand);
        let seen = said.page.as_ref().map(seen);
        ensure!(seen.is_none_or(|seen| seen == Some("NOT verified")), "a bit after {after}: the page says {seen:?}");
    }
    Ok(())
}

fn seen(page: &Value) -> Option<&str> {
    page.get("verdict").and_then(Value::as_str)
}

/// The bytes with the lowest bit of the one changed that stands after `place`.
fn flipped(whole: &[u8], place: &str) -> Result<Vec<u8>> {
    let start = whole.windows(place.len()).position(|part| part == place.as_bytes());
    let at = start.with_context(|| format!("the bundle has no {place}"))? + place.len();
    let mut changed = whole.to_vec();
    *changed.get_mut(at).context("the bundle ends there")? ^= 1;
    Ok(changed)
}

/// Makes the bundle of a request, as soon as a final anchor covers it.
async fn prove(stack: &Stack, request: &str, bundle: &Path) -> Result<()> {
    let gateway = stack.gateway()?;
    let token = text(&gateway.admin_token_file)?;
    let prove = ["prove", "--request", request, "--gateway", &gateway.admin, "--admin-token-file", token];
    let prove = [prove.as_slice(), &["--sidecar", &stack.sidecar()?.url, "--out", text(bundle)?]].concat();
    until("proven", Duration::from_secs(90), async || Ok((Sidecar::command(&prove).await?.0 == 0).then_some(()))).await
}

/// Asks `evidence/verify/check --answer`, which prints a line of JSON for the verifier, one for the page, and what the manual steps print.
async fn asked(stack: &Stack, bundle: &Path, trust: &Path) -> Result<Said> {
    let mut check = Command::new(workspace::root()?.join("evidence/verify/check"));
    check.arg("--answer").args([bundle, trust]).arg(&stack.anvil()?.rpc).stdin(Stdio::null()).kill_on_drop(true);
    let output = check.output().await.context("evidence/verify/check cannot be started")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.code() == Some(3) {
        return Err(Skip("the packages of verify.html cannot be had here".to_owned()).into());
    }
    ensure!(output.status.success(), "{}: {said}{}", output.status, String::from_utf8_lossy(&output.stderr));
    let mut lines = said.splitn(3, '\n');
    let mut line = || lines.next().context("a line is missing");
    let verifier = serde_json::from_str(line()?)?;
    let page: Value = serde_json::from_str(line()?)?;
    Ok(Said { verifier, page: (!page.is_null()).then_some(page), by_hand: line()?.trim_end().to_owned() })
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}
