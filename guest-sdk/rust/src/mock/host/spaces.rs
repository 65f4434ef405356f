//! `wit/spaces.wit`: members and poses of the space of the running event.

use super::*;

pub(crate) fn current() -> Option<WitId> {
    with(|tx| tx.space.map(WitId::from))
}

pub(crate) fn enter(entity: WitId, space: WitId, at: WitPose) -> Result<(), Error> {
    intend(entity.into(), Some(space.into()), pose(at)?)
}

pub(crate) fn leave(entity: WitId) -> Result<(), Error> {
    intend(entity.into(), None, Pose::default())
}

fn intend(entity: Id, to: Option<Id>, at: Pose) -> Result<(), Error> {
    with(|tx| {
        tx.speaks_for(entity)?;
        if super::clients::gives(tx, entity) {
            return Err(Error::Busy);
        }
        tx.intents.retain(|(other, ..)| *other != entity);
        tx.intents.push((entity, to, at));
        Ok(())
    })
}

pub(crate) fn members(type_index: Option<u32>) -> Vec<WitId> {
    with(|tx| {
        let Some(space) = tx.space else { return Vec::new() };
        let fits = |id: &Id| {
            type_index.is_none() || tx.state.entities.get(id).map(|entity| entity.type_index) == type_index
        };
        tx.state.members(space).into_iter().filter(fits).map(WitId::from).collect()
    })
}

pub(crate) fn pose_of(entity: WitId) -> Option<WitPose> {
    with(|tx| {
        tx.here(entity.into()).ok().filter(|entity| entity.space.is_some()).map(|entity| entity.pose.into())
    })
}

pub(crate) fn move_to(entity: WitId, to: WitPose) -> Result<(), Error> {
    let (id, to) = (Id::from(entity), pose(to)?);
    with(|tx| {
        tx.here(id)?.pose = to;
        tx.note(Group::Pose, format!("move {id} {} {} {} {}", to.x, to.y, to.z, to.yaw));
        Ok(())
    })
}

pub(crate) fn set_motion(entity: WitId, motion: &[u8]) -> Result<(), Error> {
    fits(motion, 16, "motion")?;
    with(|tx| {
        tx.here(entity.into())?.motion = motion.to_vec();
        Ok(())
    })
}

/// By ground distance, in the order they entered.
pub(crate) fn within(
    tx: &Transaction,
    center: Pose,
    radius: f32,
    type_index: Option<u32>,
    but: Option<Id>,
) -> Vec<wit::ticks::Neighbour> {
    let Some(space) = tx.space else { return Vec::new() };
    let members = tx.state.members(space).into_iter().filter(|id| Some(*id) != but);
    let near = members.filter_map(|id| {
        let entity = tx.state.entities.get(&id)?;
        let (x, z) = (entity.pose.x - center.x, entity.pose.z - center.z);
        let fits = type_index.is_none_or(|type_index| type_index == entity.type_index);
        let found = wit::ticks::Neighbour {
            entity: id.into(),
            type_index: entity.type_index,
            pose: entity.pose.into(),
        };
        (fits && x * x + z * z <= radius * radius).then_some(found)
    });
    near.collect()
}

pub(crate) fn near(center: WitPose, radius: f32, type_index: Option<u32>) -> Vec<wit::ticks::Neighbour> {
    with(|tx| within(tx, center.into(), radius, type_index, None))
}

pub(crate) fn set_layers(entity: WitId, sees: u32, seen_by: u32) -> Result<(), Error> {
    with(|tx| {
        tx.here(entity.into())?.layers = (sees, seen_by);
        Ok(())
    })
}

pub(crate) fn allow_client_moves(entity: WitId, allowed: bool) -> Result<(), Error> {
    with(|tx| {
        tx.here(entity.into())?.client_moves = allowed;
        Ok(())
    })
}
