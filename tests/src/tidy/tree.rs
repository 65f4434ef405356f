//! The files of the repository as values, and what may lie in its root.

use super::{Finding, TidyError};
use std::path::Path;

/// Folders that are made by tools or by people for themselves.
const SKIPPED: [&str; 7] = [".git", ".everwake", "target", "node_modules", "corpus", "artifacts", "results"];

/// What the root may hold. A new entry is the first thing that a visitor sees: think twice.
const ROOT: [&str; 39] = [
    ".ci",
    ".config",
    ".dockerignore",
    ".everwake",
    ".git",
    ".gitattributes",
    ".github",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "Justfile",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "bench",
    "builder",
    "cli",
    "client",
    "clippy.toml",
    "deny.toml",
    "deploy",
    "dispatcher",
    "docs",
    "fuzz",
    "gate",
    "guest-sdk",
    "link",
    "protocol",
    "runtime",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "samples",
    "target",
    "testkit",
    "tests",
    "wit",
];

/// One text file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// From the root, with `/`.
    pub path: String,
    /// What is in it.
    pub text: String,
}

impl File {
    /// True if the name ends in `.extension`.
    #[must_use]
    pub fn is(&self, extension: &str) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, found)| found == extension)
    }
}

/// All text files, and the names of all others.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Sorted by path.
    pub files: Vec<File>,
    /// Files that are no text, and folders.
    pub others: Vec<String>,
    /// What lies in the root.
    pub root: Vec<String>,
}

impl Tree {
    /// Reads everything below `root` that belongs to the repository.
    pub fn load(root: &Path) -> Result<Tree, TidyError> {
        let mut tree = Tree::default();
        tree.walk(root, "")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        tree.others.sort();
        tree.root.sort();
        Ok(tree)
    }

    /// A tree of these files, for tests.
    #[must_use]
    pub fn of(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (path, text) in files {
            for (at, _) in path.match_indices('/') {
                tree.others.extend(path.get(..at).map(str::to_owned));
            }
            tree.root.extend(path.split('/').next().map(str::to_owned));
            tree.files.push(File { path: (*path).to_owned(), text: (*text).to_owned() });
        }
        tree
    }

    /// Files of this extension.
    pub fn with_extension<'a>(&'a self, extension: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.is(extension))
    }

    /// True if a file or a folder has this path.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.others.iter().any(|other| other == path) || self.files.iter().any(|file| file.path == path)
    }

    /// The text of a file, empty if it is not there.
    #[must_use]
    pub fn text(&self, path: &str) -> &str {
        self.files.iter().find(|file| file.path == path).map_or("", |file| &file.text)
    }

    fn walk(&mut self, folder: &Path, prefix: &str) -> Result<(), TidyError> {
        let failed = |error| TidyError::Read(folder.display().to_string(), error);
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if prefix.is_empty() {
                self.root.push(name.clone());
            }
            if SKIPPED.contains(&name.as_str()) {
                continue;
            }
            let path = format!("{prefix}{name}");
            if entry.file_type().map_err(failed)?.is_dir() {
                self.walk(&entry.path(), &format!("{path}/"))?;
                self.others.push(path);
                continue;
            }
            match std::fs::read(entry.path()).map(String::from_utf8).map_err(failed)? {
                Ok(text) => self.files.push(File { path, text }),
                Err(_) => self.others.push(path),
            }
        }
        Ok(())
    }
}

/// Nothing lies in the root that is not listed.
#[must_use]
pub fn root_is_tidy(tree: &Tree) -> Vec<Finding> {
    let strangers = tree.root.iter().filter(|name| !ROOT.contains(&name.as_str()));
    strangers
        .map(|name| {
            Finding::new(
                name,
                "does not belong into the root: find it a folder, or list it in `tidy/tree.rs`",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_in_the_root_is_found() {
        assert_eq!(root_is_tidy(&Tree::of(&[("README.md", ""), ("wit/types.wit", "")])), []);
        let found = root_is_tidy(&Tree::of(&[("notes.txt", "")]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "notes.txt");
    }

    #[test]
    fn a_tree_is_read_from_a_disk() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("a/target")).unwrap();
        std::fs::write(folder.path().join("a/b.md"), "text").unwrap();
        std::fs::write(folder.path().join("a/target/c.md"), "text").unwrap();
        std::fs::write(folder.path().join("a/picture"), [0xff, 0xfe]).unwrap();
        let tree = Tree::load(folder.path()).unwrap();
        assert_eq!(tree.files, [File { path: "a/b.md".to_owned(), text: "text".to_owned() }]);
        assert!(tree.has("a/picture") && tree.has("a/") && !tree.has("a/target/c.md"));
        assert_eq!(tree.text("a/b.md"), "text");
    }
}
