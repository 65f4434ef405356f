//! From the bytes of a component to a version that instances can be made of.
//!
//! Compiling takes seconds: drivers call this on a thread of its own, never between events.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmtime::component::Component;

use super::bindings::ModulePre;
use super::cache::Cache;
use super::contract::{self, CONTRACT, Unfit};
use super::describe;
use super::engine::Engine;
use super::instance::{Making, WasmGuest};
use super::limits::{self, COMPONENT_BYTES_MAX};
use super::state::InstanceState;
use super::strip::{self, Malformed, Stripped};
use super::symbols::Symbols;
use crate::guest::{Trap, VersionHash};
use crate::manifest::Manifest;

/// Why a component is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LoadError {
    /// Stops an upload from filling memory.
    #[error("the component has {bytes} bytes; the limit is {most}")]
    TooLarge {
        /// What it has.
        bytes: usize,
        /// What it may have.
        most: usize,
    },
    /// Not a component at all.
    #[error(
        "this is no component: {0}\nhint: build it with `everwake build`, or link it with `wasm-component-ld`"
    )]
    NotAComponent(String),
    /// It wants more than our world offers.
    #[error(
        "the module imports what a game does not offer:\n  {}\nhint: build for `wasm32-unknown-unknown`, not for WASI; files, clocks, sockets and threads do not exist in a module",
        .0.join("\n  ")
    )]
    ForeignImports(Vec<String>),
    /// It was built against another version of `wit/`.
    #[error(
        "the module is built for everwake:game@{found}, this server speaks {CONTRACT}\nhint: build it again with an SDK of this release"
    )]
    ContractVersion {
        /// The version that the component names.
        found: String,
    },
    /// It does not export `logic`.
    #[error(
        "the component does not export everwake:game/logic\nhint: does the source have a `module!` line?"
    )]
    NoLogic,
    /// Names fit, types do not.
    #[error("the component does not fit the contract {CONTRACT}: {0}")]
    Contract(String),
    /// The compiler refused it.
    #[error("the component cannot be compiled: {0}")]
    Compile(String),
    /// It died while it was made, or in `describe`.
    #[error("the module cannot describe itself: {}", .0.message)]
    Describe(Trap),
    /// It lists a hook that does not exist.
    #[error("the module lists hook number {0}, which does not exist")]
    UnknownHook(u32),
}

/// Where the machine code of a version came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeSource {
    /// It was compiled now.
    Compiled,
    /// It was on disk.
    Cached,
}

/// Turns bytes into versions. Blocking.
#[derive(Clone)]
pub struct Loader {
    engine: Arc<Engine>,
    cache: Option<Cache>,
}

