//! The yard: it moves, it is seen, and one monster in two hundred that panics stops nobody else.

use crate::built::{kit, sample};
use everwake_testkit::{Player, Pose, Value, World};
use std::collections::BTreeMap;
use std::time::Duration;

const MONSTERS: usize = 200;
const WALKERS: usize = 50;

fn yard(features: &[&str]) -> (World, Player) {
    let mut world = World::new(kit()).seed(5).module(&sample("yard", features, "1")).start();
    let spectator = world.connect("yard");
    world.advance(Duration::from_secs(1));
    (world, spectator)
}

/// Where the spectator sees those of a type.
fn poses(world: &World, spectator: Player, type_name: &str) -> BTreeMap<String, Pose> {
    world.seen(spectator, type_name).into_iter().map(|entity| (entity.id.to_string(), entity.pose)).collect()
}

fn moved(before: &BTreeMap<String, Pose>, after: &BTreeMap<String, Pose>) -> usize {
    before
        .iter()
        .filter(|(id, pose)| after.get(*id).is_some_and(|now| (now.x, now.z) != (pose.x, pose.z)))
        .count()
}

#[test]
fn walkers_wander_monsters_chase_and_the_spectator_sees_it() {
    let (mut world, spectator) = yard(&[]);
    let (monsters, walkers) = (poses(&world, spectator, "Monster"), poses(&world, spectator, "Walker"));
    assert_eq!((monsters.len(), walkers.len()), (MONSTERS, WALKERS));
    world.advance(Duration::from_secs(10));
    assert_eq!(moved(&walkers, &poses(&world, spectator, "Walker")), WALKERS, "walkers wander");
    let chasing = moved(&monsters, &poses(&world, spectator, "Monster"));
    assert!(chasing > MONSTERS / 10, "only {chasing} monsters moved");
    let hurt = |world: &World| {
        let walkers = world.seen(spectator, "Walker");
        let hp = |id| match world.attribute_of(spectator, id, "hp") {
            Value::Int(hp) => hp,
            other => panic!("{other:?}"),
        };
        walkers.iter().filter(|walker| hp(walker.id) < 100).count()
    };
    world.advance(Duration::from_secs(20));
    assert!(hurt(&world) > 0, "nobody was ever struck");
    world.check();
}

#[test]
fn one_monster_that_panics_stops_nobody_else() {
    let (mut world, spectator) = yard(&["trouble"]);
    let crashes = world.take_crashes();
    assert!(!crashes.is_empty(), "monster 42 did not panic");
    let culprits: std::collections::BTreeSet<String> =
        crashes.iter().map(|crash| crash.entity.to_string()).collect();
    assert_eq!(culprits.len(), 1, "the others were blamed too: {culprits:?}");
    assert!(crashes[0].message.contains("monster 42 has had enough"), "{}", crashes[0].message);
    let (monsters, walkers) = (poses(&world, spectator, "Monster"), poses(&world, spectator, "Walker"));
    world.advance(Duration::from_secs(1));
    assert_eq!(moved(&walkers, &poses(&world, spectator, "Walker")), WALKERS, "in the same second");
    world.advance(Duration::from_secs(9));
    let now = poses(&world, spectator, "Monster");
    assert!(moved(&monsters, &now) > MONSTERS / 10, "only {} monsters moved", moved(&monsters, &now));
    let culprit = culprits.iter().next().unwrap();
    assert_eq!(
        now.get(culprit).map(|pose| (pose.x, pose.z)),
        monsters.get(culprit).map(|pose| (pose.x, pose.z))
    );
    // It is tried again, more and more rarely.
    assert!(world.take_crashes().len() <= 10, "the culprit runs in every tick");
    world.check();
}

#[test]
fn a_version_with_other_manners_comes_while_they_run() {
    let (mut world, spectator) = yard(&[]);
    let before = poses(&world, spectator, "Walker");
    let report = world.publish(&sample("yard", &[], "2"));
    assert!(report.published, "{report:?}");
    assert_eq!(world.call(spectator, "version", &[]), Ok("2".into()));
    world.advance(Duration::from_secs(1));
    let after = poses(&world, spectator, "Walker");
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>(),
        "somebody was lost in the swap"
    );
    assert_eq!(moved(&before, &after), WALKERS);
    assert!(world.take_crashes().is_empty());
    world.check();
}
