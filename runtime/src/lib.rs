//! The game process: spaces, entities, timers, the WASM host, records.
//!
//! # Layout
//! - [`guest`]: what a space and a module instance say to each other; one trait, two kinds.

pub mod guest;
pub mod manifest;
