//! What a space and a module instance say to each other.
//!
//! [`Guest`] is the module's side: a WASM instance, or a native model guest in tests.
//! [`Imports`] is the host's side: one method for each function of `wit/`, implemented by the
//! space's transaction. Both kinds of guest reach the host through the same trait, so they are
//! held to the same behaviour.

use bytes::Bytes;
use everwake_protocol::client::Pose;
use everwake_protocol::cluster::Comparison;
use everwake_protocol::{EntityId, Id};

/// What an event is; decides what `method` and `args` mean. `wit/logic.wit`, `event-kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
pub enum EventKind {
    /// A method call.
    Call,
    /// An answer, a bounce, a gathering or a watch.
    Resume,
    /// A timer fired.
    Timer,
    /// A fact about the entity.
    Hook,
    /// The type's tick.
    Tick,
}

/// The hooks, by number. `wit/logic.wit`, `hook`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[repr(u32)]
#[expect(missing_docs, reason = "wit/logic.wit has the table")]
pub enum Hook {
    Construct,
    Create,
    Load,
    Ready,
    EnterSpace,
    LeaveSpace,
    EnterFailed,
    MemberEnter,
    MemberLeave,
    EnterAoi,
    LeaveAoi,
    Watched,
    Unwatched,
    Client,
    ClientLost,
    GiveFailed,
    MovedGame,
    Swapped,
    Data,
    Reset,
    Unhandled,
    Destroy,
}

/// Who asked for an event. `wit/logic.wit`, `event.origin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[repr(u32)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Origin {
    Host,
    Entity,
    OwnClient,
    OtherClient,
    Operator,
}

/// One event, as the guest gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What it is.
    pub kind: EventKind,
    /// To whom.
    pub entity: EntityId,
    /// Index into the types of the guest's manifest.
    pub type_index: u32,
    /// See [`EventKind`].
    pub method: u32,
    /// Who asked.
    pub origin: Origin,
    /// See `wit/logic.wit`.
    pub revision: u32,
    /// UTC milliseconds.
    pub now_ms: u64,
    /// The event's chance.
    pub seed: [u32; 4],
    /// See [`EventKind`].
    pub args: Bytes,
}

/// Why a request, or a whole handler, failed. `wit/types.wit`, `error`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuestError {
    /// The rules of the game said no.
    #[error("refused: {0}")]
    Refused(String),
    /// No such thing.
    #[error("not found")]
    NotFound,
    /// Undecodable or out of range.
    #[error("bad arguments: {0}")]
    BadArguments(String),
    /// A named limit.
    #[error("limit reached: {0}")]
    Limit(String),
    /// Borrowed already.
    #[error("busy")]
    Busy,
    /// Makes no sense here.
    #[error("not allowed: {0}")]
    NotAllowed(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// A request that shows that guest and host disagree: the event must trap.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misuse(pub String);

/// How a handler ended, as the guest saw it.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Commit.
    Done,
    /// Roll back; the guest has forgotten what it handed out.
    Failed(GuestError),
    /// Roll back; the instance is gone.
    Trapped(Trap),
}

/// Why an instance died.
#[derive(Clone, Debug, PartialEq)]
pub struct Trap {
    /// What kind of death.
    pub kind: TrapKind,
    /// One line: panic message, or what the engine said.
    pub message: String,
    /// Frames, innermost first, as offsets into the component; symbolised elsewhere.
    pub frames: Vec<RawFrame>,
}

/// What kind of death.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum TrapKind {
    /// A panic, an unreachable, an access out of bounds, a division by zero.
    Fault,
    /// The event used up its time.
    TimedOut,
    /// Memory or table limit.
    Memory,
    /// Stack limit.
    Stack,
    /// The guest broke the contract: malformed patch, a pose that is not finite.
    Misuse,
    /// The instance could not be made.
    Instantiate,
    /// The same, because too many others live.
    NoRoom,
}

/// One frame of a trap, unsymbolised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFrame {
    /// Index of the core module inside the component.
    pub module: u32,
    /// Index of the function.
    pub function: u32,
    /// Byte offset into the core module.
    pub offset: u32,
}

