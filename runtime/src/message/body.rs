//! Everything that makes up an entity, as data: it follows the entity through spaces and recordings.

use super::{AnswerTo, Client, Marks};
use crate::versions::MethodKey;
use bytes::Bytes;
use everwake_protocol::attributes::Attributes;
use everwake_protocol::outcome::Outcome;
use everwake_protocol::{EntityId, Id, SessionId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that makes up an entity and follows it: nothing else is state. What most events touch comes
/// first, in memory too.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[repr(C)]
pub struct EntityBody {
    /// By small attribute id.
    #[serde(with = "crate::space::attributes_serde")]
    pub attributes: Attributes,
    /// Small id of its type.
    pub type_id: u32,
    /// Schema number of the attributes.
    pub schema: u32,
    /// Its client.
    pub client: Option<Client>,
    /// Filter texts of its client.
    pub filters: BTreeMap<String, String>,
    /// Timers by id.
    pub timers: BTreeMap<Id, Timer>,
    /// Calls, bounces and gatherings that wait for an answer, by call id.
    pub pending: BTreeMap<Id, Pending>,
    /// Calls that it will answer later, by deferred id.
    pub deferred: BTreeMap<Id, Deferred>,
    /// What it watches, by watch id.
    pub watches: BTreeMap<Id, Watch>,
    /// Who watches it: (owner, watch).
    pub watchers: BTreeSet<(EntityId, Id)>,
    /// What it took from whom.
    pub marks: Marks,
    /// The session that it gave away last: its requests on the way here are answered `rebound`.
    pub former: Option<SessionId>,
    /// Bits that it sees, and by which it is seen.
    pub layers: (u32, u32),
    /// Whether its client may move it.
    pub client_moves: bool,
    /// Up to 16 bytes that travel with its pose.
    pub motion: Bytes,
}

/// A timer, as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timer {
    /// Method it names.
    pub method: MethodKey,
    /// One CBOR item.
    pub context: Bytes,
    /// UTC ms of the first firing.
    pub start_ms: u64,
    /// 0 = once.
    pub repeat_ms: u64,
    /// UTC ms of the next firing.
    pub next_ms: u64,
    /// Never journaled.
    pub volatile: bool,
}

/// A call that waits for its answer, as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// Method to resume.
    pub method: MethodKey,
    /// One CBOR item.
    pub context: Bytes,
    /// UTC ms after which the outcome is unknown; `u64::MAX` for bounces.
    pub deadline_ms: u64,
    /// What is still missing of a gathering: outcomes by place. Part `i` is known to its target as
    /// this call's id plus `i + 1`; the id's last nine bits are zero.
    pub gather: Option<Vec<Option<Outcome>>>,
    /// It waits for a bounce: a good outcome ends it without a word.
    pub bounce: bool,
}

/// A call that was not answered yet, as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deferred {
    /// Who waits.
    pub answer: AnswerTo,
    /// UTC ms after which nobody does.
    pub deadline_ms: u64,
}

/// A watch, as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// Who is watched.
    pub target: EntityId,
    /// Method to resume.
    pub method: MethodKey,
    /// One CBOR item.
    pub context: Bytes,
}
