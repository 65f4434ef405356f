//! Writing recordings: while a space runs, or what it kept of its last seconds.
//!
//! The space owns what it tells ([`Recorder`]); whoever asked for the recording keeps the handle.

use super::entry::{Entry, RecordedInput, Start};
use super::format::{RecordingError, encode_entry, write_header};
use super::mask::Masker;
use crate::message::Input;
use crate::space::{Commit, Happened, InstanceChange, Past, Recorder, SpaceConfig};
use crate::versions::ModuleVersion;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// What a recording came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Entries, the start included.
    pub entries: u64,
    /// Bytes, the header included.
    pub bytes: u64,
}

/// A recording into a file, or whatever can be written to. The first failure ends it.
#[derive(Debug)]
pub struct FileRecording<W> {
    shared: Arc<Mutex<FileState<W>>>,
}

#[derive(Debug)]
struct FileState<W> {
    /// None once it has ended.
    out: Option<W>,
    masker: Masker,
    written: Written,
    failure: Option<RecordingError>,
}

impl<W: Write + Send + 'static> FileRecording<W> {
    /// Writes header and start. `version` runs in the space.
    pub fn begin(
        mut out: W,
        start: Start,
        version: Arc<ModuleVersion>,
    ) -> Result<FileRecording<W>, RecordingError> {
        write_header(&mut out)?;
        let masker = Masker::new(version);
        let written = Written { entries: 0, bytes: 8 };
        let mut state = FileState { out: Some(out), masker, written, failure: None };
        state.write(Entry::Start(Box::new(start)), None);
        match state.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(FileRecording { shared: Arc::new(Mutex::new(state)) }),
        }
    }

    /// For the space.
    #[must_use]
    pub fn recorder(&self) -> Box<dyn Recorder> {
        Box::new(Tap { sink: self.shared.clone() })
    }

    /// Ends the recording and gives back what it was written to. What the space tells afterwards
    /// is ignored.
    pub fn finish(self) -> Result<(W, Written), RecordingError> {
        let mut state = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        let Some(mut out) = state.out.take() else {
            return Err(RecordingError::Unwritable("the recording has ended".to_owned()));
        };
        out.flush()?;
        Ok((out, state.written))
    }
}

impl<W: Write> FileState<W> {
    fn write(&mut self, mut entry: Entry, swap: Option<Arc<ModuleVersion>>) {
        self.masker.mask(&mut entry, &|_| swap.clone());
        let Some(out) = &mut self.out else { return };
        let written = encode_entry(&entry).and_then(|bytes| {
            out.write_all(&bytes)?;
            Ok(bytes.len())
        });
        match written {
            Ok(bytes) => {
                self.written.entries += 1;
                self.written.bytes += bytes as u64;
            }
            Err(failure) => {
                self.failure = Some(failure);
                self.out = None;
            }
        }
    }
}

/// Writes the last seconds of a space.
pub fn write_past<W: Write + Send + 'static>(
    out: W,
    config: &SpaceConfig,
    past: Past,
) -> Result<(W, Written), RecordingError> {
    let snapshot = past.snapshot();
    let Past { version, happened, .. } = past;
    let start = Start { is_past: true, ..Start::new(config, &version, Some(snapshot)) };
    let recording = FileRecording::begin(out, start, version)?;
    let mut recorder = recording.recorder();
    for happened in happened {
        match happened {
            Happened::Drain { now_ms } => recorder.drain(now_ms),
            Happened::Input(input) => recorder.input(&input),
            Happened::Look => recorder.look(),
            Happened::Commit(commit) => recorder.commit(&commit),
            Happened::Instance(change) => recorder.instance(change),
        }
    }
    recording.finish()
}

/// The space's end of a recording.
struct Tap<W> {
    sink: Arc<Mutex<FileState<W>>>,
}

impl<W: Write> Tap<W> {
    fn write(&mut self, entry: Entry, swap: Option<Arc<ModuleVersion>>) {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner).write(entry, swap);
    }
}

impl<W: Write + Send> Recorder for Tap<W> {
    fn drain(&mut self, now_ms: u64) {
        self.write(Entry::Drain { now_ms }, None);
    }

    fn input(&mut self, input: &Input) {
        let swap = match input {
            Input::Swap(version) => Some(version.clone()),
            _ => None,
        };
        self.write(Entry::Input(Box::new(RecordedInput::of(input))), swap);
    }

    fn look(&mut self) {
        self.write(Entry::Look, None);
    }

    fn commit(&mut self, commit: &Commit) {
        self.write(Entry::Commit(Box::new(commit.clone())), None);
    }

    fn instance(&mut self, change: InstanceChange) {
        self.write(Entry::Instance(change), None);
    }
}
