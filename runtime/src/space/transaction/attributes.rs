//! `wit/entities.wit`: the life and the attributes of entities.

use super::super::entity::{Entity, Slot, empty_body};
use super::super::running::{Creation, Running, Staged, Step};
use super::super::state::Space;
use super::{arguments, checked_pose, limit};
use crate::guest::{Continuation, GuestError, LoadedState, Misuse, Place};
use crate::limits;
use crate::manifest::TypeKind;
use crate::versions::TypeTable;
use bytes::Bytes;
use everwake_protocol::EntityId;
use everwake_protocol::attributes::{Attributes, Change, Column, PatchReader, write_change_renumbered};
use everwake_protocol::cbor;
use everwake_protocol::client::Pose;

pub(super) fn load(space: &mut Space, entity: EntityId) -> Option<LoadedState> {
    let slot = space.reach(entity).ok()?;
    let entity = space.world.get(slot)?;
    let table = space.version.types.get(entity.type_index as usize)?;
    Some(LoadedState {
        revision: entity.revision,
        type_index: entity.type_index,
        attributes: encode_for_guest(table, &entity.body.attributes),
    })
}

/// All attributes by the guest's indexes; those that its version does not know stay behind.
pub(in super::super) fn encode_for_guest(table: &TypeTable, attributes: &Attributes) -> Bytes {
    let mut out = Vec::with_capacity(attributes.bytes() + 64);
    if table.identity {
        let known = u32::try_from(table.attributes.len()).unwrap_or(u32::MAX);
        attributes.encode_into(&mut out, |attribute| attribute < known);
    } else {
        attributes.encode_renumbered(&mut out, |id| table.attribute_by_id.get(&id).copied());
    }
    out.into()
}

pub(super) fn patch(space: &mut Space, entity: EntityId, changes: &[u8]) -> Result<(), Misuse> {
    let slot = space.reach(entity).map_err(|_| Misuse(format!("patch of {entity}, which is not here")))?;
    let Space { world, running, version, .. } = space;
    let Some(entity) = world.get_mut(slot) else { return Err(Misuse("patch of nobody".into())) };
    let Some(table) = version.types.get(entity.type_index as usize) else {
        return Err(Misuse("patch of an entity without a type".into()));
    };
    let done = if cbor::may_hold_nan(changes) {
        let mut own = changes.to_vec();
        cbor::canonicalize_nans(&mut own);
        apply_all(&own, table, entity, slot, running)
    } else {
        apply_all(changes, table, entity, slot, running)
    };
    done.map_err(|problem| Misuse(format!("patch of {}: {problem}", entity.id)))
}

fn apply_all(
    changes: &[u8],
    table: &TypeTable,
    entity: &mut Entity,
    slot: Slot,
    running: &mut Running,
) -> Result<(), String> {
    let start = running.delta_bytes.len();
    let (undo, deltas) = running.log_of(slot, entity);
    // What stands side by side in the patch and is to be written as it is, is written at once.
    let (mut same_from, mut place) = (0, 0);
    for change in PatchReader::new(changes) {
        let mut change = change.map_err(|error| error.to_string())?;
        let column = resolve(table, &mut change)?;
        let applied = entity.body.attributes.apply(&change, column, Some(&mut *undo));
        let changed = applied.map_err(|error| error.to_string())?.changed;
        let begin = place;
        place += change.raw.len();
        if changed && table.identity {
            continue;
        }
        deltas.extend_from_slice(changes.get(same_from..begin).unwrap_or_default());
        same_from = place;
        if changed {
            write_change_renumbered(&change, change.attribute, deltas);
        }
    }
    deltas.extend_from_slice(changes.get(same_from..place).unwrap_or_default());
    let end = running.delta_bytes.len();
    if end > start {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        running.deltas.push((slot, place(start), place(end)));
    }
    Ok(())
}

