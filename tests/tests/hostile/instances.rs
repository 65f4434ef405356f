//! An instance that is dropped takes along what is no state, and nothing else.

use crate::neighbours::{hostile, kit};
use everwake_testkit::World;
use std::time::Duration;

#[test]
fn a_dropped_instance_forgets_what_is_no_state_and_keeps_what_is() {
    let mut world = World::new(kit()).module(hostile()).drop_one_in(0).twin_one_in(0).start();
    let vandal = world.connect("hostile");
    world.advance(Duration::from_millis(100));
    for asked in 1..=3 {
        assert_eq!(world.call(vandal, "bear_a_grudge", &[]), Ok(asked.into()));
        assert_eq!(world.call(vandal, "hello", &[]), Ok(asked.into()));
    }
    world.drop_instances();
    assert_eq!(world.call(vandal, "bear_a_grudge", &[]), Ok(1.into()), "the instance was not dropped");
    assert_eq!(world.call(vandal, "hello", &[]), Ok(4.into()));
    world.check();
}
