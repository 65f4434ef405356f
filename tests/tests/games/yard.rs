//! The yard: it moves, it is seen, and one monster in two hundred that panics stops nobody else.

use crate::built::{kit, sample};
use everwake_testkit::{EntityId, Player, Pose, Value, World};
use std::collections::{BTreeMap, BTreeSet};
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

/// The number that an attribute is.
#[track_caller]
fn number(world: &World, spectator: Player, id: EntityId, name: &str) -> i128 {
    match world.attribute_of(spectator, id, name) {
        Value::Int(number) => number,
        other => panic!("`{name}` is {other:?}"),
    }
}

/// Lets seconds pass until somebody of a type is as wanted.
#[track_caller]
fn until(
    world: &mut World,
    spectator: Player,
    type_name: &str,
    wanted: impl Fn(&World, EntityId) -> bool,
) -> EntityId {
    for _ in 0..600 {
        let found = world.seen(spectator, type_name).into_iter().find(|entity| wanted(world, entity.id));
        if let Some(found) = found {
            return found.id;
        }
        world.advance(Duration::from_millis(500));
    }
    panic!("nobody of `{type_name}` came to that in five minutes")
}

#[test]
fn both_die_and_come_back() {
    let (mut world, spectator) = yard(&[]);
    let dead = |world: &World, id| number(world, spectator, id, "hp") == 0;
    let monster = until(&mut world, spectator, "Monster", dead);
    let lies = poses(&world, spectator, "Monster").remove(&monster.to_string()).unwrap();
    world.advance(Duration::from_secs(2));
    assert!(dead(&world, monster), "it is up again at once");
    assert_eq!(
        poses(&world, spectator, "Monster").remove(&monster.to_string()).unwrap(),
        lies,
        "the dead walk"
    );
    world.advance(Duration::from_secs(4));
    assert!(!dead(&world, monster), "it stays dead");

    let walker =
        until(&mut world, spectator, "Walker", |world, id| number(world, spectator, id, "deaths") > 0);
    assert!(number(&world, spectator, walker, "hp") > 0, "walkers come back whole");
    assert_eq!(world.seen(spectator, "Walker").len(), WALKERS);
    assert_eq!(world.seen(spectator, "Monster").len(), MONSTERS);
    world.check();
}

/// Where those of a type stand and what they have, as the host knows it.
fn states(world: &mut World, type_name: &str) -> BTreeMap<String, String> {
    let views = world.inspect_all().into_iter().filter(|view| view["type"] == type_name);
    views
        .map(|view| {
            (view["id"].as_str().unwrap().to_owned(), format!("{} {}", view["pose"], view["attributes"]))
        })
        .collect()
}

#[test]
fn one_monster_that_panics_stops_nobody_else() {
    let (mut world, spectator) = yard(&["trouble"]);
    let crashes = world.take_crashes();
    assert!(!crashes.is_empty(), "monster 42 did not panic");
    let culprits: BTreeSet<String> = crashes.iter().map(|crash| crash.entity.to_string()).collect();
    assert_eq!(culprits.len(), 1, "the others were blamed too: {culprits:?}");
    assert!(crashes[0].message.contains("monster 42 has had enough"), "{}", crashes[0].message);
    let (monsters, walkers) = (poses(&world, spectator, "Monster"), poses(&world, spectator, "Walker"));
    let before = states(&mut world, "Monster");
    world.advance(Duration::from_secs(1));
    assert_eq!(moved(&walkers, &poses(&world, spectator, "Walker")), WALKERS, "in the same second");
    let after = states(&mut world, "Monster");
    let still: BTreeSet<String> =
        before.iter().filter(|(id, state)| after.get(*id) == Some(state)).map(|(id, _)| id.clone()).collect();
    assert_eq!((before.len(), &still), (MONSTERS, &culprits), "the others thought in the same second");
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
