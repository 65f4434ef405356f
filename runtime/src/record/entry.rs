//! What a recording consists of. Plain data, apart from the types that spaces use.

use crate::guest::VersionHash;
use crate::message::{AnswerTo, Client, Debt, EntityBody, Input, Message, Traveller};
use crate::space::{Commit, InstanceChange, SpaceConfig, SpaceKind, SpaceSnapshot};
use crate::versions::ModuleVersion;
use bytes::Bytes;
use everwake_protocol::client::Pose;
use everwake_protocol::outcome::code;
use everwake_protocol::{EntityId, Id, SessionId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One entry of a recording.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Entry {
    /// The first one.
    Start(Box<Start>),
    /// A drain of the space begins.
    Drain {
        /// UTC ms.
        now_ms: u64,
    },
    /// The space takes an input.
    Input(Box<RecordedInput>),
    /// It is looked at who sees whom.
    Look,
    /// An event ended.
    Commit(Box<Commit>),
    /// An instance came or went.
    Instance(InstanceChange),
}

/// Where a recording begins.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Start {
    /// Name of the module.
    pub module: String,
    /// Label of the version, for people.
    pub label: String,
    /// Version that runs.
    pub version: VersionHash,
    /// Name of the space.
    pub space: EntityId,
    /// What it is.
    pub kind: SpaceKind,
    /// Epoch of the space.
    pub epoch: u32,
    /// Milliseconds between what clients are told: attributes, positions.
    pub intervals_ms: (u64, u64),
    /// Events of one drain.
    pub events_per_drain: usize,
    /// Under which its messages go.
    pub sender: Id,
    /// The deployment was ready when the space was made.
    pub ready: bool,
    /// The space; none if the recording begins with its first input.
    pub snapshot: Option<SpaceSnapshot>,
    /// It was kept when nobody recorded: the module instance had run events before.
    pub is_past: bool,
}

/// An input of a space, as data.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is one of `message::Input`, which says it")]
pub enum RecordedInput {
    Message(Message),
    Request {
        session: SessionId,
        request: u64,
        acknowledged: u64,
        target: EntityId,
        method: u32,
        deadline_ms: u64,
        args: Bytes,
    },
    Acknowledged {
        session: SessionId,
        target: EntityId,
        request: u64,
    },
    SessionClosed {
        session: SessionId,
        target: EntityId,
    },
    Moved {
        session: SessionId,
        target: EntityId,
        pose: Pose,
        motion: Bytes,
    },
    RoundTrip {
        session: SessionId,
        target: EntityId,
        ms: f32,
    },
    Create {
        entity: EntityId,
        type_name: String,
        args: Bytes,
        pose: Pose,
        answer: AnswerTo,
        client: Option<Box<Client>>,
    },
    Marker {
        entity: EntityId,
        intent: u32,
    },
    Install(Box<RecordedTraveller>),
    Swap {
        version: VersionHash,
    },
    /// Looked at, or rehearsed: it took a turn and changed nothing.
    Looked,
    Close,
    Evict {
        entity: EntityId,
    },
    Ready,
    GameDied,
}

/// An arriving entity, as data.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "they are the fields of `message::Traveller`")]
pub struct RecordedTraveller {
    pub entity: EntityId,
    pub from: Option<EntityId>,
    pub to: Option<EntityId>,
    pub pose: Pose,
    pub epoch: u32,
    pub version: VersionHash,
    pub failed: Option<String>,
    pub debts: Vec<Debt>,
    pub told: Vec<(Id, u32, u64)>,
    pub body: EntityBody,
}

impl Start {
    /// Of a space that runs a version; `snapshot` is none if nothing has happened in it yet.
    #[must_use]
    pub fn new(config: &SpaceConfig, version: &ModuleVersion, snapshot: Option<SpaceSnapshot>) -> Start {
        Start {
            module: version.manifest.name.clone(),
            label: version.manifest.label.clone(),
            version: version.hash,
            space: config.id,
            kind: config.kind,
            epoch: config.epoch,
            sender: config.sender,
            intervals_ms: (config.intervals.attributes_ms, config.intervals.positions_ms),
            events_per_drain: config.events_per_drain,
            ready: config.ready,
            snapshot,
            is_past: false,
        }
    }
}

