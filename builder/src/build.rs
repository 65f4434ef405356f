//! One run of cargo that makes a component.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::BuildError;
use crate::cargo::{self, Message, Plan};
use crate::mark;
use crate::toolchain::{TARGET, Toolchain, program};

/// How much the compiler tries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Compiles fast: little optimisation, overflow checks.
    #[default]
    Dev,
    /// Runs fast: what is published.
    Release,
}

/// What a build is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The target for modules is missing; rustup is downloading it (about 20 MB, once).
    AddingTarget,
    /// Packages are compiled.
    Compiling {
        /// Packages that are done.
        done: usize,
        /// Packages in all.
        total: usize,
        /// The one that was done last.
        name: String,
    },
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AddingTarget => write!(f, "adding the Rust target {TARGET} with rustup"),
            Self::Compiling { done, total, name } => write!(f, "compiling {done}/{total}: {name}"),
        }
    }
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Built {
    /// The file.
    pub component: PathBuf,
    /// Its contents.
    pub bytes: Vec<u8>,
    /// Name of the package.
    pub package: String,
    /// What the compiler warned of, as it shows it.
    pub warnings: Vec<String>,
}

/// A build and its settings.
#[derive(Clone, Debug)]
pub struct Build {
    source: PathBuf,
    profile: Profile,
    target_dir: Option<PathBuf>,
    features: Vec<String>,
    environment: Vec<(String, String)>,
}

/// Builds the module in a folder into a component.
pub fn build(
    source_dir: &Path,
    profile: Profile,
    progress: &mut dyn FnMut(Progress),
) -> Result<Built, BuildError> {
    Build::new(source_dir, profile).run(progress)
}

