//! What has a name comes back when its game dies: once, and it answers. Who watched others there hears of it.

use super::rig::Rig;
use super::shards;
use crate::game::admin::AdminAnswer;
use everwake_protocol::EntityId;
use serde_json::json;

/// Where a shard of the service is.
fn hosts(rig: &Rig, shard: EntityId) -> Vec<usize> {
    let has = |at: &usize| rig.places[*at].game.as_ref().unwrap().spaces().contains(&shard);
    rig.living().into_iter().filter(has).collect()
}

/// Counts this question, too.
fn hits(rig: &mut Rig, shard: EntityId) -> i64 {
    let [at] = hosts(rig, shard)[..] else { panic!("it is in one place") };
    match rig.call(at, shard, "hit", json!([])) {
        AdminAnswer::Value(value) => value[1].as_i64().unwrap(),
        other => panic!("an answer: {other:?}"),
    }
}

#[test]
fn services_of_a_game_that_died_go_on_in_another_one() {
    for seed in 0..12 {
        let mut rig = Rig::running(seed, 3, 1 + seed as usize % 3);
        for dead in [seed as usize % 3, (seed as usize + 1) % 3] {
            rig.kill(dead);
            if seed % 2 == 1 {
                // It has forgotten what there was, and under which epoch.
                rig.restart_router(0);
            }
            let all_are_back = |rig: &Rig| shards().iter().all(|shard| hosts(rig, *shard).len() == 1);
            assert!(rig.until(30_000, all_are_back), "seed {seed}: {:?}", rig.facts);
            rig.pass(1_000);
            for shard in shards() {
                assert!(hits(&mut rig, shard) > 0, "seed {seed}");
            }
        }
        let last = rig.living();
        assert!(shards().iter().all(|shard| hosts(&rig, *shard) == last), "seed {seed}");
        let home = crate::cargo::home_of(super::model::MODULE);
        assert!(rig.places[last[0]].game.as_ref().unwrap().game().has(home), "seed {seed}");
    }
}

/// The sender keeps what it has never heard to have arrived, and sends it again once it hears of the death.
#[test]
fn what_a_service_took_before_it_died_does_not_run_again_after() {
    let mut reborn = 0;
    for seed in 0..12 {
        let mut rig = Rig::running(seed, 3, 1 + seed as usize % 3);
        let sender = shards()[0];
        let at = hosts(&rig, sender)[0];
        let Some(target) = shards().into_iter().find(|shard| hosts(&rig, *shard)[0] != at) else { continue };
        let dead = hosts(&rig, target)[0];
        rig.deaf = Some(at);
        (0..3).for_each(|_| drop(rig.call(at, sender, "greet", json!([target.to_string()]))));
        rig.pass(500);
        assert_eq!(hits(&mut rig, target), 4, "seed {seed}");
        rig.kill(dead);
        assert!(rig.until(30_000, |rig| hosts(rig, target).len() == 1), "seed {seed}");
        rig.deaf = None;
        rig.pass(2_000);
        assert_eq!(hits(&mut rig, target), 1, "seed {seed}: what ran before ran again");
        // What is new arrives.
        rig.call(at, sender, "greet", json!([target.to_string()]));
        rig.pass(500);
        assert_eq!(hits(&mut rig, target), 3, "seed {seed}");
        reborn += 1;
    }
    assert!(reborn > 4, "{reborn}");
}

/// Also if no dispatcher knows any more that there was another life: its numbers begin anew, and are no doubles.
#[test]
fn what_a_service_says_in_its_next_life_is_heard_by_whom_it_spoke_to_before() {
    for seed in 0..12 {
        let mut rig = Rig::running(seed, 3, 1 + seed as usize % 3);
        let listener = shards()[0];
        let at = hosts(&rig, listener)[0];
        let Some(speaker) = shards().into_iter().find(|shard| hosts(&rig, *shard)[0] != at) else { continue };
        let greet = |rig: &mut Rig| {
            let host = hosts(rig, speaker)[0];
            (0..3).for_each(|_| drop(rig.call(host, speaker, "greet", json!([listener.to_string()]))));
            rig.pass(500);
        };
        greet(&mut rig);
        assert_eq!(hits(&mut rig, listener), 4, "seed {seed}");
        let dead = hosts(&rig, speaker)[0];
        rig.kill(dead);
        (0..1 + seed as usize % 3).for_each(|router| rig.restart_router(router));
        assert!(rig.until(30_000, |rig| hosts(rig, speaker).len() == 1), "seed {seed}");
        rig.pass(500);
        greet(&mut rig);
        assert_eq!(hits(&mut rig, listener), 8, "seed {seed}");
    }
}

#[test]
fn who_watches_somebody_hears_once_that_its_game_has_died() {
    for seed in 0..12 {
        let mut rig = Rig::running(seed, 3, 1 + seed as usize % 3);
        let watcher = shards()[0];
        let at = hosts(&rig, watcher)[0];
        let (dead, other) = ((at + 1) % 3, (at + 2) % 3);
        let walkers = |rig: &Rig, at: usize| super::of(rig, at, "walker");
        for host in [dead, other] {
            let name = format!("game/g-{host}");
            rig.call(at, watcher, "walker_at", json!([name]));
        }
        let there = |rig: &Rig| [dead, other].iter().all(|host| !walkers(rig, *host).is_empty());
        assert!(rig.until(10_000, there), "seed {seed}");
        for host in [dead, other] {
            let whom = walkers(&rig, host)[0];
            rig.call(at, watcher, "watch", json!([whom.to_string()]));
        }
        rig.pass(1_000);
        let lost = |rig: &mut Rig| match rig.call(at, watcher, "lost", json!([])) {
            AdminAnswer::Value(value) => value[1].as_i64().unwrap(),
            other => panic!("an answer: {other:?}"),
        };
        assert_eq!(lost(&mut rig), 0, "seed {seed}");
        rig.kill(dead);
        rig.pass(10_000);
        assert_eq!(lost(&mut rig), 1, "seed {seed}");
    }
}
