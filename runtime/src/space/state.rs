//! The whole state of a space, and how things get into its mailbox and out of it.
//!
//! [`Space`] is what is lent to a guest for the length of an event, so everything that an event may
//! touch is in it; the instance and the recorder are not.

use super::agenda::{Agenda, Due};
use super::charge::Charges;
use super::commit::CommitRing;
use super::config::{SpaceConfig, SpaceKind};
use super::entity::Entity;
use super::fifo::Fifo;
use super::mailbox::{Fact, Item, Mailbox};
use super::recent::Recent;
use super::running::Running;
use super::seeds::Seeds;
use super::tick::Ticks;
use super::world::World;
use crate::guest::Hook;
use crate::message::{AnswerTo, Body, Class, Input, Message, Output};
use crate::replicate::{self, Change, ReplicaInput, ReplicaOutput, Replicator};
use crate::versions::{ModuleVersion, TypeTable};
use bytes::Bytes;
use everwake_protocol::cluster::{MessageId, ToGate};
use everwake_protocol::outcome::{Outcome, code};
use everwake_protocol::{EntityId, Id, cbor};
use std::collections::BTreeMap;
use std::sync::Arc;

/// See the head of this file.
pub(super) struct Space {
    pub(super) config: SpaceConfig,
    pub(super) version: Arc<ModuleVersion>,
    /// By type index and small attribute id: whether clients see the attribute.
    pub(super) visible: Vec<Vec<bool>>,
    pub(super) world: World,
    pub(super) mailbox: Mailbox,
    pub(super) agenda: Agenda,
    pub(super) fifo: Fifo,
    /// What may leave at once: positions, log lines.
    pub(super) free: Vec<Output>,
    pub(super) replicator: Replicator,
    replica_out: Vec<ReplicaOutput>,
    /// For the replicator, since it was fed last.
    pub(super) changes: Vec<Change>,
    pub(super) running: Running,
    pub(super) ticks: Ticks,
    pub(super) commits: CommitRing,
    pub(super) recent: Recent,
    /// A replay looks at who sees whom when the recorded space did.
    pub(super) look_again: Option<bool>,
    pub(super) seeds: Seeds,
    pub(super) charges: Charges,
    pub(super) counts: Counts,
    /// Entities that the instance may hold though they are gone or changed.
    pub(super) forget: Vec<EntityId>,
    /// Names of methods of former versions by hash, for `hook.unhandled`.
    pub(super) former_names: BTreeMap<u64, String>,
    pub(super) now_ms: u64,
    /// Counts messages that left.
    pub(super) counter: u64,
    pub(super) closing: bool,
    /// The deployment is ready, as far as it knows.
    pub(super) ready: bool,
}

/// What happened beside the events, since the space began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Answers that came after their deadline, or twice.
    pub late_answers: u64,
    /// Messages that had been taken already.
    pub duplicates: u64,
    /// Inputs that were refused or left out because the mailbox was full.
    pub overloaded: u64,
    /// Timers and answers that named a method which the version lacks.
    pub unhandled: u64,
    /// Ticks that were left out because the space was behind.
    pub ticks_left_out: u64,
    /// Hidden state and disagreements that chaos found.
    pub disagreements: u64,
}

impl Space {
    pub(super) fn new(config: SpaceConfig, version: Arc<ModuleVersion>) -> Space {
        let real = (config.kind == SpaceKind::Space).then_some(config.id);
        let replicator = Replicator::new(version.clone(), real, config.intervals);
        Space {
            world: World::default(),
            mailbox: Mailbox::default(),
            agenda: Agenda::default(),
            fifo: Fifo::default(),
            free: Vec::new(),
            replicator,
            replica_out: Vec::new(),
            changes: Vec::new(),
            running: Running::default(),
            ticks: Ticks::new(&version),
            commits: CommitRing::new(config.commits_kept),
            recent: Recent::new(config.past_budget.clone()),
            look_again: None,
            seeds: Seeds::new(config.seed),
            charges: Charges::default(),
            counts: Counts::default(),
            forget: Vec::new(),
            former_names: BTreeMap::new(),
            now_ms: 0,
            counter: 0,
            closing: false,
            ready: config.ready,
            visible: visible_attributes(&version),
            version,
            config,
        }
    }

