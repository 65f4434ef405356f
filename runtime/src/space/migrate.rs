//! The attributes of entities in another version, as its `migrate` has it.
//!
//! Of two versions the one with the higher schema number knows both forms: its code migrates in
//! either direction, so going back works though the older code has never heard of the newer form.
//!
//! A space stands still while thousands are migrated. So what does not depend on the entity is found once
//! for each type ([`Plan`]), values stay the bytes that they are, and what comes back as it went is looked at
//! no further. Nothing is changed here.

use super::entity::{Entity, Slot};
use super::state::Space;
use crate::guest::{Guest, GuestSource, VersionHash};
use crate::limits;
use crate::manifest::EntityType;
use crate::message::{Rehearsal, Traveller};
use crate::prefetch;
use crate::versions::{AttributeTable, ModuleVersion, TypeTable};
use bytes::Bytes;
use everwake_protocol::attributes::{Attributes, Slot as Value};
use everwake_protocol::cbor::{self, Reader};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// New values of attributes, by their small ids; the others stay.
pub(super) type Values = SmallVec<[(u32, Value); 1]>;

/// What becomes of an entity in another version.
pub(super) struct Migrated {
    pub(super) slot: Slot,
    pub(super) schema: u32,
    pub(super) values: Values,
}

/// Attributes of a type by name.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) version: &'a ModuleVersion,
    pub(super) type_index: u32,
}

impl<'a> Names<'a> {
    /// Of a type by its small id.
    fn of(version: &'a ModuleVersion, type_id: u32) -> Option<Names<'a>> {
        version.type_by_id.get(&type_id).map(|type_index| Names { version, type_index: *type_index })
    }

    pub(super) fn schema(&self) -> u32 {
        declared(self.version, self.type_index).map_or(0, |declared| declared.schema)
    }

    pub(super) fn table(&self) -> Option<&'a TypeTable> {
        self.version.types.get(self.type_index as usize)
    }

    fn find(&self, name: &str) -> Option<&'a AttributeTable> {
        self.iter().find(|(known, _)| *known == name).map(|(_, table)| table)
    }

    /// Name and table of each attribute.
    fn iter(&self) -> impl Iterator<Item = (&'a str, &'a AttributeTable)> + use<'a> {
        let declared = declared(self.version, self.type_index);
        let names = declared.into_iter().flat_map(|declared| &declared.attributes);
        let tables = self.table().into_iter().flat_map(|table| &table.attributes);
        names.map(|attribute| attribute.name.as_str()).zip(tables)
    }
}

pub(super) fn declared(version: &ModuleVersion, type_index: u32) -> Option<&EntityType> {
    version.manifest.types.get(type_index as usize)
}

/// From one version of a type to another: all that is the same for each of its entities.
struct Plan<'a> {
    old: Names<'a>,
    new: Names<'a>,
    /// Attributes of the old version, shorter names first: the order in which CBOR has keys.
    sources: Vec<Source<'a>>,
    /// Attributes of the new version.
    targets: Vec<Target<'a>>,
}

struct Source<'a> {
    name: &'a str,
    /// Place in the manifest.
    number: usize,
    /// The name as an item.
    key: Vec<u8>,
    table: &'a AttributeTable,
    /// Place among the targets, if the new version has the name too.
    target: Option<usize>,
}

struct Target<'a> {
    name: &'a str,
    table: &'a AttributeTable,
    /// The old version has the name too.
    known: bool,
    /// It is stored the same way in both: a value that comes back as it went is no change.
    same: bool,
}

/// An attribute that `migrate` gave.
#[derive(Clone, Copy)]
struct Given<'s> {
    value: &'s [u8],
    /// It comes back as it went.
    same: bool,
}

/// By the place of the target.
type AllGiven<'s> = SmallVec<[Option<Given<'s>>; 16]>;

/// What `migrate` is given: one CBOR map from attribute name to value.
#[derive(Default)]
struct Sent {
    state: Vec<u8>,
    /// Of each source: where its name begins, its value, and what follows.
    places: Vec<[usize; 3]>,
}

