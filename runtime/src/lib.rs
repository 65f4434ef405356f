//! The game process: spaces, entities, timers, the WASM host, records.
//!
//! # Layout
//! - [`tally`]: how much there is of everything that comes and goes.
//! - [`cargo`]: what a game puts into envelopes.
//! - [`driver`]: threads, time and bytes for the cores; or all of it in one thread.
//! - [`game`]: the core of a process: who is where, clients, versions.
//! - [`guest`]: what a space and a module instance say to each other; one trait, two kinds.
//! - [`limits`]: what a guest's requests run into.
//! - [`manifest`]: what a module says about itself.
//! - [`message`]: what spaces and the game core exchange.
//! - [`record`]: recordings of spaces, and running them again.
//! - [`replicate`]: what clients see of a space: mirrors, interest, deltas, positions.
//! - [`space`]: the actor that runs events as transactions, and everything that is state in it.
//! - [`versions`]: checked versions, small ids, differences.
//! - [`wasm`]: module instances; the only place that names wasmtime.

mod arena;
pub mod cargo;
pub mod driver;
pub mod game;
pub mod guest;
mod id_hash;
pub mod limits;
pub mod manifest;
pub mod message;
mod prefetch;
pub mod record;
pub mod replicate;
pub mod shards;
pub mod space;
pub mod tally;
pub mod versions;
pub mod wasm;
