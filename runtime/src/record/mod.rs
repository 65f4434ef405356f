//! Recordings: everything that a run of a space depends on, in order, and what came of it.
//!
//! A recording begins with the space as data and goes on with what came in, when, and which
//! chance each event had. Replaying feeds the same to a fresh space, on the same version or on
//! another one, and compares commit by commit. The bytes of modules are not in it, their hashes
//! are. Nor are secrets: attributes and parameters that say so have their defaults.
//!
//! # Layout
//! - [`entry`]: what a recording consists of.
//! - [`format`]: the file: a header, then entries behind their lengths.
//! - [`recorder`]: writing one, while a space runs or from what it kept of its last seconds.
//! - [`mask`]: leaving secrets out.
//! - [`describe`]: commits as text for people.
//! - [`replay`]: running one again; [`report`]: what differed.

pub mod describe;
pub mod entry;
pub mod format;
pub mod mask;
pub mod recorder;
pub mod replay;
pub mod report;

#[cfg(test)]
mod tests;

pub use entry::{Entry, RecordedInput, Start};
pub use format::{RecordingError, RecordingReader};
pub use recorder::{FileRecording, Written, write_past};
pub use replay::{ReplayError, ReplayOptions, replay};
pub use report::{Difference, ReplayReport};
