//! The gate as a state machine: inputs and the time go in, outputs come out.
//!
//! No socket, no clock, no randomness: the driver brings them. One input, all that follows from
//! it, next input; [`GateCore::flush`] after a batch of inputs, so that many frames of one client
//! make one write.

use crate::connection::{Connection, Cx, Standing};
use crate::limits::GateLimits;
use crate::logbook::Logbook;
use crate::modules::Modules;
use crate::origins::{Origins, Place};
use crate::post::Post;
use crate::values::{ConnectionId, GateInput, GateOutput, GateStatus};
use bytes::Bytes;
use everwake_protocol::client::{CloseCode, ServerFrame};
use everwake_protocol::cluster::Incarnation;
use everwake_protocol::outcome::Outcome;
use everwake_protocol::{EntityId, Id, SessionId};
use indexmap::{IndexMap, IndexSet};
use std::net::SocketAddr;
use std::time::Duration;

mod dispatched;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) limits: GateLimits,
    pub(crate) modules: Modules,
    pub(crate) sessions: IndexMap<SessionId, ConnectionId>,
    pub(crate) origins: Origins,
    /// Handshakes under way with addresses that have not shown to be there.
    pub(crate) unproven: usize,
    pub(crate) logbook: Logbook,
    pub(crate) status: GateStatus,
    /// Connections that have something to write, or to be closed after it.
    pub(crate) dirty: Vec<ConnectionId>,
    pub(crate) post: Post,
    /// Lives of processes that are over, in the order in which that was heard.
    pub(crate) dead: IndexSet<Incarnation>,
    seed: Id,
    minted: u64,
}

impl Shared {
    /// The seed is random, so nobody guesses what is minted, and no two lives of a gate mint the same.
    fn mint(&mut self, what: &[u8]) -> Id {
        self.minted += 1;
        Id::derive(&[&self.seed.to_bytes(), what, &self.minted.to_be_bytes()])
    }

    /// An id for a session, which says whose it is.
    pub(crate) fn mint_session(&mut self) -> SessionId {
        let chance = self.mint(b"session").to_u128() as u64;
        SessionId::of_gate(self.post.incarnation().random, chance)
    }

    /// An id for an entity that a game is asked for.
    pub(crate) fn mint_boot(&mut self) -> EntityId {
        EntityId(self.mint(b"boot"))
    }
}

/// See the head of this module.
#[derive(Debug)]
pub struct GateCore {
    connections: IndexMap<ConnectionId, Connection>,
    shared: Shared,
    stopping: bool,
}

impl GateCore {
    /// A gate without connections. `incarnation` and `seed` must be random and new for each life of a gate.
    pub fn new(limits: GateLimits, incarnation: Incarnation, seed: Id) -> GateCore {
        let shared = Shared {
            limits,
            modules: Modules::default(),
            sessions: IndexMap::new(),
            origins: Origins::default(),
            unproven: 0,
            logbook: Logbook::default(),
            status: GateStatus::default(),
            dirty: Vec::new(),
            post: Post::new(incarnation),
            dead: IndexSet::new(),
            seed,
            minted: 0,
        };
        GateCore { connections: IndexMap::new(), shared, stopping: false }
    }

    /// Takes one input and appends everything that follows from it, but for writes.
    /// `now` never goes back.
    pub fn handle(&mut self, now: Duration, input: GateInput, out: &mut Vec<GateOutput>) {
        match input {
            GateInput::Incoming { connection, address, proven } => {
                self.incoming(now, connection, address, proven, out);
            }
            GateInput::Established { connection } => self.on(connection, now, out, Connection::established),
            GateInput::Received { connection, bytes } => {
                self.on(connection, now, out, |found, cx| found.received(&bytes, cx));
            }
            GateInput::Finished { connection } => self.on(connection, now, out, |found, cx| {
                found.close(CloseCode::Done, "good-bye", true, cx);
            }),
            GateInput::Datagram { connection, bytes } => {
                self.on(connection, now, out, |found, cx| found.datagram(bytes, cx));
            }
            GateInput::Written { connection } => self.on(connection, now, out, Connection::written),
            GateInput::Misused { connection, what } => self.on(connection, now, out, |found, cx| {
                found.fail(CloseCode::Protocol, what, cx);
            }),
            GateInput::RoundTrip { connection, ms } => {
                self.on(connection, now, out, |found, cx| found.round_trip(ms, cx));
            }
            GateInput::Gone { connection, timed_out } => {
                if let Some(mut found) = self.connections.swap_remove(&connection) {
                    found.gone(timed_out, &mut Cx { shared: &mut self.shared, now, out });
                }
            }
            GateInput::Dispatched(message) => self.dispatched(now, message, out),
            GateInput::Tick => {
                self.shared.origins.tidy(now);
                self.each(now, out, Connection::tick);
            }
            GateInput::Drain { on } => self.shared.status.drains = on,
            GateInput::Shutdown => self.stop(now, out),
        }
    }

