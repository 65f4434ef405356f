//! What goes into a replicator and what comes out: values only.

use crate::guest::Audience;
use crate::versions::ModuleVersion;
use bytes::Bytes;
use everwake_protocol::attributes::Attributes;
use everwake_protocol::client::Pose;
use everwake_protocol::cluster::{Comparison, ToGate};
use everwake_protocol::{EntityId, SessionId};
use smallvec::SmallVec;
use std::sync::Arc;

/// Into a replicator.
#[derive(Clone, Debug)]
pub enum ReplicaInput {
    /// One event of the space committed; once for each event that changed or said something.
    Committed {
        /// UTC ms.
        now_ms: u64,
        /// What it changed and said. Only calls, replies, filters, broadcasts and kicks among
        /// each other, and patches of one entity among each other, must be in order.
        changes: Vec<Change>,
    },
    /// Time has come, see [`crate::replicate::Replicator::next_ms`]. Too early does no harm.
    Flush {
        /// UTC ms.
        now_ms: u64,
    },
    /// Another version runs from the next event on. Migrated attributes follow as patches.
    Swapped(Arc<ModuleVersion>),
}

/// One thing that an event did.
#[derive(Clone, Debug)]
pub enum Change {
    /// An entity came into the space: spawned, installed, or the space itself.
    Created {
        /// The entity.
        entity: EntityId,
        /// Small id of its type.
        type_id: u32,
        /// Rises with each entity that enters the space, never used again in it.
        slot: u64,
        /// Where it stands; none for the space itself and in nil.
        pose: Option<Pose>,
        /// Up to 16 bytes that travel with the pose.
        motion: Bytes,
        /// Bits that it sees, and by which it is seen.
        layers: (u32, u32),
        /// All of them, by small id.
        attributes: Attributes,
    },
    /// Attributes changed.
    Patched {
        /// The entity.
        entity: EntityId,
        /// CBOR sequence `path value ...` by small id, equal writes left out. Also attributes
        /// that no client sees: a later version may show them.
        changes: Bytes,
    },
    /// Entities moved.
    Moved {
        /// Who, and where each stands now.
        moves: SmallVec<[(EntityId, Pose); 1]>,
        /// True if the own client said so: that client need not be told.
        by_client: bool,
    },
    /// The entity's own client has moved its mirror, and may not: it must be told where the entity is.
    Misplaced {
        /// The entity.
        entity: EntityId,
    },
    /// The bytes that travel with the pose changed.
    Motion {
        /// The entity.
        entity: EntityId,
        /// Up to 16 bytes.
        motion: Bytes,
    },
    /// Who sees whom changed.
    Layers {
        /// The entity.
        entity: EntityId,
        /// Bits that it sees.
        sees: u32,
        /// Bits by which it is seen.
        seen_by: u32,
    },
    /// A client was attached. One that the entity had, and a view that the session had here,
    /// end.
    Attached {
        /// The entity.
        entity: EntityId,
        /// Whose client.
        session: SessionId,
        /// View epoch that begins.
        view: u32,
    },
    /// The session is gone from this space: closed, given away, or its entity left.
    Detached {
        /// Whose client.
        session: SessionId,
    },
    /// A client method is called.
    ClientCall {
        /// On the mirrors of this entity.
        entity: EntityId,
        /// Whose mirrors.
        audience: Audience,
        /// Small id of the client method.
        method: u32,
        /// One CBOR array.
        args: Bytes,
    },
    /// The answer to a client's request.
    Reply {
        /// Whose request.
        session: SessionId,
        /// The entity that it was for.
        entity: EntityId,
        /// Which one.
        request: u64,
        /// CBOR of an outcome.
        outcome: Bytes,
    },
    /// A client method is called on the own entities of selected clients everywhere.
    Broadcast {
        /// Of which filter text; empty: all clients of the module.
        key: String,
        /// How it is compared.
        compare: Comparison,
        /// Beside what.
        value: String,
        /// Small id of the type that the own entity must have.
        type_id: u32,
        /// Small id of the client method.
        method: u32,
        /// One CBOR array.
        args: Bytes,
    },
    /// A filter text of a client.
    Filter {
        /// Whose client.
        session: SessionId,
        /// Key.
        key: String,
        /// None removes it.
        value: Option<String>,
    },
    /// All filter texts of a client are gone.
    ClearFilters {
        /// Whose client.
        session: SessionId,
    },
    /// Close a client.
    Kick {
        /// Whose client.
        session: SessionId,
        /// For people.
        reason: String,
    },
    /// The entity is no more.
    Destroyed {
        /// The entity.
        entity: EntityId,
    },
    /// The entity goes to another space; its client goes with it.
    Left {
        /// The entity.
        entity: EntityId,
    },
}

/// Out of a replicator.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplicaOutput {
    /// To gates, in this order.
    Gate(ToGate),
    /// To the space, as an input that is recorded.
    Fact(Fact),
}

/// What the space must tell its entities. Facts of one input come sorted: by observer slot and
/// subject slot, then watching by slot. Only for types that implement the hook, or, for
/// watching, that sleep while unwatched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The subject came within the observer's radius.
    EnterAoi {
        /// Who sees.
        observer: EntityId,
        /// Who is seen.
        subject: EntityId,
    },
    /// The subject left the radius plus hysteresis, or the space.
    LeaveAoi {
        /// Who saw.
        observer: EntityId,
        /// Who was seen.
        subject: EntityId,
    },
    /// The first client sees the entity (its own client counts).
    Watched {
        /// The entity.
        entity: EntityId,
    },
    /// The last client stopped seeing it.
    Unwatched {
        /// The entity.
        entity: EntityId,
    },
}
