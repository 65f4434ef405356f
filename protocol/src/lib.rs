//! What processes and clients say to each other: ids, messages, codec, limits.
//!
//! No I/O, no clock, no randomness: bytes and values in, bytes and values out.
//!
//! # Layout
//! - [`id`]: the 128-bit names of things, and their text form.
//! - [`limits`]: every limit that a peer can run into, with the attack it stops.
//! - [`cbor`]: the hand-written codec for the few CBOR shapes on hot paths.
//! - [`attributes`]: an entity's attributes as encoded spans, and patches to them.
//! - [`outcome`]: the one answer to a call.
//! - [`schema`]: what a client must know of a module: small ids, names, types.
//! - [`frame`]: cutting a stream into frames.
//! - [`client`]: frames and datagrams between a client and a gate.
//! - [`cluster`]: what gates and games say to each other.
//! - [`wire`]: the fixed binary fields that frames and messages are made of.
//! - [`backoff`]: how long to wait before the next attempt.

pub mod attributes;
pub mod backoff;
pub mod cbor;
pub mod client;
pub mod cluster;
pub mod frame;
pub mod id;
pub mod limits;
pub mod outcome;
pub mod schema;
pub mod wire;

pub use id::{EntityId, Id, SessionId};
