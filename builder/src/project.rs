//! The source of a new module: a folder that builds, tests and opens in an editor as it is.

use std::fs;
use std::path::{Path, PathBuf};

/// Longest name of a module; the same limit that the server checks.
const NAME_BYTES_MAX: usize = 64;

/// Where the new project takes the SDK from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SdkSource {
    /// A checkout: the folder of the crate `everwake`.
    Path(PathBuf),
    /// A published version.
    Version(String),
}

/// Why there is no new project.
#[derive(Debug, thiserror::Error)]
pub enum NewProjectError {
    /// Neither cargo nor the server takes such a name.
    #[error(
        "`{0}` cannot name a module\nhint: a letter first, then letters, digits and `-`, all lower case, at most 64"
    )]
    BadName(String),
    /// Nothing is overwritten.
    #[error("`{0}` is there already, and not empty\nhint: choose another folder")]
    NotEmpty(PathBuf),
    /// Reading or writing failed.
    #[error("`{path}`: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

/// Makes a project in a folder that does not exist or is empty.
pub fn new_project(folder: &Path, name: &str, sdk: &SdkSource) -> Result<(), NewProjectError> {
    if !is_name(name) {
        return Err(NewProjectError::BadName(name.to_owned()));
    }
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| NewProjectError::Io { path, error }
    };
    let source = folder.join("src");
    if folder.exists() && fs::read_dir(folder).map_err(io(folder))?.next().is_some() {
        return Err(NewProjectError::NotEmpty(folder.to_owned()));
    }
    let sdk = match sdk {
        SdkSource::Version(version) => quoted(version),
        SdkSource::Path(path) => {
            let path = path.canonicalize().map_err(io(path))?;
            format!("{{ path = {} }}", quoted(&path.to_string_lossy()))
        }
    };
    fs::create_dir_all(&source).map_err(io(&source))?;
    for (file, template) in TEMPLATE {
        let path = folder.join(file);
        let text = template.replace("{{name}}", name).replace("{{sdk}}", &sdk);
        fs::write(&path, text).map_err(io(&path))?;
    }
    Ok(())
}

const TEMPLATE: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("../template/Cargo.toml.txt")),
    ("src/lib.rs", include_str!("../template/lib.rs.txt")),
    (".gitignore", include_str!("../template/gitignore.txt")),
    ("README.md", include_str!("../template/README.md.txt")),
];

fn is_name(name: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(rest)
}

/// A string of TOML's.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_has_its_name_and_its_sdk() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("deep/er");
        new_project(&project, "my-game", &SdkSource::Version("0.1".into())).unwrap();
        let manifest = fs::read_to_string(project.join("Cargo.toml")).unwrap();
        assert!(
            manifest.contains("name = \"my-game\"") && manifest.contains("everwake = \"0.1\""),
            "{manifest}"
        );
        for (file, _) in TEMPLATE {
            assert!(!fs::read_to_string(project.join(file)).unwrap().contains("{{"), "{file}");
        }
        let again = new_project(&project, "my-game", &SdkSource::Version("0.1".into()));
        assert!(matches!(again, Err(NewProjectError::NotEmpty(_))));
    }

    #[test]
    fn names_are_those_that_cargo_and_the_server_take() {
        for good in ["a", "my-game-2", &"x".repeat(64)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "2d", "-a", "My", "a_b", "a b", "é", "a\"", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
