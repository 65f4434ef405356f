//! Going over to another version between two events, and rehearsing it (rules E1 to E3).
//!
//! `migrate` runs on copies. Whatever fails, the old version goes on as if nothing had been asked.
//! Of two versions the one with the higher schema number knows both forms: its code migrates in
//! either direction, so going back works though the older code has never heard of the newer form.

use super::charge::Charges;
use super::commit::{DropReason, Effect};
use super::core::SpaceCore;
use super::entity::{Entity, Slot};
use super::state::{Space, is_visible};
use crate::guest::{Guest, GuestSource, Hook, VersionHash};
use crate::limits;
use crate::manifest::EntityType;
use crate::message::{Output, Rehearsal, SwapReport, Traveller};
use crate::replicate::{Change, ReplicaInput};
use crate::versions::{ModuleVersion, TypeTable};
use bytes::Bytes;
use everwake_protocol::EntityId;
use everwake_protocol::attributes::{Attributes, Change as Patch, Column, Slot as Value, write_path};
use everwake_protocol::cbor::{self, Reader};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An entity's attributes in another version.
struct Migrated {
    slot: Slot,
    entity: EntityId,
    schema: u32,
    attributes: Attributes,
}

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
                Ok(attributes) => {
                    traveller.body.attributes = attributes;
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
        for Migrated { slot, entity: id, schema, attributes } in migrated {
            let Some(entity) = self.world.get_mut(slot) else { continue };
            let changes = difference(&entity.body.attributes, &attributes);
            entity.body.attributes = attributes;
            entity.body.schema = schema;
            commit.push_delta(id, &changes);
            commit.effects.push(Effect::Migrated { entity: id });
            self.changes.push(Change::Patched { entity: id, changes: changes.into() });
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
        for entity in self.world.iter_mut() {
            entity.revision = revision;
            if let Some(table) = version.types.get(entity.type_index as usize) {
                entity.body.attributes.grow(table.attribute_ids as usize);
            }
        }
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

/// Attributes of a type by name.
#[derive(Clone, Copy)]
struct Names<'a> {
    version: &'a ModuleVersion,
    type_index: u32,
}

impl<'a> Names<'a> {
    /// Of a type by its small id.
    fn of(version: &'a ModuleVersion, type_id: u32) -> Option<Names<'a>> {
        version.type_by_id.get(&type_id).map(|type_index| Names { version, type_index: *type_index })
    }

    fn lacks(&self, attribute: &str) -> bool {
        self.iter().all(|(name, _)| name != attribute)
    }

    fn schema(&self) -> u32 {
        declared(self.version, self.type_index).map_or(0, |declared| declared.schema)
    }

    fn table(&self) -> Option<&'a TypeTable> {
        self.version.types.get(self.type_index as usize)
    }

    /// Name, small id and table of each attribute.
    fn iter(&self) -> impl Iterator<Item = (&'a str, &'a crate::versions::AttributeTable)> + use<'a> {
        let declared = declared(self.version, self.type_index);
        let names = declared.into_iter().flat_map(|declared| &declared.attributes);
        let tables = self.table().into_iter().flat_map(|table| &table.attributes);
        names.map(|attribute| attribute.name.as_str()).zip(tables)
    }
}

fn declared(version: &ModuleVersion, type_index: u32) -> Option<&EntityType> {
    version.manifest.types.get(type_index as usize)
}

fn migrate_all(
    space: &Space,
    version: &Arc<ModuleVersion>,
    guests: &mut dyn GuestSource,
) -> Result<Vec<Migrated>, String> {
    for (_, entity) in space.world.iter() {
        if !version.type_by_id.contains_key(&entity.body.type_id) {
            let name = declared(&space.version, entity.type_index).map_or("?", |declared| &declared.name);
            return Err(format!("{} is of type `{name}`, which the new version lacks", entity.id));
        }
    }
    let mut movers = Movers::new(guests);
    let mut migrated = Vec::new();
    for (slot, entity) in to_migrate(space, version) {
        let one = migrate_entity(&mut movers, space, version, slot, entity)
            .map_err(|why| format!("{}: {why}", entity.id))?;
        migrated.push(one);
    }
    Ok(migrated)
}

