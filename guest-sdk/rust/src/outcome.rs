//! What comes back: answers, bounces, gatherings, watches, timers; and [`Handler`], the
//! typed name of the method that takes it.

use std::fmt;
use std::marker::PhantomData;

use crate::cbor::{Malformed, Reader};
use crate::failure::Refusal;
use crate::manifest::Definitions;
use crate::types::Any;
use crate::value::Value;

/// A method of `E` that takes a context `C` and an outcome `R`; `on!(Self::method)` makes it.
pub struct Handler<E, C, R> {
    pub(crate) method: u32,
    types: PhantomData<fn(E, C, R)>,
}

impl<E, C, R> Handler<E, C, R> {
    /// For `#[methods]`, which knows that the method has these types.
    #[doc(hidden)]
    pub const fn new(method: u32) -> Self {
        Self { method, types: PhantomData }
    }
}

impl<E, C, R> Clone for Handler<E, C, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E, C, R> Copy for Handler<E, C, R> {}

/// What a handler named by `on!` may take as its last parameter.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not something that comes back to a handler",
    label = "not an outcome",
    note = "an answer is `Result<T, CallError>`, a gathering `Vec<Result<T, CallError>>`, a bounce `CallError`, a watch `Gone`, a timer `Fired`"
)]
pub trait Outcome: Sized {
    /// How the manifest spells what it carries.
    fn type_text(definitions: &mut Definitions) -> String;
    /// Reads the item behind the context.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed>;
}

/// Why a call has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// It surely did not happen: safe to try again.
    NotRun(Reason),
    /// It may have happened: the deadline passed, or the process died.
    Unknown(Reason),
    /// The target committed, and said no.
    Refused(Reason),
}

/// A code for programs, and what it carries.
#[derive(Clone, PartialEq, Eq)]
pub struct Reason {
    code: String,
    detail: Any,
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)
    }
}

impl CallError {
    fn reason(&self) -> &Reason {
        match self {
            Self::NotRun(reason) | Self::Unknown(reason) | Self::Refused(reason) => reason,
        }
    }

    /// The code: `gone`, `deadline`, ... or what the target refused with.
    pub fn code(&self) -> &str {
        &self.reason().code
    }

    /// What goes with the code.
    pub fn detail(&self) -> &Any {
        &self.reason().detail
    }

    /// What the target refused with, if it is an `E`.
    pub fn refused<E: Refusal>(&self) -> Option<E> {
        match self {
            Self::Refused(reason) => E::from_parts(&reason.code, &reason.detail),
            _ => None,
        }
    }

    /// Whether it surely did not happen.
    pub fn is_not_run(&self) -> bool {
        matches!(self, Self::NotRun(_))
    }

    fn read(reader: &mut Reader<'_>, items: usize) -> Result<Self, Malformed> {
        if items < 4 {
            return Err(Malformed("an outcome's error has four parts"));
        }
        let certainty = reader.unsigned()?;
        let reason = Reason { code: reader.text()?.into(), detail: Any::decode(reader)? };
        Ok(match certainty {
            0 => Self::NotRun(reason),
            1 => Self::Unknown(reason),
            2 => Self::Refused(reason),
            _ => return Err(Malformed("an outcome's certainty is 0, 1 or 2")),
        })
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::NotRun(_) => "not run",
            Self::Unknown(_) => "outcome unknown",
            Self::Refused(_) => "refused",
        };
        write!(f, "{what}: {}", self.code())?;
        match self.detail().read::<String>() {
            Ok(text) => write!(f, ": {text}"),
            Err(_) => Ok(()),
        }
    }
}

impl std::error::Error for CallError {}

fn outcome<T>(
    reader: &mut Reader<'_>,
    value: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
) -> Result<Result<T, CallError>, Malformed> {
    let items = reader.array()?;
    match reader.unsigned()? {
        0 => value(reader).map(Ok),
        1 => CallError::read(reader, items).map(Err),
        _ => Err(Malformed("an outcome begins with 0 or 1")),
    }
}

impl<T: Value> Outcome for Result<T, CallError> {
    fn type_text(definitions: &mut Definitions) -> String {
        T::type_text(definitions)
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        outcome(reader, T::decode)
    }
}

impl<T: Value> Outcome for Vec<Result<T, CallError>> {
    fn type_text(definitions: &mut Definitions) -> String {
        format!("list<{}>", T::type_text(definitions))
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let all = outcome(reader, |reader| {
            let count = reader.array()?;
            (0..count).map(|_| outcome(reader, T::decode)).collect()
        })?;
        all.map_err(|_| Malformed("a gathering always has its parts"))
    }
}

impl Outcome for CallError {
    fn type_text(_: &mut Definitions) -> String {
        "any".into()
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match outcome(reader, Any::decode)? {
            Err(error) => Ok(error),
            Ok(_) => Err(Malformed("a bounce is never a value")),
        }
    }
}

/// Why a watch told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gone {
    /// The entity was destroyed, or never was.
    Destroyed,
    /// It lost its client.
    ClientLost,
    /// It fell asleep.
    Asleep,
    /// Its process died.
    ProcessDied,
    /// Something that this version does not know.
    Other(u32),
}

impl Outcome for Gone {
    fn type_text(_: &mut Definitions) -> String {
        "u32".into()
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match outcome(reader, u32::decode)? {
            Ok(0) => Self::Destroyed,
            Ok(1) => Self::ClientLost,
            Ok(2) => Self::Asleep,
            Ok(3) => Self::ProcessDied,
            Ok(other) => Self::Other(other),
            Err(_) => Self::ProcessDied,
        })
    }
}

/// That a timer fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fired {
    /// How many firings were left out before this one.
    pub missed: u32,
}

impl Outcome for Fired {
    fn type_text(_: &mut Definitions) -> String {
        "u32".into()
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        u32::decode(reader).map(|missed| Self { missed })
    }
}
