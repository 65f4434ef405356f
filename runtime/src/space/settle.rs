//! How an event ends: its effects take place in one order, or none does.
//!
//! The order (rule A5): attributes, timers, poses and the rest that was noted, messages and calls
//! in call order, then enters and destructions. Whatever ends, a record of it stays.

use super::agenda::Due;
use super::commit::{ClientEffect, Commit, CommitVerdict, Effect};
use super::entity::Slot;
use super::mailbox::Fact;
use super::running::{Answered, Frame, Staged, Step};
use super::state::{Space, is_visible, no_args, one_id};
use crate::guest::{EventKind, GuestError, Hook, Trap, TrapKind};
use crate::limits;
use crate::message::{AnswerTo, Body, Message, Output};
use crate::replicate::Change;
use everwake_protocol::client::Pose;
use everwake_protocol::outcome::{Outcome, code};
use everwake_protocol::{EntityId, SessionId};
use smallvec::SmallVec;

impl Space {
    /// Commits the running event.
    pub(super) fn settle(&mut self) {
        let mut commit = self.open_commit(CommitVerdict::Done);
        self.settle_patches(&mut commit);
        self.settle_moves(&mut commit);
        let steps = std::mem::take(&mut self.running.steps);
        for step in &steps {
            self.settle_step(step, &mut commit);
        }
        let mut staged = std::mem::take(&mut self.running.staged);
        let mut kicked: Vec<(EntityId, SessionId)> = Vec::new();
        for staged in staged.drain(..) {
            self.settle_staged(staged, &mut commit, &mut kicked);
        }
        self.running.staged = staged;
        let to = self.running.frame.answer;
        let unanswered =
            self.running.frame.kind == EventKind::Call && self.running.answered == Answered::Open;
        if unanswered && to != AnswerTo::Nobody {
            self.settle_answer(self.running.frame.entity, to, Outcome::null(), &mut commit);
        }
        self.replicate();
        for (entity, session) in kicked {
            self.detach(entity, session, 1);
        }
        self.settle_departures(&steps, &mut commit);
        self.running.steps = steps;
        self.commits.keep(commit);
    }

    /// Takes the running event back and tells whoever waits for it.
    pub(super) fn abort(&mut self, failure: &Failure) {
        let Space { running, world, .. } = self;
        running.roll_back(world, true);
        let verdict = match failure {
            Failure::Failed(_) => CommitVerdict::Failed,
            Failure::Trapped(trap) => CommitVerdict::Trapped(trap.kind),
        };
        let mut commit = self.open_commit(verdict);
        if self.running.frame.kind == EventKind::Call {
            let (from, to) = (self.running.frame.entity, self.running.frame.answer);
            self.settle_answer(from, to, failure.outcome(), &mut commit);
        }
        self.replicate();
        self.commits.keep(commit);
    }

    /// A record with the head of the running event.
    pub(super) fn open_commit(&mut self, verdict: CommitVerdict) -> Box<Commit> {
        let mut commit = self.commits.open();
        let frame = &self.running.frame;
        commit.space = self.config.id;
        commit.entity = frame.entity;
        commit.kind = Some(frame.kind);
        commit.method_index = frame.method;
        if let Some(table) = self.version.types.get(frame.type_index as usize) {
            commit.type_id = table.id;
            if !matches!(frame.kind, EventKind::Hook | EventKind::Tick) {
                commit.method = table.methods.get(frame.method as usize).map(|method| method.key);
            }
        }
        commit.origin = frame.origin;
        commit.version = self.version.hash;
        commit.seed = self.running.seed;
        commit.now_ms = self.now_ms;
        commit.verdict = verdict;
        commit.mark = frame.mark;
        commit
    }

    /// A record of something that the host does by itself.
    pub(super) fn open_own_commit(&mut self, entity: EntityId) -> Box<Commit> {
        let seed = self.seeds.next();
        self.running.frame = Frame { entity, ..Frame::default() };
        self.begin(seed);
        let mut commit = self.open_commit(CommitVerdict::Done);
        commit.kind = None;
        commit
    }

