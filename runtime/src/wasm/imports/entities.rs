//! `wit/entities.wit`.

use super::{Answer, answer};
use crate::wasm::bindings::everwake::game::entities::{Host, Place, State};
use crate::wasm::bindings::everwake::game::types::{Continuation, Id, Pose};
use crate::wasm::state::InstanceState;
use crate::wasm::{contract, convert};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList};

pub(super) fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    let patch = |mut store: StoreContextMut<'_, InstanceState>, (entity, changes): (Id, WasmList<u8>)| {
        // Taken out for as long as it runs: the guest's memory and the transaction are of the same store.
        let mut host = store.data_mut().lend()?;
        let done = host.patch(convert::entity(entity), changes.as_le_slice(&store));
        store.data_mut().host = Some(host);
        Ok(done?)
    };
    linker.instance(&contract::interface("entities"))?.func_wrap("patch", patch)?;
    Ok(())
}

impl Host for InstanceState {
    fn load(&mut self, entity: Id) -> wasmtime::Result<Option<State>> {
        Ok(self.host()?.load(convert::entity(entity)).map(convert::state_out))
    }

    /// Never runs: [`link`] puts another one in its place.
    fn patch(&mut self, entity: Id, changes: Vec<u8>) -> wasmtime::Result<()> {
        Ok(self.host()?.patch(convert::entity(entity), &changes)?)
    }

    fn spawn(&mut self, type_index: u32, attributes: Vec<u8>, at: Pose) -> Answer<Id> {
        let spawned = self.host()?.spawn(type_index, &attributes, convert::pose(at))?;
        answer(spawned.map(convert::entity_out))
    }

    fn destroy(&mut self, entity: Id) -> Answer<()> {
        answer(self.host()?.destroy(convert::entity(entity)))
    }

    fn create(&mut self, type_index: u32, args: Vec<u8>, at: Place, then: Continuation) -> Answer<()> {
        let (at, then) = (convert::place(at), convert::continuation(then));
        answer(self.host()?.create(type_index, args.into(), at, then))
    }
}
