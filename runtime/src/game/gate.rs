//! Clients: greeted, routed, handed over, gone.
//!
//! Knows sessions and entities, no connections. A session has exactly one own entity from its
//! first moment; which one, spaces say with `ClientBound`.

use super::limits::REQUEST_DEADLINE_MS_MAX;
use super::sessions::Session;
use super::{GameCore, GameOutput, Ticket};
use crate::guest::ClientInfo;
use crate::message::{AnswerTo, Body, Client, Input};
use bytes::Bytes;
use everwake_protocol::client::{CloseCode, Pose};
use everwake_protocol::cluster::{ToGame, ToGate};
use everwake_protocol::outcome::{Outcome, code};
use everwake_protocol::{EntityId, SessionId};

/// An empty CBOR array.
const NO_ARGS: Bytes = Bytes::from_static(&[0x80]);

impl GameCore {
    pub(super) fn handle_gate(&mut self, from_gate: ToGame) {
        match from_gate {
            ToGame::Connected { session, boot, module, address, token, version, locale } => {
                let info =
                    ClientInfo { session: session.0, address, token, version, locale, round_trip_ms: 0.0 };
                self.connected(session, boot, module, info);
            }
            ToGame::Request { session, request, acknowledged, target, method, deadline_ms, args } => {
                let deadline_ms = self.deadline(deadline_ms);
                let input =
                    Input::Request { session, request, acknowledged, target, method, deadline_ms, args };
                self.request(session, request, target, input);
            }
            ToGame::Acknowledged { session, request } => self.acknowledged(session, request),
            ToGame::Moved { session, pose, motion } => {
                if let Some(target) = self.sessions.find(session).map(|session| session.own) {
                    self.route(target, Input::Moved { session, target, pose, motion });
                }
            }
            ToGame::RoundTrip { session, ms } => {
                if let Some(known) = self.sessions.find_mut(session) {
                    known.info.round_trip_ms = ms;
                    let target = known.own;
                    self.route(target, Input::RoundTrip { session, target, ms });
                }
            }
            ToGame::Closed { session, reason } => self.session_closed(session, reason),
        }
    }

    /// Anything for the gate; the core notes which view a client has.
    pub(super) fn send_gate(&mut self, to_gate: ToGate) {
        if let ToGate::View { session, view, .. } = &to_gate
            && let Some(known) = self.sessions.find_mut(*session)
        {
            known.view = *view;
        }
        self.out.push(GameOutput::Gate(to_gate));
    }

    fn connected(&mut self, session: SessionId, boot: EntityId, module: String, info: ClientInfo) {
        let known = match module.as_str() {
            "" => self.modules.first().map(|(name, _)| name.clone()),
            name => self.modules.contains_key(name).then_some(module),
        };
        let Some(module) = known else {
            return self.close(session, CloseCode::Version, "there is no such module");
        };
        if self.closing.is_some() {
            return self.close(session, CloseCode::Shutdown, "the server is shutting down");
        }
        if self.sessions.len() >= self.config.sessions_max {
            return self.close(session, CloseCode::Full, "the server is full");
        }
        if self.sessions.find(session).is_some() || self.directory.location(boot).is_some() {
            return self.close(session, CloseCode::Protocol, "the session is known already");
        }
        let Some(type_name) = self.boot_type(&module) else {
            return self.close(session, CloseCode::Version, "the module takes no clients");
        };
        let client = Client { session, info: info.clone(), view: 1 };
        self.sessions.add(session, Session::new(module.clone(), boot, info));
        self.boot(session, &module, boot, type_name, client);
    }

    fn boot(&mut self, session: SessionId, module: &str, boot: EntityId, type_name: String, client: Client) {
        let shard = self.nil_shard_of(module, boot);
        if self.full(shard) {
            self.sessions.remove(session);
            return self.close(session, CloseCode::Full, "the server is busy");
        }
        self.directory.place(boot, shard, None, 0);
        let answer = self.ticket(Ticket::Boot(session));
        let (args, pose, client) = (NO_ARGS, Pose::default(), Some(Box::new(client)));
        self.hand(shard, Input::Create { entity: boot, type_name, args, pose, answer, client });
    }

