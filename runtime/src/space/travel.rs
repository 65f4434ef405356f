//! Entities that go to other spaces and come from there, by the marker protocol of rule A8.

use super::commit::Effect;
use super::entity::{Entity, Intent, Slot};
use super::mailbox::{Fact, Item};
use super::state::{Space, one_id};
use crate::guest::Hook;
use crate::limits;
use crate::message::{Body, Class, Input, Message, Output, Traveller};
use crate::replicate::Change;
use everwake_protocol::client::Pose;
use everwake_protocol::cluster::MessageId;
use everwake_protocol::{EntityId, cbor};

impl Space {
    /// The process wants an entity to go on elsewhere. One that is about to go by itself does.
    pub(super) fn evict(&mut self, id: EntityId) {
        if self.is_real() || id == self.config.id {
            return;
        }
        let Some(entity) = self.world.by_id_mut(id) else { return };
        if entity.leaving || entity.dying || entity.giving || entity.intent.is_some() {
            return;
        }
        entity.intents = entity.intents.wrapping_add(1);
        let intent = entity.intents;
        entity.intent = Some(Intent { to: None, pose: entity.pose, number: intent });
        self.fifo.push(Output::EnterAsked { entity: id, space: None, intent });
    }

    /// Everything that was sent to the entity before its ask has arrived: its hooks, then it goes.
    pub(super) fn marker(&mut self, id: EntityId, intent: u32) {
        let Some(entity) = self.world.by_id_mut(id) else { return };
        if entity.dying || entity.leaving || entity.intent.is_none_or(|asked| asked.number != intent) {
            return;
        }
        entity.leaving = true;
        let space = self.config.id;
        if self.is_real() {
            self.tell(space, Hook::MemberLeave, |args| one_id(args, id.0));
            self.tell(id, Hook::LeaveSpace, |args| one_id(args, space.0));
        }
        self.mailbox.facts.push_back(Fact::Depart { entity: id });
    }

    /// Its leave hooks have run: it is here no more.
    pub(super) fn depart(&mut self, id: EntityId) {
        let Some(slot) = self.world.slot(id) else { return };
        let Some(entity) = self.world.get(slot) else { return };
        let Some(intent) = entity.intent.filter(|_| !entity.dying) else { return };
        let items = if entity.queued > 0 { self.mailbox.extract(id) } else { Vec::new() };
        let Some(entity) = self.world.remove(slot) else { return };
        self.unschedule(&entity);
        self.forget.push(id);
        self.changes.push(Change::Left { entity: id });
        self.replicate();
        self.fifo.push(Output::Departed(Box::new(Traveller {
            entity: id,
            from: self.is_real().then_some(self.config.id),
            to: intent.to,
            pose: intent.pose,
            epoch: entity.epoch + 1,
            version: self.version.clone(),
            failed: None,
            debts: Vec::new(),
            told: Vec::new(),
            body: entity.body,
        })));
        for item in items {
            self.forward(item);
        }
    }

    /// Sends on what was addressed to an entity that has left.
    fn forward(&mut self, item: Item) {
        let message = match item {
            Item::Message(message) => Some(message),
            Item::Input(input) => match *input {
                Input::Request { session, request, target, method, deadline_ms, args, .. } => {
                    self.request_as_message(session, request, target, method, deadline_ms, args)
                }
                // Positions are stale by now.
                _ => None,
            },
            // Timers and deadlines travel with the entity.
            _ => None,
        };
        if let Some(mut message) = message {
            if message.id == MessageId::default() {
                message.id = self.next_message_id();
            }
            self.fifo.push(Output::Message(message));
        }
    }

