//! What the macros write into a module. Not for authors: no promises.

pub use crate::attribute::Attribute;
pub use crate::bindings;
pub use crate::calls::{Call, Replies};
pub use crate::cbor::{Malformed, Reader, array, unsigned};
pub use crate::clients::{ClientMethods, Clients, HasClients, NoClient};
pub use crate::context::Context;
pub use crate::entity::{About, Entity, Field, InModule, Kind, Service, Space, Visitor};
pub use crate::failure::{Answer, Error, HandlerError, Refusal};
pub use crate::id::{Calls, Id, Ref};
pub use crate::manifest::{ClientMethod, Definitions, Exposure, Manifest, Method, Shape, parameter};
pub use crate::mark::width;
pub use crate::methods::{Args, Methods, TickForm, no_such_method};
pub use crate::migrate::State;
pub use crate::module::{Module, TypeEntry, describe_module, forget, handle, migrate, snapshot};
pub use crate::outcome::{Handler, Outcome};
pub use crate::tick::{BulkTick, Tick};
pub use crate::types::{Any, kib, mib, mins, ms, secs};
pub use crate::value::{Fields, Value};

/// Ends a handler with what it returned.
#[inline]
pub fn finish<A: Answer>(answer: A) -> Result<(), Error> {
    answer.finish()
}

/// The end of a method, without asking the compiler whether its type can be an answer at all: that is asked, and
/// told, once, where the method is described.
pub struct End<A>(pub A);

/// Of a type that has a value to answer; whether it may also fail like this is asked here.
pub trait EndOfAnswer<A> {
    /// Ends the handler.
    fn finish(self) -> Result<(), Error>
    where
        A: Answer;
}

impl<A: Answers> EndOfAnswer<A> for End<A> {
    #[inline]
    fn finish(self) -> Result<(), Error>
    where
        A: Answer,
    {
        self.0.finish()
    }
}

/// Of any other: such a module does not compile.
pub trait EndOfAnything {
    /// Never returns.
    fn finish(self) -> Result<(), Error>;
}

impl<A> EndOfAnything for &End<A> {
    #[expect(clippy::panic, reason = "a module that gets here was refused by the compiler")]
    fn finish(self) -> Result<(), Error> {
        panic!("not an answer type")
    }
}

/// The first value of a field, found without asking the compiler whether the type may be an
/// attribute: that is asked, and told, once, where the fields are visited.
pub struct Start<T>(std::marker::PhantomData<T>);

impl<T> Start<T> {
    /// Of a type.
    pub fn of() -> Self {
        Self(std::marker::PhantomData)
    }
}

/// Of a type that is an attribute.
pub trait StartOfAttribute<T> {
    /// What an entity has that was made before the attribute was.
    fn start(&self) -> T;
}

impl<T: Attribute> StartOfAttribute<T> for Start<T> {
    fn start(&self) -> T {
        T::start()
    }
}

/// Of any other: such a module does not compile.
pub trait StartOfAnything<T> {
    /// Never returns.
    fn start(&self) -> T;
}

impl<T> StartOfAnything<T> for &Start<T> {
    #[expect(clippy::panic, reason = "a module that gets here was refused by the compiler")]
    fn start(&self) -> T {
        panic!("not an attribute type")
    }
}

/// What a method answers, for the manifest and for callers: of a `Result` its value.
pub trait Answers {
    /// The value.
    type Value: Value;
}

impl<T: Value> Answers for T {
    type Value = T;
}

impl<T: Value, E> Answers for Result<T, E> {
    type Value = T;
}

/// Of an id.
pub struct AnId;
/// Of a text.
pub struct AText;
/// Of a reason.
pub struct ANumber;
/// Of arguments, whatever they are.
pub struct Arguments;

/// What a hook's parameter may be.
#[diagnostic::on_unimplemented(
    message = "this hook is not told a `{Self}`",
    label = "not what the hook is told here",
    note = "a space or an entity is an `Id` or a `Ref<T>`, a code or a version a `String`, a reason a `u32`, arguments are `Any`"
)]
pub trait Told<What> {}

impl Told<AnId> for Id {}
impl<T: Entity> Told<AnId> for Ref<T> {}
impl Told<AText> for String {}
impl Told<ANumber> for u32 {}
impl Told<Arguments> for Any {}

/// That a hook's parameter is what it is told.
pub const fn told<T: Told<What>, What>() {}

/// What `new` and `#[migrate]` return: the thing, or a `Result` of it.
#[diagnostic::on_unimplemented(
    message = "a `{T}` cannot be made of a `{Self}`",
    note = "`new` returns `Self` or `Result<Self, Fail>`; `#[migrate]` returns nothing or `Result<(), Fail>`"
)]
pub trait Made<T> {
    /// The thing, or why there is none.
    fn made(self) -> Result<T, Error>;
}

impl<T: Entity> Made<T> for T {
    fn made(self) -> Result<T, Error> {
        Ok(self)
    }
}

impl Made<()> for () {
    fn made(self) -> Result<(), Error> {
        Ok(())
    }
}

impl<T, E: Into<crate::failure::Fail>> Made<T> for Result<T, E> {
    fn made(self) -> Result<T, Error> {
        self.map_err(|error| Error::Refused(error.into().text().to_owned()))
    }
}
