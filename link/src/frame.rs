//! The bytes of a link: frames, and the decoder that cuts a stream into them. `docs/links.md` says the same in words.
//!
//! It knows nothing of connections: whether a frame may come now is decided in [`crate::core`].

use crate::handshake::{Hello, Refusal};
use crate::limits::{EXPRESS_BYTES_MAX, FRAME_BYTES_MAX, GREETING_BYTES_MAX, MESSAGE_BYTES_MAX};
use bytes::{Buf, BufMut, Bytes, BytesMut};

const ORDINARY: u8 = 0x01;
const RESERVED: u8 = 0x02;
const EXPRESS: u8 = 0x03;
const CREDIT: u8 = 0x10;
const BEAT: u8 = 0x11;
const BYE: u8 = 0x12;
/// Kind of a greeting; the same in every version.
const HELLO: u8 = 0x20;
/// Kind of a refusal; the same in every version.
const REFUSED: u8 = 0x21;

/// Bytes of the length before a frame; it counts kind and body, not itself.
const LENGTH_BYTES: usize = 4;
/// Bytes before a message's payload: length, kind, sequence.
pub(crate) const MESSAGE_HEAD_BYTES: usize = LENGTH_BYTES + 1 + 8;

/// An order. Messages of one lane arrive in the order in which they were sent; an express message may overtake
/// messages of the main lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// [`Class::Ordinary`] and [`Class::Reserved`].
    Main,
    /// [`Class::Express`].
    Express,
}

/// What a message may count on when queues are full, and which order it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Given back when the queue is full: calls, requests.
    Ordinary,
    /// In one order with ordinary messages, but on a share of the queue that these cannot fill: replies,
    /// markers, ownership.
    Reserved,
    /// In an order of its own, with a share and a credit of its own; at most 64 KiB. It passes while
    /// everything else waits: acknowledgements, notices of death.
    Express,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 3] = [Class::Ordinary, Class::Reserved, Class::Express];

    /// Which order it keeps.
    pub const fn lane(self) -> Lane {
        match self {
            Class::Ordinary | Class::Reserved => Lane::Main,
            Class::Express => Lane::Express,
        }
    }

    /// Bytes that its payload may have.
    pub const fn payload_bytes_max(self) -> usize {
        match self {
            Class::Ordinary | Class::Reserved => MESSAGE_BYTES_MAX,
            Class::Express => EXPRESS_BYTES_MAX,
        }
    }
}

/// One of something for each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerLane<T> {
    /// Of the main lane.
    pub main: T,
    /// Of the express lane.
    pub express: T,
}

impl<T> PerLane<T> {
    /// That of one lane.
    pub fn of(&self, lane: Lane) -> &T {
        match lane {
            Lane::Main => &self.main,
            Lane::Express => &self.express,
        }
    }

    /// That of one lane, to change.
    pub fn of_mut(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Main => &mut self.main,
            Lane::Express => &mut self.express,
        }
    }
}

/// What two ends say to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message of the owners.
    Message {
        /// Its class, which says its lane.
        class: Class,
        /// Place in its lane; the first is 1.
        sequence: u64,
        /// Opaque.
        payload: Bytes,
    },
    /// So much may be sent on a lane, counted from the beginning of the connection.
    Credit {
        /// Which.
        lane: Lane,
        /// Payload bytes and costs.
        granted: u64,
    },
    /// I am here.
    Beat,
    /// I go; nothing comes behind it.
    Bye,
    /// First frame of each side.
    Hello(Box<Hello>),
    /// Instead of a greeting or behind it: why there will be no link. Nothing comes behind it.
    Refused(Box<Refusal>),
}

