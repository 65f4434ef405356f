//! The record of an event: what every committed event leaves behind, failed ones too.
//!
//! The one seam that replay, twin mode, durability and tests hang on. Records are kept in a ring
//! and their buffers are used again.

use super::weight;
use crate::guest::{EventKind, Origin, TrapKind, VersionHash};
use crate::limits;
use crate::message::{Input, Message};
use crate::versions::MethodKey;
use everwake_protocol::client::Pose;
use everwake_protocol::{EntityId, Id};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// See the head of this file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    /// Rises by one with each event of the space.
    pub sequence: u64,
    /// The space.
    pub space: EntityId,
    /// The entity; the space if it was a tick.
    pub entity: EntityId,
    /// Small id of the type.
    pub type_id: u32,
    /// What the event was; none for what the host did by itself (a swap, an arrival).
    pub kind: Option<EventKind>,
    /// The method by name and signature; none for hooks and ticks.
    pub method: Option<MethodKey>,
    /// As the guest got it: index of the method, or number of the hook.
    pub method_index: u32,
    /// Who asked.
    pub origin: Origin,
    /// Version that ran.
    pub version: VersionHash,
    /// The event's chance.
    pub seed: [u32; 4],
    /// UTC ms.
    pub now_ms: u64,
    /// How it ended.
    pub verdict: CommitVerdict,
    /// What changed, in order.
    pub deltas: Vec<Delta>,
    /// The bytes of the deltas, one after the other.
    pub delta_bytes: Vec<u8>,
    /// Messages to entities, in order; those that stay in the space too.
    pub outbox: Vec<Message>,
    /// Who moved, and where to.
    pub moves: Vec<(EntityId, Pose)>,
    /// Everything else, in order.
    pub effects: Vec<Effect>,
    /// The dedupe mark that the event moved: sender or session, and where to.
    pub mark: Option<(Id, u64)>,
    /// The member that a failed tick was working on, by its place among those that were due.
    pub working_on: Option<u32>,
}

/// How an event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommitVerdict {
    /// Committed.
    Done,
    /// The handler returned an error: nothing happened but that the input was consumed.
    Failed,
    /// The same by a trap, the clock, or a limit of the instance.
    Trapped(TrapKind),
}

/// Changed attributes of one entity: a place in [`Commit::delta_bytes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// The entity.
    pub entity: EntityId,
    /// First byte.
    pub start: u32,
    /// Behind the last byte. A CBOR sequence `path value ...` by small attribute id.
    pub end: u32,
}

/// What an event did besides attributes and messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Effect {
    TimerStarted { owner: EntityId, timer: Id },
    TimerCancelled { owner: EntityId, timer: Id },
    Spawned { entity: EntityId, type_id: u32 },
    Destroyed { entity: EntityId },
    Watched { owner: EntityId, watch: Id },
    Unwatched { owner: EntityId, watch: Id },
    Waits { owner: EntityId, call: Id },
    Deferred { owner: EntityId, deferred: Id },
    Enters { entity: EntityId, space: Option<EntityId> },
    Created { entity: EntityId, type_name: String },
    Client { entity: EntityId, what: ClientEffect },
    KeyValue { owner: EntityId, call: Id },
    Migrated { entity: EntityId },
    Arrived { entity: EntityId },
}

/// What was done to an entity's client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ClientEffect {
    Called { method: u32, args: bytes::Bytes },
    Broadcast { method: u32, args: bytes::Bytes },
    Filter { key: String },
    Kicked,
    Replied { request: u64, outcome: bytes::Bytes },
    Offered { taker: EntityId },
}

/// What the life of an instance did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InstanceChange {
    /// A fresh one runs from the next event on.
    Created(VersionHash),
    /// It was dropped.
    Dropped(DropReason),
}

/// Why an instance was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum DropReason {
    Trap,
    Swap,
    Memory,
    Chaos,
    Disagreement,
    Idle,
}

/// Gets everything that a run of a space depends on, in order, and what came of it.
pub trait Recorder: Send {
    /// A drain begins.
    fn drain(&mut self, now_ms: u64);
    /// The space takes an input.
    fn input(&mut self, input: &Input);
    /// It is looked at who sees whom.
    fn look(&mut self);
    /// An event ended.
    fn commit(&mut self, commit: &Commit);
    /// An instance came or went.
    fn instance(&mut self, change: InstanceChange);
}

impl Commit {
    /// The bytes of one of its deltas.
    #[must_use]
    pub fn delta(&self, delta: &Delta) -> &[u8] {
        self.delta_bytes.get(delta.start as usize..delta.end as usize).unwrap_or_default()
    }

