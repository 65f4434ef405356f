//! The probe by hand, for the native model guest: the same behaviour, written against the host's side of the
//! contract instead of the SDK, under the manifest of the component.

mod actor;
mod acts;
mod cx;
mod others;

use crate::guests::rust;
use everwake_runtime::driver::ModelLoader;
use everwake_runtime::manifest::Manifest;
use everwake_runtime::space::model::Model;
use everwake_runtime::wasm::{Engine, EngineConfig, Loader};
use everwake_testkit::{Component, Kit};
use std::sync::OnceLock;

/// The probe as closures.
pub(crate) fn native() -> &'static (Kit, Component) {
    static NATIVE: OnceLock<(Kit, Component)> = OnceLock::new();
    NATIVE.get_or_init(|| {
        let manifest = manifest_of(&rust().component);
        let model = others::handlers(actor::handlers(Model::new(&manifest)));
        let loader = ModelLoader::default();
        let component = Component(loader.add("probe", manifest, model));
        (Kit::with_loader(loader), component)
    })
}

fn manifest_of(component: &Component) -> Manifest {
    let engine = Engine::new(EngineConfig { instances: 4, ..EngineConfig::repeatable() }).unwrap();
    Loader::new(engine).load(&component.0).unwrap().manifest().clone()
}
