//! Calls as values, and the ways in which they travel: with an answer, durably, at best
//! effort, many at once. It does not know which methods there are.

use std::marker::PhantomData;
use std::time::Duration;

use crate::bindings::everwake::game::{calls as wit, types};
use crate::cbor::{Malformed, Reader};
use crate::context::Context;
use crate::entity::InModule;
use crate::failure::{Error, Refusal};
use crate::host;
use crate::id::{Id, Ref};
use crate::manifest::Definitions;
use crate::outcome::{CallError, Handler};
use crate::poison;
use crate::value::{Value, to_bytes};

/// A method call that was not made yet; it will answer an `R`.
///
/// `avatar.settle(trade, items)` makes one. [`Context::call`], [`Context::send`] and
/// [`Context::post`] make it travel.
#[must_use = "a call does nothing until `cx.call(..)`, `cx.send(..)` or `cx.post(..)` gets it"]
pub struct Call<R> {
    target: Id,
    type_index: u32,
    method: u32,
    args: Vec<u8>,
    answer: PhantomData<fn() -> R>,
}

impl<R> Call<R> {
    /// For `#[methods]`.
    #[doc(hidden)]
    pub fn new(target: Id, type_index: u32, method: u32, args: Vec<u8>) -> Self {
        Self { target, type_index, method, args, answer: PhantomData }
    }
}

/// Something that answers later, exactly once.
pub trait Callable {
    /// What it answers.
    type Answer;
    /// Asks the host for it.
    #[doc(hidden)]
    fn start(self, then: &types::Continuation) -> Result<(), types::Error>;
}

#[cfg(not(target_arch = "wasm32"))]
impl<R> Call<R> {
    /// Target, type, method and arguments, for the mock.
    pub(crate) fn into_parts(self) -> (Id, u32, u32, Vec<u8>) {
        (self.target, self.type_index, self.method, self.args)
    }

    /// Who is called.
    pub(crate) fn target(&self) -> Id {
        self.target
    }
}

impl<R> Callable for Call<R> {
    type Answer = R;

    fn start(self, then: &types::Continuation) -> Result<(), types::Error> {
        host::calls::call(self.target.into(), self.type_index, self.method, &self.args, then)
    }
}

/// Something about to be called; [`then`](Self::then) does it.
#[must_use = "nothing is called until `.then(on!(..), context)` says who takes the answer"]
pub struct Calling<'a, C> {
    cx: &'a Context,
    what: C,
    deadline: Duration,
}

impl<C: Callable> Calling<'_, C> {
    /// How long to wait before the answer becomes [`CallError::Unknown`]; else 5 s.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Makes the call. `handler` gets `context` and the answer, whatever happened meanwhile
    /// to this process or this version.
    pub fn then<E: InModule, T: Value>(
        self,
        handler: Handler<E, T, Result<C::Answer, CallError>>,
        context: T,
    ) {
        let then = continuation(self.cx, handler, self.deadline, &context);
        poison::check(self.what.start(&then));
    }
}

fn continuation<E: InModule, C: Value, R>(
    cx: &Context,
    handler: Handler<E, C, R>,
    deadline: Duration,
    context: &C,
) -> types::Continuation {
    types::Continuation {
        owner: cx.owner::<E>().into(),
        method: handler.method,
        deadline_ms: u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX),
        context: to_bytes(context),
    }
}

/// Many calls about to be made; [`then`](Self::then) does it.
#[must_use = "nothing is called until `.then(on!(..), context)` says who takes the answers"]
pub struct Gathering<'a, R> {
    cx: &'a Context,
    calls: Vec<Call<R>>,
    deadline: Duration,
}

impl<R> Gathering<'_, R> {
    /// How long to wait before missing answers become [`CallError::Unknown`]; else 5 s.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Makes the calls. `handler` gets `context` and all answers at once, in order.
    pub fn then<E: InModule, T: Value>(self, handler: Handler<E, T, Vec<Result<R, CallError>>>, context: T) {
        let then = continuation(self.cx, handler, self.deadline, &context);
        let parts: Vec<wit::Part> = self.calls.into_iter().map(wit::Part::from).collect();
        poison::check(host::calls::gather(&parts, &then));
    }
}

impl<R> From<Call<R>> for wit::Part {
    fn from(call: Call<R>) -> Self {
        Self { target: call.target.into(), type_index: call.type_index, method: call.method, args: call.args }
    }
}

/// A durable message on its way; it is sent at the end of the statement.
pub struct Sending<'a, R> {
    cx: &'a Context,
    call: Option<Call<R>>,
}

impl<R> Sending<'_, R> {
    /// Names the method that gets the message back if it cannot be delivered.
    pub fn or_bounce<E: InModule, T: Value>(mut self, handler: Handler<E, T, CallError>, context: T) {
        let bounce = wit::Bounce { method: handler.method, context: to_bytes(&context) };
        self.send(self.cx.owner::<E>(), Some(&bounce));
    }

    fn send(&mut self, sender: Id, bounce: Option<&wit::Bounce>) {
        if let Some(call) = self.call.take() {
            let Call { target, type_index, method, args, .. } = call;
            poison::check(host::calls::send(sender.into(), target.into(), type_index, method, &args, bounce));
        }
    }
}

impl<R> Drop for Sending<'_, R> {
    fn drop(&mut self) {
        self.send(self.cx.id(), None);
    }
}

