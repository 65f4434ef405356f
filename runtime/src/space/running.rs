//! The running event: who runs, how to take it back, what waits for its commit.
//!
//! One value per space, its buffers used again by every event.

use super::entity::{Entity, Intent, Slot, UNTOUCHED};
use super::world::World;
use crate::guest::{EventKind, LogLevel, Misuse, Origin};
use crate::message::{AnswerTo, Deferred, KeyValueOperation, Timer, Watch};
use bytes::Bytes;
use everwake_protocol::attributes::Undo;
use everwake_protocol::client::Pose;
use everwake_protocol::outcome::Outcome;
use everwake_protocol::{EntityId, Id, SessionId};

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Running {
    /// Of the running event, or of the one that is next.
    pub(super) frame: Frame,
    pub(super) seed: [u32; 4],
    /// Ids minted so far.
    pub(super) minted: u32,
    /// What was done at once, in order, and how to take it back.
    pub(super) steps: Vec<Step>,
    /// The same for moves, of which a tick may make thousands: where each stood before.
    pub(super) moved: Vec<(Slot, Pose)>,
    touched: Vec<Touched>,
    touched_count: usize,
    /// Changes by small attribute id, equal writes left out, in order.
    pub(super) deltas: Vec<(Slot, u32, u32)>,
    pub(super) delta_bytes: Vec<u8>,
    /// What leaves at commit, in call order.
    pub(super) staged: Vec<Staged>,
    /// Requests among `staged` that count as messages.
    pub(super) messages: usize,
    /// Bytes in them.
    pub(super) message_bytes: usize,
    pub(super) spawns: usize,
    pub(super) answered: Answered,
    pub(super) log: Vec<(LogLevel, String)>,
    pub(super) log_left_out: usize,
    pub(super) last_words: Option<String>,
    /// The guest broke the contract; whatever it says, the event has trapped.
    pub(super) misuse: Option<Misuse>,
    /// Entities of a tick, and the one that the guest works on.
    pub(super) due: Vec<Slot>,
    /// Whether the last tick of one of them failed.
    pub(super) due_struck: bool,
    pub(super) working_on: Option<u32>,
}

/// What an event is about, beside its arguments.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) kind: EventKind,
    pub(super) entity: EntityId,
    /// None in a tick event of a space whose own entity is not here.
    pub(super) slot: Option<Slot>,
    pub(super) type_index: u32,
    pub(super) method: u32,
    pub(super) origin: Origin,
    pub(super) caller: Option<EntityId>,
    /// Whose client asked.
    pub(super) session: Option<SessionId>,
    pub(super) answer: AnswerTo,
    pub(super) deadline_ms: u64,
    pub(super) trace: Id,
    pub(super) args: Bytes,
    /// Mark that the event's input moved.
    pub(super) mark: Option<(Id, u64)>,
    /// The entity that begins with this event.
    pub(super) birth: Option<Box<super::life::Newborn>>,
}

impl Default for Frame {
    fn default() -> Self {
        Frame {
            kind: EventKind::Hook,
            entity: EntityId::default(),
            slot: None,
            type_index: 0,
            method: 0,
            origin: Origin::Host,
            caller: None,
            session: None,
            answer: AnswerTo::Nobody,
            deadline_ms: u64::MAX,
            trace: Id::ZERO,
            args: Bytes::new(),
            mark: None,
            birth: None,
        }
    }
}

/// Whether the running call was answered by its handler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Answered {
    /// Not yet: at the end, null.
    #[default]
    Open,
    /// It is staged.
    Staged,
    /// Somebody answers later.
    Deferred,
}

