//! Who is here: entity to (space, location epoch), and space to its row.
//!
//! Where everybody else is, dispatchers know.

use crate::id_hash::IdHasher;
use crate::message::Input;
use crate::space::SpaceKind;
use everwake_protocol::EntityId;
use everwake_protocol::cluster::{EntityReport, SpaceReport};
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
    /// It has left its space for this one, under this epoch, and has not arrived: this process answers for it.
    pub leaving: Option<(EntityId, u32)>,
}

impl Location {
    fn report(&self, entity: EntityId) -> EntityReport {
        match self.leaving {
            Some((space, epoch)) => EntityReport { entity, space, epoch, leaving: true },
            None => EntityReport { entity, space: self.space, epoch: self.epoch, leaving: false },
        }
    }
}

/// The directory of one process.
#[derive(Debug, Default)]
pub struct Directory {
    entities: HashMap<EntityId, Location, BuildHasherDefault<IdHasher>>,
    spaces: BTreeMap<EntityId, SpaceRow>,
    leaving: usize,
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
            .filter(|(_, at)| at.space == space && at.leaving.is_none())
            .map(|(id, _)| *id)
            .collect();
        gone.sort_unstable();
        Some((row, gone))
    }

    /// Places an entity, unless a higher epoch is known.
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
                self.leaving -= usize::from(at.leaving.take().is_some());
                at.type_id = type_id.or(at.type_id);
            }
            None => {
                self.entities.insert(entity, Location { space, epoch, type_id, leaving: None });
            }
        }
        true
    }

    /// Takes an entity out; answers the epoch of its location.
    pub fn remove(&mut self, entity: EntityId) -> Option<u32> {
        let at = self.entities.remove(&entity)?;
        self.count(at.space, -1);
        self.leaving -= usize::from(at.leaving.is_some());
        Some(at.epoch)
    }

    /// The entity has left its space.
    pub fn depart(&mut self, entity: EntityId, to: EntityId, epoch: u32) {
        if let Some(at) = self.entities.get_mut(&entity) {
            self.leaving += usize::from(at.leaving.replace((to, epoch)).is_none());
        }
    }

    /// Everybody for whom this process answers, by id.
    pub fn report(&self) -> (Vec<SpaceReport>, Vec<EntityReport>) {
        let spaces = self.spaces.iter().map(|(space, row)| SpaceReport { space: *space, epoch: row.epoch });
        let mut entities: Vec<EntityReport> =
            self.entities.iter().map(|(entity, at)| at.report(*entity)).collect();
        entities.sort_unstable_by_key(|report| report.entity);
        (spaces.collect(), entities)
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

    /// Entities in spaces of a kind that have not left, and what is known of each. The space itself is none of them.
    pub fn inside(&self, kind: SpaceKind) -> impl Iterator<Item = (EntityId, &Location)> {
        let is_there = move |(entity, at): &(EntityId, &Location)| {
            at.leaving.is_none()
                && *entity != at.space
                && self.spaces.get(&at.space).is_some_and(|row| row.kind == kind)
        };
        self.entities.iter().map(|(entity, at)| (*entity, at)).filter(is_there)
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

    /// Entities and spaces.
    pub fn sizes(&self) -> (usize, usize) {
        (self.entities.len(), self.spaces.len())
    }

    /// How many entities are on their way, and how many inputs spaces have not taken.
    pub fn waiting(&self) -> (usize, usize) {
        (self.leaving, self.spaces.values().map(|row| row.waiting.len()).sum())
    }

    fn count(&mut self, space: EntityId, by: isize) {
        if let Some(row) = self.spaces.get_mut(&space) {
            row.entities = row.entities.saturating_add_signed(by);
        }
    }
}
