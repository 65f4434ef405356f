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
        let programs = Programs { rustc: program("RUSTC", "rustc"), rustup: "rustup".into() };
        Self::find_with(&programs, folder, progress)
    }

    fn find_with(
        programs: &Programs,
        folder: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, BuildError> {
        let sysroot = PathBuf::from(programs.rustc(folder, &["--print", "sysroot"])?.trim());
        let version = programs.rustc(folder, &["-vV"])?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.ok_or_else(|| BuildError::OddRustc { output: version.clone() })?;
        let libraries = sysroot.join("lib").join("rustlib");
        if !libraries.join(TARGET).is_dir() {
            progress(Progress::AddingTarget);
            programs.add_target(folder, &sysroot)?;
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

struct Programs {
    rustc: OsString,
    rustup: OsString,
}

impl Programs {
    fn rustc(&self, folder: &Path, arguments: &[&str]) -> Result<String, BuildError> {
        let output = Command::new(&self.rustc).args(arguments).current_dir(folder).output();
        let output = output.map_err(|error| BuildError::NoRust {
            program: self.rustc.to_string_lossy().into_owned(),
            error,
        })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(BuildError::OddRustc { output: String::from_utf8_lossy(&output.stderr).into_owned() })
    }

    fn add_target(&self, folder: &Path, sysroot: &Path) -> Result<(), BuildError> {
        let output = Command::new(&self.rustup).args(["target", "add", TARGET]).current_dir(folder).output();
        let Ok(output) = output else { return Err(BuildError::NoRustup { sysroot: sysroot.to_owned() }) };
        if output.status.success() {
            return Ok(());
        }
        Err(BuildError::TargetNotAdded { output: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    /// A toolchain of shell scripts, without the target.
    struct Fake(tempfile::TempDir);

    impl Fake {
        fn new(rustup: &str) -> Self {
            let fake = Self(tempfile::tempdir().unwrap());
            let sysroot = fake.0.path().display().to_string();
            let rustc = format!("[ $1 = -vV ] && echo host: fake-host || echo {sysroot}");
            for (name, body) in [("rustc", rustc), ("rustup", rustup.replace("SYSROOT", &sysroot))] {
                let path = fake.0.path().join(name);
                fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            }
            fake
        }

        fn with_linker(self) -> Self {
            let bin = self.0.path().join("lib/rustlib/fake-host/bin");
            fs::create_dir_all(&bin).unwrap();
            fs::write(bin.join("wasm-component-ld"), "").unwrap();
            self
        }

        fn find(&self, rustup: &str) -> (Result<Toolchain, BuildError>, Vec<Progress>) {
            let folder = self.0.path();
            let programs =
                Programs { rustc: folder.join("rustc").into(), rustup: folder.join(rustup).into() };
            let mut told = Vec::new();
            let found = Toolchain::find_with(&programs, folder, &mut |progress| told.push(progress));
            (found, told)
        }
    }

    const ADDS: &str = "mkdir -p SYSROOT/lib/rustlib/$3";

    #[test]
    fn a_missing_target_is_added_once_and_said() {
        let fake = Fake::new(ADDS).with_linker();
        let (found, told) = fake.find("rustup");
        assert!(found.unwrap().linker.ends_with("lib/rustlib/fake-host/bin/wasm-component-ld"));
        assert_eq!(told, [Progress::AddingTarget]);
        assert_eq!(fake.find("rustup").1, []);
    }

    #[test]
    fn what_is_missing_is_named_with_a_hint() {
        let offline = Fake::new("echo no network >&2; exit 1").with_linker();
        let error = offline.find("rustup").0.unwrap_err();
        assert!(matches!(&error, BuildError::TargetNotAdded { output } if output == "no network"), "{error}");
        assert!(
            error.to_string().contains("hint: run `rustup target add wasm32-unknown-unknown`"),
            "{error}"
        );
        assert!(matches!(offline.find("nowhere").0, Err(BuildError::NoRustup { .. })));
        assert!(matches!(Fake::new(ADDS).find("rustup").0, Err(BuildError::NoLinker { .. })));
        let programs = Programs { rustc: "/nowhere/rustc".into(), rustup: "rustup".into() };
        let none = Toolchain::find_with(&programs, Path::new("/"), &mut |_| {});
        assert!(matches!(none, Err(BuildError::NoRust { .. })));
    }
}
