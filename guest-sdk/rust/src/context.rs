//! What a handler has besides its own struct: the clock, chance, timers, watches, the other
//! entities of its space. Requests take place when the handler is over, if it returns no
//! error; one that the host refuses (a limit, a request that makes no sense) undoes the event.

use std::any::TypeId;
use std::cell::{Cell, RefCell};
use std::ops::RangeBounds;
use std::rc::Rc;

use crate::bindings::exports::everwake::game::logic;
use crate::entity::{InModule, Snapshot};
use crate::failure::Error;
use crate::host;
use crate::id::{Id, Ref};
use crate::outcome::{Fired, Gone, Handler};
use crate::poison;
use crate::resident::{Loaded, LoaderOf, Residents, Taken};
use crate::rng::Rng;
use crate::types::{Pose, Time};
use crate::value::{Value, to_bytes};

/// Who asked for the running event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The host: a hook, a timer, a tick, an answer.
    Host,
    /// An entity or a service shard.
    Entity,
    /// The entity's own client.
    OwnClient,
    /// Another client that sees the entity.
    OtherClient,
    /// An operator.
    Operator,
}

/// The running event.
pub struct Context {
    pub(crate) residents: Box<Residents>,
    loader: LoaderOf,
    /// The entities at hand, the innermost last, with the index of their type.
    frames: Vec<(Id, u32)>,
    now: Time,
    origin: Origin,
    rng: Rng,
    /// The space of the event, once somebody asked.
    space: Cell<Option<Option<Id>>>,
    /// What a tick moved by id, which must not be undone by its moves by place.
    pub(crate) moved: RefCell<Vec<(Id, Pose)>>,
}

impl Context {
    pub(crate) fn new(event: &logic::Event, mut residents: Box<Residents>, loader: LoaderOf) -> Self {
        let mut frames = std::mem::take(&mut residents.frames);
        frames.clear();
        frames.push((event.entity.into(), event.type_index));
        Self {
            residents,
            loader,
            frames,
            now: Time(event.now as i64),
            origin: match event.origin {
                1 => Origin::Entity,
                2 => Origin::OwnClient,
                3 => Origin::OtherClient,
                4 => Origin::Operator,
                _ => Origin::Host,
            },
            space: Cell::default(),
            moved: RefCell::default(),
            rng: Rng::new([event.seed_a, event.seed_b, event.seed_c, event.seed_d]),
        }
    }

    /// Gives what outlives the event back.
    pub(crate) fn close(mut self) -> Box<Residents> {
        self.residents.frames = self.frames;
        self.residents
    }

    /// The id of the entity at hand: the innermost that a handler or [`with`](Self::with) borrowed.
    pub fn id(&self) -> Id {
        self.frames.last().map_or(Id::NIL, |(id, _)| *id)
    }

    /// A reference to the `T` at hand: `cx.me::<Self>()`.
    pub fn me<T: InModule>(&self) -> Ref<T> {
        Ref::new(self.owner::<T>())
    }

    /// The innermost borrowed entity of type `T`: who a handler of `T` will run for.
    pub(crate) fn owner<T: InModule>(&self) -> Id {
        match self.frames.iter().rev().find(|(_, type_index)| *type_index == T::INDEX) {
            Some((id, _)) => *id,
            None => {
                poison::set(Error::NotAllowed(format!("no {} is at hand here", T::NAME)));
                Id::NIL
            }
        }
    }

    /// When the event takes place. The same during the whole handler.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Who asked for the event.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The chance of this event.
    pub fn rng(&self) -> &Rng {
        &self.rng
    }

    /// A number of a range, by chance: `cx.roll(1..=6)`.
    pub fn roll(&self, range: impl RangeBounds<i64>) -> i64 {
        self.rng.range(range)
    }

    /// Starts a timer that fires once.
    pub fn after<E: InModule, C: Value>(
        &self,
        delay: std::time::Duration,
        handler: Handler<E, C, Fired>,
        context: C,
    ) -> TimerId {
        self.timer(delay).then(handler, context)
    }

