//! What waits for one client: pieces of its stream, bounded in bytes and count.

use bytes::Bytes;
use std::time::Duration;

/// The queue of one client. At most one write is under way; what comes meanwhile goes together
/// in the next one.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pieces: Vec<Bytes>,
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
        self.pieces.push(piece);
    }

    /// What is to be written now, if a write may begin.
    pub(crate) fn begin(&mut self, now: Duration) -> Option<Vec<Bytes>> {
        if self.since.is_some() || self.pieces.is_empty() {
            return None;
        }
        self.since = Some(now);
        self.under_way = std::mem::take(&mut self.waiting);
        Some(std::mem::take(&mut self.pieces))
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
