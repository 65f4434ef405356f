//! Publications over all games of a cluster: who decides, who goes over when, and what becomes of it if somebody dies.

mod complete;
mod deaths;
mod drain;
mod model;
mod rig;

use crate::cargo::peer::Peer;
use crate::game::admin::{AdminAnswer, AdminRequest};
use crate::game::report::{Fact, VersionState};
use crate::message::service_shard;
use everwake_protocol::EntityId;
use model::{BELL, LARGE, MODULE, PICKY, SHARDS};
use rig::{Rig, report};
use serde_json::json;

fn shards() -> Vec<EntityId> {
    (0..SHARDS).map(|shard| service_shard(MODULE, "Post", shard)).collect()
}

/// A game that has a shard of the service, and the shard.
fn shard_at(rig: &Rig, at: usize) -> EntityId {
    let spaces = rig.places[at].game.as_ref().unwrap().spaces();
    shards().into_iter().find(|shard| spaces.contains(shard)).expect("a shard")
}

/// Rooms or walkers of a game.
fn of(rig: &Rig, at: usize, kind: &str) -> Vec<EntityId> {
    let game = rig.places[at].game.as_ref().unwrap();
    let all = EntityId::default()..=EntityId(everwake_protocol::Id([u32::MAX; 4]));
    let spaces = game.spaces().into_iter();
    let found = spaces.flat_map(|space| {
        let within = game.with_space(space, |core| core.entities_within(&all)).unwrap();
        within.into_iter().map(move |entity| (space, entity))
    });
    found
        .filter(|(space, entity)| match kind {
            "room" => space == entity && !shards().contains(entity),
            _ => space != entity,
        })
        .map(|(_, entity)| entity)
        .collect()
}

fn version_at(rig: &mut Rig, at: usize) -> i64 {
    let shard = shard_at(rig, at);
    match rig.call(at, shard, "hit", json!([])) {
        AdminAnswer::Value(value) => value[0].as_i64().unwrap(),
        other => panic!("an answer: {other:?}"),
    }
}

#[test]
fn games_that_start_together_run_the_same_and_their_services_once() {
    for seed in 0..10 {
        let mut rig = Rig::running(seed, 3, 1 + seed as usize % 3);
        assert_eq!(rig.agrees(), (1, "1".into()));
        let all: Vec<EntityId> =
            rig.living().iter().flat_map(|at| rig.places[*at].game.as_ref().unwrap().spaces()).collect();
        for shard in shards() {
            assert_eq!(all.iter().filter(|space| **space == shard).count(), 1, "seed {seed}");
        }
        let leads = rig.facts.iter().filter(|(_, fact)| *fact == Fact::Leads).count();
        assert_eq!(leads, 1, "seed {seed}: {:?}", rig.facts);
        rig.pass(100);
    }
}

#[test]
fn a_publication_at_any_game_reaches_all_and_all_say_so() {
    for seed in 0..6 {
        let mut rig = Rig::running(seed, 3, 2);
        for (at, version) in [(0, 2), (1, 3), (2, LARGE)] {
            let told = rig.publish(at, version);
            assert!(told.published && told.exit == 0, "seed {seed}: {told:?}");
            let games: Vec<&str> = told.games.iter().map(|site| site.game.as_str()).collect();
            assert_eq!(games, ["g-0", "g-1", "g-2"]);
            assert_eq!(told.spaces, told.games.iter().map(|site| site.spaces).sum::<usize>());
            rig.pass(100);
            assert_eq!(rig.agrees(), (told.generation, version.to_string()));
        }
        assert!((0..3).all(|at| version_at(&mut rig, at) == LARGE), "seed {seed}");
        let AdminAnswer::Versions(versions) = rig.wait(1, AdminRequest::Versions { module: None }) else {
            panic!("versions");
        };
        let told: Vec<_> = versions.iter().map(|it| (it.generation, it.state, it.games.len())).collect();
        let [superseded, probation] = [VersionState::Superseded, VersionState::Probation];
        assert_eq!(
            told,
            [(4, probation, 3), (3, superseded, 3), (2, superseded, 3), (1, VersionState::Passed, 3)]
        );
        let AdminAnswer::Status(status) = rig.wait(2, AdminRequest::Status) else { panic!("a status") };
        let games: Vec<_> =
            status.games.iter().map(|game| (game.answers, game.modules[0].generation)).collect();
        assert_eq!(games, [(true, 4); 3]);
        assert_eq!(status.games.iter().filter(|game| game.leads).count(), 1);
        let back = AdminRequest::Rollback { module: None, to: Some("2".into()), irreversible: true };
        let told = report(rig.wait(0, back));
        assert!(told.published && told.generation == 5, "{told:?}");
        rig.pass(100);
        assert_eq!(rig.agrees(), (5, "2".into()));
    }
}

