//! A hundred thousand events of lives that begin, go elsewhere and end while versions and clients come and go: at
//! the end there is as much of everything as there was at the start.

use crate::built::kit;
use crate::relay::relay;
use everwake_testkit::World;
use everwake_testkit::soak::Soak;

const WARM: usize = 8;
const CYCLES: usize = 56;

#[test]
fn what_comes_and_goes_leaves_nothing_behind() {
    let world = World::new(kit()).seed(8).events_per_drain(64);
    let mut soak = Soak::new(world, [relay(&[]), relay(&["v2"])]);
    // Everybody has heard from everybody once: that is remembered.
    (0..WARM).for_each(|number| soak.cycle(number));
    soak.rest();
    let (before, events) = (soak.world.tally(), soak.events());
    assert!(before.of("mirrors") > 80 && before.of("directory") > 80, "{before}");
    (WARM..CYCLES).for_each(|number| soak.cycle(number));
    soak.rest();
    let (after, events) = (soak.world.tally(), soak.events() - events);
    assert!(events > 100_000, "{events} events are too few");
    assert_eq!(after.difference(&before), [], "more or less than before: what, after, before");
}
