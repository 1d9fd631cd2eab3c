//! `fhir-gateway`: the command line of the gateway.

use std::process::ExitCode;
use std::sync::Arc;

use fhir_gateway::config::Config;
use fhir_gateway::telemetry::Telemetry;
use fhir_gateway::{cli, server};
use mimalloc::MiMalloc;

#[global_allocator]
static MEMORY: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // One provider of cryptography for TLS, whatever features the dependencies ask for.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    cli::run(std::env::args_os(), serve, &mut std::io::stdout(), &mut std::io::stderr())
}

fn serve(config: Config) -> ExitCode {
    actix_web::rt::System::new().block_on(async move {
        let (telemetry, metrics) = match Telemetry::start(&config.telemetry) {
            Ok(started) => started,
            Err(fault) => return failed(&fault),
        };
        let ended = server::run(config, Arc::new(metrics)).await;
        telemetry.shutdown();
        match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(fault) => failed(&fault),
        }
    })
}

fn failed(fault: &dyn std::fmt::Display) -> ExitCode {
    use std::io::Write as _;
    drop(writeln!(std::io::stderr(), "fhir-gateway cannot serve: {fault}"));
    ExitCode::FAILURE
}
