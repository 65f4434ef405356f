//! The module's key-value store: one ordered map of text to values. Each function makes a
//! value for [`Context::call`](crate::Context::call); the answer comes to its handler.

use std::marker::PhantomData;

use crate::bindings::everwake::game::types;
use crate::calls::Callable;
use crate::host;
use crate::value::{Value, to_bytes};

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

/// A value as it is kept. What is absent is null, so a value that may be null would read like an absent one.
fn kept<T: Value>(value: &T) -> Vec<u8> {
    const { assert!(!T::NULLABLE, "an `Option` or `()` is no value of the key-value store: remove the key") };
    to_bytes(value)
}

/// What is under a key.
pub fn get<T: Value>(key: impl Into<String>) -> Ask<Option<T>> {
    Ask::new(Request::Get(key.into()))
}

/// Sets a key.
pub fn put<T: Value>(key: impl Into<String>, value: &T) -> Ask<()> {
    Ask::new(Request::Put(key.into(), Some(kept(value))))
}

/// Removes a key.
pub fn remove(key: impl Into<String>) -> Ask<()> {
    Ask::new(Request::Put(key.into(), None))
}

/// Sets a key if it is absent, in one step. Answers what is there now, and whether this call
/// put it there.
pub fn get_or_put<T: Value>(key: impl Into<String>, value: &T) -> Ask<(T, bool)> {
    Ask::new(Request::GetOrPut(key.into(), kept(value)))
}

/// Sets a key to `value` if it is `expected` (none: absent), in one step. Answers whether it
/// did, and what is there now.
pub fn compare_and_set<T: Value>(
    key: impl Into<String>,
    expected: Option<&T>,
    value: Option<&T>,
) -> Ask<(bool, Option<T>)> {
    Ask::new(Request::CompareAndSet(key.into(), expected.map(kept), value.map(kept)))
}

/// The keys from `first` up to, but not, `end` (empty: no end), at most `most`, in order.
pub fn range<T: Value>(first: impl Into<String>, end: impl Into<String>, most: u32) -> Ask<Vec<(String, T)>> {
    Ask::new(Request::Range(first.into(), end.into(), most))
}
