//! The guests that are held against the contract: built once for this binary.

use crate::stage::{self, Run};
use everwake_testkit::{Component, Kit};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The probe as a WASM component.
pub(crate) fn wasm() -> &'static (Kit, Component) {
    static WASM: OnceLock<(Kit, Component)> = OnceLock::new();
    WASM.get_or_init(|| {
        let kit = Kit::new();
        let component = kit.build(Path::new(env!("CARGO_MANIFEST_DIR")).join("modules/probe"));
        (kit, component)
    })
}

/// An act in WASM, in a world of its own; each is run once for all tests.
pub(crate) fn run(what: &str, end: &str) -> Arc<Run> {
    type Runs = BTreeMap<(String, String), Arc<OnceLock<Arc<Run>>>>;
    static RUNS: Mutex<Runs> = Mutex::new(BTreeMap::new());
    let cell = {
        let mut runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
        runs.entry((what.to_owned(), end.to_owned())).or_default().clone()
    };
    let (kit, component) = wasm();
    cell.get_or_init(|| Arc::new(stage::run(kit, component, what, end))).clone()
}
