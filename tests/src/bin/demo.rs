//! `cargo demo`: a real FHIR server with patients, a real chain, sidecar and gateway, and what to try on them.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what this program has to say goes to a terminal")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use e2e::demo::cast::Role;
use e2e::demo::state::{Folder, Issuer, State};
use e2e::demo::{consents, edits, passed, settings, story};
use e2e::harness::fhir::Fhir;
use e2e::harness::hapi::HapiOptions;
use e2e::harness::stack::{Data, Server, Stack, StackOptions};
use e2e::harness::{load, say, workspace};

/// Starts everything, prints what to try, and ends all of it at Ctrl-C.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Plays the story unattended; exits 0 only if each step did what it should.
    #[arg(long)]
    smoke: bool,
    /// Transaction bundles to load beside the demo's own patients (eight patients at most, or --patients).
    #[arg(long)]
    data: Option<PathBuf>,
    /// How many patients of --data are loaded at most.
    #[arg(long, default_value_t = 8)]
    patients: usize,
    /// A FHIR server that runs already; nothing of the demo's own is loaded into it unless --data says so.
    #[arg(long, conflicts_with = "upstream_server")]
    upstream: Option<String>,
    /// The FHIR server to start.
    #[arg(long, value_enum, default_value = "hapi")]
    upstream_server: UpstreamServer,
    /// Only FHIR server, chain and issuer.
    #[arg(long)]
    without_gateway: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Prints a token of the demo's issuer, also while the demo runs.
    Token {
        /// JSON file with the claims, any; `-` reads standard input. Issuer, audience and times are added unless it has them; null leaves one out.
        #[arg(long)]
        claims: PathBuf,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum UpstreamServer {
    /// HAPI FHIR JPA, the reference.
    Hapi,
    /// The program that SEALGATE_HFS names.
    Hfs,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.command {
        Some(Command::Token { claims }) => token(claims).map(|()| true),
        None => Box::pin(demo(&arguments)).await,
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(3)
        }
    }
}

fn token(claims: &std::path::Path) -> Result<()> {
    let text = if claims == std::path::Path::new("-") {
        std::io::read_to_string(std::io::stdin())?
    } else {
        std::fs::read_to_string(claims).with_context(|| format!("{} cannot be read", claims.display()))?
    };
    let claims: serde_json::Value = serde_json::from_str(&text).context("the claims are no JSON")?;
    anyhow::ensure!(claims.is_object(), "the claims are no JSON object");
    println!("{}", Folder::open()?.token(&claims)?);
    Ok(())
}

/// Gives whether each step did what it should; without a story, whether all started.
async fn demo(arguments: &Arguments) -> Result<bool> {
    let folder = Folder::open()?;
    folder.forget_state();
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let mut started = tokio::select! {
        started = start(arguments, &folder) => started?,
        _ = &mut interrupted => {
            say::step("interrupted: everything that was started ends");
            return Ok(false);
        }
    };
    let Some(state) = state(&started, &folder).await? else {
        println!("FHIR server  {}", started.upstream.base());
        if let Some(chain) = &started.anvil {
            println!("chain        {} (chain id {})", chain.rpc, chain.chain_id);
        }
        println!("issuer       {}", started.issuer.url);
        println!("Ctrl-C ends all of it.");
        interrupted.await?;
        return Ok(true);
    };
    let _published = folder.publish(&state)?;
    if arguments.data.is_some() {
        report_passed(&started, &state).await?;
    }
    if arguments.smoke {
        let mut report = story::Report::default();
        let request = story::play(&state, &mut report).await?;
        edits::play(&mut started, &state, request.as_deref(), &mut report).await;
        println!("{}", report.json());
        return Ok(report.succeeded());
    }
    print_what_to_try(&state, &folder, arguments.upstream.is_none());
    interrupted.await?;
    println!();
    say::step("everything ends");
    Ok(true)
}

