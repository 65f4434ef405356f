//! From the mailbox to an event: who is it for, may they, and as what does the guest get it.
//!
//! What needs no guest is done here at once; the rest goes back as a [`Next`].

use super::charge::Charged;
use super::entity::{Entity, Slot};
use super::mailbox::{Fact, Item, Waiting};
use super::running::Frame;
use super::state::Space;
use crate::guest::{EventKind, Hook, Origin};
use crate::manifest::Exposure;
use crate::message::{AnswerTo, Body, Class, Input, Message, Output, Traveller};
use crate::versions::{MethodKey, ModuleVersion};
use bytes::Bytes;
use everwake_protocol::cluster::MessageId;
use everwake_protocol::outcome::{Outcome, code};
use everwake_protocol::{EntityId, Id, SessionId, cbor};
use std::sync::Arc;

/// What the space does next.
pub(super) enum Next {
    /// Nothing is left.
    Idle,
    /// It was done without the guest.
    Done,
    /// An event for the guest: its frame is prepared.
    Event,
    /// An entity that the host makes.
    Create(Box<super::life::Birth>),
    /// An entity arrives: it may have to be migrated.
    Install(Box<Traveller>),
    /// Another version.
    Swap(Arc<ModuleVersion>),
    /// What another version would do.
    Rehearse { ticket: u64, version: Arc<ModuleVersion> },
}

impl Space {
    /// Takes the next fact, or the next item if there is none.
    pub(super) fn next(&mut self) -> Next {
        if let Some(fact) = self.mailbox.facts.pop_front() {
            return self.next_fact(fact);
        }
        let Some(Waiting { slot, item }) = self.mailbox.pop() else { return Next::Idle };
        let slot = self.addressee(&item, slot);
        match item {
            Item::Message(message) => self.take_message(message, slot),
            Item::Input(input) => match *input {
                request @ Input::Request { .. } => self.take_request(request),
                input => self.take_input(input),
            },
            Item::Timer { entity, timer } => self.fire(entity, timer),
            Item::Expired { entity, call } => self.expire(entity, call),
            Item::DeferredExpired { entity, deferred } => self.expire_deferred(entity, deferred),
        }
    }

    /// Where the addressee of an item lies now; `hint` says where it lay when the item came.
    fn addressee(&mut self, item: &Item, hint: Option<Slot>) -> Option<Slot> {
        let id = item.addressee()?;
        let slot = match hint.filter(|slot| self.world.get(*slot).is_some_and(|there| there.id == id)) {
            Some(slot) => slot,
            None => self.world.slot(id)?,
        };
        let entity = self.world.get_mut(slot)?;
        entity.queued = entity.queued.saturating_sub(1);
        Some(slot)
    }

    /// Written where the event runs, so that it is not moved about.
    pub(super) fn prepare(&mut self, frame: Frame) -> Next {
        self.running.frame = frame;
        Next::Event
    }

    fn next_fact(&mut self, fact: Fact) -> Next {
        match fact {
            Fact::Hook { entity, hook, args } => self.hook(entity, hook, args),
            Fact::Attach { entity, client } => {
                self.bind(entity, *client);
                Next::Done
            }
            Fact::Gone { entity } => {
                self.remove_destroyed(entity);
                Next::Done
            }
            Fact::Depart { entity } => {
                self.depart(entity);
                Next::Done
            }
            Fact::Closed => {
                self.fifo.push(Output::Closed);
                Next::Done
            }
        }
    }

    /// A hook as an event, if the entity is still here.
    pub(super) fn hook(&mut self, entity: EntityId, hook: Hook, args: Bytes) -> Next {
        let Some(slot) = self.world.slot(entity) else { return Next::Done };
        let Some(type_index) = self.world.get(slot).map(|entity| entity.type_index) else {
            return Next::Done;
        };
        // The version may have changed in between.
        if !self.implements(type_index, hook) {
            return Next::Done;
        }
        let slot = Some(slot);
        let method = hook as u32;
        self.prepare(Frame { entity, slot, type_index, method, args, ..Frame::default() })
    }

