//! Frames and datagrams between a client and a gate. Byte for byte: `docs/protocol.md`.

use crate::id::{EntityId, SessionId};
use bytes::Bytes;

mod codec;

pub use codec::{PLACED_BYTES, POSITION_HEAD_BYTES, SCHEMA_KIND};

/// Where an entity stands: metres, and degrees clockwise from +z.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Pose {
    /// East.
    pub x: f32,
    /// Up.
    pub y: f32,
    /// North.
    pub z: f32,
    /// Degrees clockwise from +z.
    pub yaw: f32,
}

/// What a client says on its stream.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientFrame {
    /// First frame of a connection.
    Hello {
        /// Version of this protocol, [`crate::limits::PROTOCOL_VERSION`].
        protocol: u16,
        /// Which module's game to play; empty: the first one of the deployment.
        module: String,
        /// Handed to the boot entity.
        token: String,
        /// The client program's version, handed to the boot entity.
        version: String,
        /// Language tag, handed to the boot entity.
        locale: String,
    },
    /// Calls a method of an entity.
    Request {
        /// Rises with each request of the session, from 1.
        request: u64,
        /// All replies up to this request have arrived: the server may forget them.
        acknowledged: u64,
        /// Target.
        target: EntityId,
        /// Small id of the method.
        method: u32,
        /// Milliseconds until the client gives up; 0 = it does not wait for an answer, and the game gives none.
        deadline_ms: u32,
        /// One CBOR array.
        args: Bytes,
    },
    /// All replies up to this request have arrived.
    Acknowledge {
        /// Last request of the prefix.
        request: u64,
    },
    /// Answered by [`ServerFrame::Pong`] with the same nonce.
    Ping {
        /// Anything.
        nonce: u64,
    },
}

/// What a gate says on a client's stream.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerFrame {
    /// The greeting was taken.
    Welcome {
        /// Name of this connection.
        session: SessionId,
        /// Module that the client plays.
        module: String,
    },
    /// The schema of the module, whole (it replaces what the client has; ids keep their
    /// meaning). Before the first frame that uses what is new in it.
    Schema {
        /// [`crate::schema::Schema::encode`].
        schema: Bytes,
    },
    /// Everything that the client mirrors is void; a new view follows. Written by the gate
    /// when the game says [`crate::cluster::ToGate::View`].
    Resync {
        /// View epoch of what follows.
        view: u32,
    },
    /// An entity comes into view.
    Create {
        /// The entity.
        entity: EntityId,
        /// Small id of its type.
        type_id: u32,
        /// True if it is the client's own entity from now on.
        own: bool,
        /// Names the entity in position datagrams of this view epoch; 0 = it has no position.
        handle: u16,
        /// Where it stands.
        pose: Pose,
        /// CBOR sequence `path value ...` of what differs from the initial values. What does not
        /// fit a frame follows at once in deltas.
        attributes: Bytes,
    },
    /// Attributes of an entity in view changed.
    Delta {
        /// The entity.
        entity: EntityId,
        /// CBOR sequence `path value ...`, paths by small attribute id.
        changes: Bytes,
    },
    /// An entity left the view.
    Destroy {
        /// The entity.
        entity: EntityId,
    },
    /// A method of the client's mirror of an entity is called.
    Call {
        /// The mirror; for broadcasts the zero id, meaning the client's own entity.
        entity: EntityId,
        /// Small id of the client method.
        method: u32,
        /// One CBOR array.
        args: Bytes,
    },
    /// The one answer to a request that somebody waits for, or the gate's refusal of any other.
    Reply {
        /// Which request.
        request: u64,
        /// CBOR: `[0, value]` or `[1, certainty, code, detail]`.
        outcome: Bytes,
    },
    /// Answer to [`ClientFrame::Ping`].
    Pong {
        /// The same.
        nonce: u64,
    },
}

/// One entity's place in a position datagram.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// See [`ServerFrame::Create`].
    pub handle: u16,
    /// Where it stands.
    pub pose: Pose,
    /// Up to 16 bytes of the game's.
    pub motion: Bytes,
}

/// Positions from the gate: newest wins, by `sequence`.
#[derive(Clone, Debug, PartialEq)]
pub struct PositionDatagram {
    /// View epoch; others are ignored.
    pub view: u32,
    /// Rises with each datagram of the session.
    pub sequence: u32,
    /// Server time, UTC milliseconds modulo 2^32.
    pub time_ms: u32,
    /// At most as many as fit [`crate::limits::DATAGRAM_BYTES_MAX`].
    pub placed: Vec<Placed>,
}

/// A client moves its own entity: newest wins, by `sequence`.
#[derive(Clone, Debug, PartialEq)]
pub struct MoveDatagram {
    /// Rises with each datagram of the session.
    pub sequence: u32,
    /// Where it wants to stand.
    pub pose: Pose,
    /// Up to 16 bytes of the game's.
    pub motion: Bytes,
}

/// Why a connection was closed, as the QUIC application error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum CloseCode {
    /// The client said good-bye, or the server has nothing more to say.
    Done = 0x1000,
    /// The game kicked the client.
    Kicked = 0x1001,
    /// The server is shutting down.
    Shutdown = 0x1002,
    /// The client broke the protocol.
    Protocol = 0x1003,
    /// The client asked too much too fast.
    Rate = 0x1004,
    /// No common protocol version, or no such module.
    Version = 0x1005,
    /// The client did not read what it was sent.
    Slow = 0x1006,
    /// The server has no room.
    Full = 0x1007,
    /// The client did not greet in time.
    Timeout = 0x1008,
}
