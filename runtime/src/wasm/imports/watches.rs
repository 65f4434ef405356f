//! `wit/watches.wit`.

use super::{Answer, answer};
use crate::wasm::bindings::everwake::game::types::Id;
use crate::wasm::bindings::everwake::game::watches::Host;
use crate::wasm::convert;
use crate::wasm::state::InstanceState;

impl Host for InstanceState {
    fn watch(&mut self, owner: Id, target: Id, method: u32, context: Vec<u8>) -> Answer<Id> {
        let (owner, target) = (convert::entity(owner), convert::entity(target));
        answer(self.host()?.watch(owner, target, method, context.into()).map(convert::id_out))
    }

    fn unwatch(&mut self, owner: Id, watch: Id) -> wasmtime::Result<()> {
        self.host()?.unwatch(convert::entity(owner), convert::id(watch));
        Ok(())
    }
}
