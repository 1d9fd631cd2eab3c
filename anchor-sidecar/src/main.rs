//! The program `anchor-sidecar`: see [`anchor_sidecar::cli`].

use std::process::ExitCode;

use mimalloc::MiMalloc;

#[global_allocator]
static MEMORY: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    anchor_sidecar::cli::run()
}
