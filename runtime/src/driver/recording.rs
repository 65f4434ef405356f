//! Recording a running game: one file for each space, in one folder.
//!
//! A space begins to be recorded at the first moment at which nothing waits in it; spaces that
//! are made later are recorded from their first input.

use crate::record::{FileRecording, RecordingError, Start};
use crate::space::{SpaceConfig, SpaceCore};
use everwake_protocol::EntityId;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the files' names end in.
pub const EXTENSION: &str = "everwake";

/// Why nothing is recorded, or what was recorded is not complete.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The folder or a file could not be made.
    #[error("{0} cannot be written: {1}")]
    Folder(PathBuf, std::io::Error),
    /// One recording at a time.
    #[error("a recording into {0} is under way")]
    UnderWay(PathBuf),
    /// There is nothing to stop.
    #[error("nothing is being recorded")]
    Nothing,
    /// Some spaces could not be recorded to the end; the others are complete.
    #[error("some spaces are not recorded to the end: {}", .0.join("; "))]
    Incomplete(Vec<String>),
}

/// What was recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Recorded {
    /// Where the files are.
    pub folder: PathBuf,
    /// One for each space.
    pub files: usize,
    /// Entries in them.
    pub entries: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// The files of one recording.
pub(super) struct RecordingSet {
    pub(super) folder: PathBuf,
    only: Option<EntityId>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<EntityId, FileRecording<BufWriter<File>>>,
    failures: Vec<String>,
    ended: bool,
}

impl RecordingSet {
    pub(super) fn new(folder: &Path, only: Option<EntityId>) -> Result<Self, RecordError> {
        std::fs::create_dir_all(folder).map_err(|error| RecordError::Folder(folder.to_owned(), error))?;
        Ok(Self { folder: folder.to_owned(), only, state: Mutex::default() })
    }

    pub(super) fn wants(&self, space: EntityId) -> bool {
        self.only.is_none_or(|only| only == space)
    }

    /// Tries to begin; false if something waits in the space, so that it has to be tried again.
    pub(super) fn begin(&self, config: &SpaceConfig, core: &mut SpaceCore, fresh: bool) -> bool {
        let snapshot = match core.snapshot() {
            _ if fresh => None,
            Some(snapshot) => Some(snapshot),
            None => return false,
        };
        let mut state = self.state();
        if state.ended || state.files.contains_key(&config.id) {
            return true;
        }
        let path = self.folder.join(format!("{}.{EXTENSION}", config.id));
        let version = core.version().clone();
        let start = Start::new(config, &version, snapshot);
        let begun = File::create(path).map_err(RecordingError::Io);
        match begun.and_then(|file| FileRecording::begin(BufWriter::new(file), start, version)) {
            Ok(recording) => {
                core.record(Some(recording.recorder()));
                state.files.insert(config.id, recording);
            }
            Err(error) => state.failures.push(format!("space {}: {error}", config.id)),
        }
        true
    }

    /// Flushes and closes all files. The spaces have been told to stop before.
    pub(super) fn finish(&self) -> Result<Recorded, RecordError> {
        let mut state = self.state();
        state.ended = true;
        let mut recorded = Recorded { folder: self.folder.clone(), ..Recorded::default() };
        let mut failures = std::mem::take(&mut state.failures);
        for (space, recording) in std::mem::take(&mut state.files) {
            match recording.finish() {
                Ok((_, written)) => {
                    recorded.files += 1;
                    recorded.entries += written.entries;
                    recorded.bytes += written.bytes;
                }
                Err(error) => failures.push(format!("space {space}: {error}")),
            }
        }
        if failures.is_empty() { Ok(recorded) } else { Err(RecordError::Incomplete(failures)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
