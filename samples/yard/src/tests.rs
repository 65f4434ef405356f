//! The yard's rules against the mock: natively, in virtual time, without a server.

use super::*;

type World = mock::World<Module>;

/// The yard that the keeper has made, with everybody in it.
fn yard() -> (World, Ref<Yard>) {
    let mut world = World::new().with_seed(7);
    let keeper = world.shard::<Keeper>(0);
    let yard = world.call(keeper.yard(String::new())).unwrap();
    (world, yard)
}

/// A walker far from all monsters.
fn walker(world: &mut World, yard: Ref<Yard>) -> Ref<Walker> {
    world.create_in::<Walker>(yard, "wanda".into(), Pose::at(-500.0, -500.0))
}

#[test]
fn a_walker_that_dies_comes_back_whole_and_somewhere_else() {
    let (mut world, yard) = yard();
    let wanda = walker(&mut world, yard);
    let before = world.pose_of(wanda);
    let answer = world.act(wanda, |walker, cx| Ok::<_, Fail>(walker.take_damage(cx, 99))).unwrap();
    assert!((0..=6).contains(&answer), "it hits back with {answer}");
    assert_eq!((world.get(wanda).hp, world.get(wanda).deaths), (1, 0));
    world.act(wanda, |walker, cx| Ok::<_, Fail>(walker.take_damage(cx, 1))).unwrap();
    assert_eq!((world.get(wanda).hp, world.get(wanda).deaths), (100, 1));
    assert!(world.pose_of(wanda).place().distance(before.place()) > 100.0, "it lies where it fell");
}

#[test]
fn a_monster_walks_to_whom_it_sees_and_strikes() {
    let (mut world, yard) = yard();
    let place = Pose::at(-500.0, -490.0);
    let wanda = walker(&mut world, yard);
    let monster = world.create_in::<Monster>(yard, (900, place.place()), place);
    world.advance(secs(1));
    assert!(matches!(world.get(monster).mode, Mode::Chase { target, .. } if target == wanda));
    let closer = world.pose_of(monster).place().distance(world.pose_of(wanda).place());
    assert!(closer < 10.0, "{closer} m away");
    world.advance(secs(20));
    assert!(world.get(wanda).hp < 100 || world.get(wanda).deaths > 0, "nobody was struck");
}

#[test]
fn a_spectator_stands_in_the_middle_until_its_client_leaves() {
    let (mut world, yard) = yard();
    let spectator = world.connect::<Spectator>();
    assert_eq!(world.space_of(spectator), Some(yard.id()));
    assert_eq!(world.client_call(spectator.version()), Ok(VERSION.to_owned()));
    world.disconnect(spectator);
    assert!(!world.exists(spectator));
}

#[test]
fn a_visitor_goes_from_yard_to_yard() {
    let mut world = World::new().with_seed(7);
    let spectator = world.connect::<Spectator>();
    let first = world.space_of(spectator);
    let vera = world.client_call(spectator.play("vera".into())).unwrap();
    assert!(!world.exists(spectator), "it has given its client away");
    let keeper = world.shard::<Keeper>(0);
    let [east, west] = ["east", "west"].map(|label| world.call(keeper.yard(label.into())).unwrap());
    for (walks, yard, label) in [(2, east, "east"), (3, west, "west"), (4, east, "east")] {
        world.client_call(vera.walk(label.into())).unwrap();
        assert_eq!(world.space_of(vera), Some(yard.id()));
        assert_eq!((world.get(vera).walks, world.get(vera).yard.as_str()), (walks, label));
        assert_eq!(world.received(vera).last().unwrap().args::<(String,)>(), (label.to_owned(),));
    }
    assert!(first.is_some() && first != Some(east.id()) && east != west);
    world.disconnect(vera);
    assert!(!world.exists(vera));
}
