//! The imports: the real ones in a component, the mock's everywhere else.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::mock::host::{
    calls, clients, entities, key_value, log, services, spaces, ticks, timers, watches,
};

#[cfg(target_arch = "wasm32")]
pub(crate) use crate::bindings::everwake::game::{
    calls, clients, entities, key_value, log, services, spaces, ticks, timers, watches,
};