    /// Appends the writes of all clients that have something to be written.
    pub fn flush(&mut self, now: Duration, out: &mut Vec<GateOutput>) {
        for connection in std::mem::take(&mut self.shared.dirty) {
            if let Some(found) = self.connections.get_mut(&connection) {
                found.flush(now, out);
            }
        }
    }

    /// Counts.
    pub fn status(&self) -> GateStatus {
        GateStatus {
            connections: self.connections.len(),
            sessions: self.shared.sessions.len(),
            queued_bytes: self.connections.values().map(Connection::queued_bytes).sum(),
            ..self.shared.status.clone()
        }
    }

    /// True if nobody is connected any more.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    fn on(
        &mut self,
        connection: ConnectionId,
        now: Duration,
        out: &mut Vec<GateOutput>,
        act: impl FnOnce(&mut Connection, &mut Cx<'_>),
    ) {
        if let Some(found) = self.connections.get_mut(&connection) {
            act(found, &mut Cx { shared: &mut self.shared, now, out });
        }
    }

    fn each(&mut self, now: Duration, out: &mut Vec<GateOutput>, act: impl Fn(&mut Connection, &mut Cx<'_>)) {
        for found in self.connections.values_mut() {
            act(found, &mut Cx { shared: &mut self.shared, now, out });
        }
    }

    fn incoming(
        &mut self,
        now: Duration,
        connection: ConnectionId,
        address: SocketAddr,
        proven: bool,
        out: &mut Vec<GateOutput>,
    ) {
        let Shared { limits, origins, unproven, status, .. } = &mut self.shared;
        let place = Place::of(address.ip());
        let refused = if self.stopping {
            Some(("refused-stopping", "the gate is shutting down".to_owned()))
        } else if status.drains {
            Some(("refused-draining", "the gate is to stop, and lets nobody in".to_owned()))
        } else if self.connections.len() >= limits.connections {
            Some(("refused-full", format!("{} connections are the limit", limits.connections)))
        } else if proven {
            let crowded = origins.enter(place, now, limits).err();
            crowded.map(|crowded| (crowded.cause(), format!("`{place}`: {crowded}")))
        } else if *unproven >= limits.unproven_handshakes || origins.crowded(place, now, limits).is_some() {
            // Whoever has shown its address is judged by it, before the work of a handshake.
            self.shared.status.retried += 1;
            out.push(GateOutput::Retry { connection });
            return;
        } else {
            *unproven += 1;
            None
        };
        if let Some((cause, text)) = refused {
            self.shared.status.refused += 1;
            self.shared.logbook.note(now, cause, text, out);
            out.push(GateOutput::Refuse { connection });
            return;
        }
        let standing = if proven { Standing::Counted } else { Standing::Unproven };
        let found = Connection::new(connection, address, standing, now, &self.shared.limits);
        self.connections.insert(connection, found);
        out.push(GateOutput::Accept { connection });
    }

    fn stop(&mut self, now: Duration, out: &mut Vec<GateOutput>) {
        self.stopping = true;
        self.each(now, out, |found, cx| {
            found.close(CloseCode::Shutdown, "the server is shutting down", true, cx);
        });
    }

    fn of_session(
        &mut self,
        session: SessionId,
        now: Duration,
        out: &mut Vec<GateOutput>,
        act: impl FnOnce(&mut Connection, &mut Cx<'_>),
    ) {
        match self.shared.sessions.get(&session).copied() {
            Some(connection) => self.on(connection, now, out, act),
            // It closed while this was under way.
            None => self.shared.status.dropped += 1,
        }
    }
}

/// The frame that answers a request.
pub(crate) fn reply(request: u64, outcome: &Outcome) -> Bytes {
    ServerFrame::Reply { request, outcome: outcome.to_bytes() }.to_bytes()
}

#[cfg(test)]
mod tests;
