//! `wit/entities.wit`: life and attributes of entities.

use super::*;
pub(crate) use wit::entities::Place;

pub(crate) fn load(entity: WitId) -> Option<wit::entities::State> {
    with(|tx| {
        let entity = tx.here(entity.into()).ok()?;
        let attributes = entity.attributes.write();
        Some(wit::entities::State { revision: entity.revision, type_index: entity.type_index, attributes })
    })
}

pub(crate) fn patch(entity: WitId, changes: &[u8]) {
    let id = Id::from(entity);
    with(|tx| {
        let manifest = std::rc::Rc::clone(&tx.state.manifest);
        let Ok(entity) = tx.here(id) else { panic!("patch of an entity that is not here") };
        let Some(about) = manifest.types.get(entity.type_index as usize) else { return };
        if let Err(bad) = entity.attributes.patch(&about.attributes, changes) {
            panic!("the host refuses a patch of {}: {bad}", about.name);
        }
        let hex: String = changes.iter().map(|byte| format!("{byte:02x}")).collect();
        tx.note(Group::Patch, format!("patch {id} {hex}"));
    });
}

pub(crate) fn spawn(type_index: u32, attributes: &[u8], at: WitPose) -> Result<WitId, Error> {
    with(|tx| {
        let space = tx.space.ok_or_else(|| Error::NotAllowed("spawn outside of a space".into()))?;
        if tx.state.kind_of(type_index) != Some(wit::manifests::TypeKind::Entity) {
            return Err(Error::NotFound);
        }
        let at = pose(at)?;
        let id = tx.state.mint();
        tx.state.insert(id, type_index, Some(space), at);
        tx.spawned.push(id);
        let manifest = std::rc::Rc::clone(&tx.state.manifest);
        let (Some(entity), Some(about)) =
            (tx.state.entities.get_mut(&id), manifest.types.get(type_index as usize))
        else {
            return Err(Error::NotFound);
        };
        if let Err(bad) = entity.attributes.patch(&about.attributes, attributes) {
            panic!("the host refuses the attributes of a {}: {bad}", about.name);
        }
        tx.note(Group::Spawn, format!("spawn {id} {}", about.name));
        Ok(id.into())
    })
}

pub(crate) fn destroy(entity: WitId) -> Result<(), Error> {
    let id = Id::from(entity);
    with(|tx| {
        tx.here(id)?;
        if !tx.doomed.contains(&id) {
            tx.doomed.push(id);
            tx.intents.retain(|(entity, ..)| *entity != id);
        }
        Ok(())
    })
}

pub(crate) fn create(type_index: u32, args: &[u8], at: &Place, then: &Continuation) -> Result<(), Error> {
    with(|tx| {
        checked(tx, then)?;
        fits(args, ARGS_BYTES_MAX, "arguments")?;
        let kind = tx.state.kind_of(type_index).ok_or(Error::NotFound)?;
        let space = match (at, kind) {
            (Place::InSpace(space), wit::manifests::TypeKind::Entity) => Some(Id::from(*space)),
            (_, wit::manifests::TypeKind::Entity | wit::manifests::TypeKind::Space) => None,
            _ => return Err(Error::NotFound),
        };
        let id = tx.state.mint();
        tx.staged.push(Staged::Create { id, type_index, args: args.to_vec(), space, then: then.clone() });
        Ok(())
    })
}
