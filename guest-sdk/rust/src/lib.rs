//! Write the entities of a game as plain structs; Everwake runs them as a WebAssembly
//! component that can be replaced while players are connected.
//!
//! A complete module:
//!
//! ```
//! use everwake::*;
//!
//! #[client_methods]
//! pub trait AvatarClient {
//!     fn said(who: String, text: String);
//! }
//!
//! #[entity(boot, persistent, client = AvatarClient)]
//! pub struct Avatar {
//!     #[attr(client)]
//!     name: String,
//!     #[attr(all_clients, default = 100)]
//!     hp: i32,
//!     bag: Map<String, u32>,
//! }
//!
//! #[methods]
//! impl Avatar {
//!     #[rpc(own_client, limit = "30 per min")]
//!     fn say(&mut self, cx: &mut Context, text: String) {
//!         cx.all_clients(self).said(self.name.clone(), text);
//!     }
//!
//!     #[rpc(own_client)]
//!     fn give(&mut self, cx: &mut Context, to: Ref<Avatar>) -> Result<(), Fail> {
//!         self.bag.remove(&"sword".into()).ok_or("you have no sword")?;
//!         cx.with(to, |other, _| other.bag.insert("sword".into(), 1))?;
//!         Ok(())
//!     }
//! }
//!
//! module! { name: "duel", types: [Avatar] }
//! ```
//!
//! - **Fields are attributes**, and nothing else is state. What a handler changed is found and
//!   sent: entries of a [`Map`], items of a [`List`], whole values of everything else.
//! - **One event is one transaction.** An `Err` of a handler undoes all it did, [`Refused`]
//!   commits and tells the caller no, a panic undoes and starts a fresh instance.
//! - **Nothing waits.** What answers later names the method that takes the answer:
//!   `cx.call(avatar.settle(id, items)).within(secs(5)).then(on!(Self::on_settled), id)`.
//! - **Requests need no `?`**: one that the host refuses undoes the event.
//! - **Logic is tested natively**: a struct is a struct, and [`mock::World`] runs a module
//!   without WebAssembly, by the same path from bytes to patches.
//!
//! Build a component with `everwake build`, or by hand: a `cdylib` for
//! `wasm32-unknown-unknown`, linked by `wasm-component-ld`, which comes with Rust.

pub mod attribute;
#[doc(hidden)]
pub mod bindings;
pub mod calls;
pub mod cbor;
pub mod clients;
pub mod context;
pub mod entity;
pub mod failure;
mod host;
pub mod id;
pub mod kv;
pub mod list;
pub mod log;
pub mod manifest;
pub mod map;
mod mark;
pub mod methods;
pub mod migrate;
#[cfg(not(target_arch = "wasm32"))]
pub mod mock;
pub mod module;
pub mod outcome;
mod poison;
mod resident;
pub mod rng;
pub mod spaces;
pub mod tick;
pub mod types;
pub mod value;

#[doc(hidden)]
pub mod sdk;

pub use calls::{Call, Place, Reply, create};
pub use clients::{ClientInfo, Filter, give_to};
pub use context::{Context, Origin, TimerId, WatchId};
pub use everwake_macros::{attr_type, client_methods, entity, methods, module, on, service, space};
pub use failure::{Error, Fail, Refused};
pub use id::{Id, IdTextError, Ref};
pub use list::List;
pub use map::Map;
pub use migrate::State;
pub use outcome::{CallError, Fired, Gone};
pub use spaces::Neighbour;
pub use tick::{BulkTick, Tick};
pub use types::{Any, Bytes, Cache, Pose, Secret, Time, Vec3, hours, kib, mib, mins, ms, secs};

/// The module in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// So does every example of the guide.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/writing-a-module.md")]
struct Guide;
