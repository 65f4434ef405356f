//! Modules that do what they must not: a typed error to their author, and nobody else notices.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod acts;
mod bytes;
mod hooks;
mod instances;
mod neighbours;
