//! A yard: two hundred monsters think ten times a second, fifty walkers wander, monsters chase and strike, both
//! die and come back. Whoever connects watches, or plays along: visitors go from yard to yard.

use everwake::*;

mod keeper;
mod monster;
mod spectator;
mod visitor;
mod walker;

pub use keeper::{Keeper, Yard};
pub use monster::{Mode, Monster};
pub use spectator::Spectator;
pub use visitor::Visitor;
pub use walker::Walker;

#[cfg(test)]
mod tests;

/// Which version this is. Set `YARD_VERSION` while building to make others: from 2 on, monsters run away from the
/// walkers that they see.
pub const VERSION: &str = match option_env!("YARD_VERSION") {
    Some(version) => version,
    None => "1",
};

/// The yard in metres, from its corner at (0, 0).
pub const WIDTH: f32 = 160.0;
pub const DEPTH: f32 = 100.0;

/// A place in the yard, by chance.
fn somewhere(cx: &Context) -> Vec3 {
    let share = |roll: i64| roll as f32 / 1000.0;
    Vec3::new(share(cx.roll(0..=1000)) * WIDTH, 0.0, share(cx.roll(0..=1000)) * DEPTH)
}

module! {
    name: "yard",
    label: "yard",
    types: [Spectator, Yard, Monster, Walker, Keeper, Visitor],
}
