//! What spaces and the game core exchange: values, one enum in each direction.
//!
//! Whatever leaves a space that another space, a client or the store can notice goes through
//! the space's one output FIFO (`Output`), in commit order.

use crate::guest::{ClientInfo, Origin, TrapKind, VersionHash};
pub use crate::shards::{nil_shard, service_shard};
use crate::versions::{MethodKey, ModuleVersion};
use bytes::Bytes;
use everwake_protocol::client::Pose;
use everwake_protocol::cluster::{Incarnation, MessageId, ToGate};
use everwake_protocol::outcome::Outcome;
use everwake_protocol::{EntityId, Id, SessionId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

mod body;

mod marks;
mod weight;

pub use body::{Deferred, EntityBody, Pending, Timer, Watch};
pub use marks::{Mark, Marks, Progress};

/// Whether a message outlives processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Class {
    /// Exactly once over crashes, once there is a store.
    Durable,
    /// Exactly once while sender, target and route live.
    Volatile,
}

/// Who waits for the answer to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AnswerTo {
    /// Nobody.
    Nobody,
    /// A pending call of an entity.
    Entity {
        /// The caller.
        entity: EntityId,
        /// Its pending entry.
        call: Id,
    },
    /// A request of a client.
    Client {
        /// Whose client.
        session: SessionId,
        /// Rises with each request of the session.
        request: u64,
    },
    /// An operator at the admin API.
    Operator {
        /// Given out by the game core.
        ticket: u64,
    },
}

/// A message to an entity, wherever it lives. Goes through the directory, also inside of one game.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Identity for dedupe: sender space (or session) and counter.
    pub id: MessageId,
    /// The entity that is shown as caller; none for host and operators.
    pub from: Option<EntityId>,
    /// Whom it is for.
    pub target: EntityId,
    /// Whether it outlives processes.
    pub class: Class,
    /// Follows the cause over all processes.
    pub trace: Id,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Body {
    /// Run a method.
    Call {
        /// Which one.
        method: MethodKey,
        /// One CBOR array.
        args: Bytes,
        /// Who asks.
        origin: Origin,
        /// Who waits.
        answer: AnswerTo,
        /// UTC ms after which nobody waits; `u64::MAX` = none.
        deadline_ms: u64,
        /// Pending entry at the sender that wants to know if it cannot be delivered.
        bounce: Option<Id>,
    },
    /// The answer to a pending call (or the bounce of a send) of the target.
    Answer {
        /// The target's pending entry.
        call: Id,
        /// What came of it.
        outcome: Outcome,
    },
    /// The sender wants one [`Body::WatchFired`].
    Watch {
        /// The sender's watch.
        watch: Id,
        /// The sender.
        owner: EntityId,
    },
    /// The sender wants it no more.
    Unwatch {
        /// The sender's watch.
        watch: Id,
        /// The sender.
        owner: EntityId,
    },
    /// What the target watched happened.
    WatchFired {
        /// The target's watch.
        watch: Id,
        /// 0 destroyed, 1 client lost, 2 asleep, 3 process died.
        reason: u32,
    },
    /// Take over a client (or get the first one, from the host).
    Attach {
        /// The client.
        client: Box<Client>,
        /// View epoch that begins here.
        view: u32,
        /// A client that the target has: replace it, or refuse.
        replace: bool,
        /// A pending entry of the giver's space, answered with null or not-run; none from the host.
        answer: AnswerTo,
    },
    /// The client that the target gave stays with it: nobody took it.
    GiveFailed {
        /// Which one; ignored if the target has another by now.
        session: SessionId,
        /// Who should have taken it.
        taker: EntityId,
        /// The view that the taker was to have.
        view: u32,
        /// Why not.
        code: String,
    },
    /// Sent by a space to an entity that arrived in it. Once it is back, everything that the space
    /// sent to the entity before by way of the directory has arrived, and the short way is safe.
    Flush {
        /// Location epoch of the arrival; nobody waits for an older one.
        epoch: u32,
    },
    /// The client of the target's is gone, or was given away.
    Detach {
        /// Which one; ignored if the target has another by now.
        session: SessionId,
        /// The last view that this is about: with a later one the target keeps it.
        view: u32,
        /// As `hook.client-lost` counts.
        reason: u32,
    },
}