    pub(super) fn empty() -> Commit {
        Commit {
            sequence: 0,
            space: EntityId::default(),
            entity: EntityId::default(),
            type_id: 0,
            kind: None,
            method: None,
            method_index: 0,
            origin: Origin::Host,
            version: VersionHash::default(),
            seed: [0; 4],
            now_ms: 0,
            verdict: CommitVerdict::Done,
            deltas: Vec::new(),
            delta_bytes: Vec::new(),
            outbox: Vec::new(),
            moves: Vec::new(),
            effects: Vec::new(),
            mark: None,
            working_on: None,
        }
    }

    pub(super) fn reset(&mut self) {
        self.kind = None;
        self.method = None;
        self.verdict = CommitVerdict::Done;
        self.deltas.clear();
        self.delta_bytes.clear();
        self.outbox.clear();
        self.moves.clear();
        self.effects.clear();
        self.mark = None;
        self.working_on = None;
    }

    /// Adds a delta.
    pub(super) fn push_delta(&mut self, entity: EntityId, bytes: &[u8]) {
        let start = self.delta_bytes.len();
        self.delta_bytes.extend_from_slice(bytes);
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.deltas.push(Delta { entity, start: place(start), end: place(self.delta_bytes.len()) });
    }
}

/// A record whose buffers grew over this is not used again.
const USED_AGAIN_BYTES_MAX: usize = 512 * 1024;

/// The last records: at least `kept` within [`limits::COMMITS_KEPT_BYTES`], and all from a sequence that
/// somebody else needs.
#[derive(Debug)]
pub(super) struct CommitRing {
    /// Boxed: an event opens one, fills it and puts it back. Each with its weight when that was.
    records: VecDeque<(Box<Commit>, usize)>,
    kept: usize,
    bytes: usize,
    kept_from: u64,
    sequence: u64,
}

impl CommitRing {
    pub(super) fn new(kept: usize) -> CommitRing {
        CommitRing { records: VecDeque::new(), kept: kept.max(1), bytes: 0, kept_from: u64::MAX, sequence: 0 }
    }

    /// An empty record with old buffers and the next sequence.
    pub(super) fn open(&mut self) -> Box<Commit> {
        self.sequence += 1;
        let old = self.pop_old();
        // Many may have become free at once: they go two by two, so that no event pays for all.
        drop(self.pop_old());
        let old = old.filter(|(_, bytes)| *bytes <= USED_AGAIN_BYTES_MAX).map(|(old, _)| old);
        let mut commit = old.unwrap_or_else(|| Box::new(Commit::empty()));
        commit.reset();
        commit.sequence = self.sequence;
        commit
    }

    fn pop_old(&mut self) -> Option<(Box<Commit>, usize)> {
        let too_many = self.records.len() >= self.kept || self.bytes > limits::COMMITS_KEPT_BYTES;
        let is_old =
            too_many && self.records.front().is_some_and(|(first, _)| first.sequence < self.kept_from);
        let old = if is_old { self.records.pop_front() } else { None }?;
        self.bytes -= old.1;
        Some(old)
    }

    /// Keeps a record.
    pub(super) fn keep(&mut self, commit: Box<Commit>) {
        let bytes = weight::commit(&commit);
        self.bytes += bytes;
        self.records.push_back((commit, bytes));
    }

    /// Keeps what has this sequence and what follows, whatever the count.
    pub(super) fn keep_from(&mut self, sequence: u64) {
        self.kept_from = sequence;
    }

    /// Lets go of everything that it need not keep.
    pub(super) fn trim(&mut self) {
        while self.pop_old().is_some() {}
        self.records.shrink_to_fit();
    }

    /// Oldest first.
    pub(super) fn records(&self) -> impl DoubleEndedIterator<Item = &Commit> {
        self.records.iter().map(|(record, _)| &**record)
    }

    /// One of them by its sequence.
    pub(super) fn record(&self, sequence: u64) -> Option<&Commit> {
        let place = self.records.binary_search_by_key(&sequence, |(record, _)| record.sequence).ok()?;
        self.records.get(place).map(|(record, _)| &**record)
    }

    /// The newest one, to add to it.
    pub(super) fn newest_mut(&mut self) -> Option<&mut Commit> {
        self.records.back_mut().map(|(record, _)| &mut **record)
    }

    /// Goes on counting behind `sequence`.
    pub(super) fn resume(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }
}
