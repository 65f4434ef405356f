//! From the mailbox of a mock world to an event of the module.

use super::clients::{look, sees};
use super::settle::{self, born, commit};
use super::state::{Call, Fact, Hook, Item, State, failed, list, not_run};
use super::transaction::{self, Transaction};
use crate::bindings::everwake::game::manifests::{Exposure, TypeKind};
use crate::bindings::exports::everwake::game::logic::{Event, EventKind};
use crate::cbor;
use crate::failure::Error;
use crate::id::Id;
use crate::module::{Module, handle};
use crate::types::Pose;

/// Members of a tick that may fail one after the other before the tick is given up.
const TICK_ATTEMPTS: usize = 1_000;

/// One event about to run.
struct Delivery {
    kind: EventKind,
    entity: Id,
    method: u32,
    origin: u32,
    caller: Option<Id>,
    args: Vec<u8>,
    reply: Option<super::state::Slot>,
    due: Option<(u32, Vec<Id>)>,
}

impl Delivery {
    fn new(kind: EventKind, entity: Id, method: u32, args: Vec<u8>) -> Self {
        Self { kind, entity, method, origin: 0, caller: None, args, reply: None, due: None }
    }
}

/// Delivers what waits until nothing does.
pub(super) fn run<M: Module>(state: &mut State) {
    loop {
        if let Some(fact) = state.facts.pop_front() {
            take_fact::<M>(state, fact);
        } else if let Some(item) = state.items.pop_front() {
            take_item::<M>(state, item);
        } else {
            return;
        }
        look(state);
        settle::fire_lost_watches(state);
    }
}

fn take_fact<M: Module>(state: &mut State, fact: Fact) {
    match fact {
        Fact::Hook { entity, hook, args } => {
            deliver::<M>(state, Delivery::new(EventKind::Hook, entity, hook as u32, args));
        }
        Fact::Moved { entity, to, at } => settle::moved(state, entity, to, at),
        Fact::Gone { entity } => settle::remove(state, entity),
    }
}

fn take_item<M: Module>(state: &mut State, item: Item) {
    match item {
        Item::Call(call) => take_call::<M>(state, call),
        Item::Resume { owner, method, context, outcome } => {
            resume::<M>(state, owner, method, &context, &outcome)
        }
        Item::Watch { watch, reason } => {
            let Some(watch) = state.watches.remove(&watch) else { return };
            let mut outcome = vec![0x82, 0];
            cbor::unsigned(&mut outcome, u64::from(reason));
            resume::<M>(state, watch.owner, watch.method, &watch.context, &outcome);
        }
        Item::Timer { timer, missed } => {
            let Some(timer) = fired(state, timer) else { return };
            let mut args = timer.context;
            cbor::unsigned(&mut args, u64::from(missed));
            deliver::<M>(state, Delivery::new(EventKind::Timer, timer.owner, timer.method, args));
        }
        Item::Create { .. } => create::<M>(state, item),
        Item::Tick { space, type_index } => tick::<M>(state, space, type_index),
        Item::Enter { entity, to, at } => settle::enter(state, entity, to, at),
    }
}

/// A timer that is still there; one that does not repeat is then gone.
fn fired(state: &mut State, id: Id) -> Option<super::state::Timer> {
    let timer = state.timers.get_mut(&id)?;
    let fired = timer.clone();
    if timer.repeat == 0 {
        state.timers.remove(&id);
    }
    Some(fired)
}

fn resume<M: Module>(state: &mut State, owner: Id, method: u32, context: &[u8], outcome: &[u8]) {
    let args = [context, outcome].concat();
    deliver::<M>(state, Delivery::new(EventKind::Resume, owner, method, args));
}

fn take_call<M: Module>(state: &mut State, call: Call) {
    if let Err(code) = allowed(state, &call) {
        if let Some(slot) = call.reply {
            state.resolve(slot, not_run(code, ""));
        }
        if let Some((owner, method, context)) = call.bounce {
            state.items.push_back(Item::Resume { owner, method, context, outcome: not_run(code, "") });
        }
        return;
    }
    let delivery = Delivery {
        origin: call.origin,
        caller: call.caller,
        reply: call.reply,
        ..Delivery::new(EventKind::Call, call.target, call.method, call.args)
    };
    deliver::<M>(state, delivery);
}

