//! The bytes of a [`Header`]: fixed fields first, the rest only where a flag says so.

use super::{Header, Incarnation, MessageId, Target};
use crate::id::{EntityId, Id, SessionId};
use crate::wire::{Fields, Put, WireError};
use bytes::Bytes;

/// Version of what processes say to each other.
pub const CLUSTER_VERSION: u8 = 1;

const TARGET_BITS: u16 = 0b11;
const SPACE_EPOCH: u16 = 1 << 2;
const LOCATION_EPOCH: u16 = 1 << 3;
const MESSAGE: u16 = 1 << 4;
const LOW_WATER: u16 = 1 << 5;
const SESSION_EPOCH: u16 = 1 << 6;
const VIEW_EPOCH: u16 = 1 << 7;
const CALL: u16 = 1 << 8;
const DEADLINE: u16 = 1 << 9;
const METHOD: u16 = 1 << 10;
const GENERATION: u16 = 1 << 11;
const TRACE: u16 = 1 << 12;
const USED: u16 = (1 << 13) - 1;

impl Header {
    /// A header that says only who, where in the stream, and to whom.
    pub fn new(source: Incarnation, lane_sequence: u64, target: Target) -> Header {
        Header {
            source,
            lane_sequence,
            target,
            space_epoch: 0,
            location_epoch: 0,
            message: MessageId::default(),
            low_water: 0,
            session_epoch: 0,
            view_epoch: 0,
            call: Id::ZERO,
            deadline_ms: 0,
            method_hash: 0,
            signature_hash: 0,
            generation: 0,
            trace: Id::ZERO,
        }
    }

    /// Writes it. Fields that are zero cost one bit.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let flags = self.flags();
        out.put_u8(CLUSTER_VERSION);
        out.put_u16(flags);
        put_incarnation(out, self.source);
        out.put_u64(self.lane_sequence);
        match self.target {
            Target::Entity(EntityId(id)) | Target::Space(EntityId(id)) | Target::Session(SessionId(id)) => {
                out.put_id(id);
            }
            Target::Process(incarnation) => put_incarnation(out, incarnation),
        }
        let has = |flag| flags & flag != 0;
        if has(SPACE_EPOCH) {
            out.put_u32(self.space_epoch);
        }
        if has(LOCATION_EPOCH) {
            out.put_u32(self.location_epoch);
        }
        if has(MESSAGE) {
            out.put_id(self.message.sender);
            out.put_u32(self.message.epoch);
            out.put_u64(self.message.counter);
        }
        if has(LOW_WATER) {
            out.put_u64(self.low_water);
        }
        if has(SESSION_EPOCH) {
            out.put_u32(self.session_epoch);
        }
        if has(VIEW_EPOCH) {
            out.put_u32(self.view_epoch);
        }
        if has(CALL) {
            out.put_id(self.call);
        }
        if has(DEADLINE) {
            out.put_u32(self.deadline_ms);
        }
        if has(METHOD) {
            out.put_u64(self.method_hash);
            out.put_u64(self.signature_hash);
        }
        if has(GENERATION) {
            out.put_u32(self.generation);
        }
        if has(TRACE) {
            out.put_id(self.trace);
        }
    }

    /// Reads it from the front of `input` and returns what is behind it.
    pub fn decode(input: Bytes) -> Result<(Header, Bytes), WireError> {
        let mut fields = Fields::new(input);
        let header = Header::read(&mut fields)?;
        Ok((header, fields.rest()))
    }

    fn read(fields: &mut Fields) -> Result<Header, WireError> {
        if fields.u8()? != CLUSTER_VERSION {
            return Err(WireError::Unused("version"));
        }
        let flags = fields.u16()?;
        if flags & !USED != 0 {
            return Err(WireError::Unused("flags"));
        }
        let has = |flag| flags & flag != 0;
        let source = incarnation(fields)?;
        let lane_sequence = fields.u64()?;
        let target = match flags & TARGET_BITS {
            0 => Target::Entity(EntityId(fields.id()?)),
            1 => Target::Space(EntityId(fields.id()?)),
            2 => Target::Session(SessionId(fields.id()?)),
            _ => Target::Process(incarnation(fields)?),
        };
        let mut header = Header::new(source, lane_sequence, target);
        if has(SPACE_EPOCH) {
            header.space_epoch = fields.u32()?;
        }
        if has(LOCATION_EPOCH) {
            header.location_epoch = fields.u32()?;
        }
        if has(MESSAGE) {
            header.message = MessageId { sender: fields.id()?, epoch: fields.u32()?, counter: fields.u64()? };
        }
        if has(LOW_WATER) {
            header.low_water = fields.u64()?;
        }
        if has(SESSION_EPOCH) {
            header.session_epoch = fields.u32()?;
        }
        if has(VIEW_EPOCH) {
            header.view_epoch = fields.u32()?;
        }
        if has(CALL) {
            header.call = fields.id()?;
        }
        if has(DEADLINE) {
            header.deadline_ms = fields.u32()?;
        }
        if has(METHOD) {
            (header.method_hash, header.signature_hash) = (fields.u64()?, fields.u64()?);
        }
        if has(GENERATION) {
            header.generation = fields.u32()?;
        }
        if has(TRACE) {
            header.trace = fields.id()?;
        }
        // One message has one form: a flag for a field that is zero is not written.
        if header.flags() == flags { Ok(header) } else { Err(WireError::Unused("flags")) }
    }

    fn flags(&self) -> u16 {
        let target = match self.target {
            Target::Entity(_) => 0,
            Target::Space(_) => 1,
            Target::Session(_) => 2,
            Target::Process(_) => 3,
        };
        let optional = [
            (SPACE_EPOCH, self.space_epoch != 0),
            (LOCATION_EPOCH, self.location_epoch != 0),
            (MESSAGE, self.message != MessageId::default()),
            (LOW_WATER, self.low_water != 0),
            (SESSION_EPOCH, self.session_epoch != 0),
            (VIEW_EPOCH, self.view_epoch != 0),
            (CALL, !self.call.is_zero()),
            (DEADLINE, self.deadline_ms != 0),
            (METHOD, self.method_hash != 0 || self.signature_hash != 0),
            (GENERATION, self.generation != 0),
            (TRACE, !self.trace.is_zero()),
        ];
        optional.into_iter().filter(|(_, present)| *present).fold(target, |flags, (flag, _)| flags | flag)
    }
}

fn put_incarnation(out: &mut Vec<u8>, value: Incarnation) {
    out.put_u32(value.start);
    out.put_u64(value.random);
}

fn incarnation(fields: &mut Fields) -> Result<Incarnation, WireError> {
    Ok(Incarnation { start: fields.u32()?, random: fields.u64()? })
}
