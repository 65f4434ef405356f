//! `wit/clients.wit`: the clients of entities.

use super::super::running::{Staged, Step};
use super::super::state::Space;
use super::{arguments, limit};
use crate::guest::{Audience, Continuation, GuestError};
use crate::limits;
use crate::message::{AnswerTo, Body, Class};
use crate::replicate::Change;
use bytes::Bytes;
use everwake_protocol::EntityId;
use everwake_protocol::cluster::Comparison;

pub(super) fn give(
    space: &mut Space,
    giver: EntityId,
    taker: EntityId,
    replace: bool,
    then: &Continuation,
) -> Result<(), GuestError> {
    if giver == taker {
        return Err(GuestError::BadArguments("giver and taker are one".into()));
    }
    let (_, entity) = space.owner(giver)?;
    // A view epoch belongs to one hand-over or move: there is one at a time.
    if entity.giving || entity.intent.is_some() || entity.leaving {
        return Err(GuestError::Busy);
    }
    let Some(mut client) = entity.body.client.clone() else { return Err(GuestError::NotFound) };
    space.count_messages(1, 0)?;
    let call = space.wait(then)?;
    let (slot, entity) = space.owner(giver)?;
    entity.giving = true;
    space.running.steps.push(Step::Giving { slot });
    client.view = client.view.wrapping_add(1);
    let view = client.view;
    let answer = AnswerTo::Entity { entity: then.owner, call };
    let body = Body::Attach { client: Box::new(client), view, replace, answer };
    space.stage_message(giver, taker, Class::Volatile, body);
    Ok(())
}

pub(super) fn kick(space: &mut Space, entity: EntityId, reason: String) -> Result<(), GuestError> {
    if reason.len() > limits::KICK_REASON_BYTES_MAX {
        return Err(limit("256 bytes of a reason"));
    }
    let (slot, entity) = space.owner(entity)?;
    let Some(client) = &entity.body.client else { return Err(GuestError::NotFound) };
    let session = client.session;
    space.stage(Staged::Kick { slot, session, reason });
    Ok(())
}

pub(super) fn call(
    space: &mut Space,
    entity: EntityId,
    audience: Audience,
    method: u32,
    args: Bytes,
) -> Result<(), GuestError> {
    let (_, owner) = space.owner(entity)?;
    let type_index = owner.type_index;
    let method = client_method(space, type_index, method)?;
    let args = arguments(args)?;
    space.count_messages(1, args.len())?;
    space.stage(Staged::Clients(Box::new(Change::ClientCall { entity, audience, method, args })));
    Ok(())
}

fn client_method(space: &Space, type_index: u32, method: u32) -> Result<u32, GuestError> {
    let methods = &space.table(type_index)?.client_methods;
    methods.get(method as usize).copied().ok_or(GuestError::NotFound)
}

pub(super) fn set_filter(
    space: &mut Space,
    entity: EntityId,
    key: String,
    value: Option<String>,
) -> Result<(), GuestError> {
    if key.is_empty() {
        return Err(GuestError::BadArguments("an empty key".into()));
    }
    if key.len() > limits::FILTER_KEY_BYTES_MAX {
        return Err(limit("64 bytes of a filter key"));
    }
    if value.as_ref().is_some_and(|value| value.len() > limits::FILTER_VALUE_BYTES_MAX) {
        return Err(limit("256 bytes of a filter value"));
    }
    let (slot, owner) = space.owner(entity)?;
    let Some(client) = &owner.body.client else { return Err(GuestError::NotFound) };
    let session = client.session;
    let filters = &mut owner.body.filters;
    if value.is_some() && filters.len() >= limits::FILTERS_PER_CLIENT_MAX && !filters.contains_key(&key) {
        return Err(limit("16 filter keys of a client"));
    }
    let old = match &value {
        Some(value) => filters.insert(key.clone(), value.clone()),
        None => filters.remove(&key),
    };
    if old == value {
        return Ok(());
    }
    space.running.steps.push(Step::Filter { slot, key: key.clone(), old });
    space.stage(Staged::Clients(Box::new(Change::Filter { session, key, value })));
    Ok(())
}

pub(super) fn broadcast(
    space: &mut Space,
    selector: (String, Comparison, String),
    type_index: u32,
    method: u32,
    args: Bytes,
) -> Result<(), GuestError> {
    let (key, compare, value) = selector;
    space.capable("broadcast")?;
    if key.len() > limits::FILTER_KEY_BYTES_MAX {
        return Err(limit("64 bytes of a filter key"));
    }
    if value.len() > limits::FILTER_VALUE_BYTES_MAX {
        return Err(limit("256 bytes of a filter value"));
    }
    let type_id = space.table(type_index)?.id;
    let method = client_method(space, type_index, method)?;
    let args = arguments(args)?;
    space.count_messages(1, args.len())?;
    let change = Change::Broadcast { key, compare, value, type_id, method, args };
    space.stage(Staged::Clients(Box::new(change)));
    Ok(())
}
