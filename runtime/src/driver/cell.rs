//! One space under a driver: its core, what waits for it, and who runs it.
//!
//! A cell is in the pool's queue or in one worker's hands or at rest, never two of these, so a
//! space is in one place at a time. Its lock is waited for only while its instance is being let go of.

use super::pause::{MeteredSource, PauseMeter};
use super::recording::RecordingSet;
use crate::game::{GameInput, SpaceSpec};
use crate::guest::{GuestSource, VersionHash};
use crate::message::{Input, Output};
use crate::space::{Chaos, Past, PastBudget, SpaceConfig, SpaceCore};
use everwake_protocol::EntityId;
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A space without events for so long lets go of its module instance, and of what it keeps of its past; the next
/// event makes another.
const IDLE_MS: u64 = 60_000;

/// How spaces are made, for all of a process.
#[derive(Clone, Debug, Default)]
pub struct SpaceSettings {
    /// What to disturb on purpose.
    pub chaos: Chaos,
    /// Events of one drain; 0 = the default.
    pub events_per_drain: usize,
    /// Commit records that each space keeps; 0 = the default.
    pub commits_kept: usize,
    /// What the last seconds of all spaces may weigh together.
    pub past_budget: PastBudget,
}

impl SpaceSettings {
    /// A new space.
    pub(super) fn make(&self, spec: &SpaceSpec) -> Cell {
        let mut config = SpaceConfig::new(spec.id, spec.kind, spec.seed);
        config.epoch = spec.epoch;
        config.sender = spec.sender;
        config.ready = spec.ready;
        config.chaos = self.chaos;
        config.past_budget = self.past_budget.clone();
        if self.events_per_drain > 0 {
            config.events_per_drain = self.events_per_drain;
        }
        if self.commits_kept > 0 {
            config.commits_kept = self.commits_kept;
        }
        Cell::new(config.clone(), SpaceCore::new(config, spec.version.clone()))
    }
}

/// One space.
pub(super) struct Cell {
    pub(super) id: EntityId,
    config: SpaceConfig,
    /// UTC ms when it ran an event last: who rests long lets go of its instance.
    active_ms: AtomicU64,
    inbox: Mutex<Inbox>,
    core: Mutex<SpaceCore>,
    meter: PauseMeter,
}

#[derive(Default)]
struct Inbox {
    inputs: VecDeque<Input>,
    /// In the queue, or in a worker's hands.
    scheduled: bool,
    /// The directory has forgotten it.
    dropped: bool,
    /// Begin to record as soon as nothing waits.
    recording: Option<Arc<RecordingSet>>,
}

/// What a worker knows after a drain.
pub(super) struct Drained {
    /// For the core, in order.
    pub(super) inputs: Vec<GameInput>,
    /// It has more to do at once.
    pub(super) busy: bool,
}

impl Cell {
    fn new(config: SpaceConfig, core: SpaceCore) -> Self {
        Self {
            id: config.id,
            config,
            active_ms: AtomicU64::new(0),
            inbox: Mutex::default(),
            core: Mutex::new(core),
            meter: PauseMeter::default(),
        }
    }

    /// A space that has not run yet is recorded from its first input.
    pub(super) fn record_from_start(&self, set: &RecordingSet) {
        set.begin(&self.config, &mut self.core(), true);
    }

    /// Begins to record at the next moment at which nothing waits; true if the caller has to put
    /// the cell into the queue.
    pub(super) fn record(&self, set: Arc<RecordingSet>) -> bool {
        let mut inbox = self.inbox();
        inbox.recording = Some(set);
        !inbox.dropped && !std::mem::replace(&mut inbox.scheduled, true)
    }

    /// Ends recording; waits until a running drain is over.
    pub(super) fn stop_recording(&self) {
        self.inbox().recording = None;
        self.core().record(None);
    }

    /// Its last seconds, if it has kept them. Waits until a running drain is over.
    pub(super) fn past(&self) -> (SpaceConfig, Option<Past>) {
        (self.config.clone(), self.core().past())
    }

    /// Itself and its entities, those with such ids. Waits until a running drain is over.
    pub(super) fn find(&self, ids: &RangeInclusive<EntityId>) -> Vec<EntityId> {
        let mut found = self.core().entities_within(ids);
        found.extend(Some(self.id).filter(|id| ids.contains(id)));
        found
    }

    /// Adds an input; true if the caller has to put the cell into the queue.
    pub(super) fn push(&self, input: Input) -> bool {
        let mut inbox = self.inbox();
        inbox.inputs.push_back(input);
        !std::mem::replace(&mut inbox.scheduled, true)
    }

    /// Its time has come; true if the caller has to put the cell into the queue.
    pub(super) fn wake(&self) -> bool {
        let mut inbox = self.inbox();
        !inbox.dropped && !std::mem::replace(&mut inbox.scheduled, true)
    }

    /// The directory has forgotten it: what it had not taken.
    pub(super) fn drop_inputs(&self) -> Vec<Input> {
        let mut inbox = self.inbox();
        inbox.dropped = true;
        inbox.inputs.drain(..).collect()
    }