impl Sent {
    /// An entry, name and value.
    fn entry(&self, source: usize) -> Option<&[u8]> {
        let [start, _, end] = *self.places.get(source)?;
        self.state.get(start..end)
    }

    fn value(&self, source: usize) -> Option<&[u8]> {
        let [_, start, end] = *self.places.get(source)?;
        self.state.get(start..end)
    }
}

impl<'a> Plan<'a> {
    fn new(old: Names<'a>, new: Names<'a>) -> Plan<'a> {
        let sources = old.iter().enumerate().map(|(number, (name, table))| {
            let mut key = Vec::new();
            cbor::text(&mut key, name);
            let target = new.iter().position(|(target, _)| target == name);
            Source { name, number, key, table, target }
        });
        let is_same = |one: &AttributeTable, other: &AttributeTable| {
            (one.id, one.shape, &one.initial) == (other.id, other.shape, &other.initial)
                && one.structure == other.structure
        };
        let targets = new.iter().map(|(name, table)| {
            let before = old.find(name);
            let same = before.is_some_and(|before| is_same(before, table));
            Target { name, table, known: before.is_some(), same }
        });
        let (mut sources, targets) = (sources.collect::<Vec<_>>(), targets.collect());
        // A head holds the length: the order of the keys' bytes.
        sources.sort_by(|one: &Source<'_>, other| one.key.cmp(&other.key));
        Plan { old, new, sources, targets }
    }

    /// All attributes of the old version.
    fn write<'s>(&self, slot: impl Fn(u32) -> &'s Value, to: &mut Sent) {
        let Sent { state, places } = to;
        state.clear();
        places.clear();
        cbor::map(state, self.sources.len());
        for Source { key, table, .. } in &self.sources {
            let start = state.len();
            state.extend_from_slice(key);
            let middle = state.len();
            match slot(table.id) {
                Value::Absent => state.extend_from_slice(&table.initial),
                value => value.encode(state),
            }
            places.push([start, middle, state.len()]);
        }
    }

    /// Takes apart what `migrate` made of what it was given.
    fn read<'s>(&self, state: &'s [u8], sent: &'s Sent) -> Result<AllGiven<'s>, String> {
        let mut all = AllGiven::from_elem(None, self.targets.len());
        let mut resting: Vec<usize> = Vec::new();
        let mut reader = Reader::new(state);
        let count = reader.map().map_err(|error| error.to_string())?;
        let mut next = 0;
        for _ in 0..count {
            // Most entries come back in their order and as they went: these need not be taken apart.
            let as_it_went = sent.entry(next).and_then(|entry| reader.rest().strip_prefix(entry));
            let (source, target, given) = if let Some(rest) = as_it_went {
                reader = Reader::new(rest);
                let value = sent.value(next).unwrap_or_default();
                let target = self.sources.get(next).and_then(|source| source.target);
                (Some(next), target, Given { value, same: true })
            } else {
                let name = reader.text().map_err(|error| error.to_string())?;
                let value = reader.item().map_err(|error| error.to_string())?;
                let source = self.sources.iter().position(|source| source.name == name);
                let target = self.targets.iter().position(|target| target.name == name);
                if source.is_none() && target.is_none() {
                    return Err(format!("`migrate` gave an attribute `{name}`, which the type lacks"));
                }
                let same = source.and_then(|source| sent.value(source)) == Some(value);
                (source, target, Given { value, same })
            };
            let twice = match (target.and_then(|place| all.get_mut(place)), source) {
                (Some(place), _) => place.replace(given).is_some(),
                // On the way down the newer form's attributes may be left where they are: they rest.
                (None, Some(source)) => {
                    resting.contains(&source) || {
                        resting.push(source);
                        false
                    }
                }
                (None, None) => false,
            };
            if twice {
                let name = target.and_then(|place| self.targets.get(place)).map(|target| target.name);
                let other = source.and_then(|place| self.sources.get(place)).map(|source| source.name);
                let name = name.or(other).unwrap_or_default();
                return Err(format!("`migrate` gave the attribute `{name}` twice"));
            }
            next = source.map_or(next, |source| source + 1);
        }
        reader.end().map_err(|error| error.to_string())?;
        Ok(all)
    }

    /// The values of which `migrate` made others. Attributes that only other versions know are no matter.
    fn changes(&self, attributes: &Attributes, sent: &Sent, state: &[u8]) -> Result<Values, String> {
        let mut changes = Values::new();
        for (target, given) in self.targets.iter().zip(self.read(state, sent)?) {
            let Target { name, table, known, same } = target;
            let before = attributes.slot(table.id);
            let Some(given) = given else {
                // What `migrate` did not get to see, and does not set, goes on resting where it is; what it
                // leaves out has its initial value.
                if *known && !before.is_absent() {
                    changes.push((table.id, Value::Absent));
                }
                continue;
            };
            if *same && given.same {
                continue;
            }
            crate::versions::check_value(&table.structure, given.value)
                .map_err(|error| format!("attribute `{name}`: {error}"))?;
            if before.is_absent() && *given.value == table.initial {
                continue;
            }
            let after = Value::read(table.id, table.shape, given.value).map_err(|error| error.to_string())?;
            if after != *before {
                changes.push((table.id, after));
            }
        }
        attributes.allow(&changes).map_err(|error| error.to_string())?;
        Ok(changes)
    }
}

