//! Going over to another version between two events, and rehearsing it (rules E1 to E3).
//!
//! What `migrate` says is kept aside until all have been asked ([`super::migrate`]). Whatever fails, the old
//! version goes on as if nothing had been asked.

use super::charge::Charges;
use super::commit::{DropReason, Effect};
use super::core::SpaceCore;
use super::entity::{Entity, Slot};
use super::migrate::{Migrated, Names, arrive, declared, migrate_all, rehearse_all};
use super::state::{Space, is_visible};
use crate::guest::{GuestSource, Hook};
use crate::message::{Output, Rehearsal, SwapReport, Traveller};
use crate::replicate::{Change, ReplicaInput};
use crate::versions::ModuleVersion;
use bytes::Bytes;
use everwake_protocol::EntityId;
use everwake_protocol::attributes::write_path;
use everwake_protocol::cbor;
use std::sync::Arc;

impl SpaceCore {
    /// Goes over to the ordered version, or stays.
    pub(super) fn swap(&mut self, version: &Arc<ModuleVersion>, guests: &mut dyn GuestSource) {
        let space = self.shared();
        let from = space.version.hash;
        let mut report =
            SwapReport { from, to: version.hash, failed: None, entities: space.world.len(), migrated: 0 };
        match migrate_all(space, version, guests) {
            Err(why) => report.failed = Some(why),
            Ok(migrated) => {
                report.migrated = migrated.len();
                self.drop_instance(DropReason::Swap);
                self.space().go_over(version, migrated);
                self.tell_recorder();
            }
        }
        self.space().fifo.push(Output::Swapped(report));
    }

    /// Says what a swap would do.
    pub(super) fn rehearse(
        &mut self,
        ticket: u64,
        version: &Arc<ModuleVersion>,
        guests: &mut dyn GuestSource,
    ) {
        let space = self.shared();
        let mut rehearsal =
            Rehearsal { entities: space.world.len(), reversible: true, ..Rehearsal::default() };
        rehearsal.parked = super::parked::parked(space, version);
        rehearse_all(space, version, guests, &mut rehearsal);
        self.space().fifo.push(Output::Rehearsed { ticket, rehearsal: Box::new(rehearsal) });
    }

    /// Lets a traveller in, through `migrate` if it comes from an older schema, or sends it back.
    pub(super) fn receive(&mut self, mut traveller: Traveller, guests: &mut dyn GuestSource) {
        let admitted = self.shared().admit(&traveller);
        let type_index = match admitted {
            Ok(type_index) => type_index,
            Err(code) => return self.space().fifo.push(Output::Refused(Box::new(traveller), code)),
        };
        let version = self.shared().version.clone();
        let new = Names { version: &version, type_index };
        if traveller.body.schema != new.schema() {
            match arrive(&traveller, &new, guests) {
                Ok(values) => {
                    for (attribute, value) in values {
                        traveller.body.attributes.put(attribute, value);
                    }
                    let attributes = new.table().map_or(0, |table| table.attribute_ids);
                    traveller.body.attributes.grow(attributes as usize);
                    traveller.body.schema = new.schema();
                }
                Err(_) if traveller.failed.is_none() => {
                    return self.space().fifo.push(Output::Refused(Box::new(traveller), "version-mismatch"));
                }
                // It has nowhere else to be: it stays as it is.
                Err(_) => {}
            }
        }
        self.space().install(traveller, type_index);
        self.tell_recorder();
    }
}

