//! What `everwake new` makes is a game.

use std::fs;
use std::path::Path;

use everwake_builder::{Build, Profile, SdkSource, new_project};
use everwake_runtime::wasm::{Engine, EngineConfig, Loader};

#[test]
fn a_new_project_builds_and_loads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir().unwrap();
    let sdk = SdkSource::Path(root.join("guest-sdk/rust"));
    new_project(folder.path(), "gold-rush", &sdk).unwrap();
    // The versions that this repository has: no registry is asked.
    fs::copy(root.join("Cargo.lock"), folder.path().join("Cargo.lock")).unwrap();
    let build = Build::new(folder.path(), Profile::Release).target_dir(&root.join("target/everwake-guests"));
    let built = build.run(&mut |_| {}).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(built.warnings, [""; 0]);
    let engine = Engine::new(EngineConfig::repeatable()).unwrap();
    let version = Loader::new(engine).load(&built.bytes).unwrap();
    let manifest = version.manifest();
    assert_eq!((manifest.name.as_str(), manifest.types.len()), ("gold-rush", 1));
    assert!(manifest.types[0].boot);
    assert!(version.instantiate().is_ok());
}
