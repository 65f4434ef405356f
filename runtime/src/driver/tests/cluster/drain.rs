//! A game that is drained: nothing of what can go is lost, and nothing new comes.

use super::rig::Rig;
use crate::game::SpaceKind;
use crate::game::admin::{AdminAnswer, AdminRequest};
use crate::game::report::DrainReport;
use everwake_protocol::EntityId;
use serde_json::{Value, json};

fn drain(rig: &mut Rig, at: usize, on: Option<bool>) -> DrainReport {
    match rig.wait(at, AdminRequest::Drain { on }) {
        AdminAnswer::Drain(report) => report,
        other => panic!("a report: {other:?}"),
    }
}

/// Members of a game's spaces of a kind.
fn members(rig: &Rig, at: usize, kind: SpaceKind) -> Vec<EntityId> {
    let game = rig.places[at].game.as_ref().unwrap().game();
    game.directory.inside(kind).map(|(entity, _)| entity).collect()
}

fn everywhere(rig: &Rig) -> Vec<EntityId> {
    let mut all: Vec<EntityId> = rig
        .living()
        .into_iter()
        .flat_map(|at| [SpaceKind::Nil, SpaceKind::Space].map(|kind| members(rig, at, kind)).concat())
        .collect();
    all.sort_unstable();
    all
}

/// Walkers all over the cluster; at least one is in no space of game 0.
fn populated(seed: u64) -> Rig {
    let mut rig = Rig::running(seed, 3, 1 + seed as usize % 2);
    let shard = super::shard_at(&rig, 1);
    for _ in 0..12 {
        rig.call(1, shard, "walker", json!([]));
    }
    while members(&rig, 0, SpaceKind::Nil).len() < 3 {
        rig.call(1, shard, "walker", json!([]));
        rig.pass(50);
    }
    rig.pass(300);
    rig
}

fn room_at(rig: &mut Rig, at: usize) -> EntityId {
    let shard = super::shard_at(rig, 1);
    let rooms = |rig: &Rig| {
        let game = rig.places[at].game.as_ref().unwrap().game();
        game.directory.spaces().find(|(_, row)| row.kind == SpaceKind::Space).map(|(id, _)| id)
    };
    while rooms(rig).is_none() {
        rig.call(1, shard, "room", json!([]));
        rig.pass(50);
    }
    rooms(rig).unwrap()
}

/// What a walker says, wherever it is; while it is on its way nobody knows it.
fn steps(rig: &mut Rig, walker: EntityId) -> Value {
    loop {
        let is_there = |at: &usize| {
            let game = rig.places[*at].game.as_ref().unwrap().game();
            game.directory.location(walker).is_some_and(|at| at.leaving.is_none())
        };
        if let Some(at) = rig.living().into_iter().find(is_there) {
            match rig.call(at, walker, "steps", json!([])) {
                AdminAnswer::Value(value) => return value[1].clone(),
                // It went meanwhile; an operator's answer does not follow it.
                AdminAnswer::Bad(_) | AdminAnswer::Failed { certainty: "unknown", .. } => {}
                other => panic!("an answer: {other:?}"),
            }
        }
        rig.step();
    }
}

#[test]
fn whoever_is_in_no_space_goes_on_elsewhere() {
    for seed in 0..12 {
        let mut rig = populated(seed);
        let (before, going) = (everywhere(&rig), members(&rig, 0, SpaceKind::Nil));
        let first = drain(&mut rig, 0, Some(true));
        assert!(first.drains && first.takers == 2, "seed {seed}: {first:?}");
        for _ in 0..3 {
            for walker in &going {
                assert_eq!(steps(&mut rig, *walker), 0, "seed {seed}");
            }
        }
        let left = |rig: &Rig| members(rig, 0, SpaceKind::Nil).is_empty();
        assert!(rig.until(10_000, left), "seed {seed}: {:?}", drain(&mut rig, 0, None));
        rig.pass(1_000);
        let then = drain(&mut rig, 0, None);
        assert_eq!((then.free, then.gone), (0, going.len() as u64), "seed {seed}");
        assert_eq!(everywhere(&rig), before, "seed {seed}: each lives once");
        // Nothing new comes, until it is wanted again.
        let shard = super::shard_at(&rig, 1);
        let born = |rig: &mut Rig| {
            (0..20).for_each(|_| drop(rig.call(1, shard, "walker", json!([]))));
            rig.pass(500);
            members(rig, 0, SpaceKind::Nil).len()
        };
        assert_eq!(born(&mut rig), 0, "seed {seed}");
        assert!(!drain(&mut rig, 0, Some(false)).drains);
        assert!(born(&mut rig) > 0, "seed {seed}: it takes its share again");
        rig.agrees();
    }
}

