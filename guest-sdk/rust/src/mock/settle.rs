//! The end of an event of a mock world: its effects in the order of `wit/world.wit`, or none.

use super::clients;
use super::state::{Entity, Fact, Hook, Item, Slot, State, Then, done, list, not_run};
use super::transaction::{Staged, Store, Transaction};
use crate::bindings::everwake::game::{manifests::TypeKind, types::Continuation};
use crate::cbor::{self, NULL};
use crate::id::Id;
use crate::types::Pose;

const DEADLINE_MS: u32 = 5_000;

/// Makes the running event's effects take place; returns the world after it.
pub(crate) fn commit(mut tx: Transaction, reply: Option<Slot>) -> State {
    tx.lines.sort_by_key(|(group, _)| *group);
    let lines = std::mem::take(&mut tx.lines);
    tx.state.transcript.extend(lines.into_iter().map(|(_, line)| format!("  {line}")));
    let state = &mut tx.state;
    for id in &tx.spawned {
        born(state, *id);
    }
    if let (Some(deferred), Some(slot)) = (tx.deferred, reply) {
        state.deferred.insert(deferred, (tx.entity, slot));
    }
    for staged in tx.staged {
        settle(state, staged);
    }
    if let Some(slot) = reply.filter(|_| tx.deferred.is_none()) {
        let outcome = tx.answer.unwrap_or_else(|| done(&[NULL]));
        state.resolve(slot, outcome);
    }
    for (entity, to, at) in tx.intents {
        state.transcript.push(format!("  enter {entity} {to:?}"));
        state.items.push_back(Item::Enter { entity, to, at });
    }
    for id in tx.doomed {
        state.transcript.push(format!("  destroy {id}"));
        doom(state, id);
    }
    tx.state
}

/// The first hooks of an entity that exists now.
pub(crate) fn born(state: &mut State, id: Id) {
    state.tell(id, Hook::Create, list(&[]));
    entered(state, id);
}

/// The hooks of a new member.
pub(crate) fn entered(state: &mut State, id: Id) {
    let Some(space) = state.entities.get(&id).and_then(|entity| entity.space).filter(|space| *space != id)
    else {
        return;
    };
    state.tell(space, Hook::MemberEnter, list(&[&id]));
    state.tell(id, Hook::EnterSpace, list(&[&space]));
}

/// The last hooks of an entity; a space's members go first.
pub(crate) fn doom(state: &mut State, id: Id) {
    let Some(entity) = state.entities.get_mut(&id) else { return };
    if std::mem::replace(&mut entity.dying, true) {
        return;
    }
    let space = entity.space;
    if space == Some(id) {
        state.members(id).into_iter().for_each(|member| doom(state, member));
    } else if let Some(space) = space {
        state.tell(space, Hook::MemberLeave, list(&[&id]));
        state.tell(id, Hook::LeaveSpace, list(&[&space]));
    }
    state.tell(id, Hook::Destroy, list(&[]));
    state.facts.push_back(Fact::Gone { entity: id });
}

/// Notes who takes an answer.
fn wait(state: &mut State, then: &Continuation, parts: Option<usize>) -> u64 {
    let deadline = state.now + u64::from(if then.deadline_ms == 0 { DEADLINE_MS } else { then.deadline_ms });
    let (owner, method, context) = (then.owner.into(), then.method, then.context.clone());
    let number = state.count();
    let parts = parts.map(|count| vec![None; count]);
    state.waiting.insert(number, Then { owner, method, context, deadline, parts });
    number
}

fn settle(state: &mut State, staged: Staged) {
    match staged {
        Staged::Call { mut call, then } => {
            state.transcript.push(format!("  message {} method {}", call.target, call.method));
            call.reply = then.map(|(then, part)| Slot { then: wait(state, &then, None), part });
            state.items.push_back(Item::Call(call));
        }
        Staged::Gather { parts, then } => {
            let number = wait(state, &then, Some(parts.len()));
            for (part, mut call) in parts.into_iter().enumerate() {
                state.transcript.push(format!("  message {} method {}", call.target, call.method));
                call.reply = Some(Slot { then: number, part });
                state.items.push_back(Item::Call(call));
            }
        }
        Staged::Create { id, type_index, args, space, then } => {
            state.transcript.push(format!("  create {id}"));
            let reply = Some(Slot { then: wait(state, &then, None), part: 0 });
            let at = Pose::default();
            state.items.push_back(Item::Create { id, type_index, args, space, at, reply, client: false });
        }
        Staged::Answer { deferred, outcome } => {
            if let Some((_, slot)) = state.deferred.remove(&deferred) {
                state.resolve(slot, outcome);
            }
        }
        Staged::Give { giver, taker, replace, then } => {
            let slot = Slot { then: wait(state, &then, None), part: 0 };
            clients::give(state, giver, taker, replace, slot);
        }
        Staged::Kick { entity } => clients::detach(state, entity, 1),
        Staged::ToMirrors { entity, to, method, args } => clients::call(state, entity, to, method, &args),
        Staged::Broadcast { filter, type_index, method, args } => {
            clients::broadcast(state, &filter, type_index, method, &args);
        }
        Staged::Store { request, then } => {
            let slot = Slot { then: wait(state, &then, None), part: 0 };
            let value = stored(state, request);
            state.resolve(slot, done(&value));
        }
    }
}

