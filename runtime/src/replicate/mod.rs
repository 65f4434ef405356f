//! What clients see of one space: mirrors, interest, coalesced deltas, positions.
//!
//! A [`Replicator`] belongs to one space and gets values only, so it can run on another core
//! beside the space's logic. It keeps its own copy of what clients may see. It deliberately does
//! not know guests, handlers, messages, stores, or which gate a session is on.
//!
//! # Order towards clients (contract B1)
//! For each event creates, then deltas, then calls and replies in call order, then destroys. A
//! call seals the pending changes of the entities that its event changed and of the entity that
//! it is called on: they are encoded and leave before it, for their whole audience.

mod values;

pub use values::{Change, Fact, ReplicaInput, ReplicaOutput};

use crate::versions::ModuleVersion;
use everwake_protocol::EntityId;
use std::sync::Arc;

/// How often a replicator says something unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// Between deltas of one entity.
    pub attributes_ms: u64,
    /// Between positions, and evaluations of who sees whom.
    pub positions_ms: u64,
}

impl Default for Intervals {
    fn default() -> Self {
        Intervals { attributes_ms: 100, positions_ms: 50 }
    }
}

/// See the head of this module.
#[derive(Debug)]
pub struct Replicator {
    version: Arc<ModuleVersion>,
    space: Option<EntityId>,
    intervals: Intervals,
}

impl Replicator {
    /// A replicator for a space; none for nil shards and services, where nobody sees others.
    pub fn new(version: Arc<ModuleVersion>, space: Option<EntityId>, intervals: Intervals) -> Replicator {
        Replicator { version, space, intervals }
    }

    /// Takes one input and appends everything that follows from it.
    pub fn handle(&mut self, input: ReplicaInput, out: &mut Vec<ReplicaOutput>) {
        let _ = (input, out, &self.version, self.space, self.intervals);
    }

    /// When [`ReplicaInput::Flush`] is due, if at all.
    pub fn next_ms(&self) -> Option<u64> {
        None
    }
}