impl Loader {
    /// Compiles each version anew, and keeps symbols in memory.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine, cache: None }
    }

    /// Keeps compiled code and symbols in a folder that is made if need be.
    pub fn with_cache(engine: Arc<Engine>, folder: &Path) -> io::Result<Self> {
        let cache = Cache::open(folder, &engine.inner)?;
        Ok(Self { engine, cache: Some(cache) })
    }

    /// The engine that its versions run on.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Checks, compiles, links and asks the module to describe itself. The manifest is as the
    /// module gave it: checking it is the next step.
    pub fn load(&self, bytes: &[u8]) -> Result<Arc<LoadedVersion>, LoadError> {
        if bytes.len() > COMPONENT_BYTES_MAX {
            return Err(LoadError::TooLarge { bytes: bytes.len(), most: COMPONENT_BYTES_MAX });
        }
        let hash = VersionHash(*blake3::hash(bytes).as_bytes());
        let stripped =
            strip::strip(bytes).map_err(|error: Malformed| LoadError::NotAComponent(error.to_string()))?;
        contract::check(&stripped.bytes).map_err(unfit)?;
        let (component, code) = self.compile(hash, &stripped)?;
        let pre = self.engine.linker.instantiate_pre(&component).map_err(contract_error)?;
        let pre = ModulePre::new(pre).map_err(contract_error)?;
        let manifest = self.describe(&pre, &stripped.modules)?;
        Ok(Arc::new(LoadedVersion {
            hash,
            budget_ms: self.engine.event_budget_ms(manifest.event_budget_ms),
            memory_bytes_max: self.engine.memory_bytes(manifest.memory_bytes),
            manifest,
            pre,
            modules: stripped.modules,
            code,
            symbols: self.symbols(hash, bytes, stripped.had_symbols),
            engine: self.engine.clone(),
        }))
    }

    fn compile(&self, hash: VersionHash, stripped: &Stripped) -> Result<(Component, CodeSource), LoadError> {
        let engine = &self.engine.inner;
        if let Some(path) = self.cache.as_ref().and_then(|cache| cache.code(hash))
            && let Some(component) = deserialize(engine, &path)
        {
            return Ok((component, CodeSource::Cached));
        }
        let component = Component::from_binary(engine, &stripped.bytes)
            .map_err(|error| LoadError::Compile(format!("{error:#}")))?;
        if let Some(cache) = &self.cache {
            let stored = component
                .serialize()
                .map_err(|error| error.to_string())
                .and_then(|code| cache.store_code(hash, &code).map_err(|error| error.to_string()));
            if let Err(error) = stored {
                tracing::warn!(version = %hash, %error, "compiled code is not kept");
            }
        }
        Ok((component, CodeSource::Compiled))
    }

    fn describe(
        &self,
        pre: &ModulePre<InstanceState>,
        modules: &[Range<usize>],
    ) -> Result<Manifest, LoadError> {
        let making = Making {
            engine: &self.engine,
            pre,
            modules,
            memory_bytes_max: self.engine.config().memory_bytes_max,
            budget_ms: limits::DESCRIBE_BUDGET_MS,
        };
        let described = WasmGuest::describe(&making).map_err(LoadError::Describe)?;
        describe::manifest(described).map_err(LoadError::UnknownHook)
    }

    fn symbols(&self, hash: VersionHash, bytes: &[u8], had_symbols: bool) -> Symbols {
        if !had_symbols {
            return Symbols::None;
        }
        let Some(cache) = &self.cache else { return Symbols::Memory(bytes.into()) };
        match cache.store_symbols(hash, bytes) {
            Ok(path) => Symbols::File(path),
            Err(error) => {
                tracing::warn!(version = %hash, %error, "symbols are kept in memory, not on disk");
                Symbols::Memory(bytes.into())
            }
        }
    }
}

fn deserialize(engine: &wasmtime::Engine, path: &PathBuf) -> Option<Component> {
    // SAFETY: the cache has checked that this user wrote the file and that it has the checksum
    // from back then, and the name holds the engine's compatibility hash.
    unsafe { Component::deserialize_file(engine, path) }.ok()
}

fn unfit(unfit: Unfit) -> LoadError {
    match unfit {
        Unfit::ForeignImports(names) => LoadError::ForeignImports(names),
        Unfit::Version(found) => LoadError::ContractVersion { found },
        Unfit::NoLogic => LoadError::NoLogic,
        Unfit::Malformed(error) => LoadError::NotAComponent(error),
    }
}

fn contract_error(error: wasmtime::Error) -> LoadError {
    LoadError::Contract(format!("{error:#}"))
}

/// A version whose instances can be made at once. Cheap to share, the same for all spaces.
pub struct LoadedVersion {
    hash: VersionHash,
    manifest: Manifest,
    budget_ms: u32,
    memory_bytes_max: usize,
    pre: ModulePre<InstanceState>,
    modules: Vec<Range<usize>>,
    code: CodeSource,
    symbols: Symbols,
    engine: Arc<Engine>,
}

impl LoadedVersion {
    /// BLAKE3 of the component as it was given.
    #[must_use]
    pub fn hash(&self) -> VersionHash {
        self.hash
    }

    /// What the module says about itself, unchecked.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// CPU time that one event may take.
    #[must_use]
    pub fn budget_ms(&self) -> u32 {
        self.budget_ms
    }

    /// Linear memory that one instance may have.
    #[must_use]
    pub fn memory_bytes_max(&self) -> usize {
        self.memory_bytes_max
    }

    /// Where its machine code came from.
    #[must_use]
    pub fn code_source(&self) -> CodeSource {
        self.code
    }

    /// For reading its crashes.
    #[must_use]
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// A fresh instance.
    pub fn instantiate(self: &Arc<Self>) -> Result<WasmGuest, Trap> {
        WasmGuest::new(self.clone())
    }

    pub(super) fn making(&self) -> Making<'_> {
        Making {
            engine: &self.engine,
            pre: &self.pre,
            modules: &self.modules,
            memory_bytes_max: self.memory_bytes_max,
            budget_ms: limits::DESCRIBE_BUDGET_MS,
        }
    }

    pub(super) fn modules(&self) -> &[Range<usize>] {
        &self.modules
    }
}

impl std::fmt::Debug for LoadedVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedVersion")
            .field("hash", &self.hash)
            .field("module", &self.manifest.name)
            .finish()
    }
}
