//! Drives a built component, in any language, in the real cores under virtual time.
//!
//! A [`World`] is a whole deployment in one thread: the gate's core, the game's core, all spaces, and a client's
//! core for each [`Player`]. No socket, no sleep; a minute passes in microseconds, and the same seed gives the same
//! run. What is tested is the component that players would get.
//!
//! ```no_run
//! use everwake_testkit::{Kit, World};
//! use std::time::Duration;
//!
//! let kit = Kit::new();
//! let chat = kit.build("samples/chat");
//! let mut world = World::new(&kit).seed(7).module(&chat).start();
//! let alice = world.connect("chat");
//! world.call(alice, "login", &["alice".into()]).unwrap();
//! world.call(alice, "join", &["hall".into()]).unwrap();
//! world.advance(Duration::from_secs(1));
//! assert_eq!(world.attribute(alice, "room"), "hall".into());
//! ```
//!
//! Whatever cannot be in a test that makes sense (a module that does not build, a world that never rests) fails the
//! test with a sentence; what the game answers comes back as a value.

#![expect(clippy::panic, reason = "a testkit fails the test that uses it wrongly, with a sentence")]

mod kit;
mod player;
mod shelf;
pub mod soak;
mod world;

pub use everwake_client::{Entity, Value};
pub use everwake_protocol::client::Pose;
pub use everwake_protocol::outcome::{Certainty, Outcome};
pub use everwake_protocol::{EntityId, Id};
pub use everwake_runtime::game::report::PublicationReport;
pub use everwake_runtime::tally::Tally;
pub use kit::{Component, Kit};
pub use player::{Called, Player, Request};
pub use world::{World, WorldBuilder, chaos_of_environment};
