//! Writing recordings: all of it into a file, or the last part of it into memory.
//!
//! The space owns what it tells ([`Recorder`]); whoever asked for the recording keeps the handle.

use super::entry::{Entry, RecordedInput, Start};
use super::format::{RecordingError, encode_entry, write_header};
use super::mask::Masker;
use crate::message::Input;
use crate::space::{Commit, InstanceChange, Recorder};
use crate::versions::ModuleVersion;
use std::collections::VecDeque;
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

/// The last part of what happens in a space, in memory: for the moment after a surprise. Each
/// part begins with a snapshot; old parts make room.
#[derive(Clone, Debug)]
pub struct RingRecording {
    shared: Arc<Mutex<RingState>>,
}

#[derive(Debug)]
struct RingState {
    /// Each begins with its start. The newest is last.
    parts: VecDeque<Part>,
    masker: Masker,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Part {
    entries: Vec<Vec<u8>>,
    bytes: usize,
    began_ms: u64,
}

impl RingRecording {
    /// Keeps at most about `bytes_max` bytes. Nothing is kept before the first
    /// [`RingRecording::restart`].
    #[must_use]
    pub fn new(bytes_max: usize, version: Arc<ModuleVersion>) -> RingRecording {
        let masker = Masker::new(version);
        let state = RingState { parts: VecDeque::new(), masker, bytes: 0, bytes_max };
        RingRecording { shared: Arc::new(Mutex::new(state)) }
    }

    /// For the space.
    #[must_use]
    pub fn recorder(&self) -> Box<dyn Recorder> {
        Box::new(Tap { sink: self.shared.clone() })
    }

    /// Begins a new part, from a snapshot that the space gave just now. To be called every few
    /// seconds; parts that began more than `kept_ms` before make room, but for the youngest of them.
    pub fn restart(&self, start: Start, now_ms: u64, kept_ms: u64) -> Result<(), RecordingError> {
        let mut state = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entry = Entry::Start(Box::new(start));
        state.masker.mask(&mut entry, &|_| None);
        let encoded = encode_entry(&entry)?;
        state.bytes += encoded.len();
        state.parts.push_back(Part { bytes: encoded.len(), entries: vec![encoded], began_ms: now_ms });
        let horizon = now_ms.saturating_sub(kept_ms);
        while state.parts.get(1).is_some_and(|second| second.began_ms <= horizon) {
            state.drop_oldest();
        }
        state.make_room();
        Ok(())
    }

    /// The recording since the oldest snapshot that is kept, as a file; none if there is none.
    #[must_use]
    pub fn dump(&self) -> Option<Vec<u8>> {
        let state = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = Vec::with_capacity(state.bytes + 8);
        write_header(&mut file).ok()?;
        for (place, part) in state.parts.iter().enumerate() {
            // Later starts repeat what the entries before them lead to.
            let entries = part.entries.iter().skip(usize::from(place > 0));
            entries.for_each(|entry| file.extend_from_slice(entry));
        }
        (!state.parts.is_empty()).then_some(file)
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }
}

impl RingState {
    fn drop_oldest(&mut self) {
        if let Some(part) = self.parts.pop_front() {
            self.bytes -= part.bytes;
        }
    }

    /// A part that alone is too much goes as well: better nothing than unbounded memory.
    fn make_room(&mut self) {
        while self.bytes > self.bytes_max && !self.parts.is_empty() {
            self.drop_oldest();
        }
    }
}

/// Where entries go.
trait Sink: Send {
    fn write(&mut self, entry: Entry, swap: Option<Arc<ModuleVersion>>);
}

impl<W: Write + Send> Sink for FileState<W> {
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

impl Sink for RingState {
    fn write(&mut self, mut entry: Entry, swap: Option<Arc<ModuleVersion>>) {
        self.masker.mask(&mut entry, &|_| swap.clone());
        let Some(part) = self.parts.back_mut() else { return };
        match encode_entry(&entry) {
            Ok(bytes) => {
                part.bytes += bytes.len();
                self.bytes += bytes.len();
                part.entries.push(bytes);
                self.make_room();
            }
            // What follows cannot be understood without it.
            Err(_) => {
                self.parts.clear();
                self.bytes = 0;
            }
        }
    }
}

/// The space's end of a recording.
struct Tap<S> {
    sink: Arc<Mutex<S>>,
}

impl<S: Sink> Tap<S> {
    fn write(&mut self, entry: Entry, swap: Option<Arc<ModuleVersion>>) {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner).write(entry, swap);
    }
}

impl<S: Sink> Recorder for Tap<S> {
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

    fn commit(&mut self, commit: &Commit) {
        self.write(Entry::Commit(Box::new(commit.clone())), None);
    }

    fn instance(&mut self, change: InstanceChange) {
        self.write(Entry::Instance(change), None);
    }
}
