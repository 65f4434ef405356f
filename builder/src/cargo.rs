//! What cargo says: the plan of a build, and the messages of its run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::BuildError;
use crate::toolchain::{TARGET, program};

/// What is going to be built.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Cargo's id of the module's package.
    pub(crate) package: String,
    /// Its name.
    pub(crate) name: String,
    /// The folder that the workspace builds in.
    pub(crate) target_dir: PathBuf,
    /// The folder that relative paths in messages start from.
    pub(crate) workspace: PathBuf,
    /// How many packages take part.
    pub(crate) packages: usize,
}

/// Asks cargo what it would build in a folder.
pub(crate) fn plan(folder: &Path) -> Result<Plan, BuildError> {
    let manifest = folder.join("Cargo.toml");
    if !manifest.is_file() {
        return Err(BuildError::NoPackage(folder.to_owned()));
    }
    let manifest = manifest.canonicalize().map_err(|error| BuildError::Io { path: manifest, error })?;
    let cargo = program("CARGO", "cargo");
    let output = Command::new(&cargo)
        .args(["metadata", "--format-version", "1", "--filter-platform", TARGET])
        .current_dir(folder)
        .output()
        .map_err(|error| BuildError::NoRust { program: cargo.to_string_lossy().into_owned(), error })?;
    if !output.status.success() {
        return Err(BuildError::Cargo { output: String::from_utf8_lossy(&output.stderr).trim().to_owned() });
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| BuildError::Cargo { output: format!("unreadable metadata: {error}") })?;
    read_plan(&metadata, &manifest, folder)
}

fn read_plan(metadata: &Value, manifest: &Path, folder: &Path) -> Result<Plan, BuildError> {
    let package = items(metadata, "packages")
        .find(|package| Path::new(text(package, "manifest_path")) == manifest)
        .ok_or_else(|| BuildError::NoPackage(folder.to_owned()))?;
    let name = text(package, "name").to_owned();
    let is_cdylib = |target| items(target, "crate_types").any(|kind| kind == "cdylib");
    if !items(package, "targets").any(is_cdylib) {
        return Err(BuildError::NotACdylib { package: name });
    }
    let id = text(package, "id");
    Ok(Plan {
        package: id.to_owned(),
        name,
        target_dir: text(metadata, "target_directory").into(),
        workspace: text(metadata, "workspace_root").into(),
        packages: count_packages(metadata, id),
    })
}

/// Packages that a build of `root` compiles: dependencies of tests left out.
fn count_packages(metadata: &Value, root: &str) -> usize {
    let nodes = metadata.get("resolve").into_iter().flat_map(|resolve| items(resolve, "nodes"));
    let nodes: BTreeMap<_, _> = nodes.map(|node| (text(node, "id"), node)).collect();
    let mut seen = BTreeSet::from([root]);
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        let dependencies = nodes.get(id).into_iter().flat_map(|node| items(node, "deps"));
        for dependency in dependencies {
            let built =
                items(dependency, "dep_kinds").any(|kind| kind.get("kind") != Some(&Value::from("dev")));
            let id = text(dependency, "pkg");
            if built && seen.insert(id) {
                open.push(id);
            }
        }
    }
    seen.len()
}

/// One line of cargo's JSON output that a build cares for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// A package is done, and these files came out.
    Artifact { package: String, name: String, cdylib: bool, files: Vec<PathBuf> },
    /// The compiler found a mistake.
    Error(String),
    /// The compiler found something odd in a package of the author's.
    Warning(String),
}

/// Reads a line; lines that do not matter are none.
pub(crate) fn message(line: &str) -> Option<Message> {
    let value: Value = serde_json::from_str(line).ok()?;
    match text(&value, "reason") {
        "compiler-artifact" => {
            let target = value.get("target")?;
            let kinds = || items(target, "kind");
            if kinds().any(|kind| kind == "custom-build") {
                return None;
            }
            Some(Message::Artifact {
                package: text(&value, "package_id").to_owned(),
                name: text(target, "name").to_owned(),
                cdylib: kinds().any(|kind| kind == "cdylib"),
                files: items(&value, "filenames").filter_map(Value::as_str).map(PathBuf::from).collect(),
            })
        }
        "compiler-message" => {
            let message = value.get("message")?;
            let rendered = text(message, "rendered").trim_end().to_owned();
            match text(message, "level") {
                level if level.starts_with("error") => Some(Message::Error(rendered)),
                // A count of warnings has no place in the source.
                "warning" if items(message, "spans").next().is_some() => Some(Message::Warning(rendered)),
                _ => None,
            }
        }
        _ => None,
    }
}

fn items<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
