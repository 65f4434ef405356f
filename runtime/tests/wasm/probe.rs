//! The probe, built once for all tests, and what they do with it.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use everwake_builder::{Build, Profile};
use everwake_protocol::{EntityId, Id};
use everwake_runtime::guest::{Event, EventKind, Guest, Origin, Verdict};
use everwake_runtime::wasm::{Engine, EngineConfig, LoadedVersion, Loader, WasmGuest};

use crate::host::Recorder;

/// As in `METHODS` of the probe.
pub const NOTHING: u32 = 0;
pub const COUNT: u32 = 1;
pub const PATCH: u32 = 2;
pub const SPIN: u32 = 3;
pub const GROW: u32 = 4;
pub const RECURSE: u32 = 5;
pub const BAD_PATCH: u32 = 6;
pub const PANIC: u32 = 7;
pub const REFUSE: u32 = 8;
pub const LOAD: u32 = 9;
pub const FULL: u32 = 10;
pub const GATHER_TOO_MUCH: u32 = 11;
pub const DIVIDE: u32 = 12;

/// The component, with symbols, as it would be published.
pub fn component() -> &'static [u8] {
    static COMPONENT: OnceLock<Vec<u8>> = OnceLock::new();
    COMPONENT.get_or_init(|| {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let build = Build::new(&tests.join("tests/fixtures/probe"), Profile::Release)
            .target_dir(&tests.join("../target/everwake-guests"));
        build.run(&mut |_| {}).unwrap_or_else(|error| panic!("{error}")).bytes
    })
}

/// One engine that cuts by time, shared by all tests.
pub fn loaded() -> Arc<LoadedVersion> {
    static LOADED: OnceLock<Arc<LoadedVersion>> = OnceLock::new();
    LOADED.get_or_init(|| load(EngineConfig { instances: 64, ..EngineConfig::default() })).clone()
}

pub fn load(config: EngineConfig) -> Arc<LoadedVersion> {
    let engine = Engine::new(config).unwrap();
    Loader::new(engine).load(component()).unwrap()
}

pub fn event(method: u32, amount: u8) -> Event {
    Event {
        kind: EventKind::Call,
        entity: EntityId(Id([1, 2, 3, 4])),
        type_index: 0,
        method,
        origin: Origin::Host,
        revision: 0,
        now_ms: 1_800_000_000_000,
        seed: [1, 2, 3, 4],
        args: Bytes::from(vec![0x81, amount]),
    }
}

/// Runs an event, and shows what it asked of the host.
pub fn run(guest: &mut WasmGuest, method: u32, amount: u8) -> (Verdict, Recorder) {
    let (host, verdict) = guest.handle(&event(method, amount), Box::new(Recorder::default()));
    let host: Box<dyn std::any::Any> = host;
    (verdict, *host.downcast::<Recorder>().unwrap())
}