/// Instances whose `migrate` is called, one for each version that is needed.
struct Movers<'a> {
    guests: &'a mut dyn GuestSource,
    made: Vec<(VersionHash, Box<dyn Guest>)>,
}

impl<'a> Movers<'a> {
    fn new(guests: &'a mut dyn GuestSource) -> Movers<'a> {
        Movers { guests, made: Vec::new() }
    }

    fn of(&mut self, version: VersionHash) -> Result<&mut dyn Guest, String> {
        let place = match self.made.iter().position(|(made, _)| *made == version) {
            Some(place) => place,
            None => {
                let guest = self.guests.instantiate(version).map_err(|trap| trap.message)?;
                self.made.push((version, guest));
                self.made.len() - 1
            }
        };
        let (_, guest) = self.made.get_mut(place).ok_or("no instance")?;
        Ok(guest.as_mut())
    }

    /// Calls the `migrate` of whichever version has the higher schema number.
    fn migrate(
        &mut self,
        (old, from): (&Names<'_>, u32),
        (new, to): (&Names<'_>, u32),
        state: &[u8],
    ) -> Result<Bytes, String> {
        let mover = if old.schema() > new.schema() { old } else { new };
        let guest = self.of(mover.version.hash)?;
        let migrated = guest.migrate(mover.type_index, from, to, state).map_err(|trap| trap.message)?;
        migrated.map_err(|error| error.to_string())
    }
}

/// The attributes of a traveller in the version of the space that it comes to.
fn arrive(
    traveller: &Traveller,
    new: &Names<'_>,
    guests: &mut dyn GuestSource,
) -> Result<Attributes, String> {
    let body = &traveller.body;
    let old = Names::of(&traveller.version, body.type_id).ok_or("its version does not have its type")?;
    migrate_one(&mut Movers::new(guests), (&old, body.schema), new, &body.attributes)
}

/// Entities whose schema number is not that of the ordered version.
fn to_migrate<'a>(space: &'a Space, version: &'a ModuleVersion) -> impl Iterator<Item = (Slot, &'a Entity)> {
    space.world.iter().filter(|(_, entity)| {
        let names = Names::of(version, entity.body.type_id);
        names.is_some_and(|names| names.schema() != entity.body.schema)
    })
}

fn migrate_entity(
    movers: &mut Movers<'_>,
    space: &Space,
    version: &ModuleVersion,
    slot: Slot,
    entity: &Entity,
) -> Result<Migrated, String> {
    let old = Names { version: &space.version, type_index: entity.type_index };
    let new = Names::of(version, entity.body.type_id).ok_or("no such type")?;
    let attributes = migrate_one(movers, (&old, entity.body.schema), &new, &entity.body.attributes)?;
    Ok(Migrated { slot, entity: entity.id, schema: new.schema(), attributes })
}

/// Runs `migrate` on a copy. Attributes that only other versions know are carried along.
fn migrate_one(
    movers: &mut Movers<'_>,
    (old, from): (&Names<'_>, u32),
    new: &Names<'_>,
    attributes: &Attributes,
) -> Result<Attributes, String> {
    let state = movers.migrate((old, from), (new, new.schema()), &state_by_name(old, attributes))?;
    let mut migrated = attributes.clone();
    migrated.grow(new.table().map_or(0, |table| table.attribute_ids as usize));
    let mut values = read_by_name(&state)?;
    for (name, table) in new.iter() {
        let value = values.remove(name);
        // What `migrate` did not get to see, and does not set, goes on resting where it is; what it
        // leaves out has its initial value.
        if value.is_none() && old.lacks(name) {
            continue;
        }
        let change = Patch { attribute: table.id, key: None, insert: false, value, raw: &[] };
        if let Some(value) = value {
            crate::versions::check_value(&table.structure, value)
                .map_err(|error| format!("attribute `{name}`: {error}"))?;
        }
        let column = Column { shape: table.shape, initial: &table.initial };
        migrated.apply(&change, column, None).map_err(|error| error.to_string())?;
    }
    // On the way down the newer form's attributes may be left where they are: they rest.
    let strange = values.keys().find(|name| old.lacks(name));
    match strange {
        Some(name) => Err(format!("`migrate` gave an attribute `{name}`, which the type lacks")),
        None => Ok(migrated),
    }
}

/// One CBOR map from attribute name to value, all attributes.
fn state_by_name(names: &Names<'_>, attributes: &Attributes) -> Vec<u8> {
    let mut state = Vec::new();
    cbor::map(&mut state, names.iter().count());
    for (name, table) in names.iter() {
        cbor::text(&mut state, name);
        match attributes.slot(table.id) {
            Value::Absent => state.extend_from_slice(&table.initial),
            value => value.encode(&mut state),
        }
    }
    state
}

fn read_by_name(state: &[u8]) -> Result<BTreeMap<&str, &[u8]>, String> {
    let mut reader = Reader::new(state);
    let mut values = BTreeMap::new();
    let count = reader.map().map_err(|error| error.to_string())?;
    for _ in 0..count {
        let name = reader.text().map_err(|error| error.to_string())?;
        let value = reader.item().map_err(|error| error.to_string())?;
        if values.insert(name, value).is_some() {
            return Err(format!("`migrate` gave the attribute `{name}` twice"));
        }
    }
    reader.end().map_err(|error| error.to_string())?;
    Ok(values)
}

/// A patch by small ids, whole attributes, of what differs.
fn difference(old: &Attributes, new: &Attributes) -> Vec<u8> {
    let mut changes = Vec::new();
    for (attribute, value) in (0u32..).zip(new.slots()) {
        if old.slot(attribute) != value {
            cbor::uint(&mut changes, u64::from(attribute));
            value.encode(&mut changes);
        }
    }
    changes
}

/// Migrates copies up and down again.
fn rehearse_all(
    space: &Space,
    version: &ModuleVersion,
    guests: &mut dyn GuestSource,
    rehearsal: &mut Rehearsal,
) {
    let candidates: Vec<(Slot, &Entity)> = to_migrate(space, version).collect();
    if candidates.is_empty() {
        return;
    }
    rehearsal.migrated = candidates.len();
    let mut movers = Movers::new(guests);
    for (slot, entity) in candidates {
        let up = migrate_entity(&mut movers, space, version, slot, entity);
        let up = match up {
            Ok(up) => up,
            Err(why) => {
                rehearsal.failed += 1;
                rehearsal.reversible = false;
                if rehearsal.failures.len() < limits::REHEARSAL_FAILURES_MAX {
                    rehearsal.failures.push(format!("{}: {why}", entity.id));
                }
                continue;
            }
        };
        if rehearsal.reversible {
            rehearsal.reversible = comes_back(&mut movers, space, version, entity, &up);
        }
    }
}

/// Whether `migrate` the other way gives back what was there before.
fn comes_back(
    movers: &mut Movers<'_>,
    space: &Space,
    version: &ModuleVersion,
    entity: &Entity,
    up: &Migrated,
) -> bool {
    let Some(new) = Names::of(version, entity.body.type_id) else { return false };
    let old = Names { version: &space.version, type_index: entity.type_index };
    let state = state_by_name(&new, &up.attributes);
    let Ok(state) = movers.migrate((&new, up.schema), (&old, entity.body.schema), &state) else {
        return false;
    };
    let before = state_by_name(&old, &entity.body.attributes);
    match (read_by_name(&state), read_by_name(&before)) {
        (Ok(mut after), Ok(mut before)) => {
            // What the other form lacks rests, and comes back as it is.
            after.retain(|name, _| !new.lacks(name) && !old.lacks(name));
            before.retain(|name, _| !new.lacks(name));
            after == before
        }
        _ => false,
    }
}
