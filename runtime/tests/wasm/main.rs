//! Components in the real engine: loading, limits, traps, crashes. The guest is
//! `tests/fixtures/probe`, which needs no SDK.

mod budgets;
mod crashes;
mod handling;
mod host;
mod loading;
mod probe;
mod speed;
