#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a failed expectation is a failed test"
)]

mod codes;
mod events;
mod feeding;
mod mapping;
mod server;
