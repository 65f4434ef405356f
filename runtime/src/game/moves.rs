//! Entities that are born, leave a space, arrive in another, and go.
//!
//! A move never overtakes a message: the entity's dispatcher holds back what comes for it, a marker runs behind
//! everything that was sent before, and what comes later waits until it has arrived (rule A8).

use super::{GameCore, GameOutput, SpaceKind, SpaceSpec, Ticket};
use crate::cargo::{Cargo, Creation};
use crate::guest::Place;
use crate::manifest::TypeKind;
use crate::message::{AnswerTo, Input, Traveller, nil_shard};
use crate::shards::shard_sender;
use bytes::Bytes;
use everwake_protocol::client::Pose;
use everwake_protocol::cluster::{EntityReport, Envelope, Placement, SpaceReport, Target, ToDispatcher};
use everwake_protocol::outcome::{Outcome, code};
use everwake_protocol::{EntityId, Id};

impl GameCore {
    /// `entities.create`, asked for in a space: whoever has room makes it.
    pub(super) fn create(
        &mut self,
        asker: EntityId,
        entity: EntityId,
        type_name: String,
        args: Bytes,
        place: Place,
        answer: AnswerTo,
    ) {
        let placed = self.placement(asker, &type_name, &place);
        let (module, placement) = match placed {
            Ok(placed) => placed,
            Err(code) => return self.answer(answer, Outcome::not_run(code)),
        };
        let generation = self.modules.get(&module).map_or(0, |module| module.head.generation);
        let creation = Box::new(Creation { module, generation, type_name, args, place, answer });
        let (target, id) = (Target::Entity(entity), self.message_id());
        let envelope = self.envelope(target, id, true, Cargo::Create(creation));
        self.dispatch(ToDispatcher::Create { place: placement, envelope });
    }