    /// Runs it once. If that panics it is the host's fault: the space is given up, the process goes on.
    pub(super) fn drain(&self, now_ms: u64, source: &mut dyn GuestSource) -> Drained {
        let run = std::panic::AssertUnwindSafe(|| self.run(now_ms, source));
        std::panic::catch_unwind(run).unwrap_or_else(|_| {
            tracing::error!(space = %self.id, "a space broke and is given up");
            self.inbox().dropped = true;
            let closed = GameInput::Space { space: self.id, taken: 0, outputs: vec![Output::Closed] };
            Drained { inputs: vec![closed], busy: false }
        })
    }

    fn run(&self, now_ms: u64, source: &mut dyn GuestSource) -> Drained {
        let (mut inputs, recording) = {
            let mut inbox = self.inbox();
            if inbox.dropped {
                return Drained { inputs: Vec::new(), busy: false };
            }
            (std::mem::take(&mut inbox.inputs), inbox.recording.clone())
        };
        let taken = inputs.len();
        let mut outputs = Vec::new();
        self.meter.begin(Instant::now(), swap_in(&inputs));
        if let Some(version) = rehearsal_in(&inputs) {
            self.meter.rehearses(version);
        }
        let wake_ms = {
            let mut core = self.core();
            let mut source = MeteredSource { inner: source, meter: self.meter.clone() };
            let events = core.drain(now_ms, &mut inputs, &mut source, &mut outputs);
            self.look_after(&mut core, now_ms, events > 0, recording);
            core.next_wake_ms()
        };
        self.estimate(&mut outputs, source);
        if outputs.iter().any(|output| matches!(output, Output::Swapped(report) if report.failed.is_some())) {
            self.meter.cancel();
        }
        let busy = wake_ms.is_some_and(|wake_ms| wake_ms <= now_ms) || !self.inbox().inputs.is_empty();
        self.meter.end(Instant::now(), busy);
        let mut back = Vec::new();
        if taken > 0 || !outputs.is_empty() {
            back.push(GameInput::Space { space: self.id, taken, outputs });
        }
        for (version, pause) in self.meter.take() {
            let micros = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
            back.push(GameInput::Paused { space: self.id, version, micros });
        }
        Drained { inputs: back, busy }
    }

    /// Adds to a rehearsal how long the swap would take.
    fn estimate(&self, outputs: &mut [Output], source: &mut dyn GuestSource) {
        for output in outputs {
            if let Output::Rehearsed { rehearsal, .. } = output {
                let pause = self.meter.rehearsed(source);
                rehearsal.pause_micros.extend(pause.and_then(|pause| u64::try_from(pause.as_micros()).ok()));
            }
        }
    }

    /// A worker lets go of it. True if it has to go into the queue again, else when to wake it.
    pub(super) fn rest(&self, now_ms: u64) -> Result<Option<u64>, Requeue> {
        if self.inbox().dropped {
            return Ok(None);
        }
        let wake_ms = {
            let core = self.core();
            let idle = core.is_awake().then(|| self.active_ms.load(Ordering::Relaxed) + IDLE_MS);
            [core.next_wake_ms(), idle].into_iter().flatten().min()
        };
        let mut inbox = self.inbox();
        if inbox.dropped {
            return Ok(None);
        }
        let due = wake_ms.is_some_and(|wake_ms| wake_ms <= now_ms);
        // A recording that was asked for during the last drain begins with the next one.
        if !inbox.inputs.is_empty() || due || inbox.recording.is_some() {
            return Err(Requeue);
        }
        inbox.scheduled = false;
        Ok(wake_ms)
    }

    /// Between two drains: begins to record, or lets go of an instance that nobody needs.
    fn look_after(
        &self,
        core: &mut SpaceCore,
        now_ms: u64,
        active: bool,
        recording: Option<Arc<RecordingSet>>,
    ) {
        if let Some(set) = recording
            && set.begin(&self.config, core, false)
        {
            self.inbox().recording = None;
        }
        if active {
            self.active_ms.store(now_ms, Ordering::Relaxed);
        } else if core.is_awake() && now_ms >= self.active_ms.load(Ordering::Relaxed) + IDLE_MS {
            core.sleep();
        }
    }

    /// UTC ms when it ran an event last, if it has an instance and nobody runs it.
    pub(super) fn resting_since_ms(&self) -> Option<u64> {
        let core = self.core.try_lock().ok()?;
        core.has_instance().then(|| self.active_ms.load(Ordering::Relaxed))
    }

    /// False if it is being run.
    pub(super) fn let_go_of_instance(&self) -> bool {
        let Ok(mut core) = self.core.try_lock() else { return false };
        core.rest();
        true
    }

    /// The core itself, while nobody runs it.
    pub(super) fn core(&self) -> MutexGuard<'_, SpaceCore> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// It has more to do.
pub(super) struct Requeue;

fn rehearsal_in(inputs: &VecDeque<Input>) -> Option<VersionHash> {
    inputs.iter().rev().find_map(|input| match input {
        Input::Rehearse { version, .. } => Some(version.hash),
        _ => None,
    })
}

fn swap_in(inputs: &VecDeque<Input>) -> Option<VersionHash> {
    inputs.iter().rev().find_map(|input| match input {
        Input::Swap(version) => Some(version.hash),
        _ => None,
    })
}
