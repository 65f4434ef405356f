//! What one version of a module changes against another, said type by type.
//!
//! Compares tables of one lineage: what has the same small id is the same thing.

use super::structure::{Relation, members};
use super::table::{MethodTable, ModuleVersion, TypeTable};
use crate::manifest::{AttributeFlags, EntityType, Exposure, TypeKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Everything that differs between two versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diff {
    /// Name of the module.
    pub module: String,
    /// The version before, for people.
    pub from: String,
    /// The version after, for people.
    pub to: String,
    /// Types that differ, in the order of the version after; removed ones last.
    pub types: Vec<TypeDiff>,
}

/// What differs in one type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TypeDiff {
    /// Small id.
    pub id: u32,
    /// Name of the type.
    pub name: String,
    /// Schema numbers before and after, if they differ: `migrate` runs.
    pub migrate: Option<(u32, u32)>,
    /// One after the other.
    pub changes: Vec<Change>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Sentence for people, without the type's name.
    pub text: String,
    /// What it asks of whoever publishes.
    pub weight: Weight,
    /// What to do about it; empty if nothing needs to be done.
    pub hint: String,
    /// True if a return to the version before forgets something that was written after. False for
    /// attributes of types that `migrate` carries over: whether it leads back is for a rehearsal.
    pub loses_on_revert: bool,
}

/// What a change asks of whoever publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Weight {
    /// Nothing.
    Fine,
    /// A look.
    Attention,
    /// Consent: values that live entities hold go out of use.
    Loss,
    /// It cannot be published so.
    Refused,
}

/// Compares two versions of one lineage.
#[must_use]
pub fn diff(old: &ModuleVersion, new: &ModuleVersion) -> Diff {
    let mut types = Vec::new();
    for (table, entity_type) in new.types.iter().zip(&new.manifest.types) {
        let before = old.type_by_id.get(&table.id).and_then(|index| {
            let index = *index as usize;
            Some((old.types.get(index)?, old.manifest.types.get(index)?))
        });
        let mut differ = Differ::default();
        let mut migrate = None;
        match before {
            None => differ.fine("the type is new"),
            Some((old_table, old_type)) => {
                differ.settings(old_type, entity_type);
                let migrates = old_type.schema != entity_type.schema;
                migrate = migrates.then_some((old_type.schema, entity_type.schema));
                differ.attributes((old_table, old_type), (table, entity_type), migrates);
                differ.methods((old_table, old_type), (table, entity_type));
                differ.client_methods((old_table, old_type), (table, entity_type));
            }
        }
        types.push(TypeDiff {
            id: table.id,
            name: entity_type.name.clone(),
            migrate,
            changes: differ.changes,
        });
    }
    for (table, entity_type) in old.types.iter().zip(&old.manifest.types) {
        if !new.type_by_id.contains_key(&table.id) {
            let mut differ = Differ::default();
            let hint = "entities of the type that live go on without handlers; destroy them first";
            differ.add(Weight::Attention, "the type is removed", hint, false);
            types.push(TypeDiff {
                id: table.id,
                name: entity_type.name.clone(),
                migrate: None,
                changes: differ.changes,
            });
        }
    }
    types.retain(|entity_type| entity_type.migrate.is_some() || !entity_type.changes.is_empty());
    let label = |version: &ModuleVersion| {
        format!("{} {}", version.manifest.label, version.hash).trim_start().to_owned()
    };
    Diff { module: new.manifest.name.clone(), from: label(old), to: label(new), types }
}

impl Diff {
    /// True if the version before may come back at any moment and nothing is lost.
    #[must_use]
    pub fn is_additive(&self) -> bool {
        self.losses().next().is_none() && self.migrations().next().is_none()
    }

    /// Small ids of the types whose entities go through `migrate`.
    pub fn migrations(&self) -> impl Iterator<Item = &TypeDiff> {
        self.types.iter().filter(|entity_type| entity_type.migrate.is_some())
    }

    /// What would be forgotten by a return to the version before.
    pub fn losses(&self) -> impl Iterator<Item = (&TypeDiff, &Change)> {
        let changes = self
            .types
            .iter()
            .flat_map(|entity_type| entity_type.changes.iter().map(move |c| (entity_type, c)));
        changes.filter(|(_, change)| change.loses_on_revert)
    }

    /// True if values that live entities hold go out of use.
    #[must_use]
    pub fn loses(&self) -> bool {
        let changes = self.types.iter().flat_map(|entity_type| &entity_type.changes);
        changes.into_iter().any(|change| change.weight == Weight::Loss)
    }

