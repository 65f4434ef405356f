//! Messages to entities, and what their authors hear if they cannot be delivered.
//!
//! Every message between spaces passes here, also inside of one process, so that what one
//! entity sends to one other keeps its order over the moves of both.

use super::directory::Routed;
use super::limits::HOPS_MAX;
use super::{GameCore, GameOutput, Ticket};
use crate::message::{AnswerTo, Body, Input, KeyValueOperation, Message};
use everwake_protocol::client::ServerFrame;
use everwake_protocol::cluster::ToGate;
use everwake_protocol::outcome::{Outcome, code};
use everwake_protocol::{EntityId, Id, SessionId};

impl GameCore {
    /// Brings a message to its target's space, now or when it has arrived there.
    pub(super) fn deliver(&mut self, message: Box<Message>) {
        if let Body::Attach { client, .. } = &message.body {
            let known = self.sessions.find(client.session);
            let there = self.directory.module_of(message.target);
            match (known, there) {
                // It closed: whoever had it was told.
                (None, _) => return self.undeliverable(Input::Message(message), code::GONE),
                // A client knows the small ids of one module.
                (Some(known), Some(there)) if known.module != there => {
                    return self.undeliverable(Input::Message(message), code::NOT_EXPOSED);
                }
                _ => {}
            }
        }
        self.route(message.target, Input::Message(message));
    }

    /// Brings anything to an entity's space.
    pub(super) fn route(&mut self, entity: EntityId, input: Input) {
        match self.directory.route(entity, input) {
            Routed::To(space, input) => self.hand(space, input),
            Routed::Parked => {}
            Routed::Overloaded(input) => self.undeliverable(input, code::OVERLOADED),
            Routed::Unknown(input) => self.undeliverable(input, code::GONE),
        }
    }

    /// Gives something to a space, unless its author can be refused and too much waits there.
    pub(super) fn hand(&mut self, space: EntityId, mut input: Input) {
        let Some(row) = self.directory.space(space) else {
            return self.undeliverable(input, code::GONE);
        };
        let (inputs, bytes) = row.backlog();
        let full = inputs >= self.config.backlog_messages_max || bytes >= self.config.backlog_bytes_max;
        if full && input.is_refusable() {
            return self.undeliverable(input, code::OVERLOADED);
        }
        match &mut input {
            Input::Message(message) if message.hops >= HOPS_MAX => {
                self.counters.hops += 1;
                return self.undeliverable(input, code::GONE);
            }
            Input::Message(message) => {
                message.hops += 1;
                self.counters.delivered += 1;
            }
            Input::Request { .. } => self.counters.requests += 1,
            _ => {}
        }
        self.directory.handed(space, &input);
        self.out.push(GameOutput::ToSpace(space, input));
    }

    /// Tells the author of something that it surely did not happen.
    pub(super) fn undeliverable(&mut self, input: Input, code: &'static str) {
        match code {
            code::OVERLOADED => self.counters.overloaded += 1,
            _ => self.counters.gone += 1,
        }
        match input {
            Input::Message(message) => self.undeliverable_message(message, code),
            Input::Request { session, request, deadline_ms, .. } if deadline_ms != 0 => {
                self.answer(AnswerTo::Client { session, request }, Outcome::not_run(code));
            }
            Input::Create { entity, answer, .. } => {
                self.gone(entity);
                self.answer(answer, Outcome::not_run(code));
            }
            Input::Install(traveller) => self.arrival_refused(traveller, code),
            Input::Inspect { ticket, .. } => self.ticket_answered(ticket, Outcome::not_run(code)),
            _ => self.counters.dropped += 1,
        }
    }

    fn undeliverable_message(&mut self, message: Box<Message>, code: &'static str) {
        match message.body {
            Body::Call { answer, bounce, .. } => {
                if let (Some(call), Some(sender)) = (bounce, message.from) {
                    let answer = AnswerTo::Entity { entity: sender, call };
                    self.answer(answer, Outcome::not_run(code));
                }
                self.answer(answer, Outcome::not_run(code));
            }
            Body::Watch { watch, owner } => {
                let fired = self.message(owner, Body::WatchFired { watch, reason: 0 });
                self.deliver(fired);
            }
            Body::Attach { client, answer, .. } => self.attach_failed(*client, message.target, answer, code),
            Body::Answer { .. }
            | Body::Unwatch { .. }
            | Body::WatchFired { .. }
            | Body::Flush { .. }
            | Body::GiveFailed { .. }
            | Body::Detach { .. } => {
                self.counters.dropped += 1;
            }
        }
    }

    /// Says to whoever waits how it ended.
    pub(super) fn answer(&mut self, to: AnswerTo, outcome: Outcome) {
        match to {
            AnswerTo::Nobody => {}
            AnswerTo::Entity { entity, call } => {
                let answer = self.message(entity, Body::Answer { call, outcome });
                self.deliver(answer);
            }
            AnswerTo::Client { session, request } => self.reply(session, request, &outcome),
            AnswerTo::Operator { ticket } => self.ticket_answered(ticket, outcome),
        }
    }

    /// Answers a key-value operation of one of a space's entities.
    pub(super) fn key_value(
        &mut self,
        space: EntityId,
        owner: EntityId,
        call: Id,
        operation: KeyValueOperation,
    ) {
        self.counters.key_values += 1;
        let Some(row) = self.directory.space(space) else { return };
        let Some(module) = self.modules.get_mut(&row.module) else { return };
        let outcome = module.key_value.apply(operation);
        self.answer(AnswerTo::Entity { entity: owner, call }, outcome);
    }

    /// What a space says to an operator's ticket.
    pub(super) fn ticket_answered(&mut self, number: u64, outcome: Outcome) {
        match self.tickets.remove(&number) {
            None => self.counters.dropped += 1,
            Some(Ticket::Create { entity, answer }) => self.created(entity, answer, outcome),
            Some(Ticket::Boot(session)) => self.booted(session, &outcome),
            Some(Ticket::Service { module, type_name, shard }) => {
                self.service_made(module, type_name, shard, &outcome);
            }
            Some(Ticket::Operator { admin, returns, .. }) => {
                self.operator_answered(admin, returns.as_deref(), outcome);
            }
        }
    }

    /// The entity is not there any more: tells everybody who waits for it.
    pub(super) fn gone(&mut self, entity: EntityId) {
        for input in self.directory.remove(entity) {
            self.undeliverable(input, code::GONE);
        }
    }

    fn reply(&mut self, session: SessionId, request: u64, outcome: &Outcome) {
        let frame = ServerFrame::Reply { request, outcome: outcome.to_bytes() }.to_bytes();
        self.send_gate(ToGate::Reply { session, frame });
    }
}