    /// True if its entities reach each other and have poses.
    pub(super) fn is_real(&self) -> bool {
        self.config.kind == SpaceKind::Space
    }

    pub(super) fn implements(&self, type_index: u32, hook: Hook) -> bool {
        let declared = self.version.manifest.types.get(type_index as usize);
        declared.is_some_and(|declared| declared.hooks & 1 << hook as u32 != 0)
    }

    /// Queues a hook, if the entity's type wants it.
    pub(super) fn tell(&mut self, entity: EntityId, hook: Hook, args: impl FnOnce(&mut Vec<u8>)) {
        let Some(target) = self.world.by_id(entity) else { return };
        if !self.implements(target.type_index, hook) {
            return;
        }
        let mut bytes = Vec::new();
        args(&mut bytes);
        self.mailbox.facts.push_back(Fact::Hook { entity, hook, args: bytes.into() });
    }

    /// Takes an input in.
    #[inline]
    pub(super) fn take_in(&mut self, input: Input) {
        self.push(input.into());
        self.replicate();
    }

    /// Puts something into the mailbox, or refuses it to its author.
    pub(super) fn push(&mut self, item: Item) {
        if self.mailbox.is_full() && item.is_refusable() {
            self.counts.overloaded += 1;
            return self.turn_away(item, code::OVERLOADED);
        }
        let slot = item.addressee().and_then(|entity| self.world.slot(entity));
        if let Some(entity) = slot.and_then(|slot| self.world.get_mut(slot)) {
            entity.queued += 1;
        }
        self.mailbox.push(slot, item);
    }

    /// Moves what is due from the agenda to the mailbox.
    pub(super) fn take_due(&mut self) {
        while let Some((_, entity, due)) = self.agenda.pop(self.now_ms) {
            if matches!(due, Due::Timer(_)) && self.sleeping(entity) {
                continue;
            }
            self.push(match due {
                Due::Timer(timer) => Item::Timer { entity, timer },
                Due::Pending(call) => Item::Expired { entity, call },
                Due::Deferred(deferred) => Item::DeferredExpired { entity, deferred },
            });
        }
    }

    /// True if the entity has no timers now, because nobody sees it.
    fn sleeping(&self, entity: EntityId) -> bool {
        self.world.by_id(entity).is_some_and(|entity| !entity.watched && self.sleeps(entity.type_index))
    }

    /// Sends a message: to the mailbox if the target is here, else out.
    pub(super) fn route(&mut self, mut message: Box<Message>) {
        if self.world.by_id(message.target).is_some_and(|target| target.local) {
            return self.push(Item::Message(message));
        }
        if message.id == MessageId::default() {
            message.id = self.next_message_id();
            if let Some(target) = self.world.by_id_mut(message.target) {
                target.outside = message.id.counter;
            }
        }
        self.fifo.push(Output::Message(message));
    }

    pub(super) fn next_message_id(&mut self) -> MessageId {
        self.counter += 1;
        MessageId { sender: self.config.sender, epoch: self.config.epoch, counter: self.counter }
    }

    /// A message of this space's, not yet numbered.
    pub(super) fn message(&self, from: Option<EntityId>, target: EntityId, body: Body) -> Box<Message> {
        Box::new(Message {
            id: MessageId::default(),
            from,
            target,
            class: Class::Volatile,
            trace: self.running.frame.trace,
            body,
        })
    }

    /// Answers a call in the name of `from`.
    pub(super) fn answer(&mut self, from: EntityId, to: AnswerTo, outcome: Outcome) {
        match to {
            AnswerTo::Nobody => {}
            AnswerTo::Entity { entity, call } => {
                let message = self.message(Some(from), entity, Body::Answer { call, outcome });
                self.route(message);
            }
            AnswerTo::Client { session, request } => {
                let outcome: Bytes = outcome.to_bytes();
                if let Some(entity) = self.world.by_id_mut(from) {
                    entity.body.marks.store_reply(session, request, &outcome);
                }
                self.changes.push(Change::Reply { session, entity: from, request, outcome });
            }
            AnswerTo::Operator { ticket } => self.fifo.push(Output::Operator { ticket, outcome }),
        }
    }

