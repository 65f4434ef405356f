//! How long a space stands still for a swap, as the events themselves see it.
//!
//! From the end of the last event on the old version to the end of the first one on the new, the
//! making of the new instance included. Time in which a space had nothing to do is no pause.
//!
//! Looks at no clock while no swap is under way: then the end of a drain stands for the end of its
//! last event.

use crate::guest::{Event, Guest, GuestError, GuestSource, Imports, Trap, Verdict, VersionHash};
use bytes::Bytes;
use everwake_protocol::EntityId;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The stop watch of one space. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct PauseMeter(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// A swap is under way: events are timed.
    timed: AtomicBool,
    /// A rehearsal is under way: `migrate` is timed.
    rehearses: AtomicBool,
    meter: Mutex<Meter>,
}

#[derive(Debug, Default)]
struct Meter {
    /// End of the last drain.
    last_end: Option<Instant>,
    /// Begin of the running drain.
    drain: Option<Instant>,
    /// The space had more to do when its last drain ended.
    busy: bool,
    swap: Option<Swap>,
    /// The version that is rehearsed.
    rehearsed: Option<VersionHash>,
    /// Time in `migrate` since the rehearsal was asked for.
    migrating: Duration,
    done: Vec<(VersionHash, Duration)>,
}

/// A swap whose first event has not ended.
#[derive(Debug)]
struct Swap {
    to: VersionHash,
    /// End of the last event before, or begin of the drain that swapped an idle space.
    from: Instant,
    /// Paused before the space fell idle.
    before: Duration,
    /// The drain that swapped is over, and the space was idle then.
    idle: bool,
}

impl PauseMeter {
    /// A drain begins; `swap` is the version that it will go over to.
    pub fn begin(&self, now: Instant, swap: Option<VersionHash>) {
        let mut meter = self.lock();
        meter.drain = Some(now);
        if let Some(to) = swap {
            let from = meter.last_end.filter(|_| meter.busy).unwrap_or(now);
            meter.swap = Some(Swap { to, from, before: Duration::ZERO, idle: false });
            self.0.timed.store(true, Ordering::Relaxed);
        } else if let Some(swap) = meter.swap.as_mut().filter(|swap| swap.idle) {
            swap.from = now;
            swap.idle = false;
        }
    }

    /// A drain is over; `busy` if the space has more to do at once.
    pub fn end(&self, now: Instant, busy: bool) {
        let mut meter = self.lock();
        meter.busy = busy;
        meter.last_end = Some(now);
        if let Some(swap) = meter.swap.as_mut().filter(|swap| !busy && !swap.idle) {
            swap.before += now.saturating_duration_since(swap.from);
            swap.idle = true;
        }
    }

    /// The swap did not take place.
    pub fn cancel(&self) {
        self.lock().swap = None;
        self.0.timed.store(false, Ordering::Relaxed);
    }

    /// A rehearsal of a version waits in the space.
    pub fn rehearses(&self, version: VersionHash) {
        let mut meter = self.lock();
        meter.rehearsed = Some(version);
        meter.migrating = Duration::ZERO;
        self.0.rehearses.store(true, Ordering::Relaxed);
    }

    /// The rehearsal is over: how long the swap would pause the space, about. That is the making of an
    /// instance, which is tried here, and `migrate` one way, of which a rehearsal does two. The first
    /// event's own time is not in it.
    pub fn rehearsed(&self, source: &mut dyn GuestSource) -> Option<Duration> {
        self.0.rehearses.store(false, Ordering::Relaxed);
        let (version, migrating) = {
            let mut meter = self.lock();
            (meter.rehearsed.take()?, meter.migrating)
        };
        let begin = Instant::now();
        drop(source.instantiate(version).ok()?);
        Some(begin.elapsed() + migrating / 2)
    }

    /// The pauses that have ended since the last time.
    #[must_use]
    pub fn take(&self) -> Vec<(VersionHash, Duration)> {
        std::mem::take(&mut self.lock().done)
    }

    /// One thread runs a space at a time, and spaces change threads under locks: so each thread sees
    /// what the one before stored.
    fn is_timed(&self) -> bool {
        self.0.timed.load(Ordering::Relaxed)
    }

