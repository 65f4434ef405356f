//! One type, attribute or method through all versions of a module.

use super::{ATTRIBUTE_IDS_MAX, LineageError, METHOD_IDS_MAX, VARIANTS_MAX};
use crate::manifest::{Attribute, AttributeFlags, CheckedMethod, ClientMethod, Exposure, Method};
use crate::versions::structure::{Member, Relation, Structure, members};
use crate::versions::table::{AttributeTable, MethodKey, MethodTable, TypeTable};
use bytes::Bytes;
use everwake_protocol::attributes::Shape;
use everwake_protocol::schema::Field;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One type through all versions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::versions) struct TypeLine {
    pub(in crate::versions) name: String,
    pub(in crate::versions) foreign: bool,
    /// Generation of the last version that had it; the same in all lines below.
    pub(in crate::versions) last: u32,
    /// By small id.
    pub(in crate::versions) attributes: Vec<AttributeLine>,
    pub(in crate::versions) methods: Vec<MethodLine>,
    pub(in crate::versions) client_methods: Vec<ClientMethodLine>,
}

/// One attribute through all versions. Flags and initial value are those of the last one that
/// had it; the type is the widest, since values of all versions may be under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::versions) struct AttributeLine {
    pub(in crate::versions) last: u32,
    /// The present name last.
    names: Vec<String>,
    pub(in crate::versions) type_text: String,
    pub(in crate::versions) structure: Structure,
    /// All types that it has had; the widest last.
    variants: Vec<Structure>,
    pub(in crate::versions) flags: AttributeFlags,
    /// Clients were told of it once; they never unlearn an id.
    pub(in crate::versions) told: bool,
    pub(in crate::versions) initial: Bytes,
}

/// One method through all versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::versions) struct MethodLine {
    pub(in crate::versions) id: u32,
    pub(in crate::versions) last: u32,
    /// The present name last.
    names: Vec<String>,
    /// The one that is sent first, then those that are understood besides.
    keys: Vec<MethodKey>,
    pub(in crate::versions) method: Method,
    types: CheckedMethod,
    /// All signatures that it has had; the widest last.
    variants: Vec<CheckedMethod>,
    pub(in crate::versions) told: bool,
}

/// One client method through all versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::versions) struct ClientMethodLine {
    pub(in crate::versions) id: u32,
    pub(in crate::versions) last: u32,
    pub(in crate::versions) name: String,
    pub(in crate::versions) parameters: Vec<Field>,
    pub(in crate::versions) types: Vec<Member>,
    variants: Vec<Vec<Member>>,
}

impl TypeLine {
    pub(super) fn publish_attributes(
        &mut self,
        attributes: &[Attribute],
        structures: &[Structure],
    ) -> Result<Vec<AttributeTable>, LineageError> {
        let wanted: Vec<_> = attributes.iter().zip(structures).collect();
        let found = identify(
            &wanted,
            &self.attributes,
            |(attribute, _)| (&attribute.name, &attribute.was),
            |line| (&line.names, line.last),
            |(attribute, structure), line| line.holds(attribute, structure),
        );
        let mut tables = Vec::new();
        for ((attribute, structure), id) in wanted.into_iter().zip(found) {
            let id = id.unwrap_or(self.attributes.len());
            if id == self.attributes.len() {
                self.attributes.push(AttributeLine::new(attribute, structure));
            }
            let exhausted = self.exhausted(&attribute.name);
            let line = self.attributes.get_mut(id).filter(|_| id < ATTRIBUTE_IDS_MAX);
            line.and_then(|line| line.publish(self.last, attribute, structure)).ok_or(exhausted)?;
            tables.push(AttributeTable {
                id: number(id),
                shape: Shape::of(&attribute.type_text),
                flags: attribute.flags,
                initial: attribute.initial.clone(),
                majors: structure.majors(),
                structure: Arc::new(structure.clone()),
            });
        }
        Ok(tables)
    }

    pub(super) fn publish_methods(
        &mut self,
        methods: &[Method],
        checked: &[CheckedMethod],
        ids: &mut u32,
    ) -> Result<Vec<MethodTable>, LineageError> {
        let wanted: Vec<_> = methods.iter().zip(checked).collect();
        let found = identify(
            &wanted,
            &self.methods,
            |(method, _)| (&method.name, &method.was),
            |line| (&line.names, line.last),
            |(method, types), line| line.holds(method, types),
        );
        let mut tables = Vec::new();
        for ((method, types), place) in wanted.into_iter().zip(found) {
            let exhausted = self.exhausted(&method.name);
            let Some(id) = place.map_or_else(|| allot(ids), |_| Some(0)) else { return Err(exhausted) };
            let place = place.unwrap_or(self.methods.len());
            if place == self.methods.len() {
                self.methods.push(MethodLine::new(id, method, types));
            }
            let line = self.methods.get_mut(place);
            let Some((id, key)) = line.and_then(|line| line.publish(self.last, method, types)) else {
                return Err(exhausted);
            };
            tables.push(MethodTable {
                id,
                key,
                exposure: method.exposure,
                calls_per_minute: method.calls_per_minute,
                parameters: types.parameters.clone().into(),
                returns: Arc::new(types.returns.clone()),
            });
        }
        Ok(tables)
    }

