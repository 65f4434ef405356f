//! The Rust client: connect, mirror, call.
//!
//! [`ClientCore`] is the whole client without a socket; [`Client`] drives it over QUIC.

mod core;
mod driver;
mod mirror;
mod tables;
mod tls;
mod value;

pub use core::{BrokenStream, ClientCore, ClientEvent, Greeting, GreetingError, RequestError};
pub use driver::{CallError, Client, ClientConfig, ClientEndpoint, Closed, ConnectError, closed, open};
pub use mirror::Entity;
pub use tls::{Trust, TrustError};
pub use value::{Value, ValueError};