    /// The gravest of all changes.
    #[must_use]
    pub fn weight(&self) -> Weight {
        let changes = self.types.iter().flat_map(|entity_type| &entity_type.changes);
        changes.map(|change| change.weight).max().unwrap_or(Weight::Fine)
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} -> {}", self.module, self.from, self.to)?;
        if self.types.is_empty() {
            writeln!(f, "  no type, attribute or method differs")?;
        }
        for entity_type in &self.types {
            writeln!(f, "  {}", entity_type.name)?;
            if let Some((from, to)) = entity_type.migrate {
                writeln!(f, "    schema {from} -> {to}: its entities go through `migrate`")?;
            }
            for change in &entity_type.changes {
                let mark = match change.weight {
                    Weight::Fine => "",
                    Weight::Attention => "attention: ",
                    Weight::Loss => "loss: ",
                    Weight::Refused => "refused: ",
                };
                writeln!(f, "    {mark}{}", change.text)?;
                if !change.hint.is_empty() {
                    writeln!(f, "      hint: {}", change.hint)?;
                }
            }
        }
        Ok(())
    }
}

type Side<'s> = (&'s TypeTable, &'s EntityType);

#[derive(Default)]
struct Differ {
    changes: Vec<Change>,
}

impl Differ {
    fn fine(&mut self, text: impl Into<String>) {
        self.add(Weight::Fine, text, "", false);
    }

    fn add(&mut self, weight: Weight, text: impl Into<String>, hint: &str, loses_on_revert: bool) {
        self.changes.push(Change { text: text.into(), weight, hint: hint.to_owned(), loses_on_revert });
    }

    fn settings(&mut self, old: &EntityType, new: &EntityType) {
        if old.kind != new.kind {
            let text = format!("its kind changes from {} to {}", kind(old.kind), kind(new.kind));
            self.add(Weight::Refused, text, "give the new type a name of its own", false);
        }
        if old.persistent != new.persistent {
            let (text, hint) = if new.persistent {
                ("it becomes persistent", "entities that live are stored from their next change on")
            } else {
                ("it is not persistent any more", "what is stored stays in the store and is not read")
            };
            self.add(Weight::Attention, text, hint, false);
        }
        if old.shards != new.shards {
            let hint = "keys are served by other shards afterwards; what shards hold is not moved";
            self.add(Weight::Attention, format!("shards {} -> {}", old.shards, new.shards), hint, true);
        }
        if old.boot != new.boot {
            self.fine(if new.boot { "new clients get it" } else { "new clients do not get it any more" });
        }
        if old.ticks_per_second != new.ticks_per_second {
            self.fine(format!("ticks per second {} -> {}", old.ticks_per_second, new.ticks_per_second));
        }
        if old.aoi_radius != new.aoi_radius {
            let metres = |radius: Option<f32>| radius.map_or("none".to_owned(), |radius| radius.to_string());
            self.fine(format!("aoi radius {} -> {}", metres(old.aoi_radius), metres(new.aoi_radius)));
        }
        if old.sleeps_unwatched != new.sleeps_unwatched {
            self.fine(format!("sleeps unwatched: {}", new.sleeps_unwatched));
        }
        for (bits, word) in [(new.hooks & !old.hooks, "new"), (old.hooks & !new.hooks, "removed")] {
            for (number, name) in HOOK_NAMES.iter().enumerate() {
                if bits >> number & 1 == 1 {
                    self.fine(format!("hook `{name}` is {word}"));
                }
            }
        }
    }

    fn attributes(&mut self, (old, old_type): Side<'_>, (new, new_type): Side<'_>, migrates: bool) {
        let before: BTreeMap<_, _> =
            old.attributes.iter().zip(&old_type.attributes).map(|(t, a)| (t.id, (t, a))).collect();
        let names: BTreeMap<_, _> = old_type.attributes.iter().map(|a| (a.name.as_str(), a)).collect();
        for (table, attribute) in new.attributes.iter().zip(&new_type.attributes) {
            let name = &attribute.name;
            let Some((old_table, old_attribute)) = before.get(&table.id) else {
                match names.get(name.as_str()) {
                    Some(was) => self.retyped(name, &was.type_text, &attribute.type_text, migrates),
                    None => self.fine(format!("attribute `{name}`: {} is new", attribute.type_text)),
                }
                continue;
            };
            if old_attribute.name != *name {
                self.fine(format!("attribute `{}` is called `{name}` now", old_attribute.name));
            }
            let relation = Relation::between(&old_table.structure, &table.structure);
            self.grown(name, relation, [&old_attribute.type_text, &attribute.type_text], migrates);
            if old_table.flags != table.flags {
                self.flags(name, old_table.flags, table.flags);
            }
            if old_table.initial != table.initial {
                let text = format!("attribute `{name}` has another initial value");
                self.add(Weight::Attention, text, "entities that never set it change with it", false);
            }
        }
        let is_new = |name: &str, id| !before.contains_key(id) && !names.contains_key(name);
        for (table, attribute) in before.values() {
            let replaced = new_type.attributes.iter().any(|other| other.name == attribute.name);
            if new.attribute_by_id.contains_key(&table.id) || replaced {
                continue;
            }
            let mut successors = new.attributes.iter().zip(&new_type.attributes).filter(|(other, about)| {
                is_new(&about.name, &other.id) && other.structure == table.structure
            });
            let successor = successors.next().map(|(_, about)| about.name.as_str());
            self.removed(&attribute.name, successor, migrates);
        }
    }

