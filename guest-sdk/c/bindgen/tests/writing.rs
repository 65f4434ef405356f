//! The program as the build of a C module runs it.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;
use std::process::Command;

fn run(contract: &Path, out: &Path) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_everwake-c-bindgen")).args([contract, out]).output().unwrap()
}

#[test]
fn every_interface_has_a_short_name() {
    let out = tempfile::tempdir().unwrap();
    let written = run(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../wit"), out.path());
    assert!(written.status.success(), "{written:?}");
    let header = std::fs::read_to_string(out.path().join("module.h")).unwrap();
    for name in ["ew_id_t", "ew_entities_spawn(", "ew_key_value_get_or_put(", "exports_ew_logic_handle("] {
        assert!(header.contains(name), "no `{name}`");
    }
    assert!(!header.contains("everwake_game"), "a name is long");
    for file in ["module.c", "module_component_type.o"] {
        assert!(out.path().join(file).is_file(), "no `{file}`");
    }
}

#[test]
fn a_folder_without_a_contract_is_named() {
    let nothing = tempfile::tempdir().unwrap();
    let failed = run(&nothing.path().join("wit"), nothing.path());
    let said = String::from_utf8_lossy(&failed.stderr);
    assert!(!failed.status.success() && said.contains("is no contract"), "{said}");
}
