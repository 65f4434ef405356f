//! A space: the actor that runs events as transactions, and everything that is state in it.
//!
//! [`SpaceCore`] serves real spaces, nil shards and service shards alike. It is a plain state
//! machine: inputs, time and instances come in, outputs go out. No clock, no thread, no I/O.
//!
//! *Invariant:* nothing of an event can be noticed before it has committed, and nothing of one that
//! failed ever, but that its input was consumed and answered. *Invariant:* dropping the module
//! instance between two events changes nothing. *Invariant:* the same inputs, times and seeds give
//! the same outputs.
//!
//! # Layout
//! - [`core`]: the event loop; who owns the instance.
//! - [`config`]: what a space is told when it is made.
//! - `state`: the whole state, what gets into the mailbox and out of the space.
//! - `world`, `entity`: who is in it. `mailbox`, `agenda`: what waits. `fifo`: the way out.
//! - `running`: the open transaction. `transaction`: what the guest may ask in it. `settle`: its end.
//! - `deliver`, `requests`, `resume`: from the mailbox to an event.
//! - `life`, `clients`, `travel`, `tick`, `swap`, `parked`: what happens to entities.
//! - [`commit`], [`snapshot`]: records, and the whole space as data.
//! - `recent`, `images`, `weight`, `budget`: the last seconds, kept within limits.
//! - `chaos`, `charge`, `crash`, `inspect`, `tally`: disturbing, blaming, explaining, counting.
//! - [`model`]: a native guest made of closures, for tests and simulation.

mod agenda;
pub mod attributes_serde;
mod budget;
mod chaos;
mod charge;
mod clients;
pub mod commit;
pub mod config;
pub mod core;
mod crash;
mod deliver;
mod entity;
mod fifo;
mod images;
mod inspect;
mod life;
mod mailbox;
mod migrate;
pub mod model;
mod parked;
mod recent;
mod requests;
mod resume;
mod running;
mod seeds;
mod settle;
pub mod snapshot;
mod state;
mod swap;
mod tally;
mod tick;
mod transaction;
mod travel;
mod weight;
mod world;

#[cfg(test)]
mod tests;

pub use self::budget::PastBudget;
pub use self::commit::{Commit, CommitVerdict, Delta, DropReason, Effect, InstanceChange, Recorder};
pub use self::config::{Chaos, SpaceConfig, SpaceKind};
pub use self::core::SpaceCore;
pub use self::recent::{Happened, Past};
pub use self::snapshot::{RestoreError, SpaceSnapshot};
pub use self::state::Counts;
