//! The event loop of a space: one input, one event, all that follows from it, the next.
//!
//! [`SpaceCore`] is a plain state machine. Time, inputs and instances come in; outputs go out. It
//! owns the instance and lends it the [`Space`] for the length of an event.

use super::commit::{Commit, CommitVerdict, DropReason, InstanceChange, Recorder};
use super::config::SpaceConfig;
use super::deliver::Next;
use super::life::Birth;
use super::settle::Failure;
use super::state::{Counts, Space};
use super::tick::{Blame, DueTick, blame};
use crate::guest::{Event, EventKind, Guest, GuestSource, Imports, Trap, TrapKind, Verdict};
use crate::limits;
use crate::message::{Input, Output};
use crate::replicate::ReplicaInput;
use crate::versions::ModuleVersion;
use everwake_protocol::EntityId;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

/// One space, nil shard or service shard. See the head of this file.
pub struct SpaceCore {
    /// None only while it is lent.
    space: Option<Box<Space>>,
    pub(super) instance: Option<Instance>,
    pub(super) recorder: Option<Box<dyn Recorder>>,
}

/// A module instance at work.
pub(super) struct Instance {
    pub(super) guest: Box<dyn Guest>,
    /// Events that it has run.
    pub(super) events: u64,
}

/// How an event ended.
pub(super) enum End {
    Done,
    Failed(Failure),
}

impl SpaceCore {
    /// An empty space that runs a version. Its own entity comes by [`Input::Create`].
    #[must_use]
    pub fn new(config: SpaceConfig, version: Arc<ModuleVersion>) -> SpaceCore {
        SpaceCore::around(Space::new(config, version))
    }

    pub(super) fn around(space: Space) -> SpaceCore {
        SpaceCore { space: Some(Box::new(space)), instance: None, recorder: None }
    }

    /// Takes all inputs, then runs what is due and what waits, up to the configured number of
    /// events. Says how many it ran. Call it again at [`SpaceCore::next_wake_ms`].
    pub fn drain(
        &mut self,
        now_ms: u64,
        inputs: &mut VecDeque<Input>,
        guests: &mut dyn GuestSource,
        out: &mut Vec<Output>,
    ) -> usize {
        let space = self.space();
        let now_ms = space.now_ms.max(now_ms);
        space.remember(now_ms);
        space.now_ms = now_ms;
        space.recent.drains(now_ms);
        if let Some(recorder) = &mut self.recorder {
            recorder.drain(now_ms);
        }
        for input in inputs.drain(..) {
            if let Some(recorder) = &mut self.recorder {
                recorder.input(&input);
            }
            let space = self.space();
            space.recent.takes(&input);
            space.take_in(input);
        }
        self.space().take_due();
        self.flush_replica(now_ms);
        let space = self.space();
        let before = space.commits.sequence();
        let limit = space.config.events_per_drain.max(1);
        self.run_ticks(guests, out);
        for _ in 0..limit {
            if !self.step(guests) {
                break;
            }
            self.space().release(out);
        }
        self.forget();
        let space = self.space();
        space.forget_past(now_ms);
        space.release(out);
        usize::try_from(space.commits.sequence() - before).unwrap_or(usize::MAX)
    }

    /// The store has everything up to this journal sequence: what waited for it leaves.
    pub fn confirm(&mut self, sequence: u64, out: &mut Vec<Output>) {
        let space = self.space();
        space.fifo.confirm(sequence);
        space.release(out);
    }

    /// From now on reliable outputs wait until the store has confirmed this sequence.
    pub fn hold(&mut self, sequence: u64) {
        self.space().fifo.assign(sequence);
    }

    /// Everything that the space takes and does is told to `recorder` from now on. The instance is
    /// dropped, so that a record begins with a fresh one.
    pub fn record(&mut self, recorder: Option<Box<dyn Recorder>>) {
        self.drop_instance(DropReason::Idle);
        self.recorder = recorder;
    }

    /// The next events get these seeds, from a record.
    pub fn replay_seeds(&mut self, seeds: impl IntoIterator<Item = [u32; 4]>) {
        self.space().seeds.replay(seeds);
    }

    /// The next drain looks at who sees whom, or does not, as in a record.
    pub fn replay_look(&mut self, looks: bool) {
        self.space().look_again = Some(looks);
    }

