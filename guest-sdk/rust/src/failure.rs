//! The ways in which something can fail, and what each of them does to the event.
//!
//! - [`Fail`], or any error that can be printed: **undoes** the event.
//! - [`Refused`]: **commits** the event, and tells the caller no.
//! - [`Error`]: what the host answers to a request.

use std::fmt;

use crate::bindings::everwake::game::types as wit;
use crate::cbor::Malformed;
use crate::types::Any;
use crate::value::Value;

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The rules of the game said no.
    Refused(String),
    /// No such entity, space, client, timer, or method.
    NotFound,
    /// The arguments did not decode, or a value is out of range.
    BadArguments(String),
    /// A named limit was reached.
    Limit(String),
    /// The entity is borrowed by the running handler already.
    Busy,
    /// The request makes no sense here.
    NotAllowed(String),
    /// Anything without a case of its own.
    Other(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(text) | Self::Other(text) => f.write_str(text),
            Self::NotFound => f.write_str("not found"),
            Self::BadArguments(text) => write!(f, "bad arguments: {text}"),
            Self::Limit(text) => write!(f, "limit reached: {text}"),
            Self::Busy => f.write_str("the entity is in use by this handler already"),
            Self::NotAllowed(text) => write!(f, "not allowed: {text}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<wit::Error> for Error {
    fn from(error: wit::Error) -> Self {
        match error {
            wit::Error::Refused(text) => Self::Refused(text),
            wit::Error::NotFound => Self::NotFound,
            wit::Error::BadArguments(text) => Self::BadArguments(text),
            wit::Error::Limit(text) => Self::Limit(text),
            wit::Error::Busy => Self::Busy,
            wit::Error::NotAllowed(text) => Self::NotAllowed(text),
            wit::Error::Other(text) => Self::Other(text),
        }
    }
}

impl From<Error> for wit::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(text) => Self::Refused(text),
            Error::NotFound => Self::NotFound,
            Error::BadArguments(text) => Self::BadArguments(text),
            Error::Limit(text) => Self::Limit(text),
            Error::Busy => Self::Busy,
            Error::NotAllowed(text) => Self::NotAllowed(text),
            Error::Other(text) => Self::Other(text),
        }
    }
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::BadArguments(malformed.0.into())
    }
}

/// Undoes the event. Anything that can be printed becomes one with `?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fail(String);

impl Fail {
    /// With a text for the caller.
    pub fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl<E: fmt::Display> From<E> for Fail {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Commits the event and tells the caller no: a wrong password that was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused<E = String>(pub E);

/// What can be told with a [`Refused`]: `#[attr_type]` makes your enums such; a text works too.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be told to a caller",
    note = "put `#[attr_type]` on the enum, or refuse with a text"
)]
pub trait Refusal: Sized {
    /// Names the error to programs.
    fn code(&self) -> &str;
    /// What it carries, as one item.
    fn detail(&self) -> Any;
    /// The way back; none if it is not one of these.
    fn from_parts(code: &str, detail: &Any) -> Option<Self>;
}

impl Refusal for String {
    fn code(&self) -> &str {
        "refused"
    }

    fn detail(&self) -> Any {
        Any::of(self)
    }

    fn from_parts(code: &str, detail: &Any) -> Option<Self> {
        detail.read().ok().filter(|_| code == "refused")
    }
}

impl Refusal for () {
    fn code(&self) -> &str {
        "refused"
    }

    fn detail(&self) -> Any {
        Any::default()
    }

    fn from_parts(code: &str, _: &Any) -> Option<Self> {
        (code == "refused").then_some(())
    }
}

/// What a handler's error does.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a handler",
    note = "return `Fail` (or an error that implements `Display`) to undo the event, or `Refused(..)` to commit it and say no"
)]
pub trait HandlerError {
    /// Ends the handler with this error.
    fn settle(self) -> Result<(), Error>;
}

impl HandlerError for Fail {
    fn settle(self) -> Result<(), Error> {
        Err(Error::Refused(self.0))
    }
}

impl<E: fmt::Display> HandlerError for E {
    fn settle(self) -> Result<(), Error> {
        Err(Error::Refused(self.to_string()))
    }
}

impl<E: Refusal> HandlerError for Refused<E> {
    fn settle(self) -> Result<(), Error> {
        let detail = crate::value::to_bytes(&self.0.detail());
        crate::host::calls::refuse(self.0.code(), &detail).map_err(Error::from)
    }
}

/// What a handler may return: nothing, a value, or a `Result` of them.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    label = "not an answer",
    note = "return nothing, a value, `Result<T, Fail>` (an error undoes the event), or `Result<T, Refused<E>>` (commits and says no)"
)]
pub trait Answer {
    /// Ends the handler with this.
    fn finish(self) -> Result<(), Error>;
}

impl<T: Value> Answer for T {
    #[inline]
    fn finish(self) -> Result<(), Error> {
        if T::NULLABLE && std::mem::size_of::<T>() == 0 {
            return Ok(());
        }
        crate::host::calls::answer(&crate::value::to_bytes(&self)).map_err(Error::from)
    }
}

impl<T: Answer, E: HandlerError> Answer for Result<T, E> {
    #[inline]
    fn finish(self) -> Result<(), Error> {
        match self {
            Ok(value) => value.finish(),
            Err(error) => error.settle(),
        }
    }
}