/// Default deny: who may call this method of this entity.
fn allowed(state: &State, call: &Call) -> Result<(), &'static str> {
    let target = state.entities.get(&call.target).filter(|entity| !entity.dying).ok_or("gone")?;
    let about = state.type_of(target.type_index).filter(|_| target.type_index == call.type_index);
    let method = about.and_then(|about| about.methods.get(call.method as usize)).ok_or("no-such-method")?;
    let allowed = match (call.origin, method.exposure) {
        (0, _) => true,
        (4, exposure) => exposure != Exposure::Internal,
        (1, Exposure::Server | Exposure::OwnClient | Exposure::AllClients) => true,
        (1, Exposure::Internal) => call.caller == Some(call.target),
        (2, Exposure::OwnClient | Exposure::AllClients) => true,
        (3, Exposure::AllClients) => call.caller.is_some_and(|viewer| sees(state, viewer, call.target)),
        _ => false,
    };
    if allowed { Ok(()) } else { Err("not-exposed") }
}

fn create<M: Module>(state: &mut State, item: Item) {
    let Item::Create { id, type_index, args, space, at, reply, client } = item else { return };
    let missing = space.filter(|space| state.entities.get(space).is_none_or(|space| space.dying));
    let backup = state.clone();
    state.insert(id, type_index, space, at);
    let about = state.type_of(type_index);
    let constructs = about.is_some_and(|about| about.hooks.contains(&(Hook::Construct as u32)));
    let failure = match missing {
        Some(_) => Some("no such space".to_owned()),
        None if constructs => {
            let construct = Delivery::new(EventKind::Hook, id, Hook::Construct as u32, args);
            event::<M>(state, construct).err().map(|error| error.to_string())
        }
        None => None,
    };
    if let Some(why) = failure {
        let transcript = std::mem::take(&mut state.transcript);
        *state = State { transcript, ..backup };
        crate::module::forget(&[id.into()]);
        if let Some(slot) = reply {
            state.resolve(slot, not_run("create-failed", &why));
        }
        return;
    }
    born(state, id);
    if client {
        super::clients::attach(state, id);
    }
    if matches!(state.kind_of(type_index), Some(TypeKind::Space | TypeKind::Service)) {
        state.tell(id, Hook::Ready, list(&[]));
    }
    if let Some(slot) = reply {
        let mut outcome = vec![0x82, 0];
        crate::value::Value::encode(&id, &mut outcome);
        state.resolve(slot, outcome);
    }
}

/// Runs the tick of a type; a member that fails is left out, and the others run again.
fn tick<M: Module>(state: &mut State, space: Id, type_index: u32) {
    let Some(about) = state.type_of(type_index) else { return };
    let (sleeps, step) = (about.sleeps_unwatched, 1_000.0 / f64::from(about.ticks_per_second));
    let is_due = |id: &Id| {
        let member = state.entities.get(id);
        member.is_some_and(|member| {
            member.type_index == type_index && !member.dying && (!sleeps || state.watched.contains(id))
        })
    };
    let members = match state.kind_of(type_index) {
        Some(TypeKind::Service) => vec![space],
        _ => state.members(space),
    };
    let mut due: Vec<Id> = members.into_iter().filter(is_due).collect();
    for _ in 0..TICK_ATTEMPTS {
        if due.is_empty() {
            return;
        }
        let mut args = Vec::new();
        crate::value::Value::encode(&(step, 0.0), &mut args);
        let delivery = Delivery {
            due: Some((type_index, due.clone())),
            ..Delivery::new(EventKind::Tick, space, 0, args)
        };
        match event::<M>(state, delivery) {
            Ok(()) => return,
            Err(_) => match transaction::worked_on().filter(|at| *at < due.len()) {
                Some(at) => drop(due.remove(at)),
                None => return,
            },
        }
    }
}

/// Runs one event. If it fails it is undone, whoever waits is told, and the world goes on.
fn deliver<M: Module>(state: &mut State, delivery: Delivery) {
    let _undone = event::<M>(state, delivery).is_err();
}

