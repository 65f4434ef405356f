//! Entities that are born, leave a space, arrive in another, and go.
//!
//! A move never overtakes a message: the directory blocks the entity, a marker runs behind
//! everything that was sent to it before, and what comes later waits until it has arrived.

use super::{GameCore, GameOutput, SpaceKind, SpaceSpec, Ticket};
use crate::guest::Place;
use crate::manifest::TypeKind;
use crate::message::{AnswerTo, Input, Traveller, nil_shard};
use bytes::Bytes;
use everwake_protocol::EntityId;
use everwake_protocol::client::Pose;
use everwake_protocol::outcome::{Outcome, code};

impl GameCore {
    /// `entities.create`, asked for in a space.
    pub(super) fn create(
        &mut self,
        asker: EntityId,
        entity: EntityId,
        type_name: String,
        args: Bytes,
        place: Place,
        answer: AnswerTo,
    ) {
        let made = self.place_for(asker, entity, &type_name, place);
        let space = match made {
            Ok(space) => space,
            Err(code) => return self.answer(answer, Outcome::not_run(code)),
        };
        self.directory.place(entity, space, None, 0);
        let pose = Pose::default();
        let answer = self.ticket(Ticket::Create { entity, answer });
        self.hand(space, Input::Create { entity, type_name, args, pose, answer, client: None });
    }