    /// Feeds the replicator, and turns what it says into outputs and facts.
    pub(super) fn replicate(&mut self) {
        if !self.changes.is_empty() {
            let changes = std::mem::take(&mut self.changes);
            self.feed(ReplicaInput::Committed { now_ms: self.now_ms, changes });
        }
    }

    pub(super) fn feed(&mut self, input: ReplicaInput) {
        let mut said = std::mem::take(&mut self.replica_out);
        self.replicator.handle(input, &mut said);
        for output in said.drain(..) {
            match output {
                ReplicaOutput::Gate(positions @ ToGate::Positions { .. }) => {
                    self.free.push(Output::Gate(positions));
                }
                ReplicaOutput::Gate(to_gate) => self.fifo.push(Output::Gate(to_gate)),
                ReplicaOutput::Fact(fact) => self.interest(fact),
            }
        }
        self.replica_out = said;
    }

    fn interest(&mut self, fact: replicate::Fact) {
        use replicate::Fact;
        let watched = |space: &mut Space, entity, watched| {
            if let Some(entity) = space.world.by_id_mut(entity) {
                entity.watched = watched;
            }
        };
        match fact {
            Fact::EnterAoi { observer, subject } => {
                self.tell(observer, Hook::EnterAoi, |args| one_id(args, subject.0));
            }
            Fact::LeaveAoi { observer, subject } => {
                self.tell(observer, Hook::LeaveAoi, |args| one_id(args, subject.0));
            }
            Fact::Watched { entity } => {
                watched(self, entity, true);
                self.tell(entity, Hook::Watched, no_args);
                self.wake_timers(entity);
            }
            Fact::Unwatched { entity } => {
                watched(self, entity, false);
                self.tell(entity, Hook::Unwatched, no_args);
            }
        }
    }

    /// Puts all that an entity waits for into the agenda.
    pub(super) fn schedule(&mut self, entity: &Entity) {
        for (timer, data) in &entity.body.timers {
            self.agenda.add(data.next_ms, entity.id, Due::Timer(*timer));
        }
        for (call, pending) in &entity.body.pending {
            self.agenda.add(pending.deadline_ms, entity.id, Due::Pending(*call));
        }
        for (deferred, data) in &entity.body.deferred {
            self.agenda.add(data.deadline_ms, entity.id, Due::Deferred(*deferred));
        }
    }

    pub(super) fn unschedule(&mut self, entity: &Entity) {
        for (timer, data) in &entity.body.timers {
            self.agenda.remove(data.next_ms, entity.id, Due::Timer(*timer));
        }
        for (call, pending) in &entity.body.pending {
            self.agenda.remove(pending.deadline_ms, entity.id, Due::Pending(*call));
        }
        for (deferred, data) in &entity.body.deferred {
            self.agenda.remove(data.deadline_ms, entity.id, Due::Deferred(*deferred));
        }
    }
}

/// By type index and small attribute id, whether clients may see the attribute.
pub(super) fn visible_attributes(version: &ModuleVersion) -> Vec<Vec<bool>> {
    let of = |table: &TypeTable| {
        let mut visible = vec![false; table.attribute_ids as usize];
        for attribute in &table.attributes {
            if let Some(seen) = visible.get_mut(attribute.id as usize) {
                *seen = attribute.flags.client || attribute.flags.all_clients;
            }
        }
        visible
    };
    version.types.iter().map(of).collect()
}

/// Whether one of an entity's attributes is visible.
pub(super) fn is_visible(visible: &[Vec<bool>], type_index: u32, attribute: u32) -> bool {
    let attributes = visible.get(type_index as usize);
    attributes.and_then(|attributes| attributes.get(attribute as usize)).copied().unwrap_or(false)
}

/// `[id]`.
pub(super) fn one_id(args: &mut Vec<u8>, id: Id) {
    cbor::array(args, 1);
    cbor::id(args, id);
}

/// `[]`.
pub(super) fn no_args(args: &mut Vec<u8>) {
    cbor::array(args, 0);
}
