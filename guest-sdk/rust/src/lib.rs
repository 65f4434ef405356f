//! Write the entities of a game as plain structs; Everwake runs them as a WebAssembly
//! component that can be replaced while players are connected.

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
pub mod methods;
pub mod migrate;
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
pub use id::{Id, Ref};
pub use list::List;
pub use map::Map;
pub use migrate::State;
pub use outcome::{CallError, Fired, Gone};
pub use spaces::Neighbour;
pub use tick::{BulkTick, Tick};
pub use types::{Any, Bytes, Cache, Pose, Secret, Time, Vec3, hours, kib, mib, mins, ms, secs};
