//! What one client has in view: handles, and which positions it knows.
//!
//! Knows nothing of attributes or of who should see whom.

use super::interest::Row;
use super::limits::{HALF_URGENCY_METRES, HANDLE_REST_MS, POSITION_BYTES_PER_FLUSH_MAX, REPEAT_AFTER_MS};
use super::mirror::Mirror;
use everwake_protocol::client::{PLACED_BYTES, POSITION_HEAD_BYTES, Placed, Pose, PositionDatagram};
use everwake_protocol::cluster::Viewer;
use everwake_protocol::limits::{DATAGRAM_BYTES_MAX, MOTION_BYTES_MAX};
use std::collections::VecDeque;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct View {
    /// The client, and the epoch of this view.
    pub(super) viewer: Viewer,
    /// The client's own entity.
    pub(super) own: Row,
    /// Ascending by row.
    seen: Vec<Seen>,
    handles: Handles,
}

/// One entity in view.
#[derive(Clone, Copy, Debug)]
struct Seen {
    row: Row,
    /// 0 = no positions.
    handle: u16,
    /// Stamp of the position that was sent last; another than the mirror's: it is behind.
    sent: u64,
    sent_ms: u64,
    /// Repeats of the last position so far.
    repeats: usize,
}

/// A position that could be sent.
struct Candidate {
    urgency: f64,
    slot: u64,
    /// Place in `seen`.
    at: usize,
    bytes: usize,
    stamp: u64,
}

impl View {
    pub(super) fn new(viewer: Viewer, own: Row) -> View {
        View { viewer, own, seen: Vec::new(), handles: Handles::default() }
    }

    pub(super) fn sees(&self, row: Row) -> bool {
        self.seen.binary_search_by_key(&row, |seen| seen.row).is_ok()
    }

    /// All rows in view, ascending.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        self.seen.iter().map(|seen| seen.row)
    }

    /// Takes an entity into view; none if it is there already. Its pose goes out with its create.
    pub(super) fn show(&mut self, mirror: &Mirror, now_ms: u64) -> Option<u16> {
        let at = self.seen.binary_search_by_key(&mirror.row, |seen| seen.row).err()?;
        let handle = if mirror.pose.is_some() { self.handles.allot(now_ms) } else { 0 };
        // A create has no motion.
        let sent = if mirror.motion.is_empty() { mirror.stamp } else { 0 };
        let repeats = REPEAT_AFTER_MS.len();
        self.seen.insert(at, Seen { row: mirror.row, handle, sent, sent_ms: now_ms, repeats });
        Some(handle)
    }

    /// Takes an entity out of view; false if it is not there.
    pub(super) fn hide(&mut self, row: Row, now_ms: u64) -> bool {
        let Ok(at) = self.seen.binary_search_by_key(&row, |seen| seen.row) else { return false };
        let seen = self.seen.remove(at);
        self.handles.release(seen.handle, now_ms);
        true
    }

    /// The client believes that its own entity is somewhere else: it gets the true position.
    pub(super) fn correct_own(&mut self) {
        if let Ok(at) = self.seen.binary_search_by_key(&self.own, |seen| seen.row)
            && let Some(seen) = self.seen.get_mut(at)
        {
            // Stamps begin above it.
            seen.sent = 0;
        }
    }

    /// The client itself moved its entity from `before` to `now`: it need not be told.
    pub(super) fn moved_by_client(&mut self, before: u64, now: u64) {
        if let Ok(at) = self.seen.binary_search_by_key(&self.own, |seen| seen.row)
            && let Some(seen) = self.seen.get_mut(at)
            && seen.sent == before
        {
            seen.sent = now;
            seen.repeats = REPEAT_AFTER_MS.len();
        }
    }

    /// Positions that the client lacks, the most urgent ones first, as datagrams; and when to
    /// ask again, if something waits or must be repeated.
    pub(super) fn positions<'a>(
        &mut self,
        now_ms: u64,
        next_flush_ms: u64,
        mirror: impl Fn(Row) -> Option<&'a Mirror>,
    ) -> (Vec<PositionDatagram>, Option<u64>) {
        let eye = mirror(self.own).and_then(|own| own.pose).unwrap_or_default();
        let mut candidates = Vec::new();
        let mut next = None;
        for (at, seen) in self.seen.iter().enumerate() {
            if seen.handle == 0 {
                continue;
            }
            let Some(mirror) = mirror(seen.row) else { continue };
            let Some(pose) = mirror.pose else { continue };
            if seen.sent == mirror.stamp {
                match seen.repeat_ms() {
                    Some(due) if due <= now_ms => {}
                    Some(due) => {
                        next = earliest(next, due);
                        continue;
                    }
                    None => continue,
                }
            }
            candidates.push(Candidate {
                urgency: urgency(&eye, &pose, now_ms.saturating_sub(seen.sent_ms)),
                slot: mirror.slot,
                at,
                bytes: PLACED_BYTES + mirror.motion.len().min(MOTION_BYTES_MAX),
                stamp: mirror.stamp,
            });
        }
        if self.choose(&mut candidates, now_ms) {
            next = earliest(next, next_flush_ms);
        }
        let mut datagrams =
            Datagrams { view: self.viewer.view, time_ms: now_ms as u32, all: Vec::new(), bytes: 0 };
        for candidate in &candidates {
            let Some(seen) = self.seen.get(candidate.at) else { continue };
            if let Some(due) = seen.repeat_ms() {
                next = earliest(next, due);
            }
            if let Some(mirror) = mirror(seen.row)
                && let Some(pose) = mirror.pose
            {
                let motion = mirror.motion.slice(..mirror.motion.len().min(MOTION_BYTES_MAX));
                datagrams.push(Placed { handle: seen.handle, pose, motion }, candidate.bytes);
            }
        }
        (datagrams.all, next)
    }

    /// Keeps what fits the client's budget and notes it as sent; true if something was left out.
    fn choose(&mut self, candidates: &mut Vec<Candidate>, now_ms: u64) -> bool {
        let bytes: usize = candidates.iter().map(|candidate| candidate.bytes).sum();
        let too_many = bytes > POSITION_BYTES_PER_FLUSH_MAX;
        if too_many {
            candidates.sort_unstable_by(|a, b| b.urgency.total_cmp(&a.urgency).then(a.slot.cmp(&b.slot)));
            let mut left = POSITION_BYTES_PER_FLUSH_MAX;
            let fits = candidates.iter().take_while(|candidate| {
                let fits = candidate.bytes <= left;
                left = left.saturating_sub(candidate.bytes);
                fits
            });
            let fits = fits.count();
            candidates.truncate(fits);
        }
        for candidate in candidates.iter() {
            if let Some(seen) = self.seen.get_mut(candidate.at) {
                seen.repeats = if seen.sent == candidate.stamp { seen.repeats + 1 } else { 0 };
                seen.sent = candidate.stamp;
                seen.sent_ms = now_ms;
            }
        }
        too_many
    }
}

