//! What is due when: timers, deadlines of calls and of deferred answers. In order of time; equal
//! times in order of ids, so that no order depends on a hash.

use everwake_protocol::{EntityId, Id};
use std::collections::BTreeSet;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Timer(Id),
    Pending(Id),
    Deferred(Id),
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    entries: BTreeSet<(u64, EntityId, Due)>,
}

impl Agenda {
    pub(super) fn add(&mut self, at_ms: u64, entity: EntityId, due: Due) {
        if at_ms != u64::MAX {
            self.entries.insert((at_ms, entity, due));
        }
    }

    pub(super) fn remove(&mut self, at_ms: u64, entity: EntityId, due: Due) {
        self.entries.remove(&(at_ms, entity, due));
    }

    /// Takes the first entry that is due.
    pub(super) fn pop(&mut self, now_ms: u64) -> Option<(u64, EntityId, Due)> {
        if self.entries.first()?.0 > now_ms { None } else { self.entries.pop_first() }
    }

    pub(super) fn next_ms(&self) -> Option<u64> {
        Some(self.entries.first()?.0)
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
