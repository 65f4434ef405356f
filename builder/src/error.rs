//! Why a build failed, in words for the author of a module.

use std::path::PathBuf;

/// Why a build failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The folder is not a package.
    #[error("`{0}` has no `Cargo.toml`\nhint: name the folder of a module, or make one with `everwake new`")]
    NoPackage(PathBuf),
    /// Cargo or rustc cannot be started.
    #[error("`{program}` cannot be run: {error}\nhint: install Rust from https://rustup.rs")]
    NoRust {
        /// The program that was tried.
        program: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The target is missing and there is no rustup to add it.
    #[error(
        "the toolchain in `{sysroot}` cannot compile for WebAssembly, and `rustup` is not there to change that\nhint: install Rust from https://rustup.rs, or your distribution's package for `wasm32-unknown-unknown`"
    )]
    NoRustup {
        /// The toolchain.
        sysroot: PathBuf,
    },
    /// Rustup could not add the target: most likely offline.
    #[error(
        "the target `wasm32-unknown-unknown` is missing and cannot be added:\n{output}\nhint: run `rustup target add wasm32-unknown-unknown` once while online"
    )]
    TargetNotAdded {
        /// What rustup said.
        output: String,
    },
    /// The toolchain lacks the linker that makes components.
    #[error(
        "the toolchain in `{sysroot}` has no `wasm-component-ld`\nhint: it comes with Rust 1.82 and later: run `rustup update`"
    )]
    NoLinker {
        /// The toolchain.
        sysroot: PathBuf,
    },
    /// The compiler's version cannot be read.
    #[error("`rustc` answers in an unknown way:\n{output}")]
    OddRustc {
        /// What it said.
        output: String,
    },
    /// The package cannot become a component.
    #[error(
        "the package `{package}` is not built as a component\nhint: add to its Cargo.toml:\n  [lib]\n  crate-type = [\"cdylib\", \"rlib\"]"
    )]
    NotACdylib {
        /// Name of the package.
        package: String,
    },
    /// Cargo could not even begin: a mistake in `Cargo.toml`, a dependency that is not there.
    #[error("cargo cannot plan the build:\n{output}")]
    Cargo {
        /// What cargo said.
        output: String,
    },
    /// The source has errors.
    #[error("{}", .errors.join("\n"))]
    Compile {
        /// As the compiler shows them.
        errors: Vec<String>,
        /// As the compiler shows them.
        warnings: Vec<String>,
    },
    /// The build went through, but what came out is not a component.
    #[error(
        "the build made no component: {reason}\nhint: does the source have a `module!` line? does `.cargo/config.toml` name another linker?"
    )]
    NoComponent {
        /// What was there instead.
        reason: String,
    },
    /// Reading or writing failed.
    #[error("`{path}`: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}