#[test]
fn a_plan_asks_all_games_and_changes_nothing() {
    let mut rig = Rig::running(1, 3, 1);
    let told = report(rig.wait(2, AdminRequest::Plan { bytes: model::file(2), options: Default::default() }));
    let spaces: usize = rig.living().iter().map(|at| rig.status(*at).spaces.len()).sum();
    assert_eq!((told.exit, told.published, told.spaces), (0, false, spaces), "{told:?}");
    rig.pass(100);
    assert_eq!(rig.agrees(), (1, "1".into()));
}

#[test]
fn services_of_a_new_version_begin_when_all_run_it_and_it_does_not_go_back_over_them() {
    for seed in 0..6 {
        let mut rig = Rig::running(seed, 3, 2);
        assert!(rig.publish(1, BELL).published);
        rig.pass(300);
        assert_eq!(rig.agrees(), (2, BELL.to_string()));
        let all = |rig: &Rig| -> Vec<EntityId> {
            rig.living().iter().flat_map(|at| rig.places[*at].game.as_ref().unwrap().spaces()).collect()
        };
        let bells = [0, 1].map(|shard| service_shard(MODULE, "Bell", shard));
        for bell in bells {
            assert_eq!(all(&rig).iter().filter(|space| **space == bell).count(), 1, "seed {seed}");
        }
        let failed = |(_, fact): &(usize, Fact)| matches!(fact, Fact::ServiceFailed { .. });
        assert!(!rig.facts.iter().any(failed), "seed {seed}: {:?}", rig.facts);
        for at in [0, 1, 2] {
            let shard = shard_at(&rig, at);
            rig.call(at, shard, "crash", json!([]));
        }
        rig.pass(500);
        assert_eq!(rig.agrees(), (2, BELL.to_string()));
        assert!((0..3).all(|at| rig.module(at).unwrap().state == Some(VersionState::Halted)));
    }
}

#[test]
fn of_two_publications_at_once_one_comes_after_the_other_or_is_refused() {
    let mut outcomes = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let mut rig = Rig::running(seed, 3, 2);
        let first = rig.ask_publish(1, 2);
        if seed % 2 == 0 {
            rig.pass(seed * 3);
        }
        let second = rig.ask_publish(2, 3);
        let (first, second) = (report(rig.wait_for(1, first)), report(rig.wait_for(2, second)));
        rig.pass(200);
        let (generation, label) = rig.agrees();
        let good = [&first, &second].into_iter().filter(|told| told.published).count();
        assert_eq!(generation as usize, 1 + good, "seed {seed}: {first:?} {second:?}");
        let newest =
            [&first, &second].into_iter().filter(|told| told.published).max_by_key(|told| told.generation);
        assert_eq!(newest.map(|told| told.label.clone()), Some(label));
        for refused in [&first, &second].into_iter().filter(|told| !told.published) {
            assert!(refused.refusals[0].contains("under way"), "{refused:?}");
        }
        outcomes.insert(good);
    }
    assert!(outcomes.contains(&1), "never did two meet");
}

