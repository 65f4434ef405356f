//! What `#[methods]` makes of an impl block, and how it reads its arguments.

use crate::cbor::Reader;
use crate::context::Context;
use crate::entity::Entity;
use crate::failure::Error;
use crate::manifest::{Definitions, Method};
use crate::migrate::State;
use crate::outcome::Outcome;
use crate::tick::{BulkTick, Tick};
use crate::value::Value;

/// The handlers of a type of entity.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no handlers",
    label = "`#[methods]` is missing",
    note = "write `#[methods] impl {Self} {{ .. }}`, which may be empty"
)]
pub trait Methods: Entity {
    /// What `new` takes: nothing, its one argument, or a tuple.
    type Args;
    /// Numbers of the hooks that the type implements.
    const HOOKS: &'static [u32];
    /// How it ticks.
    const TICK: TickForm = TickForm::Never;

    /// Its methods, in order.
    fn describe(definitions: &mut Definitions) -> Vec<Method>;
    /// Runs a method call.
    fn call(&mut self, cx: &mut Context, method: u32, args: Args<'_>) -> Result<(), Error>;
    /// Runs a continuation or a timer.
    fn resume(&mut self, cx: &mut Context, method: u32, args: Args<'_>) -> Result<(), Error>;
    /// Runs a hook.
    fn hook(&mut self, cx: &mut Context, hook: u32, args: Args<'_>) -> Result<(), Error>;
    /// Makes a new one.
    fn construct(cx: &mut Context, args: Self::Args) -> Result<Self, Error>;
    /// Reads the arguments of `new` as they travel: one array.
    fn read_args(args: Args<'_>) -> Result<Self::Args, Error>;
    /// Writes the arguments of `new` as they travel.
    fn write_args(args: &Self::Args, out: &mut Vec<u8>);

    /// Runs the tick of one entity.
    fn tick(&mut self, cx: &mut Tick<'_>) -> Result<(), Error> {
        let _ = cx;
        Ok(())
    }

    /// Runs the tick of all due entities at once.
    fn bulk_tick(cx: &mut BulkTick<'_>) -> Result<(), Error> {
        let _ = cx;
        Ok(())
    }

    /// Brings stored attributes from one schema to another.
    fn migrate(from: u32, to: u32, state: &mut State) -> Result<(), Error> {
        let _ = (from, to, state);
        Ok(())
    }
}

/// Whether the handler of a type's tick gets one entity or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum TickForm {
    Never,
    Each,
    Bulk,
}

/// What is delivered to an entity.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Delivery {
    Call(u32),
    Resume(u32),
    Construct,
    Hook(u32),
}

/// The arguments of an event, not read yet.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    pub(crate) bytes: &'a [u8],
}

impl<'a> Args<'a> {
    /// Positional arguments: one array.
    #[inline]
    pub fn open(self) -> Result<Params<'a>, Error> {
        let mut reader = Reader::new(self.bytes);
        let left = reader.array()?;
        Ok(Params { reader, left })
    }

    /// A context and what came back.
    pub fn resumed<C: Value, R: Outcome>(self) -> Result<(C, R), Error> {
        let mut reader = Reader::new(self.bytes);
        let context = C::decode(&mut reader)?;
        Ok((context, R::decode(&mut reader)?))
    }
}

/// Positional arguments, one after the other. Missing ones have their initial value; what is
/// left over is from a newer caller, and ignored.
pub struct Params<'a> {
    reader: Reader<'a>,
    left: usize,
}

impl Params<'_> {
    /// The next argument.
    #[inline]
    pub fn next<T: Value>(&mut self, name: &'static str) -> Result<T, Error> {
        if self.left == 0 {
            return Ok(T::initial());
        }
        self.left -= 1;
        T::decode(&mut self.reader).map_err(|bad| Error::BadArguments(format!("`{name}`: {bad}")))
    }
}

/// The answer of an event that names no method of this version.
#[cold]
pub fn no_such_method(method: u32) -> Result<(), Error> {
    Err(Error::Other(format!("no method {method} in this version")))
}