    fn placement(
        &self,
        asker: EntityId,
        type_name: &str,
        place: &Place,
    ) -> Result<(String, Placement), &'static str> {
        let module = self.directory.space(asker).map(|row| row.module.clone()).ok_or(code::GONE)?;
        let kind = self.kind_of(&module, type_name)?;
        let placement = match (kind, place) {
            (TypeKind::Service | TypeKind::Foreign, _) | (TypeKind::Space, Place::InSpace(_)) => {
                return Err(code::BAD_ARGUMENTS);
            }
            (_, Place::InSpace(space)) => Placement::Space(*space),
            (_, Place::Labelled(label)) => {
                Placement::Labelled { module: module.clone(), label: label.clone() }
            }
            (_, Place::Anywhere) => Placement::Anywhere { module: module.clone() },
        };
        Ok((module, placement))
    }

    fn kind_of(&self, module: &str, type_name: &str) -> Result<TypeKind, &'static str> {
        let head = self.modules.get(module).map(|module| &module.head).ok_or(code::UNAVAILABLE)?;
        let index = *head.type_by_name.get(type_name).ok_or(code::UNAVAILABLE)?;
        head.manifest.types.get(index as usize).map(|kind| kind.kind).ok_or(code::UNAVAILABLE)
    }

    /// This game was chosen to make something.
    pub(super) fn make(&mut self, entity: EntityId, cargo: Cargo, epoch: u32) {
        // Services and homes come back under the same name.
        let once = matches!(cargo, Cargo::Create(_) | Cargo::Client(_));
        if self.directory.location(entity).is_some() || (once && !self.arrivals.take(entity, 0)) {
            // A second copy of what was done.
            return;
        }
        match cargo {
            Cargo::Create(creation) => self.make_entity(entity, *creation),
            Cargo::Service { module, type_name, shard } => {
                self.make_service(entity, module, type_name, shard, epoch)
            }
            Cargo::Home { module } => self.make_home(entity, &module, epoch),
            Cargo::Client(to_game) => self.connected(entity, to_game),
            _ => self.counters.dropped += 1,
        }
    }

    fn make_entity(&mut self, entity: EntityId, creation: Creation) {
        let Creation { module, generation, type_name, args, place, answer } = creation;
        self.seen_at_work(&module, generation);
        let space = match self.place_for(&module, entity, &type_name, &place) {
            Ok(space) => space,
            Err(code) => {
                self.gone(entity);
                return self.answer(answer, Outcome::not_run(code));
            }
        };
        self.directory.place(entity, space, None, 0);
        let pose = Pose::default();
        let answer = self.ticket(Ticket::Create { entity, answer });
        self.hand(space, Input::Create { entity, type_name, args, pose, answer, client: None });
    }

    /// The space for a new entity; made now if the entity is a space.
    fn place_for(
        &mut self,
        module: &str,
        entity: EntityId,
        type_name: &str,
        place: &Place,
    ) -> Result<EntityId, &'static str> {
        match (self.kind_of(module, type_name)?, place) {
            (TypeKind::Space, Place::InSpace(_)) => Err(code::BAD_ARGUMENTS),
            (TypeKind::Space, _) if self.directory.sizes().1 >= super::limits::SPACES_MAX => Err(code::LIMIT),
            (TypeKind::Space, _) if self.closing.is_some() => Err(code::UNAVAILABLE),
            (TypeKind::Space, _) => {
                self.make_space(entity, module, SpaceKind::Space, 0);
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
            (TypeKind::Entity, _) => Ok(self.nil_shard_of(module, entity)),
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

    /// Has a space made, with the version that is head; a shard under this epoch or a higher one.
    pub(super) fn make_space(&mut self, id: EntityId, module: &str, kind: SpaceKind, least: u32) {
        let Some(version) = self.modules.get(module).map(|module| module.head.clone()) else { return };
        let seed = self.mint_seed();
        let epoch = match kind {
            SpaceKind::Space => 1,
            // Shards are made again under the same id: their messages must not pass for old ones.
            SpaceKind::Nil | SpaceKind::Service => {
                let epoch = self.shard_epochs.entry(id).or_default();
                *epoch = least.max(*epoch + 1);
                *epoch
            }
        };
        self.directory.add_space(id, module, kind, epoch);
        self.dispatch(ToDispatcher::Spaces(vec![SpaceReport { space: id, epoch }]));
        let (sender, ready) = (self.sender_of(id), self.ready);
        let spec = SpaceSpec { id, kind, epoch, sender, version, seed, ready };
        self.out.push(GameOutput::MakeSpace(Box::new(spec)));
    }

    /// Under which sender a space's messages go. A shard of a service that died with its game comes back in another
    /// one under the same id: what it says must not pass for what it said there.
    pub(super) fn sender_of(&self, space: EntityId) -> Id {
        match self.directory.space(space).map(|row| row.kind) {
            Some(SpaceKind::Service) => shard_sender(self.incarnation, space),
            _ => space.0,
        }
    }

    /// The nil shard of an entity that is in no space.
    pub(super) fn nil_shard_of(&self, module: &str, entity: EntityId) -> EntityId {
        nil_shard(self.incarnation, module, share_of(entity, self.config.nil_shards))
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
        let report = EntityReport { entity, space, epoch, leaving: false };
        self.dispatch(ToDispatcher::Entities(vec![report]));
    }

    /// An entity is destroyed.
    pub(super) fn unregistered(&mut self, space: EntityId, entity: EntityId, epoch: u32) {
        let known = self.directory.location(entity).map(|at| (at.space, at.epoch));
        if known.is_none_or(|(at, newest)| at != space && newest > epoch) {
            return;
        }
        let is_service = self.directory.space(entity).is_some_and(|row| row.kind == SpaceKind::Service);
        match is_service {
            true => drop(self.directory.remove(entity)),
            false => self.gone(entity),
        }
        self.own_entity_gone(entity);
    }

    /// An entity wants to leave its space: what comes for it waits at its dispatcher, and a marker comes behind
    /// what came before.
    pub(super) fn enter_asked(&mut self, space: EntityId, entity: EntityId, intent: u32) {
        if self.directory.location(entity).is_some_and(|at| at.space == space) {
            self.dispatch(ToDispatcher::Block { entity, intent });
        }
    }

    /// Everything that was sent to an entity before it asked to leave has arrived.
    pub(super) fn marker(&mut self, entity: EntityId, intent: u32) {
        if let Some(space) = self.directory.location(entity).map(|at| at.space) {
            self.hand(space, Input::Marker { entity, intent });
        }
    }

    /// An entity has left: bring it to where it goes.
    pub(super) fn departed(&mut self, traveller: Box<Traveller>) {
        let module = &traveller.version.manifest.name;
        let target = traveller.to.unwrap_or_else(|| self.nil_place_of(module, traveller.entity));
        self.counters.moves += 1;
        self.send_traveller(target, traveller);
    }

    fn send_traveller(&mut self, space: EntityId, traveller: Box<Traveller>) {
        let (entity, epoch) = (traveller.entity, traveller.epoch);
        self.directory.depart(entity, space, epoch);
        let (target, id) = (Target::Arrival { entity, space }, self.message_id());
        let envelope = self.envelope(target, id, false, Cargo::Install(traveller));
        self.dispatch(ToDispatcher::Carry(Envelope { location_epoch: epoch, ..envelope }));
    }

    /// An entity comes to a space that should be here.
    pub(super) fn install(&mut self, space: EntityId, traveller: Box<Traveller>) {
        let (entity, epoch) = (traveller.entity, traveller.epoch);
        if !self.arrivals.take(entity, epoch) {
            // A copy. If it has come to its end here meanwhile, its dispatcher may have missed that.
            if self.arrivals.has_ended(entity, epoch) {
                self.dispatch(ToDispatcher::Gone { entity, epoch });
            }
            return;
        }
        let version = &traveller.version;
        self.seen_at_work(&version.manifest.name, version.generation);
        let row = self.directory.space(space);
        let fits = row.is_some_and(|row| {
            row.kind != SpaceKind::Service && row.module == traveller.version.manifest.name
        });
        match fits {
            true => {
                self.hand(space, Input::Install(traveller));
                // It may have been under way when its old game, and this one, heard of it.
                let heard = |at_ms: u64| self.now_ms < at_ms.saturating_add(super::limits::DEATH_HEARD_MS);
                if self.last_death_ms.is_some_and(heard) {
                    self.hand(space, Input::GameDied);
                }
            }
            false => self.arrival_refused(traveller, code::GONE),
        }
    }

    /// An entity was not let in: back to where it came from, or to nil if that is gone.
    pub(super) fn arrival_refused(&mut self, mut traveller: Box<Traveller>, code: &'static str) {
        self.counters.moves_failed += 1;
        let first = traveller.failed.is_none();
        // Twice refused: its old place does not take it back, so nil has to; or nobody does.
        if !first && traveller.from.is_none() {
            return self.lost(&traveller);
        }
        traveller.failed = Some(code);
        // Each attempt is a move of its own.
        traveller.epoch += 1;
        let nil = self.nil_shard_of(&traveller.version.manifest.name, traveller.entity);
        traveller.from = traveller.from.filter(|_| first);
        self.send_traveller(traveller.from.unwrap_or(nil), traveller);
    }

    /// What a closed space had not taken.
    pub(super) fn returned(&mut self, inputs: Vec<Input>) {
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

/// Which of so many places is an entity's.
pub(super) fn share_of(entity: EntityId, places: u32) -> u32 {
    let [a, b, c, d] = entity.0.0;
    let hash = u64::from(a ^ c) << 32 | u64::from(b ^ d);
    let share = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    u32::try_from(share % u64::from(places.max(1))).unwrap_or_default()
}
