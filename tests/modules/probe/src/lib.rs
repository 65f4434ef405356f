//! A module for the conformance tests. A client's [`Actor`] does one thing to the world, named by its place in the
//! contract, and then ends as it is told to: well, with an error, with a panic, or with a refusal that commits.
//!
//! Everything that comes to an actor is noted in an attribute that all clients see, so that an effect of an event
//! that was undone could not hide.

use everwake::*;

mod actor;
mod acts;
mod desk;
#[cfg(not(target_arch = "wasm32"))]
pub mod mocked;
mod runner;

pub use actor::Actor;
pub use desk::{Desk, Hall};
pub use runner::Runner;

module! {
    name: "probe",
    label: "probe",
    types: [Actor, Hall, Runner, Desk],
    capabilities: ["key-value", "broadcast"],
}
