//! The first request of the running event that the host refused. Such an event is undone:
//! requests need no `?`, and none is lost silently.

use std::cell::RefCell;

use crate::bindings::everwake::game::types as wit;
use crate::failure::Error;

thread_local! {
    static FIRST: RefCell<Option<Error>> = const { RefCell::new(None) };
}

/// Takes note of a refused request.
pub(crate) fn check(result: Result<(), wit::Error>) {
    if let Err(error) = result {
        set(error.into());
    }
}

/// Takes note of an error.
#[cold]
pub(crate) fn set(error: Error) {
    FIRST.with_borrow_mut(|first| {
        first.get_or_insert(error);
    });
}

/// The note, which is then gone.
pub(crate) fn take() -> Option<Error> {
    FIRST.take()
}