    fn take_input(&mut self, input: Input) -> Next {
        match input {
            Input::Create { entity, type_name, args, pose, answer, client } => {
                match self.conceive(entity, &type_name, args, pose, answer, client) {
                    Some(birth) => return Next::Create(Box::new(birth)),
                    None => {
                        let outcome = Outcome::not_run("create-failed").with_text("no such type, or no room");
                        self.answer(entity, answer, outcome);
                        self.replicate();
                    }
                }
            }
            Input::Install(traveller) => return Next::Install(traveller),
            Input::Swap(version) => return Next::Swap(version),
            Input::Rehearse { ticket, version } => return Next::Rehearse { ticket, version },
            Input::Marker { entity, intent } => self.marker(entity, intent),
            Input::Ready => self.deployment_ready(),
            Input::GameDied => self.watch_again(),
            Input::Evict { entity } => self.evict(entity),
            Input::Moved { session, target, pose, motion } => self.moved(session, target, pose, motion),
            Input::RoundTrip { session, target, ms } => self.round_trip(session, target, ms),
            Input::Acknowledged { session, target, request } => self.acknowledged(session, target, request),
            Input::SessionClosed { session, target } => self.session_closed(session, target),
            Input::Inspect { ticket, entity } => {
                let view = self.inspect(entity);
                self.fifo.push(Output::Inspected { ticket, view });
            }
            Input::Close => self.close(),
            // Both go another way.
            Input::Message(_) | Input::Request { .. } => {}
        }
        Next::Done
    }

    /// Its target went on, or is gone.
    fn pass_on(&mut self, mut message: Box<Message>) -> Next {
        if message.id == MessageId::default() {
            message.id = self.next_message_id();
        }
        self.fifo.push(Output::NotHere(message));
        Next::Done
    }

    fn take_message(&mut self, message: Box<Message>, slot: Option<Slot>) -> Next {
        let Some((slot, entity)) = slot.and_then(|slot| Some((slot, self.world.get_mut(slot)?))) else {
            return self.pass_on(message);
        };
        let by_client =
            matches!(&message.body, Body::Call { origin: Origin::OwnClient | Origin::OtherClient, .. });
        let mut mark = None;
        if message.id != MessageId::default() && !by_client {
            let count = super::requests::place(message.id);
            if !entity.body.marks.advance(message.id.sender, count, self.now_ms) {
                self.counts.duplicates += 1;
                return Next::Done;
            }
            mark = Some((message.id.sender, count));
        }
        if by_client {
            return self.take_forwarded_request(*message);
        }
        let Message { id, from, target, trace, body, .. } = *message;
        match body {
            Body::Call { method, args, origin, answer, deadline_ms, bounce } => {
                let origin = if origin == Origin::Operator { Origin::Operator } else { host_or_entity(from) };
                let slot = Some(slot);
                #[rustfmt::skip]
                let frame = Frame {
                    kind: EventKind::Call, entity: target, slot, type_index: 0, method: 0, origin,
                    caller: from, session: None, answer, deadline_ms, trace, args, mark, birth: None,
                };
                self.take_call(frame, bounce, |version, entity| lookup(version, entity, method))
            }
            Body::Answer { call, outcome } => self.take_answer(target, call, outcome, from, trace),
            Body::Watch { watch, owner } => {
                entity_watched(self.world.by_id_mut(target), owner, watch);
                Next::Done
            }
            Body::Unwatch { watch, owner } => {
                if let Some(entity) = self.world.by_id_mut(target) {
                    entity.body.watchers.remove(&(owner, watch));
                }
                Next::Done
            }
            Body::WatchFired { watch, reason } => self.watch_fired(target, watch, reason, trace),
            Body::Attach { client, view, replace, answer } => {
                self.attach(target, from, (client, view), replace, answer);
                Next::Done
            }
            Body::Detach { session, view, reason } => {
                self.detach_up_to(target, session, view, reason);
                Next::Done
            }
            Body::GiveFailed { session, taker, view: _, code } => {
                self.give_failed(target, session, taker, &code);
                Next::Done
            }
            Body::Flush { epoch } => {
                self.flushed(target, epoch, id.counter);
                Next::Done
            }
        }
    }

    /// A client's call by small id.
    fn take_request(&mut self, input: Input) -> Next {
        let Input::Request { session, request, acknowledged, target, method, deadline_ms, args } = input
        else {
            return Next::Done;
        };
        let Some(entity) = self.world.by_id(target) else {
            // Nobody knows whether it went on: only the game core can route it by its target.
            if let Some(message) =
                self.request_as_message(session, request, target, method, deadline_ms, args)
            {
                self.fifo.push(Output::NotHere(message));
            } else if deadline_ms != 0 {
                let to = AnswerTo::Client { session, request };
                self.answer(target, to, Outcome::unknown(code::GONE));
                self.replicate();
            }
            return Next::Done;
        };
        let index = self.method_by_small_id(entity, method);
        let answer = waiting_client(session, request, deadline_ms);
        self.take_client_call(
            (session, request, acknowledged),
            target,
            (answer, deadline_ms),
            Id::ZERO,
            args,
            |_, _| index.ok_or(code::NO_SUCH_METHOD),
        )
    }

