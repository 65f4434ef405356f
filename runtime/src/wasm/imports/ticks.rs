//! `wit/ticks.wit`.

use crate::wasm::bindings::everwake::game::ticks::{Host, Member, Neighbourhoods};
use crate::wasm::convert;
use crate::wasm::state::InstanceState;

impl Host for InstanceState {
    fn due(&mut self) -> wasmtime::Result<Vec<Member>> {
        Ok(self.host()?.due().into_iter().map(convert::member_out).collect())
    }

    fn poses(&mut self) -> wasmtime::Result<Vec<f32>> {
        Ok(self.host()?.poses())
    }

    fn neighbours(&mut self, radius: f32, type_index: Option<u32>) -> wasmtime::Result<Neighbourhoods> {
        let (offsets, found) = self.host()?.neighbours(radius, type_index);
        Ok(Neighbourhoods { offsets, found: found.into_iter().map(convert::neighbour_out).collect() })
    }

    fn move_all(&mut self, poses: Vec<f32>) -> wasmtime::Result<()> {
        Ok(self.host()?.move_all(&poses)?)
    }

    fn working_on(&mut self, index: u32) -> wasmtime::Result<()> {
        self.host()?.working_on(index);
        Ok(())
    }
}
