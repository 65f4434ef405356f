//! Clients of a mock world: who sees whom, and what each was called with.

use std::collections::{BTreeMap, BTreeSet};

use super::settle::fire_watches;
use super::state::{Client, Hook, Slot, State, done, list, not_run};
use crate::bindings::everwake::game::clients::{Audience, Comparison};
use crate::cbor::NULL;
use crate::clients::ClientInfo;
use crate::id::Id;
use crate::value::{Value, from_bytes};

/// An entity leaves sight this much farther away than it came into it.
const HYSTERESIS: f32 = 1.1;

/// A method that was called on a client.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientCall {
    /// The entity on whose mirror it was called.
    pub on: Id,
    /// The method.
    pub method: String,
    args: Vec<u8>,
}

impl ClientCall {
    /// The arguments, as a tuple: `call.args::<(String, u32)>()`.
    pub fn args<T: Value>(&self) -> T {
        from_bytes(&self.args).unwrap_or_else(|bad| panic!("arguments of `{}`: {bad}", self.method))
    }
}

/// Gives an entity a new client.
pub(super) fn attach(state: &mut State, id: Id) {
    detach(state, id, 3);
    let session = state.mint();
    let Some(entity) = state.entities.get_mut(&id) else { panic!("no entity {id}") };
    let (address, locale) = ("mock".to_owned(), "en".to_owned());
    let info = ClientInfo {
        session,
        address,
        token: String::new(),
        version: String::new(),
        locale,
        round_trip_ms: 0.0,
    };
    entity.client = Some(Client { info, filters: BTreeMap::new() });
    state.tell(id, Hook::Client, list(&[]));
}

/// Takes an entity's client away.
pub(super) fn detach(state: &mut State, id: Id, reason: u32) {
    let client = state.entities.get_mut(&id).and_then(|entity| entity.client.take());
    if client.is_some() {
        state.tell(id, Hook::ClientLost, list(&[&reason]));
        fire_watches(state, id, 1);
    }
}

pub(super) fn give(state: &mut State, giver: Id, taker: Id, replace: bool, slot: Slot) {
    let possible =
        state.entities.get(&taker).is_some_and(|taker| !taker.dying && (replace || taker.client.is_none()));
    let client = state.entities.get_mut(&giver).filter(|_| possible).and_then(|giver| giver.client.take());
    let Some(mut client) = client else {
        state.tell(giver, Hook::GiveFailed, list(&[&taker, &"unavailable".to_owned()]));
        return state.resolve(slot, not_run("unavailable", ""));
    };
    client.filters.clear();
    state.tell(giver, Hook::ClientLost, list(&[&2u32]));
    fire_watches(state, giver, 1);
    detach(state, taker, 3);
    if let Some(taker) = state.entities.get_mut(&taker) {
        taker.client = Some(client);
    }
    state.tell(taker, Hook::Client, list(&[]));
    state.resolve(slot, done(&[NULL]));
}

/// Calls a client method on an entity's mirrors.
pub(super) fn call(state: &mut State, id: Id, to: Audience, method: u32, args: &[u8]) {
    let Some(name) = method_name(state, id, method) else { return };
    let viewers: Vec<Id> =
        state.entities.iter().filter(|(_, entity)| entity.client.is_some()).map(|(id, _)| *id).collect();
    for viewer in viewers {
        let own = viewer == id;
        let wanted = match to {
            Audience::OwnClient => own,
            Audience::AllClients => sees(state, viewer, id),
            Audience::OtherClients => !own && sees(state, viewer, id),
        };
        if wanted {
            receive(state, viewer, id, &name, args);
        }
    }
}

/// Whether the client of `viewer` has a mirror of `id`.
pub(super) fn sees(state: &State, viewer: Id, id: Id) -> bool {
    let space = state.entities.get(&viewer).and_then(|viewer| viewer.space);
    viewer == id || space == Some(id) || state.sights.get(&viewer).is_some_and(|seen| seen.contains(&id))
}

fn method_name(state: &State, id: Id, method: u32) -> Option<String> {
    let about = state.type_of(state.entities.get(&id)?.type_index)?;
    about.client_methods.get(method as usize).map(|method| method.name.clone())
}

fn receive(state: &mut State, viewer: Id, on: Id, method: &str, args: &[u8]) {
    state.transcript.push(format!("  client {viewer} on {on} {method}"));
    let call = ClientCall { on, method: method.to_owned(), args: args.to_vec() };
    state.received.entry(viewer).or_default().push(call);
}

/// Calls a client method on the own entity of every client that the filter selects.
pub(super) fn broadcast(
    state: &mut State,
    (key, compare, value): &(String, Comparison, String),
    type_index: u32,
    method: u32,
    args: &[u8],
) {
    let selected = |client: &Client| {
        let Some(text) = client.filters.get(key) else { return key.is_empty() };
        let order = text.as_bytes().cmp(value.as_bytes());
        match compare {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }
    };
    let all = state.entities.iter();
    let chosen = all.filter(|(_, entity)| {
        entity.type_index == type_index && entity.client.as_ref().is_some_and(selected)
    });
    let viewers: Vec<Id> = chosen.map(|(id, _)| *id).collect();
    for viewer in viewers {
        if let Some(name) = method_name(state, viewer, method) {
            receive(state, viewer, viewer, &name, args);
        }
    }
}

/// Looks again who is near whom, and tells what is different.
pub(super) fn look(state: &mut State) {
    let observers: Vec<Id> = state.entities.keys().copied().collect();
    let mut watched = BTreeSet::new();
    for observer in observers {
        let before = state.sights.remove(&observer).unwrap_or_default();
        let seen = sight(state, observer, &before);
        for id in seen.difference(&before) {
            state.tell(observer, Hook::EnterAoi, list(&[id]));
        }
        for id in before.difference(&seen) {
            state.tell(observer, Hook::LeaveAoi, list(&[id]));
        }
        if let Some(entity) = state.entities.get(&observer).filter(|entity| entity.client.is_some()) {
            watched.insert(observer);
            watched.extend(entity.space);
            watched.extend(&seen);
        }
        if !seen.is_empty() {
            state.sights.insert(observer, seen);
        }
    }
    let before = std::mem::replace(&mut state.watched, watched.clone());
    watched.difference(&before).for_each(|id| state.tell(*id, Hook::Watched, list(&[])));
    before.difference(&watched).for_each(|id| state.tell(*id, Hook::Unwatched, list(&[])));
}

fn sight(state: &State, observer: Id, before: &BTreeSet<Id>) -> BTreeSet<Id> {
    let Some(me) = state.entities.get(&observer) else { return BTreeSet::new() };
    let radius = state.type_of(me.type_index).and_then(|about| about.aoi_radius);
    let (Some(space), Some(radius)) = (me.space, radius) else { return BTreeSet::new() };
    let near = |id: &Id| {
        let Some(other) = state.entities.get(id) else { return false };
        let reach = if before.contains(id) { radius * HYSTERESIS } else { radius };
        let (x, z) = (other.pose.x - me.pose.x, other.pose.z - me.pose.z);
        *id != observer && x * x + z * z <= reach * reach && me.layers.0 & other.layers.1 != 0
    };
    state.members(space).into_iter().filter(near).collect()
}