/// A module instance, or a native stand-in. A cache: dropping it never changes behaviour.
///
/// The space lends its open transaction for the length of a call, by value, so that an
/// instance's store can own it meanwhile; it always comes back.
pub trait Guest: Send {
    /// Runs one event. Never called from inside of itself.
    fn handle(&mut self, event: &Event, host: Box<dyn Imports>) -> (Box<dyn Imports>, Verdict);
    /// Drops what it holds of these entities.
    fn forget(&mut self, entities: &[EntityId]) -> Result<(), Trap>;
    /// What it holds of an entity, as `entities.load` encodes it.
    fn snapshot(&mut self, entity: EntityId) -> Result<Option<Bytes>, Trap>;
    /// `wit/logic.wit`, `migrate`.
    fn migrate(
        &mut self,
        type_index: u32,
        from: u32,
        to: u32,
        state: &[u8],
    ) -> Result<Result<Bytes, GuestError>, Trap>;
    /// Bytes of linear memory in use, and how many it may have: near the limit it is recycled. 0 of 0 for
    /// native guests.
    fn memory_bytes(&self) -> (usize, usize);
}

/// Makes instances of the versions that a process has loaded.
pub trait GuestSource: Send {
    /// A fresh instance of a version.
    fn instantiate(&mut self, version: VersionHash) -> Result<Box<dyn Guest>, Trap>;

    /// Whose instances run in turns says when a turn begins and when it is over: the clock that cuts handlers
    /// need not be precise in between. Until the first turn none runs.
    fn turn(&mut self, runs: bool) {
        let _ = runs;
    }
}

/// BLAKE3 of a component.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
pub struct VersionHash(pub [u8; 32]);

impl std::fmt::Debug for VersionHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().take(6).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Display for VersionHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// `wit/types.wit`, `continuation`.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "wit/types.wit says it")]
pub struct Continuation {
    pub owner: EntityId,
    pub method: u32,
    pub deadline_ms: u32,
    pub context: Bytes,
}

/// `wit/entities.wit`, `state`.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "wit/entities.wit says it")]
pub struct LoadedState {
    pub revision: u32,
    pub type_index: u32,
    pub attributes: Bytes,
}

/// `wit/entities.wit`, `place`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[expect(missing_docs, reason = "wit/entities.wit says it")]
pub enum Place {
    Anywhere,
    Labelled(String),
    InSpace(EntityId),
}

/// `wit/calls.wit`, `part`.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "wit/calls.wit says it")]
pub struct Part {
    pub target: EntityId,
    pub type_index: u32,
    pub method: u32,
    pub args: Bytes,
}

/// `wit/ticks.wit`, `member`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "wit/ticks.wit says it")]
pub struct Member {
    pub entity: EntityId,
    pub revision: u32,
}

/// `wit/ticks.wit`, `neighbour`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "wit/ticks.wit says it")]
pub struct Neighbour {
    pub entity: EntityId,
    pub type_index: u32,
    pub pose: Pose,
}

/// `wit/clients.wit`, `info`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[expect(missing_docs, reason = "wit/clients.wit says it")]
pub struct ClientInfo {
    pub session: Id,
    pub address: String,
    pub token: String,
    pub version: String,
    pub locale: String,
    pub round_trip_ms: f32,
}

/// `wit/clients.wit`, `audience`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "wit/clients.wit says it")]
pub enum Audience {
    OwnClient,
    AllClients,
    OtherClients,
}