    /// A client's call that came by way of another space.
    fn take_forwarded_request(&mut self, message: Message) -> Next {
        let Message { id, target, trace, body, .. } = message;
        let Body::Call { method, args, answer, deadline_ms, .. } = body else { return Next::Done };
        let session = SessionId(id.sender);
        self.take_client_call(
            (session, id.counter, 0),
            target,
            (answer, deadline_ms),
            trace,
            args,
            |version, entity| lookup(version, entity, method),
        )
    }

    fn take_client_call(
        &mut self,
        request: (SessionId, u64, u64),
        target: EntityId,
        waiting: (AnswerTo, u64),
        trace: Id,
        args: Bytes,
        method: impl FnOnce(&ModuleVersion, &Entity) -> Result<u32, &'static str>,
    ) -> Next {
        let (session, number, acknowledged) = request;
        let waits = waiting.0 != AnswerTo::Nobody;
        match self.begin_request(session, number, acknowledged, target, waits) {
            Some(true) => {}
            Some(false) | None => return Next::Done,
        }
        let owner = self.world.sessions.get(&session).copied();
        let own = owner == Some(target);
        let frame = Frame {
            kind: EventKind::Call,
            entity: target,
            slot: self.world.slot(target),
            origin: if own { Origin::OwnClient } else { Origin::OtherClient },
            caller: owner,
            session: Some(session),
            answer: waiting.0,
            deadline_ms: waiting.1,
            trace,
            args,
            mark: Some((session.0, number)),
            ..Frame::default()
        };
        self.take_call(frame, None, method)
    }

    /// The last checks of a call, whoever it is from; `method` finds what the frame does not say yet.
    fn take_call(
        &mut self,
        mut frame: Frame,
        bounce: Option<Id>,
        method: impl FnOnce(&ModuleVersion, &Entity) -> Result<u32, &'static str>,
    ) -> Next {
        let Some(entity) = frame.slot.and_then(|slot| self.world.get(slot)) else { return Next::Done };
        let checked = match entity.dying {
            true => Err(code::GONE),
            false => method(&self.version, entity)
                .and_then(|method| self.exposed(entity, method, &frame).map(|()| method)),
        };
        let method = match checked {
            Ok(method) => method,
            Err(code) => {
                self.turn_away_call(frame, bounce, code);
                return Next::Done;
            }
        };
        (frame.type_index, frame.method) = (entity.type_index, method);
        if let Some(session) = frame.session {
            let name = self.method_name_hash(frame.type_index, method);
            match self.charges.check(session, name, self.now_ms) {
                Charged::Run => {}
                Charged::Refuse => {
                    self.turn_away_call(frame, bounce, code::LIMIT);
                    return Next::Done;
                }
                Charged::Kick => {
                    self.turn_away_call(frame, bounce, code::LIMIT);
                    self.kick_for_crashes(session);
                    return Next::Done;
                }
            }
        }
        if let (Some(bounce), Some(from)) = (bounce, frame.caller) {
            // Taken: the sender may forget the bounce.
            let answer = AnswerTo::Entity { entity: from, call: bounce };
            self.answer(frame.entity, answer, Outcome::null());
        }
        self.prepare(frame)
    }

    fn turn_away_call(&mut self, frame: Frame, bounce: Option<Id>, code: &str) {
        let target = frame.entity;
        self.answer(target, frame.answer, Outcome::not_run(code));
        if let (Some(bounce), Some(from)) = (bounce, frame.caller) {
            let to = AnswerTo::Entity { entity: from, call: bounce };
            self.answer(target, to, Outcome::not_run(code));
        }
        self.replicate();
    }

    /// Answers what cannot be delivered. What clients hear of it leaves with the next [`Space::replicate`]:
    /// in the midst of a commit that is the commit's own.
    pub(super) fn turn_away(&mut self, item: Item, code: &'static str) {
        let input = match item {
            Item::Message(message) => return self.turn_away_message(*message, code),
            Item::Input(input) => *input,
            _ => return,
        };
        match input {
            Input::Request { session, request, target, deadline_ms, .. } => {
                let outcome =
                    if code == code::GONE { Outcome::unknown(code) } else { Outcome::not_run(code) };
                self.answer(target, waiting_client(session, request, deadline_ms), outcome);
            }
            Input::Inspect { ticket, .. } => {
                let outcome = Outcome::not_run(code);
                self.fifo.push(Output::Operator { ticket, outcome });
            }
            _ => {}
        }
    }