    /// Starts a timer that fires again and again, first after one period.
    pub fn every<E: InModule, C: Value>(
        &self,
        period: std::time::Duration,
        handler: Handler<E, C, Fired>,
        context: C,
    ) -> TimerId {
        self.timer(period).every(period).then(handler, context)
    }

    /// Describes a timer; `.then(on!(..), context)` starts it.
    pub fn timer(&self, delay: std::time::Duration) -> Timer<'_> {
        Timer { cx: self, delay_ms: millis(delay), repeat_ms: 0.0, volatile: false }
    }

    /// Stops a timer of the entity at hand; one that is not there is no error.
    pub fn cancel(&self, timer: TimerId) {
        host::timers::cancel(self.id().into(), timer.0.into());
    }

    /// One event when `target` is destroyed, loses its client, sleeps, or its process dies.
    pub fn watch<E: InModule, C: Value>(
        &self,
        target: impl Into<Id>,
        handler: Handler<E, C, Gone>,
        context: C,
    ) -> WatchId {
        let owner = self.owner::<E>();
        let target: Id = target.into();
        match host::watches::watch(owner.into(), target.into(), handler.method, &to_bytes(&context)) {
            Ok(id) => WatchId(id.into()),
            Err(error) => {
                poison::set(error.into());
                WatchId(Id::NIL)
            }
        }
    }

    /// Ends a watch of the entity at hand; one that is not there is no error.
    pub fn unwatch(&self, watch: WatchId) {
        host::watches::unwatch(self.id().into(), watch.0.into());
    }

    /// Makes an entity in this space by its `new`. It may be called, stored and borrowed at
    /// once; it exists if this event is not undone.
    pub fn spawn<T: InModule>(&mut self, args: T::Args, at: impl Into<Pose>) -> Ref<T> {
        match T::construct(self, args) {
            Ok(entity) => self.spawn_as(entity, at),
            Err(error) => {
                poison::set(error);
                Ref::nil()
            }
        }
    }

    /// Makes an entity in this space from a struct.
    pub fn spawn_as<T: InModule>(&self, mut entity: T, at: impl Into<Pose>) -> Ref<T> {
        let mut attributes = Vec::with_capacity(64);
        entity.visit(&mut Snapshot { out: &mut attributes });
        match host::entities::spawn(T::INDEX, &attributes, at.into().into()) {
            Ok(id) => Ref::new(id.into()),
            Err(error) => {
                poison::set(error.into());
                Ref::nil()
            }
        }
    }

    /// Destroys an entity of this space when the handler is over.
    pub fn destroy(&self, entity: impl Into<Id>) {
        let entity: Id = entity.into();
        poison::check(host::entities::destroy(entity.into()));
    }

    /// Destroys the entity at hand when the handler is over.
    pub fn destroy_me(&self) {
        self.destroy(self.id());
    }

    /// Borrows another entity of this space, in the same transaction. [`Error::Busy`] if it
    /// is borrowed already, [`Error::NotFound`] if it is not in this space or not a `T`.
    pub fn with<T: InModule, R>(
        &mut self,
        who: Ref<T>,
        act: impl FnOnce(&mut T, &mut Self) -> R,
    ) -> Result<R, Error> {
        let id = who.id();
        self.borrowing(id, true, |cx, loaded: &mut Loaded<T>| {
            cx.frames.push((id, T::INDEX));
            let result = act(&mut loaded.entity, cx);
            cx.frames.pop();
            result
        })
    }

    /// Borrows two other entities of this space.
    pub fn with2<A: InModule, B: InModule, R>(
        &mut self,
        a: Ref<A>,
        b: Ref<B>,
        act: impl FnOnce(&mut A, &mut B, &mut Self) -> R,
    ) -> Result<R, Error> {
        self.with(a, |a, cx| cx.with(b, |b, cx| act(a, b, cx)))?
    }

    /// Reads another entity of this space, without a look for changes afterwards.
    pub fn read<T: InModule, R>(&mut self, who: Ref<T>, look: impl FnOnce(&T) -> R) -> Result<R, Error> {
        self.borrowing(who.id(), false, |_, loaded: &mut Loaded<T>| look(&loaded.entity))
    }

    /// Borrows the space that the event runs in: `cx.space(|room: &mut Room, cx| ..)`.
    pub fn space<T: InModule, R>(&mut self, act: impl FnOnce(&mut T, &mut Self) -> R) -> Result<R, Error> {
        let space = self.space_id().ok_or(Error::NotFound)?;
        self.with(Ref::new(space), act)
    }

    /// Something large that can be computed again, one for the space that the event runs in: a grid of
    /// its walls, a parsed table. `build` runs when there is none. It may vanish between any two events,
    /// and is neither stored nor sent; so `build` may only use what is always the same, and nothing
    /// notices when what it was built of changes. See also [`Cache`](crate::Cache), for one entity.
    pub fn space_cache<T: 'static>(&mut self, build: impl FnOnce() -> T) -> Rc<T> {
        let key = (self.space_id(), TypeId::of::<T>());
        if let Some(cached) = self.residents.caches.get(&key)
            && let Ok(cached) = Rc::clone(cached).downcast::<T>()
        {
            return cached;
        }
        let built = Rc::new(build());
        self.residents.caches.insert(key, built.clone());
        built
    }

    fn borrowing<T: InModule, R>(
        &mut self,
        id: Id,
        changes: bool,
        act: impl FnOnce(&mut Self, &mut Loaded<T>) -> R,
    ) -> Result<R, Error> {
        let space = match self.space.get() {
            Some(space) => space,
            None => self.space_id(),
        };
        self.space.set(Some(space));
        let taken = self.residents.take_other(id, (space, changes), self.loader)?;
        let Taken { loaded: mut resident, type_index, place } = taken;
        let result = match resident.as_any().downcast_mut::<Loaded<T>>() {
            Some(loaded) if type_index == T::INDEX => Ok(act(self, loaded)),
            _ => Err(Error::NotFound),
        };
        self.residents.put(place, resident);
        result
    }

    pub(crate) fn take_own(&mut self, id: Id, revision: u32) -> Result<Taken, Error> {
        self.residents.take_own(id, revision, self.loader)
    }

    pub(crate) fn push_frame(&mut self, id: Id, type_index: u32) {
        self.frames.push((id, type_index));
    }

    pub(crate) fn pop_frame(&mut self) {
        self.frames.pop();
    }
}

