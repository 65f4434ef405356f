//! The client as a state machine: bytes and the time go in, bytes and events come out.
//!
//! It greets, keeps the schema, mirrors entities, and matches replies with requests. It does not
//! know sockets, and trusts a server no further than its own memory: what does not fit is told
//! as [`ClientEvent::Inconsistent`] and left out.

use crate::mirror::Entity;
use crate::tables::Tables;
use crate::value::Value;
use bytes::Bytes;
use everwake_protocol::client::{ClientFrame, MoveDatagram, Pose, PositionDatagram, ServerFrame};
use everwake_protocol::frame::FrameDecoder;
use everwake_protocol::limits::{
    ARGS_BYTES_MAX, CLIENT_VERSION_BYTES_MAX, LOCALE_BYTES_MAX, MODULE_NAME_BYTES_MAX, PROTOCOL_VERSION,
    TOKEN_BYTES_MAX,
};
use everwake_protocol::outcome::{Outcome, code};
use everwake_protocol::schema::Schema;
use everwake_protocol::{EntityId, SessionId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

mod frames;
#[cfg(test)]
mod tests;

/// What a client says first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Greeting {
    /// Which module's game to play, at most 64 bytes; empty: the first of the deployment.
    pub module: String,
    /// Handed to the boot entity, at most 1,024 bytes.
    pub token: String,
    /// The program's version, handed to the boot entity, at most 64 bytes.
    pub version: String,
    /// Language tag, handed to the boot entity, at most 32 bytes.
    pub locale: String,
}

/// A text of a [`Greeting`] that is too long. Cut it would say something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{what}` of the greeting has {bytes} bytes; at most {max} are allowed")]
pub struct GreetingError {
    /// Which one.
    pub what: &'static str,
    /// How long it is.
    pub bytes: usize,
    /// How long it may be.
    pub max: usize,
}

impl Greeting {
    fn check(&self) -> Result<(), GreetingError> {
        for (what, text, max) in [
            ("module", &self.module, MODULE_NAME_BYTES_MAX),
            ("token", &self.token, TOKEN_BYTES_MAX),
            ("version", &self.version, CLIENT_VERSION_BYTES_MAX),
            ("locale", &self.locale, LOCALE_BYTES_MAX),
        ] {
            if text.len() > max {
                return Err(GreetingError { what, bytes: text.len(), max });
            }
        }
        Ok(())
    }
}

/// What a client gets to know.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientEvent {
    /// The gate took the greeting.
    Welcome {
        /// Name of this connection.
        session: SessionId,
        /// Module that is played.
        module: String,
    },
    /// A schema came: the first one, or the module's code was replaced.
    Schema {
        /// Rises with each publication.
        generation: u32,
    },
    /// Everything that was mirrored is void.
    Resync {
        /// The view that begins.
        view: u32,
    },
    /// An entity came into view, with its attributes as far as they fit one frame.
    Created {
        /// The entity.
        entity: EntityId,
        /// True if it is the client's own now.
        own: bool,
    },
    /// Attributes changed.
    Changed {
        /// The entity.
        entity: EntityId,
        /// Names of those that did, sorted.
        attributes: Vec<String>,
    },
    /// An entity left the view.
    Destroyed {
        /// The entity.
        entity: EntityId,
    },
    /// A method of a mirror was called.
    Called {
        /// The entity.
        entity: EntityId,
        /// Name of the client method.
        method: String,
        /// One CBOR array.
        args: Bytes,
    },
    /// A request ended.
    Replied {
        /// Which one.
        request: u64,
        /// How.
        outcome: Outcome,
    },
    /// A ping came back.
    Pong {
        /// As it was sent.
        nonce: u64,
    },
    /// The server said something that does not fit what it said before.
    Inconsistent {
        /// For people.
        text: String,
    },
}

/// The stream of the server cannot be understood any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server broke the protocol: {0}")]
pub struct BrokenStream(pub String);

