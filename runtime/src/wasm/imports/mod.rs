//! The host's side of `wit/`: one file for each interface, each function forwarded to the
//! transaction that the running event was lent.
//!
//! Arguments are guest-controlled; the transaction checks them. What it calls a misuse becomes a
//! trap here.

mod calls;
mod clients;
mod entities;
mod key_value;
mod log;
mod services;
mod spaces;
mod ticks;
mod timers;
mod watches;

use super::bindings::everwake::game::{manifests, types};
use super::convert;
use super::state::InstanceState;
use crate::guest::GuestError;

impl types::Host for InstanceState {}
impl manifests::Host for InstanceState {}

/// What an import answers: a trap outside, the guest's error inside.
type Answer<T> = wasmtime::Result<Result<T, types::Error>>;

fn answer<T>(result: Result<T, GuestError>) -> Answer<T> {
    Ok(result.map_err(convert::error_out))
}
