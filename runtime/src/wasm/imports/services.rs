//! `wit/services.wit`.

use super::{Answer, answer};
use crate::wasm::bindings::everwake::game::services::Host;
use crate::wasm::bindings::everwake::game::types::Id;
use crate::wasm::convert;
use crate::wasm::state::InstanceState;

impl Host for InstanceState {
    fn by_key(&mut self, type_index: u32, key: Vec<u8>) -> Answer<Id> {
        answer(self.host()?.service_by_key(type_index, &key).map(convert::entity_out))
    }

    fn by_number(&mut self, type_index: u32, shard: u32) -> Answer<Id> {
        answer(self.host()?.service_by_number(type_index, shard).map(convert::entity_out))
    }
}
