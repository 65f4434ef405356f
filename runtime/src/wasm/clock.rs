//! The clock that cuts handlers, and whether anybody needs it to be precise.
//!
//! It wakes a thread. Each millisecond is right while handlers run and a waste while none does, so whoever runs
//! them in turns says when a turn begins and ends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::limits::{EPOCH_REST_MS, EPOCH_TICK_MS};

/// Who runs handlers, as far as they say so.
#[derive(Debug, Default)]
pub(super) struct Turns {
    announced: AtomicUsize,
    running: AtomicUsize,
}

impl Turns {
    /// True if all that may run handlers say when they do, and none does now.
    fn rest(&self) -> bool {
        self.announced.load(Ordering::Relaxed) > 0 && self.running.load(Ordering::Relaxed) == 0
    }
}

/// Somebody who says when a turn begins and ends. None runs at first.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    runs: bool,
}

impl Turn {
    pub(super) fn of(turns: Arc<Turns>) -> Self {
        turns.announced.fetch_add(1, Ordering::Relaxed);
        Self { turns, runs: false }
    }

    /// Handlers may run from now on, or do not any more.
    pub(super) fn runs(&mut self, runs: bool) {
        match (std::mem::replace(&mut self.runs, runs), runs) {
            (false, true) => self.turns.running.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.turns.running.fetch_sub(1, Ordering::Relaxed),
            _ => return,
        };
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.runs(false);
        self.turns.announced.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Advances an engine's epoch until it is stopped.
pub(super) struct Ticker {
    stopped: Arc<(Mutex<bool>, Condvar)>,
    thread: JoinHandle<()>,
}

impl Ticker {
    pub(super) fn start(engine: wasmtime::Engine, turns: Arc<Turns>) -> std::io::Result<Self> {
        let stopped = Arc::new((Mutex::new(false), Condvar::new()));
        let shared = stopped.clone();
        let thread = std::thread::Builder::new().name("epoch".into()).spawn(move || {
            let (flag, signal) = &*shared;
            let mut stop = flag.lock().unwrap_or_else(PoisonError::into_inner);
            let mut last = Instant::now();
            while !*stop {
                let wait_ms = if turns.rest() { EPOCH_REST_MS } else { EPOCH_TICK_MS };
                let wait = Duration::from_millis(wait_ms);
                stop = signal.wait_timeout(stop, wait).unwrap_or_else(PoisonError::into_inner).0;
                let now = Instant::now();
                // What began in the meantime has its time, not all that passed before it.
                (0..ticks_in(now - last)).for_each(|_| engine.increment_epoch());
                last = now;
            }
        })?;
        Ok(Self { stopped, thread })
    }

    pub(super) fn stop(self) {
        let (flag, signal) = &*self.stopped;
        *flag.lock().unwrap_or_else(PoisonError::into_inner) = true;
        signal.notify_all();
        // A thread that panicked has nothing left to stop.
        let _ = self.thread.join();
    }
}

/// Ticks of a time that has passed: one at least. After a pause of the whole process no more than of one rest.
fn ticks_in(passed: Duration) -> u64 {
    let passed_ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
    passed_ms.min(EPOCH_REST_MS).div_euclid(EPOCH_TICK_MS).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rests_while_all_that_run_handlers_say_that_they_do_not() {
        let turns = Arc::new(Turns::default());
        assert!(!turns.rest(), "nobody says anything: somebody may run");
        let (mut one, mut other) = (Turn::of(turns.clone()), Turn::of(turns.clone()));
        assert!(turns.rest());
        one.runs(true);
        one.runs(true);
        other.runs(true);
        one.runs(false);
        assert!(!turns.rest(), "the other one runs");
        drop(other);
        assert!(turns.rest());
        drop(one);
        assert!(!turns.rest());
    }

    #[test]
    fn a_long_wait_is_as_many_ticks() {
        for (passed_ms, ticks) in
            [(0, 1), (1, 1), (7, 7), (EPOCH_REST_MS, EPOCH_REST_MS), (5_000, EPOCH_REST_MS)]
        {
            assert_eq!(ticks_in(Duration::from_millis(passed_ms)), ticks, "{passed_ms}");
        }
    }
}