    /// Whether an entity may come in, and as which type.
    pub(super) fn admit(&self, traveller: &Traveller) -> Result<u32, &'static str> {
        let type_index = self.version.type_by_id.get(&traveller.body.type_id).copied();
        let type_index = type_index.ok_or("version-mismatch")?;
        if self.closing || (self.is_real() && self.world.slot(self.config.id).is_none()) {
            return Err("gone");
        }
        if traveller.failed.is_some() {
            return Ok(type_index);
        }
        let declared = self.version.manifest.types.get(type_index as usize).ok_or("version-mismatch")?;
        // Not before this space has gone over, too; but after it has gone back.
        let ahead = traveller.version.generation > self.version.generation;
        if ahead && traveller.body.schema > declared.schema {
            return Err("version-mismatch");
        }
        if self.world.len() >= limits::ENTITIES_MAX {
            return Err("limit");
        }
        Ok(type_index)
    }

    /// Lets an entity in.
    pub(super) fn install(&mut self, traveller: Traveller, type_index: u32) {
        let Traveller { entity: id, to, pose, epoch, failed, debts, mut body, .. } = traveller;
        let mut commit = self.open_own_commit(id);
        commit.effects.push(Effect::Arrived { entity: id });
        if let Some(stale) = self.world.slot(id) {
            self.world.remove(stale);
        }
        if let Some(table) = self.version.types.get(type_index as usize) {
            body.attributes.grow(table.attribute_ids as usize);
        }
        let (type_id, client) = (body.type_id, body.client.clone());
        let pose = if self.is_real() { pose } else { Pose::default() };
        let mut entity = Entity::new(id, type_index, pose, epoch, body);
        entity.local = false;
        self.schedule(&entity);
        let slot = self.world.insert(entity);
        self.fifo.push(Output::Registered { entity: id, type_id, epoch });
        self.show(slot);
        if let Some(client) = client {
            self.fifo.push(Output::ClientBound { session: client.session, entity: id });
            self.rebind(slot, client.view.wrapping_add(1));
        }
        self.replicate();
        self.commits.keep(commit);
        self.flush(id, epoch);
        debts.iter().for_each(|debt| self.detour(debt.target));
        match failed {
            None => self.entered(id),
            // It wanted to be in no space, or somebody else wanted it to go on: it is where it was.
            Some(_) if to.is_none() && !self.is_real() => {}
            Some(code) => {
                let own = self.config.id;
                if self.is_real() {
                    self.tell(own, Hook::MemberEnter, |args| one_id(args, id.0));
                }
                self.tell(id, Hook::EnterFailed, |args| {
                    cbor::array(args, 2);
                    cbor::id(args, to.unwrap_or_default().0);
                    cbor::text(args, code);
                });
            }
        }
    }

    /// A client that came with its entity sees another space now.
    fn rebind(&mut self, slot: Slot, view: u32) {
        let Some(entity) = self.world.get_mut(slot) else { return };
        let id = entity.id;
        let Some(client) = entity.body.client.as_mut() else { return };
        client.view = view;
        let session = client.session;
        self.changes.push(Change::Attached { entity: id, session, view });
        for (key, value) in &entity.body.filters {
            let (key, value) = (key.clone(), Some(value.clone()));
            self.changes.push(Change::Filter { session, key, value });
        }
    }

    /// Asks the directory for a sign that everything sent before has arrived.
    fn flush(&mut self, id: EntityId, epoch: u32) {
        let id_of_message = self.next_message_id();
        if let Some(entity) = self.world.by_id_mut(id) {
            entity.sign = id_of_message.counter;
        }
        self.fifo.push(Output::Message(Box::new(Message {
            id: id_of_message,
            from: None,
            target: id,
            class: Class::Volatile,
            trace: Default::default(),
            body: Body::Flush { epoch },
        })));
    }

    /// Somebody who came here has said something to this one before, and it is still under way: the short way would
    /// overtake it.
    fn detour(&mut self, target: EntityId) {
        let Some(entity) = self.world.by_id_mut(target) else { return };
        entity.local = false;
        let epoch = entity.epoch;
        self.flush(target, epoch);
    }

    /// The sign has come. What was sent the long way since then must not be overtaken by the short one: then another
    /// sign is asked for.
    pub(super) fn flushed(&mut self, id: EntityId, epoch: u32, counter: u64) {
        let Some(entity) = self.world.by_id_mut(id) else { return };
        // Who is about to go on is reached by the directory, where its messages wait.
        let is_last = entity.epoch == epoch && entity.sign == counter;
        if !is_last || entity.intent.is_some() || entity.leaving {
            return;
        }
        match entity.outside > counter {
            true => self.flush(id, epoch),
            false => entity.local = true,
        }
    }
}
