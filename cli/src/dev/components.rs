//! The components that were published in this session, in order: recordings name versions by hash,
//! and are replayed with these.

use crate::failure::HintExt as _;
use everwake_runtime::game::report::PublicationReport;
use std::path::{Path, PathBuf};

/// Components that one session keeps. Stops a loop of publications from filling the disk.
const KEPT_MAX: usize = 1_000;

/// A folder of them.
#[derive(Clone, Debug)]
pub struct Components {
    folder: PathBuf,
}

impl Components {
    /// An empty one: those of the last session are gone.
    pub fn begin(folder: PathBuf) -> anyhow::Result<Components> {
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .hint(format!("The folder `{}` cannot be emptied.", folder.display()), "Remove it.")?;
        }
        std::fs::create_dir_all(&folder).hint(
            format!("The folder `{}` cannot be made.", folder.display()),
            "Run `dev` where you may write.",
        )?;
        Ok(Components { folder })
    }

    /// Keeps what was published.
    pub fn keep_published(&self, report: &PublicationReport, bytes: &[u8]) -> std::io::Result<()> {
        match report.published {
            true => self.keep(&report.module, report.generation, &report.version, bytes),
            false => Ok(()),
        }
    }

    /// Keeps a version by the start of its hash.
    pub fn keep(&self, module: &str, generation: u32, version: &str, bytes: &[u8]) -> std::io::Result<()> {
        if files(&self.folder)?.len() >= KEPT_MAX {
            return Ok(());
        }
        let short = version.get(..12).unwrap_or(version);
        let name = format!("{module}-{generation:06}-{short}.wasm");
        std::fs::write(self.folder.join(name), bytes)
    }

    /// Copies all of them beside a recording.
    pub fn copy_to(&self, folder: &Path) -> std::io::Result<()> {
        for file in files(&self.folder)? {
            if let Some(name) = file.file_name() {
                std::fs::copy(&file, folder.join(name))?;
            }
        }
        Ok(())
    }
}

/// Components in a folder, each module's in the order in which they were published.
pub fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries: Result<Vec<_>, _> = std::fs::read_dir(folder)?.collect();
    let is_component = |file: &PathBuf| file.extension().is_some_and(|ending| ending == "wasm");
    let mut files: Vec<PathBuf> = entries?.into_iter().map(|it| it.path()).filter(is_component).collect();
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_kept_in_the_order_of_their_publication() {
        let dir = tempfile::tempdir().unwrap();
        let components = Components::begin(dir.path().join("c")).unwrap();
        let report = |generation, published| PublicationReport {
            module: "chat".into(),
            version: "f".repeat(64),
            generation,
            published,
            ..PublicationReport::default()
        };
        components.keep_published(&report(10, true), b"ten").unwrap();
        components.keep_published(&report(2, true), b"two").unwrap();
        components.keep_published(&report(3, false), b"refused").unwrap();
        let beside = dir.path().join("recording");
        std::fs::create_dir_all(&beside).unwrap();
        components.copy_to(&beside).unwrap();
        let texts: Vec<_> =
            files(&beside).unwrap().iter().map(|it| std::fs::read_to_string(it).unwrap()).collect();
        assert_eq!(texts, ["two", "ten"]);
        Components::begin(dir.path().join("c")).unwrap();
        assert!(files(&dir.path().join("c")).unwrap().is_empty());
    }
}
