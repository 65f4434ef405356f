//! A loader of native models, for tests and simulation: a component's bytes are its name.

use super::loader::ModuleLoader;
use crate::game::LoadedModule;
use crate::guest::{Guest, GuestSource, Trap, VersionHash};
use crate::manifest::{Manifest, ManifestLimits};
use crate::message::Crash;
use crate::space::model::{Model, ModelSource};
use crate::wasm::{CrashReport, Symbols};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Versions by name. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct ModelLoader {
    shelf: Arc<Mutex<Shelf>>,
}

#[derive(Debug, Default)]
struct Shelf {
    by_name: BTreeMap<Bytes, (Manifest, Arc<Model>)>,
    loaded: BTreeMap<VersionHash, Arc<Model>>,
}

impl ModelLoader {
    /// Adds a version; answers the bytes by which it is published.
    pub fn add(&self, name: &str, manifest: Manifest, model: Model) -> Bytes {
        let bytes = Bytes::copy_from_slice(name.as_bytes());
        self.shelf().by_name.insert(bytes.clone(), (manifest, Arc::new(model)));
        bytes
    }

    /// How many versions are loaded now.
    #[must_use]
    pub fn loaded(&self) -> usize {
        self.shelf().loaded.len()
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ModuleLoader for ModelLoader {
    fn load(&mut self, bytes: Bytes) -> Result<LoadedModule, String> {
        let mut shelf = self.shelf();
        let (manifest, model) = shelf.by_name.get(&bytes).cloned().ok_or("there is no such model")?;
        let checked = manifest
            .check(&ManifestLimits::default())
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        let hash = VersionHash(*blake3::hash(&bytes).as_bytes());
        shelf.loaded.insert(hash, model);
        Ok(LoadedModule { hash, checked })
    }

    fn forget(&mut self, version: VersionHash) {
        self.shelf().loaded.remove(&version);
    }

    fn source(&self) -> Box<dyn GuestSource> {
        Box::new(ShelfSource { loader: self.clone() })
    }

    fn report(&self, crash: Crash) -> CrashReport {
        CrashReport::new(crash, &Symbols::None)
    }

    fn share(&self) -> Box<dyn ModuleLoader> {
        Box::new(self.clone())
    }
}

struct ShelfSource {
    loader: ModelLoader,
}

impl GuestSource for ShelfSource {
    fn instantiate(&mut self, version: VersionHash) -> Result<Box<dyn Guest>, Trap> {
        let mut source = ModelSource::default();
        if let Some(model) = self.loader.shelf().loaded.get(&version) {
            source.models.insert(version, model.clone());
        }
        source.instantiate(version)
    }
}
