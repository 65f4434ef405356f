//! Clients come, go and are handed over.

use super::state::{Space, no_args};
use crate::guest::Hook;
use crate::message::{AnswerTo, Body, Client, Output};
use crate::replicate::Change;
use everwake_protocol::outcome::{Outcome, code};
use everwake_protocol::{EntityId, SessionId, cbor};

/// `hook.client-lost` with this reason: another entity has the client now.
const GIVEN_AWAY: u32 = 2;

impl Space {
    /// Somebody hands a client over to an entity.
    pub(super) fn attach(
        &mut self,
        target: EntityId,
        giver: Option<EntityId>,
        offer: (Box<Client>, u32),
        replace: bool,
        answer: AnswerTo,
    ) {
        let (mut client, view) = offer;
        client.view = view;
        let Some(entity) = self.world.by_id(target) else { return };
        if entity.dying {
            return self.refuse_client(target, client, answer, code::GONE);
        }
        let session = client.session;
        let held = entity.body.client.as_ref().map(|client| client.session);
        if held.is_some() && held != Some(session) && !replace {
            return self.refuse_client(target, client, answer, "has-client");
        }
        if let Some(giver) = giver.filter(|giver| *giver != target) {
            // Before anything of the new view: the giver is no owner any more.
            let body = Body::Detach { session, view: view.saturating_sub(1), reason: GIVEN_AWAY };
            let detach = self.message(Some(target), giver, body);
            self.route(detach);
        }
        self.bind(target, *client);
        self.answer(target, answer, Outcome::null());
    }

    /// The target does not take the client: the game core knows where that goes.
    pub(super) fn refuse_client(
        &mut self,
        taker: EntityId,
        client: Box<Client>,
        answer: AnswerTo,
        code: &'static str,
    ) {
        self.fifo.push(Output::ClientRefused { client, taker, answer, code });
    }

    /// Nobody took the client that an entity gave.
    pub(super) fn give_failed(&mut self, giver: EntityId, session: SessionId, taker: EntityId, code: &str) {
        let Some(entity) = self.world.by_id_mut(giver) else { return };
        let keeps = entity.body.client.as_ref().is_some_and(|client| client.session == session);
        if !keeps || !std::mem::take(&mut entity.giving) {
            return;
        }
        self.tell(giver, Hook::GiveFailed, |args| {
            cbor::array(args, 2);
            cbor::id(args, taker.0);
            cbor::text(args, code);
        });
    }

    /// From now on it is this entity's client.
    pub(super) fn bind(&mut self, target: EntityId, client: Client) {
        let session = client.session;
        let view = client.view;
        let Some(entity) = self.world.by_id(target) else { return };
        if let Some(old) = entity.body.client.as_ref().map(|client| client.session)
            && old != session
        {
            let reason = "another client took over".to_owned();
            self.changes.push(Change::Kick { session: old, reason });
            self.detach(target, old, 3);
        }
        // The same session at another entity of this space is bound over.
        let former = self.world.sessions.insert(session, target).filter(|former| *former != target);
        if let Some(former) = former {
            self.lose(former, session, GIVEN_AWAY);
        }
        let Some(entity) = self.world.by_id_mut(target) else { return };
        entity.body.client = Some(client);
        entity.body.filters.clear();
        entity.body.former = entity.body.former.filter(|former| *former != session);
        self.changes.push(Change::ClearFilters { session });
        self.changes.push(Change::Attached { entity: target, session, view });
        self.fifo.push(Output::ClientBound { session, entity: target });
        self.replicate();
        self.tell(target, Hook::Client, no_args);
    }

    /// The same, unless the entity has got the client by a later view meanwhile.
    pub(super) fn detach_up_to(&mut self, target: EntityId, session: SessionId, view: u32, reason: u32) {
        let has = self.world.by_id(target).and_then(|entity| entity.body.client.as_ref());
        if has.is_some_and(|client| client.session == session && client.view <= view) {
            self.detach(target, session, reason);
        }
    }

    /// An entity's client is gone: 0 closed, 1 kicked, 2 given away, 3 replaced, 4 timed out.
    pub(super) fn detach(&mut self, target: EntityId, session: SessionId, reason: u32) {
        let Some(entity) = self.world.by_id(target) else { return };
        if entity.body.client.as_ref().is_none_or(|client| client.session != session) {
            return;
        }
        if self.world.sessions.get(&session) == Some(&target) {
            self.world.sessions.remove(&session);
            self.changes.push(Change::Detached { session });
        }
        self.lose(target, session, reason);
        self.replicate();
        if reason != GIVEN_AWAY {
            self.charges.forget(session);
        }
    }

    /// The entity's half of losing a client.
    fn lose(&mut self, target: EntityId, session: SessionId, reason: u32) {
        let Some(entity) = self.world.by_id_mut(target) else { return };
        if entity.body.client.as_ref().is_none_or(|client| client.session != session) {
            return;
        }
        entity.body.client = None;
        entity.body.filters.clear();
        entity.giving = false;
        if reason == GIVEN_AWAY {
            entity.body.former = Some(session);
        }
        let watchers = std::mem::take(&mut entity.body.watchers);
        self.tell(target, Hook::ClientLost, |args| {
            cbor::array(args, 1);
            cbor::uint(args, u64::from(reason));
        });
        for (owner, watch) in watchers {
            let fired = self.message(Some(target), owner, Body::WatchFired { watch, reason: 1 });
            self.route(fired);
        }
    }

    /// A client that makes a handler crash again and again is closed.
    pub(super) fn kick_for_crashes(&mut self, session: SessionId) {
        let reason = "too many calls that crash the server's code".to_owned();
        self.changes.push(Change::Kick { session, reason });
        self.replicate();
        if let Some(owner) = self.world.sessions.get(&session).copied() {
            self.detach(owner, session, 1);
        }
    }
}