fn millis(duration: std::time::Duration) -> f64 {
    duration.as_millis() as f64
}

/// A timer about to be started; [`then`](Self::then) does it.
#[must_use = "the timer is not started until `.then(on!(..), context)`"]
pub struct Timer<'a> {
    cx: &'a Context,
    delay_ms: f64,
    repeat_ms: f64,
    volatile: bool,
}

impl Timer<'_> {
    /// Fires again every `period`.
    pub fn every(mut self, period: std::time::Duration) -> Self {
        self.repeat_ms = millis(period);
        self
    }

    /// Is never stored, though its entity may be.
    pub fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// Starts it.
    pub fn then<E: InModule, C: Value>(self, handler: Handler<E, C, Fired>, context: C) -> TimerId {
        let owner = self.cx.owner::<E>();
        let context = to_bytes(&context);
        match host::timers::start(
            owner.into(),
            handler.method,
            &context,
            self.delay_ms,
            self.repeat_ms,
            self.volatile,
        ) {
            Ok(id) => TimerId(id.into()),
            Err(error) => {
                poison::set(error.into());
                TimerId(Id::NIL)
            }
        }
    }
}

macro_rules! named_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub(crate) Id);

        impl Value for $name {
            fn type_text(definitions: &mut crate::manifest::Definitions) -> String {
                Id::type_text(definitions)
            }

            fn initial() -> Self {
                Self::default()
            }

            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }

            fn decode(reader: &mut crate::cbor::Reader<'_>) -> Result<Self, crate::cbor::Malformed> {
                Id::decode(reader).map(Self)
            }
        }

        impl crate::attribute::Attribute for $name {}
    )*};
}

named_ids! {
    /// Names a timer, to stop it. May be stored.
    TimerId;
    /// Names a watch, to end it. May be stored.
    WatchId;
}
