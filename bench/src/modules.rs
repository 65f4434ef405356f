//! Components for benchmarks: built from source by this very run, loaded, numbered like a
//! publication does it.

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use everwake_builder::{Build, Profile};
use everwake_runtime::guest::{Guest, GuestSource, Trap, VersionHash};
use everwake_runtime::manifest::ManifestLimits;
use everwake_runtime::versions::{Lineage, ModuleVersion};
use everwake_runtime::wasm::{Engine, EngineConfig, LoadedVersion, Loader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The checkout that this program was built from.
pub fn root() -> PathBuf {
    let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
    bench.parent().unwrap_or(bench).to_owned()
}

/// Source of a component: a folder of the checkout, and how it is built.
#[derive(Clone, Copy)]
pub struct Source {
    folder: &'static str,
    feature: Option<&'static str>,
    version: Option<&'static str>,
}

/// The module behind most benchmarks.
pub const AVATAR: Source = Source::at("bench/modules/avatar");
/// Its handlers without the SDK.
pub const BARE: Source = Source::at("bench/modules/bare");
/// Ticks.
pub const BOIDS: Source = Source::at("bench/modules/boids");
/// What the conformance tests run, which is there in other languages, too.
pub const PROBE: Source = Source::at("tests/modules/probe");
/// The sample.
pub const YARD: Source = Source::at("samples/yard");

impl Source {
    const fn at(folder: &'static str) -> Source {
        Source { folder, feature: None, version: None }
    }

    /// With a feature of its package.
    pub const fn with(self, feature: &'static str) -> Source {
        Source { feature: Some(feature), ..self }
    }

    /// As another version that differs in nothing else.
    pub const fn version(self, version: &'static str) -> Source {
        Source { version: Some(version), ..self }
    }

    /// Builds it, optimised.
    pub fn build(self) -> Result<Bytes> {
        let root = root();
        let mut build = Build::new(&root.join(self.folder), Profile::Release)
            .target_dir(&root.join("target/everwake-guests"));
        if let Some(feature) = self.feature {
            build = build.feature(feature);
        }
        if let Some(version) = self.version {
            build = build.env("BENCH_VERSION", version);
        }
        let built = build.run(&mut |_| {}).map_err(|error| anyhow!("{}: {error}", self.folder))?;
        Ok(built.bytes.into())
    }

    /// Builds and loads it as the first version of its lineage.
    pub fn load(self, engine: &Arc<Engine>) -> Result<Loaded> {
        first_version(self.load_only(engine)?).with_context(|| self.folder)
    }

    /// Builds and loads it, whatever it says about itself.
    pub fn load_only(self, engine: &Arc<Engine>) -> Result<Arc<LoadedVersion>> {
        let bytes = self.build()?;
        Loader::new(engine.clone()).load(&bytes).with_context(|| self.folder)
    }
}

/// A component as the first version of its lineage.
pub fn first_version(loaded: Arc<LoadedVersion>) -> Result<Loaded> {
    let checked = loaded.manifest().clone().check(&ManifestLimits::default());
    let checked = checked.map_err(|errors| anyhow!("{errors:?}"))?;
    let lineage = Lineage::new(loaded.manifest().name.clone());
    let (_, version) = lineage.publish(checked, loaded.hash(), 1).map_err(|error| anyhow!("{error}"))?;
    Ok(Loaded { guests: Instances(loaded), version: Arc::new(version) })
}

/// An engine as in production, with other limits where a benchmark needs them.
pub fn engine(config: EngineConfig) -> Result<Arc<Engine>> {
    Engine::new(config).context("no engine")
}

/// A version that spaces can run.
pub struct Loaded {
    pub guests: Instances,
    pub version: Arc<ModuleVersion>,
}

/// Instances of one component, whichever version is asked for.
#[derive(Clone)]
pub struct Instances(pub Arc<LoadedVersion>);

impl GuestSource for Instances {
    fn instantiate(&mut self, _: VersionHash) -> Result<Box<dyn Guest>, Trap> {
        Ok(Box::new(self.0.instantiate()?))
    }
}