    fn settle_patches(&mut self, commit: &mut Commit) {
        let Space { running, world, visible, changes, .. } = self;
        for (slot, start, end) in &running.deltas {
            let Some(entity) = world.get(*slot) else { continue };
            let Some(bytes) = running.delta_bytes.get(*start as usize..*end as usize) else { continue };
            commit.push_delta(entity.id, bytes);
            // Clients learn of a new entity as it is in the end.
            if entity.unborn {
                continue;
            }
            let mut changed = running.changed(entity);
            if changed.any(|attribute| is_visible(visible, entity.type_index, attribute)) {
                let changes_bytes = bytes::Bytes::copy_from_slice(bytes);
                changes.push(Change::Patched { entity: entity.id, changes: changes_bytes });
            }
        }
        running.keep_patches(world);
    }

    fn settle_moves(&mut self, commit: &mut Commit) {
        let mut moves = SmallVec::with_capacity(self.running.moved.len());
        commit.moves.reserve(self.running.moved.len());
        for entity in self.running.moved.iter().filter_map(|(slot, _)| self.world.get(*slot)) {
            commit.moves.push((entity.id, entity.pose));
            // Where a new entity stands is told with its beginning.
            if !entity.unborn {
                moves.push((entity.id, entity.pose));
            }
        }
        if !moves.is_empty() {
            self.changes.push(Change::Moved { moves, by_client: false });
        }
    }

    /// Who the running event has moved, and where each stands now.
    pub(super) fn moves(&self) -> impl Iterator<Item = (EntityId, Pose)> {
        let moved = self.running.moved.iter().filter_map(|(slot, _)| self.world.get(*slot));
        moved.map(|entity| (entity.id, entity.pose))
    }

    fn settle_step(&mut self, step: &Step, commit: &mut Commit) {
        let slot = step.slot();
        let Some(entity) = self.world.get_mut(slot) else { return };
        let id = entity.id;
        match step {
            Step::Motion { .. } => {
                let motion = entity.body.motion.clone();
                self.changes.push(Change::Motion { entity: id, motion });
            }
            Step::Layers { .. } => {
                let (sees, seen_by) = entity.body.layers;
                self.changes.push(Change::Layers { entity: id, sees, seen_by });
            }
            Step::TimerStarted { timer, .. } => {
                if let Some(data) = entity.body.timers.get(timer) {
                    self.agenda.add(data.next_ms, id, Due::Timer(*timer));
                }
                commit.effects.push(Effect::TimerStarted { owner: id, timer: *timer });
            }
            Step::TimerCancelled { timer, old, .. } => {
                self.agenda.remove(old.next_ms, id, Due::Timer(*timer));
                commit.effects.push(Effect::TimerCancelled { owner: id, timer: *timer });
            }
            Step::PendingAdded { call, .. } => {
                if let Some(pending) = entity.body.pending.get(call) {
                    self.agenda.add(pending.deadline_ms, id, Due::Pending(*call));
                }
                commit.effects.push(Effect::Waits { owner: id, call: *call });
            }
            Step::DeferredAdded { deferred, .. } => {
                if let Some(data) = entity.body.deferred.get(deferred) {
                    self.agenda.add(data.deadline_ms, id, Due::Deferred(*deferred));
                }
                commit.effects.push(Effect::Deferred { owner: id, deferred: *deferred });
            }
            Step::DeferredTaken { deferred, old, .. } => {
                self.agenda.remove(old.deadline_ms, id, Due::Deferred(*deferred));
            }
            Step::WatchAdded { watch, .. } => {
                commit.effects.push(Effect::Watched { owner: id, watch: *watch });
            }
            Step::WatchRemoved { watch, .. } => {
                commit.effects.push(Effect::Unwatched { owner: id, watch: *watch });
            }
            Step::Spawned { .. } => {
                let type_id = entity.body.type_id;
                commit.effects.push(Effect::Spawned { entity: id, type_id });
                self.born(slot);
            }
            Step::ClientMoves { .. }
            | Step::Filter { .. }
            | Step::Giving { .. }
            | Step::Doomed { .. }
            | Step::Intent { .. } => {}
        }
    }

