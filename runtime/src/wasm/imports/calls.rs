//! `wit/calls.wit`.

use super::{Answer, answer};
use crate::guest;
use crate::wasm::bindings::everwake::game::calls::{Bounce, Host, Part};
use crate::wasm::bindings::everwake::game::types::{Continuation, Id};
use crate::wasm::state::InstanceState;
use crate::wasm::{contract, convert};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList};

pub(super) fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    type Send = (Id, Id, u32, u32, WasmList<u8>, Option<Bounce>);
    let send = |mut store: StoreContextMut<'_, InstanceState>,
                (sender, target, type_index, method, args, bounce): Send| {
        // Taken out for as long as it copies: the guest's memory is of the same store.
        let mut arena = std::mem::take(&mut store.data_mut().arena);
        let args = arena.copy(args.as_le_slice(&store));
        let state = store.data_mut();
        state.arena = arena;
        let part = guest::Part { target: convert::entity(target), type_index, method, args };
        let bounce = bounce.map(|bounce| (bounce.method, bounce.context.into()));
        Ok((answer(state.host()?.send(convert::entity(sender), part, bounce))?,))
    };
    linker.instance(&contract::interface("calls"))?.func_wrap("send", send)
}

impl Host for InstanceState {
    fn call(
        &mut self,
        target: Id,
        type_index: u32,
        method: u32,
        args: Vec<u8>,
        then: Continuation,
    ) -> Answer<()> {
        let part = part(target, type_index, method, args);
        answer(self.host()?.call(part, convert::continuation(then)))
    }

    /// Never runs: [`link`] puts another one in its place.
    fn send(
        &mut self,
        sender: Id,
        target: Id,
        type_index: u32,
        method: u32,
        args: Vec<u8>,
        bounce: Option<Bounce>,
    ) -> Answer<()> {
        let part = part(target, type_index, method, args);
        let bounce = bounce.map(|bounce| (bounce.method, bounce.context.into()));
        answer(self.host()?.send(convert::entity(sender), part, bounce))
    }

    fn post(&mut self, sender: Id, target: Id, type_index: u32, method: u32, args: Vec<u8>) -> Answer<()> {
        let part = part(target, type_index, method, args);
        answer(self.host()?.post(convert::entity(sender), part))
    }

    fn gather(&mut self, parts: Vec<Part>, then: Continuation) -> Answer<()> {
        let parts = parts.into_iter().map(convert::part).collect();
        answer(self.host()?.gather(parts, convert::continuation(then)))
    }

    fn caller(&mut self) -> wasmtime::Result<Option<Id>> {
        Ok(self.host()?.caller().map(convert::entity_out))
    }

    fn answer(&mut self, value: Vec<u8>) -> Answer<()> {
        answer(self.host()?.answer(value.into()))
    }

    fn refuse(&mut self, code: String, detail: Vec<u8>) -> Answer<()> {
        answer(self.host()?.refuse(code, detail.into()))
    }

    fn defer(&mut self) -> Answer<Id> {
        answer(self.host()?.defer().map(convert::id_out))
    }

    fn reply(&mut self, owner: Id, deferred: Id, value: Vec<u8>) -> Answer<()> {
        answer(self.host()?.reply(convert::entity(owner), convert::id(deferred), value.into()))
    }

    fn reply_refused(&mut self, owner: Id, deferred: Id, code: String, detail: Vec<u8>) -> Answer<()> {
        let (owner, deferred) = (convert::entity(owner), convert::id(deferred));
        answer(self.host()?.reply_refused(owner, deferred, code, detail.into()))
    }
}

fn part(target: Id, type_index: u32, method: u32, args: Vec<u8>) -> guest::Part {
    convert::part(Part { target, type_index, method, args })
}
