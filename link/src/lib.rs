//! A typed, ordered, bounded message pipe between processes: in-process or TCP.
//!
//! A link joins two processes by name and outlives its connections. It keeps order within a lane, says what got
//! lost at a cut, and never sends again: who needs that does it end to end. Everything that waits is bounded;
//! what does not fit is given back to its author, and nobody stops reading because an output is full.
//! `docs/links.md` has every byte.
//!
//! # Layout
//! - [`names`]: who is at an end: role, name, incarnation.
//! - [`limits`]: every limit, with the failure that it stops.
//! - [`frame`]: the bytes: frames, and the decoder that cuts a stream into them.
//! - [`handshake`]: the greeting, and why it may be refused.
//! - `greeter`: the first frame of a connection that a listener took.
//! - `credit`, `queue`: what may be sent, and what waits.
//! - [`core`]: the state machine of one end. No I/O.
//! - [`pair`]: both ends in one process.
//! - [`handle`]: what an owner holds of a link that is driven by tokio.
//! - [`local`]: a pair, driven by tokio. [`tcp`]: the driver with sockets. [`tls`]: the same between machines. [`certs`]: certificates for it.

mod credit;
mod greeter;
mod queue;

pub mod certs;
pub mod core;
pub mod frame;
pub mod handle;
pub mod handshake;
pub mod limits;
pub mod local;
pub mod names;
pub mod pair;
pub mod tcp;
pub mod tls;

pub use core::{
    Config, ConnectionId, Core, DownReason, Event, Input, Lost, Outgoing, Output, Refused, Session, Side, Up,
};
pub use credit::cost;
pub use frame::{Batch, Class, Decoder, Frame, FrameError, Lane, PerLane};
pub use greeter::{Greeted, Greeter};
pub use handle::{Link, Receiver, Sender};
pub use handshake::{HandshakeError, Hello};
pub use limits::{Limits, LimitsError};
pub use names::{Identity, NameError, PeerName, Role};
pub use pair::Pair;
pub use queue::Waiting;
pub use tls::Tls;
