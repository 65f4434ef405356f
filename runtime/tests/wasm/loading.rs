//! What is taken, what is refused, and what the cache does.

use std::fs;
use std::sync::Arc;

use everwake_runtime::guest::{GuestSource, TrapKind, VersionHash};
use everwake_runtime::manifest::Exposure;
use everwake_runtime::wasm::{
    CodeSource, Engine, EngineConfig, LoadError, LoadedVersions, Loader, Symbols, WasmSource, limits,
};
use wasm_encoder::{Component, ComponentImportSection, ComponentTypeRef, ComponentTypeSection, InstanceType};

use crate::probe::{COUNT, component, loaded, run};

fn engine() -> Arc<Engine> {
    Engine::new(EngineConfig { instances: 4, ..EngineConfig::default() }).unwrap()
}

/// A component that imports empty interfaces under these names.
fn importing(names: &[&str]) -> Vec<u8> {
    let mut types = ComponentTypeSection::new();
    types.instance(&InstanceType::new());
    let mut imports = ComponentImportSection::new();
    for name in names {
        imports.import(*name, ComponentTypeRef::Instance(0));
    }
    let mut component = Component::new();
    component.section(&types).section(&imports);
    component.finish()
}

#[test]
fn a_module_without_wasi_loads_and_describes_itself() {
    let version = loaded();
    let manifest = version.manifest();
    assert_eq!((manifest.name.as_str(), manifest.types.len()), ("probe", 1));
    let probe = &manifest.types[0];
    assert_eq!(probe.hooks, 1 | 1 << 21);
    assert_eq!(probe.methods[0].exposure, Exposure::OwnClient);
    assert!(probe.attributes[0].flags.client && probe.attributes[0].flags.persistent);
    assert!(!probe.attributes[0].flags.secret);
    assert_eq!(version.budget_ms(), 5);
    assert_eq!(version.memory_bytes_max(), 32 << 20);
    assert_eq!(version.hash(), VersionHash(*blake3::hash(component()).as_bytes()));
}

#[test]
fn everything_foreign_is_named() {
    let foreign = ["wasi:cli/environment@0.2.6", "wasi:clocks/wall-clock@0.2.6"];
    let refused = Loader::new(engine())
        .load(&importing(&[foreign[0], "everwake:game/types@0.1.0", foreign[1]]))
        .unwrap_err();
    assert_eq!(refused, LoadError::ForeignImports(foreign.map(str::to_owned).to_vec()));
    let text = refused.to_string();
    assert!(foreign.iter().all(|name| text.contains(name)) && text.contains("hint:"), "{text}");
}

#[test]
fn another_contract_is_refused_with_both_versions() {
    let refused = Loader::new(engine()).load(&importing(&["everwake:game/types@0.9.3"])).unwrap_err();
    assert_eq!(refused, LoadError::ContractVersion { found: "0.9.3".into() });
    let text = refused.to_string();
    assert!(text.contains("@0.9.3") && text.contains("@0.1.0"), "{text}");
}

#[test]
fn what_is_no_module_is_refused() {
    let loader = Loader::new(engine());
    assert_eq!(loader.load(&importing(&["everwake:game/types@0.1.0"])).unwrap_err(), LoadError::NoLogic);
    let core_module = loader.load(b"\0asm\x01\0\0\0").unwrap_err();
    assert!(matches!(core_module, LoadError::NotAComponent(_)), "{core_module}");
    assert!(matches!(loader.load(b"#!/bin/sh"), Err(LoadError::NotAComponent(_))));
    assert!(matches!(
        loader.load(&vec![0; limits::COMPONENT_BYTES_MAX + 1]),
        Err(LoadError::TooLarge { .. })
    ));
    let half = &component()[..component().len() / 2];
    assert!(matches!(loader.load(half), Err(LoadError::NotAComponent(_))));
}

/// Flips bytes all over a component: whatever comes out is refused or loads, nothing breaks.
#[test]
fn damaged_components_are_refused_without_harm() {
    let loader = Loader::new(engine());
    let mut refused = 0;
    for step in 1..8 {
        let mut damaged = component().to_vec();
        let place = damaged.len() * step / 8;
        damaged[place] ^= 0x55;
        refused += u32::from(loader.load(&damaged).is_err());
    }
    assert!(refused > 0);
}

#[test]
fn cached_code_does_what_compiled_code_does() {
    let folder = tempfile::tempdir().unwrap();
    let load = || Loader::with_cache(engine(), folder.path()).unwrap().load(component()).unwrap();
    let (compiled, cached) = (load(), load());
    assert_eq!(compiled.code_source(), CodeSource::Compiled);
    assert_eq!(cached.code_source(), CodeSource::Cached);
    assert_eq!(compiled.manifest(), cached.manifest());
    for version in [compiled, cached] {
        let mut guest = version.instantiate().unwrap();
        run(&mut guest, COUNT, 0);
        assert_eq!(run(&mut guest, COUNT, 0).1.answers[0], [0x1a, 0, 0, 0, 2][..]);
        let Symbols::File(path) = version.symbols() else { panic!("symbols are on disk") };
        assert_eq!(fs::read(path).unwrap(), component());
    }
}

#[test]
fn cached_code_that_was_changed_is_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let load =
        || Loader::with_cache(engine(), folder.path()).unwrap().load(component()).unwrap().code_source();
    let code = |folder: &std::path::Path| {
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        paths.into_iter().find(|path| path.extension().is_some_and(|end| end == "cwasm")).unwrap()
    };
    assert_eq!(load(), CodeSource::Compiled);
    let path = code(folder.path());
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(load(), CodeSource::Compiled);
    assert_eq!(load(), CodeSource::Cached);
    let mut everybody = fs::metadata(&path).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut everybody, 0o666);
    fs::set_permissions(&path, everybody).unwrap();
    assert_eq!(load(), CodeSource::Compiled, "somebody else could have written it");
}

#[test]
fn versions_come_and_go_while_sources_live() {
    let versions = LoadedVersions::default();
    let mut source = WasmSource::new(versions.clone(), &engine());
    let hash = loaded().hash();
    let missing = source.instantiate(hash).err().unwrap();
    assert_eq!(missing.kind, TrapKind::Instantiate);
    versions.add(loaded());
    assert!(source.instantiate(hash).is_ok());
    versions.remove(hash);
    assert!(source.instantiate(hash).is_err());
}