impl RecordedInput {
    /// The same as data.
    #[must_use]
    pub fn of(input: &Input) -> RecordedInput {
        match input.clone() {
            Input::Message(message) => RecordedInput::Message(*message),
            Input::Request { session, request, acknowledged, target, method, deadline_ms, args } => {
                RecordedInput::Request { session, request, acknowledged, target, method, deadline_ms, args }
            }
            Input::Acknowledged { session, target, request } => {
                RecordedInput::Acknowledged { session, target, request }
            }
            Input::SessionClosed { session, target } => RecordedInput::SessionClosed { session, target },
            Input::Moved { session, target, pose, motion } => {
                RecordedInput::Moved { session, target, pose, motion }
            }
            Input::RoundTrip { session, target, ms } => RecordedInput::RoundTrip { session, target, ms },
            Input::Create { entity, type_name, args, pose, answer, client } => {
                RecordedInput::Create { entity, type_name, args, pose, answer, client }
            }
            Input::Marker { entity, intent } => RecordedInput::Marker { entity, intent },
            Input::Install(traveller) => RecordedInput::Install(Box::new(RecordedTraveller::of(*traveller))),
            Input::Swap(version) => RecordedInput::Swap { version: version.hash },
            Input::Rehearse { .. } | Input::Inspect { .. } => RecordedInput::Looked,
            Input::Close => RecordedInput::Close,
            Input::Ready => RecordedInput::Ready,
            Input::GameDied => RecordedInput::GameDied,
            Input::Evict { entity } => RecordedInput::Evict { entity },
        }
    }

    /// The input again; none if it is a swap to a version that `versions` does not have.
    pub fn into_input(
        self,
        versions: &dyn Fn(VersionHash) -> Option<Arc<ModuleVersion>>,
    ) -> Result<Input, VersionHash> {
        Ok(match self {
            RecordedInput::Message(message) => Input::Message(Box::new(message)),
            RecordedInput::Request { session, request, acknowledged, target, method, deadline_ms, args } => {
                Input::Request { session, request, acknowledged, target, method, deadline_ms, args }
            }
            RecordedInput::Acknowledged { session, target, request } => {
                Input::Acknowledged { session, target, request }
            }
            RecordedInput::SessionClosed { session, target } => Input::SessionClosed { session, target },
            RecordedInput::Moved { session, target, pose, motion } => {
                Input::Moved { session, target, pose, motion }
            }
            RecordedInput::RoundTrip { session, target, ms } => Input::RoundTrip { session, target, ms },
            RecordedInput::Create { entity, type_name, args, pose, answer, client } => {
                Input::Create { entity, type_name, args, pose, answer, client }
            }
            RecordedInput::Marker { entity, intent } => Input::Marker { entity, intent },
            RecordedInput::Install(traveller) => {
                let version = versions(traveller.version).ok_or(traveller.version)?;
                Input::Install(Box::new(traveller.into_traveller(version)))
            }
            RecordedInput::Swap { version } => {
                let version = versions(version).ok_or(version)?;
                Input::Swap(version)
            }
            RecordedInput::Looked => Input::Inspect { ticket: 0, entity: None },
            RecordedInput::Close => Input::Close,
            RecordedInput::Ready => Input::Ready,
            RecordedInput::GameDied => Input::GameDied,
            RecordedInput::Evict { entity } => Input::Evict { entity },
        })
    }
}

impl RecordedTraveller {
    pub(crate) fn of(traveller: Traveller) -> RecordedTraveller {
        let Traveller { entity, from, to, pose, epoch, version, failed, debts, told, body } = traveller;
        let (version, failed) = (version.hash, failed.map(str::to_owned));
        RecordedTraveller { entity, from, to, pose, epoch, version, failed, debts, told, body }
    }

    pub(crate) fn into_traveller(self, version: Arc<ModuleVersion>) -> Traveller {
        let RecordedTraveller { entity, from, to, pose, epoch, version: _, failed, debts, told, body } = self;
        let failed = failed.map(|failed| known_code(&failed));
        Traveller { entity, from, to, pose, epoch, version, failed, debts, told, body }
    }
}

/// The codes with which a traveller comes back.
fn known_code(text: &str) -> &'static str {
    const CODES: [&str; 8] = [
        code::GONE,
        code::LIMIT,
        code::OVERLOADED,
        code::VERSION_MISMATCH,
        code::NO_SUCH_METHOD,
        code::BAD_ARGUMENTS,
        code::DROPPED,
        code::NOT_EXPOSED,
    ];
    CODES.into_iter().find(|code| *code == text).unwrap_or(code::UNAVAILABLE)
}