/// An entity's client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Client {
    /// The session.
    pub session: SessionId,
    /// Whose small ids it knows: entities of other modules cannot have it.
    pub module: String,
    /// What the guest may ask about it.
    pub info: ClientInfo,
    /// Its view epoch. Each that is given out is greater than those before.
    pub view: u32,
}

/// Into a space. All of it is recorded, in this order.
#[derive(Clone, Debug)]
pub enum Input {
    /// A message to one of its entities, or one that it must forward.
    Message(Box<Message>),
    /// A client calls a method of one of its entities by small id.
    Request {
        /// Whose client.
        session: SessionId,
        /// Rises with each request of the session.
        request: u64,
        /// Replies up to here may be forgotten.
        acknowledged: u64,
        /// Target.
        target: EntityId,
        /// Small id.
        method: u32,
        /// UTC ms; `u64::MAX` = none, nobody waits if 0.
        deadline_ms: u64,
        /// One CBOR array.
        args: Bytes,
    },
    /// The client has the replies up to this request.
    Acknowledged {
        /// Whose client.
        session: SessionId,
        /// The entity whose marks may be trimmed.
        target: EntityId,
        /// Last request of the prefix.
        request: u64,
    },
    /// A session that called an entity is no more.
    SessionClosed {
        /// Whose client it was.
        session: SessionId,
        /// The entity that may forget it.
        target: EntityId,
    },
    /// A client moved its entity; applied at an event boundary.
    Moved {
        /// Whose client.
        session: SessionId,
        /// Its entity.
        target: EntityId,
        /// Where to.
        pose: Pose,
        /// Up to 16 bytes.
        motion: Bytes,
    },
    /// Last measured round trip of an entity's client.
    RoundTrip {
        /// Whose client.
        session: SessionId,
        /// Its entity.
        target: EntityId,
        /// Milliseconds.
        ms: f32,
    },
    /// Make an entity: `hook.construct`, `hook.create`, then `hook.ready` for services.
    Create {
        /// Its id.
        entity: EntityId,
        /// Name of its type.
        type_name: String,
        /// One CBOR array for the constructor.
        args: Bytes,
        /// Where, in a space.
        pose: Pose,
        /// Who gets the id, or not-run `create-failed`.
        answer: AnswerTo,
        /// A client that it gets right after `create` (boot entities).
        client: Option<Box<Client>>,
    },
    /// Everything that was sent to the entity before its `enter` has arrived; see rule A8.
    Marker {
        /// The entity that asked to enter another space.
        entity: EntityId,
        /// Counts the entity's asks; an older one is ignored.
        intent: u32,
    },
    /// The deployment is ready; comes at most once, and not to a space that was made later.
    Ready,
    /// A game has died, or somebody came from where that was not known yet: whoever is watched may have been in it.
    GameDied,
    /// An entity in no space is to go on in another process, as if it had asked. Ignored if it is on its way already.
    Evict {
        /// Which one.
        entity: EntityId,
    },
    /// An entity arrives.
    Install(Box<Traveller>),
    /// A swap: from the next event on this version.
    Swap(Arc<ModuleVersion>),
    /// What would this swap do? Runs `migrate` on copies and looks through what is parked; changes
    /// nothing. Answered by [`Output::Rehearsed`].
    Rehearse {
        /// Given back.
        ticket: u64,
        /// The version that may come.
        version: Arc<ModuleVersion>,
    },
    /// Somebody at the admin API wants to see the space; answered by [`Output::Inspected`].
    Inspect {
        /// Given back.
        ticket: u64,
        /// One entity, or none for the space's summary and members.
        entity: Option<EntityId>,
    },
    /// All entities are destroyed in order, then the space.
    Close,
}

impl Message {
    /// Whether its author can be told no if too much waits.
    #[must_use]
    pub fn is_refusable(&self) -> bool {
        matches!(self.body, Body::Call { .. })
    }
}

// They lie in queues by the thousand and are moved from one to the next: what is large is boxed.
const _: () = assert!(size_of::<Input>() <= 144 && size_of::<Output>() <= 144);