#[test]
fn if_one_game_refuses_nobody_swaps_and_the_author_hears_who_and_why() {
    let mut rig = Rig::running(3, 3, 2);
    let shard = shard_at(&rig, 0);
    for _ in 0..3 {
        rig.call(0, shard, "walker", json!([]));
    }
    rig.pass(200);
    let told = rig.publish(1, PICKY);
    assert_eq!((told.exit, told.published), (2, false), "{told:?}");
    assert!(told.refusals.iter().any(|why| why.contains("`migrate` fails for 3 entities")), "{told:?}");
    rig.pass(100);
    assert_eq!(rig.agrees(), (1, "1".into()));
    // And it is in nobody's way.
    assert!(rig.publish(2, 2).published);
    rig.pass(100);
    assert_eq!(rig.agrees(), (2, "2".into()));
}

#[test]
fn a_game_that_comes_later_takes_what_runs_and_not_its_file() {
    for seed in 0..6 {
        let mut rig = Rig::new(seed, &[1, 1, 3], 2);
        (0..2).for_each(|at| rig.start(at));
        assert!(
            rig.until(30_000, |rig| (0..2).all(|at| rig.module(at).is_some() && rig.is_open(at))),
            "{:?}",
            rig.facts
        );
        assert!(rig.publish(1, 2).published);
        assert!(rig.publish(0, LARGE).published);
        rig.start(2);
        assert!(rig.until(5_000, |rig| rig.is_open(2)), "{:?}", rig.facts);
        rig.pass(500);
        assert_eq!(rig.agrees(), (3, LARGE.to_string()), "seed {seed}");
        // It can lead as well, and go back to what it never ran.
        rig.kill(0);
        rig.kill(1);
        assert!(rig.until(30_000, |rig| rig.facts.contains(&(2, Fact::Leads))), "{:?}", rig.facts);
        let back = AdminRequest::Rollback { module: None, to: Some("2".into()), irreversible: true };
        assert!(report(rig.wait(2, back)).published);
        rig.start(0);
        rig.start(1);
        rig.pass(2_000);
        assert_eq!(rig.agrees(), (4, "2".into()), "seed {seed}");
    }
}

/// Publishes at game `at`, kills game `victim` after so many steps, and lets everybody come to rest.
fn killed_meanwhile(seed: u64, at: usize, victim: usize, steps: u64) -> Rig {
    let mut rig = Rig::running(seed, 4, 2);
    let ticket = rig.ask_publish(at, LARGE);
    (0..steps).for_each(|_| rig.step());
    rig.kill(victim);
    rig.pass(12_000);
    if at != victim {
        let told = report(rig.answer(at, ticket).expect("an answer"));
        // Who does not know how it ended says so.
        let is_unsure = told.refusals.iter().any(|why| why.contains("not known how it ended"));
        let (generation, _) = rig.agrees();
        assert!(is_unsure || told.published == (generation == 2), "{told:?}, generation {generation}");
    }
    rig
}

fn leader_of(rig: &Rig) -> usize {
    rig.facts.iter().rev().find(|(_, fact)| *fact == Fact::Leads).expect("somebody leads").0
}

#[test]
fn a_game_that_dies_meanwhile_is_left_out() {
    for steps in (0..60).step_by(3) {
        let leader = leader_of(&Rig::running(steps, 4, 2));
        let (at, victim) = ((leader + 1) % 4, (leader + 2) % 4);
        let mut rig = killed_meanwhile(steps, at, victim, steps);
        assert_eq!(rig.agrees(), (2, LARGE.to_string()), "{steps} steps");
        rig.start(victim);
        rig.pass(3_000);
        assert_eq!(rig.agrees(), (2, LARGE.to_string()), "{steps} steps");
        assert_eq!(rig.living().len(), 4);
    }
}

