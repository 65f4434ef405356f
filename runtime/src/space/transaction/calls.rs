//! `wit/calls.wit`: messages between entities, and answers.

use super::super::running::{Answered, Staged, Step};
use super::super::state::Space;
use super::{arguments, limit, value};
use crate::guest::{Continuation, EventKind, GuestError, Origin, Part};
use crate::limits;
use crate::message::{AnswerTo, Body, Class, Deferred, Pending};
use bytes::Bytes;
use everwake_protocol::outcome::Outcome;
use everwake_protocol::{EntityId, Id, cbor};

pub(super) fn call(space: &mut Space, part: Part, then: &Continuation) -> Result<(), GuestError> {
    let target = part.target;
    let body = call_body(space, part)?;
    space.count_messages(1, body.bytes())?;
    let call = space.wait(then)?;
    let deadline = deadline_of(space, then.owner, call);
    stage_call(space, then.owner, target, body, (call, deadline));
    Ok(())
}

pub(super) fn send(
    space: &mut Space,
    sender: EntityId,
    part: Part,
    bounce: Option<(u32, Bytes)>,
) -> Result<(), GuestError> {
    space.owner(sender)?;
    let target = part.target;
    let mut body = call_body(space, part)?;
    space.count_messages(1, body.bytes())?;
    if let Some((method, context)) = bounce {
        let pending = Pending {
            method: space.continuation(sender, method, &context)?,
            context: super::canonical(context),
            deadline_ms: u64::MAX,
            gather: None,
            bounce: true,
        };
        let call = space.wait_for(sender, pending)?;
        if let Body::Call { bounce, .. } = &mut body {
            *bounce = Some(call);
        }
    }
    space.stage_message(sender, target, Class::Durable, body);
    Ok(())
}

pub(super) fn post(space: &mut Space, sender: EntityId, part: Part) -> Result<(), GuestError> {
    space.owner(sender)?;
    let target = part.target;
    let body = call_body(space, part)?;
    space.count_messages(1, body.bytes())?;
    space.stage_message(sender, target, Class::Volatile, body);
    Ok(())
}

pub(super) fn gather(space: &mut Space, parts: Vec<Part>, then: &Continuation) -> Result<(), GuestError> {
    if parts.len() > limits::GATHER_PARTS_MAX {
        return Err(limit("256 parts of a gathering"));
    }
    let count = parts.len();
    let mut bodies = Vec::with_capacity(count);
    for part in parts {
        bodies.push((part.target, call_body(space, part)?));
    }
    let bytes = bodies.iter().map(|(_, body)| body.bytes()).sum();
    space.count_messages(count.max(1), bytes)?;
    let mut pending = space.pending(then)?;
    pending.gather = Some(vec![None; count]);
    let deadline = pending.deadline_ms;
    let call = space.wait_for(then.owner, pending)?;
    if count == 0 {
        let mut empty = Vec::new();
        cbor::array(&mut empty, 0);
        let to = AnswerTo::Entity { entity: then.owner, call };
        space.stage(Staged::Answer { to, from: then.owner, outcome: Outcome::Ok(empty.into()) });
    }
    for (place, (target, body)) in (1u32..).zip(bodies) {
        let mut part = call;
        part.0[3] |= place;
        stage_call(space, then.owner, target, body, (part, deadline));
    }
    Ok(())
}

fn stage_call(space: &mut Space, owner: EntityId, target: EntityId, mut body: Body, waiting: (Id, u64)) {
    if let Body::Call { answer, deadline_ms, .. } = &mut body {
        *answer = AnswerTo::Entity { entity: owner, call: waiting.0 };
        *deadline_ms = waiting.1;
    }
    space.stage_message(owner, target, Class::Volatile, body);
}

fn deadline_of(space: &Space, owner: EntityId, call: Id) -> u64 {
    let pending = space.world.by_id(owner).and_then(|owner| owner.body.pending.get(&call));
    pending.map_or(u64::MAX, |pending| pending.deadline_ms)
}

/// A call that nobody waits for yet.
fn call_body(space: &Space, part: Part) -> Result<Body, GuestError> {
    Ok(Body::Call {
        method: space.method_key(part.type_index, part.method)?,
        args: arguments(part.args)?,
        origin: Origin::Entity,
        answer: AnswerTo::Nobody,
        deadline_ms: u64::MAX,
        bounce: None,
    })
}

pub(super) fn answer(space: &mut Space, given: Bytes) -> Result<(), GuestError> {
    let outcome = Outcome::Ok(value(given)?);
    answer_with(space, outcome)
}

pub(super) fn refuse(space: &mut Space, code: &str, detail: Bytes) -> Result<(), GuestError> {
    let outcome = refusal(code, detail)?;
    answer_with(space, outcome)
}

fn refusal(code: &str, detail: Bytes) -> Result<Outcome, GuestError> {
    if code.len() > limits::CODE_BYTES_MAX {
        return Err(limit("256 bytes of a code"));
    }
    Ok(Outcome::refused(code, value(detail)?))
}

fn answer_with(space: &mut Space, outcome: Outcome) -> Result<(), GuestError> {
    if space.running.frame.kind != EventKind::Call {
        return Ok(());
    }
    if space.running.answered != Answered::Open {
        return Err(GuestError::NotAllowed("the call is answered already".into()));
    }
    space.running.answered = Answered::Staged;
    let (to, from) = (space.running.frame.answer, space.running.frame.entity);
    if to != AnswerTo::Nobody {
        space.stage(Staged::Answer { to, from, outcome });
    }
    Ok(())
}

pub(super) fn defer(space: &mut Space) -> Result<Id, GuestError> {
    if space.running.frame.kind != EventKind::Call {
        return Err(GuestError::NotAllowed("nothing to answer".into()));
    }
    if space.running.answered != Answered::Open {
        return Err(GuestError::NotAllowed("the call is answered already".into()));
    }
    let (owner, answer) = (space.running.frame.entity, space.running.frame.answer);
    let deadline_ms = space.running.frame.deadline_ms;
    let deferred = space.running.mint(space.config.id);
    let (slot, entity) = space.owner(owner)?;
    if answer != AnswerTo::Nobody {
        if entity.body.deferred.len() >= limits::DEFERRED_PER_ENTITY_MAX {
            return Err(limit("4,096 deferred answers of an entity"));
        }
        entity.body.deferred.insert(deferred, Deferred { answer, deadline_ms });
        space.running.steps.push(Step::DeferredAdded { slot, deferred });
    }
    space.running.answered = Answered::Deferred;
    Ok(deferred)
}

pub(super) fn reply(
    space: &mut Space,
    owner: EntityId,
    deferred: Id,
    given: Bytes,
) -> Result<(), GuestError> {
    let outcome = Outcome::Ok(value(given)?);
    reply_with(space, owner, deferred, outcome)
}

pub(super) fn reply_refused(
    space: &mut Space,
    owner: EntityId,
    deferred: Id,
    code: &str,
    detail: Bytes,
) -> Result<(), GuestError> {
    let outcome = refusal(code, detail)?;
    reply_with(space, owner, deferred, outcome)
}

fn reply_with(space: &mut Space, owner: EntityId, deferred: Id, outcome: Outcome) -> Result<(), GuestError> {
    let (slot, entity) = space.owner(owner)?;
    let Some(old) = entity.body.deferred.remove(&deferred) else { return Err(GuestError::NotFound) };
    let to = old.answer;
    space.running.steps.push(Step::DeferredTaken { slot, deferred, old: Box::new(old) });
    space.stage(Staged::Answer { to, from: owner, outcome });
    Ok(())
}