    /// Drops the instance of a space that has nothing to do. The next event makes another.
    pub fn rest(&mut self) {
        self.drop_instance(DropReason::Idle);
    }

    /// The same for a space that has had nothing to do for long: what it keeps of its past goes too.
    pub fn sleep(&mut self) {
        self.rest();
        self.space().drop_past();
    }

    /// When it wants to be drained again, in UTC ms; in the past if at once.
    #[must_use]
    pub fn next_wake_ms(&self) -> Option<u64> {
        let space = self.shared();
        if !space.mailbox.is_empty() {
            return Some(space.now_ms);
        }
        [space.agenda.next_ms(), space.replicator.next_ms(), space.next_tick_ms()].into_iter().flatten().min()
    }

    /// The last records, oldest first.
    pub fn commits(&self) -> impl Iterator<Item = &Commit> {
        self.shared().commits.records()
    }

    /// What happened beside the events.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared().counts
    }

    /// The running version.
    #[must_use]
    pub fn version(&self) -> &Arc<ModuleVersion> {
        &self.shared().version
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> EntityId {
        self.shared().config.id
    }

    /// How many entities are in it, its own included.
    #[must_use]
    pub fn entities(&self) -> usize {
        self.shared().world.len()
    }

    /// How many inputs and facts wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        let mailbox = &self.shared().mailbox;
        mailbox.items().len() + mailbox.facts.len()
    }

    /// Outputs that wait for the store.
    #[must_use]
    pub fn held(&self) -> usize {
        self.shared().fifo.len()
    }

    /// Whether it holds what [`SpaceCore::sleep`] would let go of.
    #[must_use]
    pub fn is_awake(&self) -> bool {
        self.has_instance() || self.shared().keeps_past()
    }

    /// Whether an instance is in memory.
    #[must_use]
    pub fn has_instance(&self) -> bool {
        self.instance.is_some()
    }

    #[expect(clippy::expect_used, reason = "it is lent only inside of `call_guest`, which takes it back")]
    pub(super) fn space(&mut self) -> &mut Space {
        self.space.as_deref_mut().expect("the space is at home between events")
    }

    #[expect(clippy::expect_used, reason = "it is lent only inside of `call_guest`, which takes it back")]
    pub(super) fn shared(&self) -> &Space {
        self.space.as_deref().expect("the space is at home between events")
    }

    /// Lets clients know what they have to, if it is time.
    fn flush_replica(&mut self, now_ms: u64) {
        let space = self.space();
        if let Some(looks) = space.look_again.take() {
            space.replicator.set_look(looks, now_ms);
        }
        if space.replicator.next_ms().is_none_or(|due| due > now_ms) {
            return;
        }
        if space.replicator.looks(now_ms) {
            space.recent.looks();
            if let Some(recorder) = &mut self.recorder {
                recorder.look();
            }
        }
        self.space().feed(ReplicaInput::Flush { now_ms });
    }

    /// Does the next thing. False if there is none.
    fn step(&mut self, guests: &mut dyn GuestSource) -> bool {
        match self.space().next() {
            Next::Idle => return false,
            Next::Done => {}
            Next::Event => {
                self.event(guests);
            }
            Next::Create(birth) => self.give_birth(*birth, guests),
            Next::Install(traveller) => self.receive(*traveller, guests),
            Next::Swap(version) => self.swap(&version, guests),
            Next::Rehearse { ticket, version } => self.rehearse(ticket, &version, guests),
        }
        true
    }

    /// Runs the event of the prepared frame to its end.
    pub(super) fn event(&mut self, guests: &mut dyn GuestSource) -> End {
        let end = self.run(guests);
        self.disturb();
        end
    }

    fn give_birth(&mut self, birth: Birth, guests: &mut dyn GuestSource) {
        let space = self.space();
        space.running.frame = birth.frame.clone();
        if !birth.constructor {
            let seed = space.seeds.next();
            space.begin(seed);
            space.settle();
            self.tell_recorder();
            return self.space().delivered(birth);
        }
        match self.event(guests) {
            End::Done => self.space().delivered(birth),
            End::Failed(failure) => {
                let why = match &failure {
                    Failure::Failed(error) => error.to_string(),
                    Failure::Trapped(_) => "the constructor crashed".to_owned(),
                };
                self.space().stillborn(birth, &why);
            }
        }
    }

    /// Runs an event: begin, hand over, commit or roll back.
    fn run(&mut self, guests: &mut dyn GuestSource) -> End {
        let seed = self.space().seeds.next();
        let twin = self.run_twin(seed, guests);
        loop {
            let (fresh, verdict) = self.attempt(seed, guests);
            let Verdict::Trapped(trap) = &verdict else {
                if let Some(twin) = &twin {
                    self.compare_twin(twin, &verdict);
                }
                return self.end(verdict);
            };
            self.drop_instance(DropReason::Trap);
            // An innocent event must not die of an old instance's leak (rule A11).
            let leaked = matches!(trap.kind, TrapKind::Memory | TrapKind::Stack) && !fresh;
            if !leaked {
                return self.end(verdict);
            }
            let Space { running, world, .. } = self.space();
            running.roll_back(world, true);
        }
    }

    /// Hands the event over once. Also says whether the instance was fresh.
    fn attempt(&mut self, seed: [u32; 4], guests: &mut dyn GuestSource) -> (bool, Verdict) {
        let event = self.space().begin(seed);
        let version = self.shared().version.hash;
        if self.instance.is_none() {
            match guests.instantiate(version) {
                Ok(guest) => {
                    self.instance = Some(Instance { guest, events: 0 });
                    self.tell_instance(InstanceChange::Created(version));
                }
                Err(trap) => {
                    self.space().running.frame.args = event.args;
                    return (true, Verdict::Trapped(trap));
                }
            }
        }
        let Some(mut instance) = self.instance.take() else {
            return (true, Verdict::Failed(crate::guest::GuestError::Busy));
        };
        let fresh = instance.events == 0;
        instance.events += 1;
        let verdict = self.call_guest(instance.guest.as_mut(), event);
        self.instance = Some(instance);
        (fresh, verdict)
    }

    /// Lends the space to a guest for one event, whose arguments go back to the frame.
    pub(super) fn call_guest(&mut self, guest: &mut dyn Guest, event: Event) -> Verdict {
        let Some(space) = self.space.take() else {
            return Verdict::Failed(crate::guest::GuestError::Busy);
        };
        let (host, verdict) = guest.handle(&event, space as Box<dyn Imports>);
        let host: Box<dyn Any> = host;
        self.space = host.downcast::<Space>().ok();
        let running = &mut self.space().running;
        running.frame.args = event.args;
        match running.misuse.take() {
            Some(misuse) if !matches!(verdict, Verdict::Trapped(_)) => {
                Verdict::Trapped(Trap { kind: TrapKind::Misuse, message: misuse.0, frames: Vec::new() })
            }
            _ => verdict,
        }
    }

    fn end(&mut self, verdict: Verdict) -> End {
        let space = self.space();
        space.emit_log();
        let end = match verdict {
            Verdict::Done => {
                space.settle();
                End::Done
            }
            Verdict::Failed(error) => {
                let failure = Failure::Failed(error);
                space.abort(&failure);
                End::Failed(failure)
            }
            Verdict::Trapped(trap) => {
                space.charge();
                // A tick is reported once its culprit is known.
                let known =
                    space.running.frame.kind != EventKind::Tick || space.tick_culprit(trap.kind).is_some();
                if known {
                    let crash = space.crash(&trap);
                    space.fifo.push(Output::Crashed(crash));
                }
                let working_on = space.running.working_on;
                let failure = Failure::Trapped(trap);
                space.abort(&failure);
                if let Some(commit) = space.commits.newest_mut() {
                    commit.working_on = working_on;
                }
                End::Failed(failure)
            }
        };
        self.tell_recorder();
        end
    }

    /// Runs the ticks that are due, each type's once.
    fn run_ticks(&mut self, guests: &mut dyn GuestSource, out: &mut Vec<Output>) {
        for place in 0..self.shared().ticks.types.len() {
            if let Some(tick) = self.space().take_tick(place) {
                self.run_tick(&tick, guests);
                self.space().release(out);
            }
        }
    }

    fn run_tick(&mut self, tick: &DueTick, guests: &mut dyn GuestSource) {
        let mut parts: VecDeque<Vec<_>> = tick.members.chunks(tick.chunk.max(1)).map(<[_]>::to_vec).collect();
        let mut failures = 0;
        let mut timed_out = false;
        while let Some(members) = parts.pop_front() {
            if !self.space().prepare_tick(tick, &members) {
                continue;
            }
            let end = self.run(guests);
            let End::Failed(failure) = end else {
                self.space().tick_went_well();
                self.disturb();
                continue;
            };
            failures += 1;
            let kind = match &failure {
                Failure::Trapped(trap) => Some(trap.kind),
                Failure::Failed(_) => None,
            };
            timed_out |= kind == Some(TrapKind::TimedOut);
            if failures > limits::TICK_TRAPS_MAX {
                // What is left ticks the next time.
                break;
            }
            let space = self.space();
            match blame(&space.running.due, space.running.working_on, kind) {
                Blame::One { culprit, others } => {
                    space.pause_ticks(culprit);
                    if !others.is_empty() {
                        parts.push_front(others);
                    }
                }
                Blame::Split(halves) => {
                    for half in halves.into_iter().rev() {
                        parts.push_front(half);
                    }
                }
            }
        }
        let members = tick.members.len();
        if let Some(kept) = self.space().ticks.types.get_mut(tick.place) {
            kept.chunk = match (timed_out, kept.chunk) {
                (true, chunk) => (chunk.min(members) / 2).max(1),
                (false, chunk) if chunk >= members => usize::MAX,
                (false, chunk) => chunk.saturating_add(chunk / 8 + 1),
            };
        }
    }

    /// Lets go of an instance; the next event makes another.
    pub(super) fn drop_instance(&mut self, reason: DropReason) {
        if self.instance.take().is_some() {
            self.space().forget.clear();
            self.tell_instance(InstanceChange::Dropped(reason));
        }
    }

    /// Tells the instance which entities are gone.
    fn forget(&mut self) {
        let mut gone = std::mem::take(&mut self.space().forget);
        if !gone.is_empty()
            && let Some(instance) = &mut self.instance
            && instance.guest.forget(&gone).is_err()
        {
            self.drop_instance(DropReason::Trap);
        }
        gone.clear();
        self.space().forget = gone;
    }

    fn tell_instance(&mut self, change: InstanceChange) {
        self.space().recent.instance(change);
        if let Some(recorder) = &mut self.recorder {
            recorder.instance(change);
        }
    }

    /// Passes the newest record on.
    pub(super) fn tell_recorder(&mut self) {
        let Some(space) = self.space.as_deref_mut() else { return };
        let Some(commit) = space.commits.records().next_back() else { return };
        space.recent.commits(commit);
        if let Some(recorder) = &mut self.recorder {
            recorder.commit(commit);
        }
    }
}