    /// An entity begins to exist: the directory and the clients learn it, its hooks are queued.
    fn born(&mut self, slot: Slot) {
        let Some(entity) = self.world.get_mut(slot) else { return };
        entity.unborn = false;
        let (id, type_id, epoch) = (entity.id, entity.body.type_id, entity.epoch);
        self.fifo.push(Output::Registered { entity: id, type_id, epoch });
        self.show(slot);
        self.tell(id, Hook::Create, no_args);
        self.entered(id);
    }

    /// The hooks of a new member.
    pub(super) fn entered(&mut self, id: EntityId) {
        let space = self.config.id;
        if self.is_real() && id != space {
            self.tell(space, Hook::MemberEnter, |args| one_id(args, id.0));
            self.tell(id, Hook::EnterSpace, |args| one_id(args, space.0));
        }
    }

    /// Tells the replicator of an entity that is new here.
    pub(super) fn show(&mut self, slot: Slot) {
        let Some(entity) = self.world.get(slot) else { return };
        let placed = self.is_real() && entity.id != self.config.id;
        self.changes.push(Change::Created {
            entity: entity.id,
            type_id: entity.body.type_id,
            slot: entity.order,
            pose: placed.then_some(entity.pose),
            motion: entity.body.motion.clone(),
            layers: entity.body.layers,
            attributes: entity.body.attributes.clone(),
        });
    }

    fn settle_staged(
        &mut self,
        staged: Staged,
        commit: &mut Commit,
        kicked: &mut Vec<(EntityId, SessionId)>,
    ) {
        match staged {
            Staged::Message(message) => {
                if let (Body::Attach { client, .. }, Some(from)) = (&message.body, message.from) {
                    let (session, taker) = (client.session, message.target);
                    let what = ClientEffect::Offered { taker };
                    commit.effects.push(Effect::Client { entity: from, what });
                    self.fifo.push(Output::ClientOffered { session, taker });
                }
                commit.outbox.push(Message::clone(&message));
                self.route(message);
            }
            Staged::Answer { to, from, outcome } => self.settle_answer(from, to, outcome, commit),
            Staged::Clients(change) => {
                record_change(&change, commit);
                self.changes.push(*change);
            }
            Staged::Kick { slot, session, reason } => {
                let Some(entity) = self.world.get(slot) else { return };
                let id = entity.id;
                commit.effects.push(Effect::Client { entity: id, what: ClientEffect::Kicked });
                self.changes.push(Change::Kick { session, reason });
                kicked.push((id, session));
            }
            Staged::KeyValue { owner, call, operation } => {
                commit.effects.push(Effect::KeyValue { owner, call });
                self.fifo.push(Output::KeyValue { owner, call, operation: *operation });
            }
            Staged::Create { owner, call, create } => {
                let (entity, type_name) = (create.entity, create.type_name);
                commit.effects.push(Effect::Created { entity, type_name: type_name.clone() });
                let answer = AnswerTo::Entity { entity: owner, call };
                let (args, place) = (create.args, create.place);
                self.fifo.push(Output::Create { entity, type_name, args, place, answer });
            }
        }
    }

    fn settle_answer(&mut self, from: EntityId, to: AnswerTo, outcome: Outcome, commit: &mut Commit) {
        match to {
            AnswerTo::Nobody => return,
            AnswerTo::Entity { entity, call } => {
                let body = Body::Answer { call, outcome: outcome.clone() };
                commit.outbox.push(*self.message(Some(from), entity, body));
            }
            AnswerTo::Client { request, .. } => {
                let outcome = outcome.to_bytes();
                let what = ClientEffect::Replied { request, outcome };
                commit.effects.push(Effect::Client { entity: from, what });
            }
            AnswerTo::Operator { .. } => {}
        }
        self.answer(from, to, outcome);
    }

