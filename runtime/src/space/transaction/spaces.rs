//! `wit/spaces.wit`: who is in a space, and where.

use super::super::entity::{Entity, Intent, Slot};
use super::super::running::Step;
use super::super::state::Space;
use super::{checked_pose, limit};
use crate::guest::{GuestError, Neighbour};
use crate::limits;
use bytes::Bytes;
use everwake_protocol::EntityId;
use everwake_protocol::client::Pose;
use everwake_protocol::limits::MOTION_BYTES_MAX;

pub(super) fn ask(
    space: &mut Space,
    entity: EntityId,
    to: Option<EntityId>,
    at: Pose,
) -> Result<(), GuestError> {
    let pose = checked_pose(at)?;
    let own = space.config.id;
    let (slot, entity) = space.owner(entity)?;
    if entity.id == own {
        return Err(GuestError::NotAllowed("a space or service stays where it is".into()));
    }
    if entity.leaving || entity.dying {
        return Err(GuestError::NotAllowed("the entity is leaving already".into()));
    }
    if entity.giving {
        return Err(GuestError::Busy);
    }
    let old = entity.intent;
    entity.intents = entity.intents.wrapping_add(1);
    entity.intent = Some(Intent { to, pose, number: entity.intents });
    space.running.steps.push(Step::Intent { slot, old });
    Ok(())
}

pub(super) fn members(space: &Space, type_index: Option<u32>) -> Vec<EntityId> {
    members_of(space, type_index).map(|(_, entity)| entity.id).collect()
}

/// Members in the order they entered; nobody outside of real spaces.
pub(super) fn members_of(space: &Space, type_index: Option<u32>) -> impl Iterator<Item = (Slot, &Entity)> {
    let own = space.config.id;
    let real = space.is_real();
    space.world.iter_of(type_index).filter(move |(_, entity)| real && entity.id != own)
}

pub(super) fn pose_of(space: &Space, entity: EntityId) -> Option<Pose> {
    if !space.is_real() || entity == space.config.id {
        return None;
    }
    Some(space.world.by_id(entity)?.pose)
}

/// A member that the event may change, never the space itself.
fn member(space: &mut Space, entity: EntityId) -> Result<(Slot, &mut Entity), GuestError> {
    if !space.is_real() {
        return Err(GuestError::NotAllowed("not in a space".into()));
    }
    if entity == space.config.id {
        return Err(GuestError::NotAllowed("the space itself stands nowhere".into()));
    }
    space.owner(entity)
}

pub(super) fn move_to(space: &mut Space, entity: EntityId, to: Pose) -> Result<(), GuestError> {
    let to = checked_pose(to)?;
    let (slot, entity) = member(space, entity)?;
    let old = std::mem::replace(&mut entity.pose, to);
    if old != to {
        space.running.moved.push((slot, old));
    }
    Ok(())
}

pub(super) fn set_motion(space: &mut Space, entity: EntityId, motion: &[u8]) -> Result<(), GuestError> {
    if motion.len() > MOTION_BYTES_MAX {
        return Err(limit("16 bytes of motion"));
    }
    let (slot, entity) = member(space, entity)?;
    if entity.body.motion != motion {
        let old = std::mem::replace(&mut entity.body.motion, Bytes::copy_from_slice(motion));
        space.running.steps.push(Step::Motion { slot, old });
    }
    Ok(())
}

pub(super) fn near(space: &Space, center: Pose, radius: f32, type_index: Option<u32>) -> Vec<Neighbour> {
    let found = members_of(space, type_index).filter(|(_, entity)| within(center, entity.pose, radius));
    found
        .take(limits::NEAR_FOUND_MAX)
        .map(|(_, entity)| Neighbour { entity: entity.id, type_index: entity.type_index, pose: entity.pose })
        .collect()
}

/// Ground distance. A radius or a center that is no number finds nobody.
pub(super) fn within(center: Pose, pose: Pose, radius: f32) -> bool {
    let (dx, dz) = (f64::from(pose.x) - f64::from(center.x), f64::from(pose.z) - f64::from(center.z));
    radius >= 0.0 && dx * dx + dz * dz <= f64::from(radius) * f64::from(radius)
}

pub(super) fn set_layers(space: &mut Space, entity: EntityId, layers: (u32, u32)) -> Result<(), GuestError> {
    let (slot, entity) = space.owner(entity)?;
    let old = std::mem::replace(&mut entity.body.layers, layers);
    if old != layers {
        space.running.steps.push(Step::Layers { slot, old });
    }
    Ok(())
}

pub(super) fn allow_client_moves(
    space: &mut Space,
    entity: EntityId,
    allowed: bool,
) -> Result<(), GuestError> {
    let (slot, entity) = space.owner(entity)?;
    let old = std::mem::replace(&mut entity.body.client_moves, allowed);
    if old != allowed {
        space.running.steps.push(Step::ClientMoves { slot, old });
    }
    Ok(())
}