impl Input {
    /// Whether it may be left out, or refused to its author, if too much waits. What others wait
    /// for (answers, moves, swaps, attachments) never is; its number is bounded by what was let in
    /// before.
    #[must_use]
    pub fn is_refusable(&self) -> bool {
        match self {
            Input::Message(message) => message.is_refusable(),
            Input::Request { .. }
            | Input::Acknowledged { .. }
            | Input::Moved { .. }
            | Input::RoundTrip { .. }
            | Input::Inspect { .. } => true,
            _ => false,
        }
    }
}

/// Out of a space.
#[derive(Clone, Debug)]
pub enum Output {
    /// To the entity's place in the directory.
    Message(Box<Message>),
    /// It came for an entity that is not in the space any more, or never was.
    NotHere(Box<Message>),
    /// To the gate of the session that it names (or to all gates).
    Gate(ToGate),
    /// An answer for the admin API.
    Operator {
        /// The ticket of the call.
        ticket: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// One operation on the module's key-value map.
    KeyValue {
        /// Who gets the answer.
        owner: EntityId,
        /// The owner's pending entry.
        call: Id,
        /// What to do.
        operation: KeyValueOperation,
    },
    /// `entities.create`: place and make it.
    Create {
        /// Minted by the asker.
        entity: EntityId,
        /// Name of its type.
        type_name: String,
        /// For the constructor.
        args: Bytes,
        /// Where.
        place: crate::guest::Place,
        /// The asker's pending entry.
        answer: AnswerTo,
    },
    /// The entity is here: the directory learns it before any later output.
    Registered {
        /// The entity.
        entity: EntityId,
        /// Its type's small id.
        type_id: u32,
        /// Location epoch, higher wins.
        epoch: u32,
    },
    /// The entity is destroyed; messages to it answer `gone` from now on.
    Unregistered {
        /// The entity.
        entity: EntityId,
        /// Location epoch.
        epoch: u32,
    },
    /// An entity wants to enter a space (none: nil): block it in the directory, send the marker.
    EnterAsked {
        /// The entity.
        entity: EntityId,
        /// Where to.
        space: Option<EntityId>,
        /// For the marker.
        intent: u32,
    },
    /// The entity has left; install it, or give it back with `enter-failed`.
    Departed(Box<Traveller>),
    /// An arrived entity was refused: send it back to where it came from.
    Refused(Box<Traveller>, &'static str),
    /// The session's client is on its way to another entity: until that has taken it, or did not,
    /// the client does not end with its own entity.
    ClientOffered {
        /// The session.
        session: SessionId,
        /// Who is to take it.
        taker: EntityId,
    },
    /// An entity did not take a client: it stays where it is, or starts over if that is gone.
    ClientRefused {
        /// The client.
        client: Box<Client>,
        /// Who should have taken it.
        taker: EntityId,
        /// Who waits for the outcome.
        answer: AnswerTo,
        /// Why not.
        code: &'static str,
    },
    /// The session's own entity is this one now (the game core routes by it).
    ClientBound {
        /// The session.
        session: SessionId,
        /// Its entity.
        entity: EntityId,
    },
    /// A swap took place, or did not.
    Swapped(SwapReport),
    /// For [`Input::Rehearse`].
    Rehearsed {
        /// The ticket.
        ticket: u64,
        /// What was found.
        rehearsal: Box<Rehearsal>,
    },
    /// A handler failed badly; for the crash book.
    Crashed(Box<Crash>),
    /// Something that waited named a method that the version lacks.
    Unhandled {
        /// The version.
        version: VersionHash,
        /// The method's former name.
        method: String,
    },
    /// A guest's log line; at once, also if its event is rolled back.
    Log(Box<LogLine>),
    /// For [`Input::Inspect`].
    Inspected {
        /// The ticket.
        ticket: u64,
        /// What was found, in plain data for people.
        view: serde_json::Value,
    },
    /// The space is gone.
    Closed,
}

/// One operation on the module's key-value map. See `wit/key-value.wit`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "wit/key-value.wit says it")]
pub enum KeyValueOperation {
    Get { key: String },
    Put { key: String, value: Option<Bytes> },
    GetOrPut { key: String, value: Bytes },
    CompareAndSet { key: String, expected: Option<Bytes>, value: Option<Bytes> },
    Range { first: String, end: String, most: u32 },
}

/// A whole entity on its way from one space to another.
#[derive(Clone, Debug)]
pub struct Traveller {
    /// The entity.
    pub entity: EntityId,
    /// Where it was; none for nil.
    pub from: Option<EntityId>,
    /// Where it goes; none for nil.
    pub to: Option<EntityId>,
    /// Where in the space.
    pub pose: Pose,
    /// Location epoch under which it is installed.
    pub epoch: u32,
    /// The version of the space that it left: what its attributes are called.
    pub version: Arc<ModuleVersion>,
    /// Set if it comes back: `hook.enter-failed` with this code instead of `enter-space`.
    pub failed: Option<&'static str>,
    /// What it has said and nobody has acknowledged.
    pub debts: Vec<Debt>,
    /// Up to where gates have told of its clients: sender, epoch, counter. Spaces do not count that.
    pub told: Vec<(Id, u32, u64)>,
    /// Everything that makes it up.
    pub body: EntityBody,
}

/// Something that somebody said before he moved, and that his target has not acknowledged: what he says to that
/// target elsewhere must not overtake it (rule C10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Debt {
    /// The game that keeps it.
    pub life: Incarnation,
    /// Under which sender it was said.
    pub sender: Id,
    /// To whom.
    pub target: EntityId,
    /// The last counter.
    pub counter: u64,
}

/// How a swap went in one space.
#[derive(Clone, Debug)]
pub struct SwapReport {
    /// The version before.
    pub from: VersionHash,
    /// The version that was ordered.
    pub to: VersionHash,
    /// Why it did not take place: the old version goes on.
    pub failed: Option<String>,
    /// Entities in the space.
    pub entities: usize,
    /// How many went through `migrate`.
    pub migrated: usize,
}

/// What a swap would do to one space.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// Entities in the space.
    pub entities: usize,
    /// How many of them `migrate` would have to change.
    pub migrated: usize,
    /// How many `migrate` failed on.
    pub failed: usize,
    /// The first few failures, for people.
    pub failures: Vec<String>,
    /// True if `migrate` down again gave back what was there before, for each of them (and if
    /// nothing had to migrate).
    pub reversible: bool,
    /// What waits for a method that the new version does not have.
    pub parked: Vec<Parked>,
    /// How long each space would pause, in microseconds, where a driver has measured it.
    pub pause_micros: Vec<u64>,
}

