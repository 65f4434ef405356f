//! Where entities are: entity to (space, location epoch), and space to its row.
//!
//! Knows nothing of messages' meaning: it blocks, parks and releases [`Input`]s. Two levels
//! (entity to space, space to process), so that moving a space changes one row.

use super::limits::{PARKED_BYTES_MAX, PARKED_INPUTS_MAX};
use crate::id_hash::IdHasher;
use crate::message::Input;
use crate::space::SpaceKind;
use everwake_protocol::EntityId;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::BuildHasherDefault;

/// One space of this process.
#[derive(Debug)]
pub struct SpaceRow {
    /// Which module's.
    pub module: String,
    /// What for.
    pub kind: SpaceKind,
    /// Rises when the space goes to another process.
    pub epoch: u32,
    /// Entities that the directory places in it.
    pub entities: usize,
    /// Sizes of the inputs that it has not taken yet.
    waiting: VecDeque<u32>,
    waiting_bytes: usize,
}

impl SpaceRow {
    /// Inputs handed to it that it has not taken yet, and their bytes.
    pub fn backlog(&self) -> (usize, usize) {
        (self.waiting.len(), self.waiting_bytes)
    }
}

/// Where one entity is.
#[derive(Debug)]
pub struct Location {
    /// Its space: nil shard, service shard or real space.
    pub space: EntityId,
    /// Higher wins.
    pub epoch: u32,
    /// Small id of its type; none until it is registered.
    pub type_id: Option<u32>,
    /// It has left its space and is in none until it is placed again.
    in_transit: bool,
    /// Set while it changes spaces: what is for it waits here.
    parking: Option<Box<Parking>>,
}

#[derive(Debug)]
struct Parking {
    since_ms: u64,
    inputs: VecDeque<Input>,
    bytes: usize,
}

/// What became of something for an entity.
#[derive(Debug)]
pub enum Routed {
    /// Hand it to this space now.
    To(EntityId, Input),
    /// It waits until the entity has arrived.
    Parked,
    /// Too much waits already.
    Overloaded(Input),
    /// No such entity.
    Unknown(Input),
}

/// The directory of one process.
#[derive(Debug, Default)]
pub struct Directory {
    entities: HashMap<EntityId, Location, BuildHasherDefault<IdHasher>>,
    spaces: BTreeMap<EntityId, SpaceRow>,
    /// Blocked entities, for expiry in order.
    blocked: BTreeMap<EntityId, u64>,
    parked: usize,
}

impl Directory {
    /// Adds a space.
    pub fn add_space(&mut self, space: EntityId, module: &str, kind: SpaceKind, epoch: u32) {
        self.spaces.insert(
            space,
            SpaceRow {
                module: module.to_owned(),
                kind,
                epoch,
                entities: 0,
                waiting: VecDeque::new(),
                waiting_bytes: 0,
            },
        );
    }

    /// Removes a space; answers its row and the entities that are still in it, by id: those that have
    /// left it are on their way to another one.
    pub fn remove_space(&mut self, space: EntityId) -> Option<(SpaceRow, Vec<EntityId>)> {
        let row = self.spaces.remove(&space)?;
        let mut gone: Vec<EntityId> = self
            .entities
            .iter()
            .filter(|(_, at)| at.space == space && !at.in_transit)
            .map(|(id, _)| *id)
            .collect();
        gone.sort_unstable();
        Some((row, gone))
    }

    /// Places an entity, unless a higher epoch is known. A blocked entity is not released by this.
    pub fn place(&mut self, entity: EntityId, space: EntityId, type_id: Option<u32>, epoch: u32) -> bool {
        let known = self.entities.get(&entity).map(|at| (at.space, at.epoch));
        if known.is_some_and(|(_, known)| known > epoch) {
            return false;
        }
        if known.map(|(at, _)| at) != Some(space) {
            if let Some((old, _)) = known {
                self.count(old, -1);
            }
            self.count(space, 1);
        }
        match self.entities.get_mut(&entity) {
            Some(at) => {
                at.space = space;
                at.epoch = epoch;
                at.in_transit = false;
                at.type_id = type_id.or(at.type_id);
            }
            None => {
                self.entities
                    .insert(entity, Location { space, epoch, type_id, in_transit: false, parking: None });
            }
        }
        true
    }

    /// Takes an entity out; answers what waited for it, in order.
    pub fn remove(&mut self, entity: EntityId) -> Vec<Input> {
        let Some(at) = self.entities.remove(&entity) else { return Vec::new() };
        self.count(at.space, -1);
        self.blocked.remove(&entity);
        let waiting = at.parking.map(|parking| Vec::from(parking.inputs)).unwrap_or_default();
        self.parked = self.parked.saturating_sub(waiting.len());
        waiting
    }

    /// From now on everything for the entity waits.
    pub fn block(&mut self, entity: EntityId, now_ms: u64) {
        if let Some(at) = self.entities.get_mut(&entity)
            && at.parking.is_none()
        {
            at.parking = Some(Box::new(Parking { since_ms: now_ms, inputs: VecDeque::new(), bytes: 0 }));
            self.blocked.insert(entity, now_ms);
        }
    }

