//! Clients: greeted, handed over, gone.
//!
//! Sessions are their gate's. Which entity is a client's own, spaces say with `ClientBound`.

use super::limits::REQUEST_DEADLINE_MS_MAX;
use super::{GameCore, Ticket};
use crate::guest::ClientInfo;
use crate::message::{AnswerTo, Body, Client, Input};
use bytes::Bytes;
use everwake_protocol::client::{CloseCode, Pose};
use everwake_protocol::cluster::{ToGame, ToGate};
use everwake_protocol::outcome::{Outcome, code};
use everwake_protocol::{EntityId, SessionId};

/// An empty CBOR array.
const NO_ARGS: Bytes = Bytes::from_static(&[0x80]);
/// `hook.client-lost` with this reason: nothing came from the client any more.
pub(super) const TIMED_OUT: u32 = 4;

impl GameCore {
    /// Something about a client, for an entity of a space that is here.
    pub(super) fn client_says(&mut self, space: EntityId, target: EntityId, to_game: ToGame) {
        match to_game {
            ToGame::Request { session, request, acknowledged, module, method, deadline_ms, args } => {
                let deadline_ms = self.deadline(deadline_ms);
                let input =
                    Input::Request { session, request, acknowledged, target, method, deadline_ms, args };
                // Small ids are a module's own: in another one they would name something else.
                if self.directory.space(space).is_some_and(|row| *row.module != *module) {
                    return self.undeliverable(input, code::GONE);
                }
                self.hand(space, input);
            }
            ToGame::Acknowledged { session, request } => {
                self.hand(space, Input::Acknowledged { session, target, request });
            }
            ToGame::Forget { session } => self.hand(space, Input::SessionClosed { session, target }),
            ToGame::Moved { session, pose, motion } => {
                self.hand(space, Input::Moved { session, target, pose, motion });
            }
            ToGame::RoundTrip { session, ms } => self.hand(space, Input::RoundTrip { session, target, ms }),
            ToGame::Detach { session, view, reason } => self.detach(session, target, view, reason),
            ToGame::Connected { .. } | ToGame::Released { .. } => self.counters.dropped += 1,
        }
    }

    /// A gate says to this game, not to one of its entities.
    pub(super) fn released(&mut self, to_game: &ToGame) {
        if let ToGame::Released { session, view } = to_game
            && self.sessions.find(*session).is_some_and(|known| known.view < *view)
        {
            self.sessions.remove(*session);
        }
    }

    /// A client wants a boot entity, and this game was chosen.
    pub(super) fn connected(&mut self, boot: EntityId, to_game: ToGame) {
        let ToGame::Connected { session, view, module, address, token, version, locale } = to_game else {
            return;
        };
        if let Err((code, reason)) = self.admit(&module) {
            self.gone(boot);
            return self.close(session, code, reason);
        }
        let first = self.modules.first().map(|(name, _)| name.clone()).unwrap_or_default();
        let module = if module.is_empty() { first } else { module };
        let Some(type_name) = self.boot_type(&module) else {
            self.gone(boot);
            return self.close(session, CloseCode::Version, "the module takes no clients");
        };
        let shard = self.nil_shard_of(&module, boot);
        if self.full(shard) {
            self.gone(boot);
            return self.close(session, CloseCode::Full, "the server is busy");
        }
        let info = ClientInfo { session: session.0, address, token, version, locale, round_trip_ms: 0.0 };
        self.sessions.bind(session, boot, &module);
        self.directory.place(boot, shard, None, 0);
        let client = Some(Box::new(Client { session, module, info, view: view + 1 }));
        let answer = self.ticket(Ticket::Boot { session, boot });
        let (args, pose) = (NO_ARGS, Pose::default());
        self.hand(shard, Input::Create { entity: boot, type_name, args, pose, answer, client });
    }

    fn admit(&self, module: &str) -> Result<(), (CloseCode, &'static str)> {
        if !module.is_empty() && !self.modules.contains_key(module) || self.modules.is_empty() {
            return Err((CloseCode::Version, "there is no such module"));
        }
        if self.closing.is_some() {
            return Err((CloseCode::Shutdown, "the server is shutting down"));
        }
        if self.sessions.len() >= self.config.sessions_max {
            return Err((CloseCode::Full, "the server is full"));
        }
        Ok(())
    }

    /// Whether the boot entity came to be.
    pub(super) fn booted(&mut self, session: SessionId, boot: EntityId, outcome: &Outcome) {
        let Outcome::Err { code, .. } = outcome else { return };
        self.gone(boot);
        if self.sessions.find(session).is_some_and(|known| known.own == boot) {
            self.sessions.remove(session);
        }
        let reason = format!("the game did not take the client: {code}");
        self.close(session, CloseCode::Done, &reason);
    }

    /// An entity of a space here has this client no more, if it had it.
    pub(super) fn detach(&mut self, session: SessionId, target: EntityId, view: u32, reason: u32) {
        if self.sessions.find(session).is_some_and(|known| known.own == target && known.view <= view) {
            self.sessions.remove(session);
        }
        let detach = self.message(target, Body::Detach { session, view, reason });
        self.deliver(detach);
    }

    /// An entity has a client.
    pub(super) fn client_bound(&mut self, space: EntityId, session: SessionId, entity: EntityId) {
        if let Some(row) = self.directory.space(space) {
            self.sessions.bind(session, entity, &row.module);
        }
    }

    /// A client could not be given: its giver is told, and keeps it. If that is gone, its gate will be told.
    pub(super) fn attach_failed(
        &mut self,
        client: Client,
        taker: EntityId,
        answer: AnswerTo,
        code: &'static str,
    ) {
        let session = client.session;
        if let Some(known) = self.sessions.find_mut(session) {
            known.taker = None;
        }
        if let AnswerTo::Entity { entity: giver, .. } = answer {
            // The giver first: whoever hears the answer may give it to somebody else at once.
            let body = Body::GiveFailed { session, taker, view: client.view, code: code.to_owned() };
            let failed = self.message(giver, body);
            self.deliver(failed);
        }
        self.answer(answer, Outcome::not_run(code));
    }

    /// An entity is gone: a client that had no other place to go is told good-bye.
    pub(super) fn own_entity_gone(&mut self, entity: EntityId) {
        let Some(session) = self.sessions.of_entity(entity) else { return };
        if self.sessions.remove(session).is_some_and(|known| known.taker.is_none()) {
            self.close(session, CloseCode::Done, "the client's entity was destroyed");
        }
    }

    fn close(&mut self, session: SessionId, code: CloseCode, reason: &str) {
        self.send_gate(ToGate::Close { session, code, reason: reason.to_owned() });
    }

    fn boot_type(&self, module: &str) -> Option<String> {
        let head = &self.modules.get(module)?.head;
        head.manifest.types.iter().find(|kind| kind.boot).map(|kind| kind.name.clone())
    }

    fn full(&self, space: EntityId) -> bool {
        self.directory.space(space).is_none_or(|row| row.backlog().0 >= self.config.backlog_messages_max)
    }

    /// From a client's milliseconds to UTC; 0 stays 0: nobody waits.
    fn deadline(&self, deadline_ms: u32) -> u64 {
        match u64::from(deadline_ms) {
            0 => 0,
            wait => self.now_ms + wait.min(REQUEST_DEADLINE_MS_MAX),
        }
    }
}
