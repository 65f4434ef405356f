//! The chat: names, rooms, order, idleness, loss, and a second version in the middle of it.

use crate::built::{kit, sample};
use everwake_runtime::game::admin::{AdminAnswer, AdminRequest};
use everwake_testkit::{Called, Certainty, Outcome, Player, Value, World};
use std::time::Duration;

/// A chat with its lobby.
pub(crate) fn chat(features: &[&str], version: &str) -> World {
    World::new(kit()).seed(3).module(&sample("chat", features, version)).start()
}

/// Somebody who is logged in.
#[track_caller]
pub(crate) fn enter(world: &mut World, name: &str) -> Player {
    let player = world.connect("chat");
    world.call(player, "login", &[name.into()]).unwrap();
    world.advance(Duration::from_millis(50));
    assert_eq!(world.attribute(player, "name"), name.into());
    player
}

/// Somebody who is in a room.
#[track_caller]
pub(crate) fn enter_room(world: &mut World, name: &str, room: &str) -> Player {
    let player = enter(world, name);
    world.call(player, "join", &[room.into()]).unwrap();
    world.advance(Duration::from_millis(100));
    assert_eq!(world.attribute(player, "room"), room.into());
    player
}

/// What was said in rooms: who, text, number.
pub(crate) fn said(calls: &[Called]) -> Vec<(String, String, i128)> {
    let said = calls.iter().filter(|call| call.method == "said");
    let parts = said.map(|call| match call.args.as_slice() {
        [_, Value::Text(who), Value::Text(text), Value::Int(number)] => (who.clone(), text.clone(), *number),
        other => panic!("`said` with {other:?}"),
    });
    parts.collect()
}

fn texts(calls: &[Called], method: &str, place: usize) -> Vec<String> {
    let of_method = calls.iter().filter(|call| call.method == method);
    of_method
        .map(|call| match &call.args[place] {
            Value::Text(text) => text.clone(),
            other => panic!("`{method}` with {other:?}"),
        })
        .collect()
}