    /// The entity has left its space.
    pub fn depart(&mut self, entity: EntityId) {
        if let Some(at) = self.entities.get_mut(&entity) {
            at.in_transit = true;
        }
    }

    /// The entity has arrived: answers its space and what waited, in order.
    pub fn release(&mut self, entity: EntityId) -> Vec<Input> {
        self.blocked.remove(&entity);
        let Some(at) = self.entities.get_mut(&entity) else { return Vec::new() };
        let waiting = at.parking.take().map(|parking| Vec::from(parking.inputs)).unwrap_or_default();
        self.parked = self.parked.saturating_sub(waiting.len());
        waiting
    }

    /// What has waited longer than `limit_ms` and can be refused; the entities stay blocked.
    pub fn expire(&mut self, now_ms: u64, limit_ms: u64) -> Vec<Input> {
        let late: Vec<EntityId> = self
            .blocked
            .iter()
            .filter(|(_, since)| now_ms.saturating_sub(**since) >= limit_ms)
            .map(|(entity, _)| *entity)
            .collect();
        let mut expired = Vec::new();
        for entity in late {
            self.blocked.insert(entity, now_ms);
            if let Some(parking) = self.entities.get_mut(&entity).and_then(|at| at.parking.as_mut()) {
                parking.since_ms = now_ms;
                let (late, kept): (Vec<Input>, _) = parking.inputs.drain(..).partition(Input::is_refusable);
                parking.inputs = kept.into();
                parking.bytes = parking.inputs.iter().map(Input::bytes).sum();
                expired.extend(late);
            }
        }
        self.parked = self.parked.saturating_sub(expired.len());
        expired
    }

    /// When the oldest blocked entity was blocked.
    pub fn blocked_since(&self) -> Option<u64> {
        self.blocked.values().min().copied()
    }

    /// Where something for an entity goes.
    pub fn route(&mut self, entity: EntityId, input: Input) -> Routed {
        let Some(at) = self.entities.get_mut(&entity) else { return Routed::Unknown(input) };
        let Some(parking) = at.parking.as_mut() else { return Routed::To(at.space, input) };
        let bytes = input.bytes();
        let full = parking.inputs.len() >= PARKED_INPUTS_MAX || parking.bytes + bytes > PARKED_BYTES_MAX;
        if full && input.is_refusable() {
            return Routed::Overloaded(input);
        }
        parking.bytes += bytes;
        parking.inputs.push_back(input);
        self.parked += 1;
        Routed::Parked
    }

    /// Notes that a space was handed something.
    pub fn handed(&mut self, space: EntityId, input: &Input) {
        if let Some(row) = self.spaces.get_mut(&space) {
            let bytes = u32::try_from(input.bytes()).unwrap_or(u32::MAX);
            row.waiting.push_back(bytes);
            row.waiting_bytes += bytes as usize;
        }
    }

    /// Notes that a space has taken so many of its inputs.
    pub fn taken(&mut self, space: EntityId, inputs: usize) {
        let Some(row) = self.spaces.get_mut(&space) else { return };
        for _ in 0..inputs {
            let Some(bytes) = row.waiting.pop_front() else { break };
            row.waiting_bytes = row.waiting_bytes.saturating_sub(bytes as usize);
        }
    }

    /// Where an entity is.
    pub fn location(&self, entity: EntityId) -> Option<&Location> {
        self.entities.get(&entity)
    }

    /// The module of an entity's space.
    pub fn module_of(&self, entity: EntityId) -> Option<&str> {
        let at = self.entities.get(&entity)?;
        self.spaces.get(&at.space).map(|row| row.module.as_str())
    }

    /// A space's row.
    pub fn space(&self, space: EntityId) -> Option<&SpaceRow> {
        self.spaces.get(&space)
    }

    /// All spaces, by id.
    pub fn spaces(&self) -> impl Iterator<Item = (EntityId, &SpaceRow)> {
        self.spaces.iter().map(|(id, row)| (*id, row))
    }

    /// The spaces of one module, by id.
    pub fn spaces_of(&self, module: &str) -> Vec<EntityId> {
        self.spaces.iter().filter(|(_, row)| row.module == module).map(|(id, _)| *id).collect()
    }

    /// How many live entities of each type a module has.
    pub fn census(&self, module: &str) -> BTreeMap<u32, usize> {
        let mut census = BTreeMap::new();
        for at in self.entities.values() {
            if let Some(type_id) = at.type_id
                && self.spaces.get(&at.space).is_some_and(|row| row.module == module)
            {
                *census.entry(type_id).or_insert(0) += 1;
            }
        }
        census
    }

    /// Entities, spaces, and inputs that wait for moving entities.
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.entities.len(), self.spaces.len(), self.parked)
    }

    /// How many entities are on their way, and how many inputs spaces have not taken.
    pub fn waiting(&self) -> (usize, usize) {
        (self.blocked.len(), self.spaces.values().map(|row| row.waiting.len()).sum())
    }

    fn count(&mut self, space: EntityId, by: isize) {
        if let Some(row) = self.spaces.get_mut(&space) {
            row.entities = row.entities.saturating_add_signed(by);
        }
    }
}