/// A stream that is no sequence of frames. Nothing behind the fault can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A frame without a kind.
    #[error("an empty frame; hint: the peer is no link, or its bytes were damaged")]
    Empty,
    /// A frame over the limit; told before it is received.
    #[error(
        "a frame of {len} bytes where {max} are allowed; hint: the peer is no link, or its bytes were damaged"
    )]
    TooLarge {
        /// What its length says.
        len: usize,
        /// What is allowed.
        max: usize,
    },
    /// A kind that this version does not know.
    #[error("a frame of the unknown kind 0x{0:02x}; hint: run the same release on both sides")]
    Kind(u8),
    /// A body that ends too early, goes on too long, or has a value that is not used.
    #[error("a frame whose `{0}` is wrong; hint: run the same release on both sides")]
    Field(&'static str),
}

impl Frame {
    /// Bytes that [`Frame::encode`] writes, at most for greetings and refusals.
    pub fn encoded_len(&self) -> usize {
        match self {
            Frame::Message { payload, .. } => MESSAGE_HEAD_BYTES + payload.len(),
            Frame::Credit { .. } => LENGTH_BYTES + 10,
            Frame::Beat | Frame::Bye => LENGTH_BYTES + 1,
            Frame::Hello(_) | Frame::Refused(_) => LENGTH_BYTES + GREETING_BYTES_MAX,
        }
    }

    /// Writes it with its length.
    pub fn encode(&self, out: &mut BytesMut) {
        let start = out.len();
        out.put_u32(0);
        match self {
            Frame::Message { class, sequence, payload } => {
                out.put_u8(match class {
                    Class::Ordinary => ORDINARY,
                    Class::Reserved => RESERVED,
                    Class::Express => EXPRESS,
                });
                out.put_u64(*sequence);
                out.extend_from_slice(payload);
            }
            Frame::Credit { lane, granted } => {
                out.put_u8(CREDIT);
                out.put_u8(u8::from(*lane == Lane::Express));
                out.put_u64(*granted);
            }
            Frame::Beat => out.put_u8(BEAT),
            Frame::Bye => out.put_u8(BYE),
            Frame::Hello(hello) => {
                out.put_u8(HELLO);
                hello.encode(out);
            }
            Frame::Refused(refusal) => {
                out.put_u8(REFUSED);
                refusal.encode(out);
            }
        }
        // Longer ones are refused where they are queued, so that the saturation is never seen.
        let len = u32::try_from(out.len() - start - LENGTH_BYTES).unwrap_or(u32::MAX);
        if let Some(length) = out.get_mut(start..start + LENGTH_BYTES) {
            length.copy_from_slice(&len.to_be_bytes());
        }
    }

    /// Reads one that a [`Decoder`] cut: kind and body, without the length.
    fn decode(mut raw: Bytes) -> Result<Frame, FrameError> {
        let kind = raw.try_get_u8().map_err(|_| FrameError::Empty)?;
        match kind {
            ORDINARY => message(Class::Ordinary, raw),
            RESERVED => message(Class::Reserved, raw),
            EXPRESS => message(Class::Express, raw),
            CREDIT => {
                let lane = match raw.try_get_u8() {
                    Ok(0) => Lane::Main,
                    Ok(1) => Lane::Express,
                    _ => return Err(FrameError::Field("lane")),
                };
                let granted = raw.try_get_u64().map_err(|_| FrameError::Field("credit"))?;
                end(&raw, Frame::Credit { lane, granted })
            }
            BEAT => end(&raw, Frame::Beat),
            BYE => end(&raw, Frame::Bye),
            HELLO => Ok(Frame::Hello(Box::new(Hello::decode(raw)?))),
            REFUSED => Ok(Frame::Refused(Box::new(Refusal::decode(raw)?))),
            kind => Err(FrameError::Kind(kind)),
        }
    }
}

fn message(class: Class, mut raw: Bytes) -> Result<Frame, FrameError> {
    let sequence = raw.try_get_u64().map_err(|_| FrameError::Field("sequence"))?;
    let max = class.payload_bytes_max();
    if raw.len() > max {
        return Err(FrameError::TooLarge { len: raw.len(), max });
    }
    Ok(Frame::Message { class, sequence, payload: raw })
}

fn end(rest: &Bytes, frame: Frame) -> Result<Frame, FrameError> {
    if rest.is_empty() { Ok(frame) } else { Err(FrameError::Field("length")) }
}

