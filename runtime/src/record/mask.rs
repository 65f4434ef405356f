//! Leaving secrets out of a recording.
//!
//! Attributes with the flag `secret` are left out; `secret<>` inside of attributes, of arguments and
//! of the contexts that wait for an answer, a timer or a watch becomes the default of its type.
//! A result has no `secret<>`: a manifest with one is refused.

use super::entry::{Entry, RecordedInput};
use crate::guest::VersionHash;
use crate::message::{Body, EntityBody, Message};
use crate::space::{Commit, Effect, SpaceSnapshot};
use crate::versions::structure::Structure;
use crate::versions::{
    AttributeTable, MethodKey, MethodTable, ModuleVersion, TypeTable, mask_args, mask_value,
};
use bytes::Bytes;
use everwake_protocol::EntityId;
use everwake_protocol::attributes::{Change, Column, PatchReader, Slot, write_path};
use everwake_protocol::cbor;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Knows the version and the type of each entity, as a recording goes on.
#[derive(Clone, Debug)]
pub struct Masker {
    version: Arc<ModuleVersion>,
    has_secrets: bool,
    types: BTreeMap<EntityId, u32>,
}

impl Masker {
    /// From the start of a recording.
    #[must_use]
    pub fn new(version: Arc<ModuleVersion>) -> Masker {
        let has_secrets = has_secrets(&version);
        Masker { version, has_secrets, types: BTreeMap::new() }
    }

    /// Another version runs from now on.
    pub fn follow(&mut self, version: Arc<ModuleVersion>) {
        // Once there were secrets there may be some in what comes.
        self.has_secrets |= has_secrets(&version);
        self.version = version;
    }

    /// The version that runs.
    #[must_use]
    pub fn version(&self) -> &Arc<ModuleVersion> {
        &self.version
    }

    /// Small id of an entity's type, if the recording has told it.
    #[must_use]
    pub fn type_of(&self, entity: EntityId) -> Option<u32> {
        self.types.get(&entity).copied()
    }

    /// Takes the secrets out of an entry and learns from it. `versions` knows where swaps lead.
    pub fn mask(&mut self, entry: &mut Entry, versions: &dyn Fn(VersionHash) -> Option<Arc<ModuleVersion>>) {
        match entry {
            Entry::Start(start) => {
                if let Some(snapshot) = &mut start.snapshot {
                    self.snapshot(snapshot);
                }
            }
            Entry::Input(input) => {
                if let RecordedInput::Swap { version, .. } = &**input
                    && let Some(version) = versions(*version)
                {
                    self.follow(version);
                }
                self.input(input);
            }
            Entry::Commit(commit) => self.commit(commit),
            Entry::Drain { .. } | Entry::Look | Entry::Instance(_) => {}
        }
    }

    /// Takes the secrets out of a commit and learns which entities it made.
    pub fn commit(&mut self, commit: &mut Commit) {
        self.types.insert(commit.entity, commit.type_id);
        for effect in &commit.effects {
            match effect {
                Effect::Spawned { entity, type_id } => {
                    self.types.insert(*entity, *type_id);
                }
                Effect::Destroyed { entity } if *entity != commit.entity => {
                    self.types.remove(entity);
                }
                _ => {}
            }
        }
        if !self.has_secrets {
            return;
        }
        let mut bytes = Vec::with_capacity(commit.delta_bytes.len());
        let mut deltas = std::mem::take(&mut commit.deltas);
        for delta in &mut deltas {
            let table = self.types.get(&delta.entity).and_then(|type_id| self.version.type_of(*type_id));
            let start = bytes.len();
            for change in PatchReader::new(commit.delta(delta)).flatten() {
                mask_change(table, &change, &mut bytes);
            }
            (delta.start, delta.end) = (place(start), place(bytes.len()));
        }
        commit.deltas = deltas;
        commit.delta_bytes = bytes;
        let mut outbox = std::mem::take(&mut commit.outbox);
        outbox.iter_mut().for_each(|message| self.message(message));
        commit.outbox = outbox;
    }

    fn snapshot(&mut self, snapshot: &mut SpaceSnapshot) {
        for entity in &mut snapshot.entities {
            self.types.insert(entity.id, entity.body.type_id);
            self.body(&mut entity.body);
        }
    }

    fn body(&self, body: &mut EntityBody) {
        let Some(table) = self.version.type_of(body.type_id).filter(|_| self.has_secrets) else { return };
        mask_contexts(table, body);
        for attribute in table.attributes.iter().filter(|attribute| is_secret(attribute)) {
            let mut value = Vec::new();
            match body.attributes.slot(attribute.id) {
                Slot::Absent => continue,
                slot => slot.encode(&mut value),
            }
            let masked = (!attribute.flags.secret).then(|| mask_value(&attribute.structure, &value));
            let change = Change {
                attribute: attribute.id,
                key: None,
                insert: false,
                value: masked.as_deref(),
                raw: &[],
            };
            let column = Column { shape: attribute.shape, initial: &attribute.initial };
            if body.attributes.apply(&change, column, None).is_err() {
                let reset = Change { value: None, ..change };
                // Nothing is too large to be taken away.
                let _ = body.attributes.apply(&reset, column, None);
            }
        }
    }

