//! Worker threads, and the spaces that they run.
//!
//! One queue for all: a worker takes the space that has waited longest, runs it until it has
//! nothing to do or its slice is over, and lets go of it. Between two slices a space may move to
//! another worker, never within one.

use super::cell::{Cell, Requeue};
use super::clock::Clock;
use super::recording::{RecordError, Recorded, RecordingSet, write_last, write_one};
use super::traffic::CoreInbox;
use crate::guest::{Guest, GuestSource, Trap, TrapKind, VersionHash};
use crate::limits;
use crate::message::Input;
use everwake_protocol::EntityId;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a worker stays with a space that has more and more to do.
const SLICE: Duration = Duration::from_millis(2);

/// Instances that are let go at once when there is no room for another one.
const LET_GO: usize = 32;

/// All spaces of a process, and the workers' queue.
pub(super) struct Pool {
    state: Mutex<State>,
    changed: Condvar,
    clock: Clock,
}

#[derive(Default)]
struct State {
    cells: HashMap<EntityId, Arc<Cell>>,
    queue: VecDeque<Arc<Cell>>,
    /// Cells at rest that want to be woken.
    wakes: BTreeSet<(u64, EntityId)>,
    wake_of: BTreeMap<EntityId, u64>,
    /// Workers that wait for something to do.
    asleep: usize,
    /// Of these, woken and not yet awake. To wake somebody costs a system call, whether anybody sleeps or not.
    woken: usize,
    stopped: bool,
    recording: Option<Arc<RecordingSet>>,
}

