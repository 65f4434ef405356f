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

/// Puts imports that are made by hand over those that `bindgen!` makes: the frequent ones, whose bytes are read
/// where they lie in the guest's memory. What is made copies them into a list of its own first.
pub(super) fn link(linker: &mut wasmtime::component::Linker<InstanceState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    entities::link(linker)?;
    calls::link(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

impl types::Host for InstanceState {}
impl manifests::Host for InstanceState {}

/// What an import answers: a trap outside, the guest's error inside.
type Answer<T> = wasmtime::Result<Result<T, types::Error>>;

fn answer<T>(result: Result<T, GuestError>) -> Answer<T> {
    Ok(result.map_err(convert::error_out))
}