    pub(super) fn publish_client_method(
        &mut self,
        method: &ClientMethod,
        parameters: &[Member],
        ids: &mut u32,
    ) -> Result<u32, LineageError> {
        let exhausted = self.exhausted(&method.name);
        let between = |variant: &Vec<Member>| between_parameters(variant, parameters);
        let lines = self.client_methods.iter_mut();
        let fits = lines.filter(|line| line.name == method.name && reads(&line.variants, between));
        if let Some(line) = fits.max_by_key(|line| line.last) {
            line.last = self.last;
            if is_widest(&line.variants, between) {
                line.parameters.clone_from(&method.parameters);
                line.types = parameters.to_vec();
            }
            let kept = remember(&mut line.variants, between, || parameters.to_vec());
            return kept.map(|()| line.id).ok_or(exhausted);
        }
        let id = allot(ids).ok_or(exhausted)?;
        self.client_methods.push(ClientMethodLine {
            id,
            last: self.last,
            name: method.name.clone(),
            parameters: method.parameters.clone(),
            types: parameters.to_vec(),
            variants: vec![parameters.to_vec()],
        });
        Ok(id)
    }

    pub(super) fn table(
        &self,
        id: usize,
        attributes: Vec<AttributeTable>,
        methods: Vec<MethodTable>,
        client_methods: Vec<u32>,
        client_parameters: Vec<Arc<[Member]>>,
    ) -> Result<TypeTable, LineageError> {
        let mut method_by_key: BTreeMap<MethodKey, u32> = BTreeMap::new();
        let (mut method_by_name, mut former_names) = (BTreeMap::new(), BTreeMap::new());
        for (place, table) in methods.iter().enumerate() {
            let Some(line) = self.methods.iter().find(|line| line.id == table.id) else { continue };
            for key in &line.keys {
                if let Some(other) = method_by_key.insert(*key, number(place)) {
                    return Err(self.key_taken(line, methods.get(other as usize)));
                }
            }
            method_by_name.insert(MethodKey::name_hash(line.name()), number(place));
            former_names.extend(line.names.iter().map(|name| (MethodKey::name_hash(name), number(place))));
        }
        former_names.append(&mut method_by_name);
        Ok(TypeTable {
            id: number(id),
            attribute_by_id: attributes
                .iter()
                .enumerate()
                .map(|(place, table)| (table.id, number(place)))
                .collect(),
            identity: attributes.iter().enumerate().all(|(place, table)| table.id == number(place)),
            attribute_ids: number(self.attributes.len()),
            method_by_id: methods
                .iter()
                .enumerate()
                .map(|(place, table)| (table.id, number(place)))
                .collect(),
            method_by_name: former_names,
            method_by_key,
            attributes,
            methods,
            client_methods,
            client_parameters,
        })
    }

    /// Of two methods with one key, the one that was called so before keeps it.
    fn key_taken(&self, line: &MethodLine, other: Option<&MethodTable>) -> LineageError {
        let other =
            self.methods.iter().find(|line| Some(line.id) == other.map(|table| table.id)).unwrap_or(line);
        let (old, new) = if other.names.len() > line.names.len() { (other, line) } else { (line, other) };
        LineageError::KeyTaken {
            type_name: self.name.clone(),
            method: new.name().to_owned(),
            taken_by: old.name().to_owned(),
        }
    }

    fn exhausted(&self, name: &str) -> LineageError {
        LineageError::Exhausted(format!("`{}.{name}`", self.name))
    }
}

impl AttributeLine {
    fn new(attribute: &Attribute, structure: &Structure) -> AttributeLine {
        AttributeLine {
            last: 0,
            names: Vec::new(),
            type_text: attribute.type_text.clone(),
            structure: structure.clone(),
            variants: vec![structure.clone()],
            flags: attribute.flags,
            told: false,
            initial: attribute.initial.clone(),
        }
    }

    pub(in crate::versions) fn name(&self) -> &str {
        self.names.last().map_or("", String::as_str)
    }

    fn holds(&self, attribute: &Attribute, structure: &Structure) -> bool {
        // The host splits values by shape: another shape is another attribute.
        Shape::of(&self.type_text) == Shape::of(&attribute.type_text)
            && reads(&self.variants, |variant| Relation::between(variant, structure))
    }

