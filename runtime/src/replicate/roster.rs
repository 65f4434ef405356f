//! The replicator's table of entities: rows that stay in place, found by id.

use super::interest::Row;
use super::kinds::Kind;
use super::mirror::{Arrival, Mirror};
use crate::id_hash::IdHasher;
use everwake_protocol::EntityId;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Roster {
    rows: Vec<Option<Mirror>>,
    free: Vec<Row>,
    /// For finding only; its order reaches nobody.
    by_id: HashMap<EntityId, Row, BuildHasherDefault<IdHasher>>,
    /// Rows of the last long list: a tick moves the same entities in the same order again and again.
    listed: Vec<Row>,
}

impl Roster {
    /// Takes an entity in; none if it is there already.
    pub(super) fn insert(&mut self, kind: Arc<Kind>, arrival: Arrival) -> Option<Row> {
        if self.by_id.contains_key(&arrival.entity) {
            return None;
        }
        let row = match self.free.pop() {
            Some(row) => row,
            None => {
                self.rows.push(None);
                Row(u32::try_from(self.rows.len() - 1).ok()?)
            }
        };
        self.by_id.insert(arrival.entity, row);
        *self.rows.get_mut(row.index())? = Some(Mirror::new(row, kind, arrival));
        Some(row)
    }

    pub(super) fn remove(&mut self, row: Row) {
        if let Some(mirror) = self.rows.get_mut(row.index()).and_then(Option::take) {
            self.by_id.remove(&mirror.entity);
            self.free.push(row);
        }
    }

    pub(super) fn find(&self, entity: EntityId) -> Option<Row> {
        self.by_id.get(&entity).copied()
    }

    /// The same for the one at a place of a long list.
    pub(super) fn find_listed(&mut self, place: usize, entity: EntityId) -> Option<Row> {
        let before = self.listed.get(place).copied();
        if let Some(row) = before.filter(|row| self.row(*row).is_some_and(|there| there.entity == entity)) {
            return Some(row);
        }
        let row = self.find(entity)?;
        if self.listed.len() == place {
            self.listed.push(row);
        } else if let Some(listed) = self.listed.get_mut(place) {
            *listed = row;
        }
        Some(row)
    }

    pub(super) fn row(&self, row: Row) -> Option<&Mirror> {
        self.rows.get(row.index())?.as_ref()
    }

    pub(super) fn row_mut(&mut self, row: Row) -> Option<&mut Mirror> {
        self.rows.get_mut(row.index())?.as_mut()
    }

    /// All entities, by row.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Mirror> {
        self.rows.iter_mut().flatten()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Place of a row in the order of arrival; last if nobody is there.
    pub(super) fn slot(&self, row: Row) -> u64 {
        self.row(row).map_or(u64::MAX, |mirror| mirror.slot)
    }
}