    fn settle_departures(&mut self, steps: &[Step], commit: &mut Commit) {
        for step in steps {
            match step {
                Step::Intent { slot, .. } => self.ask_to_enter(*slot, commit),
                Step::Doomed { slot } => {
                    if let Some(entity) = self.world.get_mut(*slot) {
                        entity.doomed = false;
                        let entity = entity.id;
                        commit.effects.push(Effect::Destroyed { entity });
                        self.begin_destruction(*slot);
                    }
                }
                _ => {}
            }
        }
    }

    fn ask_to_enter(&mut self, slot: Slot, commit: &mut Commit) {
        let Some(entity) = self.world.get(slot) else { return };
        let Some(intent) = entity.intent else { return };
        if entity.doomed || entity.dying {
            return;
        }
        let (id, space) = (entity.id, intent.to);
        let effect = Effect::Enters { entity: id, space };
        // Several asks of one event are one intent: the last.
        if commit.effects.contains(&effect) {
            return;
        }
        commit.effects.push(effect);
        self.fifo.push(Output::EnterAsked { entity: id, space, intent: intent.number });
    }

    /// Marks an entity for its last hooks; a space's members go first.
    pub(super) fn begin_destruction(&mut self, slot: Slot) {
        let Some(entity) = self.world.get(slot) else { return };
        let id = entity.id;
        if id == self.config.id && self.is_real() {
            self.closing = true;
            let members: Vec<Slot> =
                self.world.iter().filter(|(_, member)| member.id != id).map(|(slot, _)| slot).collect();
            for member in members {
                self.begin_destruction(member);
            }
        }
        let Some(entity) = self.world.get_mut(slot) else { return };
        if std::mem::replace(&mut entity.dying, true) {
            return;
        }
        entity.intent = None;
        let left_already = entity.leaving;
        let space = self.config.id;
        if self.is_real() && id != space && !left_already {
            self.tell(space, Hook::MemberLeave, |args| one_id(args, id.0));
            self.tell(id, Hook::LeaveSpace, |args| one_id(args, space.0));
        }
        self.tell(id, Hook::Destroy, no_args);
        self.mailbox.facts.push_back(Fact::Gone { entity: id });
    }
}

fn record_change(change: &Change, commit: &mut Commit) {
    let (entity, what) = match change {
        Change::ClientCall { entity, method, args, .. } => {
            (*entity, ClientEffect::Called { method: *method, args: args.clone() })
        }
        Change::Broadcast { method, args, .. } => {
            (commit.entity, ClientEffect::Broadcast { method: *method, args: args.clone() })
        }
        Change::Filter { key, .. } => (commit.entity, ClientEffect::Filter { key: key.clone() }),
        _ => return,
    };
    commit.effects.push(Effect::Client { entity, what });
}

/// Why nothing of an event happened.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    Failed(GuestError),
    Trapped(Trap),
}

impl Failure {
    /// What a caller learns of it.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Failure::Failed(error) => {
                let code = match error {
                    GuestError::BadArguments(_) => code::BAD_ARGUMENTS,
                    GuestError::Limit(_) => code::LIMIT,
                    _ => code::FAILED,
                };
                let text = crate::versions::value::cut(error.to_string(), limits::ERROR_TEXT_BYTES_MAX);
                Outcome::not_run(code).with_text(&text)
            }
            Failure::Trapped(trap) => Outcome::not_run(match trap.kind {
                TrapKind::TimedOut => code::TIMED_OUT,
                TrapKind::Instantiate | TrapKind::NoRoom => code::UNAVAILABLE,
                _ => code::TRAPPED,
            }),
        }
    }
}
