//! The versions that a process has loaded, shared by all its spaces.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::clock::Turn;
use super::engine::Engine;
use super::load::LoadedVersion;
use crate::guest::{Guest, GuestSource, Trap, TrapKind, VersionHash};

/// Loaded versions by hash. Clones share one table; versions come and go while spaces run.
#[derive(Clone, Debug, Default)]
pub struct LoadedVersions(Arc<RwLock<BTreeMap<VersionHash, Arc<LoadedVersion>>>>);

impl LoadedVersions {
    /// Makes a version available.
    pub fn add(&self, version: Arc<LoadedVersion>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(version.hash(), version);
    }

    /// Lets go of a version; instances of it live on until they are dropped.
    pub fn remove(&self, version: VersionHash) -> Option<Arc<LoadedVersion>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&version)
    }

    /// A version, if it is loaded.
    #[must_use]
    pub fn version(&self, version: VersionHash) -> Option<Arc<LoadedVersion>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&version).cloned()
    }

    /// All that are loaded, by hash.
    #[must_use]
    pub fn versions(&self) -> Vec<Arc<LoadedVersion>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// Makes instances of whatever is loaded at that moment.
#[derive(Debug)]
pub struct WasmSource {
    versions: LoadedVersions,
    turn: Turn,
}

impl WasmSource {
    /// Each thread gets a source of its own over the shared table of an engine's versions.
    #[must_use]
    pub fn new(versions: LoadedVersions, engine: &Engine) -> Self {
        Self { versions, turn: Turn::of(engine.turns.clone()) }
    }
}

impl GuestSource for WasmSource {
    fn instantiate(&mut self, version: VersionHash) -> Result<Box<dyn Guest>, Trap> {
        let Some(loaded) = self.versions.version(version) else {
            let message = format!("version {version} is not loaded");
            return Err(Trap { kind: TrapKind::Instantiate, message, frames: Vec::new() });
        };
        Ok(Box::new(loaded.instantiate()?))
    }

    fn turn(&mut self, runs: bool) {
        self.turn.runs(runs);
    }
}