#[test]
fn what_a_drained_game_cannot_let_go_is_counted_and_goes_when_it_leaves_its_space() {
    for seed in 0..4 {
        let mut rig = populated(seed);
        let room = room_at(&mut rig, 0);
        let walkers = members(&rig, 0, SpaceKind::Nil);
        for walker in &walkers[..2] {
            rig.call(0, *walker, "go", json!([room.to_string()]));
        }
        let inside = |rig: &Rig| members(rig, 0, SpaceKind::Space).len() == 2;
        assert!(rig.until(10_000, inside), "seed {seed}");
        drain(&mut rig, 0, Some(true));
        assert!(rig.until(10_000, |rig| members(rig, 0, SpaceKind::Nil).is_empty()), "seed {seed}");
        rig.pass(500);
        let stuck = drain(&mut rig, 0, None);
        assert_eq!((stuck.free, stuck.inside), (0, 2), "seed {seed}: {stuck:?}");
        assert!(stuck.spaces >= 1 && stuck.services >= 1, "seed {seed}: {stuck:?}");
        let elsewhere = room_at(&mut rig, 2);
        rig.call(0, walkers[0], "go", json!([elsewhere.to_string()]));
        let went = |rig: &Rig| members(rig, 2, SpaceKind::Space).contains(&walkers[0]);
        assert!(rig.until(10_000, went), "seed {seed}");
        assert_eq!(steps(&mut rig, walkers[0]), 2, "seed {seed}");
    }
}

#[test]
fn a_game_that_has_nobody_to_give_to_keeps_what_it_has() {
    let mut rig = populated(3);
    (1..3).for_each(|at| assert!(drain(&mut rig, at, Some(true)).drains));
    rig.pass(500);
    let before = everywhere(&rig);
    let alone = drain(&mut rig, 0, Some(true));
    assert_eq!(alone.takers, 0, "{alone:?}");
    rig.pass(2_000);
    assert_eq!(everywhere(&rig), before);
    // One takes again: all go there.
    drain(&mut rig, 1, Some(false));
    let all = |rig: &Rig| members(rig, 1, SpaceKind::Nil).len() == before.len();
    assert!(rig.until(20_000, all), "{:?}", drain(&mut rig, 0, None));
    rig.pass(500);
    assert_eq!(everywhere(&rig), before);
}

#[test]
fn a_drain_holds_through_a_publication_and_the_death_of_who_takes() {
    for seed in 0..6 {
        let mut rig = populated(seed);
        let mine = members(&rig, 0, SpaceKind::Nil);
        rig.ask(0, AdminRequest::Drain { on: Some(true) });
        rig.ask_publish(1, 2);
        rig.pass(seed * 40);
        rig.kill(2);
        let left = |rig: &Rig| members(rig, 0, SpaceKind::Nil).is_empty();
        assert!(rig.until(30_000, left), "seed {seed}: {:?}", drain(&mut rig, 0, None));
        rig.pass(2_000);
        // Who had arrived in the game that died is gone with it; nobody else.
        let there = everywhere(&rig);
        let lost = mine.iter().filter(|walker| !there.contains(walker)).count();
        assert!(lost < mine.len() || seed > 0, "seed {seed}");
        let mut once = there.clone();
        once.dedup();
        assert_eq!(once, there, "seed {seed}: nobody lives twice");
    }
}
