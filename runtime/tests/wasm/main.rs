//! Components in the real engine: loading, limits, traps, crashes. The guest is
//! `tests/fixtures/probe`, which needs no SDK.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests; the lints know only what is inside of test functions"
)]

mod budgets;
mod crashes;
mod handling;
mod host;
mod loading;
mod probe;
mod projects;
