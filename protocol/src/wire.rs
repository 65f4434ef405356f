//! Fixed binary fields: what frames, datagrams and cluster messages are made of.
//!
//! Big end first. A string is its length as u16 and UTF-8. Reading shares the input's memory, but for what is
//! small, and never reserves more.

use crate::cbor::CborError;
use crate::client::Pose;
use crate::id::Id;
use crate::limits::MOTION_BYTES_MAX;
use bytes::{Buf, Bytes};

/// Why bytes are not the message that they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The message ends too early.
    #[error("the message ends too early")]
    Truncated,
    /// Bytes behind the message.
    #[error("bytes behind the message")]
    Trailing,
    /// A text that is not UTF-8.
    #[error("a text is not UTF-8")]
    NotUtf8,
    /// A field is longer than its limit.
    #[error("`{0}` is longer than {1} bytes")]
    TooLong(&'static str, usize),
    /// A number that does not belong there.
    #[error("`{0}` has a value that is not used")]
    Unused(&'static str),
    /// A kind of message that this side does not take.
    #[error("messages of kind 0x{0:02x} are not taken here")]
    Kind(u8),
    /// A pose that is not finite.
    #[error("a pose is not finite")]
    NotFinite,
    /// CBOR inside of the message.
    #[error(transparent)]
    Cbor(#[from] CborError),
}

/// Takes fields from the front of a message.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    rest: Bytes,
}

impl Fields {
    pub(crate) fn new(input: Bytes) -> Fields {
        Fields { rest: input }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        self.rest.try_get_u8().map_err(|_| WireError::Truncated)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        self.rest.try_get_u16().map_err(|_| WireError::Truncated)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        self.rest.try_get_u32().map_err(|_| WireError::Truncated)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        self.rest.try_get_u64().map_err(|_| WireError::Truncated)
    }

    pub(crate) fn f32(&mut self) -> Result<f32, WireError> {
        self.rest.try_get_f32().map_err(|_| WireError::Truncated)
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> Result<bool, WireError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Unused(name)),
        }
    }

    pub(crate) fn id(&mut self) -> Result<Id, WireError> {
        self.rest.try_get_u128().map(Id::from_u128).map_err(|_| WireError::Truncated)
    }

    pub(crate) fn pose(&mut self) -> Result<Pose, WireError> {
        let pose = Pose { x: self.f32()?, y: self.f32()?, z: self.f32()?, yaw: self.f32()? };
        if pose.is_finite() { Ok(pose) } else { Err(WireError::NotFinite) }
    }

    pub(crate) fn motion(&mut self) -> Result<Bytes, WireError> {
        let len = usize::from(self.u8()?);
        if len > MOTION_BYTES_MAX {
            return Err(WireError::TooLong("motion", MOTION_BYTES_MAX));
        }
        // A copy: what stays of a datagram must not keep all of the buffer that it came in.
        self.take(len).map(|motion| Bytes::copy_from_slice(&motion))
    }

    pub(crate) fn text(&mut self, name: &'static str, bytes_max: usize) -> Result<String, WireError> {
        let len = usize::from(self.u16()?);
        if len > bytes_max {
            return Err(WireError::TooLong(name, bytes_max));
        }
        let taken = self.take(len)?;
        std::str::from_utf8(&taken).map(str::to_owned).map_err(|_| WireError::NotUtf8)
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.rest)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn end(&self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::Trailing) }
    }

    fn take(&mut self, len: usize) -> Result<Bytes, WireError> {
        if len > self.rest.len() { Err(WireError::Truncated) } else { Ok(self.rest.split_to(len)) }
    }
}

/// Appends fields to a message. What is too long for its length field is cut: those who make
/// messages keep the limits, and a text that was cut is better than a stream that is broken.
pub(crate) trait Put {
    fn put_u8(&mut self, value: u8);
    fn put_u16(&mut self, value: u16);
    fn put_u32(&mut self, value: u32);
    fn put_u64(&mut self, value: u64);
    fn put_id(&mut self, value: Id);
    fn put_pose(&mut self, value: &Pose);
    fn put_motion(&mut self, value: &[u8]);
    fn put_text(&mut self, value: &str, bytes_max: usize);
}

impl Put for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_id(&mut self, value: Id) {
        self.extend_from_slice(&value.to_bytes());
    }

    fn put_pose(&mut self, value: &Pose) {
        for value in [value.x, value.y, value.z, value.yaw] {
            self.extend_from_slice(&value.to_be_bytes());
        }
    }

    fn put_motion(&mut self, value: &[u8]) {
        let value = value.get(..MOTION_BYTES_MAX).unwrap_or(value);
        self.push(value.len() as u8);
        self.extend_from_slice(value);
    }

    fn put_text(&mut self, value: &str, bytes_max: usize) {
        let value = cut(value, bytes_max.min(usize::from(u16::MAX)));
        self.put_u16(value.len() as u16);
        self.extend_from_slice(value.as_bytes());
    }
}

/// The longest start of a text that has at most `bytes_max` bytes.
pub fn cut(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or(text)
}
