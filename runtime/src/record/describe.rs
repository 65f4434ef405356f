//! Commits as text for people: names of the module's own, values in CBOR's diagnostic notation.

use super::mask::part;
use crate::guest::{EventKind, Hook};
use crate::message::{Body, Message};
use crate::space::{Commit, Effect};
use crate::versions::value::cut;
use crate::versions::{MethodKey, ModuleVersion, describe_args, describe_value};
use everwake_protocol::EntityId;
use everwake_protocol::attributes::PatchReader;
use everwake_protocol::cbor;
use everwake_protocol::client::Pose;
use everwake_protocol::outcome::Outcome;

/// Bytes of one value in a report.
const VALUE_BYTES_MAX: usize = 512;

/// What ran: `Avatar.hit`, `Avatar hook create`, `Monster tick`, `host`.
#[must_use]
pub fn handler(version: &ModuleVersion, commit: &Commit) -> String {
    let index = version.type_by_id.get(&commit.type_id).copied();
    let entity_type = index.and_then(|index| version.manifest.types.get(index as usize));
    let type_name =
        entity_type.map_or_else(|| format!("type {}", commit.type_id), |found| found.name.clone());
    match commit.kind {
        None => "host".to_owned(),
        Some(EventKind::Tick) => format!("{type_name} tick"),
        Some(EventKind::Hook) => format!("{type_name} hook {}", hook_name(commit.method_index)),
        Some(EventKind::Call | EventKind::Resume | EventKind::Timer) => {
            let name = commit.method.and_then(|key| method_name(version, commit.type_id, key));
            let name = name.unwrap_or_else(|| format!("method {}", commit.method_index));
            let what = match commit.kind {
                Some(EventKind::Resume) => " (resumed)",
                Some(EventKind::Timer) => " (timer)",
                _ => "",
            };
            format!("{type_name}.{name}{what}")
        }
    }
}

fn hook_name(number: u32) -> String {
    let hook = crate::versions::diff::HOOK_NAMES.get(number as usize);
    hook.filter(|_| number <= Hook::Destroy as u32)
        .map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

fn method_name(version: &ModuleVersion, type_id: u32, key: MethodKey) -> Option<String> {
    let index = *version.type_by_id.get(&type_id)? as usize;
    let method = *version.types.get(index)?.method_by_key.get(&key)? as usize;
    Some(version.manifest.types.get(index)?.methods.get(method)?.name.clone())
}

/// A patch by small ids: `hp = 3, bag["coin"] = 7, log[2] removed`. Secret attributes are named,
/// not shown.
#[must_use]
pub fn patch(version: &ModuleVersion, type_id: Option<u32>, patch: &[u8]) -> String {
    let index =
        type_id.and_then(|type_id| version.type_by_id.get(&type_id).copied()).unwrap_or(u32::MAX) as usize;
    let (table, declared) = (version.types.get(index), version.manifest.types.get(index));
    let mut lines = Vec::new();
    for change in PatchReader::new(patch) {
        let change = match change {
            Ok(change) => change,
            Err(error) => {
                lines.push(format!("<{error}>"));
                break;
            }
        };
        let place =
            table.and_then(|table| table.attribute_by_id.get(&change.attribute)).map(|index| *index as usize);
        let attribute = place.and_then(|place| table?.attributes.get(place));
        let name =
            place.and_then(|place| declared?.attributes.get(place)).map(|attribute| attribute.name.clone());
        let mut line = name.unwrap_or_else(|| format!("#{}", change.attribute));
        if let Some(key) = change.key {
            line.push_str(&format!("[{}]", cbor::diagnostic(key)));
        }
        match (change.value, attribute) {
            (None, _) if change.key.is_none() => line.push_str(" back to its initial value"),
            (None, _) => line.push_str(" removed"),
            (Some(_), Some(attribute)) if attribute.flags.secret => line.push_str(" = ***"),
            (Some(value), Some(attribute)) => {
                let structure = part(&attribute.structure, change.key.is_some());
                line.push_str(if change.insert { " inserted " } else { " = " });
                line.push_str(&describe_value(structure, value, VALUE_BYTES_MAX));
            }
            // Another version's attribute may be a secret.
            (Some(_), None) => line.push_str(" = ?"),
        }
        lines.push(line);
    }
    lines.join(", ")
}

/// A message: whom it is for and what it says.
#[must_use]
pub fn message(version: &ModuleVersion, target_type: Option<u32>, message: &Message) -> String {
    let target = message.target;
    let text = match &message.body {
        Body::Call { method, args, .. } => {
            let types =
                version.types.iter().filter(|table| target_type.is_none_or(|type_id| table.id == type_id));
            let found = types.filter_map(|table| {
                let place = *table.method_by_key.get(method)? as usize;
                Some((table.methods.get(place)?, method_name(version, table.id, *method)?))
            });
            match found.into_iter().next() {
                Some((table, name)) => {
                    format!("{name}{}", describe_args(&table.parameters, args, VALUE_BYTES_MAX))
                }
                None => format!("method {:016x}(...)", method.name),
            }
        }
        Body::Answer { call, outcome } => format!("answer to {call}: {}", outcome_text(outcome)),
        other => format!("{other:?}"),
    };
    format!("to {target}: {}", cut(text, 2 * VALUE_BYTES_MAX))
}

fn outcome_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Ok(value) => cut(cbor::diagnostic(value), VALUE_BYTES_MAX),
        Outcome::Err { certainty, code, detail } => {
            let detail = cut(cbor::diagnostic(detail), VALUE_BYTES_MAX);
            format!("{certainty:?} {code} {detail}")
        }
    }
}

/// What an event did besides attributes and messages.
#[must_use]
pub fn effect(effect: &Effect) -> String {
    cut(format!("{effect:?}"), VALUE_BYTES_MAX)
}

/// Who moved, and where to.
#[must_use]
pub fn moved((entity, pose): &(EntityId, Pose)) -> String {
    let Pose { x, y, z, yaw } = pose;
    format!("{entity} moved to {x} {y} {z}, yaw {yaw}")
}

/// The entities whose attributes a commit changed, with their patches.
pub fn deltas(commit: &Commit) -> impl Iterator<Item = (EntityId, &[u8])> {
    commit.deltas.iter().map(|delta| (delta.entity, commit.delta(delta)))
}
