//! The entities that a client called lately. They keep marks of it and replies for it: until it has them, and until
//! it is gone.

use everwake_protocol::EntityId;
use everwake_protocol::limits::SESSION_TARGETS_MAX;
use std::collections::BTreeMap;

/// See the head of this module.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    called: BTreeMap<EntityId, Called>,
    /// The client has all replies up to here.
    acknowledged: u64,
}

/// What a session asked one entity.
#[derive(Clone, Copy, Debug)]
struct Called {
    /// The last request.
    last: u64,
    /// Some of its replies may not have been acknowledged.
    open: bool,
}

impl Targets {
    /// Notes that a request goes to an entity. If that makes another one be forgotten, says which, and
    /// the last request whose reply it keeps.
    pub(crate) fn requested(&mut self, target: EntityId, request: u64) -> Option<(EntityId, u64)> {
        let mut evicted = None;
        if self.called.len() >= SESSION_TARGETS_MAX && !self.called.contains_key(&target) {
            // One that keeps nothing, else the one that was asked longest ago.
            let oldest = self.called.iter().min_by_key(|(_, called)| (called.open, called.last));
            let oldest = oldest.map(|(entity, called)| (*entity, *called));
            if let Some((entity, called)) = oldest {
                self.called.remove(&entity);
                evicted = called.open.then_some((entity, called.last));
            }
        }
        self.called.insert(target, Called { last: request, open: true });
        evicted
    }

    /// The client has all replies up to here: whom to tell. Nobody if it said so before, so that
    /// saying it again and again makes no work.
    pub(crate) fn acknowledged(&mut self, request: u64) -> Vec<EntityId> {
        if request <= self.acknowledged {
            return Vec::new();
        }
        self.acknowledged = request;
        let open = self.called.iter_mut().filter(|(_, called)| called.open);
        open.map(|(target, called)| {
            called.open = called.last > request;
            *target
        })
        .collect()
    }

    /// Entities that remember the session, each with the last request to it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (EntityId, u64)> {
        self.called.iter().map(|(entity, called)| (*entity, called.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use everwake_protocol::Id;

    fn id(number: u64) -> EntityId {
        EntityId(Id::from_u128(u128::from(number)))
    }

    /// A client that has called so many entities, each once.
    fn who_called(entities: u64) -> Targets {
        let mut targets = Targets::default();
        for number in 1..=entities {
            // Whoever is forgotten is told to keep no replies.
            let evicted = number.checked_sub(SESSION_TARGETS_MAX as u64).filter(|it| *it > 0);
            let evicted = evicted.map(|old| (id(old), old));
            assert_eq!(targets.requested(id(number), number), evicted);
        }
        targets
    }

    #[test]
    fn an_acknowledgement_is_told_once_to_those_whom_it_concerns() {
        let mut targets = who_called(3);
        assert_eq!(targets.acknowledged(2), [id(1), id(2), id(3)]);
        for again in [2, 1, 0] {
            assert_eq!(targets.acknowledged(again), []);
        }
        assert_eq!(targets.acknowledged(3), [id(3)]);
        assert_eq!(targets.requested(id(3), 4), None);
        assert_eq!(targets.acknowledged(4), [id(3)], "it keeps one again");
    }

    #[test]
    fn whoever_keeps_nothing_is_forgotten_first() {
        let full = SESSION_TARGETS_MAX as u64;
        let mut targets = who_called(full);
        // One has a later request than the acknowledgement and keeps its reply.
        assert_eq!(targets.requested(id(1), full + 1), None);
        targets.acknowledged(full);
        assert_eq!(targets.requested(id(100), full + 2), None, "nothing is kept for it");
        assert!(!targets.iter().any(|(target, _)| target == id(2)), "called longest ago of those");
        assert!(targets.iter().any(|(target, last)| (target, last) == (id(1), full + 1)));
        assert_eq!(targets.iter().count(), SESSION_TARGETS_MAX);
    }

    #[test]
    fn no_more_are_remembered_than_the_limit() {
        let targets = who_called(SESSION_TARGETS_MAX as u64 + 6);
        assert_eq!(targets.iter().count(), SESSION_TARGETS_MAX);
    }
}
