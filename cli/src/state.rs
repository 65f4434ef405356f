//! `.everwake/dev.json`: where a running `dev` says how to reach it, for the other commands.

use crate::failure::{HintExt as _, hinted};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Folder in the working directory of `dev` for everything that it keeps.
pub const FOLDER: &str = ".everwake";

/// How to reach a running `dev`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevState {
    /// Its process.
    pub pid: u32,
    /// Address of the admin API.
    pub admin: String,
    /// Token of the admin API.
    pub token: String,
    /// Address of the gate.
    pub gate: String,
    /// SHA-256 of the gate's certificate, hex.
    pub cert_hash: String,
    /// Modules that it runs.
    pub modules: Vec<String>,
    /// It still builds: there is nothing to reach yet.
    #[serde(default)]
    pub starting: bool,
}

/// How often somebody who waits for a `dev` looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The file of a working directory.
pub fn file_in(dir: &Path) -> PathBuf {
    dir.join(FOLDER).join("dev.json")
}

/// Writes the file so that only its owner reads it (it holds the token), whole or not at all.
pub fn write(dir: &Path, state: &DevState) -> anyhow::Result<PathBuf> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = file_in(dir);
    let folder = dir.join(FOLDER);
    std::fs::create_dir_all(&folder).hint(
        format!("The folder `{}` cannot be made.", folder.display()),
        "Run `dev` where you may write.",
    )?;
    let ignore = folder.join(".gitignore");
    if !ignore.exists() {
        std::fs::write(&ignore, "*\n")?;
    }
    let fresh = folder.join(format!("dev.json.{}", std::process::id()));
    let _ = std::fs::remove_file(&fresh);
    let mut out = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    out.write_all(serde_json::to_string_pretty(state)?.as_bytes())?;
    drop(out);
    std::fs::rename(&fresh, &file)?;
    Ok(file)
}

/// Removes the file if it is still this process's.
pub fn remove(dir: &Path) {
    if read(&file_in(dir)).is_some_and(|found| found.pid == std::process::id()) {
        let _ = std::fs::remove_file(file_in(dir));
    }
}

/// Removes the file at the end, however that comes.
pub struct Announced {
    dir: PathBuf,
}

impl Announced {
    /// Says to others that a `dev` with these modules starts here.
    pub fn starting(dir: &Path, modules: Vec<String>) -> anyhow::Result<Announced> {
        let state = DevState { pid: std::process::id(), modules, starting: true, ..DevState::default() };
        write(dir, &state)?;
        Ok(Announced { dir: dir.to_owned() })
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        remove(&self.dir);
    }
}

/// The `dev` that runs in this directory, or in one above.
pub fn find() -> anyhow::Result<DevState> {
    let here = std::env::current_dir()?;
    let found = find_from(&here).ok_or_else(|| {
        hinted(
            "No running `dev` is found here or in a folder above.",
            "Start one with `everwake dev DIR` or `everwake demo`, or say where it is with `--admin` (commands) or `--gate` (clients).",
        )
    })?;
    match found.starting {
        true => Err(hinted(
            starting_words(&found),
            format!("Try again when it says where clients connect; `kill -INT {}` ends it.", found.pid),
        )),
        false => Ok(found),
    }
}

/// What is said about a `dev` that is not there yet.
pub fn starting_words(state: &DevState) -> String {
    let modules: Vec<String> = state.modules.iter().map(|it| format!("`{it}`")).collect();
    format!("A `dev` is starting in this folder, process `{}`: it builds {}.", state.pid, modules.join(", "))
}

/// Waits while the `dev` of this directory, or of one above, starts. Says so first.
pub fn wait_until_started(say: impl FnOnce(&DevState)) -> anyhow::Result<()> {
    wait_from(&std::env::current_dir()?, say)
}

#[expect(clippy::disallowed_methods, reason = "another process writes a file: there is no event to wait for")]
fn wait_from(dir: &Path, say: impl FnOnce(&DevState)) -> anyhow::Result<()> {
    let is_starting = || find_from(dir).filter(|found| found.starting);
    let Some(first) = is_starting() else { return Ok(()) };
    say(&first);
    while is_starting().is_some() {
        std::thread::sleep(LOOK_EVERY);
    }
    if find_from(dir).is_none() {
        return Err(hinted(
            "The `dev` that was starting has ended.",
            "Its terminal says why; start it again with `everwake dev DIR`.",
        ));
    }
    Ok(())
}

fn find_from(dir: &Path) -> Option<DevState> {
    dir.ancestors().filter_map(|dir| read(&file_in(dir))).find(|found| alive(found.pid))
}

/// The `dev` that this directory belongs to, if one runs: two would write the same file.
pub fn running_in(dir: &Path) -> Option<DevState> {
    read(&file_in(dir)).filter(|found| alive(found.pid) && found.pid != std::process::id())
}

fn read(file: &Path) -> Option<DevState> {
    serde_json::from_str(&std::fs::read_to_string(file).ok()?).ok()
}

/// Whether a process lives. Where there is no `/proc`, it is believed.
fn alive(pid: u32) -> bool {
    let proc = Path::new("/proc");
    !proc.join("self").exists() || proc.join(pid.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn state(pid: u32) -> DevState {
        DevState { pid, admin: "127.0.0.1:1".into(), token: "t".into(), ..DevState::default() }
    }

    #[test]
    fn a_running_dev_is_found_from_a_folder_below_and_forgotten_after() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        let file = write(dir.path(), &state(std::process::id())).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(find_from(&below), Some(state(std::process::id())));
        remove(dir.path());
        assert_eq!(find_from(&below), None);
    }

    #[test]
    fn who_comes_while_a_dev_starts_waits_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut said = Vec::new();
        wait_from(dir.path(), |_| said.push("nobody starts".to_owned())).unwrap();
        let announced = Announced::starting(dir.path(), vec!["chat".into(), "yard".into()]).unwrap();
        let (told, heard) = std::sync::mpsc::channel();
        let path = dir.path().to_owned();
        let waiting =
            std::thread::spawn(move || wait_from(&path, |it| told.send(starting_words(it)).unwrap()));
        said.push(heard.recv().unwrap());
        assert!(said[0].contains("it builds `chat`, `yard`"), "{said:?}");
        write(dir.path(), &state(std::process::id())).unwrap();
        waiting.join().unwrap().unwrap();
        drop(announced);
        assert_eq!(find_from(dir.path()), None);
    }

    #[test]
    fn a_dev_that_ends_while_it_starts_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let announced = Announced::starting(dir.path(), vec!["chat".into()]).unwrap();
        let error = wait_from(dir.path(), |_| drop(announced)).unwrap_err();
        assert!(crate::failure::read(&error).0[0].contains("has ended"));
    }

    #[test]
    fn the_file_of_a_dead_process_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &state(u32::MAX - 1)).unwrap();
        assert_eq!(find_from(dir.path()), None);
        remove(dir.path());
        assert!(file_in(dir.path()).exists(), "it is not ours to remove");
    }

    #[test]
    fn a_file_that_is_no_state_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join(FOLDER)).unwrap();
        std::fs::write(file_in(dir.path()), "{").unwrap();
        assert_eq!(find_from(dir.path()), None);
    }
}
