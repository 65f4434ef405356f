//! The bytes of [`ToGame`] and [`ToGate`], a kind as u8 and the fields.

use super::{Comparison, ToGame, ToGate, Viewer};
use crate::client::{CloseCode, PositionDatagram};
use crate::id::{EntityId, SessionId};
use crate::limits::{
    CLIENT_VERSION_BYTES_MAX, FILTER_KEY_BYTES_MAX, FILTER_VALUE_BYTES_MAX, LOCALE_BYTES_MAX,
    MODULE_NAME_BYTES_MAX, REASON_BYTES_MAX, TOKEN_BYTES_MAX,
};
use crate::schema::Schema;
use crate::wire::{Fields, Put, WireError};
use bytes::Bytes;
use smallvec::SmallVec;
use std::sync::Arc;

mod routing;

/// First byte of an envelope's payload that is a [`ToGame`].
pub const CARGO_CLIENT: u8 = 2;
/// First byte of an envelope's payload that is a [`ToGate`]. All other payloads are read by games alone.
pub const CARGO_GATE: u8 = 3;

/// An address as text.
const ADDRESS_BYTES_MAX: usize = 64;

impl ToGame {
    /// The kind of [`ToGame::Connected`], which is its first byte.
    pub const CONNECTED: u8 = 1;
    /// Kind of [`ToGame::Detach`].
    pub const DETACH: u8 = 6;

    /// Whose client it is about.
    pub fn session(&self) -> SessionId {
        match self {
            ToGame::Connected { session, .. }
            | ToGame::Request { session, .. }
            | ToGame::Acknowledged { session, .. }
            | ToGame::Forget { session }
            | ToGame::Moved { session, .. }
            | ToGame::RoundTrip { session, .. }
            | ToGame::Detach { session, .. }
            | ToGame::Released { session, .. } => *session,
        }
    }

    /// Writes it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(self.kind());
        out.put_id(self.session().0);
        match self {
            ToGame::Connected { session: _, view, module, address, token, version, locale } => {
                out.put_u32(*view);
                out.put_text(module, MODULE_NAME_BYTES_MAX);
                out.put_text(address, ADDRESS_BYTES_MAX);
                out.put_text(token, TOKEN_BYTES_MAX);
                out.put_text(version, CLIENT_VERSION_BYTES_MAX);
                out.put_text(locale, LOCALE_BYTES_MAX);
            }
            ToGame::Request { session: _, request, acknowledged, module, method, deadline_ms, args } => {
                out.put_u64(*request);
                out.put_u64(*acknowledged);
                out.put_text(module, MODULE_NAME_BYTES_MAX);
                out.put_u32(*method);
                out.put_u32(*deadline_ms);
                out.extend_from_slice(args);
            }
            ToGame::Acknowledged { session: _, request } => out.put_u64(*request),
            ToGame::Moved { session: _, pose, motion } => {
                out.put_pose(pose);
                out.put_motion(motion);
            }
            ToGame::RoundTrip { session: _, ms } => out.put_u32(ms.to_bits()),
            ToGame::Detach { session: _, view, reason } => {
                out.put_u32(*view);
                out.put_u32(*reason);
            }
            ToGame::Released { session: _, view } => out.put_u32(*view),
            ToGame::Forget { .. } => {}
        }
    }

    /// Reads it.
    pub fn decode(input: Bytes) -> Result<ToGame, WireError> {
        let mut fields = Fields::new(input);
        let kind = fields.u8()?;
        if !(1..=8).contains(&kind) {
            return Err(WireError::Kind(kind));
        }
        let session = SessionId(fields.id()?);
        let message = match kind {
            1 => ToGame::Connected {
                session,
                view: fields.u32()?,
                module: fields.text("module", MODULE_NAME_BYTES_MAX)?,
                address: fields.text("address", ADDRESS_BYTES_MAX)?,
                token: fields.text("token", TOKEN_BYTES_MAX)?,
                version: fields.text("version", CLIENT_VERSION_BYTES_MAX)?,
                locale: fields.text("locale", LOCALE_BYTES_MAX)?,
            },
            2 => ToGame::Request {
                session,
                request: fields.u64()?,
                acknowledged: fields.u64()?,
                module: fields.text("module", MODULE_NAME_BYTES_MAX)?.into(),
                method: fields.u32()?,
                deadline_ms: fields.u32()?,
                args: fields.rest(),
            },
            3 => ToGame::Acknowledged { session, request: fields.u64()? },
            4 => ToGame::Moved { session, pose: fields.pose()?, motion: fields.motion()? },
            5 => ToGame::RoundTrip { session, ms: fields.f32()? },
            Self::DETACH => ToGame::Detach { session, view: fields.u32()?, reason: fields.u32()? },
            7 => ToGame::Forget { session },
            _ => ToGame::Released { session, view: fields.u32()? },
        };
        fields.end()?;
        Ok(message)
    }

    fn kind(&self) -> u8 {
        match self {
            ToGame::Connected { .. } => Self::CONNECTED,
            ToGame::Request { .. } => 2,
            ToGame::Acknowledged { .. } => 3,
            ToGame::Moved { .. } => 4,
            ToGame::RoundTrip { .. } => 5,
            ToGame::Detach { .. } => Self::DETACH,
            ToGame::Forget { .. } => 7,
            ToGame::Released { .. } => 8,
        }
    }
}

