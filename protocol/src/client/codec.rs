//! The bytes of frames and datagrams. `docs/protocol.md` says the same in words.

use super::{ClientFrame, CloseCode, MoveDatagram, Placed, Pose, PositionDatagram, ServerFrame};
use crate::frame::{self, RawFrame};
use crate::id::{EntityId, SessionId};
use crate::limits::{
    ARGS_BYTES_MAX, CLIENT_VERSION_BYTES_MAX, LOCALE_BYTES_MAX, MODULE_NAME_BYTES_MAX, PROTOCOL_VERSION,
    TOKEN_BYTES_MAX,
};
use crate::wire::{Fields, Put, WireError};
use bytes::Bytes;

const HELLO: u8 = 0x01;
const REQUEST: u8 = 0x02;
const ACKNOWLEDGE: u8 = 0x03;
const PING: u8 = 0x04;

const WELCOME: u8 = 0x81;
/// Kind of [`ServerFrame::Schema`], the one frame that has a limit of its own.
pub const SCHEMA_KIND: u8 = 0x82;
const RESYNC: u8 = 0x83;
const CREATE: u8 = 0x84;
const DELTA: u8 = 0x85;
const DESTROY: u8 = 0x86;
const CALL: u8 = 0x87;
const REPLY: u8 = 0x88;
const PONG: u8 = 0x89;

const MOVE_DATAGRAM: u8 = 0x01;
const POSITION_DATAGRAM: u8 = 0x81;

/// Bytes of a position datagram besides its positions.
pub const POSITION_HEAD_BYTES: usize = 13;
/// Bytes of one position besides its motion.
pub const PLACED_BYTES: usize = 19;

impl Pose {
    /// x, y, z, yaw.
    pub const fn numbers(self) -> [f32; 4] {
        [self.x, self.y, self.z, self.yaw]
    }

    /// The pose of four numbers as [`Pose::numbers`] gives them.
    pub const fn of_numbers([x, y, z, yaw]: [f32; 4]) -> Pose {
        Pose { x, y, z, yaw }
    }

    /// True if all four are numbers that are not infinite.
    pub fn is_finite(&self) -> bool {
        self.numbers().into_iter().all(f32::is_finite)
    }
}

impl ClientFrame {
    /// Writes it with its length.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            ClientFrame::Hello { protocol, module, token, version, locale } => {
                frame::write(out, HELLO, |out| {
                    out.put_u16(*protocol);
                    out.put_text(module, MODULE_NAME_BYTES_MAX);
                    out.put_text(token, TOKEN_BYTES_MAX);
                    out.put_text(version, CLIENT_VERSION_BYTES_MAX);
                    out.put_text(locale, LOCALE_BYTES_MAX);
                })
            }
            ClientFrame::Request { request, acknowledged, target, method, deadline_ms, args } => {
                frame::write(out, REQUEST, |out| {
                    out.put_u64(*request);
                    out.put_u64(*acknowledged);
                    out.put_id(target.0);
                    out.put_u32(*method);
                    out.put_u32(*deadline_ms);
                    out.extend_from_slice(args);
                });
            }
            ClientFrame::Acknowledge { request } => {
                frame::write(out, ACKNOWLEDGE, |out| out.put_u64(*request));
            }
            ClientFrame::Ping { nonce } => frame::write(out, PING, |out| out.put_u64(*nonce)),
        }
    }

    /// Reads a frame that a [`crate::frame::FrameDecoder`] cut. A greeting of another protocol
    /// version has empty texts: only its first field can be understood.
    pub fn decode(raw: RawFrame) -> Result<ClientFrame, WireError> {
        let mut fields = Fields::new(raw.body);
        let frame = match raw.kind {
            HELLO => {
                let protocol = fields.u16()?;
                if protocol != PROTOCOL_VERSION {
                    let none = String::new;
                    return Ok(ClientFrame::Hello {
                        protocol,
                        module: none(),
                        token: none(),
                        version: none(),
                        locale: none(),
                    });
                }
                ClientFrame::Hello {
                    protocol,
                    module: fields.text("module", MODULE_NAME_BYTES_MAX)?,
                    token: fields.text("token", TOKEN_BYTES_MAX)?,
                    version: fields.text("version", CLIENT_VERSION_BYTES_MAX)?,
                    locale: fields.text("locale", LOCALE_BYTES_MAX)?,
                }
            }
            REQUEST => {
                let (request, acknowledged) = (fields.u64()?, fields.u64()?);
                let (target, method) = (EntityId(fields.id()?), fields.u32()?);
                let (deadline_ms, args) = (fields.u32()?, fields.rest());
                if args.len() > ARGS_BYTES_MAX {
                    return Err(WireError::TooLong("args", ARGS_BYTES_MAX));
                }
                ClientFrame::Request { request, acknowledged, target, method, deadline_ms, args }
            }
            ACKNOWLEDGE => ClientFrame::Acknowledge { request: fields.u64()? },
            PING => ClientFrame::Ping { nonce: fields.u64()? },
            kind => return Err(WireError::Kind(kind)),
        };
        fields.end()?;
        Ok(frame)
    }
}

