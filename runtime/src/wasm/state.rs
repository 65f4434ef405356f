//! What the host keeps beside an instance: the lent transaction, the event's deadline, the
//! memory limit, last words.

use std::time::Duration;

use wasmtime::{ResourceLimiter, UpdateDeadline};

use super::{cpu, limits};
use crate::arena::Arena;
use crate::guest::{Imports, Misuse};

/// What the instance is doing. Imports serve a running handler only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing, or being made.
    Idle,
    /// An event: imports are served.
    Running,
    /// `describe`, `forget`, `snapshot`, `migrate`.
    Housekeeping,
}

/// Data of an instance's store.
pub(super) struct InstanceState {
    pub(super) phase: Phase,
    /// The open transaction, for the length of a call.
    pub(super) host: Option<Box<dyn Imports>>,
    pub(super) deadline: Deadline,
    pub(super) memory: MemoryLimit,
    /// What the guest said before it trapped.
    pub(super) last_words: Option<String>,
    /// Where arguments of messages are copied to.
    pub(super) arena: Arena,
}

impl InstanceState {
    pub(super) fn new(memory_bytes_max: usize) -> Self {
        Self {
            phase: Phase::Idle,
            host: None,
            deadline: Deadline::default(),
            memory: MemoryLimit { bytes: 0, bytes_max: memory_bytes_max, denied: false },
            last_words: None,
            arena: Arena::default(),
        }
    }

    /// Takes the transaction of the running event out, or traps if there is none.
    pub(super) fn lend(&mut self) -> wasmtime::Result<Box<dyn Imports>> {
        self.host()?;
        self.host.take().ok_or_else(|| Misuse("the host was called outside of an event".into()).into())
    }

    /// The transaction of the running event, or a trap if there is none.
    pub(super) fn host(&mut self) -> wasmtime::Result<&mut dyn Imports> {
        match (self.phase, &mut self.host) {
            (Phase::Running, Some(host)) => Ok(host.as_mut()),
            _ => Err(Misuse("the host was called outside of an event".into()).into()),
        }
    }
}

/// When the current call has to end.
#[derive(Debug, Default)]
pub(super) struct Deadline {
    budget: Duration,
    /// CPU time when the budget's worth of wall time had passed for the first time.
    noted: Option<Duration>,
}

impl Deadline {
    /// Starts a call. Costs no look at a clock: that happens only once ticks have passed.
    pub(super) fn start(&mut self, budget_ms: u32) {
        self.budget = Duration::from_millis(u64::from(budget_ms));
        self.noted = None;
    }

    /// Enough ticks have passed: was it this handler that used them, or somebody else's process?
    pub(super) fn passed(&mut self) -> UpdateDeadline {
        let now = cpu::thread_time();
        let Some(noted) = self.noted else {
            self.noted = Some(now);
            return UpdateDeadline::Continue(ticks(self.budget));
        };
        match self.budget.checked_sub(now.saturating_sub(noted)) {
            None | Some(Duration::ZERO) => UpdateDeadline::Interrupt,
            Some(left) => UpdateDeadline::Continue(ticks(left)),
        }
    }
}

/// Ticks that cover a time, at least one.
pub(super) fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).div_ceil(limits::EPOCH_TICK_MS).max(1)
}

/// Bounds the linear memory of one instance, and remembers that it did.
#[derive(Debug)]
pub(super) struct MemoryLimit {
    /// In use, over all memories.
    pub(super) bytes: usize,
    bytes_max: usize,
    /// Something was denied during the current call: a trap that follows is about that.
    pub(super) denied: bool,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let bytes = self.bytes.saturating_add(desired.saturating_sub(current));
        if bytes > self.bytes_max {
            self.denied = true;
            return Ok(false);
        }
        self.bytes = bytes;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.denied = true;
        Ok(())
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = desired <= limits::TABLE_ELEMENTS_MAX;
        self.denied |= !allowed;
        Ok(allowed)
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.denied = true;
        Ok(())
    }
}
