//! Going over to another version between two events, and rehearsing it (rules E1 to E3).
//!
//! `migrate` runs on copies. Whatever fails, the old version goes on as if nothing had been asked.

use super::commit::{DropReason, Effect};
use super::core::SpaceCore;
use super::entity::{Entity, Slot};
use super::state::{Space, is_visible};
use crate::guest::{Guest, GuestSource, Hook};
use crate::limits;
use crate::manifest::EntityType;
use crate::message::{Output, Rehearsal, SwapOrder, SwapReport, Traveller};
use crate::replicate::{Change, ReplicaInput};
use crate::versions::{ModuleVersion, TypeTable};
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
    pub(super) fn swap(&mut self, order: &Arc<SwapOrder>, guests: &mut dyn GuestSource) {
        let space = self.shared();
        let from = space.version.hash;
        let mut report = SwapReport {
            from,
            to: order.version.hash,
            failed: None,
            entities: space.world.len(),
            migrated: 0,
        };
        match migrate_all(space, order, guests) {
            Err(why) => report.failed = Some(why),
            Ok(migrated) => {
                report.migrated = migrated.len();
                self.drop_instance(DropReason::Swap);
                self.space().go_over(order, migrated);
                self.tell_recorder();
            }
        }
        self.space().fifo.push(Output::Swapped(report));
    }

    /// Says what a swap would do.
    pub(super) fn rehearse(&mut self, ticket: u64, order: &Arc<SwapOrder>, guests: &mut dyn GuestSource) {
        let space = self.shared();
        let mut rehearsal =
            Rehearsal { entities: space.world.len(), reversible: true, ..Rehearsal::default() };
        rehearsal.parked = super::parked::parked(space, &order.version);
        rehearse_all(space, order, guests, &mut rehearsal);
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
        let to = declared(&version, type_index).map_or(0, |declared| declared.schema);
        if traveller.body.schema != to {
            let migrated =
                guests.instantiate(version.hash).map_err(|trap| trap.message).and_then(|mut guest| {
                    let body = &traveller.body;
                    let names = Names { version: &version, type_index };
                    migrate_one(guest.as_mut(), &names, &names, (body.schema, to), &body.attributes)
                });
            match migrated {
                Ok(attributes) => {
                    traveller.body.attributes = attributes;
                    traveller.body.schema = to;
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
    fn go_over(&mut self, order: &SwapOrder, migrated: Vec<Migrated>) {
        let old = std::mem::replace(&mut self.version, order.version.clone());
        for declared in &old.manifest.types {
            for method in &declared.methods {
                let hash = crate::versions::MethodKey::name_hash(&method.name);
                self.former_names.insert(hash, method.name.clone());
            }
        }
        let version = self.version.clone();
        let unseen = self.not_seen_yet(&version);
        self.world.retype(|type_id| version.type_by_id.get(&type_id).copied());
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
        let slots: Vec<Slot> = self.world.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let revision = self.world.next_revision();
            let Some(entity) = self.world.get_mut(slot) else { continue };
            entity.revision = revision;
            if let Some(table) = version.types.get(entity.type_index as usize) {
                entity.body.attributes.grow(table.attribute_ids as usize);
            }
            let id = entity.id;
            let (from, to) = (old.hash.to_string(), version.hash.to_string());
            self.tell(id, Hook::Swapped, |args| {
                cbor::array(args, 2);
                cbor::text(args, &from);
                cbor::text(args, &to);
            });
        }
        self.replicate();
        self.commits.keep(commit);
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
        for (slot, entity) in self.world.iter() {
            let Some(index) = version.type_by_id.get(&entity.body.type_id) else { continue };
            let ids = visible.get(*index as usize).map_or(0, Vec::len);
            let news = (0u32..).take(ids).filter(|id| {
                is_visible(&visible, *index, *id) && !is_visible(&self.visible, entity.type_index, *id)
            });
            places.extend(news.map(|id| (slot, id)));
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
    order: &SwapOrder,
    guests: &mut dyn GuestSource,
) -> Result<Vec<Migrated>, String> {
    for (_, entity) in space.world.iter() {
        if !order.version.type_by_id.contains_key(&entity.body.type_id) {
            let name = declared(&space.version, entity.type_index).map_or("?", |declared| &declared.name);
            return Err(format!("{} is of type `{name}`, which the new version lacks", entity.id));
        }
    }
    let mut guest = None;
    let mut migrated = Vec::new();
    for (slot, entity) in to_migrate(space, order) {
        let guest: &mut Box<dyn Guest> = match &mut guest {
            Some(guest) => guest,
            none => none.insert(guests.instantiate(order.version.hash).map_err(|trap| trap.message)?),
        };
        let one = migrate_entity(guest.as_mut(), space, &order.version, slot, entity)
            .map_err(|why| format!("{}: {why}", entity.id))?;
        migrated.push(one);
    }
    Ok(migrated)
}

/// Entities whose schema number is not that of the ordered version.
fn to_migrate<'a>(space: &'a Space, order: &'a SwapOrder) -> impl Iterator<Item = (Slot, &'a Entity)> {
    space.world.iter().filter(|(_, entity)| {
        let index = order.version.type_by_id.get(&entity.body.type_id);
        let schema = index.and_then(|index| declared(&order.version, *index)).map(|declared| declared.schema);
        order.migrate.contains(&entity.body.type_id) || schema.is_some_and(|to| to != entity.body.schema)
    })
}

fn migrate_entity(
    guest: &mut dyn Guest,
    space: &Space,
    version: &ModuleVersion,
    slot: Slot,
    entity: &Entity,
) -> Result<Migrated, String> {
    let type_index = *version.type_by_id.get(&entity.body.type_id).ok_or("no such type")?;
    let schema = declared(version, type_index).ok_or("no such type")?.schema;
    let old = Names { version: &space.version, type_index: entity.type_index };
    let new = Names { version, type_index };
    let schemas = (entity.body.schema, schema);
    let attributes = migrate_one(guest, &old, &new, schemas, &entity.body.attributes)?;
    Ok(Migrated { slot, entity: entity.id, schema, attributes })
}

/// Runs `migrate` on a copy. Attributes that only other versions know are carried along.
fn migrate_one(
    guest: &mut dyn Guest,
    old: &Names<'_>,
    new: &Names<'_>,
    schemas: (u32, u32),
    attributes: &Attributes,
) -> Result<Attributes, String> {
    let state = state_by_name(old, attributes);
    let state = guest
        .migrate(new.type_index, schemas.0, schemas.1, &state)
        .map_err(|trap| trap.message)?
        .map_err(|error| error.to_string())?;
    let mut migrated = attributes.clone();
    migrated.grow(new.table().map_or(0, |table| table.attribute_ids as usize));
    let mut values = read_by_name(&state)?;
    for (name, table) in new.iter() {
        // What `migrate` leaves out has its initial value.
        let value = values.remove(name);
        let change = Patch { attribute: table.id, key: None, insert: false, value, raw: &[] };
        if let Some(value) = value {
            crate::versions::check_value(&table.structure, value)
                .map_err(|error| format!("attribute `{name}`: {error}"))?;
        }
        let column = Column { shape: table.shape, initial: &table.initial };
        migrated.apply(&change, column, None).map_err(|error| error.to_string())?;
    }
    match values.keys().next() {
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
fn rehearse_all(space: &Space, order: &SwapOrder, guests: &mut dyn GuestSource, rehearsal: &mut Rehearsal) {
    let candidates: Vec<(Slot, &Entity)> = to_migrate(space, order).collect();
    if candidates.is_empty() {
        return;
    }
    rehearsal.migrated = candidates.len();
    let mut guest = match guests.instantiate(order.version.hash) {
        Ok(guest) => guest,
        Err(trap) => {
            rehearsal.failed = candidates.len();
            rehearsal.reversible = false;
            rehearsal.failures.push(trap.message);
            return;
        }
    };
    for (slot, entity) in candidates {
        let up = migrate_entity(guest.as_mut(), space, &order.version, slot, entity);
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
            rehearsal.reversible = comes_back(guest.as_mut(), space, &order.version, entity, &up);
        }
    }
}

/// Whether `migrate` down gives back what was there before. The new version's code does both ways.
fn comes_back(
    guest: &mut dyn Guest,
    space: &Space,
    version: &ModuleVersion,
    entity: &Entity,
    up: &Migrated,
) -> bool {
    let Some(type_index) = version.type_by_id.get(&entity.body.type_id) else { return false };
    let old = Names { version: &space.version, type_index: entity.type_index };
    let new = Names { version, type_index: *type_index };
    let state = state_by_name(&new, &up.attributes);
    let down = guest.migrate(*type_index, up.schema, entity.body.schema, &state);
    let Ok(Ok(state)) = down else { return false };
    let before = state_by_name(&old, &entity.body.attributes);
    match (read_by_name(&state), read_by_name(&before)) {
        (Ok(after), Ok(before)) => after == before,
        _ => false,
    }
}