/// Severity of a guest's log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// One method for each function that `wit/` imports; see there for each contract.
#[expect(missing_docs, reason = "wit/ has the contract of each function")]
pub trait Imports: Send + std::any::Any {
    // entities
    fn load(&mut self, entity: EntityId) -> Option<LoadedState>;
    fn patch(&mut self, entity: EntityId, changes: &[u8]) -> Result<(), Misuse>;
    fn spawn(
        &mut self,
        type_index: u32,
        attributes: &[u8],
        at: Pose,
    ) -> Result<Result<EntityId, GuestError>, Misuse>;
    fn destroy(&mut self, entity: EntityId) -> Result<(), GuestError>;
    fn create(
        &mut self,
        type_index: u32,
        args: Bytes,
        at: Place,
        then: Continuation,
    ) -> Result<(), GuestError>;
    // calls
    fn call(&mut self, part: Part, then: Continuation) -> Result<(), GuestError>;
    fn send(&mut self, sender: EntityId, part: Part, bounce: Option<(u32, Bytes)>) -> Result<(), GuestError>;
    fn post(&mut self, sender: EntityId, part: Part) -> Result<(), GuestError>;
    fn gather(&mut self, parts: Vec<Part>, then: Continuation) -> Result<(), GuestError>;
    fn caller(&mut self) -> Option<EntityId>;
    fn answer(&mut self, value: Bytes) -> Result<(), GuestError>;
    fn refuse(&mut self, code: String, detail: Bytes) -> Result<(), GuestError>;
    fn defer(&mut self) -> Result<Id, GuestError>;
    fn reply(&mut self, owner: EntityId, deferred: Id, value: Bytes) -> Result<(), GuestError>;
    fn reply_refused(
        &mut self,
        owner: EntityId,
        deferred: Id,
        code: String,
        detail: Bytes,
    ) -> Result<(), GuestError>;
    // watches
    fn watch(
        &mut self,
        owner: EntityId,
        target: EntityId,
        method: u32,
        context: Bytes,
    ) -> Result<Id, GuestError>;
    fn unwatch(&mut self, owner: EntityId, watch: Id);
    // timers
    fn start_timer(
        &mut self,
        owner: EntityId,
        method: u32,
        context: Bytes,
        delay_ms: f64,
        repeat_ms: f64,
        volatile: bool,
    ) -> Result<Id, GuestError>;
    fn cancel_timer(&mut self, owner: EntityId, timer: Id);
    // ticks
    fn due(&mut self) -> Vec<Member>;
    fn poses(&mut self) -> Vec<f32>;
    fn neighbours(&mut self, radius: f32, type_index: Option<u32>) -> (Vec<u32>, Vec<Neighbour>);
    fn move_all(&mut self, poses: &[f32]) -> Result<(), Misuse>;
    fn working_on(&mut self, index: u32);
    // spaces
    fn current_space(&mut self) -> Option<EntityId>;
    fn enter(&mut self, entity: EntityId, space: EntityId, at: Pose) -> Result<(), GuestError>;
    fn leave(&mut self, entity: EntityId) -> Result<(), GuestError>;
    fn members(&mut self, type_index: Option<u32>) -> Vec<EntityId>;
    fn pose_of(&mut self, entity: EntityId) -> Option<Pose>;
    fn move_to(&mut self, entity: EntityId, to: Pose) -> Result<(), GuestError>;
    fn set_motion(&mut self, entity: EntityId, motion: &[u8]) -> Result<(), GuestError>;
    fn near(&mut self, center: Pose, radius: f32, type_index: Option<u32>) -> Vec<Neighbour>;
    fn set_layers(&mut self, entity: EntityId, sees: u32, seen_by: u32) -> Result<(), GuestError>;
    fn allow_client_moves(&mut self, entity: EntityId, allowed: bool) -> Result<(), GuestError>;
    // services
    fn service_by_key(&mut self, type_index: u32, key: &[u8]) -> Result<EntityId, GuestError>;
    fn service_by_number(&mut self, type_index: u32, shard: u32) -> Result<EntityId, GuestError>;
    // clients
    fn client_of(&mut self, entity: EntityId) -> Option<ClientInfo>;
    fn give(
        &mut self,
        giver: EntityId,
        taker: EntityId,
        replace: bool,
        then: Continuation,
    ) -> Result<(), GuestError>;
    fn kick(&mut self, entity: EntityId, reason: String) -> Result<(), GuestError>;
    fn call_client(
        &mut self,
        entity: EntityId,
        to: Audience,
        method: u32,
        args: Bytes,
    ) -> Result<(), GuestError>;
    fn set_filter(&mut self, entity: EntityId, key: String, value: Option<String>) -> Result<(), GuestError>;
    fn broadcast(
        &mut self,
        key: String,
        compare: Comparison,
        value: String,
        type_index: u32,
        method: u32,
        args: Bytes,
    ) -> Result<(), GuestError>;
    // key-value
    fn kv_get(&mut self, key: String, then: Continuation) -> Result<(), GuestError>;
    fn kv_put(&mut self, key: String, value: Option<Bytes>, then: Continuation) -> Result<(), GuestError>;
    fn kv_get_or_put(&mut self, key: String, value: Bytes, then: Continuation) -> Result<(), GuestError>;
    fn kv_compare_and_set(
        &mut self,
        key: String,
        expected: Option<Bytes>,
        value: Option<Bytes>,
        then: Continuation,
    ) -> Result<(), GuestError>;
    fn kv_range(
        &mut self,
        first: String,
        end: String,
        most: u32,
        then: Continuation,
    ) -> Result<(), GuestError>;
    // log
    fn log_line(&mut self, level: LogLevel, message: String);
    fn panicked(&mut self, message: String);
}
