//! What moves time, threads and bytes for the cores of a game process.
//!
//! Knows no rule of the game: whatever decides something is in [`crate::game`] or
//! [`crate::space`]. The same cores run under [`lockstep`] in one thread under virtual time.
//!
//! # Layout
//! - [`handle`]: start a game, and steer it.
//! - [`core_thread`]: the one thread of the game core.
//! - [`pool`], [`cell`]: worker threads and the spaces that they run.
//! - [`traffic`], [`ask`]: the way into the core's thread.
//! - [`loader`], [`model_loader`], [`pause`], [`reporter`]: components, stop watches, words for people.
//! - [`recording`], [`crash_recordings`]: everything that spaces do, or what led to a crash, into files.
//! - [`clock`], [`entropy`]: time and chance.
//! - [`lockstep`]: all of it in one thread, repeatable.

mod ask;
mod cell;
pub mod clock;
mod core_thread;
mod crash_recordings;
pub mod entropy;
mod handle;
pub mod loader;
pub mod lockstep;
mod model_loader;
mod pause;
mod pool;
mod recording;
mod reporter;
#[cfg(test)]
mod tests;
mod traffic;

pub use cell::SpaceSettings;
pub use handle::{
    Game, GameHandle, GameSettings, GateSink, JoinSettings, LinkSink, LiveSink, LiveVersion, OverSink,
    StartError, Stopped,
};
pub use loader::{ModuleLoader, WasmLoader};
pub use model_loader::ModelLoader;
pub use recording::{EXTENSION, RecordError, Recorded};
pub use reporter::GameEvent;
pub use traffic::Overloaded;
