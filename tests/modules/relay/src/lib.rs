//! A module whose runners hand tokens on, round after round: while a race runs, every token waits in the mailbox
//! of its space. Two versions differ in what they say and in how they keep a score.

use everwake::*;

mod mayfly;
mod runner;
mod track;
mod visitor;

pub use mayfly::Mayfly;
pub use runner::Runner;
pub use track::{Starter, Track};
pub use visitor::Visitor;

/// Which version this is; whatever is told carries it.
pub const VERSION: u32 = if cfg!(feature = "v2") { 2 } else { 1 };

/// What one hand-over adds to a score: the second version counts in tenths.
pub const UNIT: u32 = if cfg!(feature = "v2") { 10 } else { 1 };

module! {
    name: "relay",
    label: "relay",
    types: [Visitor, Track, Runner, Mayfly, Starter],
}
