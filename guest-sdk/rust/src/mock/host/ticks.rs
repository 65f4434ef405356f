//! `wit/ticks.wit`: the due members of the running tick.

use super::*;
pub(crate) use wit::ticks::{Member, Neighbour, Neighbourhoods};

pub(crate) fn due() -> Vec<Member> {
    with(|tx| {
        let due = tx.due.as_deref().unwrap_or_default();
        let member = |id: &Id| {
            let entity = tx.state.entities.get(id)?;
            Some(Member { entity: (*id).into(), revision: entity.revision })
        };
        due.iter().filter_map(member).collect()
    })
}

pub(crate) fn poses() -> Vec<f32> {
    with(|tx| {
        let due = tx.due.as_deref().unwrap_or_default();
        let entities = due.iter().filter_map(|id| tx.state.entities.get(id));
        entities.flat_map(|entity| entity.pose.numbers()).collect()
    })
}

pub(crate) fn neighbours(radius: f32, type_index: Option<u32>) -> Neighbourhoods {
    with(|tx| {
        let mut all = Neighbourhoods { offsets: vec![0], found: Vec::new() };
        for id in tx.due.clone().unwrap_or_default() {
            let Some(center) = tx.state.entities.get(&id).map(|entity| entity.pose) else { continue };
            all.found.extend(crate::mock::host::spaces::within(tx, center, radius, type_index, Some(id)));
            all.offsets.push(all.found.len() as u32);
        }
        all
    })
}

pub(crate) fn move_all(poses: &[f32]) {
    with(|tx| {
        let due = tx.due.clone().unwrap_or_default();
        let (poses, []) = poses.as_chunks::<4>() else { panic!("no whole poses") };
        for (id, to) in due.iter().zip(poses) {
            let Ok(to) = pose(Pose::of_numbers(*to).into()) else { panic!("a pose that is not finite") };
            if let Some(entity) = tx.state.entities.get_mut(id) {
                entity.pose = to;
            }
        }
        tx.note(Group::Pose, format!("move {} of {}", poses.len(), due.len()));
    });
}

pub(crate) fn working_on(index: u32) {
    crate::mock::transaction::work_on(index as usize);
}
