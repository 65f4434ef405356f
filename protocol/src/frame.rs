//! Cutting a stream into frames: length as u32, kind as u8, body. Incremental and bounded.

use crate::limits::{FRAME_BYTES_BEFORE_WELCOME_MAX, FRAME_BYTES_MAX, SCHEMA_BYTES_MAX};
use crate::wire::Put;
use bytes::{Buf, Bytes, BytesMut};

/// Bytes of the length before a frame; it counts kind and body, not itself.
pub const LENGTH_BYTES: usize = 4;
/// Bytes before a frame's body.
pub const HEAD_BYTES: usize = LENGTH_BYTES + 1;

/// One frame, not looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFrame {
    /// What it is.
    pub kind: u8,
    /// The rest.
    pub body: Bytes,
}

/// A stream that is no sequence of frames. Nothing behind the fault can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A frame without a kind.
    #[error("an empty frame")]
    Empty,
    /// A frame over the limit; told before it is received.
    #[error("a frame of {len} bytes; at most {max} are allowed now")]
    TooLarge {
        /// What its length says.
        len: usize,
        /// What is allowed.
        max: usize,
    },
}

/// Collects bytes of a stream and gives frames. Holds at most one unfinished frame and what was
/// pushed since the last [`FrameDecoder::pop`] that gave none.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: BytesMut,
    max: usize,
    max_of: Option<(u8, usize)>,
}

impl FrameDecoder {
    /// For a gate: little is allowed until [`FrameDecoder::welcomed`].
    pub fn of_client() -> FrameDecoder {
        FrameDecoder { buffer: BytesMut::new(), max: FRAME_BYTES_BEFORE_WELCOME_MAX, max_of: None }
    }

    /// For a client: schemas may be larger than other frames.
    pub fn of_server() -> FrameDecoder {
        FrameDecoder {
            buffer: BytesMut::new(),
            max: FRAME_BYTES_MAX,
            max_of: Some((crate::client::SCHEMA_KIND, SCHEMA_BYTES_MAX + 1)),
        }
    }

    /// The greeting was taken: frames may have their full size.
    pub fn welcomed(&mut self) {
        self.max = FRAME_BYTES_MAX;
    }

    /// Takes bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, if it is there as a whole.
    pub fn pop(&mut self) -> Result<Option<RawFrame>, FrameError> {
        let Some((length, rest)) = self.buffer.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let len = u32::from_be_bytes(*length) as usize;
        if len == 0 {
            return Err(FrameError::Empty);
        }
        if len > self.max {
            match (self.max_of, rest.first()) {
                (Some((_, max)), _) if len > max => return Err(FrameError::TooLarge { len, max }),
                (Some((kind, _)), Some(found)) if *found == kind => {}
                (Some(_), None) => return Ok(None),
                _ => return Err(FrameError::TooLarge { len, max: self.max }),
            }
        }
        let Some(kind) = rest.first().copied() else { return Ok(None) };
        if rest.len() < len {
            return Ok(None);
        }
        self.buffer.advance(HEAD_BYTES);
        Ok(Some(RawFrame { kind, body: self.buffer.split_to(len - 1).freeze() }))
    }

    /// Bytes that wait for the rest of their frame.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }
}

/// Writes one frame whose body `body` appends.
pub(crate) fn write(out: &mut Vec<u8>, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    out.put_u8(kind);
    body(out);
    let len = u32::try_from(out.len() - start - LENGTH_BYTES).unwrap_or(u32::MAX);
    if let Some(length) = out.get_mut(start..start + LENGTH_BYTES) {
        length.copy_from_slice(&len.to_be_bytes());
    }
}