/// Why a request was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The client does not see the entity.
    #[error("no entity `{0}` is in view")]
    NoSuchEntity(EntityId),
    /// Its type has no such method for clients.
    #[error("`{0}` has no method `{1}` for clients")]
    NoSuchMethod(String, String),
    /// The arguments do not fit.
    #[error("arguments: {0}")]
    Arguments(String),
    /// The arguments have so many bytes, more than [`ARGS_BYTES_MAX`].
    #[error("arguments of {0} bytes; at most {ARGS_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// More than 4 MiB wait to be sent.
    #[error("too much waits to be sent")]
    Full,
    /// The connection has ended.
    #[error("the connection has ended")]
    Closed,
}

/// Requests that had no answer when their connection ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOpen {
    /// These may have happened: all of their bytes were on their way.
    pub unknown: usize,
    /// These surely did not: some of their bytes never left.
    pub not_run: usize,
}

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug)]
struct Pending {
    deadline: Duration,
    /// Where its last byte is in the stream, counted from 1.
    last_byte: u64,
}

/// How much longer than the server a client waits for the answer that the deadline passed.
const DEADLINE_SLACK: Duration = Duration::from_millis(500);
/// Requests whose late answers are still recognised.
const ABANDONED_MAX: usize = 4_096;

/// Bytes that wait to be taken by [`ClientCore::take_output`]; over it nothing is said. Stops a server that
/// does not read from filling the client's memory.
const OUTPUT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// See the head of this module.
#[derive(Debug)]
pub struct ClientCore {
    decoder: FrameDecoder,
    output: Vec<u8>,
    events: VecDeque<ClientEvent>,
    session: Option<SessionId>,
    tables: Tables,
    entities: BTreeMap<EntityId, Entity>,
    handles: BTreeMap<u16, EntityId>,
    own: Option<EntityId>,
    view: Option<u32>,
    last_request: u64,
    told: u64,
    /// Bytes of the stream that were taken by [`ClientCore::take_output`].
    taken: u64,
    pending: BTreeMap<u64, Pending>,
    abandoned: BTreeSet<u64>,
    move_sequence: u32,
    position_sequence: Option<u32>,
    server_time_ms: u32,
    positions: u64,
    stale_positions: u64,
}

impl ClientCore {
    /// A client that greets.
    pub fn new(greeting: &Greeting) -> Result<ClientCore, GreetingError> {
        greeting.check()?;
        let Greeting { module, token, version, locale } = greeting.clone();
        let mut output = Vec::new();
        ClientFrame::Hello { protocol: PROTOCOL_VERSION, module, token, version, locale }.encode(&mut output);
        Ok(ClientCore {
            decoder: FrameDecoder::of_server(),
            output,
            events: VecDeque::new(),
            session: None,
            tables: Tables::default(),
            entities: BTreeMap::new(),
            handles: BTreeMap::new(),
            own: None,
            view: None,
            last_request: 0,
            told: 0,
            taken: 0,
            pending: BTreeMap::new(),
            abandoned: BTreeSet::new(),
            move_sequence: 0,
            position_sequence: None,
            server_time_ms: 0,
            positions: 0,
            stale_positions: 0,
        })
    }

