//! Where the processes of this host say who they are: a file in the folder of each, and one of whoever looks after them.

use super::life::Life;
use crate::cluster::config::{Cluster, file_name_of};
use crate::failure::HintExt as _;
use everwake_link::PeerName;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// In the folder of a process.
const NOTE: &str = "process.json";
/// In the folder of all processes.
const SUPERVISOR: &str = "supervisor.json";
const LOGS: &str = "logs";

/// What a process says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Which life of which process.
    pub life: Life,
    /// Version of the binary.
    pub everwake: String,
    /// It does what it is for.
    pub ready: bool,
    /// Address of its admin API, once it is ready.
    pub admin: String,
    /// Token of it.
    pub token: String,
    /// Of a gate: where clients connect.
    pub gate: String,
    /// Of a gate: hash of its certificate.
    pub cert_hash: String,
}

/// File of a process.
pub fn note_of(cluster: &Cluster, peer: &PeerName) -> PathBuf {
    cluster.data.join(file_name_of(peer)).join(NOTE)
}

/// File of whoever looks after the processes.
pub fn supervisor_of(cluster: &Cluster) -> PathBuf {
    cluster.data.join(SUPERVISOR)
}

/// Log file of a process.
pub fn log_of(cluster: &Cluster, peer: &PeerName) -> PathBuf {
    logs_of(cluster).join(format!("{}.log", file_name_of(peer)))
}

/// Folder of all log files.
pub fn logs_of(cluster: &Cluster) -> PathBuf {
    cluster.data.join(LOGS)
}

/// Who says in a file that it goes on, and does.
pub fn living(file: &Path) -> Option<Note> {
    read::<Note>(file).filter(|note| note.life.goes_on())
}

fn read<T: DeserializeOwned>(file: &Path) -> Option<T> {
    serde_json::from_str(&std::fs::read_to_string(file).ok()?).ok()
}

/// Writes a file so that only its owner reads it (it holds a token), whole or not at all.
pub fn write(file: &Path, note: &Note) -> anyhow::Result<()> {
    let fresh = file.with_extension("json.new");
    let _ = std::fs::remove_file(&fresh);
    let text = serde_json::to_string_pretty(note)?;
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)
        .and_then(|mut out| out.write_all(text.as_bytes()))
        .and_then(|()| std::fs::rename(&fresh, file))
        .hint(format!("The file `{}` cannot be written.", file.display()), "Make room, or allow it.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn only_who_lives_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(NOTE);
        assert_eq!(living(&file), None);
        let note = Note { life: Life::ours().unwrap(), ready: true, ..Note::default() };
        write(&file, &note).unwrap();
        assert_eq!(living(&file), Some(note.clone()));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let life = Life { began: note.life.began + 1, ..note.life.clone() };
        write(&file, &Note { life, ..note }).unwrap();
        assert_eq!(living(&file), None, "its pid has another one now");
        std::fs::write(&file, "{").unwrap();
        assert_eq!(living(&file), None);
    }
}
