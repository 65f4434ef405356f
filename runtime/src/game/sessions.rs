//! Clients whose own entity is here.
//!
//! Sessions are their gate's; here stands what the game must know to tell the gate when one has nobody any more.

use everwake_protocol::{EntityId, SessionId};
use std::collections::HashMap;

/// One client.
#[derive(Clone, Debug)]
pub struct Session {
    /// Whose game it plays.
    pub module: String,
    /// Its own entity.
    pub own: EntityId,
    /// Set while its client is on the way to this entity.
    pub taker: Option<EntityId>,
    /// Last view epoch that its gate was told of.
    pub view: u32,
}

/// All sessions of a process.
#[derive(Debug, Default)]
pub struct Sessions {
    by_id: HashMap<SessionId, Session>,
    by_own: HashMap<EntityId, SessionId>,
}

impl Sessions {
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

    /// The session's own entity is this one now.
    pub fn bind(&mut self, id: SessionId, own: EntityId, module: &str) {
        let fresh = || Session { module: module.to_owned(), own, taker: None, view: 0 };
        let session = self.by_id.entry(id).or_insert_with(fresh);
        if self.by_own.get(&session.own) == Some(&id) {
            self.by_own.remove(&session.own);
        }
        session.own = own;
        session.taker = session.taker.filter(|taker| *taker != own);
        self.by_own.insert(own, id);
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

    /// How many sessions, and how many entities of theirs.
    pub fn sizes(&self) -> (usize, usize) {
        (self.by_id.len(), self.by_own.len())
    }

    /// Those of one life of a gate, by id.
    pub fn of_gate(&self, gate_random: u64) -> Vec<SessionId> {
        let mut found: Vec<SessionId> =
            self.by_id.keys().copied().filter(|session| session.gate_random() == gate_random).collect();
        found.sort_unstable();
        found
    }

    /// How many play a module.
    pub fn count(&self, module: &str) -> usize {
        self.by_id.values().filter(|session| session.module == module).count()
    }
}
