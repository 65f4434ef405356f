//! `wit/spaces.wit`.

use super::{Answer, answer};
use crate::wasm::bindings::everwake::game::spaces::Host;
use crate::wasm::bindings::everwake::game::ticks::Neighbour;
use crate::wasm::bindings::everwake::game::types::{Id, Pose};
use crate::wasm::convert;
use crate::wasm::state::InstanceState;

impl Host for InstanceState {
    fn current(&mut self) -> wasmtime::Result<Option<Id>> {
        Ok(self.host()?.current_space().map(convert::entity_out))
    }

    fn enter(&mut self, entity: Id, space: Id, at: Pose) -> Answer<()> {
        let (entity, space) = (convert::entity(entity), convert::entity(space));
        answer(self.host()?.enter(entity, space, convert::pose(at)))
    }

    fn leave(&mut self, entity: Id) -> Answer<()> {
        answer(self.host()?.leave(convert::entity(entity)))
    }

    fn members(&mut self, type_index: Option<u32>) -> wasmtime::Result<Vec<Id>> {
        Ok(self.host()?.members(type_index).into_iter().map(convert::entity_out).collect())
    }

    fn pose_of(&mut self, entity: Id) -> wasmtime::Result<Option<Pose>> {
        Ok(self.host()?.pose_of(convert::entity(entity)).map(convert::pose_out))
    }

    fn move_to(&mut self, entity: Id, to: Pose) -> Answer<()> {
        answer(self.host()?.move_to(convert::entity(entity), convert::pose(to)))
    }

    fn set_motion(&mut self, entity: Id, motion: Vec<u8>) -> Answer<()> {
        answer(self.host()?.set_motion(convert::entity(entity), &motion))
    }

    fn near(
        &mut self,
        center: Pose,
        radius: f32,
        type_index: Option<u32>,
    ) -> wasmtime::Result<Vec<Neighbour>> {
        let near = self.host()?.near(convert::pose(center), radius, type_index);
        Ok(near.into_iter().map(convert::neighbour_out).collect())
    }

    fn set_layers(&mut self, entity: Id, sees: u32, seen_by: u32) -> Answer<()> {
        answer(self.host()?.set_layers(convert::entity(entity), sees, seen_by))
    }

    fn allow_client_moves(&mut self, entity: Id, allowed: bool) -> Answer<()> {
        answer(self.host()?.allow_client_moves(convert::entity(entity), allowed))
    }
}