impl Pool {
    pub(super) fn new(clock: Clock) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), clock }
    }

    pub(super) fn add(&self, cell: Cell) {
        let mut state = self.state();
        if let Some(set) = state.recording.as_ref().filter(|set| set.wants(cell.id)) {
            cell.record_from_start(set);
        }
        state.cells.insert(cell.id, Arc::new(cell));
    }

    /// Records all spaces that the set wants, and those that come.
    pub(super) fn record(&self, set: RecordingSet) -> Result<(), RecordError> {
        let mut state = self.state();
        if let Some(other) = &state.recording {
            return Err(RecordError::UnderWay(other.folder.clone()));
        }
        let set = Arc::new(set);
        state.recording = Some(set.clone());
        let wanted: Vec<Arc<Cell>> =
            state.cells.values().filter(|cell| set.wants(cell.id)).cloned().collect();
        for cell in wanted {
            if cell.record(set.clone()) {
                state.enqueue(cell);
            }
        }
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Ends the recording.
    pub(super) fn stop_recording(&self) -> Result<Recorded, RecordError> {
        let mut state = self.state();
        let set = state.recording.take().ok_or(RecordError::Nothing)?;
        let cells: Vec<Arc<Cell>> = state.cells.values().cloned().collect();
        drop(state);
        cells.iter().for_each(|cell| cell.stop_recording());
        set.finish()
    }

    /// Writes the last seconds of all spaces, or of one. Each waits while it is copied, one at a time.
    pub(super) fn record_last(&self, folder: &Path, only: Option<EntityId>) -> Result<Recorded, RecordError> {
        let state = self.state();
        if let Some(set) = state.recording.as_ref().filter(|set| set.folder == folder) {
            return Err(RecordError::UnderWay(set.folder.clone()));
        }
        let wanted = state.cells.values().filter(|cell| only.is_none_or(|only| only == cell.id));
        let mut cells: Vec<Arc<Cell>> = wanted.cloned().collect();
        drop(state);
        if let (Some(only), true) = (only, cells.is_empty()) {
            return Err(RecordError::NoSpace(only));
        }
        cells.sort_unstable_by_key(|cell| cell.id);
        write_last(folder, cells.iter().map(|cell| cell.past()))
    }

    /// Spaces and entities with such ids, in order; of very many the first.
    pub(super) fn find(&self, ids: &RangeInclusive<EntityId>) -> Vec<EntityId> {
        let cells: Vec<Arc<Cell>> = self.state().cells.values().cloned().collect();
        let found = cells.iter().flat_map(|cell| cell.find(ids));
        let found: BTreeSet<EntityId> = found.collect();
        found.into_iter().take(limits::INSPECT_MEMBERS_MAX).collect()
    }

    /// Writes the last seconds of one space into a file of this name. None if there is nothing of it.
    pub(super) fn record_past_of(
        &self,
        space: EntityId,
        folder: &Path,
        name: &str,
    ) -> Result<Option<PathBuf>, RecordError> {
        let Some(cell) = self.state().cells.get(&space).cloned() else { return Ok(None) };
        let (config, Some(past)) = cell.past() else { return Ok(None) };
        write_one(folder, name, &config, past).map(Some)
    }

    /// Forgets a space; what it had not taken.
    pub(super) fn remove(&self, space: EntityId) -> Vec<Input> {
        let mut state = self.state();
        state.unschedule(space);
        let cell = state.cells.remove(&space);
        drop(state);
        cell.map(|cell| cell.drop_inputs()).unwrap_or_default()
    }

    /// Gives inputs to spaces; those that do not exist are returned.
    pub(super) fn push(&self, space: EntityId, input: Input) -> Option<Input> {
        let mut state = self.state();
        let Some(cell) = state.cells.get(&space).cloned() else { return Some(input) };
        if cell.push(input) {
            state.enqueue(cell);
            self.wake_one(state);
        }
        None
    }

    /// Wakes a worker if one sleeps that nobody has woken; one that is awake looks at the queue by itself.
    fn wake_one(&self, mut state: MutexGuard<'_, State>) {
        let sleeps = state.asleep > state.woken;
        if sleeps {
            state.woken += 1;
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Sleeps until something may have changed, at most so long.
    fn sleep<'s>(&self, mut state: MutexGuard<'s, State>, wait: Option<Duration>) -> MutexGuard<'s, State> {
        state.asleep += 1;
        let mut state = match wait {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(wait) => self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0,
        };
        state.asleep -= 1;
        // Whoever wakes by itself may take another one's call, who then sleeps on: it does the same work.
        state.woken = state.woken.saturating_sub(1);
        state
    }

    /// Lets all workers return.
    pub(super) fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
    }

    /// A worker thread: returns when the pool is stopped.
    pub(super) fn work(&self, source: &mut dyn GuestSource, core: &CoreInbox) {
        let source = &mut RoomySource { inner: source, pool: self };
        while let Some(cell) = self.next() {
            source.turn(true);
            let begin = Instant::now();
            loop {
                // A space that says more than the core can take waits; the core never does.
                core.wait_for_room();
                let drained = cell.drain(self.clock.now_ms(), source);
                for input in drained.inputs {
                    core.push(input);
                }
                if !drained.busy || begin.elapsed() >= SLICE {
                    break;
                }
            }
            source.turn(false);
            self.let_go(cell);
        }
    }

    /// Lets the spaces that have run nothing for longest let go of their instances. False if none has one
    /// that is not in use.
    fn make_room(&self) -> bool {
        let cells: Vec<Arc<Cell>> = self.state().cells.values().cloned().collect();
        let mut resting: Vec<(u64, Arc<Cell>)> =
            cells.into_iter().filter_map(|cell| Some((cell.resting_since_ms()?, cell))).collect();
        resting.sort_unstable_by_key(|(since_ms, cell)| (*since_ms, cell.id));
        let let_go = resting.iter().take(LET_GO).filter(|(_, cell)| cell.let_go_of_instance());
        let_go.count() > 0
    }

    fn let_go(&self, cell: Arc<Cell>) {
        let mut state = self.state();
        match cell.rest(self.clock.now_ms()) {
            Err(Requeue) => {
                state.queue.push_back(cell);
                self.wake_one(state);
            }
            Ok(Some(wake_ms)) => {
                let earliest = state.wakes.first().is_none_or(|(first, _)| wake_ms < *first);
                state.wakes.insert((wake_ms, cell.id));
                state.wake_of.insert(cell.id, wake_ms);
                if earliest {
                    self.wake_one(state);
                }
            }
            Ok(None) => {}
        }
    }

    /// The next space to run; none if the pool is stopped.
    fn next(&self) -> Option<Arc<Cell>> {
        let mut state = self.state();
        loop {
            if state.stopped {
                return None;
            }
            state.wake_due(self.clock.now_ms());
            if let Some(cell) = state.queue.pop_front() {
                if !state.queue.is_empty() {
                    self.wake_one(state);
                }
                return Some(cell);
            }
            let wake_ms = state.wakes.first().map(|(wake_ms, _)| *wake_ms);
            let wait = wake_ms.map(|wake_ms| self.clock.until(wake_ms).max(Duration::from_micros(100)));
            state = self.sleep(state, wait);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room in the pool of instances when it is full: they are caches.
struct RoomySource<'p> {
    inner: &'p mut dyn GuestSource,
    pool: &'p Pool,
}

impl GuestSource for RoomySource<'_> {
    fn instantiate(&mut self, version: VersionHash) -> Result<Box<dyn Guest>, Trap> {
        match self.inner.instantiate(version) {
            Err(Trap { kind: TrapKind::NoRoom, .. }) if self.pool.make_room() => {
                self.inner.instantiate(version)
            }
            made => made,
        }
    }

    fn turn(&mut self, runs: bool) {
        self.inner.turn(runs);
    }
}

impl State {
    fn enqueue(&mut self, cell: Arc<Cell>) {
        self.unschedule(cell.id);
        self.queue.push_back(cell);
    }

    fn unschedule(&mut self, space: EntityId) {
        if let Some(wake_ms) = self.wake_of.remove(&space) {
            self.wakes.remove(&(wake_ms, space));
        }
    }

    fn wake_due(&mut self, now_ms: u64) {
        while let Some((wake_ms, space)) = self.wakes.first().copied().filter(|(at, _)| *at <= now_ms) {
            self.wakes.remove(&(wake_ms, space));
            self.wake_of.remove(&space);
            if let Some(cell) = self.cells.get(&space).cloned()
                && cell.wake()
            {
                self.queue.push_back(cell);
            }
        }
    }
}
