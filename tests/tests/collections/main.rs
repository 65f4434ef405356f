//! Whatever a module does to its lists and maps, four copies stay the same: its own, the host's, the client's
//! mirror, and one that is changed by the standard library.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod copies;
mod functions;
