//! What gates, games and dispatchers say to each other.
//!
//! Whatever is for an entity, a space or a process travels in an [`Envelope`], which is all that dispatchers look
//! at. Between two halves of one process it is handed over as it is; debug builds take what is in it through its
//! bytes there too.

use crate::client::Pose;
use crate::id::{EntityId, Id, SessionId};
use crate::schema::Schema;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::sync::Arc;

mod codec;
mod routing;

pub use codec::{CARGO_CLIENT, CARGO_GATE};
pub use routing::{
    Ack, Attempt, BetweenDispatchers, EntityReport, Envelope, FromDispatcher, Member, Placement, Profile,
    ReturnReason, SpaceReport, ToDispatcher, Weight,
};

/// One life of one process: random bits and a start counter. Greater counter is younger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Incarnation {
    /// How often the process of this name was started.
    pub start: u32,
    /// Random, so that two processes of one name are told apart.
    pub random: u64,
}

/// Whom something is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// An entity, wherever it lives.
    Entity(EntityId),
    /// A space that an entity comes to. Goes by the entity's dispatcher.
    Arrival {
        /// Who comes.
        entity: EntityId,
        /// Where to.
        space: EntityId,
    },
    /// One life of a process.
    Process(Incarnation),
}

/// Who says it, and which of its sayings it is: never used again, the same when resent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct MessageId {
    /// A space, a service shard, or a session.
    pub sender: Id,
    /// Epoch of the sender.
    pub epoch: u32,
    /// Rises by one with each message of the sender.
    pub counter: u64,
}

/// From a gate to a game. Whom it is for, the envelope says: a client's own entity or another one, but for
/// [`ToGame::Released`].
#[derive(Clone, Debug, PartialEq)]
pub enum ToGame {
    /// A client greeted, or its entity was lost: make it a boot entity, which is the target.
    Connected {
        /// New, or the one that lost its entity.
        session: SessionId,
        /// The client's view begins behind this one.
        view: u32,
        /// Whose boot entity; empty: of the game's first module.
        module: String,
        /// As the gate saw it.
        address: String,
        /// From the greeting.
        token: String,
        /// From the greeting.
        version: String,
        /// From the greeting.
        locale: String,
    },
    /// A client calls a method of the target.
    Request {
        /// Whose client.
        session: SessionId,
        /// Rises with each request of the session.
        request: u64,
        /// All replies up to this one may be forgotten.
        acknowledged: u64,
        /// Whose small ids the client knows.
        module: Arc<str>,
        /// Small id of the method.
        method: u32,
        /// 0 = nobody waits for an answer.
        deadline_ms: u32,
        /// One CBOR array, well-formed.
        args: Bytes,
    },
    /// The client has the target's replies up to this request.
    Acknowledged {
        /// Whose client.
        session: SessionId,
        /// Last request of the prefix.
        request: u64,
    },
    /// A session that called the target is no more.
    Forget {
        /// Whose client it was.
        session: SessionId,
    },
    /// A client moved its own entity.
    Moved {
        /// Whose client.
        session: SessionId,
        /// Where to.
        pose: Pose,
        /// Up to 16 bytes.
        motion: Bytes,
    },
    /// Round trip of the client of the target, as last measured.
    RoundTrip {
        /// Whose client.
        session: SessionId,
        /// Milliseconds.
        ms: f32,
    },
    /// The target has this client no more: its connection is gone, or it has another view by now.
    Detach {
        /// Whose client.
        session: SessionId,
        /// The last view that this is about: a target that has the client by a later one keeps it.
        view: u32,
        /// 0 closed, 1 kicked, 4 timed out, as `hook.client-lost` counts.
        reason: u32,
    },
    /// To a game: the client is served by another one now.
    Released {
        /// Whose client.
        session: SessionId,
        /// The view that the other one gave it.
        view: u32,
    },
}

/// A client as it is at one time: frames for it are void in any other of its views (rule B3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Viewer {
    /// Whose client.
    pub session: SessionId,
    /// The view epoch that the frames belong to.
    pub view: u32,
}

/// From a game to a gate. Everything for one gate takes one lane, in one order.
#[derive(Clone, Debug, PartialEq)]
pub enum ToGate {
    /// What clients of a module may see and call; before the first frame that uses it.
    Schema {
        /// Whole, newest.
        schema: Arc<Schema>,
    },
    /// Frames for some clients, encoded once for all of them. Who has another view by now does
    /// not get them.
    Frames {
        /// For whom.
        viewers: SmallVec<[Viewer; 4]>,
        /// One or more encoded [`crate::client::ServerFrame`]s.
        frames: Bytes,
    },
    /// The answer to a request of a client, whatever view it has by now.
    Reply {
        /// Whose client.
        session: SessionId,
        /// One encoded [`crate::client::ServerFrame::Reply`].
        frame: Bytes,
    },
    /// A new view begins for a client: frames of older views are void. The gate tells the
    /// client ([`crate::client::ServerFrame::Resync`]); the game does not.
    View {
        /// Whose client.
        session: SessionId,
        /// The new view epoch.
        view: u32,
        /// The client's own entity from now on.
        owner: EntityId,
        /// Small id of its type.
        type_id: u32,
    },
    /// The game says nothing more to this view (rule B3): the next one may begin, if another game serves it.
    End {
        /// Whose client.
        session: SessionId,
        /// The view that is over.
        view: u32,
    },
    /// Nobody has the client: the entity that was to take it did not, and the one that gave it is gone. It
    /// gets a boot entity again.
    Orphaned {
        /// Whose client.
        session: SessionId,
        /// The view that it was to have; the next one is greater.
        view: u32,
    },
    /// Newest positions for one client; may be dropped.
    Positions {
        /// For whom.
        session: SessionId,
        /// Encoded [`crate::client::PositionDatagram`] without its sequence, which the gate sets.
        datagram: crate::client::PositionDatagram,
    },
    /// Sets or removes a filter text of a client.
    Filter {
        /// Whose client.
        session: SessionId,
        /// Key.
        key: String,
        /// None removes it.
        value: Option<String>,
    },
    /// Removes all filter texts of a client.
    ClearFilters {
        /// Whose client.
        session: SessionId,
    },
    /// Frames for all clients of a module whose filter text compares so.
    Broadcast {
        /// Clients of this module.
        module: String,
        /// Empty: all of them.
        key: String,
        /// How.
        compare: Comparison,
        /// Beside what.
        value: String,
        /// Clients whose own entity is of another type skip it.
        type_id: u32,
        /// Encoded frames.
        frames: Bytes,
    },
    /// Close a client's connection.
    Close {
        /// Whose client.
        session: SessionId,
        /// Why.
        code: crate::client::CloseCode,
        /// For people, at most 256 bytes.
        reason: String,
    },
}

/// How a filter text is compared, by bytes: `client's text <comparison> given text`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Comparison {
    /// Equal.
    Equal,
    /// Not equal; clients without the key do not match.
    NotEqual,
    /// Less.
    Less,
    /// Less or equal.
    LessOrEqual,
    /// Greater.
    Greater,
    /// Greater or equal.
    GreaterOrEqual,
}
