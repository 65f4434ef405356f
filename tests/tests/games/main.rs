//! The samples as players meet them, under virtual time.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod built;
mod chat;
mod crowd;
mod trouble;
mod yard;
