//! Holds the clients' QUIC connections: sessions, limits, fan-out.
//!
//! [`GateCore`] decides everything and does nothing; [`Gate`] moves bytes and time between it,
//! quinn and the dispatchers' channels.
//!
//! # Policies
//! - What a client may send is counted ([`GateLimits`]); over a hard limit its connection is closed,
//!   over a soft one its request is answered not-run.
//! - Where a client comes from counts once it has shown to be there: so many connections, and newcomers in
//!   a minute, of one address. When many handshakes are under way that have not shown it, newcomers must.
//! - What waits for a client is bounded. Over the bound, or when a write stalls, the connection is
//!   closed ([`everwake_protocol::client::CloseCode::Slow`]): frames are never left out of a
//!   stream. Positions may be lost, the newest wins.
//! - The dispatchers' channel is bounded. When it is full requests are answered not-run `overloaded`,
//!   new clients are sent away, moves are lost; the end of a session is always told.
//! - Who has a client is for the gate to say: it shows one game's view after the other's, and gives a client whose
//!   entity was lost with its game another one.
//! - Between a gate and dispatchers of other processes is its [`office`].

mod connection;
mod core;
mod driver;
mod limits;
mod logbook;
mod modules;
pub mod office;
mod origins;
mod pending;
mod playing;
mod post;
mod queue;
mod session;
mod targets;
mod values;
mod views;

pub use core::GateCore;
pub use driver::{CertificateSource, Gate, GateConfig, GateError, office::serve as serve_office, run};
pub use limits::GateLimits;
pub use values::{ConnectionId, GateInput, GateOutput, GateStatus};
