//! Finds what a build needs in the active Rust toolchain, and adds the target if it is missing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{BuildError, Progress};

/// What modules are compiled for: no operating system, so no WASI imports.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Where compiler, target and linker are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// The toolchain's folder.
    pub sysroot: PathBuf,
    /// The linker that makes components out of core modules.
    pub linker: PathBuf,
}

impl Toolchain {
    /// The toolchain that is active in a folder, with the target for modules.
    pub fn find(folder: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Self, BuildError> {
        let sysroot = PathBuf::from(rustc(folder, &["--print", "sysroot"])?.trim());
        let version = rustc(folder, &["-vV"])?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.ok_or_else(|| BuildError::OddRustc { output: version.clone() })?;
        let libraries = sysroot.join("lib").join("rustlib");
        if !libraries.join(TARGET).is_dir() {
            progress(Progress::AddingTarget);
            add_target(folder, &sysroot)?;
        }
        let name = format!("wasm-component-ld{}", std::env::consts::EXE_SUFFIX);
        let linker = libraries.join(host).join("bin").join(name);
        if !linker.is_file() {
            return Err(BuildError::NoLinker { sysroot });
        }
        Ok(Self { sysroot, linker })
    }
}

/// A program of the toolchain, as the environment names it or as the path finds it.
pub(crate) fn program(variable: &str, name: &str) -> OsString {
    std::env::var_os(variable).filter(|value| !value.is_empty()).unwrap_or_else(|| name.into())
}

fn rustc(folder: &Path, arguments: &[&str]) -> Result<String, BuildError> {
    let rustc = program("RUSTC", "rustc");
    let output = Command::new(&rustc).args(arguments).current_dir(folder).output();
    let output = output
        .map_err(|error| BuildError::NoRust { program: rustc.to_string_lossy().into_owned(), error })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(BuildError::OddRustc { output: String::from_utf8_lossy(&output.stderr).into_owned() })
}

fn add_target(folder: &Path, sysroot: &Path) -> Result<(), BuildError> {
    let output = Command::new("rustup").args(["target", "add", TARGET]).current_dir(folder).output();
    let Ok(output) = output else { return Err(BuildError::NoRustup { sysroot: sysroot.to_owned() }) };
    if output.status.success() {
        return Ok(());
    }
    Err(BuildError::TargetNotAdded { output: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}
