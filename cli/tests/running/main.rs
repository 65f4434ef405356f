//! The binary in the hands of somebody who writes a game: a real `everwake dev` on a copy of the chat,
//! saves, the commands that steer it, clients with piped input, and the end.
//!
//! Nothing here waits for a time: each step waits for the line that it causes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

// Marked as tests, as it is nothing else: the lints for code that runs do not hold there.
#[cfg(test)]
mod cluster;
mod commands;
mod desk;
#[cfg(test)]
mod host;
#[cfg(test)]
mod roles;
mod saves;