    /// `successor` is a new attribute of the same type: probably the same one, renamed. Its values
    /// begin anew, and those that it gets are forgotten on the way back.
    fn removed(&mut self, name: &str, successor: Option<&str>, migrates: bool) {
        let text = format!("attribute `{name}` is removed");
        match successor {
            _ if migrates => {
                self.add(Weight::Attention, text, "what `migrate` did not take over is kept", false)
            }
            Some(successor) => {
                let hint = format!(
                    "its values are kept, but nothing reads them; if `{successor}` is its new name, write `#[attr(was = \"{name}\")]` there"
                );
                self.add(Weight::Loss, text, &hint, true);
            }
            None => {
                let hint = format!(
                    "its values are kept, but nothing reads them; if it was renamed, write `#[attr(was = \"{name}\")]` on the new one"
                );
                self.add(Weight::Loss, text, &hint, false);
            }
        }
    }

    fn retyped(&mut self, name: &str, old: &str, new: &str, migrates: bool) {
        let text = format!("attribute `{name}`: {old} -> {new}");
        if migrates {
            self.fine(text);
        } else {
            let hint = "old values are put aside and it starts with its initial value; to carry them over raise `schema` and write `migrate`";
            self.add(Weight::Loss, text, hint, true);
        }
    }

    fn grown(&mut self, name: &str, relation: Relation, [old, new]: [&str; 2], migrates: bool) {
        let text = if old == new {
            format!("attribute `{name}`: `{new}` is defined otherwise")
        } else {
            format!("attribute `{name}`: {old} -> {new}")
        };
        match relation {
            Relation::Same if old == new => {}
            Relation::Same => self.fine(text),
            Relation::Grown => {
                self.add(Weight::Fine, format!("{text}, which reads all old values"), "", !migrates);
            }
            Relation::Shrunk | Relation::Different if migrates => self.fine(text),
            Relation::Shrunk | Relation::Different => {
                let hint = "values that do not fit fail to load; raise `schema` and write `migrate`";
                self.add(Weight::Loss, text, hint, true);
            }
        }
    }

    fn flags(&mut self, name: &str, old: AttributeFlags, new: AttributeFlags) {
        let text = format!("attribute `{name}` is for {} instead of {}", flag_names(new), flag_names(old));
        if old.secret && !new.secret {
            self.add(Weight::Attention, text, "it was secret and is shown from now on", false);
        } else if (old.persistent && !new.persistent) || (!old.volatile && new.volatile) {
            self.add(Weight::Attention, text, "it is not stored any more", false);
        } else {
            self.fine(text);
        }
    }