impl Context {
    /// Calls something that answers later: a method of an entity, the key-value store, the
    /// creation of an entity, a client that is given away.
    pub fn call<C: Callable>(&self, what: C) -> Calling<'_, C> {
        Calling { cx: self, what, deadline: Duration::ZERO }
    }

    /// Calls many; one event brings all answers.
    pub fn gather<R>(&self, calls: impl IntoIterator<Item = Call<R>>) -> Gathering<'_, R> {
        Gathering { cx: self, calls: calls.into_iter().collect(), deadline: Duration::ZERO }
    }

    /// Sends a message durably: it runs exactly once, or bounces exactly once.
    pub fn send<R>(&self, call: Call<R>) -> Sending<'_, R> {
        Sending { cx: self, call: Some(call) }
    }

    /// Sends a message at best effort: it may be lost with a process, and is never doubled.
    pub fn post<R>(&self, call: Call<R>) {
        let Call { target, type_index, method, args, .. } = call;
        poison::check(host::calls::post(self.id().into(), target.into(), type_index, method, &args));
    }

    /// Who sent the running event: an entity or a service shard; for a client its entity.
    pub fn caller(&self) -> Option<Id> {
        host::calls::caller().map(Id::from)
    }
}

/// The right to answer the running call later, once. May be stored in an attribute or in a
/// context. If it is dropped, the host answers when its entity or the deadline is gone.
pub struct Reply<T, E = String> {
    owner: Id,
    deferred: Id,
    types: PhantomData<fn(T, E)>,
}

impl<T: Value, E: Refusal> Reply<T, E> {
    /// Takes the answer of the running call over. `#[rpc]` does it for a parameter of this type.
    pub fn defer(cx: &Context) -> Result<Self, Error> {
        let deferred = host::calls::defer().map_err(Error::from)?;
        Ok(Self { owner: cx.id(), deferred: deferred.into(), types: PhantomData })
    }

    /// Answers.
    pub fn ok(self, cx: &Context, value: T) {
        let _ = cx;
        Self::settle(host::calls::reply(self.owner.into(), self.deferred.into(), &to_bytes(&value)));
    }

    /// Refuses. What the handlers did stays.
    pub fn err(self, cx: &Context, error: E) {
        let _ = cx;
        let detail = to_bytes(&error.detail());
        Self::settle(host::calls::reply_refused(
            self.owner.into(),
            self.deferred.into(),
            error.code(),
            &detail,
        ));
    }

    /// Answers or refuses.
    pub fn settle_with(self, cx: &Context, result: Result<T, E>) {
        match result {
            Ok(value) => self.ok(cx, value),
            Err(error) => self.err(cx, error),
        }
    }

    /// Too late is no error: the caller had its answer from the deadline.
    fn settle(result: Result<(), types::Error>) {
        match result {
            Err(types::Error::NotFound) => {}
            other => poison::check(other),
        }
    }
}

/// What a deferred reply answers; lets `#[rpc]` describe the method.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a deferred reply",
    note = "a parameter whose type's name ends with `Reply` answers the call: use `Reply<T, E>`, or an alias of it"
)]
pub trait Replies: Sized {
    /// What it answers.
    type Answer: Value;
    /// Takes the answer of the running call over.
    fn take(cx: &Context) -> Result<Self, Error>;
}

impl<T: Value, E: Refusal> Replies for Reply<T, E> {
    type Answer = T;

    fn take(cx: &Context) -> Result<Self, Error> {
        Self::defer(cx)
    }
}

impl<T, E> Clone for Reply<T, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, E> Copy for Reply<T, E> {}

impl<T, E> PartialEq for Reply<T, E> {
    fn eq(&self, other: &Self) -> bool {
        (self.owner, self.deferred) == (other.owner, other.deferred)
    }
}

impl<T, E> std::fmt::Debug for Reply<T, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reply({})", self.deferred)
    }
}

impl<T, E> Default for Reply<T, E> {
    fn default() -> Self {
        Self { owner: Id::NIL, deferred: Id::NIL, types: PhantomData }
    }
}

impl<T, E> Value for Reply<T, E> {
    fn type_text(_: &mut Definitions) -> String {
        "tuple<id, id>".into()
    }

    fn initial() -> Self {
        Self::default()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        (self.owner, self.deferred).encode(out);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        <(Id, Id)>::decode(reader).map(|(owner, deferred)| Self { owner, deferred, types: PhantomData })
    }
}

impl<T, E> crate::attribute::Attribute for Reply<T, E> {}

/// Where a new entity or space should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The host chooses.
    Anywhere,
    /// On a game with this label.
    Label(String),
    /// In this space (entities only).
    In(Id),
}

/// The making of an entity or a space elsewhere; see [`create`].
#[must_use = "nothing is made until `cx.call(..)` gets it"]
pub struct Create<T> {
    args: Vec<u8>,
    place: Place,
    made: PhantomData<fn() -> T>,
}

/// Makes an entity or a space elsewhere: `cx.call(create::<Room>(args, Place::Anywhere))`.
/// `args` are what the type's `new` takes: `()`, the one argument, or a tuple.
pub fn create<T: InModule>(args: T::Args, place: Place) -> Create<T> {
    let mut written = Vec::with_capacity(32);
    T::write_args(&args, &mut written);
    Create { args: written, place, made: PhantomData }
}

impl<T: InModule> Callable for Create<T> {
    type Answer = Ref<T>;

    fn start(self, then: &types::Continuation) -> Result<(), types::Error> {
        use crate::bindings::everwake::game::entities::Place as Wit;
        let place = match self.place {
            Place::Anywhere => Wit::Anywhere,
            Place::Label(label) => Wit::Labelled(label),
            Place::In(space) => Wit::InSpace(space.into()),
        };
        host::entities::create(T::INDEX, &self.args, &place, then)
    }
}
