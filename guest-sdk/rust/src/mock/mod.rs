//! A host for unit tests: runs a module natively, by the same path as in a component: bytes
//! in, patches out. It keeps the contract of `wit/`; what it leaves out is time budgets,
//! processes and networks.
//!
//! ```
//! # use everwake::*;
//! # #[entity] pub struct Door { open: bool }
//! # #[methods] impl Door { #[rpc(server)] fn push(&mut self) -> bool { self.open = true; self.open } }
//! # module! { name: "doors", types: [Door] }
//! let mut world = mock::World::<Module>::new();
//! let door = world.create::<Door>(());
//! assert_eq!(world.call(door.push()), Ok(true));
//! assert!(world.get(door).open);
//! ```
#![expect(clippy::panic, reason = "a test that asks for what is not there has failed")]

mod attributes;
mod clients;
mod deliver;
pub(crate) mod host;
mod settle;
mod state;
mod transaction;
mod world;

pub use clients::ClientCall;
pub use world::World;
