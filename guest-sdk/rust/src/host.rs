//! The imports: the real ones in a component.

pub(crate) use crate::bindings::everwake::game::{
    calls, clients, entities, key_value, log, services, spaces, ticks, timers, watches,
};
