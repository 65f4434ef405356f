//! The chat's rules against the mock: natively, in virtual time, without a server.

use super::*;

type World = mock::World<Module>;

/// Somebody who is logged in, and in a room.
fn enter(world: &mut World, name: &str, room: &str) -> Ref<Avatar> {
    let account = world.connect::<Account>();
    let avatar = world.client_call(account.login(name.into())).unwrap();
    assert!(world.has_client(avatar) && !world.exists(account));
    world.client_call(avatar.join(room.into())).unwrap();
    avatar
}

/// What a client was told by a method.
fn told<T: sdk::Value>(world: &mut World, who: Ref<Avatar>, method: &str) -> Vec<T> {
    world.received(who).iter().filter(|call| call.method == method).map(|call| call.args::<T>()).collect()
}

#[test]
fn names_are_refused_or_given_once() {
    let mut world = World::new();
    let ada = enter(&mut world, "Ada", "hall");
    let account = world.connect::<Account>();
    let mut refusal =
        |name: &str| world.client_call(account.login(name.into())).unwrap_err().refused::<String>();
    assert_eq!(refusal("Ada").as_deref(), Some("name-taken"));
    assert_eq!(refusal(" ").as_deref(), Some("bad-name"));
    assert_eq!(refusal(&"x".repeat(33)).as_deref(), Some("bad-name"));
    world.disconnect(ada);
    assert!(world.client_call(account.login("Ada".into())).is_ok(), "a name is free when its avatar is gone");
}

#[test]
fn everybody_in_a_room_hears_it_with_its_number() {
    let mut world = World::new();
    let (ada, bob) = (enter(&mut world, "Ada", "hall"), enter(&mut world, "Bob", "hall"));
    let eve = enter(&mut world, "Eve", "cellar");
    assert_eq!(world.client_call(ada.say("hi".into())), Ok(1));
    assert_eq!(world.client_call(bob.say("ho".into())), Ok(2));
    let names: Vec<String> = world.client_call(bob.who()).unwrap().iter().cloned().collect();
    assert_eq!(names, ["Ada", "Bob"]);
    for who in [ada, bob] {
        let said: Vec<u64> = told::<(String, String, String, u64)>(&mut world, who, "said")
            .into_iter()
            .map(|it| it.3)
            .collect();
        assert_eq!(said, [1, 2]);
    }
    assert!(told::<(String, String, String, u64)>(&mut world, eve, "said").is_empty());
}

#[test]
fn operators_announce_to_everybody_and_only_they() {
    let mut world = World::new();
    let (ada, bob) = (enter(&mut world, "Ada", "hall"), enter(&mut world, "Bob", "cellar"));
    // Operators go by names: what is for them alone is no method of a `Ref`.
    let lobby = world.shard::<Lobby>(0);
    let names = world.act(lobby, |lobby, cx| Ok::<_, Fail>(lobby.announce(cx, "a pause".into()))).unwrap();
    assert_eq!(names, 2);
    for who in [ada, bob] {
        assert_eq!(told::<(String,)>(&mut world, who, "notice"), [("a pause".to_owned(),)]);
    }
}

#[test]
fn who_is_silent_for_five_minutes_is_shown_the_door() {
    let mut world = World::new();
    let (ada, bob) = (enter(&mut world, "Ada", "hall"), enter(&mut world, "Bob", "hall"));
    world.advance(mins(4));
    world.client_call(bob.say("still here".into())).unwrap();
    world.advance(secs(90));
    assert!(!world.exists(ada) && world.exists(bob));
}

#[test]
fn what_a_room_is_about_is_for_all_in_it_to_see() {
    let mut world = World::new();
    let (ada, bob) = (enter(&mut world, "Ada", "hall"), enter(&mut world, "Bob", "hall"));
    world.client_call(ada.topic("clocks".into())).unwrap();
    let sight = world.client_call(bob.look()).unwrap();
    assert_eq!((sight.name, sight.room, sight.topic), ("Bob".into(), "hall".into(), "clocks".into()));
    let refused = world.client_call(bob.topic("x".repeat(101))).unwrap_err();
    assert_eq!(refused.refused::<String>().as_deref(), Some("too-long"));
}

#[test]
fn a_room_that_is_gone_is_made_again_for_the_next_one() {
    let mut world = World::new();
    let ada = enter(&mut world, "Ada", "hall");
    let gone = world.space_of(ada).unwrap();
    let room = Ref::<Room>::new(gone);
    let end = |_: &mut Room, cx: &mut Context| {
        cx.destroy_me();
        Ok::<_, Fail>(())
    };
    world.act(room, end).unwrap();
    let bob = enter(&mut world, "Bob", "hall");
    assert!(world.space_of(bob).is_some_and(|hall| hall != gone));
}
