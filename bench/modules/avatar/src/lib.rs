//! The module behind most benchmarks: avatars with attributes as a game has them, a field full of
//! them, and visitors who call from outside.

use everwake::*;

mod avatar;
mod field;
mod visitor;

pub use avatar::{Avatar, Item, Mode};
pub use field::{Field, Warden};
pub use visitor::Visitor;

/// Which version this is: set `BENCH_VERSION` while building to make versions that differ in
/// nothing else.
pub const VERSION: &str = match option_env!("BENCH_VERSION") {
    Some(version) => version,
    None => "1",
};

module! {
    name: "bench",
    label: "bench",
    types: [Avatar, Visitor, Field, Warden],
    budget: ms(500),
}
