//! `wit/clients.wit`.

use super::{Answer, answer};
use crate::wasm::bindings::everwake::game::clients::{Audience, Comparison, Host, Info};
use crate::wasm::bindings::everwake::game::types::{Continuation, Id};
use crate::wasm::convert;
use crate::wasm::state::InstanceState;

impl Host for InstanceState {
    fn client_of(&mut self, entity: Id) -> wasmtime::Result<Option<Info>> {
        Ok(self.host()?.client_of(convert::entity(entity)).map(convert::client_out))
    }

    fn give(&mut self, giver: Id, taker: Id, replace: bool, then: Continuation) -> Answer<()> {
        let (giver, taker) = (convert::entity(giver), convert::entity(taker));
        answer(self.host()?.give(giver, taker, replace, convert::continuation(then)))
    }

    fn kick(&mut self, entity: Id, reason: String) -> Answer<()> {
        answer(self.host()?.kick(convert::entity(entity), reason))
    }

    fn call(&mut self, entity: Id, to: Audience, method: u32, args: Vec<u8>) -> Answer<()> {
        let (entity, to) = (convert::entity(entity), convert::audience(to));
        answer(self.host()?.call_client(entity, to, method, args.into()))
    }

    fn set_filter(&mut self, entity: Id, key: String, value: Option<String>) -> Answer<()> {
        answer(self.host()?.set_filter(convert::entity(entity), key, value))
    }

    fn broadcast(
        &mut self,
        key: String,
        compare: Comparison,
        value: String,
        type_index: u32,
        method: u32,
        args: Vec<u8>,
    ) -> Answer<()> {
        let compare = convert::comparison(compare);
        answer(self.host()?.broadcast(key, compare, value, type_index, method, args.into()))
    }
}
