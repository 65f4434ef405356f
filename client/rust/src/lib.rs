//! The Rust client: connect, mirror, call.
//!
//! [`ClientCore`] is the whole client without a socket; [`Client`] drives it over QUIC. [`ReconnectingClient`] makes
//! a new session when one has ended, at the same gate or at another one.

mod core;
mod driver;
mod mirror;
mod reconnect;
mod tables;
mod tls;
mod value;

pub use core::{BrokenStream, ClientCore, ClientEvent, Greeting, GreetingError, LeftOpen, RequestError};
pub use driver::{
    CallError, Client, ClientConfig, ClientEndpoint, Closed, ConnectError, Ended, closed, open,
};
pub use mirror::Entity;
pub use reconnect::{
    ConnectionEvent, GateEntry, Over, RECONNECT_ATTEMPT_MS, RECONNECT_ATTEMPTS_MAX, RECONNECT_STABLE_MS,
    RECONNECT_WAIT_MAX_MS, RECONNECT_WAIT_MIN_MS, ReconnectConfig, ReconnectPolicy, ReconnectingClient,
    SessionEvent,
};
pub use tls::{Trust, TrustError};
pub use value::{Value, ValueError};
