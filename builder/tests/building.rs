//! Real runs of cargo over small packages.
#![allow(clippy::unwrap_used, reason = "tests; the lint knows only what is inside of test functions")]

use std::fs;
use std::path::Path;
use std::process::Command;

use everwake_builder::{Build, BuildError, Built, Profile, Progress, SdkSource, new_project};

/// A package with this library, and what came of building it.
fn build(manifest: &str, source: &str) -> (Result<Built, BuildError>, Vec<Progress>) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "Cargo.toml", manifest);
    write(folder.path(), "src/lib.rs", source);
    let mut told = Vec::new();
    let built = Build::new(folder.path(), Profile::Dev).run(&mut |progress| told.push(progress));
    (built, told)
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

const CDYLIB: &str = r#"
[package]
name = "small"
version = "0.0.0"
edition = "2024"
[features]
loud = []
[lib]
crate-type = ["cdylib"]
[workspace]
"#;

#[test]
fn a_library_becomes_a_component_with_progress_and_warnings() {
    let (built, told) = build(CDYLIB, "pub fn f() { let unused = 1; }");
    let built = built.unwrap();
    assert_eq!(built.package, "small");
    assert!(built.bytes.starts_with(b"\0asm\x0d\0\x01\0"));
    assert_eq!(built.warnings.len(), 1, "{:?}", built.warnings);
    assert!(built.warnings[0].contains("unused variable: `unused`"), "{:?}", built.warnings);
    assert_eq!(told, [Progress::Compiling { done: 1, total: 1, name: "small".into() }]);
}

/// The reader's own commands, as the README of a new project names them.
#[test]
fn a_new_project_is_checked_and_tested_by_plain_cargo() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir().unwrap();
    let sdk = SdkSource::Path(root.join("guest-sdk/rust"));
    new_project(folder.path(), "gold-rush", &sdk).unwrap();
    // The versions that this repository has: no registry is asked.
    fs::copy(root.join("Cargo.lock"), folder.path().join("Cargo.lock")).unwrap();
    for command in ["check", "test"] {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.arg(command).current_dir(folder.path());
        cargo.env("CARGO_TARGET_DIR", env!("CARGO_TARGET_TMPDIR")).env_remove("RUSTC_WORKSPACE_WRAPPER");
        let output = cargo.output().unwrap();
        let said = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap()).concat();
        assert!(output.status.success() && !said.contains("warning: "), "cargo {command}: {said}");
        assert!(command != "test" || said.contains("test result: ok. 2 passed"), "{said}");
    }
}

#[test]
fn mistakes_are_shown_as_the_compiler_shows_them() {
    let (built, _) = build(CDYLIB, "pub fn f() -> u32 { \"no\" }");
    let error = built.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, BuildError::Compile { .. }), "{text}");
    assert!(text.contains("mismatched types") && text.contains("src/lib.rs:1:21"), "{text}");
}

#[test]
fn features_and_variables_reach_the_source() {
    let source =
        "#[cfg(not(feature = \"loud\"))] compile_error!(\"quiet\"); pub const V: &str = env!(\"SMALL\");";
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "Cargo.toml", CDYLIB);
    write(folder.path(), "src/lib.rs", source);
    let plain = Build::new(folder.path(), Profile::Dev);
    let set = plain.clone().feature("loud").env("SMALL", "1");
    assert!(matches!(plain.run(&mut |_| {}), Err(BuildError::Compile { .. })));
    assert!(set.run(&mut |_| {}).is_ok());
}

#[test]
fn what_cannot_become_a_component_is_refused_before_the_build() {
    let library = CDYLIB.replace("cdylib", "rlib");
    assert!(matches!(build(&library, "").0, Err(BuildError::NotACdylib { package }) if package == "small"));
    let Err(BuildError::Cargo { output }) = build("[package", "").0 else {
        panic!("it has no valid manifest")
    };
    assert!(output.contains("Cargo.toml"), "{output}");
    let nothing = Build::new(Path::new("/nowhere/at/all"), Profile::Dev).run(&mut |_| {});
    assert!(matches!(nothing, Err(BuildError::NoPackage(_))));
}

/// The same source gives the same bytes, wherever it is: versions are named by their hash.
#[test]
fn a_component_does_not_depend_on_the_folder() {
    let source = "#[unsafe(no_mangle)] pub extern \"C\" fn f(x: u32) -> u32 { [1, 2, 3][x as usize] }";
    let [one, other] = [build(CDYLIB, source), build(CDYLIB, source)];
    assert!(one.0.unwrap().bytes == other.0.unwrap().bytes);
}
