//! What a driver needs to turn bytes into instances, and crashes into text.

use crate::game::LoadedModule;
use crate::guest::{GuestSource, VersionHash};
use crate::manifest::ManifestLimits;
use crate::message::Crash;
use crate::wasm::{CrashReport, LoadedVersions, Loader, Symbols, WasmSource};
use bytes::Bytes;

/// Loads components, and makes sources of their instances. Clones share what is loaded.
pub trait ModuleLoader: Send {
    /// Verifies and compiles; blocking. The version can be instantiated from then on. Why not, for
    /// people.
    fn load(&mut self, bytes: Bytes) -> Result<LoadedModule, String>;
    /// Lets go of a version.
    fn forget(&mut self, version: VersionHash);
    /// A source over everything that is loaded, now and later.
    fn source(&self) -> Box<dyn GuestSource>;
    /// A crash with names and lines; slow.
    fn report(&self, crash: Crash) -> CrashReport;
    /// Another one over the same versions.
    fn share(&self) -> Box<dyn ModuleLoader>;
}

/// Components by wasmtime.
#[derive(Clone)]
pub struct WasmLoader {
    loader: Loader,
    versions: LoadedVersions,
}

impl WasmLoader {
    /// Nothing loaded.
    #[must_use]
    pub fn new(loader: Loader) -> Self {
        Self { loader, versions: LoadedVersions::default() }
    }
}

impl ModuleLoader for WasmLoader {
    fn load(&mut self, bytes: Bytes) -> Result<LoadedModule, String> {
        let version = self.loader.load(&bytes).map_err(|error| error.to_string())?;
        let checked = version.manifest().clone().check(&ManifestLimits::default());
        let checked = checked.map_err(|errors| {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            format!("the manifest breaks rules:\n  {}", lines.join("\n  "))
        })?;
        let hash = version.hash();
        self.versions.add(version);
        Ok(LoadedModule { hash, checked })
    }

    fn forget(&mut self, version: VersionHash) {
        self.versions.remove(version);
    }

    fn source(&self) -> Box<dyn GuestSource> {
        Box::new(WasmSource::new(self.versions.clone(), self.loader.engine()))
    }

    fn report(&self, crash: Crash) -> CrashReport {
        match self.versions.version(crash.version) {
            Some(version) => CrashReport::new(crash, version.symbols()),
            None => CrashReport::new(crash, &Symbols::None),
        }
    }

    fn share(&self) -> Box<dyn ModuleLoader> {
        Box::new(self.clone())
    }
}