impl Space {
    /// Opens the transaction of the prepared frame's event, and says how the guest gets it: with the frame's
    /// arguments, which are to be put back.
    pub(super) fn begin(&mut self, seed: [u32; 4]) -> Event {
        let born = self.running.frame.birth.as_deref().copied().and_then(|newborn| self.conceived(newborn));
        self.running.begin(seed);
        if let Some(slot) = born {
            self.running.frame.slot = born;
            self.running.steps.push(super::running::Step::Spawned { slot });
        }
        let frame = &mut self.running.frame;
        let entity = frame.slot.and_then(|slot| self.world.get(slot));
        Event {
            kind: frame.kind,
            entity: frame.entity,
            type_index: frame.type_index,
            method: frame.method,
            origin: frame.origin,
            revision: entity.map_or(0, |entity| entity.revision),
            now_ms: self.now_ms,
            seed,
            args: std::mem::take(&mut frame.args),
        }
    }

    /// Counts a crash against the client that caused it.
    fn charge(&mut self) {
        let frame = &self.running.frame;
        let Some(session) = frame.session else { return };
        let table = self.version.types.get(frame.type_index as usize);
        if let Some(method) = table.and_then(|table| table.methods.get(frame.method as usize)) {
            self.charges.crashed(session, method.key.name, self.now_ms);
        }
    }

    /// Moves what may leave to `out`.
    pub(super) fn release(&mut self, out: &mut Vec<Output>) {
        out.append(&mut self.free);
        self.fifo.release(out);
    }
}

impl Commit {
    /// True if the event's effects took place.
    #[must_use]
    pub fn took_place(&self) -> bool {
        self.verdict == CommitVerdict::Done
    }
}
