//! The module's key-value store: one ordered map of text to bytes. Each function makes a
//! value for [`Context::call`](crate::Context::call); the answer comes to its handler.

use std::marker::PhantomData;

use crate::bindings::everwake::game::types;
use crate::calls::Callable;
use crate::cbor::{self, Malformed, Reader};
use crate::host;
use crate::manifest::Definitions;
use crate::value::{Value, from_bytes, to_bytes};

/// A value as the store holds it: bytes to the store, a `T` to you.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Stored<T>(pub T);

impl<T: Value> Value for Stored<T> {
    fn type_text(_: &mut Definitions) -> String {
        "bytes".into()
    }

    fn initial() -> Self {
        Self(T::initial())
    }

    fn encode(&self, out: &mut Vec<u8>) {
        cbor::bytes(out, &to_bytes(&self.0));
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        from_bytes(reader.bytes()?).map(Self)
    }
}

/// A request to the store that will answer an `R`.
#[must_use = "the store is not asked until `cx.call(..)` gets it"]
pub struct Ask<R> {
    request: Request,
    answer: PhantomData<fn() -> R>,
}

enum Request {
    Get(String),
    Put(String, Option<Vec<u8>>),
    GetOrPut(String, Vec<u8>),
    CompareAndSet(String, Option<Vec<u8>>, Option<Vec<u8>>),
    Range(String, String, u32),
}

impl<R> Ask<R> {
    fn new(request: Request) -> Self {
        Self { request, answer: PhantomData }
    }
}

impl<R> Callable for Ask<R> {
    type Answer = R;

    fn start(self, then: &types::Continuation) -> Result<(), types::Error> {
        match self.request {
            Request::Get(key) => host::key_value::get(&key, then),
            Request::Put(key, value) => host::key_value::put(&key, value.as_deref(), then),
            Request::GetOrPut(key, value) => host::key_value::get_or_put(&key, &value, then),
            Request::CompareAndSet(key, expected, value) => {
                host::key_value::compare_and_set(&key, expected.as_deref(), value.as_deref(), then)
            }
            Request::Range(first, end, most) => host::key_value::range(&first, &end, most, then),
        }
    }
}

/// What is under a key.
pub fn get<T: Value>(key: impl Into<String>) -> Ask<Option<Stored<T>>> {
    Ask::new(Request::Get(key.into()))
}

/// Sets a key.
pub fn put<T: Value>(key: impl Into<String>, value: &T) -> Ask<()> {
    Ask::new(Request::Put(key.into(), Some(to_bytes(value))))
}

/// Removes a key.
pub fn remove(key: impl Into<String>) -> Ask<()> {
    Ask::new(Request::Put(key.into(), None))
}

/// Sets a key if it is absent, in one step. Answers what is there now, and whether this call
/// put it there.
pub fn get_or_put<T: Value>(key: impl Into<String>, value: &T) -> Ask<(Stored<T>, bool)> {
    Ask::new(Request::GetOrPut(key.into(), to_bytes(value)))
}

/// Sets a key to `value` if it is `expected` (none: absent), in one step. Answers whether it
/// did, and what is there now.
pub fn compare_and_set<T: Value>(
    key: impl Into<String>,
    expected: Option<&T>,
    value: Option<&T>,
) -> Ask<(bool, Option<Stored<T>>)> {
    Ask::new(Request::CompareAndSet(key.into(), expected.map(to_bytes), value.map(to_bytes)))
}

/// The keys from `first` up to, but not, `end` (empty: no end), at most `most`, in order.
pub fn range<T: Value>(
    first: impl Into<String>,
    end: impl Into<String>,
    most: u32,
) -> Ask<Vec<(String, Stored<T>)>> {
    Ask::new(Request::Range(first.into(), end.into(), most))
}