/// Frames that leave together, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In order.
    pub frames: Vec<Frame>,
}

impl Batch {
    /// All of them as one buffer.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.frames.iter().map(Frame::encoded_len).sum());
        for frame in &self.frames {
            frame.encode(&mut out);
        }
        out.freeze()
    }
}

/// Cuts a stream into frames. Payloads share the memory of what was pushed; only a frame that came in several
/// pieces is copied. Holds at most one unfinished frame and what was pushed last, and reserves nothing
/// because of what a length says.
#[derive(Debug)]
pub struct Decoder {
    chunk: Bytes,
    /// The beginning of a frame whose end is not there.
    partial: BytesMut,
    frame_bytes_max: usize,
    failed: Option<FrameError>,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::new()
    }
}

impl Decoder {
    /// For a new connection: frames of at most [`GREETING_BYTES_MAX`] until [`Decoder::greeted`].
    pub fn new() -> Decoder {
        Decoder {
            chunk: Bytes::new(),
            partial: BytesMut::new(),
            frame_bytes_max: GREETING_BYTES_MAX,
            failed: None,
        }
    }

    /// The greeting was taken: frames may have their full size.
    pub fn greeted(&mut self) {
        self.frame_bytes_max = FRAME_BYTES_MAX;
    }

    /// Takes bytes of the stream. Whoever pushes takes all frames with [`Decoder::pop`] first.
    pub fn push(&mut self, bytes: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = bytes;
        } else {
            let mut joined = BytesMut::with_capacity(self.chunk.len() + bytes.len());
            joined.extend_from_slice(&self.chunk);
            joined.extend_from_slice(&bytes);
            self.chunk = joined.freeze();
        }
    }

    /// The next frame, if it is there as a whole. After an error the same error for ever: nothing is skipped.
    pub fn pop(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let popped = self.cut().and_then(|raw| raw.map(Frame::decode).transpose());
        if let Err(error) = popped {
            (self.failed, self.chunk, self.partial) = (Some(error), Bytes::new(), BytesMut::new());
        }
        popped
    }

    /// Bytes that wait for the rest of their frame, or to be popped.
    pub fn buffered(&self) -> usize {
        self.partial.len() + self.chunk.len()
    }

    /// Kind and body of the next frame.
    fn cut(&mut self) -> Result<Option<Bytes>, FrameError> {
        if self.partial.is_empty() {
            if let Some(len) = self.length(&self.chunk)?
                && self.chunk.len() >= LENGTH_BYTES + len
            {
                self.chunk.advance(LENGTH_BYTES);
                return Ok(Some(self.chunk.split_to(len)));
            }
            self.partial.extend_from_slice(&self.chunk);
            self.chunk = Bytes::new();
            return Ok(None);
        }
        self.fill(LENGTH_BYTES);
        let Some(len) = self.length(&self.partial)? else { return Ok(None) };
        self.fill(LENGTH_BYTES + len);
        if self.partial.len() < LENGTH_BYTES + len {
            return Ok(None);
        }
        self.partial.advance(LENGTH_BYTES);
        // All of it is this frame: what is behind it stayed in the chunk.
        Ok(Some(std::mem::take(&mut self.partial).freeze()))
    }

    /// Moves bytes from the chunk until the unfinished frame has `target` of them.
    fn fill(&mut self, target: usize) {
        let missing = target.saturating_sub(self.partial.len()).min(self.chunk.len());
        self.partial.extend_from_slice(&self.chunk.split_to(missing));
    }

    /// What the length before a frame says, if it is there.
    fn length(&self, bytes: &[u8]) -> Result<Option<usize>, FrameError> {
        let Some((length, _)) = bytes.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        match u32::from_be_bytes(*length) as usize {
            0 => Err(FrameError::Empty),
            len if len > self.frame_bytes_max => Err(FrameError::TooLarge { len, max: self.frame_bytes_max }),
            len => Ok(Some(len)),
        }
    }
}

#[cfg(test)]
mod tests;