    fn turn_away_message(&mut self, message: Message, code: &'static str) {
        let Message { from, target, body, .. } = message;
        match body {
            Body::Call { answer, bounce, .. } => {
                self.answer(target, answer, Outcome::not_run(code));
                if let (Some(call), Some(entity)) = (bounce, from) {
                    self.answer(target, AnswerTo::Entity { entity, call }, Outcome::not_run(code));
                }
            }
            Body::Watch { watch, owner } => {
                let fired = self.message(None, owner, Body::WatchFired { watch, reason: 0 });
                self.route(fired);
            }
            Body::Attach { client, answer, .. } => self.refuse_client(target, client, answer, code),
            _ => {}
        }
    }

    /// Default deny: who may call this method of this entity.
    fn exposed(&self, entity: &Entity, method: u32, frame: &Frame) -> Result<(), &'static str> {
        let table = self.version.types.get(entity.type_index as usize);
        let Some(method) = table.and_then(|table| table.methods.get(method as usize)) else {
            return Err(code::NO_SUCH_METHOD);
        };
        let exposure = method.exposure;
        let allowed = match frame.origin {
            Origin::Host => true,
            Origin::Operator => exposure != Exposure::Internal,
            Origin::Entity => match exposure {
                Exposure::Server | Exposure::OwnClient | Exposure::AllClients => true,
                Exposure::Internal => frame.caller == Some(entity.id),
                Exposure::Operator => false,
            },
            Origin::OwnClient => matches!(exposure, Exposure::OwnClient | Exposure::AllClients),
            Origin::OtherClient => {
                exposure == Exposure::AllClients
                    && frame.session.is_some_and(|session| self.replicator.sees(session, entity.id))
            }
        };
        let former = frame.session.is_some() && entity.body.former == frame.session;
        let for_owner = matches!(exposure, Exposure::OwnClient | Exposure::AllClients);
        match allowed {
            true => Ok(()),
            // It was the entity's own client when it asked.
            false if former && for_owner => Err(code::REBOUND),
            false => Err(code::NOT_EXPOSED),
        }
    }

    fn method_by_small_id(&self, entity: &Entity, method: u32) -> Option<u32> {
        let table = self.version.types.get(entity.type_index as usize)?;
        table.method_by_id.get(&method).copied()
    }

    fn method_name_hash(&self, type_index: u32, method: u32) -> u64 {
        let table = self.version.types.get(type_index as usize);
        table.and_then(|table| table.methods.get(method as usize)).map_or(0, |method| method.key.name)
    }

    /// A client's call as it travels between spaces.
    pub(super) fn request_as_message(
        &self,
        session: SessionId,
        request: u64,
        target: EntityId,
        method: u32,
        deadline_ms: u64,
        args: Bytes,
    ) -> Option<Box<Message>> {
        let methods = self
            .version
            .types
            .iter()
            .find_map(|table| table.methods.get(*table.method_by_id.get(&method)? as usize));
        Some(Box::new(Message {
            id: MessageId { sender: session.0, epoch: 0, counter: request },
            from: self.world.sessions.get(&session).copied(),
            target,
            class: Class::Volatile,
            trace: Id::ZERO,
            body: Body::Call {
                method: methods?.key,
                args,
                origin: Origin::OwnClient,
                answer: waiting_client(session, request, deadline_ms),
                deadline_ms,
                bounce: None,
            },
        }))
    }
}

fn host_or_entity(from: Option<EntityId>) -> Origin {
    if from.is_some() { Origin::Entity } else { Origin::Host }
}

fn waiting_client(session: SessionId, request: u64, deadline_ms: u64) -> AnswerTo {
    if deadline_ms == 0 { AnswerTo::Nobody } else { AnswerTo::Client { session, request } }
}

fn lookup(version: &ModuleVersion, entity: &Entity, key: MethodKey) -> Result<u32, &'static str> {
    use crate::versions::MethodLookup;
    let Some(table) = version.types.get(entity.type_index as usize) else { return Err(code::NO_SUCH_METHOD) };
    match table.method(key) {
        MethodLookup::Found(index) => Ok(index),
        MethodLookup::OtherSignature => Err(code::VERSION_MISMATCH),
        MethodLookup::Unknown => Err(code::NO_SUCH_METHOD),
    }
}

fn entity_watched(entity: Option<&mut Entity>, owner: EntityId, watch: Id) {
    if let Some(entity) = entity {
        entity.body.watchers.insert((owner, watch));
    }
}

/// `context outcome`, as a continuation gets it.
pub(super) fn context_and(context: &[u8], rest: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut args = Vec::with_capacity(context.len() + 32);
    if context.is_empty() {
        cbor::null(&mut args);
    }
    args.extend_from_slice(context);
    rest(&mut args);
    args.into()
}