/// Work in flight that names a method which a version lacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parked {
    /// Name of the entity's type.
    pub type_name: String,
    /// Name of the method in the running version.
    pub method: String,
    /// `timer`, `answer`, `watch` or `mailbox`.
    pub kind: Cow<'static, str>,
    /// How many.
    pub count: usize,
}

/// One line of a guest's, with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// Severity.
    pub level: crate::guest::LogLevel,
    /// What the guest says.
    pub message: String,
    /// Name of the module.
    pub module: String,
    /// Version that ran.
    pub version: VersionHash,
    /// `Type::method` or `Type hook create`.
    pub handler: String,
    /// The entity of the event.
    pub entity: EntityId,
    /// Its space.
    pub space: EntityId,
}

/// A handler that trapped or was cut, with what is known about it.
#[derive(Clone, Debug)]
pub struct Crash {
    /// UTC ms.
    pub at_ms: u64,
    /// Module and version.
    pub module: String,
    /// Author's label.
    pub label: String,
    /// Version that ran.
    pub version: VersionHash,
    /// `Type::method` or `Type hook create`.
    pub handler: String,
    /// The entity; the culprit if it was a tick.
    pub entity: EntityId,
    /// Its space.
    pub space: EntityId,
    /// Who asked.
    pub origin: Origin,
    /// The caller, if there is one.
    pub caller: Option<EntityId>,
    /// Whose client asked, if one did: it is charged for it.
    pub session: Option<SessionId>,
    /// Arguments in CBOR diagnostic notation, secrets masked, cut at 2 KiB.
    pub args: String,
    /// Kind of death.
    pub kind: TrapKind,
    /// Panic message or what the engine said.
    pub message: String,
    /// For symbolising.
    pub frames: Vec<crate::guest::RawFrame>,
    /// The event's log lines.
    pub log: Vec<String>,
    /// Patch so far, in diagnostic notation, cut at 2 KiB.
    pub patch: String,
}
