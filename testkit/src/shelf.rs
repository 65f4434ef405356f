//! Compiled once, run in every world: a loader that remembers what it has loaded.

use bytes::Bytes;
use everwake_runtime::driver::loader::ModuleLoader;
use everwake_runtime::game::LoadedModule;
use everwake_runtime::guest::{GuestSource, VersionHash};
use everwake_runtime::message::Crash;
use everwake_runtime::wasm::CrashReport;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What was loaded, by the bytes of the component; errors are not kept.
type Loaded = Arc<Mutex<BTreeMap<Bytes, LoadedModule>>>;

/// A loader for many worlds. A version that one world has no use for any more stays for the others.
pub(crate) struct Shelf {
    inner: Box<dyn ModuleLoader>,
    loaded: Loaded,
}

impl Shelf {
    pub(crate) fn new(inner: impl ModuleLoader + 'static) -> Self {
        Self { inner: Box::new(inner), loaded: Loaded::default() }
    }
}

impl ModuleLoader for Shelf {
    fn load(&mut self, bytes: Bytes) -> Result<LoadedModule, String> {
        // Held while it compiles: who wants the same component waits for it.
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = loaded.get(&bytes) {
            return Ok(known.clone());
        }
        let module = self.inner.load(bytes.clone())?;
        loaded.insert(bytes, module.clone());
        Ok(module)
    }

    fn forget(&mut self, _version: VersionHash) {}

    fn source(&self) -> Box<dyn GuestSource> {
        self.inner.source()
    }

    fn report(&self, crash: Crash) -> CrashReport {
        self.inner.report(crash)
    }

    fn share(&self) -> Box<dyn ModuleLoader> {
        Box::new(Self { inner: self.inner.share(), loaded: self.loaded.clone() })
    }
}