/// Does what the key-value store was asked; returns its answer as one item.
fn stored(state: &mut State, request: Store) -> Vec<u8> {
    let item = |value: Option<&Vec<u8>>| value.cloned().unwrap_or_else(|| vec![NULL]);
    let pair = |first: Vec<u8>, second: Vec<u8>| [vec![0x82], first, second].concat();
    let truth = |is: bool| vec![if is { 0xf5 } else { 0xf4 }];
    let store = &mut state.store;
    match request {
        Store::Get(key) => item(store.get(&key)),
        Store::Put(key, value) => {
            match value {
                Some(value) => store.insert(key, value),
                None => store.remove(&key),
            };
            vec![NULL]
        }
        Store::GetOrPut(key, value) => {
            let inserted = !store.contains_key(&key);
            let now = store.entry(key).or_insert(value);
            pair(item(Some(now)), truth(inserted))
        }
        Store::CompareAndSet(key, expected, value) => {
            let swapped = store.get(&key) == expected.as_ref();
            if swapped {
                match value {
                    Some(value) => store.insert(key.clone(), value),
                    None => store.remove(&key),
                };
            }
            pair(truth(swapped), item(store.get(&key)))
        }
        Store::Range(first, end, most) => {
            let within =
                store.range(first..).take_while(|(key, _)| end.is_empty() || key.as_bytes() < end.as_bytes());
            let rows: Vec<_> = within.take(most as usize).collect();
            let mut out = Vec::new();
            cbor::array(&mut out, rows.len());
            for (key, value) in rows {
                cbor::array(&mut out, 2);
                cbor::text(&mut out, key);
                out.extend_from_slice(value);
            }
            out
        }
    }
}

/// Takes an entity out of the world after its last hook.
pub(crate) fn remove(state: &mut State, id: Id) {
    clients::detach(state, id, 0);
    state.entities.remove(&id);
    state.sights.remove(&id);
    state.timers.retain(|_, timer| timer.owner != id);
    state.watches.retain(|_, watch| watch.owner != id);
    state.waiting.retain(|_, then| then.owner != id);
    let dropped: Vec<Id> =
        state.deferred.iter().filter(|(_, (owner, _))| *owner == id).map(|(id, _)| *id).collect();
    for deferred in dropped {
        if let Some((_, slot)) = state.deferred.remove(&deferred) {
            state.resolve(slot, super::state::failed(1, "dropped", &[]));
        }
    }
    fire_watches(state, id, 0);
    crate::module::forget(&[id.into()]);
}

/// Tells those who watch an entity.
pub(crate) fn fire_watches(state: &mut State, target: Id, reason: u32) {
    let fired: Vec<Id> =
        state.watches.iter().filter(|(_, watch)| watch.target == target).map(|(id, _)| *id).collect();
    for watch in fired {
        let queued = state
            .items
            .iter()
            .any(|item| matches!(item, Item::Watch { watch: known, .. } if *known == watch));
        if !queued {
            state.items.push_back(Item::Watch { watch, reason });
        }
    }
}

/// Tells those who watch what is not there.
pub(crate) fn fire_lost_watches(state: &mut State) {
    let targets: Vec<Id> = state.watches.values().map(|watch| watch.target).collect();
    targets
        .into_iter()
        .filter(|target| !state.entities.contains_key(target))
        .collect::<Vec<_>>()
        .into_iter()
        .for_each(|target| {
            fire_watches(state, target, 0);
        });
}

/// Moves an entity to another space, or tells it why not.
pub(crate) fn enter(state: &mut State, id: Id, to: Option<Id>, at: Pose) {
    let Some(Entity { space: from, dying: false, .. }) = state.entities.get(&id).cloned() else { return };
    let is_space = |space: Id| {
        let entity = state.entities.get(&space)?;
        Some(!entity.dying && state.kind_of(entity.type_index) == Some(TypeKind::Space))
    };
    if let Some(space) = to.filter(|space| is_space(*space) != Some(true)) {
        return state.tell(id, Hook::EnterFailed, list(&[&space, &"not-found".to_owned()]));
    }
    if let Some(from) = from {
        state.tell(from, Hook::MemberLeave, list(&[&id]));
        state.tell(id, Hook::LeaveSpace, list(&[&from]));
    }
    state.facts.push_back(Fact::Moved { entity: id, to, at });
}

/// The move itself, after the hooks of leaving.
pub(crate) fn moved(state: &mut State, id: Id, to: Option<Id>, at: Pose) {
    let order = state.count();
    let Some(entity) = state.entities.get_mut(&id) else { return };
    (entity.space, entity.pose, entity.order) = (to, at, order);
    crate::module::forget(&[id.into()]);
    entered(state, id);
}

/// The answer of a call whose deadline has passed.
pub(crate) fn expire(state: &mut State) {
    let now = state.now;
    let late: Vec<u64> =
        state.waiting.iter().filter(|(_, then)| then.deadline <= now).map(|(number, _)| *number).collect();
    for number in late {
        let parts =
            state.waiting.get(&number).and_then(|then| then.parts.as_ref().map(Vec::len)).unwrap_or(1);
        for part in 0..parts {
            state.resolve(Slot { then: number, part }, super::state::failed(1, "deadline", &[]));
        }
        state.deferred.retain(|_, (_, slot)| slot.then != number);
    }
}

/// The outcome of a handler that failed.
pub(crate) fn failure(error: &crate::failure::Error) -> Vec<u8> {
    use crate::failure::Error;
    let code = match error {
        Error::BadArguments(_) => "bad-arguments",
        Error::Limit(_) => "limit",
        _ => "failed",
    };
    not_run(code, &error.to_string())
}
