//! `wit/timers.wit`.

use super::{Answer, answer};
use crate::wasm::bindings::everwake::game::timers::Host;
use crate::wasm::bindings::everwake::game::types::Id;
use crate::wasm::convert;
use crate::wasm::state::InstanceState;

impl Host for InstanceState {
    fn start(
        &mut self,
        owner: Id,
        method: u32,
        context: Vec<u8>,
        delay_ms: f64,
        repeat_ms: f64,
        volatile: bool,
    ) -> Answer<Id> {
        let owner = convert::entity(owner);
        let timer = self.host()?.start_timer(owner, method, context.into(), delay_ms, repeat_ms, volatile);
        answer(timer.map(convert::id_out))
    }

    fn cancel(&mut self, owner: Id, timer: Id) -> wasmtime::Result<()> {
        self.host()?.cancel_timer(convert::entity(owner), convert::id(timer));
        Ok(())
    }
}