/// The guest's index becomes the small id; the value must begin like one of the type's.
fn resolve<'t>(table: &'t TypeTable, change: &mut Change<'_>) -> Result<Column<'t>, String> {
    let index = change.attribute;
    let Some(attribute) = table.attributes.get(index as usize) else {
        return Err(format!("no attribute {index}"));
    };
    if change.key.is_none()
        && let Some(first) = change.value.and_then(|value| value.first())
        && attribute.majors & 1 << (first >> 5) == 0
    {
        return Err(format!("attribute {index}: a value of another type"));
    }
    change.attribute = attribute.id;
    Ok(Column { shape: attribute.shape, initial: &attribute.initial })
}

pub(super) fn spawn(
    space: &mut Space,
    type_index: u32,
    attributes: &[u8],
    at: Pose,
) -> Result<Result<EntityId, GuestError>, Misuse> {
    let at = match may_spawn(space, type_index, at) {
        Ok(at) => at,
        Err(error) => return Ok(Err(error)),
    };
    let Ok(table) = space.table(type_index) else { return Ok(Err(GuestError::NotFound)) };
    let schema = space.version.manifest.types.get(type_index as usize).map_or(0, |declared| declared.schema);
    let mut body = empty_body(table.id, schema, table.attribute_ids);
    let mut own = attributes.to_vec();
    cbor::canonicalize_nans(&mut own);
    fill(table, &own, &mut body.attributes).map_err(|problem| Misuse(format!("spawn: {problem}")))?;
    let id = EntityId(space.running.mint(space.config.id));
    let pose = if space.is_real() { at } else { Pose::default() };
    let slot = space.world.insert(Entity::new(id, type_index, pose, 1, body));
    space.running.spawns += 1;
    space.running.steps.push(Step::Spawned { slot });
    Ok(Ok(id))
}

fn may_spawn(space: &Space, type_index: u32, at: Pose) -> Result<Pose, GuestError> {
    match space.version.manifest.types.get(type_index as usize) {
        Some(declared) if declared.kind == TypeKind::Entity => {}
        _ => return Err(GuestError::NotFound),
    }
    if space.running.spawns >= limits::SPAWNS_PER_EVENT_MAX {
        return Err(limit("4,096 spawns of an event"));
    }
    if space.world.len() >= limits::ENTITIES_MAX {
        return Err(limit("100,000 entities of a space"));
    }
    checked_pose(at)
}

/// Sets whole attributes, by the guest's indexes.
fn fill(table: &TypeTable, sequence: &[u8], attributes: &mut Attributes) -> Result<(), String> {
    for change in PatchReader::new(sequence) {
        let mut change = change.map_err(|error| error.to_string())?;
        if change.key.is_some() {
            return Err(format!("attribute {}: only whole attributes", change.attribute));
        }
        let column = resolve(table, &mut change)?;
        attributes.apply(&change, column, None).map_err(|error| error.to_string())?;
    }
    Ok(())
}

pub(super) fn destroy(space: &mut Space, entity: EntityId) -> Result<(), GuestError> {
    let slot = space.reach(entity)?;
    let Some(entity) = space.world.get_mut(slot) else { return Err(GuestError::NotFound) };
    if !entity.doomed && !entity.dying {
        entity.doomed = true;
        space.running.steps.push(Step::Doomed { slot });
    }
    Ok(())
}

pub(super) fn create(
    space: &mut Space,
    type_index: u32,
    args: Bytes,
    at: Place,
    then: &Continuation,
) -> Result<(), GuestError> {
    let Some(declared) = space.version.manifest.types.get(type_index as usize) else {
        return Err(GuestError::NotFound);
    };
    match declared.kind {
        TypeKind::Entity => {}
        TypeKind::Space if matches!(at, Place::InSpace(_)) => {
            return Err(GuestError::BadArguments("a space in a space".into()));
        }
        TypeKind::Space => {}
        TypeKind::Service | TypeKind::Foreign => return Err(GuestError::NotFound),
    }
    let type_name = declared.name.clone();
    let args = arguments(args)?;
    space.count_messages(1, args.len())?;
    let call = space.wait(then)?;
    let entity = EntityId(space.running.mint(space.config.id));
    let create = Box::new(Creation { entity, type_name, args, place: at });
    space.stage(Staged::Create { owner: then.owner, call, create });
    Ok(())
}