    /// The space for a new entity; made now if the entity is a space.
    fn place_for(
        &mut self,
        asker: EntityId,
        entity: EntityId,
        type_name: &str,
        place: Place,
    ) -> Result<EntityId, &'static str> {
        let module = self.directory.space(asker).map(|row| row.module.clone()).ok_or(code::GONE)?;
        let head = self.modules.get(&module).map(|module| module.head.clone()).ok_or(code::GONE)?;
        let index = *head.type_by_name.get(type_name).ok_or(code::UNAVAILABLE)?;
        let kind = head.manifest.types.get(index as usize).ok_or(code::UNAVAILABLE)?.kind;
        if self.directory.location(entity).is_some() {
            return Err(code::ALREADY_DONE);
        }
        match (&kind, &place) {
            (_, Place::Labelled(label)) if !self.config.labels.contains(label) => Err(code::UNAVAILABLE),
            (TypeKind::Space, Place::InSpace(_)) => Err(code::BAD_ARGUMENTS),
            (TypeKind::Space, _) if self.directory.sizes().1 >= super::limits::SPACES_MAX => Err(code::LIMIT),
            (TypeKind::Space, _) if self.closing.is_some() => Err(code::UNAVAILABLE),
            (TypeKind::Space, _) => {
                self.make_space(entity, &module, SpaceKind::Space);
                Ok(entity)
            }
            (TypeKind::Entity, Place::InSpace(space)) => match self.directory.space(*space) {
                Some(row) if row.kind == SpaceKind::Space && row.module == module => {
                    if row.backlog().0 >= self.config.backlog_messages_max {
                        return Err(code::OVERLOADED);
                    }
                    Ok(*space)
                }
                _ => Err(code::GONE),
            },
            (TypeKind::Entity, _) => Ok(self.nil_shard_of(&module, entity)),
            (TypeKind::Service | TypeKind::Foreign, _) => Err(code::BAD_ARGUMENTS),
        }
    }

    /// Whether an entity came to be; if not, nobody waits for it any more.
    pub(super) fn created(&mut self, entity: EntityId, answer: AnswerTo, outcome: Outcome) {
        if !outcome.is_ok() {
            if self.directory.space(entity).is_some() {
                self.hand(entity, Input::Close);
            }
            self.gone(entity);
        }
        self.answer(answer, outcome);
    }

    /// Has a space made, with the version that is head.
    pub(super) fn make_space(&mut self, id: EntityId, module: &str, kind: SpaceKind) {
        let Some(version) = self.modules.get(module).map(|module| module.head.clone()) else { return };
        let seed = self.mint_seed();
        let epoch = match kind {
            SpaceKind::Space => 1,
            // Shards are made again under the same id: their messages must not pass for old ones.
            SpaceKind::Nil | SpaceKind::Service => {
                let epoch = self.shard_epochs.entry(id).or_default();
                *epoch += 1;
                *epoch
            }
        };
        self.directory.add_space(id, module, kind, epoch);
        self.out.push(GameOutput::MakeSpace(Box::new(SpaceSpec { id, kind, epoch, version, seed })));
    }

    /// The nil shard of an entity that is in no space.
    pub(super) fn nil_shard_of(&self, module: &str, entity: EntityId) -> EntityId {
        let shards = u64::from(self.config.nil_shards.max(1));
        let [a, b, c, d] = entity.0.0;
        let hash = u64::from(a ^ c) << 32 | u64::from(b ^ d);
        let shard = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        nil_shard(module, u32::try_from(shard % shards).unwrap_or_default())
    }

    /// An entity is in the space that says so.
    pub(super) fn registered(&mut self, space: EntityId, entity: EntityId, type_id: u32, epoch: u32) {
        if self.directory.space(space).is_none() {
            // The last words of a space that is gone, and the entity with it.
            self.gone(entity);
            return self.own_entity_gone(entity);
        }
        if !self.directory.place(entity, space, Some(type_id), epoch) {
            self.counters.dropped += 1;
            return;
        }
        for input in self.directory.release(entity) {
            self.route(entity, input);
        }
    }

    /// An entity is destroyed.
    pub(super) fn unregistered(&mut self, space: EntityId, entity: EntityId, epoch: u32) {
        let known = self.directory.location(entity).map(|at| (at.space, at.epoch));
        if known.is_none_or(|(at, newest)| at != space && newest > epoch) {
            return;
        }
        self.gone(entity);
        self.own_entity_gone(entity);
    }

    /// An entity wants to leave its space: block it, and send the marker behind what it was sent.
    pub(super) fn enter_asked(&mut self, space: EntityId, entity: EntityId, intent: u32) {
        if self.directory.location(entity).is_none_or(|at| at.space != space) {
            return;
        }
        self.directory.block(entity, self.now_ms);
        self.hand(space, Input::Marker { entity, intent });
    }

    /// An entity has left: bring it to where it goes, or back.
    pub(super) fn departed(&mut self, space: EntityId, mut traveller: Box<Traveller>) {
        self.directory.block(traveller.entity, self.now_ms);
        self.directory.depart(traveller.entity);
        let module = traveller.version.manifest.name.clone();
        let target = match traveller.to {
            None => Some(self.nil_shard_of(&module, traveller.entity)),
            Some(to) => self
                .directory
                .space(to)
                .filter(|row| row.kind == SpaceKind::Space && row.module == module)
                .map(|_| to),
        };
        match target {
            Some(target) => {
                self.counters.moves += 1;
                self.hand(target, Input::Install(traveller));
            }
            None => {
                traveller.failed = Some(code::GONE);
                self.counters.moves_failed += 1;
                self.hand(space, Input::Install(traveller));
            }
        }
    }

    /// An entity was not let in: back to where it came from, or to nil if that is gone.
    pub(super) fn arrival_refused(&mut self, mut traveller: Box<Traveller>, code: &'static str) {
        self.counters.moves_failed += 1;
        let entity = traveller.entity;
        let nil = self.nil_shard_of(&traveller.version.manifest.name, entity);
        let first = traveller.failed.is_none();
        let back = traveller.from.filter(|from| first && self.directory.space(*from).is_some());
        // Twice refused: its old place does not take it back, so nil has to; or nobody does.
        if !first && traveller.from.is_none() {
            return self.lost(&traveller);
        }
        traveller.failed = Some(code);
        traveller.from = back;
        self.hand(back.unwrap_or(nil), Input::Install(traveller));
    }

    /// What a closed space had not taken.
    pub(super) fn returned(&mut self, _space: EntityId, inputs: Vec<Input>) {
        for input in inputs {
            match input {
                Input::Message(message) => self.deliver(message),
                input => self.undeliverable(input, code::GONE),
            }
        }
    }

    fn lost(&mut self, traveller: &Traveller) {
        self.gone(traveller.entity);
        self.own_entity_gone(traveller.entity);
    }
}
