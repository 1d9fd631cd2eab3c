//! The program `anchor-sidecar`: see [`anchor_sidecar::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    anchor_sidecar::cli::run()
}