impl Build {
    /// Builds the module in a folder.
    #[must_use]
    pub fn new(source_dir: &Path, profile: Profile) -> Self {
        Self {
            source: source_dir.to_owned(),
            profile,
            target_dir: None,
            features: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Builds in this folder, so that several modules share their dependencies. Otherwise in
    /// `everwake-guests` under the package's own target folder: never in that itself, so that
    /// the build does not wait for a cargo that runs there.
    #[must_use]
    pub fn target_dir(mut self, folder: &Path) -> Self {
        self.target_dir = Some(folder.to_owned());
        self
    }

    /// Turns a feature of the package on.
    #[must_use]
    pub fn feature(mut self, name: &str) -> Self {
        self.features.push(name.to_owned());
        self
    }

    /// Sets a variable that the source reads with `env!`.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// How it is built.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Runs cargo to the end.
    pub fn run(&self, progress: &mut dyn FnMut(Progress)) -> Result<Built, BuildError> {
        let plan = cargo::plan(&self.source)?;
        let toolchain = Toolchain::find(&self.source, progress)?;
        let folder = self.target_dir.clone().unwrap_or_else(|| plan.target_dir.join("everwake-guests"));
        // Held until the bytes are read: another build may write the same file.
        let _lock = lock(&folder)?;
        let mut child = self.command(&plan, &toolchain, &folder).spawn().map_err(|error| {
            BuildError::NoRust { program: program("CARGO", "cargo").to_string_lossy().into_owned(), error }
        })?;
        let stderr = drain_stderr(&mut child);
        let messages = Messages::read(&mut child, &plan, progress);
        let status = child.wait().map_err(|error| BuildError::Io { path: self.source.clone(), error })?;
        let output = stderr.and_then(|thread| thread.join().ok()).unwrap_or_default();
        if !messages.errors.is_empty() {
            return Err(BuildError::Compile { errors: messages.errors, warnings: messages.warnings });
        }
        if !status.success() {
            return Err(BuildError::Cargo { output: output.trim().to_owned() });
        }
        let component = messages
            .component
            .ok_or_else(|| BuildError::NoComponent { reason: "cargo names no .wasm file".into() })?;
        let mut bytes =
            std::fs::read(&component).map_err(|error| BuildError::Io { path: component.clone(), error })?;
        if !bytes.starts_with(COMPONENT_HEADER) {
            return Err(BuildError::NoComponent { reason: "the linker made a core module".into() });
        }
        mark::add(&mut bytes, self.profile);
        // Beside cargo's file, which is cargo's: it may be the same one the next time.
        let component = component.with_extension("module.wasm");
        std::fs::write(&component, &bytes)
            .map_err(|error| BuildError::Io { path: component.clone(), error })?;
        Ok(Built { component, bytes, package: plan.name, warnings: messages.warnings })
    }

    fn command(&self, plan: &Plan, toolchain: &Toolchain, folder: &Path) -> Command {
        let mut cargo = Command::new(program("CARGO", "cargo"));
        cargo
            .args(["build", "--lib", "--target", TARGET, "--message-format", "json"])
            .current_dir(&self.source);
        let (name, settings) = match self.profile {
            Profile::Dev => ("dev", DEV),
            Profile::Release => ("release", RELEASE),
        };
        cargo.args(["--profile", name]);
        for setting in settings {
            cargo.arg("--config").arg(format!("profile.{name}.{setting}"));
        }
        cargo.arg("--target-dir").arg(folder);
        for feature in &self.features {
            cargo.args(["--features", feature]);
        }
        cargo.envs(self.environment.iter().map(|(name, value)| (name, value)));
        cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &toolchain.linker);
        // Flags for the author's own machine do not fit, and would replace ours.
        cargo.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", rustflags(plan));
        // Set when a linter runs us; it would check instead of build.
        cargo.env_remove("RUSTC_WORKSPACE_WRAPPER");
        cargo.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        cargo
    }
}

fn lock(folder: &Path) -> Result<std::fs::File, BuildError> {
    let path = folder.join("building");
    let locked = std::fs::create_dir_all(folder).and_then(|()| {
        let file = std::fs::File::create(&path)?;
        file.lock()?;
        Ok(file)
    });
    locked.map_err(|error| BuildError::Io { path, error })
}

/// Fast to compile, and quick enough for a game: unoptimised WASM is ten times slower.
const DEV: &[&str] = &["opt-level=1", "debug='line-tables-only'", "strip=false", "panic='abort'"];
/// Lines are kept: the host strips them before it compiles, and reads them when something traps.
const RELEASE: &[&str] = &[
    "opt-level=3",
    "lto='fat'",
    "codegen-units=1",
    "debug='line-tables-only'",
    "strip=false",
    "panic='abort'",
];
const COMPONENT_HEADER: &[u8] = b"\0asm\x0d\0\x01\0";

/// Cargo separates them by a unit separator. Paths are cut to what is the same on every machine,
/// so that the same source makes the same component, byte for byte.
fn rustflags(plan: &Plan) -> String {
    let workspace = format!("--remap-path-prefix={}=.", plan.workspace.display());
    let mut flags = vec!["-Ctarget-feature=+simd128".to_owned(), workspace];
    if let Some(home) = cargo_home() {
        flags.push(format!("--remap-path-prefix={}=cargo", home.display()));
    }
    flags.join("\u{1f}")
}

fn cargo_home() -> Option<PathBuf> {
    let set = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    set.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
}

#[derive(Default)]
struct Messages {
    component: Option<PathBuf>,
    errors: Vec<String>,
    warnings: Vec<String>,
}

impl Messages {
    fn read(child: &mut Child, plan: &Plan, progress: &mut dyn FnMut(Progress)) -> Self {
        let mut messages = Self::default();
        let mut done = std::collections::BTreeSet::new();
        let Some(stdout) = child.stdout.take() else { return messages };
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            match cargo::message(&line) {
                Some(Message::Artifact { package, name, cdylib, files }) => {
                    if cdylib && package == plan.package {
                        let is_wasm =
                            |file: &PathBuf| file.extension().is_some_and(|ending| ending == "wasm");
                        messages.component = files.into_iter().find(is_wasm);
                    }
                    done.insert(package);
                    // Hosts and targets can need different packages than the plan tells.
                    let total = plan.packages.max(done.len());
                    progress(Progress::Compiling { done: done.len(), total, name });
                }
                Some(Message::Error(text)) => messages.errors.push(text),
                Some(Message::Warning(text)) => messages.warnings.push(text),
                None => {}
            }
        }
        messages
    }
}

/// Reads along, so that cargo never waits for us.
fn drain_stderr(child: &mut Child) -> Option<std::thread::JoinHandle<String>> {
    let mut stderr = child.stderr.take()?;
    let drain = move || {
        let mut bytes = Vec::new();
        // What was read before an error is worth showing.
        let _ = stderr.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    std::thread::Builder::new().spawn(drain).ok()
}