    fn publish(&mut self, generation: u32, attribute: &Attribute, structure: &Structure) -> Option<()> {
        self.last = generation;
        if is_widest(&self.variants, |variant| Relation::between(variant, structure)) {
            self.type_text.clone_from(&attribute.type_text);
            self.structure.clone_from(structure);
        }
        self.flags = attribute.flags;
        self.told |= attribute.flags.client || attribute.flags.all_clients;
        self.initial = attribute.initial.clone();
        rename(&mut self.names, &attribute.name)?;
        remember(&mut self.variants, |variant| Relation::between(variant, structure), || structure.clone())
    }
}

impl MethodLine {
    fn new(id: u32, method: &Method, types: &CheckedMethod) -> MethodLine {
        MethodLine {
            id,
            last: 0,
            names: Vec::new(),
            keys: Vec::new(),
            method: method.clone(),
            types: types.clone(),
            variants: vec![types.clone()],
            told: false,
        }
    }

    pub(in crate::versions) fn name(&self) -> &str {
        self.names.last().map_or("", String::as_str)
    }

    /// By its arguments, or because it differs in optional parameters at the end alone.
    fn holds(&self, method: &Method, types: &CheckedMethod) -> bool {
        reads(&self.variants, |variant| between_signatures(variant, types))
            || self.keys.contains(&MethodKey::of(&method.name, &types.parameters, &types.returns))
    }

    pub(in crate::versions) fn types(&self) -> &CheckedMethod {
        &self.types
    }

    fn publish(
        &mut self,
        generation: u32,
        method: &Method,
        types: &CheckedMethod,
    ) -> Option<(u32, MethodKey)> {
        self.last = generation;
        self.told |= matches!(method.exposure, Exposure::OwnClient | Exposure::AllClients);
        self.method = method.clone();
        self.types = types.clone();
        rename(&mut self.names, &method.name)?;
        remember(&mut self.variants, |variant| between_signatures(variant, types), || types.clone())?;
        let key = MethodKey::of(&method.name, &types.parameters, &types.returns);
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
        Some((self.id, *self.keys.first()?))
    }
}

/// Finds the line of each wanted thing: by its present name, else by the name that it says it
/// had, else by one that it had. Among several the one that was live last. No line twice.
fn identify<W, L>(
    wanted: &[W],
    lines: &[L],
    names: impl Fn(&W) -> (&String, &String),
    history: impl Fn(&L) -> (&Vec<String>, u32),
    holds: impl Fn(&W, &L) -> bool,
) -> Vec<Option<usize>> {
    let mut found: Vec<Option<usize>> = vec![None; wanted.len()];
    for pass in 0..3 {
        for place in 0..wanted.len() {
            let (Some(want), Some(None)) = (wanted.get(place), found.get(place)) else { continue };
            let (name, was) = names(want);
            let fits = |line: &L| match (pass, history(line).0) {
                (0, names) => names.last() == Some(name),
                (1, names) => names.contains(was),
                (_, names) => names.contains(name),
            };
            let free = lines.iter().enumerate().filter(|(line, _)| !found.contains(&Some(*line)));
            let best = free
                .filter(|(_, line)| fits(line) && holds(want, line))
                .max_by_key(|(_, line)| history(line).1);
            let best = best.map(|(line, _)| line);
            if let Some(slot) = found.get_mut(place) {
                *slot = best;
            }
        }
    }
    found
}

/// True if values of some variant are read by the new one without loss: it is or was the widest.
fn reads<V>(variants: &[V], between: impl Fn(&V) -> Relation) -> bool {
    is_widest(variants, &between) || variants.iter().any(|variant| between(variant) == Relation::Same)
}

fn is_widest<V>(variants: &[V], between: impl Fn(&V) -> Relation) -> bool {
    matches!(variants.last().map(between), Some(Relation::Same | Relation::Grown))
}

/// Appends a variant that is wider than all before; none if there are too many.
fn remember<V>(
    variants: &mut Vec<V>,
    between: impl Fn(&V) -> Relation,
    new: impl FnOnce() -> V,
) -> Option<()> {
    if variants.last().map(between) == Some(Relation::Grown) {
        variants.push(new());
    }
    (variants.len() <= VARIANTS_MAX).then_some(())
}

fn rename(names: &mut Vec<String>, name: &str) -> Option<()> {
    names.retain(|known| known != name);
    names.push(name.to_owned());
    (names.len() <= VARIANTS_MAX).then_some(())
}

fn between_parameters(old: &[Member], new: &[Member]) -> Relation {
    members(old, new, |old, new| Relation::between(&old.structure, &new.structure))
}

fn between_signatures(old: &CheckedMethod, new: &CheckedMethod) -> Relation {
    between_parameters(&old.parameters, &new.parameters).and(Relation::between(&old.returns, &new.returns))
}

fn allot(ids: &mut u32) -> Option<u32> {
    let id = *ids;
    *ids += 1;
    (id < METHOD_IDS_MAX).then_some(id)
}

pub(super) fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