impl ToGate {
    /// Whose client it is about, if it is one.
    pub fn session(&self) -> Option<SessionId> {
        match self {
            ToGate::Schema { .. } | ToGate::Frames { .. } | ToGate::Broadcast { .. } => None,
            ToGate::Reply { session, .. }
            | ToGate::View { session, .. }
            | ToGate::End { session, .. }
            | ToGate::Orphaned { session, .. }
            | ToGate::Positions { session, .. }
            | ToGate::Filter { session, .. }
            | ToGate::ClearFilters { session }
            | ToGate::Close { session, .. } => Some(*session),
        }
    }

    /// Writes it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            ToGate::Schema { schema } => {
                out.put_u8(1);
                out.extend_from_slice(&schema.encode());
            }
            ToGate::Frames { viewers, frames } => {
                out.put_u8(2);
                out.put_u32(viewers.len() as u32);
                for Viewer { session, view } in viewers {
                    out.put_id(session.0);
                    out.put_u32(*view);
                }
                out.extend_from_slice(frames);
            }
            ToGate::View { session, view, owner, type_id } => {
                put_view(out, 3, *session, *view);
                out.put_id(owner.0);
                out.put_u32(*type_id);
            }
            ToGate::Positions { session, datagram } => {
                out.put_u8(4);
                out.put_id(session.0);
                datagram.encode(out);
            }
            ToGate::Filter { session, key, value } => {
                out.put_u8(5);
                out.put_id(session.0);
                out.put_text(key, FILTER_KEY_BYTES_MAX);
                out.put_u8(u8::from(value.is_some()));
                if let Some(value) = value {
                    out.put_text(value, FILTER_VALUE_BYTES_MAX);
                }
            }
            ToGate::ClearFilters { session } => {
                out.put_u8(6);
                out.put_id(session.0);
            }
            ToGate::Broadcast { module, key, compare, value, type_id, frames } => {
                out.put_u8(7);
                out.put_text(module, MODULE_NAME_BYTES_MAX);
                out.put_text(key, FILTER_KEY_BYTES_MAX);
                out.put_u8(compare.number());
                out.put_text(value, FILTER_VALUE_BYTES_MAX);
                out.put_u32(*type_id);
                out.extend_from_slice(frames);
            }
            ToGate::Close { session, code, reason } => {
                out.put_u8(8);
                out.put_id(session.0);
                out.put_u32(*code as u32);
                out.put_text(reason, REASON_BYTES_MAX);
            }
            ToGate::Reply { session, frame } => {
                out.put_u8(9);
                out.put_id(session.0);
                out.extend_from_slice(frame);
            }
            ToGate::End { session, view } => put_view(out, 10, *session, *view),
            ToGate::Orphaned { session, view } => put_view(out, 11, *session, *view),
        }
    }

    /// Reads it.
    pub fn decode(input: Bytes) -> Result<ToGate, WireError> {
        let mut fields = Fields::new(input);
        let message = match fields.u8()? {
            1 => ToGate::Schema { schema: Arc::new(Schema::decode(&fields.rest())?) },
            2 => {
                let mut viewers = SmallVec::new();
                for _ in 0..fields.u32()? {
                    viewers.push(Viewer { session: SessionId(fields.id()?), view: fields.u32()? });
                }
                ToGate::Frames { viewers, frames: fields.rest() }
            }
            3 => ToGate::View {
                session: SessionId(fields.id()?),
                view: fields.u32()?,
                owner: EntityId(fields.id()?),
                type_id: fields.u32()?,
            },
            4 => ToGate::Positions {
                session: SessionId(fields.id()?),
                datagram: PositionDatagram::decode(fields.rest())?.ok_or(WireError::Unused("datagram"))?,
            },
            5 => {
                let session = SessionId(fields.id()?);
                let key = fields.text("key", FILTER_KEY_BYTES_MAX)?;
                let value = match fields.flag("value")? {
                    true => Some(fields.text("value", FILTER_VALUE_BYTES_MAX)?),
                    false => None,
                };
                ToGate::Filter { session, key, value }
            }
            6 => ToGate::ClearFilters { session: SessionId(fields.id()?) },
            7 => ToGate::Broadcast {
                module: fields.text("module", MODULE_NAME_BYTES_MAX)?,
                key: fields.text("key", FILTER_KEY_BYTES_MAX)?,
                compare: Comparison::from_number(fields.u8()?).ok_or(WireError::Unused("compare"))?,
                value: fields.text("value", FILTER_VALUE_BYTES_MAX)?,
                type_id: fields.u32()?,
                frames: fields.rest(),
            },
            8 => ToGate::Close {
                session: SessionId(fields.id()?),
                code: CloseCode::from_code(u64::from(fields.u32()?)).ok_or(WireError::Unused("code"))?,
                reason: fields.text("reason", REASON_BYTES_MAX)?,
            },
            9 => ToGate::Reply { session: SessionId(fields.id()?), frame: fields.rest() },
            10 => ToGate::End { session: SessionId(fields.id()?), view: fields.u32()? },
            11 => ToGate::Orphaned { session: SessionId(fields.id()?), view: fields.u32()? },
            kind => return Err(WireError::Kind(kind)),
        };
        fields.end()?;
        Ok(message)
    }
}

fn put_view(out: &mut Vec<u8>, kind: u8, session: SessionId, view: u32) {
    out.put_u8(kind);
    out.put_id(session.0);
    out.put_u32(view);
}

impl Comparison {
    /// All of them, by number.
    pub const ALL: [Comparison; 6] = [
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ];

    /// Its place in `wit/clients.wit`.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// By its place in `wit/clients.wit`.
    pub fn from_number(number: u8) -> Option<Comparison> {
        Comparison::ALL.get(usize::from(number)).copied()
    }

    /// `text <comparison> beside`, by bytes.
    pub fn holds(self, text: &str, beside: &str) -> bool {
        match self {
            Comparison::Equal => text == beside,
            Comparison::NotEqual => text != beside,
            Comparison::Less => text < beside,
            Comparison::LessOrEqual => text <= beside,
            Comparison::Greater => text > beside,
            Comparison::GreaterOrEqual => text >= beside,
        }
    }
}

#[cfg(test)]
mod tests;
