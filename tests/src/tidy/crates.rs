//! Which crate may use which, and where heavy dependencies live.

use super::{Finding, TidyError, Tree};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Crates of this repository that another one may use. Who is not listed may use none.
///
/// `protocol <- link <- dispatcher <- {runtime, gate, client} <- {testkit, cli} <- {tests, bench}`; crates of
/// one layer never use each other, and the guest SDK shares only `wit/` with the host.
const MAY_USE: [(&str, &[&str]); 15] = [
    ("everwake-protocol", &[]),
    ("everwake-link", &["everwake-protocol"]),
    ("everwake-dispatcher", &["everwake-protocol", "everwake-link"]),
    ("everwake-runtime", &["everwake-protocol", "everwake-link", "everwake-dispatcher"]),
    ("everwake-gate", &["everwake-protocol", "everwake-link", "everwake-dispatcher"]),
    ("everwake-client", &["everwake-protocol"]),
    ("everwake-builder", &[]),
    (
        "everwake-testkit",
        &[
            "everwake-protocol",
            "everwake-link",
            "everwake-dispatcher",
            "everwake-runtime",
            "everwake-gate",
            "everwake-client",
            "everwake-builder",
        ],
    ),
    (
        "everwake-cli",
        &[
            "everwake-protocol",
            "everwake-link",
            "everwake-dispatcher",
            "everwake-runtime",
            "everwake-gate",
            "everwake-client",
            "everwake-builder",
        ],
    ),
    (
        "everwake-tests",
        &[
            "everwake-protocol",
            "everwake-link",
            "everwake-dispatcher",
            "everwake-runtime",
            "everwake-gate",
            "everwake-client",
            "everwake-builder",
            "everwake-testkit",
            "everwake-cli",
        ],
    ),
    (
        "everwake-bench",
        &[
            "everwake-protocol",
            "everwake-link",
            "everwake-dispatcher",
            "everwake-runtime",
            "everwake-gate",
            "everwake-client",
            "everwake-builder",
            "everwake-testkit",
            "everwake-cli",
        ],
    ),
    (
        "everwake-fuzz",
        &["everwake-builder", "everwake-protocol", "everwake-link", "everwake-runtime", "everwake-client"],
    ),
    ("everwake", &["everwake-macros"]),
    ("everwake-macros", &[]),
    ("everwake-c-bindgen", &[]),
];

/// What tests may use besides, by crate.
const TESTS_MAY_USE: [(&str, &[&str]); 3] = [
    ("everwake-runtime", &["everwake-builder"]),
    ("everwake-gate", &["everwake-client"]),
    ("everwake-client", &["everwake-gate"]),
];

/// Folders of modules. A module stands on the SDK, or on `wit/` alone, and its tests on the kit;
/// only the crates of tests and of measurements use modules as crates.
const MODULES: [&str; 3] = ["samples/", "tests/modules/", "bench/modules/"];
const MODULES_MAY_USE: &[&str] = &["everwake"];
const TESTS_OF_MODULES_MAY_USE: &[&str] = &["everwake-testkit"];
const USERS_OF_MODULES: [&str; 2] = ["everwake-tests", "everwake-bench"];