impl ServerFrame {
    /// Writes it with its length.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            ServerFrame::Welcome { session, module } => frame::write(out, WELCOME, |out| {
                out.put_u16(PROTOCOL_VERSION);
                out.put_id(session.0);
                out.put_text(module, MODULE_NAME_BYTES_MAX);
            }),
            ServerFrame::Schema { schema } => {
                frame::write(out, SCHEMA_KIND, |out| out.extend_from_slice(schema));
            }
            ServerFrame::Resync { view } => frame::write(out, RESYNC, |out| out.put_u32(*view)),
            ServerFrame::Create { entity, type_id, own, handle, pose, attributes } => {
                frame::write(out, CREATE, |out| {
                    out.put_id(entity.0);
                    out.put_u32(*type_id);
                    out.put_u8(u8::from(*own));
                    out.put_u16(*handle);
                    out.put_pose(pose);
                    out.extend_from_slice(attributes);
                });
            }
            ServerFrame::Delta { entity, changes } => frame::write(out, DELTA, |out| {
                out.put_id(entity.0);
                out.extend_from_slice(changes);
            }),
            ServerFrame::Destroy { entity } => frame::write(out, DESTROY, |out| out.put_id(entity.0)),
            ServerFrame::Call { entity, method, args } => frame::write(out, CALL, |out| {
                out.put_id(entity.0);
                out.put_u32(*method);
                out.extend_from_slice(args);
            }),
            ServerFrame::Reply { request, outcome } => frame::write(out, REPLY, |out| {
                out.put_u64(*request);
                out.extend_from_slice(outcome);
            }),
            ServerFrame::Pong { nonce } => frame::write(out, PONG, |out| out.put_u64(*nonce)),
        }
    }

    /// The same as bytes of its own.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        self.encode(&mut out);
        out.into()
    }

    /// Reads a frame. A kind that is not known is none: a newer server may say more than an
    /// older client understands.
    pub fn decode(raw: RawFrame) -> Result<Option<ServerFrame>, WireError> {
        let mut fields = Fields::new(raw.body);
        let frame = match raw.kind {
            WELCOME => {
                if fields.u16()? != PROTOCOL_VERSION {
                    return Err(WireError::Unused("protocol"));
                }
                let session = SessionId(fields.id()?);
                ServerFrame::Welcome { session, module: fields.text("module", MODULE_NAME_BYTES_MAX)? }
            }
            SCHEMA_KIND => ServerFrame::Schema { schema: fields.rest() },
            RESYNC => ServerFrame::Resync { view: fields.u32()? },
            CREATE => ServerFrame::Create {
                entity: EntityId(fields.id()?),
                type_id: fields.u32()?,
                own: fields.flag("own")?,
                handle: fields.u16()?,
                pose: fields.pose()?,
                attributes: fields.rest(),
            },
            DELTA => ServerFrame::Delta { entity: EntityId(fields.id()?), changes: fields.rest() },
            DESTROY => ServerFrame::Destroy { entity: EntityId(fields.id()?) },
            CALL => ServerFrame::Call {
                entity: EntityId(fields.id()?),
                method: fields.u32()?,
                args: fields.rest(),
            },
            REPLY => ServerFrame::Reply { request: fields.u64()?, outcome: fields.rest() },
            PONG => ServerFrame::Pong { nonce: fields.u64()? },
            _ => return Ok(None),
        };
        fields.end()?;
        Ok(Some(frame))
    }
}

impl MoveDatagram {
    /// Writes it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(MOVE_DATAGRAM);
        out.put_u32(self.sequence);
        out.put_pose(&self.pose);
        out.put_motion(&self.motion);
    }

    /// Reads a client's datagram.
    pub fn decode(input: Bytes) -> Result<MoveDatagram, WireError> {
        let mut fields = Fields::new(input);
        match fields.u8()? {
            MOVE_DATAGRAM => {}
            kind => return Err(WireError::Kind(kind)),
        }
        let datagram =
            MoveDatagram { sequence: fields.u32()?, pose: fields.pose()?, motion: fields.motion()? };
        fields.end()?;
        Ok(datagram)
    }
}

impl PositionDatagram {
    /// Bytes that [`PositionDatagram::encode`] writes.
    pub fn encoded_len(&self) -> usize {
        POSITION_HEAD_BYTES
            + self.placed.iter().map(|placed| PLACED_BYTES + placed.motion.len()).sum::<usize>()
    }

    /// Writes it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(POSITION_DATAGRAM);
        out.put_u32(self.view);
        out.put_u32(self.sequence);
        out.put_u32(self.time_ms);
        for placed in &self.placed {
            out.put_u16(placed.handle);
            out.put_pose(&placed.pose);
            out.put_motion(&placed.motion);
        }
    }

    /// Reads a gate's datagram; a kind that is not known is none.
    pub fn decode(input: Bytes) -> Result<Option<PositionDatagram>, WireError> {
        let mut fields = Fields::new(input);
        if fields.u8()? != POSITION_DATAGRAM {
            return Ok(None);
        }
        let (view, sequence, time_ms) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let mut placed = Vec::new();
        while !fields.is_empty() {
            placed.push(Placed { handle: fields.u16()?, pose: fields.pose()?, motion: fields.motion()? });
        }
        Ok(Some(PositionDatagram { view, sequence, time_ms, placed }))
    }
}

impl CloseCode {
    /// All of them.
    pub const ALL: [CloseCode; 9] = [
        CloseCode::Done,
        CloseCode::Kicked,
        CloseCode::Shutdown,
        CloseCode::Protocol,
        CloseCode::Rate,
        CloseCode::Version,
        CloseCode::Slow,
        CloseCode::Full,
        CloseCode::Timeout,
    ];

    /// From a QUIC application error code.
    pub fn from_code(code: u64) -> Option<CloseCode> {
        CloseCode::ALL.into_iter().find(|known| *known as u64 == code)
    }
}

#[cfg(test)]
mod tests;