impl Space {
    fn go_over(&mut self, version: &Arc<ModuleVersion>, migrated: Vec<Migrated>) {
        let old = std::mem::replace(&mut self.version, version.clone());
        for declared in &old.manifest.types {
            for method in &declared.methods {
                let hash = crate::versions::MethodKey::name_hash(&method.name);
                self.former_names.insert(hash, method.name.clone());
            }
        }
        // What clients made crash was the code that is gone.
        self.charges = Charges::default();
        let version = self.version.clone();
        let unseen = self.not_seen_yet(&version);
        self.world.retype(|index| {
            let table = old.types.get(index as usize)?;
            version.type_by_id.get(&table.id).copied()
        });
        self.ticks.follow(&version);
        self.visible = super::state::visible_attributes(&version);
        let mut commit = self.open_own_commit(self.config.id);
        self.feed(ReplicaInput::Swapped(version.clone()));
        let mut changes = Vec::new();
        let slots: Vec<Slot> = migrated.iter().map(|migrated| migrated.slot).collect();
        for (place, Migrated { slot, schema, values }) in migrated.into_iter().enumerate() {
            // In two steps: a pointer must be there before what is behind it.
            if let Some(next) = slots.get(place + 1) {
                self.world.prefetch_attributes(*next);
            }
            if let Some(after) = slots.get(place + 2) {
                self.world.prefetch(*after);
            }
            let Some(entity) = self.world.get_mut(slot) else { continue };
            changes.clear();
            let mut seen = false;
            for (attribute, value) in values {
                seen |= is_visible(&self.visible, entity.type_index, attribute);
                write_path(attribute, None, false, &mut changes);
                value.encode(&mut changes);
                entity.body.attributes.put(attribute, value);
            }
            entity.body.schema = schema;
            commit.push_delta(entity.id, &changes);
            commit.effects.push(Effect::Migrated { entity: entity.id });
            if seen {
                let changes = Bytes::copy_from_slice(&changes);
                self.changes.push(Change::Patched { entity: entity.id, changes });
            }
        }
        self.catch_up(unseen);
        self.renew(&version);
        self.wake_sleepers(&old);
        self.tell_of_swap(&old, &version);
        self.replicate();
        self.commits.keep(commit);
    }

    /// No instance knows the entities any more, and each has room for the attributes of its type.
    fn renew(&mut self, version: &ModuleVersion) {
        let revision = self.world.next_revision();
        self.world.for_each(|entity| {
            entity.revision = revision;
            if let Some(table) = version.types.get(entity.type_index as usize) {
                entity.body.attributes.grow(table.attribute_ids as usize);
            }
        });
    }

    /// Entities of types that do not sleep any more: what came due meanwhile fires now.
    fn wake_sleepers(&mut self, old: &ModuleVersion) {
        let slept = |space: &Space, entity: &Entity| {
            let before = old.type_by_id.get(&entity.body.type_id).and_then(|index| declared(old, *index));
            before.is_some_and(|before| before.sleeps_unwatched)
                && !entity.watched
                && !space.sleeps(entity.type_index)
        };
        if old.manifest.types.iter().any(|declared| declared.sleeps_unwatched) {
            let all = self.world.iter().filter(|(_, entity)| slept(self, entity));
            let awake: Vec<EntityId> = all.map(|(_, entity)| entity.id).collect();
            awake.into_iter().for_each(|entity| self.wake_timers(entity));
        }
    }

    /// To the entities whose type wants to know.
    fn tell_of_swap(&mut self, old: &ModuleVersion, version: &ModuleVersion) {
        let (from, to) = (old.hash.to_string(), version.hash.to_string());
        for (type_index, declared) in (0u32..).zip(&version.manifest.types) {
            if declared.hooks & 1 << Hook::Swapped as u32 == 0 {
                continue;
            }
            let members: Vec<EntityId> =
                self.world.iter_of(Some(type_index)).map(|(_, entity)| entity.id).collect();
            for id in members {
                self.tell(id, Hook::Swapped, |args| {
                    cbor::array(args, 2);
                    cbor::text(args, &from);
                    cbor::text(args, &to);
                });
            }
        }
    }
}

/// An attribute of an entity by its small id.
type Place = (Slot, u32);

impl Space {
    /// Attributes that clients may see in this version and could not see before: what became of
    /// them was not told to the replicator.
    fn not_seen_yet(&self, version: &ModuleVersion) -> Vec<Place> {
        let visible = super::state::visible_attributes(version);
        let mut places = Vec::new();
        for (before, table) in (0u32..).zip(&self.version.types) {
            let Some(index) = version.type_by_id.get(&table.id) else { continue };
            let ids = visible.get(*index as usize).map_or(0, Vec::len);
            let is_new =
                |id: &u32| is_visible(&visible, *index, *id) && !is_visible(&self.visible, before, *id);
            let news: Vec<u32> = (0u32..).take(ids).filter(is_new).collect();
            if !news.is_empty() {
                let members = self.world.iter_of(Some(before));
                places.extend(members.flat_map(|(slot, _)| news.iter().map(move |id| (slot, *id))));
            }
        }
        places
    }

    fn catch_up(&mut self, places: Vec<Place>) {
        for (slot, attribute) in places {
            let Some(entity) = self.world.get(slot) else { continue };
            let mut changes = Vec::new();
            write_path(attribute, None, false, &mut changes);
            entity.body.attributes.slot(attribute).encode(&mut changes);
            self.changes.push(Change::Patched { entity: entity.id, changes: changes.into() });
        }
    }
}