impl Seen {
    fn repeat_ms(&self) -> Option<u64> {
        REPEAT_AFTER_MS.get(self.repeats).map(|after| self.sent_ms + after)
    }
}

fn earliest(one: Option<u64>, other: u64) -> Option<u64> {
    Some(one.map_or(other, |one| one.min(other)))
}

/// Grows while a position waits, so that nothing waits for ever; shrinks with distance.
fn urgency(eye: &Pose, there: &Pose, waits_ms: u64) -> f64 {
    let (x, z) = (f64::from(there.x) - f64::from(eye.x), f64::from(there.z) - f64::from(eye.z));
    let distance = (x * x + z * z) / (HALF_URGENCY_METRES * HALF_URGENCY_METRES);
    (waits_ms + 1) as f64 / (1.0 + distance)
}

/// Positions, filled into as few datagrams as they fit.
struct Datagrams {
    view: u32,
    time_ms: u32,
    all: Vec<PositionDatagram>,
    /// Of the last one.
    bytes: usize,
}

impl Datagrams {
    fn push(&mut self, placed: Placed, bytes: usize) {
        if let Some(last) = self.all.last_mut()
            && self.bytes + bytes <= DATAGRAM_BYTES_MAX
        {
            self.bytes += bytes;
            last.placed.push(placed);
            return;
        }
        self.bytes = POSITION_HEAD_BYTES + bytes;
        // The sequence is the gate's.
        let (view, time_ms) = (self.view, self.time_ms);
        self.all.push(PositionDatagram { view, sequence: 0, time_ms, placed: vec![placed] });
    }
}

/// Handles of one view epoch.
#[derive(Debug, Default)]
struct Handles {
    /// Given out so far; each is given out once before one is given out again.
    used: u16,
    /// Given up, with the time, oldest first.
    free: VecDeque<(u64, u16)>,
}

impl Handles {
    /// 0 if all are in use or rest: that entity is seen without positions.
    fn allot(&mut self, now_ms: u64) -> u16 {
        if let Some(handle) = self.used.checked_add(1) {
            self.used = handle;
            return handle;
        }
        match self.free.front() {
            Some((since_ms, handle)) if since_ms + HANDLE_REST_MS <= now_ms => {
                let handle = *handle;
                self.free.pop_front();
                handle
            }
            _ => 0,
        }
    }

    fn release(&mut self, handle: u16, now_ms: u64) {
        if handle != 0 {
            self.free.push_back((now_ms, handle));
        }
    }
}