    /// Takes bytes of the stream.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), BrokenStream> {
        self.decoder.push(bytes);
        while let Some(raw) = self.decoder.pop().map_err(|error| BrokenStream(error.to_string()))? {
            let kind = raw.kind;
            let frame = ServerFrame::decode(raw)
                .map_err(|error| BrokenStream(format!("frame of kind 0x{kind:02x}: {error}")))?;
            if let Some(frame) = frame {
                self.frame(frame)?;
            }
        }
        Ok(())
    }

    /// Takes a datagram. Those of other views, older ones, and those that are no positions are
    /// left out.
    pub fn receive_datagram(&mut self, bytes: Bytes) {
        let Ok(Some(datagram)) = PositionDatagram::decode(bytes) else {
            self.inconsistent("a datagram that is none".to_owned());
            return;
        };
        let newer = self.position_sequence.is_none_or(|last| {
            let ahead = datagram.sequence.wrapping_sub(last);
            ahead != 0 && ahead < 1 << 31
        });
        if self.view != Some(datagram.view) || !newer {
            self.stale_positions += 1;
            return;
        }
        self.position_sequence = Some(datagram.sequence);
        self.server_time_ms = datagram.time_ms;
        for placed in datagram.placed {
            // An entity whose create is under way, or that just left, is no fault.
            if let Some(entity) = self.handles.get(&placed.handle).and_then(|id| self.entities.get_mut(id)) {
                entity.pose = placed.pose;
                entity.motion = placed.motion;
                self.positions += 1;
            }
        }
    }

    /// Ends requests whose deadline passed, and acknowledges replies. A few times a second.
    pub fn tick(&mut self, now: Duration) {
        let late: Vec<u64> =
            self.pending.iter().filter(|(_, it)| it.deadline <= now).map(|(id, _)| *id).collect();
        for request in late {
            self.pending.remove(&request);
            self.abandon(request);
            self.events
                .push_back(ClientEvent::Replied { request, outcome: Outcome::unknown(code::DEADLINE) });
        }
        let prefix = self.prefix();
        if prefix > self.told {
            self.told = prefix;
            ClientFrame::Acknowledge { request: prefix }.encode(&mut self.output);
        }
    }

    /// Asks an entity in view to run a method, by name. `deadline_ms` 0: no answer is awaited.
    pub fn request(
        &mut self,
        now: Duration,
        target: EntityId,
        method: &str,
        args: &[Value],
        deadline_ms: u32,
    ) -> Result<u64, RequestError> {
        let schema = self.method(target, method)?;
        let types = schema.parameters.iter().map(|parameter| parameter.type_text.as_str());
        let id = schema.id;
        let args = Value::encode_arguments(args, types)
            .map_err(|error| RequestError::Arguments(error.to_string()))?;
        self.checked_request(now, target, id, args, deadline_ms)
    }

    /// The same with encoded arguments.
    pub fn request_encoded(
        &mut self,
        now: Duration,
        target: EntityId,
        method: &str,
        args: Bytes,
        deadline_ms: u32,
    ) -> Result<u64, RequestError> {
        let id = self.method(target, method)?.id;
        self.checked_request(now, target, id, args, deadline_ms)
    }

    fn checked_request(
        &mut self,
        now: Duration,
        target: EntityId,
        method: u32,
        args: Bytes,
        deadline_ms: u32,
    ) -> Result<u64, RequestError> {
        if args.len() > ARGS_BYTES_MAX {
            return Err(RequestError::TooLarge(args.len()));
        }
        self.has_room()?;
        Ok(self.request_by_id(now, target, method, args, deadline_ms))
    }

    fn has_room(&self) -> Result<(), RequestError> {
        if self.output.len() > OUTPUT_BYTES_MAX { Err(RequestError::Full) } else { Ok(()) }
    }

    /// The same, unchecked: by small id, on any entity, with arguments of any size and however much waits.
    pub fn request_by_id(
        &mut self,
        now: Duration,
        target: EntityId,
        method: u32,
        args: Bytes,
        deadline_ms: u32,
    ) -> u64 {
        let acknowledged = self.prefix();
        self.told = self.told.max(acknowledged);
        self.last_request += 1;
        let request = self.last_request;
        ClientFrame::Request { request, acknowledged, target, method, deadline_ms, args }
            .encode(&mut self.output);
        if deadline_ms == 0 {
            self.abandon(request);
        } else {
            let deadline = now + Duration::from_millis(deadline_ms.into()) + DEADLINE_SLACK;
            let last_byte = self.taken + self.output.len() as u64;
            self.pending.insert(request, Pending { deadline, last_byte });
        }
        request
    }

    /// Asks for a [`ClientEvent::Pong`].
    pub fn ping(&mut self, nonce: u64) -> Result<(), RequestError> {
        self.has_room()?;
        ClientFrame::Ping { nonce }.encode(&mut self.output);
        Ok(())
    }

    /// The datagram that moves the own entity. The mirror moves at once. Of `motion` 16 bytes are sent.
    pub fn move_to(&mut self, pose: Pose, motion: &[u8]) -> Bytes {
        self.move_sequence = self.move_sequence.wrapping_add(1);
        if let Some(own) = self.own.and_then(|own| self.entities.get_mut(&own)) {
            own.pose = pose;
        }
        let mut out = Vec::new();
        let motion = Bytes::copy_from_slice(motion);
        MoveDatagram { sequence: self.move_sequence, pose, motion }.encode(&mut out);
        out.into()
    }

    /// Bytes for the stream.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.taken += self.output.len() as u64;
        std::mem::take(&mut self.output)
    }

    /// The connection has ended, after the first `written` bytes of the stream were given to the transport. Requests
    /// that wait are answered `disconnected`: not-run if the server cannot have all of their bytes, else unknown.
    /// The mirror is empty from here on.
    pub fn end(&mut self, written: u64) -> LeftOpen {
        let mut left = LeftOpen::default();
        for (request, pending) in std::mem::take(&mut self.pending) {
            let outcome = if pending.last_byte <= written {
                left.unknown += 1;
                Outcome::unknown(code::DISCONNECTED)
            } else {
                left.not_run += 1;
                Outcome::not_run(code::DISCONNECTED)
            };
            self.events.push_back(ClientEvent::Replied { request, outcome });
        }
        self.entities.clear();
        self.handles.clear();
        self.own = None;
        left
    }

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// Name of this connection, once welcome.
    pub fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// The newest schema.
    pub fn schema(&self) -> &Schema {
        &self.tables.schema
    }

    /// The own entity, if it is in view.
    pub fn own(&self) -> Option<&Entity> {
        self.entities.get(&self.own?)
    }

    /// An entity in view.
    pub fn entity(&self, id: EntityId) -> Option<&Entity> {
        self.entities.get(&id)
    }

    /// All entities in view, by id.
    pub fn entities(&self) -> impl Iterator<Item = &Entity> {
        self.entities.values()
    }

    /// The value of an attribute by name, the initial one if nothing else was said.
    pub fn attribute(&self, entity: EntityId, name: &str) -> Option<Value> {
        let entity = self.entities.get(&entity)?;
        entity.value(self.tables.kind(entity.type_id)?, name)
    }

    /// All live attributes: name, type text, and value as one CBOR item.
    pub fn attributes(&self, entity: EntityId) -> Vec<(String, String, Bytes)> {
        let Some(entity) = self.entities.get(&entity) else { return Vec::new() };
        let Some(kind) = self.tables.kind(entity.type_id) else { return Vec::new() };
        let encoded = |id| entity.encoded(kind, id).unwrap_or_default();
        kind.live_attributes().map(|it| (it.name.clone(), it.type_text.clone(), encoded(it.id))).collect()
    }

    /// Requests that wait for their answer.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Server time of the newest positions, UTC ms modulo 2^32.
    pub fn server_time_ms(&self) -> u32 {
        self.server_time_ms
    }

    /// Positions that were taken, and datagrams that were too old or of another view.
    pub fn position_counts(&self) -> (u64, u64) {
        (self.positions, self.stale_positions)
    }

    fn method(
        &self,
        target: EntityId,
        name: &str,
    ) -> Result<&everwake_protocol::schema::MethodSchema, RequestError> {
        let entity = self.entities.get(&target).ok_or(RequestError::NoSuchEntity(target))?;
        let kind = self.tables.kind(entity.type_id).ok_or(RequestError::NoSuchEntity(target))?;
        kind.method_named(name)
            .ok_or_else(|| RequestError::NoSuchMethod(entity.type_name.clone(), name.to_owned()))
    }

    /// All replies up to this request have arrived, or are not awaited any more.
    fn prefix(&self) -> u64 {
        self.pending.keys().next().map_or(self.last_request, |first| first - 1)
    }

    fn abandon(&mut self, request: u64) {
        self.abandoned.insert(request);
        if self.abandoned.len() > ABANDONED_MAX {
            self.abandoned.pop_first();
        }
    }

    fn inconsistent(&mut self, text: String) {
        self.events.push_back(ClientEvent::Inconsistent { text });
    }
}