#[test]
fn a_publication_whose_leader_dies_is_finished_or_given_up_and_never_stays_half_live() {
    let mut outcomes = std::collections::BTreeMap::new();
    for steps in 0..80 {
        let leader = leader_of(&Rig::running(steps % 5, 4, 2));
        let mut rig = killed_meanwhile(steps % 5, (leader + 1) % 4, leader, steps);
        let (generation, _) = rig.agrees();
        *outcomes.entry(generation).or_insert(0) += 1;
        // The next one is not held up by it.
        let told = rig.publish((leader + 2) % 4, 2);
        assert!(told.published && told.generation == generation + 1, "{steps} steps: {told:?}");
        rig.start(leader);
        rig.pass(3_000);
        assert_eq!(rig.agrees(), (generation + 1, "2".into()), "{steps} steps");
    }
    assert_eq!(outcomes.len(), 2, "some are finished, some given up: {outcomes:?}");
}

#[test]
fn what_only_the_dead_leader_ran_is_finished_if_all_who_live_have_it_ready() {
    for seed in 0..6 {
        let mut rig = Rig::running(seed, 3, 2);
        let leader = leader_of(&rig);
        rig.lost = Some(|peer| matches!(peer, Peer::Go { .. }));
        rig.ask_publish(leader, LARGE);
        let runs = |rig: &Rig| rig.module(leader).is_some_and(|module| module.generation == 2);
        assert!(rig.until(5_000, runs));
        rig.kill(leader);
        rig.pass(100);
        let others: Vec<u32> = rig.heads().iter().map(|head| head.0).collect();
        assert_eq!(others, [1, 1], "nobody else has heard of it");
        rig.lost = None;
        rig.pass(12_000);
        assert_eq!(rig.agrees(), (2, LARGE.to_string()), "seed {seed}");
    }
}

#[test]
fn failures_in_all_games_count_together_and_all_go_back() {
    let mut rig = Rig::running(5, 3, 2);
    rig.publish(0, 2);
    rig.pass(31_000);
    assert!(rig.facts.iter().filter(|(_, fact)| matches!(fact, Fact::Passed { .. })).count() == 3);
    rig.publish(1, LARGE);
    for at in [0, 1, 2] {
        assert_eq!(rig.module(0).unwrap().label, LARGE.to_string());
        let shard = shard_at(&rig, at);
        rig.call(at, shard, "crash", json!([]));
    }
    rig.pass(500);
    assert_eq!(rig.agrees(), (4, "2".into()), "two are allowed: {:?}", rig.facts);
    let AdminAnswer::Versions(versions) = rig.wait(2, AdminRequest::Versions { module: None }) else {
        panic!("versions");
    };
    assert_eq!((versions[1].state, versions[1].traps, versions[1].crashes), (VersionState::Reverted, 3, 3));
    assert!(versions[0].rollback);
}

#[test]
fn what_one_game_has_seen_fail_before_is_not_held_against_a_version_in_another() {
    let mut rig = Rig::running(6, 3, 2);
    // Not where failures are judged.
    let at = (leader_of(&rig) + 1) % 3;
    let shard = shard_at(&rig, at);
    rig.call(at, shard, "crash", json!([]));
    rig.pass(100);
    rig.publish(1, 2);
    for at in [0, 1, 2, 0, 1, 2] {
        let shard = shard_at(&rig, at);
        rig.call(at, shard, "crash", json!([]));
    }
    rig.pass(500);
    assert_eq!(rig.agrees(), (2, "2".into()));
}

