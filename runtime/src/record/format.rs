//! The file: `EWREC`, a version, then entries of CBOR, each behind its length.
//!
//! Files come from anywhere: lengths reserve nothing, every failure is a typed error with the
//! place where it happened.

use super::entry::{Entry, Start};
use std::io::{self, Read, Write};

/// First bytes of a recording.
pub const MAGIC: [u8; 6] = *b"EWREC\0";
/// Version of the format.
pub const FORMAT_VERSION: u16 = 6;
/// Largest entry. The largest one that is written is the snapshot of a full space.
pub const ENTRY_BYTES_MAX: u32 = 512 * 1024 * 1024;

/// Why a recording cannot be read, or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// Another kind of file.
    #[error("the file is not a recording")]
    Magic,
    /// Of another version of this program.
    #[error("the recording has format {found}; this program reads {FORMAT_VERSION}")]
    Version {
        /// In the header.
        found: u16,
    },
    /// The file ends inside of an entry: its writer died. What came before is good.
    #[error("the recording ends inside of entry {entry}")]
    Truncated {
        /// Counted from 0.
        entry: u64,
    },
    /// [`ENTRY_BYTES_MAX`].
    #[error("entry {entry} says that it has {bytes} bytes; at most {ENTRY_BYTES_MAX} are allowed")]
    TooLong {
        /// Counted from 0.
        entry: u64,
        /// What it says.
        bytes: u32,
    },
    /// Bytes that are no entry.
    #[error("entry {entry} does not decode: {why}")]
    Malformed {
        /// Counted from 0.
        entry: u64,
        /// What the decoder says.
        why: String,
    },
    /// An entry that cannot be written.
    #[error("an entry does not encode: {0}")]
    Unwritable(String),
    /// The first entry is not a [`Start`].
    #[error("the recording does not begin with a start")]
    NoStart,
    /// The disk, or whatever is behind the reader.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Writes what goes before the first entry.
pub fn write_header(out: &mut impl Write) -> Result<(), RecordingError> {
    out.write_all(&MAGIC)?;
    out.write_all(&FORMAT_VERSION.to_be_bytes())?;
    Ok(())
}

/// An entry behind its length.
pub fn encode_entry(entry: &Entry) -> Result<Vec<u8>, RecordingError> {
    let mut bytes = vec![0; 4];
    ciborium::into_writer(entry, &mut bytes)
        .map_err(|error| RecordingError::Unwritable(error.to_string()))?;
    let length = u32::try_from(bytes.len() - 4).ok().filter(|length| *length <= ENTRY_BYTES_MAX);
    let length = length.ok_or_else(|| RecordingError::Unwritable("it is too long".to_owned()))?;
    if let Some(head) = bytes.first_chunk_mut::<4>() {
        *head = length.to_be_bytes();
    }
    Ok(bytes)
}

/// Reads entries one after the other.
#[derive(Debug)]
pub struct RecordingReader<R> {
    source: R,
    start: Start,
    entries: u64,
}

impl<R: Read> RecordingReader<R> {
    /// Reads the header and the start.
    pub fn open(mut source: R) -> Result<RecordingReader<R>, RecordingError> {
        let mut header = [0; 8];
        let read = read_up_to(&mut source, &mut header)?;
        let [magic @ .., high, low] = header;
        if read < header.len() || magic != MAGIC {
            return Err(RecordingError::Magic);
        }
        let found = u16::from_be_bytes([high, low]);
        if found != FORMAT_VERSION {
            return Err(RecordingError::Version { found });
        }
        match read_entry(&mut source, 0)? {
            Some(Entry::Start(start)) => Ok(RecordingReader { source, start: *start, entries: 1 }),
            _ => Err(RecordingError::NoStart),
        }
    }

    /// Where it begins.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// The next entry; none at the end.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, RecordingError> {
        let entry = read_entry(&mut self.source, self.entries)?;
        self.entries += u64::from(entry.is_some());
        Ok(entry)
    }
}

fn read_entry(source: &mut impl Read, entry: u64) -> Result<Option<Entry>, RecordingError> {
    let mut length = [0; 4];
    match read_up_to(source, &mut length)? {
        0 => return Ok(None),
        4 => {}
        _ => return Err(RecordingError::Truncated { entry }),
    }
    let bytes = u32::from_be_bytes(length);
    if bytes > ENTRY_BYTES_MAX {
        return Err(RecordingError::TooLong { entry, bytes });
    }
    // Grows with what is really there, not with what the length says.
    let mut body = Vec::new();
    let read = source.take(u64::from(bytes)).read_to_end(&mut body)?;
    if read < bytes as usize {
        return Err(RecordingError::Truncated { entry });
    }
    let mut rest = body.as_slice();
    let decoded = ciborium::de::from_reader_with_recursion_limit(&mut rest, 64)
        .map_err(|error| RecordingError::Malformed { entry, why: error.to_string() })?;
    if rest.is_empty() {
        Ok(Some(decoded))
    } else {
        Err(RecordingError::Malformed { entry, why: "bytes behind the entry".to_owned() })
    }
}

/// Like `read_exact`, but says how much there was.
fn read_up_to(source: &mut impl Read, buffer: &mut [u8]) -> Result<usize, RecordingError> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}
