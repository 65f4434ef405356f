//! Recording a running game, or writing down its last seconds: one file for each space, in one folder.
//!
//! A space begins to be recorded at the first moment at which nothing waits in it; spaces that
//! are made later are recorded from their first input.

use crate::record::{FileRecording, RecordingError, Start, write_past};
use crate::space::{Past, SpaceConfig, SpaceCore};
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
    /// No space of that name.
    #[error("there is no space `{0}`")]
    NoSpace(EntityId),
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
    /// UTC ms of the earliest that is in them; 0 if that is not known.
    pub from_ms: u64,
    /// Spaces of which nothing was at hand: nothing has happened for long, or too much.
    pub without: usize,
}

/// Writes the last seconds of spaces; those that keep none are counted.
pub(super) fn write_last(
    folder: &Path,
    spaces: impl Iterator<Item = (SpaceConfig, Option<Past>)>,
) -> Result<Recorded, RecordError> {
    std::fs::create_dir_all(folder).map_err(|error| RecordError::Folder(folder.to_owned(), error))?;
    let mut recorded = Recorded { folder: folder.to_owned(), ..Recorded::default() };
    let mut failures = Vec::new();
    for (config, past) in spaces {
        let Some(past) = past else {
            recorded.without += 1;
            continue;
        };
        let from_ms = past.from_ms;
        let file = File::create(path_of(folder, config.id)).map_err(RecordingError::Io);
        match file.and_then(|file| write_past(BufWriter::new(file), &config, past)) {
            Ok((_, written)) => {
                recorded.files += 1;
                recorded.entries += written.entries;
                recorded.bytes += written.bytes;
                let before = if recorded.from_ms == 0 { u64::MAX } else { recorded.from_ms };
                recorded.from_ms = before.min(from_ms);
            }
            Err(error) => failures.push(format!("space {}: {error}", config.id)),
        }
    }
    if failures.is_empty() { Ok(recorded) } else { Err(RecordError::Incomplete(failures)) }
}

/// Writes the last seconds of one space.
pub(super) fn write_one(
    folder: &Path,
    name: &str,
    config: &SpaceConfig,
    past: Past,
) -> Result<PathBuf, RecordError> {
    let unwritable = |error| RecordError::Folder(folder.to_owned(), error);
    std::fs::create_dir_all(folder).map_err(unwritable)?;
    let path = folder.join(format!("{name}.{EXTENSION}"));
    let file = BufWriter::new(File::create(&path).map_err(unwritable)?);
    let written = write_past(file, config, past);
    written.map_err(|error| RecordError::Incomplete(vec![format!("space {}: {error}", config.id)]))?;
    Ok(path)
}

fn path_of(folder: &Path, space: EntityId) -> PathBuf {
    folder.join(format!("{space}.{EXTENSION}"))
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
        let path = path_of(&self.folder, config.id);
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