/// Something that was done at once. Taken back from the last to the first.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Motion { slot: Slot, old: Bytes },
    Layers { slot: Slot, old: (u32, u32) },
    ClientMoves { slot: Slot, old: bool },
    TimerStarted { slot: Slot, timer: Id },
    TimerCancelled { slot: Slot, timer: Id, old: Box<Timer> },
    PendingAdded { slot: Slot, call: Id },
    DeferredAdded { slot: Slot, deferred: Id },
    DeferredTaken { slot: Slot, deferred: Id, old: Box<Deferred> },
    WatchAdded { slot: Slot, watch: Id },
    WatchRemoved { slot: Slot, watch: Id, old: Box<Watch> },
    Filter { slot: Slot, key: String, old: Option<String> },
    Giving { slot: Slot },
    Spawned { slot: Slot },
    Doomed { slot: Slot },
    Intent { slot: Slot, old: Option<Intent> },
}

/// Something that leaves at commit.
#[derive(Clone, Debug)]
pub(super) enum Staged {
    /// A message of an entity to another.
    Message(Box<crate::message::Message>),
    /// The answer to the running call, or to one that was taken over.
    Answer {
        to: AnswerTo,
        from: EntityId,
        outcome: Outcome,
    },
    /// Something for clients, in the form that the replicator takes.
    Clients(Box<crate::replicate::Change>),
    /// Close an entity's client.
    Kick {
        slot: Slot,
        session: SessionId,
        reason: String,
    },
    KeyValue {
        owner: EntityId,
        call: Id,
        operation: Box<KeyValueOperation>,
    },
    Create {
        owner: EntityId,
        call: Id,
        create: Box<Creation>,
    },
}

/// What `entities.create` asks for.
#[derive(Clone, Debug)]
pub(super) struct Creation {
    pub(super) entity: EntityId,
    pub(super) type_name: String,
    pub(super) args: Bytes,
    pub(super) place: crate::guest::Place,
}

#[derive(Debug, Default)]
struct Touched {
    slot: Slot,
    undo: Undo,
}

impl Default for Slot {
    fn default() -> Self {
        Slot(u32::MAX)
    }
}

impl Running {
    /// Begins the event of the frame; everything of the one before is forgotten, its memory is kept.
    pub(super) fn begin(&mut self, seed: [u32; 4]) {
        self.seed = seed;
        self.minted = 0;
        self.steps.clear();
        self.moved.clear();
        self.deltas.clear();
        self.delta_bytes.clear();
        self.staged.clear();
        self.messages = 0;
        self.message_bytes = 0;
        self.spawns = 0;
        self.answered = Answered::Open;
        self.log.clear();
        self.log_left_out = 0;
        self.last_words = None;
        self.misuse = None;
        self.working_on = None;
    }

    /// The undo log of an entity's attributes in this event, and where its changes are written.
    pub(super) fn log_of(&mut self, slot: Slot, entity: &mut Entity) -> (&mut Undo, &mut Vec<u8>) {
        let mut index = entity.touched as usize;
        if entity.touched == UNTOUCHED {
            index = self.touched_count;
            self.touched_count += 1;
            if self.touched.len() <= index {
                self.touched.push(Touched::default());
            }
            entity.touched = u32::try_from(index).unwrap_or(UNTOUCHED);
        }
        // The index was given out above; the last one stands for it if that ever fails.
        let index = index.min(self.touched.len().saturating_sub(1));
        #[expect(clippy::indexing_slicing, reason = "an entry was pushed above if there was none")]
        let touched = &mut self.touched[index];
        touched.slot = slot;
        (&mut touched.undo, &mut self.delta_bytes)
    }