    /// Whether the boot entity came to be.
    pub(super) fn booted(&mut self, session: SessionId, outcome: &Outcome) {
        let Outcome::Err { code, .. } = outcome else { return };
        if let Some(known) = self.sessions.remove(session) {
            self.gone(known.own);
            let reason = format!("the game did not take the client: {code}");
            self.close(session, CloseCode::Done, &reason);
        }
    }

    fn request(&mut self, session: SessionId, request: u64, target: EntityId, input: Input) {
        let Some(known) = self.sessions.find_mut(session) else { return };
        // Small ids are a module's own: in another one they would name something else.
        if self.directory.module_of(target).is_some_and(|module| module != known.module) {
            return self.undeliverable(input, code::GONE);
        }
        let evicted = known.requested(target, request);
        if let Some((target, request)) = evicted {
            // Nobody will tell it later.
            self.route(target, Input::Acknowledged { session, target, request });
        }
        self.route(target, input);
    }

    fn acknowledged(&mut self, session: SessionId, request: u64) {
        let Some(known) = self.sessions.find_mut(session) else { return };
        for target in known.acknowledged(request) {
            self.route(target, Input::Acknowledged { session, target, request });
        }
    }

    fn session_closed(&mut self, session: SessionId, reason: u32) {
        let Some(known) = self.sessions.remove(session) else { return };
        for target in known.targets() {
            self.route(target, Input::SessionClosed { session, target });
        }
        // On its way to somebody: both are told, and who does not have it ignores it.
        for target in [Some(known.own), known.taker].into_iter().flatten() {
            self.detach(session, target, reason);
        }
    }

    fn detach(&mut self, session: SessionId, target: EntityId, reason: u32) {
        let detach = self.message(target, Body::Detach { session, reason });
        self.deliver(detach);
    }

    /// An entity has a client. One that closed while it was on its way there is taken off again.
    pub(super) fn client_bound(&mut self, session: SessionId, entity: EntityId) {
        if !self.sessions.bind(session, entity) {
            self.detach(session, entity, 0);
        }
    }

    /// A client could not be given: it stays where it is, or gets a new boot entity if that is gone.
    pub(super) fn attach_failed(
        &mut self,
        client: Client,
        taker: EntityId,
        answer: AnswerTo,
        code: &'static str,
    ) {
        let session = client.session;
        let Some(known) = self.sessions.find_mut(session) else {
            return self.answer(answer, Outcome::not_run(code));
        };
        known.taker = None;
        let (own, module) = (known.own, known.module.clone());
        if self.directory.location(own).is_some() {
            // The giver first: whoever hears the answer may give it to somebody else at once.
            let code_text = code.to_owned();
            let failed = self.message(own, Body::GiveFailed { session, taker, code: code_text });
            self.deliver(failed);
            return self.answer(answer, Outcome::not_run(code));
        }
        self.boot_again(session, &module, client);
    }

    fn boot_again(&mut self, session: SessionId, module: &str, client: Client) {
        let Some(type_name) = self.boot_type(module) else {
            self.sessions.remove(session);
            return self.close(session, CloseCode::Done, "the client has no entity any more");
        };
        let boot = EntityId(self.mint_id());
        self.sessions.bind(session, boot);
        let view = client.view + 1;
        self.boot(session, module, boot, type_name, Client { view, ..client });
    }

    /// An entity is gone: a client that had no other place to go is told good-bye.
    pub(super) fn own_entity_gone(&mut self, entity: EntityId) {
        let Some(session) = self.sessions.of_entity(entity) else { return };
        if self.sessions.find(session).is_some_and(|known| known.taker.is_none()) {
            self.sessions.remove(session);
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
