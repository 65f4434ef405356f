//! Routes messages to where entities live: the dispatcher's core, and the side of it that every process has.
//!
//! Every message to an entity goes by the one dispatcher that its id decides, in a single process too: that is what
//! keeps order when both ends move (rule C8). Redelivery is end to end: the [`Member`] of the sending process
//! keeps a message until its receiver has acknowledged it, so a dispatcher may die at any time.
//! `docs/dispatchers.md` has every byte, and the life of a message, of a move, of a death.
//!
//! The cores have no I/O, no clock, no randomness; nothing leaves them in the order of a hash map.
//!
//! # Layout
//! - [`limits`]: every limit, with the failure that it stops.
//! - [`router`]: the dispatcher: directory, parking, placing, deaths.
//! - [`member`]: a process's side of all dispatchers: outbox, acknowledgements, reports.
//! - [`marks`]: what a receiver has taken: drops doubles, and what is behind a hole.
//! - [`share`]: which dispatcher something goes by, and in which class of a link.
//! - [`driver`]: both sides over TCP.

mod bounded;
pub mod driver;
pub mod limits;
pub mod marks;
pub mod member;
pub mod router;
pub mod share;
#[cfg(test)]
mod simulation;

pub use marks::{Marks, Taken};
pub use member::{Member, MemberConfig, MemberEvent, MemberInput, MemberOutput, Say, lane_sender};
pub use router::{Fact, Router, RouterConfig, RouterInput, RouterOutput};