    fn methods(&mut self, (old, old_type): Side<'_>, (new, new_type): Side<'_>) {
        let before: BTreeMap<_, _> =
            old.methods.iter().zip(&old_type.methods).map(|(t, m)| (t.id, (t, m))).collect();
        for (table, method) in new.methods.iter().zip(&new_type.methods) {
            let name = &method.name;
            let Some((old_table, old_method)) = before.get(&table.id) else {
                if old_type.methods.iter().any(|other| other.name == *name) {
                    let hint = "calls under way with the former signature answer `version-mismatch`; add parameters at the end, or use a new name";
                    self.add(
                        Weight::Attention,
                        format!("method `{name}` has another signature"),
                        hint,
                        false,
                    );
                } else {
                    self.fine(format!("method `{name}` is new"));
                }
                continue;
            };
            if old_method.name != *name {
                self.fine(format!("method `{}` is called `{name}` now", old_method.name));
            }
            self.parameters(name, old_table, table);
            if old_table.exposure != table.exposure {
                let text = format!(
                    "method `{name}` is for {} instead of {}",
                    exposure(table.exposure),
                    exposure(old_table.exposure)
                );
                let opened = for_clients(table.exposure) && !for_clients(old_table.exposure);
                let (weight, hint) = if opened {
                    (Weight::Attention, "clients may call it from now on")
                } else {
                    (Weight::Fine, "")
                };
                self.add(weight, text, hint, false);
            }
            if old_table.calls_per_minute != table.calls_per_minute {
                let (from, to) = (old_table.calls_per_minute, table.calls_per_minute);
                self.fine(format!("method `{name}`: calls per minute {from} -> {to}"));
            }
        }
        for (table, method) in before.values() {
            let replaced = new_type.methods.iter().any(|other| other.name == method.name);
            if !new.method_by_id.contains_key(&table.id) && !replaced {
                let hint = "name it in `was` of another method if it was renamed";
                self.add(Weight::Attention, format!("method `{}` is removed", method.name), hint, false);
            }
        }
    }

    fn parameters(&mut self, name: &str, old: &MethodTable, new: &MethodTable) {
        let between =
            |old: &super::Member, new: &super::Member| Relation::between(&old.structure, &new.structure);
        let relation = members(&old.parameters, &new.parameters, between)
            .and(Relation::between(&old.returns, &new.returns));
        match relation {
            Relation::Same => {}
            Relation::Grown => {
                self.fine(format!("method `{name}` takes or answers more; former calls are understood"))
            }
            Relation::Shrunk => {
                self.fine(format!("method `{name}` takes or answers less; what is too much is ignored"))
            }
            Relation::Different => {
                let hint = "calls under way may answer `bad-arguments`; use a new name to keep both";
                self.add(
                    Weight::Attention,
                    format!("method `{name}`: an optional parameter has another type"),
                    hint,
                    false,
                );
            }
        }
    }

    fn client_methods(&mut self, (old, old_type): Side<'_>, (new, new_type): Side<'_>) {
        let ids = |table: &TypeTable, of: &EntityType| -> BTreeMap<String, u32> {
            of.client_methods
                .iter()
                .map(|method| method.name.clone())
                .zip(table.client_methods.iter().copied())
                .collect()
        };
        let (before, after) = (ids(old, old_type), ids(new, new_type));
        for (name, id) in &after {
            match before.get(name) {
                None => self.fine(format!("client method `{name}` is new")),
                Some(was) if was != id => {
                    let hint = "clients that were built for the former one do not answer to it";
                    self.add(
                        Weight::Attention,
                        format!("client method `{name}` has another signature"),
                        hint,
                        false,
                    );
                }
                Some(_) => {}
            }
        }
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            self.fine(format!("client method `{name}` is removed"));
        }
    }
}

/// By number, as `wit/logic.wit` spells them.
pub(crate) const HOOK_NAMES: [&str; 22] = [
    "construct",
    "create",
    "load",
    "ready",
    "enter-space",
    "leave-space",
    "enter-failed",
    "member-enter",
    "member-leave",
    "enter-aoi",
    "leave-aoi",
    "watched",
    "unwatched",
    "client",
    "client-lost",
    "give-failed",
    "moved-game",
    "swapped",
    "data",
    "reset",
    "unhandled",
    "destroy",
];

fn kind(kind: TypeKind) -> &'static str {
    match kind {
        TypeKind::Entity => "entity",
        TypeKind::Space => "space",
        TypeKind::Service => "service",
        TypeKind::Foreign => "foreign",
    }
}

fn for_clients(exposure: Exposure) -> bool {
    matches!(exposure, Exposure::OwnClient | Exposure::AllClients)
}

fn exposure(exposure: Exposure) -> &'static str {
    match exposure {
        Exposure::Internal => "the entity itself",
        Exposure::Server => "the server",
        Exposure::OwnClient => "the own client",
        Exposure::AllClients => "all clients",
        Exposure::Operator => "operators",
    }
}

fn flag_names(flags: AttributeFlags) -> String {
    let names = [
        (flags.client, "the own client"),
        (flags.all_clients, "all clients"),
        (flags.persistent, "the store"),
        (flags.volatile, "memory alone"),
        (flags.secret, "nobody's eyes"),
    ];
    let set: Vec<_> = names.into_iter().filter_map(|(set, name)| set.then_some(name)).collect();
    if set.is_empty() { "the server".to_owned() } else { set.join(" and ") }
}

#[cfg(test)]
mod tests;
