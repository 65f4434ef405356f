//! `wit/ticks.wit`: reading and writing many entities at once.

use super::super::state::Space;
use super::checked_pose;
use super::spaces::{members_of, within};
use crate::guest::{Member, Misuse, Neighbour};
use crate::limits;
use everwake_protocol::client::Pose;

pub(super) fn due(space: &Space) -> Vec<Member> {
    if !space.in_tick() {
        return Vec::new();
    }
    let due = space.running.due.iter().filter_map(|slot| space.world.get(*slot));
    due.map(|entity| Member { entity: entity.id, revision: entity.revision }).collect()
}

pub(super) fn poses(space: &Space) -> Vec<f32> {
    if !space.in_tick() {
        return Vec::new();
    }
    let mut poses = Vec::with_capacity(space.running.due.len() * 4);
    for entity in space.running.due.iter().filter_map(|slot| space.world.get(*slot)) {
        poses.extend_from_slice(&entity.pose.numbers());
    }
    poses
}

pub(super) fn neighbours(space: &Space, radius: f32, type_index: Option<u32>) -> (Vec<u32>, Vec<Neighbour>) {
    if !space.in_tick() {
        return (Vec::new(), Vec::new());
    }
    let all: Vec<Neighbour> = members_of(space, type_index)
        .map(|(_, entity)| Neighbour { entity: entity.id, type_index: entity.type_index, pose: entity.pose })
        .collect();
    let mut offsets = Vec::with_capacity(space.running.due.len() + 1);
    let mut found = Vec::new();
    offsets.push(0);
    for slot in &space.running.due {
        if let Some(entity) = space.world.get(*slot) {
            let room = limits::NEIGHBOURS_FOUND_MAX.saturating_sub(found.len());
            let others = all
                .iter()
                .filter(|other| other.entity != entity.id && within(entity.pose, other.pose, radius));
            found.extend(others.take(limits::NEAR_FOUND_MAX.min(room)).copied());
        }
        offsets.push(u32::try_from(found.len()).unwrap_or(u32::MAX));
    }
    (offsets, found)
}

pub(super) fn move_all(space: &mut Space, poses: &[f32]) -> Result<(), Misuse> {
    if !space.in_tick() {
        return Ok(());
    }
    let (poses, []) = poses.as_chunks::<4>() else {
        return Err(Misuse(format!("{} numbers are no whole poses", poses.len())));
    };
    if poses.len() > space.running.due.len() {
        return Err(Misuse(format!("{} poses for {} due entities", poses.len(), space.running.due.len())));
    }
    let Space { world, running, .. } = space;
    for (slot, pose) in running.due.iter().zip(poses) {
        let pose = checked_pose(Pose::of_numbers(*pose)).map_err(|error| Misuse(error.to_string()))?;
        let Some(entity) = world.get_mut(*slot) else { continue };
        let old = std::mem::replace(&mut entity.pose, pose);
        if old != pose {
            running.moved.push((*slot, old));
        }
    }
    Ok(())
}