fn refusal(outcome: Result<Value, Outcome>) -> String {
    match outcome {
        Err(Outcome::Err { certainty: Certainty::Refused, detail, .. }) => {
            match Value::decode(&detail).unwrap() {
                Value::Text(text) => text,
                other => panic!("refused with {other:?}"),
            }
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_name_belongs_to_one_avatar_until_it_is_gone() {
    let mut world = chat(&[], "1");
    let alice = enter(&mut world, "alice");
    let second = world.connect("chat");
    assert_eq!(refusal(world.call(second, "login", &["alice".into()])), "name-taken");
    assert_eq!(refusal(world.call(second, "login", &["   ".into()])), "bad-name");
    world.disconnect(alice);
    world.advance(Duration::from_secs(1));
    world.call(second, "login", &["alice".into()]).unwrap();
    world.advance(Duration::from_millis(50));
    assert_eq!(world.attribute(second, "name"), "alice".into());
    world.check();
}

#[test]
fn everybody_in_a_room_hears_everything_in_one_order() {
    let mut world = chat(&[], "1");
    let names = ["alice", "bob", "carol"];
    let players: Vec<Player> = names.iter().map(|name| enter_room(&mut world, name, "hall")).collect();
    let stranger = enter_room(&mut world, "mallory", "cellar");
    let heard_of = texts(&world.take_calls(players[0]), "joined", 1);
    assert_eq!(heard_of, ["alice", "bob", "carol"]);
    players.iter().for_each(|player| drop(world.take_calls(*player)));
    world.take_calls(stranger);
    let mut requests = Vec::new();
    for round in 0..10 {
        for (player, name) in players.iter().zip(names) {
            let text = Value::from(format!("{name} {round}"));
            requests.push((*player, world.request(*player, "say", &[text])));
        }
    }
    world.advance(Duration::from_secs(1));
    for (player, request) in requests {
        assert!(matches!(world.outcome(player, request), Some(Outcome::Ok(_))), "a word was not answered");
    }
    let heard: Vec<_> = players.iter().map(|player| said(&world.take_calls(*player))).collect();
    assert_eq!(heard[0].len(), 30);
    assert_eq!(heard[0], heard[1]);
    assert_eq!(heard[0], heard[2]);
    let numbers: Vec<i128> = heard[0].iter().map(|(.., number)| *number).collect();
    assert_eq!(numbers, (1..=30).collect::<Vec<_>>());
    for name in names {
        let own: Vec<&String> =
            heard[0].iter().filter(|(who, ..)| who == name).map(|(_, text, _)| text).collect();
        assert_eq!(
            own,
            (0..10).map(|round| format!("{name} {round}")).collect::<Vec<_>>().iter().collect::<Vec<_>>()
        );
    }
    assert_eq!(said(&world.take_calls(stranger)), [], "words went through a wall");
    world.check();
}

#[test]
fn who_is_there_and_who_shouts() {
    let mut world = chat(&[], "1");
    let bob = enter_room(&mut world, "bob", "hall");
    let alice = enter_room(&mut world, "alice", "hall");
    let mallory = enter_room(&mut world, "mallory", "cellar");
    let names = |value| match value {
        Value::List(names) => names,
        other => panic!("{other:?}"),
    };
    assert_eq!(names(world.call(bob, "who", &[]).unwrap()), ["alice".into(), "bob".into()]);
    world.call(mallory, "shout", &["fire".into()]).unwrap();
    world.advance(Duration::from_millis(100));
    for player in [alice, bob, mallory] {
        assert_eq!(texts(&world.take_calls(player), "notice", 0), ["mallory shouts: fire"]);
    }
    world.call(alice, "join", &["cellar".into()]).unwrap();
    world.advance(Duration::from_millis(100));
    assert_eq!(texts(&world.take_calls(bob), "left", 1), ["alice"]);
    assert_eq!(names(world.call(bob, "who", &[]).unwrap()), ["bob".into()]);
    world.check();
}

#[test]
fn who_is_idle_for_five_minutes_is_kicked_and_who_talks_is_not() {
    let mut world = chat(&[], "1");
    let idle = enter_room(&mut world, "idle", "hall");
    let busy = enter_room(&mut world, "busy", "hall");
    for minute in 0..6 {
        assert!(world.closed(idle).is_none() || minute >= 5, "kicked after {minute} minutes");
        world.call(busy, "say", &["still here".into()]).unwrap();
        world.advance(Duration::from_secs(60));
    }
    let (_, reason) = world.closed(idle).expect("still there after six minutes");
    assert!(reason.contains("idle"), "{reason}");
    assert!(world.closed(busy).is_none());
    assert_eq!(texts(&world.take_calls(busy), "left", 1), ["idle"]);
    world.check();
}

#[test]
fn timers_find_a_handler_that_a_new_version_calls_otherwise() {
    let mut world = chat(&[], "1");
    let idle = enter_room(&mut world, "idle", "hall");
    world.advance(Duration::from_secs(100));
    let report = world.publish(&sample("chat", &["v2"], "2"));
    assert!(report.published, "{report:?}");
    assert!(
        report.changes.iter().any(|it| it.contains("method `on_check` is called `on_silence` now")),
        "{report:?}"
    );
    world.advance(Duration::from_secs(180));
    assert!(world.closed(idle).is_none(), "kicked too early");
    world.advance(Duration::from_secs(40));
    assert!(world.closed(idle).expect("nobody looked any more").1.contains("idle"));
    // And back, with timers that wait for the new name.
    let late = enter_room(&mut world, "late", "hall");
    let back = AdminRequest::Rollback { module: None, to: Some(report.from), irreversible: false };
    assert!(matches!(world.ask(back), AdminAnswer::Publication(report) if report.published));
    world.advance(Duration::from_secs(330));
    assert!(world.closed(late).is_some(), "nobody looked after the way back");
    world.check();
}

#[test]
fn who_pulls_the_plug_leaves_the_room_and_frees_the_name() {
    let mut world = chat(&[], "1");
    let alice = enter_room(&mut world, "alice", "hall");
    let bob = enter_room(&mut world, "bob", "hall");
    world.take_calls(bob);
    world.disconnect(alice);
    world.advance(Duration::from_secs(1));
    assert_eq!(texts(&world.take_calls(bob), "left", 1), ["alice"]);
    let again = enter_room(&mut world, "alice", "hall");
    assert_eq!(world.call(again, "say", &["back".into()]), Ok(Value::Int(1)));
    world.check();
}

#[test]
fn a_second_version_comes_in_the_middle_of_a_conversation() {
    let mut world = chat(&[], "1");
    let alice = enter_room(&mut world, "alice", "hall");
    let bob = enter_room(&mut world, "bob", "hall");
    world.take_calls(bob);
    world.call(alice, "say", &["one".into()]).unwrap();
    let report = world.publish(&sample("chat", &["v2"], "2"));
    assert!(report.published, "{report:?}");
    assert_eq!(world.call(alice, "version", &[]), Ok("2 mood".into()));
    assert_eq!(
        world.attribute(alice, "mood"),
        "calm".into(),
        "a new attribute has its initial value at once"
    );
    world.call(alice, "say", &["two!".into()]).unwrap();
    world.advance(Duration::from_millis(100));
    assert_eq!(world.attribute(alice, "mood"), "loud".into());
    assert_eq!(world.attribute(bob, "mood"), "calm".into(), "of everybody, without reconnecting");
    let expected =
        [("alice".to_owned(), "one".to_owned(), 1), ("alice (loud)".to_owned(), "two! [v2]".to_owned(), 2)];
    assert_eq!(said(&world.take_calls(bob)), expected);
    assert_eq!((world.closed(alice), world.closed(bob)), (None, None));
    world.check();
}
