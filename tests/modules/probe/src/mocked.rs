//! The same acts in the SDK's mock world, and what the module itself could notice of them, as text.

use crate::{Actor, Desk, Hall, Module};
use everwake::mock::{ClientCall, World};
use everwake::*;
use std::collections::BTreeMap;

/// How the act was answered, and what the world is like after it.
pub fn run(what: &str, end: &str) -> (String, String) {
    let mut world = World::<Module>::new();
    let actor = world.connect::<Actor>();
    world.advance(ms(100));
    let observer = world.connect::<Actor>();
    world.advance(ms(100));
    assert_eq!(world.client_call(actor.prepare()), Ok(()), "the stage is not set");
    world.advance(ms(300));
    let friend = world.get(actor).friend;
    let victim = world.get(actor).victim;
    let hall: Ref<Hall> = Ref::new(world.space_of(friend).unwrap_or_default());
    for guest in [actor, observer] {
        world.received(guest);
    }
    let answer = trapping(|| world.client_call(actor.probe(what.to_owned(), end.to_owned())));
    let answer = match answer {
        Some(Ok(())) => "ok".to_owned(),
        Some(Err(error)) => error.code().to_owned(),
        None => "trapped".to_owned(),
    };
    world.advance(secs(2));
    let mut view = String::new();
    for (name, entity) in [("guest 1", actor), ("guest 2", observer), ("friend", friend), ("victim", victim)]
    {
        let Some(known) = world.try_get(entity) else {
            view.push_str(&format!("{name} is gone\n"));
            continue;
        };
        let notes: Vec<&String> = known.notes.iter().collect();
        let table: BTreeMap<&String, &i32> = known.table.iter().collect();
        let (pose, client) = (world.pose_of(entity), world.has_client(entity));
        let here = world.space_of(entity) == Some(hall.id());
        view.push_str(&format!("{name} {} {notes:?} {table:?}", known.value));
        view.push_str(&format!(" at {} {} here {here} client {client}\n", pose.x, pose.z));
    }
    let desk: Vec<String> = world.get(world.shard::<Desk>(0)).notes.iter().cloned().collect();
    view.push_str(&format!("desk {desk:?}\nhall {}\n", world.get(hall).value));
    for (name, entity) in [("guest 1", actor), ("guest 2", observer), ("friend", friend)] {
        let words = |call: &ClientCall| format!("{}{:?}", call.method, call.args::<(String,)>());
        let heard: Vec<String> = world.received(entity).iter().map(words).collect();
        view.push_str(&format!("{name} heard {heard:?}\n"));
    }
    (answer, view)
}

/// A panic of the module is a trap; none.
fn trapping<R>(act: impl FnOnce() -> R) -> Option<R> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).ok()
}
