//! Gate, game and a WASM chat in one process, and clients over real QUIC on the loopback.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod deployment;
mod talk;