/// Heavy dependencies and the crates that may use them outside of tests.
/// Benchmarks may use what they measure against: a bare QUIC echo, a module without the SDK.
const HOMES: [(&str, &[&str]); 23] = [
    ("wasmtime", &["everwake-runtime"]),
    ("wasmparser", &["everwake-runtime"]),
    ("wasm-encoder", &["everwake-runtime"]),
    ("addr2line", &["everwake-runtime"]),
    ("quinn", &["everwake-gate", "everwake-client", "everwake-bench"]),
    ("quinn-proto", &["everwake-gate"]),
    ("rustls", &["everwake-link", "everwake-gate", "everwake-client", "everwake-bench"]),
    ("rustls-webpki", &["everwake-link"]),
    ("tokio-rustls", &["everwake-link"]),
    ("rcgen", &["everwake-link", "everwake-gate", "everwake-bench"]),
    ("wit-bindgen", &["everwake", "bench-bare"]),
    ("wit-bindgen-c", &["everwake-c-bindgen"]),
    ("wit-bindgen-core", &["everwake-c-bindgen"]),
    ("syn", &["everwake-macros", "everwake-tests"]),
    ("quote", &["everwake-macros"]),
    ("axum", &["everwake-cli"]),
    ("clap", &["everwake-cli", "everwake-bench"]),
    ("crossterm", &["everwake-cli"]),
    ("indicatif", &["everwake-cli"]),
    ("notify", &["everwake-cli"]),
    ("rustyline", &["everwake-cli"]),
    ("ureq", &["everwake-cli", "everwake-bench", "everwake-tests"]),
    ("hdrhistogram", &["everwake-bench"]),
];

/// What a crate must not use outside of tests: cores have no sockets, threads of a runtime or
/// chance of their own, and libraries have errors with types.
const BANNED: [(&str, &[&str]); 9] = [
    ("everwake-protocol", &["tokio", "anyhow", "rand", "tracing", "ciborium"]),
    ("everwake-link", &["anyhow", "rand"]),
    ("everwake-dispatcher", &["anyhow", "rand"]),
    ("everwake-runtime", &["tokio", "anyhow", "rand"]),
    ("everwake-gate", &["anyhow", "rand"]),
    ("everwake-client", &["anyhow", "rand"]),
    ("everwake-builder", &["anyhow", "tokio"]),
    ("everwake-testkit", &["tokio", "rand"]),
    ("everwake", &["anyhow", "tokio", "serde", "rand"]),
];

/// Names that only files below these folders may write.
const NAMED_IN: [(&str, &[&str]); 3] = [
    ("wasmtime", &["runtime/src/wasm/", "runtime/tests/wasm/"]),
    ("quinn", &["gate/", "client/rust/", "bench/"]),
    ("wit_bindgen", &["guest-sdk/rust/", "runtime/tests/fixtures/", "bench/modules/"]),
];

/// One crate of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its manifest, from the root.
    pub manifest: String,
    /// What it uses.
    pub dependencies: Vec<Dependency>,
}

impl Package {
    fn is_module(&self) -> bool {
        MODULES.iter().any(|folder| self.manifest.starts_with(folder))
    }
}

/// One line of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Name of the crate.
    pub name: String,
    /// True if only tests use it.
    pub dev: bool,
    /// True if it is in this repository.
    pub local: bool,
}

/// All crates of the workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workspace {
    /// In the order of cargo.
    pub packages: Vec<Package>,
}