#[test]
fn who_comes_from_a_game_that_has_gone_over_finds_a_space_that_has_too() {
    let mut met = 0;
    for seed in 0..8 {
        let mut rig = Rig::running(seed, 3, 3);
        let leader = leader_of(&rig);
        let shard = shard_at(&rig, leader);
        for _ in 0..6 {
            rig.call(leader, shard, "walker", json!([]));
            rig.call(leader, shard, "room", json!([]));
        }
        rig.pass(300);
        // A slow way: that game has it ready, and does not hear that all have.
        let late = (0..3).find(|at| *at != leader && !of(&rig, *at, "room").is_empty());
        let Some(late) = late else { continue };
        // The news has to come with the walker, who must not be behind the word that is held up.
        let mut walkers = of(&rig, leader, "walker").into_iter();
        let Some(walker) = walkers.find(|walker| rig.way_of(*walker) != rig.lane(leader, late)) else {
            continue;
        };
        let room = of(&rig, late, "room")[0];
        rig.held = Some((late, |peer| matches!(peer, Peer::Go { .. })));
        let ticket = rig.ask_publish(leader, 2);
        let is_over = |rig: &Rig, at: usize| rig.module(at).is_some_and(|module| module.generation == 2);
        assert!(rig.until(5_000, |rig| is_over(rig, leader)));
        rig.pass(50);
        assert!(!is_over(&rig, late));
        rig.call(leader, walker, "go", json!([room.to_string()]));
        assert!(rig.until(400, |rig| of(rig, late, "walker").contains(&walker)), "seed {seed}: it got lost");
        met += 1;
        assert!(is_over(&rig, late), "seed {seed}: it arrived in an older version");
        rig.held = None;
        assert!(report(rig.wait_for(leader, ticket)).published);
        assert_eq!(rig.agrees(), (2, "2".into()));
        match rig.call(late, walker, "steps", json!([])) {
            AdminAnswer::Value(value) => assert_eq!(value, json!([2, 1])),
            other => panic!("its steps: {other:?}"),
        }
    }
    assert!(met >= 4, "only {met} walkers come another way than the word");
}

/// Games and dispatchers die and come back, and everybody publishes at any time; then they are left alone.
fn storm(seed: u64) -> Rig {
    let mut rig = Rig::running(seed, 4, 1 + seed as usize % 3);
    rig.storms = true;
    let dispatchers = 1 + seed % 3;
    for _ in 0..120 {
        let at = rig.roll(4) as usize;
        match rig.roll(12) {
            0..5 if rig.places[at].game.is_some() => {
                let version = [2, 3, LARGE][rig.roll(3) as usize];
                rig.ask_publish(at, version);
            }
            5 if rig.places[at].game.is_some() => rig.kill(at),
            6..8 if rig.places[at].game.is_none() => rig.start(at),
            8 => {
                let router = rig.roll(dispatchers) as usize;
                rig.restart_router(router);
            }
            _ => {}
        }
        for _ in 0..rig.roll(60) {
            rig.step();
        }
    }
    (0..4)
        .filter(|at| rig.places[*at].game.is_none())
        .collect::<Vec<_>>()
        .into_iter()
        .for_each(|at| rig.start(at));
    let all_rest = |rig: &Rig| {
        rig.living().len() == 4
            && rig
                .living()
                .iter()
                .all(|at| rig.places[*at].game.as_ref().unwrap().game().under_way().is_empty())
    };
    let rests = rig.until(60_000, all_rest);
    for at in 0..4 {
        if rig.places[at].game.is_none() {
            rig.start(at);
        }
    }
    let rests = rests || rig.until(60_000, all_rest);
    let work = |at: &usize| (*at, rig.places[*at].game.as_ref().unwrap().game().under_way());
    let work: Vec<_> = rig.living().iter().map(work).collect();
    assert!(rests, "seed {seed} does not come to rest: {work:?}; {:?}", rig.facts);
    rig
}

#[test]
fn after_any_storm_all_games_run_the_same() {
    let seeds = std::env::var("EVERWAKE_STORMS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    for seed in 0..seeds {
        let mut rig = storm(seed);
        let (generation, _) = rig.agrees();
        let other = if rig.agrees().1 == "2" { 3 } else { 2 };
        let told = rig.publish(1, other);
        assert!(told.published && told.generation == generation + 1, "seed {seed}: {told:?}");
        rig.pass(100);
        assert_eq!(rig.agrees(), (generation + 1, other.to_string()), "seed {seed}");
    }
}
