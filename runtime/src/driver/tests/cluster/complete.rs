//! A deployment that is ready once all its games are there, and games that are asked for by name.

use super::rig::Rig;
use super::{shard_at, shards};
use crate::game::admin::AdminAnswer;
use crate::game::report::Fact;
use everwake_protocol::EntityId;
use serde_json::{Value, json};

/// How often each shard of the service that lives has heard that the deployment is ready.
fn heard(rig: &mut Rig) -> Vec<i64> {
    let mut all = Vec::new();
    for shard in shards() {
        for at in rig.living() {
            if rig.places[at].game.as_ref().unwrap().spaces().contains(&shard) {
                all.push(match rig.call(at, shard, "heard", json!([])) {
                    AdminAnswer::Value(value) => value[1].as_i64().unwrap(),
                    other => panic!("an answer: {other:?}"),
                });
            }
        }
    }
    all
}

fn said_ready(rig: &Rig) -> Vec<usize> {
    let ready = |(at, fact): &(usize, Fact)| matches!(fact, Fact::Ready { .. }).then_some(*at);
    let mut all: Vec<usize> = rig.facts.iter().filter_map(ready).collect();
    all.sort_unstable();
    all
}

#[test]
fn each_service_hears_once_that_all_are_there_also_one_that_begins_later() {
    for seed in 0..8 {
        let mut rig = Rig::new(seed, &[1; 3], 1 + seed as usize % 3);
        rig.expected = 3;
        (0..2).for_each(|at| rig.start(at));
        let runs = |rig: &Rig| (0..2).all(|at| rig.module(at).is_some() && rig.is_open(at));
        assert!(rig.until(30_000, runs), "seed {seed}");
        rig.pass(3_000);
        let before = heard(&mut rig);
        assert!(!before.is_empty() && before.iter().all(|count| *count == 0), "seed {seed}: {before:?}");
        assert_eq!(said_ready(&rig), [0_usize; 0]);

        rig.start(2);
        assert!(rig.until(30_000, |rig| rig.is_open(2)), "seed {seed}");
        rig.pass(2_000);
        assert_eq!(said_ready(&rig), [0, 1, 2], "seed {seed}");
        assert!(heard(&mut rig).iter().all(|count| *count == 1), "seed {seed}");

        // What was complete once stays so: a game that comes back hears it, and services that begin there.
        rig.kill(2);
        rig.pass(5_000);
        rig.start(2);
        let back = |rig: &Rig| {
            rig.facts.iter().filter(|(at, fact)| *at == 2 && matches!(fact, Fact::Joined { .. })).count() == 2
        };
        assert!(rig.until(30_000, back), "seed {seed}");
        rig.pass(2_000);
        assert_eq!(said_ready(&rig), [0, 1, 2, 2], "seed {seed}");
        assert!(heard(&mut rig).iter().all(|count| *count == 1), "seed {seed}");
    }
}

fn walkers(rig: &Rig, at: usize) -> Vec<EntityId> {
    let game = rig.places[at].game.as_ref().unwrap().game();
    game.directory.inside(crate::space::SpaceKind::Nil).map(|(entity, _)| entity).collect()
}

#[test]
fn a_game_is_asked_for_by_its_name() {
    let mut rig = Rig::running(1, 3, 2);
    let shard = shard_at(&rig, 0);
    let mut expected = [0, 0, 0];
    for at in [0, 2, 1, 2, 2, 0, 2, 1, 2] {
        let args: Value = json!([format!("game/g-{at}")]);
        rig.call(0, shard, "walker_at", args);
        rig.pass(100);
        expected[at] += 1;
    }
    rig.call(0, shard, "walker_at", json!(["game/g-9"]));
    rig.pass(500);
    assert_eq!([0, 1, 2].map(|at| walkers(&rig, at).len()), expected);
}
