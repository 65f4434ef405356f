//! The samples as players meet them, under virtual time.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

mod built;
mod chat;
mod crowd;
mod relay;
mod soak;
mod trouble;
mod yard;
