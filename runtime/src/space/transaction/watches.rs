//! `wit/watches.wit`: learning that another entity is gone.

use super::super::running::Step;
use super::super::state::Space;
use super::limit;
use crate::guest::GuestError;
use crate::limits;
use crate::message::{Body, Class, Watch};
use bytes::Bytes;
use everwake_protocol::{EntityId, Id};

pub(super) fn watch(
    space: &mut Space,
    owner: EntityId,
    target: EntityId,
    method: u32,
    context: Bytes,
) -> Result<Id, GuestError> {
    let method = space.continuation(owner, method, &context)?;
    space.count_messages(1, 0)?;
    let watch = space.running.mint(space.config.id);
    let (slot, entity) = space.owner(owner)?;
    if entity.body.watches.len() >= limits::WATCHES_PER_ENTITY_MAX {
        return Err(limit("10,000 watches of an entity"));
    }
    let context = super::canonical(context);
    entity.body.watches.insert(watch, Watch { target, method, context });
    space.running.steps.push(Step::WatchAdded { slot, watch });
    let body = Body::Watch { watch, owner };
    space.stage_message(owner, target, Class::Volatile, body);
    Ok(watch)
}

pub(super) fn unwatch(space: &mut Space, owner: EntityId, watch: Id) {
    let Ok(slot) = space.reach(owner) else { return };
    let Some(entity) = space.world.get_mut(slot) else { return };
    let Some(old) = entity.body.watches.remove(&watch) else { return };
    let target = old.target;
    space.running.steps.push(Step::WatchRemoved { slot, watch, old: Box::new(old) });
    let body = Body::Unwatch { watch, owner };
    space.stage_message(owner, target, Class::Volatile, body);
}
