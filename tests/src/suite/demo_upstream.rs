//! `cargo demo -- --upstream URL`: the demo before a FHIR server that is there already.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;

use super::{Skip, told};
use crate::demo::cast::Role;
use crate::demo::state::{Folder, State};
use crate::harness::fhir::{Fhir, client};
use crate::harness::hapi::{Hapi, HapiOptions};
use crate::harness::process::Part;
use crate::harness::sidecar::Sidecar;
use crate::harness::stack::Stack;
use crate::harness::{load, programs, workspace};

/// It starts, says what to try, enforces and proves; it writes nothing into the server, and leaves it behind as it was.
pub(super) async fn a_server_that_is_there_is_served_and_left_alone(stack: &mut Stack) -> Result<()> {
    let folder = Folder::open()?;
    if let Some(running) = published(&folder)
        && client()?.get(format!("{}/livez", running.admin_url)).send().await.is_ok()
    {
        return Err(Skip("a demo runs already, and this one would take its place".to_owned()).into());
    }
    let hapi = Hapi::start(&stack.tools, "e2e-demo-upstream-hapi", &HapiOptions::default()).await?;
    let server = Fhir::at(&hapi.base)?;
    load::folder(&server, &workspace::package("data/demo"), None).await?;
    let kinds = ["Patient", "Consent", "Condition", "Observation", "AuditEvent"];
    let counts = async || -> Result<Vec<u64>> {
        let mut counts = Vec::new();
        for kind in kinds {
            counts.push(server.count(kind).await?);
        }
        Ok(counts)
    };
    let before = counts().await?;

    let program = programs::demo().await?;
    let mut demo = Part::new("e2e-demo-upstream", program).args(["--upstream", &hapi.base]).start()?;
    let state = demo
        .ready(Duration::from_secs(240), async |output: &str| {
            if output.contains("Ctrl-C ends all of it.") { published(&folder) } else { None }
        })
        .await?;
    ensure!(state.upstream_url == hapi.base, "it stands before {}", state.upstream_url);
    let said = demo.output()?;
    for part in ["nothing of the demo was loaded into it", "Patient?_count=5", "prove --request", "verify"] {
        ensure!(said.contains(part), "it does not print `{part}`:\n{said}");
    }
    let token = |role: Role| state.tokens.get(role.name()).context("a token is missing");
    let doctor = Fhir::at(&state.gateway_url)?.with_token(token(Role::Doctor)?);
    let researcher = Fhir::at(&state.gateway_url)?.with_token(token(Role::Researcher)?);
    // What it says to try, and what must come of it with these data.
    doctor.get("Patient?_count=5").await?.success()?;
    researcher.get("Patient?_count=5").await?.success()?;
    let request = told::serves(&doctor).await?;
    ensure!(
        doctor.get("Patient/cedar").await?.status == StatusCode::NOT_FOUND,
        "a Consent of the server is not enforced"
    );
    proven(&state, &request.to_string()).await?;
    ensure!(counts().await? == before, "it wrote into the server: {before:?} of {kinds:?} before");

    demo.interrupt()?;
    let status = demo.ended(Duration::from_secs(90)).await?;
    ensure!(status.success(), "it ends with {status}");
    ensure!(published(&folder).is_none(), "its state.json is there still");
    server.read("metadata").await.context("the server is gone")?;
    ensure!(counts().await? == before, "it changed the server at its end");
    Ok(())
}

/// What a demo says of itself, where one has.
fn published(folder: &Folder) -> Option<State> {
    serde_json::from_slice(&std::fs::read(folder.state_file()).ok()?).ok()
}

/// The two commands that it prints, until the anchor is there.
async fn proven(state: &State, request: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("access.sealproof.json");
    let text = |path: &std::path::Path| path.to_str().map(str::to_owned).context("a path that is no text");
    let (bundle, trust, token) = (text(&bundle)?, text(&state.trust_file)?, text(&state.admin_token_file)?);
    let prove = ["prove", "--request", request, "--gateway", &state.admin_url, "--admin-token-file", &token];
    let prove = [prove.as_slice(), &["--sidecar", &state.sidecar_url, "--out", &bundle]].concat();
    told::until("proven", Duration::from_secs(90), async || Ok((Sidecar::command(&prove).await?.0 == 0).then_some(())))
        .await?;
    let (code, said) = Sidecar::command(&["verify", &bundle, "--trust", &trust, "--rpc", &state.chain_rpc]).await?;
    ensure!(code == 0, "verify ends with {code}: {said}");
    Ok(())
}