impl Workspace {
    /// Asks cargo.
    pub fn load(root: &Path) -> Result<Workspace, TidyError> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
            .current_dir(root)
            .output()
            .map_err(|error| TidyError::Metadata(format!("does not start: {error}")))?;
        if !output.status.success() {
            return Err(TidyError::Metadata(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        Workspace::read(&output.stdout)
    }

    /// Reads what `cargo metadata` says.
    pub fn read(json: &[u8]) -> Result<Workspace, TidyError> {
        let failed = || TidyError::Metadata("has another form than expected".to_owned());
        let value: Value =
            serde_json::from_slice(json).map_err(|error| TidyError::Metadata(error.to_string()))?;
        let list =
            |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().ok_or_else(failed);
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let root = text(&value, "workspace_root").ok_or_else(failed)?;
        let mut packages = Vec::new();
        for package in list(&value, "packages")? {
            let mut dependencies = Vec::new();
            for dependency in list(&package, "dependencies")? {
                dependencies.push(Dependency {
                    name: text(&dependency, "name").ok_or_else(failed)?,
                    dev: text(&dependency, "kind").is_some_and(|kind| kind == "dev"),
                    local: text(&dependency, "path").is_some(),
                });
            }
            let name = text(&package, "name").ok_or_else(failed)?;
            let manifest = text(&package, "manifest_path").ok_or_else(failed)?;
            let manifest =
                manifest.strip_prefix(&root).unwrap_or(&manifest).trim_start_matches('/').to_owned();
            packages.push(Package { name, manifest, dependencies });
        }
        Ok(Workspace { packages })
    }

    fn edges(&self) -> impl Iterator<Item = (&Package, &Dependency)> {
        self.packages
            .iter()
            .flat_map(|package| package.dependencies.iter().map(move |dependency| (package, dependency)))
    }
}

fn row<'a>(table: &'a [(&'a str, &'a [&'a str])], name: &str) -> Option<&'a [&'a str]> {
    table.iter().find(|(row, _)| *row == name).map(|(_, entries)| *entries)
}

/// Crates use only those below them.
#[must_use]
pub fn direction(workspace: &Workspace) -> Vec<Finding> {
    let is_module =
        |name: &str| workspace.packages.iter().any(|package| package.name == name && package.is_module());
    let mut findings = Vec::new();
    for package in &workspace.packages {
        let (uses, tests_use) = match (package.is_module(), row(&MAY_USE, &package.name)) {
            (true, _) => (MODULES_MAY_USE, TESTS_OF_MODULES_MAY_USE),
            (false, Some(uses)) => (uses, row(&TESTS_MAY_USE, &package.name).unwrap_or_default()),
            (false, None) => {
                let what = "is not in the table of directions in `tidy/crates.rs`";
                findings.push(Finding::new(&package.name, what));
                continue;
            }
        };
        for dependency in package.dependencies.iter().filter(|dependency| dependency.local) {
            let name = dependency.name.as_str();
            let allowed = uses.contains(&name)
                || dependency.dev && tests_use.contains(&name)
                || USERS_OF_MODULES.contains(&package.name.as_str()) && is_module(name);
            if !allowed {
                findings.push(Finding::new(&package.name, format!("must not use `{name}`")));
            }
        }
    }
    findings
}

/// Heavy dependencies stay at home, in manifests and in sources.
#[must_use]
pub fn homes(workspace: &Workspace, tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (package, dependency) in workspace.edges().filter(|(_, dependency)| !dependency.dev) {
        let Some(homes) = row(&HOMES, &dependency.name) else { continue };
        if !homes.contains(&package.name.as_str()) {
            let what = format!("must not use `{}`; it lives in {}", dependency.name, homes.join(" and "));
            findings.push(Finding::new(&package.name, what));
        }
    }
    for file in tree.with_extension("rs") {
        for (name, folders) in NAMED_IN {
            if folders.iter().any(|folder| file.path.starts_with(folder)) {
                continue;
            }
            let path = format!("{name}::");
            if let Some(line) = file.text.lines().position(|line| !is_comment(line) && names(line, &path)) {
                let what = format!("names `{name}`, which only {} may", folders.join(" and "));
                findings.push(Finding::new(format!("{}:{}", file.path, line + 1), what));
            }
        }
    }
    findings
}

/// Cores and libraries stay free of what does not belong into them.
#[must_use]
pub fn purity(workspace: &Workspace) -> Vec<Finding> {
    let banned = |(package, dependency): &(&Package, &Dependency)| {
        !dependency.dev
            && row(&BANNED, &package.name).is_some_and(|banned| banned.contains(&dependency.name.as_str()))
    };
    workspace
        .edges()
        .filter(banned)
        .map(|(package, dependency)| {
            Finding::new(&package.name, format!("must not use `{}` outside of tests", dependency.name))
        })
        .collect()
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// True if `path` stands in `line` as the beginning of a path.
fn names(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|before| before.is_alphanumeric() || "_\"`".contains(before))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, manifest: &str, dependency: &str, kind: &str, path: &str) -> String {
        format!(
            r#"{{"name":"{name}","manifest_path":"/x/{manifest}",
            "dependencies":[{{"name":"{dependency}","kind":{kind}{path}}}]}}"#
        )
    }

    fn read(packages: &str) -> Workspace {
        let json = format!(r#"{{"workspace_root":"/x","packages":[{packages}]}}"#);
        Workspace::read(json.as_bytes()).unwrap()
    }

    fn workspace(name: &str, dependency: &str, kind: &str, path: &str) -> Workspace {
        read(&package(name, "a/Cargo.toml", dependency, kind, path))
    }

    const LOCAL: &str = r#","path":"/somewhere""#;

    fn local(name: &str, dependency: &str, kind: &str) -> Workspace {
        workspace(name, dependency, kind, LOCAL)
    }

    #[test]
    fn modules_stand_on_the_sdk_alone() {
        let check = |dependency, kind| {
            direction(&read(&package("maze", "samples/maze/Cargo.toml", dependency, kind, LOCAL))).len()
        };
        assert_eq!((check("everwake", "null"), check("everwake-testkit", r#""dev""#)), (0, 0));
        assert_eq!((check("everwake-protocol", "null"), check("everwake-testkit", "null")), (1, 1));
        let module = package("maze", "samples/maze/Cargo.toml", "everwake", "null", LOCAL);
        let user = |name| {
            let user = package(name, "a/Cargo.toml", "maze", r#""dev""#, LOCAL);
            direction(&read(&format!("{module},{user}"))).len()
        };
        assert_eq!((user("everwake-tests"), user("everwake-runtime")), (0, 1));
    }

    #[test]
    fn an_edge_upwards_or_sideways_is_found() {
        assert_eq!(direction(&local("everwake-runtime", "everwake-protocol", "null")), []);
        assert_eq!(direction(&local("everwake-gate", "everwake-client", r#""dev""#)), []);
        for (name, dependency, kind) in [
            ("everwake-protocol", "everwake-runtime", "null"),
            ("everwake-gate", "everwake-client", "null"),
            ("everwake-gate", "everwake-runtime", r#""dev""#),
            ("everwake", "everwake-protocol", r#""build""#),
        ] {
            assert_eq!(direction(&local(name, dependency, kind)).len(), 1, "{name} uses {dependency}");
        }
        assert_eq!(direction(&workspace("new", "bytes", "null", "")).len(), 1);
    }

    #[test]
    fn a_heavy_dependency_away_from_home_is_found() {
        let nothing = Tree::default();
        assert_eq!(homes(&workspace("everwake-runtime", "wasmtime", "null", ""), &nothing), []);
        assert_eq!(homes(&workspace("everwake-gate", "wasmtime", r#""dev""#, ""), &nothing), []);
        assert_eq!(homes(&workspace("everwake-gate", "wasmtime", "null", ""), &nothing).len(), 1);
        let tree = |path: &str, text: &str| Tree::of(&[(path, text)]);
        let nobody = Workspace::default();
        let (name, folders) = NAMED_IN[0];
        let text = format!("//! {name}::Engine in words\nuse {name}::Engine;");
        assert_eq!(homes(&nobody, &tree(&format!("{}engine.rs", folders[0]), &text)), []);
        let found = homes(&nobody, &tree("runtime/src/space/mod.rs", &text));
        assert_eq!(found[0].place, "runtime/src/space/mod.rs:2");
        assert_eq!(homes(&nobody, &tree("runtime/src/space/mod.rs", &format!("my_{name}::x()"))), []);
    }

    #[test]
    fn a_core_with_a_socket_is_found() {
        assert_eq!(purity(&workspace("everwake-protocol", "bytes", "null", "")), []);
        assert_eq!(purity(&workspace("everwake-runtime", "anyhow", r#""dev""#, "")), []);
        assert_eq!(purity(&workspace("everwake-protocol", "tokio", "null", "")).len(), 1);
        assert_eq!(purity(&workspace("everwake-gate", "anyhow", "null", "")).len(), 1);
    }

    #[test]
    fn other_metadata_is_an_error() {
        for json in ["", "{}", r#"{"workspace_root":"/x","packages":[{}]}"#] {
            assert!(Workspace::read(json.as_bytes()).is_err(), "{json}");
        }
    }
}