async fn start(arguments: &Arguments, folder: &Folder) -> Result<Stack> {
    let mut options = StackOptions::whole("demo")?;
    options.folder = folder.parts();
    options.issuer_keys = Some(folder.issuer_keys());
    options.sidecar = !arguments.without_gateway;
    options.gateway = !arguments.without_gateway;
    options.gateway_more = settings::gateway()?;
    options.server = match (&arguments.upstream, arguments.upstream_server) {
        (Some(base), _) => Server::At(base.clone()),
        (None, UpstreamServer::Hapi) => Server::Hapi(HapiOptions::default()),
        (None, UpstreamServer::Hfs) => Server::Hfs,
    };
    if arguments.upstream.is_some() {
        options.data = Data::None;
    }
    let mut stack = Stack::start(options).await?;
    folder.remember_issuer(&Issuer { url: stack.issuer.url.clone(), audience: stack.issuer.audience.clone() })?;
    if let Some(data) = &arguments.data {
        let direct = stack.direct()?;
        let loaded = load::folder(&direct, data, Some(arguments.patients)).await?;
        consents::permit_all(&direct, &loaded.patients).await?;
        say::step(&format!(
            "{} resources of {} patients in {:.1} s, and a Consent that permits treatment for each patient",
            loaded.total(),
            loaded.patients.len(),
            loaded.took.as_secs_f64()
        ));
        stack.loaded = loaded;
    }
    Ok(stack)
}

/// What the demo publishes; nothing where it has no gateway.
async fn state(stack: &Stack, folder: &Folder) -> Result<Option<State>> {
    let (Some(gateway), Some(sidecar), Some(chain)) = (&stack.gateway, &stack.sidecar, &stack.anvil) else {
        return Ok(None);
    };
    let registration = sidecar.registration.as_ref().context("the log is registered nowhere")?;
    let trust_file = folder.trust_file();
    sidecar.trust_file(&trust_file).await?;
    let tokens = Role::ALL
        .into_iter()
        .map(|role| Ok((role.name().to_owned(), folder.token(&role.claims())?)))
        .collect::<Result<BTreeMap<_, _>>>()?;
    Ok(Some(State {
        gateway_url: gateway.url.clone(),
        admin_url: gateway.admin.clone(),
        admin_token_file: gateway.admin_token_file.clone(),
        upstream_url: stack.upstream.base().to_owned(),
        sidecar_url: sidecar.url.clone(),
        chain_rpc: chain.rpc.clone(),
        chain_id: chain.chain_id,
        contract: registration.contract.clone(),
        log_origin: sidecar.origin.clone(),
        log_id: registration.log_id.clone(),
        trust_file,
        issuer: stack.issuer.url.clone(),
        tokens,
    }))
}

/// The types that US Core searches by patient.
const BY_PATIENT: [&str; 14] = [
    "Condition",
    "Observation",
    "MedicationRequest",
    "Encounter",
    "DocumentReference",
    "Procedure",
    "Immunization",
    "AllergyIntolerance",
    "DiagnosticReport",
    "CarePlan",
    "CareTeam",
    "Goal",
    "Coverage",
    "Provenance",
];

async fn report_passed(stack: &Stack, state: &State) -> Result<()> {
    let token = state.tokens.get(Role::Doctor.name()).context("a token is missing")?;
    let gateway = Fhir::at(&state.gateway_url)?.with_token(token);
    let direct = stack.direct()?;
    let counting = passed::count(&direct, &gateway, &BY_PATIENT, &stack.loaded.patients);
    let counts = say::while_running("reading all of it through the gateway", counting).await?;
    let mut sum = passed::Passed::default();
    for (kind, count) in &counts {
        println!("{kind:20} {} of {} passed", count.through, count.direct);
        sum.through += count.through;
        sum.direct += count.direct;
        sum.foreign += count.foreign;
    }
    println!("{} of {} resources passed the gateway, for the treating doctor", sum.through, sum.direct);
    anyhow::ensure!(sum.foreign == 0, "the gateway gave {} resources that the server did not find", sum.foreign);
    Ok(())
}

