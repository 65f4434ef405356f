//! What a test holds of a mock world.

use std::cell::Cell;
use std::marker::PhantomData;
use std::time::Duration;

use super::clients::{ClientCall, attach, detach};
use super::deliver;
use super::settle;
use super::state::{Call as Message, Hook, Item, Slot, State, Then, list};
use crate::bindings::everwake::game::manifests::TypeKind;
use crate::calls::Call;
use crate::cbor::Reader;
use crate::context::Context;
use crate::entity::{InModule, Service, load};
use crate::failure::{Error, Fail};
use crate::id::{Id, Ref};
use crate::module::{Module, describe_module, forget_all};
use crate::outcome::{CallError, Outcome};
use crate::types::{Pose, Time};
use crate::value::{Value, from_bytes};

const DEADLINE_MS: u64 = 5_000;

thread_local! {
    /// Whose entities the module holds.
    static HELD: Cell<u64> = const { Cell::new(0) };
}

/// A world of one module, its clock, and its clients. Everything that is asked of it is over
/// when the method returns: messages, hooks and answers included.
pub struct World<M> {
    state: State,
    serial: u64,
    module: PhantomData<M>,
}

impl<M: Module> Default for World<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Module> World<M> {
    /// A world with the services of the module, and nobody in it.
    pub fn new() -> Self {
        let serial = HELD.get().wrapping_add(1);
        let mut world = Self { state: State::new(describe_module::<M>()), serial, module: PhantomData };
        let manifest = std::rc::Rc::clone(&world.state.manifest);
        for (type_index, about) in
            manifest.types.iter().enumerate().filter(|(_, about)| about.kind == TypeKind::Service)
        {
            for shard in 0..about.shards {
                let (id, type_index) = (world.state.mint(), type_index as u32);
                world.state.shards.insert((type_index, shard), id);
                world.state.items.push_back(deliver::creation(
                    id,
                    type_index,
                    vec![0x80],
                    None,
                    Pose::default(),
                    false,
                ));
            }
        }
        world.run();
        world
    }