/// Runs one event by the exports of the module; commits or undoes it.
fn event<M: Module>(state: &mut State, delivery: Delivery) -> Result<(), Error> {
    let Some(entity) = state.entities.get(&delivery.entity) else { return Err(Error::NotFound) };
    let type_index = delivery.due.as_ref().map_or(entity.type_index, |(type_index, _)| *type_index);
    let [seed_a, seed_b, seed_c, seed_d] = state.draw();
    let Some(entity) = state.entities.get(&delivery.entity) else { return Err(Error::NotFound) };
    let event = Event {
        kind: delivery.kind,
        entity: delivery.entity.into(),
        type_index,
        method: delivery.method,
        origin: delivery.origin,
        revision: entity.revision,
        now: state.now as f64,
        seed_a,
        seed_b,
        seed_c,
        seed_d,
        args: delivery.args.clone(),
    };
    let line = format!("{:?} {} method {}", delivery.kind, delivery.entity, delivery.method);
    state.transcript.push(line);
    let mut open = Transaction::new(state.clone(), delivery.entity);
    open.caller = delivery.caller;
    open.is_call = delivery.kind == EventKind::Call;
    open.due = delivery.due.map(|(_, due)| due);
    let (transaction, result) = transaction::open(open, || handle::<M>(event));
    let (error, outcome) = match result {
        Ok(Ok(())) => {
            settled::<M>(state, transaction, delivery.reply);
            return Ok(());
        }
        Ok(Err(error)) => {
            let error = Error::from(error);
            let outcome = settle::failure(&error);
            (error, outcome)
        }
        Err(_) => {
            crate::module::forget_all();
            (Error::Other("trapped".into()), failed(0, "trapped", &[]))
        }
    };
    state.transcript.push(format!("  undone: {error}"));
    if let Some(slot) = delivery.reply {
        state.resolve(slot, outcome);
    }
    Err(error)
}

/// An event went well: the world is what it made of it.
fn settled<M: Module>(state: &mut State, transaction: Transaction, reply: Option<super::state::Slot>) {
    check_snapshots::<M>(&transaction);
    *state = commit(transaction, reply);
    if state.drops {
        crate::module::forget_all();
    }
}

/// What the module holds must be what the host has.
fn check_snapshots<M: Module>(transaction: &Transaction) {
    for (id, entity) in &transaction.state.entities {
        if let Some(held) = crate::module::snapshot((*id).into()) {
            assert_eq!(
                held,
                entity.attributes.write(),
                "the struct of {id} of {} is not what the host has",
                M::NAME
            );
        }
    }
}

/// Runs `act` as a handler of an entity; an error undoes it.
pub(super) fn act<M: Module, R>(
    state: &mut State,
    entity: Id,
    act: impl FnOnce(&mut crate::context::Context) -> Result<R, Error>,
) -> Result<R, Error> {
    let Some(about) = state.entities.get(&entity) else { return Err(Error::NotFound) };
    let (type_index, revision) = (about.type_index, about.revision);
    let [seed_a, seed_b, seed_c, seed_d] = state.draw();
    let event = Event {
        kind: EventKind::Call,
        entity: entity.into(),
        type_index,
        method: 0,
        origin: 0,
        revision,
        now: state.now as f64,
        seed_a,
        seed_b,
        seed_c,
        seed_d,
        args: vec![0x80],
    };
    state.transcript.push(format!("Act {entity}"));
    let open = Transaction::new(state.clone(), entity);
    let (transaction, result) = transaction::open(open, || crate::module::handle_with::<M, R>(&event, act));
    match result {
        Ok(Ok(value)) => {
            settled::<M>(state, transaction, None);
            Ok(value)
        }
        Ok(Err(error)) => {
            state.transcript.push(format!("  undone: {error}"));
            Err(error)
        }
        Err(panic) => {
            crate::module::forget_all();
            std::panic::resume_unwind(panic)
        }
    }
}

/// An item that makes an entity, for the test.
pub(super) fn creation(
    id: Id,
    type_index: u32,
    args: Vec<u8>,
    space: Option<Id>,
    at: Pose,
    client: bool,
) -> Item {
    Item::Create { id, type_index, args, space, at, reply: None, client }
}
