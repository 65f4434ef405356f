//! What waits in a dispatcher: for entities that move or are not known yet, and for its directory to be complete.

use crate::limits::{PARKED_BYTES_MAX, PARKED_COST_BYTES, PARKED_ENTITY_BYTES_MAX, PARKED_ENTITY_COUNT_MAX};
use everwake_protocol::EntityId;
use everwake_protocol::cluster::{Envelope, Placement, Weight};
use std::collections::{BTreeMap, VecDeque};

/// Bounded: what may be refused is refused beyond.
#[derive(Debug)]
pub(super) struct Parking<P> {
    queues: BTreeMap<EntityId, Queue<P>>,
    /// Arrivals, creations, and what is for processes.
    waiting: VecDeque<Waiting<P>>,
    bytes: usize,
    count: usize,
}

#[derive(Debug)]
struct Queue<P> {
    envelopes: VecDeque<(u64, Envelope<P>)>,
    bytes: usize,
}

/// Something that waits for the directory.
#[derive(Debug)]
pub(super) struct Waiting<P> {
    pub(super) since_ms: u64,
    /// Of a creation.
    pub(super) place: Option<Placement>,
    pub(super) envelope: Envelope<P>,
}

impl<P> Default for Parking<P> {
    fn default() -> Parking<P> {
        Parking { queues: BTreeMap::new(), waiting: VecDeque::new(), bytes: 0, count: 0 }
    }
}

impl<P: Weight> Parking<P> {
    /// Behind what waits for the entity already; gives it back if that is too much.
    pub(super) fn park(
        &mut self,
        entity: EntityId,
        since_ms: u64,
        envelope: Envelope<P>,
    ) -> Result<(), Envelope<P>> {
        let cost = cost(&envelope);
        let (bytes, count) =
            self.queues.get(&entity).map_or((0, 0), |queue| (queue.bytes, queue.envelopes.len()));
        let full = bytes.saturating_add(cost) > PARKED_ENTITY_BYTES_MAX || count >= PARKED_ENTITY_COUNT_MAX;
        if envelope.refusable && (full || self.is_full(cost)) {
            return Err(envelope);
        }
        let queue =
            self.queues.entry(entity).or_insert_with(|| Queue { envelopes: VecDeque::new(), bytes: 0 });
        queue.bytes += cost;
        queue.envelopes.push_back((since_ms, envelope));
        self.bytes += cost;
        self.count += 1;
        Ok(())
    }

    /// Keeps it until the directory knows more; gives it back if that is too much.
    pub(super) fn wait(&mut self, waiting: Waiting<P>) -> Result<(), Envelope<P>> {
        let cost = cost(&waiting.envelope);
        if waiting.envelope.refusable && self.is_full(cost) {
            return Err(waiting.envelope);
        }
        self.waiting.push_back(waiting);
        self.bytes += cost;
        self.count += 1;
        Ok(())
    }

    /// All that waits for the directory, in order.
    pub(super) fn take_waiting(&mut self) -> VecDeque<Waiting<P>> {
        let waiting = std::mem::take(&mut self.waiting);
        self.bytes -= waiting.iter().map(|waiting| cost(&waiting.envelope)).sum::<usize>();
        self.count -= waiting.len();
        waiting
    }

    /// All that waits for an entity, in order.
    pub(super) fn take(&mut self, entity: EntityId) -> VecDeque<(u64, Envelope<P>)> {
        let Some(queue) = self.queues.remove(&entity) else { return VecDeque::new() };
        self.bytes -= queue.bytes;
        self.count -= queue.envelopes.len();
        queue.envelopes
    }

    /// Takes out what waited too long and may be refused.
    pub(super) fn expire(&mut self, now_ms: u64, wait_ms_max: u64) -> Vec<Envelope<P>> {
        let late = |since_ms: u64, envelope: &Envelope<P>| {
            envelope.refusable && since_ms.saturating_add(wait_ms_max) <= now_ms
        };
        let mut expired = Vec::new();
        for queue in self.queues.values_mut() {
            if !queue.envelopes.iter().any(|(since_ms, envelope)| late(*since_ms, envelope)) {
                continue;
            }
            for (since_ms, envelope) in std::mem::take(&mut queue.envelopes) {
                if late(since_ms, &envelope) {
                    queue.bytes -= cost(&envelope);
                    expired.push(envelope);
                } else {
                    queue.envelopes.push_back((since_ms, envelope));
                }
            }
        }
        self.queues.retain(|_, queue| !queue.envelopes.is_empty());
        for waiting in std::mem::take(&mut self.waiting) {
            if late(waiting.since_ms, &waiting.envelope) {
                expired.push(waiting.envelope);
            } else {
                self.waiting.push_back(waiting);
            }
        }
        self.bytes -= expired.iter().map(cost).sum::<usize>();
        self.count -= expired.len();
        expired
    }
}

impl<P> Parking<P> {
    pub(super) fn holds(&self, entity: EntityId) -> bool {
        self.queues.contains_key(&entity)
    }

    /// For whom something waits, in order of their ids.
    pub(super) fn entities(&self) -> Vec<EntityId> {
        self.queues.keys().copied().collect()
    }

    pub(super) fn has_any_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn is_full(&self, cost: usize) -> bool {
        self.bytes.saturating_add(cost) > PARKED_BYTES_MAX
    }
}

fn cost<P: Weight>(envelope: &Envelope<P>) -> usize {
    envelope.payload.bytes().saturating_add(PARKED_COST_BYTES)
}
