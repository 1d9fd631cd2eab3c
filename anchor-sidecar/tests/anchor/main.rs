#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a failed expectation is a failed test"
)]
//! The sender against a real node: the ordinary course, restarts, reorganisations, and everything that nodes say.

mod anvil;
mod course;
mod lens;
mod reorganise;
mod restart;
mod stage;
mod zoo;
