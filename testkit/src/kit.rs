//! What many worlds share: the engine, the compiled code, and the builder of components.

use crate::shelf::Shelf;
use bytes::Bytes;
use everwake_builder::{Build, Profile};
use everwake_runtime::driver::WasmLoader;
use everwake_runtime::driver::loader::ModuleLoader;
use everwake_runtime::wasm::{Engine, EngineConfig, Loader};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The engine and the compiled code of all worlds of a test binary. Cheap to clone; make one.
#[derive(Clone)]
pub struct Kit {
    loader: Arc<Mutex<Box<dyn ModuleLoader>>>,
}

/// A built component.
#[derive(Clone)]
pub struct Component(pub Bytes);

impl Kit {
    /// Instructions are counted instead of time, so that an endless loop is cut at the same place on every machine.
    #[must_use]
    pub fn new() -> Self {
        Self::with_engine(EngineConfig { instances: 2_000, ..EngineConfig::repeatable() })
    }

    /// With an engine of one's own, for example one that counts CPU time like production does.
    #[must_use]
    pub fn with_engine(config: EngineConfig) -> Self {
        let engine = Engine::new(config).unwrap_or_else(|error| panic!("no engine: {error}"));
        Self::with_loader(WasmLoader::new(Loader::new(engine)))
    }

    /// With a loader of one's own, for example one of native models: the same worlds over another kind of guest.
    #[must_use]
    pub fn with_loader(loader: impl ModuleLoader + 'static) -> Self {
        Self { loader: Arc::new(Mutex::new(Box::new(Shelf::new(loader)))) }
    }

    /// Builds the module in a folder, with the author's profile for development.
    #[must_use]
    pub fn build(&self, folder: impl AsRef<Path>) -> Component {
        self.build_with(folder, &[], &[])
    }

    /// The same with cargo features, and with variables that the source reads while it is built.
    #[must_use]
    pub fn build_with(
        &self,
        folder: impl AsRef<Path>,
        features: &[&str],
        variables: &[(&str, &str)],
    ) -> Component {
        let folder = folder.as_ref();
        let mut build = Build::new(folder, Profile::Dev);
        for feature in features {
            build = build.feature(feature);
        }
        for (name, value) in variables {
            build = build.env(name, value);
        }
        let built = build.run(&mut |_| {});
        let built = built.unwrap_or_else(|error| panic!("`{}` does not build: {error}", folder.display()));
        Component(built.bytes.into())
    }

    pub(crate) fn loader(&self) -> Box<dyn ModuleLoader> {
        self.loader.lock().unwrap_or_else(PoisonError::into_inner).share()
    }
}

impl Default for Kit {
    fn default() -> Self {
        Self::new()
    }
}
