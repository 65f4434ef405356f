//! Which saves count. Turns file events into module indexes; everything else is in `rebuild`.

use super::rebuild::ModuleIndex;
use crate::failure::HintExt as _;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::path::{Path, PathBuf};

/// The files of one module that count.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Folder of the module, canonical.
    pub dir: PathBuf,
    /// Folders and files in it that count, canonical.
    pub roots: Vec<PathBuf>,
}

impl Watched {
    /// `src/`, `Cargo.toml`, `build.rs`, `everwake.toml`, and what the config names.
    pub fn new(dir: &Path, extra: &[String]) -> anyhow::Result<Self> {
        let dir = dir.canonicalize().hint(
            format!("The folder `{}` cannot be found.", dir.display()),
            "Name the folder of a module.",
        )?;
        let usual = ["src", "Cargo.toml", "build.rs", "everwake.toml"].map(str::to_owned);
        let roots = usual
            .iter()
            .chain(extra)
            .map(|root| dir.join(root))
            .map(|root| root.canonicalize().unwrap_or(root))
            .collect();
        Ok(Watched { dir, roots })
    }

    /// Whether a change of this path is a save of the module's source.
    pub fn counts(&self, path: &Path) -> bool {
        let name = path.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
        // Editors write beside the file before they rename.
        let passing = name.starts_with(['.', '#'])
            || name.ends_with(['~', '#'])
            || name.ends_with(".swp")
            || name.ends_with(".tmp")
            || name == "4913";
        !passing && self.roots.iter().any(|root| path.starts_with(root))
    }
}

/// Watches until it is dropped.
pub struct Watcher {
    _watcher: RecommendedWatcher,
}

/// Watches the modules; `saved` is called on a thread of the watcher's.
pub fn watch(modules: Vec<Watched>, saved: impl Fn(ModuleIndex) + Send + 'static) -> anyhow::Result<Watcher> {
    let dirs: Vec<Watched> = modules.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        for module in event.map(|event| modules_of(&event, &modules)).unwrap_or_default() {
            saved(module);
        }
    })?;
    let mut begin = |path: &Path, mode| {
        watcher.watch(path, mode).hint(
            format!("The folder `{}` cannot be watched.", path.display()),
            "Raise `fs.inotify.max_user_watches`, or start `dev` again after each save.",
        )
    };
    for module in &dirs {
        // Not recursively: `target/` is in there, and an editor renames over `Cargo.toml`.
        begin(&module.dir, RecursiveMode::NonRecursive)?;
        for root in module.roots.iter().filter(|root| root.is_dir()) {
            begin(root, RecursiveMode::Recursive)?;
        }
    }
    Ok(Watcher { _watcher: watcher })
}

fn modules_of(event: &Event, modules: &[Watched]) -> Vec<ModuleIndex> {
    if matches!(event.kind, EventKind::Access(_)) {
        return Vec::new();
    }
    let touched = |module: &Watched| event.paths.iter().any(|path| module.counts(path));
    modules
        .iter()
        .enumerate()
        .filter(|(_, module)| touched(module))
        .map(|(index, _)| ModuleIndex(index))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    fn module(dir: &Path) -> Watched {
        std::fs::create_dir_all(dir.join("src")).unwrap();
        std::fs::create_dir_all(dir.join("data")).unwrap();
        Watched::new(dir, &["data".to_owned()]).unwrap()
    }

    #[test]
    fn sources_count_and_traces_of_editors_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let module = module(dir.path());
        let check = |path: &str, expect| assert_eq!(module.counts(&module.dir.join(path)), expect, "{path}");
        check("src/lib.rs", true);
        check("src/deep/er.rs", true);
        check("Cargo.toml", true);
        check("data/drops.csv", true);
        check("target/debug/x", false);
        check("Cargo.lock", false);
        check("src/.lib.rs.swp", false);
        check("src/lib.rs~", false);
        check("src/4913", false);
        check("src/#lib.rs#", false);
    }

    #[test]
    fn a_save_is_told_with_its_module() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (tell, told) = mpsc::channel();
        let watcher =
            watch(vec![module(one.path()), module(two.path())], move |module| tell.send(module).unwrap())
                .unwrap();
        std::fs::write(two.path().join("src/lib.rs"), "//! x").unwrap();
        assert_eq!(told.recv_timeout(Duration::from_secs(10)).unwrap(), ModuleIndex(1));
        drop(watcher);
    }

    #[test]
    fn reading_is_no_save() {
        let dir = tempfile::tempdir().unwrap();
        let module = module(dir.path());
        let path = module.dir.join("src/lib.rs");
        let event = |kind| Event { kind, paths: vec![path.clone()], attrs: Default::default() };
        assert!(
            modules_of(
                &event(EventKind::Access(notify::event::AccessKind::Any)),
                std::slice::from_ref(&module)
            )
            .is_empty()
        );
        assert_eq!(modules_of(&event(EventKind::Any), &[module]), [ModuleIndex(0)]);
    }
}