    fn input(&mut self, input: &mut RecordedInput) {
        match input {
            RecordedInput::Message(message) => self.message(message),
            RecordedInput::Request { target, method, args, .. } => {
                let table = self.types.get(target).and_then(|type_id| self.version.type_of(*type_id));
                let by_id =
                    |table: &TypeTable| table.methods.iter().find(|found| found.id == *method).cloned();
                let found = match table {
                    Some(table) => by_id(table),
                    None => self.version.types.iter().find_map(by_id),
                };
                mask_call(found.as_ref(), args);
            }
            RecordedInput::Create { entity, type_name, .. } => {
                let index = self.version.type_by_name.get(type_name);
                if let Some(table) = index.and_then(|index| self.version.types.get(*index as usize)) {
                    self.types.insert(*entity, table.id);
                }
            }
            RecordedInput::Install(traveller) => {
                self.types.insert(traveller.entity, traveller.body.type_id);
                self.body(&mut traveller.body);
            }
            _ => {}
        }
    }

    fn message(&self, message: &mut Message) {
        if let (true, Body::Call { method, args, .. }) = (self.has_secrets, &mut message.body) {
            let table = self.types.get(&message.target).and_then(|type_id| self.version.type_of(*type_id));
            let found = match table {
                Some(table) => by_key(table, *method),
                None => self.version.types.iter().find_map(|table| by_key(table, *method)),
            };
            mask_call(found, args);
        }
    }
}

/// What an entity keeps for later begins with the context: the first parameter of the method that takes it.
fn mask_contexts(table: &TypeTable, body: &mut EntityBody) {
    let pending = body.pending.values_mut().map(|kept| (kept.method, &mut kept.context));
    let timers = body.timers.values_mut().map(|kept| (kept.method, &mut kept.context));
    let watches = body.watches.values_mut().map(|kept| (kept.method, &mut kept.context));
    for (method, context) in pending.chain(timers).chain(watches) {
        let declared = by_key(table, method).and_then(|method| method.parameters.first());
        match declared {
            Some(declared) if !declared.structure.has_secret() => {}
            Some(declared) => *context = mask_value(&declared.structure, context).into(),
            // What no method takes may be anything.
            None => *context = Bytes::from_static(&[0xf6]),
        }
    }
}

fn by_key(table: &TypeTable, key: MethodKey) -> Option<&MethodTable> {
    table.methods.get(*table.method_by_key.get(&key)? as usize)
}

fn has_secrets(version: &ModuleVersion) -> bool {
    version
        .types
        .iter()
        .any(|table| table.attributes.iter().any(is_secret) || table.methods.iter().any(takes_secrets))
}

fn is_secret(attribute: &AttributeTable) -> bool {
    attribute.flags.secret || attribute.structure.has_secret()
}

/// True if a recorded call of it lacks part of its arguments.
#[must_use]
pub fn takes_secrets(method: &MethodTable) -> bool {
    method.parameters.iter().any(|parameter| parameter.structure.has_secret())
}

fn mask_call(method: Option<&MethodTable>, args: &mut Bytes) {
    if let Some(method) = method.filter(|method| takes_secrets(method)) {
        *args = mask_args(&method.parameters, args).into();
    }
}

/// Without knowing what the attribute is, only its path is kept.
fn mask_change(table: Option<&TypeTable>, change: &Change<'_>, out: &mut Vec<u8>) {
    let attribute =
        table.and_then(|table| table.attributes.iter().find(|found| found.id == change.attribute));
    match attribute {
        Some(attribute) if !is_secret(attribute) => out.extend_from_slice(change.raw),
        Some(attribute) if attribute.flags.secret => {}
        Some(attribute) => {
            write_path(change.attribute, change.key, change.insert, out);
            match change.value {
                None => cbor::undefined(out),
                Some(value) => {
                    out.extend(mask_value(part(&attribute.structure, change.key.is_some()), value))
                }
            }
        }
        None => {
            write_path(change.attribute, change.key, change.insert, out);
            cbor::null(out);
        }
    }
}

/// The type of what a path leads to.
pub(super) fn part(structure: &Structure, keyed: bool) -> &Structure {
    match structure {
        Structure::List(inner) | Structure::Map(_, inner) if keyed => inner,
        whole => whole,
    }
}

fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
