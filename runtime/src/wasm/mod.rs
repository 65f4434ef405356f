//! Module instances: the only place that names wasmtime.
//!
//! Everybody else meets a component as a [`crate::guest::Guest`]. Nothing here knows spaces,
//! entities or transactions beyond the [`crate::guest::Imports`] that an event is lent.

mod bindings;
mod cache;
mod clock;
mod contract;
mod convert;
mod cpu;
mod crash;
mod describe;
mod engine;
mod imports;
mod instance;
pub mod limits;
mod load;
mod source;
mod state;
mod strip;
mod symbols;
mod trap;

pub use contract::CONTRACT;
pub use crash::{CrashBook, CrashEntry, CrashReport, CrashVersion, Fingerprint, Seen};
pub use engine::{Engine, EngineConfig, EngineError, Interruption};
pub use instance::WasmGuest;
pub use load::{CodeSource, LoadError, LoadedVersion, Loader};
pub use source::{LoadedVersions, WasmSource};
pub use symbols::{Frame, Symbols};
