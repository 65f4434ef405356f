//! The entities of a space: by id, by slot, in the order of entering, by type.
//!
//! Knows nothing of events. Hash order stays inside: every list is in the order of entering.

use super::entity::{Entity, Slot};
use super::images::Images;
use crate::id_hash::IdHasher;
use crate::prefetch;
use everwake_protocol::{EntityId, SessionId};
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct World {
    slots: Vec<Option<Box<Entity>>>,
    free: Vec<u32>,
    by_id: HashMap<EntityId, Slot, BuildHasherDefault<IdHasher>>,
    order: BTreeMap<u64, Slot>,
    /// By type index.
    by_type: BTreeMap<u32, BTreeMap<u64, Slot>>,
    /// Whose client is whose.
    pub(super) sessions: BTreeMap<SessionId, EntityId>,
    entered: u64,
    revisions: u32,
    /// What entities were like before they changed.
    pub(super) images: Images,
}

/// Entities that a walk over all fetches before it looks at them.
const AHEAD: usize = 8;

impl World {
    /// How many there are by id, in order, and by type.
    pub(super) fn sizes(&self) -> [usize; 3] {
        [self.by_id.len(), self.order.len(), self.by_type.values().map(BTreeMap::len).sum()]
    }

    /// Puts an entity in; it is the last in order and has a revision that no other had here.
    pub(super) fn insert(&mut self, mut entity: Entity) -> Slot {
        self.entered += 1;
        entity.order = self.entered;
        self.insert_at(entity)
    }

    /// The same with the order that it has.
    pub(super) fn insert_at(&mut self, mut entity: Entity) -> Slot {
        self.entered = self.entered.max(entity.order);
        self.revisions = self.revisions.wrapping_add(1);
        entity.revision = self.revisions;
        self.images.comes(&mut entity);
        let (id, order, type_index) = (entity.id, entity.order, entity.type_index);
        let session = entity.body.client.as_ref().map(|client| client.session);
        let slot = match self.free.pop() {
            Some(index) => Slot(index),
            None => {
                self.slots.push(None);
                Slot(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
            }
        };
        if let Some(place) = self.slots.get_mut(slot.0 as usize) {
            *place = Some(Box::new(entity));
        }
        self.by_id.insert(id, slot);
        self.order.insert(order, slot);
        self.by_type.entry(type_index).or_default().insert(order, slot);
        if let Some(session) = session {
            self.sessions.insert(session, id);
        }
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Entity> {
        let mut entity = *self.slots.get_mut(slot.0 as usize)?.take()?;
        self.images.changes(&mut entity);
        self.free.push(slot.0);
        self.by_id.remove(&entity.id);
        self.order.remove(&entity.order);
        if let Some(same) = self.by_type.get_mut(&entity.type_index) {
            same.remove(&entity.order);
        }
        if let Some(client) = &entity.body.client {
            self.sessions.remove(&client.session);
        }
        Some(entity)
    }

    /// Removes an entity as if it had never been put in.
    pub(super) fn take_back(&mut self, slot: Slot) {
        if let Some(entity) = self.remove(slot)
            && entity.order == self.entered
        {
            self.entered -= 1;
        }
    }

    /// Gives every entity the index that its type has in another version, where it is another one.
    pub(super) fn retype(&mut self, mut index: impl FnMut(u32) -> Option<u32>) {
        for (before, members) in std::mem::take(&mut self.by_type) {
            let Some(type_index) = index(before) else { continue };
            if type_index != before {
                for slot in members.values() {
                    if let Some(Some(entity)) = self.slots.get_mut(slot.0 as usize) {
                        entity.type_index = type_index;
                    }
                }
            }
            self.by_type.insert(type_index, members);
        }
    }

    /// In no order that means anything. Only for what no snapshot holds: no images are taken.
    pub(super) fn for_each(&mut self, mut change: impl FnMut(&mut Entity)) {
        for place in 0..self.slots.len() {
            if let Some(Some(ahead)) = self.slots.get(place + AHEAD) {
                prefetch::value(&**ahead, 2);
            }
            if let Some(Some(entity)) = self.slots.get_mut(place) {
                change(entity);
            }
        }
    }

    /// A revision that no entity had here.
    pub(super) fn next_revision(&mut self) -> u32 {
        self.revisions = self.revisions.wrapping_add(1);
        self.revisions
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Entity> {
        let entity = self.slots.get_mut(slot.0 as usize)?.as_deref_mut()?;
        self.images.changes(entity);
        Some(entity)
    }

    pub(super) fn by_id_mut(&mut self, id: EntityId) -> Option<&mut Entity> {
        let slot = self.slot(id)?;
        self.get_mut(slot)
    }

    pub(super) fn slot(&self, id: EntityId) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Entity> {
        self.slots.get(slot.0 as usize)?.as_deref()
    }

    /// Fetches an entity that will be wanted soon.
    pub(super) fn prefetch(&self, slot: Slot) {
        if let Some(entity) = self.get(slot) {
            prefetch::value(entity, 2);
            prefetch::value(&entity.imaged, 1);
        }
    }

    /// Fetches the attributes of an entity that is at hand already.
    pub(super) fn prefetch_attributes(&self, slot: Slot) {
        if let Some(entity) = self.get(slot) {
            prefetch::slice(entity.body.attributes.slots(), 8);
        }
    }

    pub(super) fn by_id(&self, id: EntityId) -> Option<&Entity> {
        self.get(self.slot(id)?)
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// In the order of entering.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (Slot, &Entity)> {
        self.order.values().filter_map(|slot| Some((*slot, self.get(*slot)?)))
    }

    /// Those of one type, or all, in the order of entering.
    pub(super) fn iter_of(&self, type_index: Option<u32>) -> impl Iterator<Item = (Slot, &Entity)> {
        static NONE: BTreeMap<u64, Slot> = BTreeMap::new();
        let chosen = match type_index {
            None => &self.order,
            Some(index) => self.by_type.get(&index).unwrap_or(&NONE),
        };
        chosen.values().filter_map(|slot| Some((*slot, self.get(*slot)?)))
    }
}
