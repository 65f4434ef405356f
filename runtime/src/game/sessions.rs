//! Clients' sessions: whose own entity each one has, and what it called lately.
//!
//! Knows nothing of connections; a session begins and ends when the gate says so.

use super::limits::SESSION_TARGETS_MAX;
use crate::guest::ClientInfo;
use everwake_protocol::{EntityId, SessionId};
use std::collections::{BTreeMap, HashMap};

/// One client.
#[derive(Clone, Debug)]
pub struct Session {
    /// Whose game it plays.
    pub module: String,
    /// Its own entity, as far as the core knows.
    pub own: EntityId,
    /// Set while its client is on the way to this entity.
    pub taker: Option<EntityId>,
    /// What guests may ask about it.
    pub info: ClientInfo,
    /// Last view epoch that the core has seen.
    pub view: u32,
    /// Entities that it called and that remember it.
    targets: BTreeMap<EntityId, Called>,
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

impl Session {
    /// A new one with a boot entity.
    pub fn new(module: String, own: EntityId, info: ClientInfo) -> Self {
        Self { module, own, taker: None, info, view: 1, targets: BTreeMap::new(), acknowledged: 0 }
    }

    /// Notes that a request goes to an entity. If that makes another one be forgotten, says which, and
    /// the last request whose reply it keeps.
    pub fn requested(&mut self, target: EntityId, request: u64) -> Option<(EntityId, u64)> {
        let mut evicted = None;
        if self.targets.len() >= SESSION_TARGETS_MAX && !self.targets.contains_key(&target) {
            // One that keeps nothing, else the one that was asked longest ago.
            let oldest = self.targets.iter().min_by_key(|(_, called)| (called.open, called.last));
            let oldest = oldest.map(|(entity, called)| (*entity, *called));
            if let Some((entity, called)) = oldest {
                self.targets.remove(&entity);
                evicted = called.open.then_some((entity, called.last));
            }
        }
        self.targets.insert(target, Called { last: request, open: true });
        evicted
    }

    /// The client has all replies up to here: whom to tell. Nobody if it said so before, so that
    /// saying it again and again makes no work.
    pub fn acknowledged(&mut self, request: u64) -> Vec<EntityId> {
        if request <= self.acknowledged {
            return Vec::new();
        }
        self.acknowledged = request;
        let open = self.targets.iter_mut().filter(|(_, called)| called.open);
        open.map(|(target, called)| {
            called.open = called.last > request;
            *target
        })
        .collect()
    }

    /// Entities that remember it.
    pub fn targets(&self) -> impl Iterator<Item = EntityId> {
        self.targets.keys().copied()
    }
}

/// All sessions of a process.
#[derive(Debug, Default)]
pub struct Sessions {
    by_id: HashMap<SessionId, Session>,
    by_own: HashMap<EntityId, SessionId>,
}

impl Sessions {
    /// Adds one.
    pub fn add(&mut self, id: SessionId, session: Session) {
        self.by_own.insert(session.own, id);
        self.by_id.insert(id, session);
    }

    /// Takes one out.
    pub fn remove(&mut self, id: SessionId) -> Option<Session> {
        let session = self.by_id.remove(&id)?;
        if self.by_own.get(&session.own) == Some(&id) {
            self.by_own.remove(&session.own);
        }
        Some(session)
    }

    /// The session's client is on its way to an entity.
    pub fn offer(&mut self, id: SessionId, taker: EntityId) {
        if let Some(session) = self.by_id.get_mut(&id) {
            session.taker = Some(taker);
        }
    }

    /// The session's own entity is another one now; false if there is no such session.
    pub fn bind(&mut self, id: SessionId, own: EntityId) -> bool {
        let Some(session) = self.by_id.get_mut(&id) else { return false };
        if self.by_own.get(&session.own) == Some(&id) {
            self.by_own.remove(&session.own);
        }
        session.own = own;
        if session.taker == Some(own) {
            session.taker = None;
        }
        self.by_own.insert(own, id);
        true
    }

    /// One of them.
    pub fn find(&self, id: SessionId) -> Option<&Session> {
        self.by_id.get(&id)
    }

    /// One of them.
    pub fn find_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.by_id.get_mut(&id)
    }

    /// Whose own entity this is.
    pub fn of_entity(&self, own: EntityId) -> Option<SessionId> {
        self.by_own.get(&own).copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// How many sessions, how many entities of theirs, and how many entities that they called.
    pub fn sizes(&self) -> (usize, usize, usize) {
        let targets = self.by_id.values().map(|session| session.targets.len()).sum();
        (self.by_id.len(), self.by_own.len(), targets)
    }

    /// How many play a module.
    pub fn count(&self, module: &str) -> usize {
        self.by_id.values().filter(|session| session.module == module).count()
    }
}