fn print_what_to_try(state: &State, folder: &Folder, own_data: bool) {
    let gateway = &state.gateway_url;
    println!("\nEverything runs. Addresses:");
    println!("  gateway      {gateway}");
    println!("  admin        {}", state.admin_url);
    println!("  FHIR server  {}", state.upstream_url);
    println!("  log          {} ({})", state.sidecar_url, state.log_origin);
    println!("  chain        {} (chain id {}, contract {})", state.chain_rpc, state.chain_id, state.contract);
    println!("\nTokens (also in {}):", folder.state_file().display());
    for (role, variable) in [(Role::Doctor, "DOCTOR"), (Role::Researcher, "RESEARCHER"), (Role::Patient, "PATIENT")] {
        if let Some(token) = state.tokens.get(role.name()) {
            println!("  # {}\n  {variable}={token}", role.description());
        }
    }
    println!("\nTry:");
    if own_data {
        print_story(state);
    } else {
        println!(
            "  # what the doctor may see of your server (nothing of the demo was loaded into it); ID keeps the request's id"
        );
        println!("  curl -i -H \"Authorization: Bearer $DOCTOR\" '{gateway}/Patient?_count=5' | tee answer.txt");
        println!("  {KEEP_ID}");
        println!("  # the same for research, without names and addresses");
        println!("  curl -s -H \"Authorization: Bearer $RESEARCHER\" '{gateway}/Patient?_count=5'");
    }
    let sidecar = workspace::programs()
        .map(|(folder, _)| folder.join("anchor-sidecar").display().to_string())
        .unwrap_or_else(|_| "anchor-sidecar".to_owned());
    println!(
        "  # proven and verified on the chain: that request (exit code 2 says that its anchor is on its way: repeat both)"
    );
    println!(
        "  {sidecar} prove --request $ID --gateway {} --admin-token-file {} --sidecar {} --out access.sealproof.json",
        state.admin_url,
        state.admin_token_file.display(),
        state.sidecar_url
    );
    println!(
        "  {sidecar} verify access.sealproof.json --trust {} --rpc {}",
        state.trust_file.display(),
        state.chain_rpc
    );
    if let Ok(root) = workspace::root() {
        println!("  # the same without any program of Sealgate's: open this page, drop access.sealproof.json and");
        println!("  # {} on it, and give it {} as the node", state.trust_file.display(), state.chain_rpc);
        println!("  xdg-open {}", root.join("evidence/verify/verify.html").display());
    }
    println!("\nCtrl-C ends all of it.");
}

/// Takes the request's id out of an answer.
const KEEP_ID: &str = r"ID=$(sed -n 's/^x-request-id: *\([0-9a-f-]*\).*/\1/Ip' answer.txt)";

/// The story by hand, on the demo's own patients.
fn print_story(state: &State) {
    let gateway = &state.gateway_url;
    let consent = "Consent/alder-treatment";
    println!("  # permitted: Maya Alder lets Northfield treat her; ID keeps the request's id");
    println!("  curl -i -H \"Authorization: Bearer $DOCTOR\" {gateway}/Condition/alder-hypertension | tee answer.txt");
    println!("  {KEEP_ID}");
    println!("  # refused: Ines Cedar opted out; it answers as if she did not exist");
    println!("  curl -i -H \"Authorization: Bearer $DOCTOR\" {gateway}/Patient/cedar");
    println!("  # redacted: Tomas Birch keeps HIV and substance use to himself (the FHIR server has three Conditions)");
    println!("  curl -s -H \"Authorization: Bearer $DOCTOR\" '{gateway}/Condition?patient=Patient/birch'");
    println!("  # redacted: research sees Ravi Dogwood without name and address");
    println!("  curl -s -H \"Authorization: Bearer $RESEARCHER\" {gateway}/Patient/dogwood");
    println!("  # revoked: Maya Alder closes her record, and the doctor's next request finds nothing");
    println!("  curl -s -H \"Authorization: Bearer $PATIENT\" {gateway}/{consent} > consent.json");
    println!("  sed 's/\"permit\"/\"deny\"/' consent.json | curl -i -X PUT -H \"Authorization: Bearer $PATIENT\" \\");
    println!("    -H 'Content-Type: application/fhir+json' --data-binary @- {gateway}/{consent}");
    println!("  curl -i -H \"Authorization: Bearer $DOCTOR\" {gateway}/Condition/alder-hypertension");
    println!("  # given back: she puts the Consent as it was");
    println!("  curl -i -X PUT -H \"Authorization: Bearer $PATIENT\" -H 'Content-Type: application/fhir+json' \\");
    println!("    --data-binary @consent.json {gateway}/{consent}");
}