    /// The same with other luck.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.state.seed = seed;
        self
    }

    /// From now on the module forgets everything after each event, as a fresh instance would.
    /// Nothing may behave differently.
    pub fn with_drops(mut self) -> Self {
        self.state.drops = true;
        self
    }

    /// Makes an entity outside of spaces, or a space, by its `new`.
    pub fn create<T: InModule>(&mut self, args: T::Args) -> Ref<T> {
        self.make::<T>(&args, None, Pose::default(), false)
    }

    /// Makes an entity in a space by its `new`.
    pub fn create_in<T: InModule>(
        &mut self,
        space: impl Into<Id>,
        args: T::Args,
        at: impl Into<Pose>,
    ) -> Ref<T> {
        self.make::<T>(&args, Some(space.into()), at.into(), false)
    }

    /// A client connects: makes an entity of the boot type, and gives it the client.
    pub fn connect<T: InModule>(&mut self) -> Ref<T> {
        assert!(T::ABOUT.boot, "{} is not the boot type: `#[entity(boot)]`", T::NAME);
        let id = self.make_raw::<T>(vec![0x80], None, Pose::default(), true);
        Ref::new(id)
    }

    fn make<T: InModule>(&mut self, args: &T::Args, space: Option<Id>, at: Pose, client: bool) -> Ref<T> {
        let mut written = Vec::new();
        T::write_args(args, &mut written);
        Ref::new(self.make_raw::<T>(written, space, at, client))
    }

    fn make_raw<T: InModule>(&mut self, args: Vec<u8>, space: Option<Id>, at: Pose, client: bool) -> Id {
        let id = self.state.mint();
        self.state.items.push_back(deliver::creation(id, T::INDEX, args, space, at, client));
        self.run();
        assert!(self.exists(id), "making a {} failed:\n{}", T::NAME, self.state.transcript.join("\n"));
        id
    }

    /// A shard of a service.
    pub fn shard<T: Service>(&self, number: u32) -> Ref<T> {
        let id = self.state.shards.get(&(T::INDEX, number));
        Ref::new(*id.unwrap_or_else(|| panic!("{} has no shard {number}", T::NAME)))
    }

    /// Gives an entity a client.
    pub fn attach(&mut self, who: impl Into<Id>) {
        attach(&mut self.state, who.into());
        self.run();
    }

    /// Closes an entity's client.
    pub fn disconnect(&mut self, who: impl Into<Id>) {
        detach(&mut self.state, who.into(), 0);
        self.run();
    }

    /// Calls a method as the host.
    pub fn call<R: Value>(&mut self, call: Call<R>) -> Result<R, CallError> {
        self.call_from(call, 0, None)
    }

    /// Calls a method as the entity's own client.
    pub fn client_call<R: Value>(&mut self, call: Call<R>) -> Result<R, CallError> {
        let target = call.target();
        let has_client = self.state.entities.get(&target).is_some_and(|entity| entity.client.is_some());
        assert!(has_client, "{target} has no client: `World::attach`");
        self.call_from(call, 2, Some(target))
    }

    /// Calls a method as the client of another entity.
    pub fn client_call_by<R: Value>(&mut self, viewer: impl Into<Id>, call: Call<R>) -> Result<R, CallError> {
        self.call_from(call, 3, Some(viewer.into()))
    }

    /// Calls a method as an operator.
    pub fn operator_call<R: Value>(&mut self, call: Call<R>) -> Result<R, CallError> {
        self.call_from(call, 4, None)
    }

    fn call_from<R: Value>(
        &mut self,
        call: Call<R>,
        origin: u32,
        caller: Option<Id>,
    ) -> Result<R, CallError> {
        let ticket = self.start(call, origin, caller);
        if !self.state.answers.contains_key(&ticket) {
            // The answer was taken over: wait for it like a caller.
            self.advance_until(self.state.now + DEADLINE_MS, Some(ticket));
        }
        let outcome = self.state.answers.remove(&ticket);
        let outcome = outcome.unwrap_or_else(|| panic!("a call was not answered"));
        let mut reader = Reader::new(&outcome);
        <Result<R, CallError>>::decode(&mut reader)
            .unwrap_or_else(|bad| panic!("the answer of a call: {bad}"))
    }

    fn start<R>(&mut self, call: Call<R>, origin: u32, caller: Option<Id>) -> u64 {
        let (target, type_index, method, args) = call.into_parts();
        let ticket = self.state.count();
        let deadline = self.state.now + DEADLINE_MS;
        let then = Then { owner: Id::NIL, method: 0, context: Vec::new(), deadline, parts: None };
        self.state.waiting.insert(ticket, then);
        let reply = Some(Slot { then: ticket, part: 0 });
        let message = Message { target, type_index, method, args, origin, caller, reply, bounce: None };
        self.state.items.push_back(Item::Call(message));
        self.run();
        ticket
    }

    /// Runs `act` like a handler of an entity: an error undoes all it did.
    pub fn act<T: InModule, R, E: Into<Fail>>(
        &mut self,
        who: Ref<T>,
        act: impl FnOnce(&mut T, &mut Context) -> Result<R, E>,
    ) -> Result<R, Fail> {
        self.claim();
        let mut failed = None;
        let result = deliver::act::<M, R>(&mut self.state, who.id(), |cx| {
            cx.with(who, act)?.map_err(|error| {
                let fail: Fail = error.into();
                let text = fail.text().to_owned();
                failed = Some(fail);
                Error::Refused(text)
            })
        });
        self.run();
        result.map_err(|error| failed.unwrap_or_else(|| Fail::new(error)))
    }

    /// Lets time pass: timers, ticks and deadlines.
    pub fn advance(&mut self, time: Duration) {
        let end = self.state.now + u64::try_from(time.as_millis()).unwrap_or(0);
        self.advance_until(end, None);
    }

    fn advance_until(&mut self, end: u64, ticket: Option<u64>) {
        self.start_ticks();
        while let Some(next) = self.next_moment().filter(|next| *next <= end) {
            self.state.now = next.max(self.state.now);
            self.fire();
            settle::expire(&mut self.state);
            self.run();
            self.start_ticks();
            if ticket.is_some_and(|ticket| self.state.answers.contains_key(&ticket)) {
                return;
            }
        }
        self.state.now = end;
    }

    fn next_moment(&self) -> Option<u64> {
        let timers = self.state.timers.values().map(|timer| timer.next);
        let deadlines = self.state.waiting.values().map(|then| then.deadline);
        let ticks = self.state.next_tick.values().copied();
        timers.chain(deadlines).chain(ticks).min()
    }

    /// Queues the timers and ticks that are due.
    fn fire(&mut self) {
        let now = self.state.now;
        let mut due: Vec<(u64, Id)> = Vec::new();
        for (id, timer) in &mut self.state.timers {
            if timer.next <= now {
                due.push((timer.next, *id));
                timer.next = if timer.repeat == 0 { u64::MAX } else { timer.next + timer.repeat };
            }
        }
        due.sort_unstable();
        self.state.items.extend(due.into_iter().map(|(_, timer)| Item::Timer { timer, missed: 0 }));
        let manifest = std::rc::Rc::clone(&self.state.manifest);
        for ((space, type_index), next) in &mut self.state.next_tick {
            let rate = manifest
                .types
                .get(*type_index as usize)
                .map_or(1.0, |about| f64::from(about.ticks_per_second));
            if *next <= now {
                *next += (1_000.0 / rate).round().max(1.0) as u64;
                self.state.items.push_back(Item::Tick { space: *space, type_index: *type_index });
            }
        }
    }

    /// Types begin to tick with their first member in a space, and end with their last; services with
    /// their first moment.
    fn start_ticks(&mut self) {
        let state = &mut self.state;
        let mut ticking = std::collections::BTreeSet::new();
        for (id, entity) in &state.entities {
            let rate = state.type_of(entity.type_index).map_or(0.0, |about| about.ticks_per_second);
            // A service shard ticks itself, members of a space in it.
            let home = match state.kind_of(entity.type_index) {
                Some(TypeKind::Service) => Some(*id),
                _ => entity.space.filter(|space| space != id),
            };
            if let (Some(home), true) = (home, rate > 0.0) {
                ticking.insert((home, entity.type_index));
            }
        }
        state.next_tick.retain(|key, _| ticking.contains(key));
        for key in ticking {
            let rate = state.type_of(key.1).map_or(1.0, |about| f64::from(about.ticks_per_second));
            let step = (1_000.0 / rate).round().max(1.0) as u64;
            let next = state.now + step;
            state.next_tick.entry(key).or_insert(next);
        }
    }

    /// A new version takes over: the module forgets everything, and entities get `on_swapped`.
    pub fn swap(&mut self, from: &str, to: &str) {
        forget_all();
        let all: Vec<Id> = self.state.entities.keys().copied().collect();
        for id in all {
            self.state.tell(id, Hook::Swapped, list(&[&from.to_owned(), &to.to_owned()]));
        }
        self.run();
    }

    /// The attributes of an entity, as the host has them.
    pub fn get<T: InModule>(&self, who: Ref<T>) -> T {
        self.try_get(who).unwrap_or_else(|| panic!("{who:?} does not exist"))
    }

    /// The attributes of an entity, if it exists.
    pub fn try_get<T: InModule>(&self, who: Ref<T>) -> Option<T> {
        let entity = self.state.entities.get(&who.id())?;
        assert_eq!(entity.type_index, T::INDEX, "{who:?} is of another type");
        load(&entity.attributes.write()).ok()
    }

    /// Whether an entity exists.
    pub fn exists(&self, who: impl Into<Id>) -> bool {
        self.state.entities.contains_key(&who.into())
    }

    /// The space that an entity is in.
    pub fn space_of(&self, who: impl Into<Id>) -> Option<Id> {
        self.state.entities.get(&who.into()).and_then(|entity| entity.space)
    }

    /// Where an entity stands.
    pub fn pose_of(&self, who: impl Into<Id>) -> Pose {
        self.state.entities.get(&who.into()).map(|entity| entity.pose).unwrap_or_default()
    }

    /// Whether an entity has a client.
    pub fn has_client(&self, who: impl Into<Id>) -> bool {
        self.state.entities.get(&who.into()).is_some_and(|entity| entity.client.is_some())
    }

    /// What the client of an entity was called with since the last time.
    pub fn received(&mut self, who: impl Into<Id>) -> Vec<ClientCall> {
        self.state.received.remove(&who.into()).unwrap_or_default()
    }

    /// What the key-value store has under a key.
    pub fn stored<T: Value>(&self, key: &str) -> Option<T> {
        self.state.store.get(key).and_then(|value| from_bytes(value).ok())
    }

    /// Puts something into the key-value store.
    pub fn store<T: Value>(&mut self, key: &str, value: &T) {
        self.state.store.insert(key.into(), crate::value::to_bytes(value));
    }

    /// The time.
    pub fn now(&self) -> Time {
        Time(self.state.now as i64)
    }

    /// Every event and effect so far, a line each, in the order they took place.
    pub fn transcript(&self) -> &[String] {
        &self.state.transcript
    }

    fn run(&mut self) {
        self.claim();
        deliver::run::<M>(&mut self.state);
    }

    /// What the module holds is of this world from now on.
    fn claim(&mut self) {
        if HELD.replace(self.serial) != self.serial {
            forget_all();
        }
    }
}
