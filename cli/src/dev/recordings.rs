//! Which folder a recording goes to: what somebody has recorded is not written over by chance.

use crate::admin::types::{Problem, ProblemCode, RecordTarget};
use crate::state;
use everwake_runtime::driver::EXTENSION;
use std::path::{Path, PathBuf};

/// Folders with a number of their own that are tried. Stops a search without end.
const NAMES_MAX: u32 = 10_000;

/// Where a recording goes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The folder.
    pub folder: PathBuf,
    /// Files of an earlier recording in it, which go.
    pub over: Vec<PathBuf>,
    /// An earlier recording that made another name necessary.
    pub beside: Option<PathBuf>,
}

/// Finds the place. `usual` is the folder's name in `.everwake` if none is asked for.
pub fn place(target: &RecordTarget, usual: &str) -> Result<Place, Problem> {
    if target.folder.is_empty() {
        let first = Path::new(state::FOLDER).join(usual);
        return beside(first, target.force);
    }
    let folder = PathBuf::from(&target.folder);
    let over = files(&folder);
    if !over.is_empty() && !target.force {
        return Err(Problem::new(
            ProblemCode::BadRequest,
            format!("The folder `{}` holds a recording already.", folder.display()),
            "Name another folder, or write over what it holds with `--force`.",
        ));
    }
    Ok(Place { folder, over, beside: None })
}

fn beside(first: PathBuf, force: bool) -> Result<Place, Problem> {
    let over = files(&first);
    if over.is_empty() || force {
        return Ok(Place { folder: first, over, beside: None });
    }
    let numbered = (2..NAMES_MAX).map(|number| PathBuf::from(format!("{}-{number}", first.display())));
    let free = numbered.into_iter().find(|folder| files(folder).is_empty());
    match free {
        Some(folder) => Ok(Place { folder, over: Vec::new(), beside: Some(first) }),
        None => Err(Problem::new(
            ProblemCode::Failed,
            format!("There are {NAMES_MAX} recordings beside `{}`.", first.display()),
            "Remove some of them, or name a folder.",
        )),
    }
}

impl Place {
    /// Removes what is written over: files of spaces that are gone would be replayed too. How many.
    pub fn clear(&self) -> std::io::Result<u64> {
        self.over.iter().try_for_each(std::fs::remove_file)?;
        Ok(self.over.len() as u64)
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|ending| ending == EXTENSION)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(folder: &Path, force: bool) -> RecordTarget {
        RecordTarget { folder: folder.display().to_string(), force, space: None }
    }

    fn recorded(folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join(format!("a.{EXTENSION}")), "").unwrap();
        std::fs::write(folder.join("1.wasm"), "").unwrap();
    }

    #[test]
    fn a_named_folder_is_written_over_only_if_that_is_meant() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("oops");
        assert_eq!(place(&target(&folder, false), "last").unwrap().folder, folder);
        recorded(&folder);
        let problem = place(&target(&folder, false), "last").unwrap_err();
        assert!(problem.message.contains("oops") && problem.hint.contains("--force"), "{problem:?}");
        let place = place(&target(&folder, true), "last").unwrap();
        assert_eq!((place.clear().unwrap(), files(&folder).len()), (1, 0));
        assert!(folder.join("1.wasm").exists(), "only recordings go");
    }

    #[test]
    fn a_folder_that_nobody_named_gets_the_next_free_name() {
        let dir = tempfile::tempdir().unwrap();
        let first = dir.path().join("last");
        assert_eq!(beside(first.clone(), false).unwrap().folder, first);
        recorded(&first);
        let second = beside(first.clone(), false).unwrap();
        assert_eq!((second.folder, second.beside), (dir.path().join("last-2"), Some(first.clone())));
        recorded(&dir.path().join("last-2"));
        assert_eq!(beside(first.clone(), false).unwrap().folder, dir.path().join("last-3"));
        assert_eq!(beside(first.clone(), true).unwrap().folder, first);
    }
}
