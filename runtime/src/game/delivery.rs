//! Messages to entities, and what their authors hear if they cannot be delivered.
//!
//! Every message between spaces passes here, also inside of one process, so that what one
//! entity sends to one other keeps its order over the moves of both.

use super::{GameCore, GameOutput, Ticket};
use crate::cargo::{Cargo, KeyValueAsk, home_of};
use crate::message::{AnswerTo, Body, Input, KeyValueOperation, Message};
use everwake_protocol::client::ServerFrame;
use everwake_protocol::cluster::{Target, ToDispatcher, ToGate};
use everwake_protocol::outcome::{Outcome, code};
use everwake_protocol::{EntityId, Id, SessionId};

impl GameCore {
    /// A message for an entity of a space that is here.
    pub(super) fn hand_message(&mut self, space: EntityId, message: Box<Message>) {
        if let Body::Attach { client, .. } = &message.body
            && self.directory.space(space).is_some_and(|row| row.module != client.module)
        {
            // A client knows the small ids of one module.
            return self.undeliverable(Input::Message(message), code::NOT_EXPOSED);
        }
        self.hand(space, Input::Message(message));
    }

    /// A space does not have an entity that it was sent something for.
    pub(super) fn not_here(&mut self, space: EntityId, message: Box<Message>) {
        let at = self.directory.location(message.target);
        // Whatever the space had to say about the entity has been heard: if it still counts as there, it never came.
        if at.is_some_and(|at| at.space == space && at.leaving.is_none()) {
            self.counters.circled += 1;
            return self.undeliverable(Input::Message(message), code::GONE);
        }
        self.deliver(message);
    }

    /// Gives something to a space, unless its author can be refused and too much waits there.
    pub(super) fn hand(&mut self, space: EntityId, input: Input) {
        let Some(row) = self.directory.space(space) else {
            return self.undeliverable(input, code::GONE);
        };
        let (inputs, bytes) = row.backlog();
        let full = inputs >= self.config.backlog_messages_max || bytes >= self.config.backlog_bytes_max;
        if full && input.is_refusable() {
            return self.undeliverable(input, code::OVERLOADED);
        }
        match &input {
            Input::Message(_) => self.counters.delivered += 1,
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
            Input::Message(message) => self.returned_message(message, code, Outcome::not_run(code)),
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

    /// A message did not get to its target; `outcome` is for a call's author.
    pub(super) fn returned_message(&mut self, message: Box<Message>, code: &'static str, outcome: Outcome) {
        match message.body {
            Body::Call { answer, bounce, .. } => {
                if let (Some(call), Some(sender)) = (bounce, message.from) {
                    let answer = AnswerTo::Entity { entity: sender, call };
                    self.answer(answer, outcome.clone());
                }
                self.answer(answer, outcome);
            }
            Body::Watch { watch, owner } => {
                let fired = self.message(owner, Body::WatchFired { watch, reason: 0 });
                self.deliver(fired);
            }
            Body::Attach { client, answer, .. } => self.attach_failed(*client, message.target, answer, code),
            // Its giver is gone, too: nobody has the client.
            Body::GiveFailed { session, view, .. } => self.send_gate(ToGate::Orphaned { session, view }),
            Body::Answer { .. }
            | Body::Unwatch { .. }
            | Body::WatchFired { .. }
            | Body::Flush { .. }
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

    /// An entity of a space here asks the key-value map of its module.
    pub(super) fn ask_key_value(
        &mut self,
        space: EntityId,
        owner: EntityId,
        call: Id,
        operation: KeyValueOperation,
    ) {
        let Some(module) = self.directory.space(space).map(|row| row.module.clone()) else { return };
        let (target, id) = (Target::Entity(home_of(&module)), self.message_id());
        let ask = KeyValueAsk { module, owner, call, operation };
        self.carry(target, id, true, Cargo::KeyValue(Box::new(ask)));
    }

    /// An operation on a map that is kept here.
    pub(super) fn key_value(&mut self, ask: KeyValueAsk) {
        self.counters.key_values += 1;
        let KeyValueAsk { module, owner, call, operation } = ask;
        let outcome = match self.modules.get_mut(&module) {
            Some(module) => module.key_value.apply(operation),
            None => Outcome::not_run(code::UNAVAILABLE),
        };
        self.answer(AnswerTo::Entity { entity: owner, call }, outcome);
    }

    /// What a space says to an operator's ticket.
    pub(super) fn ticket_answered(&mut self, number: u64, outcome: Outcome) {
        match self.tickets.remove(&number) {
            None => self.counters.dropped += 1,
            Some(Ticket::Create { entity, answer }) => self.created(entity, answer, outcome),
            Some(Ticket::Boot { session, boot }) => self.booted(session, boot, &outcome),
            Some(Ticket::Service { module, type_name, shard }) => {
                self.service_made(module, type_name, shard, &outcome);
            }
            Some(Ticket::Operator { admin, returns, .. }) => {
                self.operator_answered(admin, returns.as_deref(), outcome);
            }
        }
    }

    /// The entity is not there any more.
    pub(super) fn gone(&mut self, entity: EntityId) {
        let epoch = self.directory.remove(entity).unwrap_or_default();
        self.arrivals.end(entity, epoch);
        self.dispatch(ToDispatcher::Gone { entity, epoch });
    }

    fn reply(&mut self, session: SessionId, request: u64, outcome: &Outcome) {
        let frame = ServerFrame::Reply { request, outcome: outcome.to_bytes() }.to_bytes();
        self.send_gate(ToGate::Reply { session, frame });
    }
}
