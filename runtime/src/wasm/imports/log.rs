//! `wit/log.wit`.

use crate::wasm::bindings::everwake::game::log::{Host, Level};
use crate::wasm::convert;
use crate::wasm::limits::PANIC_BYTES_MAX;
use crate::wasm::state::InstanceState;

impl Host for InstanceState {
    fn line(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.host()?.log_line(convert::level(level), message);
        Ok(())
    }

    /// The one import that works outside of events: last words are wanted wherever it dies.
    fn panicked(&mut self, mut message: String) -> wasmtime::Result<()> {
        message.truncate(message.floor_char_boundary(PANIC_BYTES_MAX));
        if let Ok(host) = self.host() {
            host.panicked(message.clone());
        }
        self.last_words = Some(message);
        Ok(())
    }
}
