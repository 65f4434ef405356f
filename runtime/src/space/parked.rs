//! Work in flight that names methods which another version lacks.

use super::mailbox::Item;
use super::state::Space;
use crate::message::{Body, Input, Parked};
use crate::versions::{MethodKey, MethodLookup, ModuleVersion};
use std::collections::BTreeMap;

/// What waits in a space for a method that `version` does not have, by type, method and kind.
pub(super) fn parked(space: &Space, version: &ModuleVersion) -> Vec<Parked> {
    let mut counts: BTreeMap<(u32, MethodKey, &'static str), usize> = BTreeMap::new();
    let mut note = |type_index: u32, key: MethodKey, kind: &'static str| {
        if !has(space, version, type_index, key) {
            *counts.entry((type_index, key, kind)).or_default() += 1;
        }
    };
    for (_, entity) in space.world.iter() {
        for timer in entity.body.timers.values() {
            note(entity.type_index, timer.method, "timer");
        }
        for pending in entity.body.pending.values() {
            note(entity.type_index, pending.method, "answer");
        }
        for watch in entity.body.watches.values() {
            note(entity.type_index, watch.method, "watch");
        }
    }
    for item in space.mailbox.items() {
        match item {
            Item::Message(message) => {
                if let Body::Call { method, .. } = &message.body
                    && let Some(entity) = space.world.by_id(message.target)
                {
                    note(entity.type_index, *method, "mailbox");
                }
            }
            Item::Input(input) => {
                let Input::Request { target, method, .. } = &**input else { continue };
                let Some(entity) = space.world.by_id(*target) else { continue };
                let Some(table) = space.version.types.get(entity.type_index as usize) else { continue };
                let index = table.method_by_id.get(method).copied();
                if let Some(method) = index.and_then(|index| table.methods.get(index as usize)) {
                    note(entity.type_index, method.key, "mailbox");
                }
            }
            _ => {}
        }
    }
    counts
        .into_iter()
        .map(|((type_index, key, kind), count)| {
            let (type_name, method) = names(space, type_index, key);
            Parked { type_name, method, kind: kind.into(), count }
        })
        .collect()
}

fn has(space: &Space, version: &ModuleVersion, type_index: u32, key: MethodKey) -> bool {
    let Some(table) = space.version.types.get(type_index as usize) else { return false };
    let Some(index) = version.type_by_id.get(&table.id) else { return false };
    let table = version.types.get(*index as usize);
    table.is_some_and(|table| matches!(table.method(key), MethodLookup::Found(_)))
}

fn names(space: &Space, type_index: u32, key: MethodKey) -> (String, String) {
    let declared = space.version.manifest.types.get(type_index as usize);
    let table = space.version.types.get(type_index as usize);
    let index = table.and_then(|table| table.method_by_key.get(&key).copied());
    let method = declared
        .zip(index)
        .and_then(|(declared, index)| declared.methods.get(index as usize))
        .map_or_else(|| format!("{:016x}", key.name), |method| method.name.clone());
    (declared.map_or_else(String::new, |declared| declared.name.clone()), method)
}
