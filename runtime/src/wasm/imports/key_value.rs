//! `wit/key-value.wit`.

use super::{Answer, answer};
use crate::wasm::bindings::everwake::game::key_value::Host;
use crate::wasm::bindings::everwake::game::types::Continuation;
use crate::wasm::convert;
use crate::wasm::state::InstanceState;

impl Host for InstanceState {
    fn get(&mut self, key: String, then: Continuation) -> Answer<()> {
        answer(self.host()?.kv_get(key, convert::continuation(then)))
    }

    fn put(&mut self, key: String, value: Option<Vec<u8>>, then: Continuation) -> Answer<()> {
        answer(self.host()?.kv_put(key, value.map(Into::into), convert::continuation(then)))
    }

    fn get_or_put(&mut self, key: String, value: Vec<u8>, then: Continuation) -> Answer<()> {
        answer(self.host()?.kv_get_or_put(key, value.into(), convert::continuation(then)))
    }

    fn compare_and_set(
        &mut self,
        key: String,
        expected: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        then: Continuation,
    ) -> Answer<()> {
        let (expected, value) = (expected.map(Into::into), value.map(Into::into));
        answer(self.host()?.kv_compare_and_set(key, expected, value, convert::continuation(then)))
    }

    fn range(&mut self, first: String, end: String, most: u32, then: Continuation) -> Answer<()> {
        answer(self.host()?.kv_range(first, end, most, convert::continuation(then)))
    }
}