/// Instances whose `migrate` is called, one for each version that is needed.
struct Movers<'a> {
    guests: &'a mut dyn GuestSource,
    made: Vec<(VersionHash, Box<dyn Guest>)>,
    sent: Sent,
}

impl<'a> Movers<'a> {
    fn new(guests: &'a mut dyn GuestSource) -> Movers<'a> {
        Movers { guests, made: Vec::new(), sent: Sent::default() }
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

    /// Calls the `migrate` of whichever version has the higher schema number, with what is in `sent`.
    fn call(&mut self, plan: &Plan<'_>, from: u32, to: u32) -> Result<Bytes, String> {
        let mover = if plan.old.schema() > plan.new.schema() { plan.old } else { plan.new };
        let state = std::mem::take(&mut self.sent.state);
        let guest = self.of(mover.version.hash);
        let migrated = guest.map(|guest| guest.migrate(mover.type_index, from, to, &state));
        self.sent.state = state;
        migrated?.map_err(|trap| trap.message)?.map_err(|error| error.to_string())
    }

    /// What becomes of attributes of schema number `from`.
    fn migrate(&mut self, plan: &Plan<'_>, from: u32, attributes: &Attributes) -> Result<Values, String> {
        plan.write(|id| attributes.slot(id), &mut self.sent);
        let migrated = self.call(plan, from, plan.new.schema())?;
        plan.changes(attributes, &self.sent, &migrated)
    }
}

/// The new values of a traveller's attributes in the version of the space that it comes to.
pub(super) fn arrive(
    traveller: &Traveller,
    new: &Names<'_>,
    guests: &mut dyn GuestSource,
) -> Result<Values, String> {
    let body = &traveller.body;
    let old = Names::of(&traveller.version, body.type_id).ok_or("its version does not have its type")?;
    Movers::new(guests).migrate(&Plan::new(old, *new), body.schema, &body.attributes)
}

/// Entities whose schema number is not that of the ordered version.
fn to_migrate<'a>(space: &'a Space, version: &'a ModuleVersion) -> impl Iterator<Item = (Slot, &'a Entity)> {
    let schemas: BTreeMap<u32, u32> = (0u32..)
        .zip(&version.types)
        .map(|(type_index, table)| (table.id, Names { version, type_index }.schema()))
        .collect();
    let is_other = move |entity: &Entity| {
        schemas.get(&entity.body.type_id).is_some_and(|schema| *schema != entity.body.schema)
    };
    space.world.iter().filter(move |(_, entity)| is_other(entity))
}

/// Plans by the type index in the space's version, made when they are needed.
struct Plans<'a> {
    space: &'a Space,
    version: &'a ModuleVersion,
    made: BTreeMap<u32, Plan<'a>>,
}

