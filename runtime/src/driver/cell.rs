//! One space under a driver: its core, what waits for it, and who runs it.
//!
//! A cell is in the pool's queue or in one worker's hands or at rest, never two of these, so a
//! space is in one place at a time and its lock is never waited for.

use super::pause::{MeteredSource, PauseMeter};
use crate::game::{GameInput, SpaceSpec};
use crate::guest::{GuestSource, VersionHash};
use crate::message::{Input, Output};
use crate::space::{Chaos, SpaceConfig, SpaceCore};
use everwake_protocol::EntityId;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How spaces are made, for all of a process.
#[derive(Clone, Debug, Default)]
pub struct SpaceSettings {
    /// What to disturb on purpose.
    pub chaos: Chaos,
    /// Events of one drain; 0 = the default.
    pub events_per_drain: usize,
    /// Commit records that each space keeps; 0 = the default.
    pub commits_kept: usize,
}

impl SpaceSettings {
    /// The core of a new space.
    pub(super) fn make(&self, spec: &SpaceSpec, memory_bytes_max: usize) -> SpaceCore {
        let mut config = SpaceConfig::new(spec.id, spec.kind, spec.seed);
        config.epoch = spec.epoch;
        config.chaos = self.chaos;
        config.memory_bytes_max = memory_bytes_max;
        if self.events_per_drain > 0 {
            config.events_per_drain = self.events_per_drain;
        }
        if self.commits_kept > 0 {
            config.commits_kept = self.commits_kept;
        }
        SpaceCore::new(config, spec.version.clone())
    }
}

/// One space.
pub(super) struct Cell {
    pub(super) id: EntityId,
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
}

/// What a worker knows after a drain.
pub(super) struct Drained {
    /// For the core, in order.
    pub(super) inputs: Vec<GameInput>,
    /// It has more to do at once.
    pub(super) busy: bool,
}

impl Cell {
    pub(super) fn new(id: EntityId, core: SpaceCore) -> Self {
        Self { id, inbox: Mutex::default(), core: Mutex::new(core), meter: PauseMeter::default() }
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

    /// Runs it once.
    pub(super) fn drain(&self, now_ms: u64, source: &mut dyn GuestSource) -> Drained {
        let mut inputs = {
            let mut inbox = self.inbox();
            if inbox.dropped {
                return Drained { inputs: Vec::new(), busy: false };
            }
            std::mem::take(&mut inbox.inputs)
        };
        let taken = inputs.len();
        let mut outputs = Vec::new();
        self.meter.begin(Instant::now(), swap_in(&inputs));
        let wake_ms = {
            let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
            let mut source = MeteredSource { inner: source, meter: self.meter.clone() };
            core.drain(now_ms, &mut inputs, &mut source, &mut outputs);
            core.next_wake_ms()
        };
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

    /// A worker lets go of it. True if it has to go into the queue again, else when to wake it.
    pub(super) fn rest(&self, now_ms: u64) -> Result<Option<u64>, Requeue> {
        let wake_ms = self.core.lock().unwrap_or_else(PoisonError::into_inner).next_wake_ms();
        let mut inbox = self.inbox();
        if inbox.dropped {
            return Ok(None);
        }
        if !inbox.inputs.is_empty() || wake_ms.is_some_and(|wake_ms| wake_ms <= now_ms) {
            return Err(Requeue);
        }
        inbox.scheduled = false;
        Ok(wake_ms)
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

fn swap_in(inputs: &VecDeque<Input>) -> Option<VersionHash> {
    inputs.iter().rev().find_map(|input| match input {
        Input::Swap(order) => Some(order.version.hash),
        _ => None,
    })
}
