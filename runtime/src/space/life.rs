//! How entities begin and end: made by the host, destroyed, the space closed.

use super::entity::{Entity, Slot, empty_body};
use super::mailbox::Fact;
use super::running::Frame;
use super::state::{Space, no_args};
use crate::guest::Hook;
use crate::limits;
use crate::manifest::TypeKind;
use crate::message::{AnswerTo, Body, Client, Output};
use crate::replicate::Change;
use bytes::Bytes;
use everwake_protocol::client::Pose;
use everwake_protocol::outcome::{Outcome, code};
use everwake_protocol::{EntityId, Id, cbor};

/// An entity that the host makes.
pub(super) struct Birth {
    /// The event of its constructor, if its type has one.
    pub(super) frame: Frame,
    pub(super) constructor: bool,
    answer: AnswerTo,
    client: Option<Box<Client>>,
}

/// What an event puts into the world before its handler runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newborn {
    pub(super) entity: EntityId,
    pub(super) type_index: u32,
    pub(super) pose: Pose,
}

impl Space {
    /// Checks whether an entity can be made.
    pub(super) fn conceive(
        &mut self,
        entity: EntityId,
        type_name: &str,
        args: Bytes,
        pose: Pose,
        answer: AnswerTo,
        client: Option<Box<Client>>,
    ) -> Option<Birth> {
        let type_index = *self.version.type_by_name.get(type_name)?;
        let declared = self.version.manifest.types.get(type_index as usize)?;
        if declared.kind == TypeKind::Foreign
            || self.world.slot(entity).is_some()
            || self.world.len() >= limits::ENTITIES_MAX
            || self.closing
        {
            return None;
        }
        let pose = super::transaction::checked_pose(pose).ok()?;
        let placed = self.is_real() && entity != self.config.id;
        let newborn = Newborn { entity, type_index, pose: if placed { pose } else { Pose::default() } };
        let constructor = self.implements(type_index, Hook::Construct);
        let frame = Frame {
            entity,
            type_index,
            method: Hook::Construct as u32,
            args: if args.is_empty() { empty_array() } else { args },
            birth: Some(Box::new(newborn)),
            ..Frame::default()
        };
        Some(Birth { frame, constructor, answer, client })
    }

    /// Puts a newborn into the world, at the beginning of its first event.
    pub(super) fn conceived(&mut self, newborn: Newborn) -> Option<Slot> {
        let Newborn { entity, type_index, pose } = newborn;
        let table = self.version.types.get(type_index as usize)?;
        let declared = self.version.manifest.types.get(type_index as usize)?;
        let body = empty_body(table.id, declared.schema, table.attribute_ids);
        // A shard's own entity stands and falls with it, under the same epoch.
        let epoch = if entity == self.config.id { self.config.epoch } else { 1 };
        let newborn = Entity { unborn: true, ..Entity::new(entity, type_index, pose, epoch, body) };
        Some(self.world.insert(newborn))
    }

    /// An entity was made; its creator learns the id.
    pub(super) fn delivered(&mut self, birth: Birth) {
        let entity = birth.frame.entity;
        if let Some(client) = birth.client {
            self.mailbox.facts.push_back(Fact::Attach { entity, client });
        }
        let declared = self.version.manifest.types.get(birth.frame.type_index as usize);
        if self.ready
            && declared.is_some_and(|declared| matches!(declared.kind, TypeKind::Space | TypeKind::Service))
        {
            self.tell(entity, Hook::Ready, no_args);
        }
        let mut id = Vec::new();
        cbor::id(&mut id, entity.0);
        self.answer(entity, birth.answer, Outcome::Ok(id.into()));
        self.replicate();
    }

    /// All processes that the deployment consists of are there. Whoever is born later hears it then.
    pub(super) fn deployment_ready(&mut self) {
        let own = self.config.id;
        let was = std::mem::replace(&mut self.ready, true);
        if !was && self.world.by_id(own).is_some_and(|entity| !entity.unborn) {
            self.tell(own, Hook::Ready, no_args);
        }
    }

    /// Says all watches of others elsewhere once more: whoever has died with its game took along who watched it. Of
    /// those that live each is known already, and of the dead it comes back.
    pub(super) fn watch_again(&mut self) {
        let watches: Vec<(EntityId, EntityId, Id)> = self
            .world
            .iter()
            .flat_map(|(_, entity)| {
                let watches = entity.body.watches.iter();
                watches.map(|(watch, data)| (entity.id, data.target, *watch))
            })
            .filter(|(_, target, _)| self.world.slot(*target).is_none())
            .collect();
        for (owner, target, watch) in watches {
            let again = self.message(Some(owner), target, Body::Watch { watch, owner });
            self.route(again);
        }
    }

    /// Its constructor failed: it never was.
    pub(super) fn stillborn(&mut self, birth: Birth, why: &str) {
        let outcome = Outcome::not_run("create-failed").with_text(why);
        self.answer(birth.frame.entity, birth.answer, outcome);
        if let Some(client) = birth.client {
            let reason = "the server could not start the game".to_owned();
            self.changes.push(Change::Kick { session: client.session, reason });
        }
        self.replicate();
    }

    /// The hooks of a destroyed entity have run.
    pub(super) fn remove_destroyed(&mut self, id: EntityId) {
        let Some(slot) = self.world.slot(id) else { return };
        self.withdraw(slot);
        let items = match self.world.get(slot) {
            Some(entity) if entity.queued > 0 => self.mailbox.extract(id),
            _ => Vec::new(),
        };
        let Some(entity) = self.world.remove(slot) else { return };
        self.unschedule(&entity);
        self.forget.push(id);
        for (owner, watch) in &entity.body.watchers {
            let fired = self.message(Some(id), *owner, Body::WatchFired { watch: *watch, reason: 0 });
            self.route(fired);
        }
        for (watch, data) in &entity.body.watches {
            let target = data.target;
            let unwatch = self.message(Some(id), target, Body::Unwatch { watch: *watch, owner: id });
            self.route(unwatch);
        }
        for deferred in entity.body.deferred.values() {
            self.drop_deferred(id, deferred.answer);
        }
        self.changes.push(Change::Destroyed { entity: id });
        self.replicate();
        self.fifo.push(Output::Unregistered { entity: id, epoch: entity.epoch });
        for item in items {
            self.turn_away(item, code::GONE);
        }
        self.replicate();
        if id == self.config.id {
            self.fifo.push(Output::Closed);
        }
    }

    /// A client whose entity ends is closed, unless it was given away.
    fn withdraw(&mut self, slot: Slot) {
        let Some(entity) = self.world.get(slot) else { return };
        let Some(client) = &entity.body.client else { return };
        let session = client.session;
        self.changes.push(Change::Detached { session });
        // One that is on its way to another entity lives on there.
        if !entity.giving {
            self.charges.forget(session);
            self.changes.push(Change::Kick { session, reason: "the entity is gone".to_owned() });
        }
    }

    /// All entities are destroyed in order, then the space.
    pub(super) fn close(&mut self) {
        self.closing = true;
        let slots: Vec<Slot> = self.world.iter().map(|(slot, _)| slot).collect();
        let own = self.world.slot(self.config.id);
        for slot in slots.into_iter().filter(|slot| Some(*slot) != own) {
            self.begin_destruction(slot);
        }
        match own {
            Some(slot) => self.begin_destruction(slot),
            None => self.mailbox.facts.push_back(Fact::Closed),
        }
    }
}

fn empty_array() -> Bytes {
    let mut args = Vec::new();
    no_args(&mut args);
    args.into()
}