impl<'a> Plans<'a> {
    fn new(space: &'a Space, version: &'a ModuleVersion) -> Plans<'a> {
        Plans { space, version, made: BTreeMap::new() }
    }

    fn of(&mut self, entity: &Entity) -> Result<&Plan<'a>, String> {
        let old = Names { version: &self.space.version, type_index: entity.type_index };
        match self.made.entry(entity.type_index) {
            std::collections::btree_map::Entry::Occupied(made) => Ok(made.into_mut()),
            std::collections::btree_map::Entry::Vacant(place) => {
                let new = Names::of(self.version, entity.body.type_id).ok_or("no such type")?;
                Ok(place.insert(Plan::new(old, new)))
            }
        }
    }
}

/// What becomes of all entities of a space; an error as soon as one has no way.
pub(super) fn migrate_all(
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
    let (mut movers, mut plans) = (Movers::new(guests), Plans::new(space, version));
    let all: Vec<_> = to_migrate(space, version).collect();
    let mut migrated = Vec::with_capacity(all.len());
    for (place, (slot, entity)) in all.iter().enumerate() {
        // In two steps: a pointer must be there before what is behind it.
        if let Some((_, next)) = all.get(place + 1) {
            prefetch::slice(next.body.attributes.slots(), 12);
        }
        if let Some((_, after)) = all.get(place + 2) {
            prefetch::value(*after, 3);
        }
        let one = migrate_one(&mut movers, &mut plans, *slot, entity);
        migrated.push(one.map_err(|why| format!("{}: {why}", entity.id))?);
    }
    Ok(migrated)
}

fn migrate_one(
    movers: &mut Movers<'_>,
    plans: &mut Plans<'_>,
    slot: Slot,
    entity: &Entity,
) -> Result<Migrated, String> {
    let plan = plans.of(entity)?;
    let values = movers.migrate(plan, entity.body.schema, &entity.body.attributes)?;
    Ok(Migrated { slot, schema: plan.new.schema(), values })
}

/// Migrates up and down again, for a look only.
pub(super) fn rehearse_all(
    space: &Space,
    version: &Arc<ModuleVersion>,
    guests: &mut dyn GuestSource,
    rehearsal: &mut Rehearsal,
) {
    let (mut movers, mut plans) = (Movers::new(guests), Plans::new(space, version));
    let mut back: BTreeMap<u32, Plan<'_>> = BTreeMap::new();
    for (slot, entity) in to_migrate(space, version) {
        rehearsal.migrated += 1;
        let up = match migrate_one(&mut movers, &mut plans, slot, entity) {
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
            rehearsal.reversible = plans.of(entity).is_ok_and(|plan| {
                let down = back.entry(entity.type_index).or_insert_with(|| Plan::new(plan.new, plan.old));
                comes_back(&mut movers, (plan, down), entity, &up)
            });
        }
    }
}

/// Whether `migrate` the other way gives back what was there before.
fn comes_back(
    movers: &mut Movers<'_>,
    (plan, down): (&Plan<'_>, &Plan<'_>),
    entity: &Entity,
    up: &Migrated,
) -> bool {
    let attributes = &entity.body.attributes;
    let migrated = |id: u32| {
        let new = up.values.iter().find(|(attribute, _)| *attribute == id);
        new.map_or_else(|| attributes.slot(id), |(_, value)| value)
    };
    down.write(migrated, &mut movers.sent);
    let Ok(state) = movers.call(down, up.schema, entity.body.schema) else { return false };
    let Ok(given) = down.read(&state, &movers.sent) else { return false };
    let mut before = Sent::default();
    plan.write(|id| attributes.slot(id), &mut before);
    // What the other form lacks rests, and comes back as it is.
    (0..).zip(&plan.sources).all(|(place, source)| {
        let known = down.targets.get(source.number).is_some_and(|target| target.known);
        let after = given.get(source.number).copied().flatten().map(|given| given.value);
        !known || after == before.value(place)
    })
}