    fn event_ended(&self, version: VersionHash, now: Instant) {
        let mut meter = self.lock();
        let Some(swap) = meter.swap.as_mut() else { return };
        if swap.to == version {
            let pause = swap.before + now.saturating_duration_since(swap.from);
            meter.swap = None;
            meter.done.push((version, pause));
            self.0.timed.store(false, Ordering::Relaxed);
        } else {
            swap.from = now;
            swap.before = Duration::ZERO;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Meter> {
        self.0.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A source whose guests tell the meter when their events end.
pub struct MeteredSource<'s> {
    /// Makes them.
    pub inner: &'s mut dyn GuestSource,
    /// Of the space that is drained.
    pub meter: PauseMeter,
}

impl GuestSource for MeteredSource<'_> {
    fn instantiate(&mut self, version: VersionHash) -> Result<Box<dyn Guest>, Trap> {
        let inner = self.inner.instantiate(version)?;
        Ok(Box::new(MeteredGuest { inner, version, meter: self.meter.clone() }))
    }
}

struct MeteredGuest {
    inner: Box<dyn Guest>,
    version: VersionHash,
    meter: PauseMeter,
}

impl Guest for MeteredGuest {
    fn handle(&mut self, event: &Event, host: Box<dyn Imports>) -> (Box<dyn Imports>, Verdict) {
        let result = self.inner.handle(event, host);
        if self.meter.is_timed() {
            self.meter.event_ended(self.version, Instant::now());
        }
        result
    }

    fn forget(&mut self, entities: &[EntityId]) -> Result<(), Trap> {
        self.inner.forget(entities)
    }

    fn snapshot(&mut self, entity: EntityId) -> Result<Option<Bytes>, Trap> {
        self.inner.snapshot(entity)
    }

    fn migrate(
        &mut self,
        type_index: u32,
        from: u32,
        to: u32,
        state: &[u8],
    ) -> Result<Result<Bytes, GuestError>, Trap> {
        if !self.meter.0.rehearses.load(Ordering::Relaxed) {
            return self.inner.migrate(type_index, from, to, state);
        }
        let begin = Instant::now();
        let migrated = self.inner.migrate(type_index, from, to, state);
        self.meter.lock().migrating += begin.elapsed();
        migrated
    }

    fn memory_bytes(&self) -> (usize, usize) {
        self.inner.memory_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: VersionHash = VersionHash([1; 32]);
    const NEW: VersionHash = VersionHash([2; 32]);

    struct Times(Instant);

    impl Times {
        fn at(&self, ms: u64) -> Instant {
            self.0 + Duration::from_millis(ms)
        }
    }

    #[test]
    fn a_busy_space_pauses_from_event_to_event() {
        let (meter, times) = (PauseMeter::default(), Times(Instant::now()));
        meter.begin(times.at(0), None);
        meter.event_ended(OLD, times.at(5));
        meter.end(times.at(6), true);
        meter.begin(times.at(8), Some(NEW));
        meter.end(times.at(9), true);
        meter.begin(times.at(10), None);
        meter.event_ended(NEW, times.at(15));
        meter.event_ended(NEW, times.at(16));
        assert_eq!(meter.take(), [(NEW, Duration::from_millis(9))]);
        assert!(meter.take().is_empty());
    }

    #[test]
    fn events_on_the_old_version_in_the_same_drain_are_no_pause() {
        let (meter, times) = (PauseMeter::default(), Times(Instant::now()));
        meter.begin(times.at(0), Some(NEW));
        meter.event_ended(OLD, times.at(50));
        meter.event_ended(NEW, times.at(53));
        assert_eq!(meter.take(), [(NEW, Duration::from_millis(3))]);
    }

    #[test]
    fn an_idle_space_does_not_count_the_time_in_which_nobody_asked() {
        let (meter, times) = (PauseMeter::default(), Times(Instant::now()));
        meter.begin(times.at(0), None);
        meter.event_ended(OLD, times.at(1));
        meter.end(times.at(1), false);
        meter.begin(times.at(1000), Some(NEW));
        meter.end(times.at(1002), false);
        meter.begin(times.at(5000), None);
        meter.event_ended(NEW, times.at(5003));
        assert_eq!(meter.take(), [(NEW, Duration::from_millis(5))]);
    }
}
