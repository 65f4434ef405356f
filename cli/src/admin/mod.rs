//! The admin API: a running deployment, steered over HTTP on loopback.
//!
//! # Layout
//! - [`types`]: what travels, the same at both ends. Reference with examples: `docs/guide/admin.md`.
//! - [`deployment`]: what the server steers, as a trait, so that it is tested without a game.
//! - [`desk`]: what every process of a cluster answers, games or not.
//! - [`server`]: axum, the bearer token, bounded bodies. [`client`]: what the commands use.

pub mod client;
pub mod deployment;
pub mod desk;
pub mod server;
pub mod types;
