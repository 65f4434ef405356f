//! A module that does what a module must not do, on request, and says nothing about it.

use everwake::*;

mod lot;
mod vandal;

pub use lot::{Lot, Warden};
pub use vandal::Vandal;

/// Which version this is; it does nothing but to make components differ.
pub const VERSION: &str = match option_env!("HOSTILE_VERSION") {
    Some(version) => version,
    None => "1",
};

module! {
    name: "hostile",
    label: "hostile",
    types: [Vandal, Lot, Warden],
    budget: ms(200),
    capabilities: ["key-value", "broadcast"],
}
