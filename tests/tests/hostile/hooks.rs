//! A panic in a hook undoes what the hook did; the fact stays, and the entity lives on.

use crate::neighbours::{Block, build};
use everwake_testkit::Value;
use std::time::Duration;

/// Hooks in the life of an entity that is spawned, seen, moved next door, given a client, and destroyed. Not here:
/// `load`, `moved-game`, `data` and `reset`, which no single process causes yet; and those below.
const IN_A_LIFE: [&str; 5] = ["create", "enter-space", "enter-aoi", "watched", "destroy"];

/// The crashes in a hook, with the message of its mine.
fn crashed(block: &mut Block, hook: &str) -> bool {
    let wanted = format!("the mine in {hook}");
    block.world.take_crashes().iter().any(|crash| crash.message.contains(&wanted))
}

#[test]
fn an_entity_outlives_its_hooks() {
    for hook in IN_A_LIFE {
        let mut block = Block::new();
        block.call("plant", &[hook.into()]).unwrap();
        block.world.advance(Duration::from_millis(300));
        let vandals = block.world.seen(block.vandal, "Vandal").len();
        assert_eq!(vandals, 3, "it is there though {hook} panicked");
        block.others_live(hook);
        block.call("destroy_bomb", &[]).unwrap();
        block.world.advance(Duration::from_millis(300));
        assert_eq!(block.world.seen(block.vandal, "Vandal").len(), 2, "it is gone though {hook} panicked");
        assert!(crashed(&mut block, hook), "{hook} did not panic");
        block.others_live(hook);
    }
}

#[test]
fn an_entity_leaves_though_hooks_panic() {
    for (hook, whose) in [("leave-space", "its own"), ("leave-aoi", "who sees it go")] {
        let mut block = Block::new();
        let mine = if whose == "its own" { hook } else { "quiet" };
        block.call("plant", &[mine.into()]).unwrap();
        block.world.advance(Duration::from_millis(300));
        if whose != "its own" {
            block.call("mine_me", &[hook.into()]).unwrap();
        }
        block.call("move_bomb", &[]).unwrap();
        block.world.advance(Duration::from_millis(300));
        assert_eq!(block.world.seen(block.vandal, "Vandal").len(), 2, "it went though {hook} panicked");
        assert!(crashed(&mut block, hook), "{hook} did not panic");
        block.others_live(hook);
    }
}

#[test]
fn the_last_viewer_goes_though_the_hook_panics() {
    let mut block = Block::new();
    block.call("plant", &["unwatched".into()]).unwrap();
    block.world.advance(Duration::from_millis(300));
    for viewer in [block.vandal, block.beside] {
        block.world.disconnect(viewer);
        block.world.advance(Duration::from_millis(300));
    }
    assert!(crashed(&mut block, "unwatched"), "unwatched did not panic");
    block.next_door_lives("unwatched");
}

#[test]
fn a_construct_that_panics_is_told_to_the_creator() {
    let mut block = Block::new();
    block.call("construct", &["construct".into()]).unwrap();
    block.world.advance(Duration::from_millis(300));
    assert_eq!(block.call("notes", &[]), Ok(Value::List(vec!["not made".into()])));
    assert!(crashed(&mut block, "construct"));
    block.others_live("construct");
}

#[test]
fn a_space_outlives_its_hooks() {
    for hook in ["member-enter", "member-leave"] {
        let mut block = Block::new();
        block.call("mine_space", &[hook.into()]).unwrap();
        block.call("plant", &["quiet".into()]).unwrap();
        block.world.advance(Duration::from_millis(300));
        assert_eq!(block.world.seen(block.vandal, "Vandal").len(), 3, "{hook}");
        block.call("destroy_bomb", &[]).unwrap();
        block.world.advance(Duration::from_millis(300));
        assert_eq!(block.world.seen(block.vandal, "Vandal").len(), 2, "{hook}");
        assert!(crashed(&mut block, hook), "{hook} did not panic");
        block.others_live(hook);
    }
}

#[test]
fn a_client_is_given_and_lost_though_the_hooks_panic() {
    for hook in ["client", "client-lost"] {
        let mut block = Block::new();
        block.call("plant", &[hook.into()]).unwrap();
        let vandal = block.vandal;
        block.world.request(vandal, "give_to_bomb", &[]);
        block.world.advance(Duration::from_millis(300));
        assert_eq!(block.world.attribute(block.vandal, "mine"), hook.into(), "the client is the bomb's");
        block.world.disconnect(vandal);
        block.world.advance(Duration::from_millis(300));
        assert!(crashed(&mut block, hook), "{hook} did not panic");
        block.others_live(hook);
    }
}

#[test]
fn a_swap_takes_place_though_a_hook_panics() {
    let mut block = Block::new();
    block.call("mine_me", &["swapped".into()]).unwrap();
    let report = block.world.publish(&build("2"));
    assert!(report.published, "{report:?}");
    block.world.advance(Duration::from_millis(300));
    assert!(crashed(&mut block, "swapped"));
    assert_eq!(block.call("version", &[]), Ok("2".into()));
    block.others_live("swapped");
}