    /// Small ids of the attributes that the event changed, with repetitions.
    pub(super) fn changed<'r>(&'r self, entity: &Entity) -> impl Iterator<Item = u32> + use<'r> {
        let touched = self.touched.get(entity.touched as usize);
        touched.into_iter().flat_map(|touched| touched.undo.attributes())
    }

    /// Patches stay.
    pub(super) fn keep_patches(&mut self, world: &mut World) {
        for touched in self.touched.iter_mut().take(self.touched_count) {
            touched.undo.clear();
            if let Some(entity) = world.get_mut(touched.slot) {
                entity.touched = UNTOUCHED;
            }
        }
        self.touched_count = 0;
    }

    /// Takes everything back, from the last to the first. `renew`: the entities get revisions that
    /// the instance does not know, so it loads them again.
    pub(super) fn roll_back(&mut self, world: &mut World, renew: bool) {
        for index in 0..self.touched_count {
            let Some(touched) = self.touched.get_mut(index) else { break };
            let revision = if renew { Some(world.next_revision()) } else { None };
            if let Some(entity) = world.get_mut(touched.slot) {
                entity.body.attributes.undo(&mut touched.undo);
                entity.touched = UNTOUCHED;
                if let Some(revision) = revision {
                    entity.revision = revision;
                }
            }
            touched.undo.clear();
        }
        self.touched_count = 0;
        while let Some((slot, old)) = self.moved.pop() {
            if let Some(entity) = world.get_mut(slot) {
                entity.pose = old;
            }
        }
        while let Some(step) = self.steps.pop() {
            step.take_back(world);
        }
        self.staged.clear();
        self.deltas.clear();
        self.delta_bytes.clear();
    }

    /// An id that this event and nothing else has.
    pub(super) fn mint(&mut self, space: EntityId) -> Id {
        let mut text = [0u8; 36];
        let (seed, rest) = text.split_at_mut(16);
        for (bytes, word) in seed.chunks_mut(4).zip(self.seed) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        let (name, counter) = rest.split_at_mut(16);
        name.copy_from_slice(&space.0.to_bytes());
        counter.copy_from_slice(&self.minted.to_be_bytes());
        self.minted += 1;
        let hash = blake3::hash(&text);
        hash.as_bytes().get(..16).and_then(Id::from_slice).unwrap_or_default()
    }
}

impl Step {
    fn take_back(self, world: &mut World) {
        let slot = self.slot();
        if let Step::Spawned { .. } = self {
            world.take_back(slot);
            return;
        }
        let Some(entity) = world.get_mut(slot) else { return };
        let body = &mut entity.body;
        match self {
            Step::Motion { old, .. } => body.motion = old,
            Step::Layers { old, .. } => body.layers = old,
            Step::ClientMoves { old, .. } => body.client_moves = old,
            Step::TimerStarted { timer, .. } => drop(body.timers.remove(&timer)),
            Step::TimerCancelled { timer, old, .. } => drop(body.timers.insert(timer, *old)),
            Step::PendingAdded { call, .. } => drop(body.pending.remove(&call)),
            Step::DeferredAdded { deferred, .. } => drop(body.deferred.remove(&deferred)),
            Step::DeferredTaken { deferred, old, .. } => drop(body.deferred.insert(deferred, *old)),
            Step::WatchAdded { watch, .. } => drop(body.watches.remove(&watch)),
            Step::WatchRemoved { watch, old, .. } => drop(body.watches.insert(watch, *old)),
            Step::Filter { key, old: Some(old), .. } => drop(body.filters.insert(key, old)),
            Step::Filter { key, old: None, .. } => drop(body.filters.remove(&key)),
            Step::Giving { .. } => entity.giving = false,
            Step::Spawned { .. } => {}
            Step::Doomed { .. } => entity.doomed = false,
            Step::Intent { old, .. } => {
                entity.intent = old;
                entity.intents = entity.intents.wrapping_sub(1);
            }
        }
    }

    pub(super) fn slot(&self) -> Slot {
        match self {
            Step::Motion { slot, .. }
            | Step::Layers { slot, .. }
            | Step::ClientMoves { slot, .. }
            | Step::TimerStarted { slot, .. }
            | Step::TimerCancelled { slot, .. }
            | Step::PendingAdded { slot, .. }
            | Step::DeferredAdded { slot, .. }
            | Step::DeferredTaken { slot, .. }
            | Step::WatchAdded { slot, .. }
            | Step::WatchRemoved { slot, .. }
            | Step::Filter { slot, .. }
            | Step::Giving { slot }
            | Step::Spawned { slot }
            | Step::Doomed { slot }
            | Step::Intent { slot, .. } => *slot,
        }
    }
}
