//! The contract of `wit/`, function by function: each that changes something is called, and then its handler ends
//! well, with an error, with a trap, or with a refusal. Undone is undone, for everybody who could notice.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

mod agreement;
mod atomicity;
mod contract;
mod guests;
mod model;
mod stage;
