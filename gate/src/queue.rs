//! What waits for one client: pieces of its stream, bounded in bytes and count.

use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;

/// Most bytes of one write. A client shows that it reads by taking one, so this and the time for a write
/// say how slow a client may be.
pub(crate) const WRITE_BYTES_MAX: usize = 128 * 1024;

/// The queue of one client. At most one write is under way; what comes meanwhile goes together
/// in the next ones.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pieces: VecDeque<Bytes>,
    waiting: usize,
    under_way: usize,
    since: Option<Duration>,
}

impl Queue {
    pub(crate) fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        self.waiting += piece.len();
        self.pieces.push_back(piece);
    }

    /// What is to be written now, if a write may begin.
    pub(crate) fn begin(&mut self, now: Duration) -> Option<Vec<Bytes>> {
        if self.since.is_some() || self.pieces.is_empty() {
            return None;
        }
        let mut pieces = Vec::new();
        let mut room = WRITE_BYTES_MAX;
        while room > 0
            && let Some(mut piece) = self.pieces.pop_front()
        {
            if piece.len() > room {
                self.pieces.push_front(piece.split_off(room));
            }
            room -= piece.len();
            pieces.push(piece);
        }
        self.since = Some(now);
        self.under_way = WRITE_BYTES_MAX - room;
        self.waiting -= self.under_way;
        Some(pieces)
    }

    /// The write under way is done.
    pub(crate) fn done(&mut self) {
        self.under_way = 0;
        self.since = None;
    }

    /// When the write under way began.
    pub(crate) fn since(&self) -> Option<Duration> {
        self.since
    }

    pub(crate) fn bytes(&self) -> usize {
        self.waiting + self.under_way
    }

    pub(crate) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.since.is_none()
    }
}
