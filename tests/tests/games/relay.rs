//! One swap hits spaces that have everything under way at once: more than a hundred queued events, a call that is
//! open, a timer that is due, and entities of which some are migrated when one cannot be.

use crate::built::kit;
use everwake_runtime::game::admin::{AdminAnswer, AdminRequest};
use everwake_runtime::game::publish::PublishOptions;
use everwake_runtime::game::report::PublicationReport;
use everwake_testkit::{Called, Component, Player, Value, World};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const TOKENS: u32 = 120;
const HOPS: u32 = 20;
/// Runners of a track; a race hands every token to each of them in turn.
const RUNNERS: u32 = 40;
/// The one in the middle: those before it are migrated when it is its turn.
const STUCK: u32 = RUNNERS / 2;
/// Nobody is stuck.
const NEVER: u32 = u32::MAX;

pub(crate) fn relay(features: &[&str]) -> Component {
    static BUILT: Mutex<BTreeMap<String, Component>> = Mutex::new(BTreeMap::new());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("modules/relay");
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    built.entry(format!("{features:?}")).or_insert_with(|| kit().build_with(folder, features, &[])).clone()
}

/// A token that was handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pass {
    token: u32,
    hop: u32,
    sent_by: u32,
    run_by: u32,
}

/// What a client was told of one race.
struct Seen {
    passes: Vec<Pass>,
    /// Hop, version that started the timer, version that it fired in.
    timers: Vec<[u32; 3]>,
    scores: Vec<u32>,
}

/// A race on two tracks, and a second version in the middle of it.
struct Run {
    report: PublicationReport,
    /// Answers to the two calls that began the race.
    began: Vec<serde_json::Value>,
    tracks: [Seen; 2],
    /// Version that asked, that answered, and that took the answer.
    kept: Vec<[u32; 3]>,
}

fn run(stuck_from: u32) -> Run {
    let second = relay(&["v2"]);
    let mut world = World::new(kit()).seed(5).events_per_drain(64).module(&relay(&[])).start();
    let players = [0, 1].map(|_| {
        let player = world.connect("relay");
        world.advance(Duration::from_millis(100));
        player
    });
    players.iter().for_each(|player| drop(world.take_calls(*player)));
    world.call(players[0], "begin", &[]).unwrap();
    // Nothing of this runs before the world settles: what meets the swap is decided by the order alone.
    let tracks = players.map(|player| world.seen(player, "Track").first().unwrap().id);
    let starts = tracks.iter().zip([NEVER, stuck_from]).map(|(entity, stuck_from)| AdminRequest::Call {
        who: "a test".into(),
        entity: *entity,
        method: "start".into(),
        args: serde_json::json!([TOKENS, HOPS, stuck_from]),
    });
    let starts: Vec<u64> = starts.map(|start| world.game().ask(start)).collect();
    let options = PublishOptions::default();
    let ticket = world.game().ask(AdminRequest::Publish { bytes: second.0, note: String::new(), options });
    let report = publication(&mut world, ticket);
    world.advance(Duration::from_millis(500));
    world.call(players[0], "end", &[]).unwrap();
    world.advance(Duration::from_millis(500));
    let began = starts.into_iter().map(|ticket| world.game().answer(ticket));
    let began = began.map(|answer| match answer {
        Some(AdminAnswer::Value(version)) => version,
        other => panic!("a start was answered by {other:?}"),
    });
    let began = began.collect();
    let (mut kept, mut tracks) = (Vec::new(), Vec::new());
    for player in players {
        let calls = world.take_calls(player);
        kept.extend(numbers(&calls, "kept"));
        tracks.push(seen(&mut world, player, &calls));
        assert_eq!(world.closed(player), None);
    }
    world.check();
    let Ok(tracks) = tracks.try_into() else { panic!("there are two tracks") };
    Run { report, began, tracks, kept }
}

fn publication(world: &mut World, ticket: u64) -> PublicationReport {
    for _ in 0..100 {
        match world.game().answer(ticket) {
            Some(AdminAnswer::Publication(report)) => return *report,
            Some(other) => panic!("a publication was answered by {other:?}"),
            None => world.advance(Duration::from_millis(10)),
        }
    }
    panic!("the publication was never answered")
}

fn numbers<const N: usize>(calls: &[Called], method: &str) -> Vec<[u32; N]> {
    let number = |value: &Value| match value {
        Value::Int(number) => u32::try_from(*number).unwrap(),
        other => panic!("`{method}` with {other:?}"),
    };
    let of_method = calls.iter().filter(|call| call.method == method);
    of_method.map(|call| call.args.iter().map(number).collect::<Vec<_>>().try_into().unwrap()).collect()
}

fn seen(world: &mut World, player: Player, calls: &[Called]) -> Seen {
    let pass = |[token, hop, sent_by, run_by]: [u32; 4]| Pass { token, hop, sent_by, run_by };
    let passes = numbers(calls, "passed").into_iter().map(pass).collect();
    let Ok(Value::List(told)) = world.call(player, "scores", &[]) else { panic!("no scores") };
    let [Value::Int(unit), Value::List(scores)] = told.as_slice() else { panic!("{told:?}") };
    let score = |value: &Value| match value {
        Value::Int(score) => u32::try_from(score / unit).unwrap(),
        other => panic!("{other:?}"),
    };
    Seen { passes, timers: numbers(calls, "timed"), scores: scores.iter().map(score).collect() }
}

impl Seen {
    /// Every hop of every token came once, in the order in which they were handed on, and ran on the version that
    /// was there; `versions` are those, in order.
    fn check(&self, versions: &[u32]) {
        let order: Vec<(u32, u32)> = self.passes.iter().map(|pass| (pass.hop, pass.token)).collect();
        let expected: Vec<(u32, u32)> =
            (1..=HOPS).flat_map(|hop| (0..TOKENS).map(move |token| (hop, token))).collect();
        assert!(order == expected, "tokens are lost, doubled or out of order: {order:?}");
        let mut ran: Vec<u32> = self.passes.iter().map(|pass| pass.run_by).collect();
        let sent: Vec<u32> = self.passes.iter().map(|pass| pass.sent_by).collect();
        let first_round = TOKENS as usize;
        assert!(
            sent[..first_round].iter().all(|version| *version == 1),
            "a race begins in the first version"
        );
        assert_eq!(
            sent[first_round..],
            ran[..ran.len() - first_round],
            "who handed a token on is who says so"
        );
        ran.dedup();
        assert_eq!(ran, versions);
        self.check_timers();
        let mut expected = vec![0; RUNNERS as usize];
        self.passes.iter().for_each(|pass| expected[runner(pass) as usize] += 1);
        assert_eq!(self.scores, expected, "a score is not what was handed on");
    }

    /// Each timer fired once, in order, none on a version that was gone.
    fn check_timers(&self) {
        let hops: Vec<u32> = self.timers.iter().map(|[hop, ..]| *hop).collect();
        assert_eq!(hops, (1..=HOPS).collect::<Vec<_>>(), "timers are lost, doubled or out of order");
        for [hop, set_by, _] in &self.timers {
            let pass = self.passes.iter().find(|pass| (pass.token, pass.hop) == (0, *hop)).unwrap();
            assert_eq!(*set_by, pass.run_by, "the timer of hop {hop}");
        }
    }

    /// Events that one version has left behind and another one ran.
    fn crossed(&self, from: u32, to: u32) -> (usize, usize) {
        let passes = self.passes.iter().filter(|pass| (pass.sent_by, pass.run_by) == (from, to));
        let timers = self.timers.iter().filter(|[_, set_by, run_by]| (*set_by, *run_by) == (from, to));
        (passes.count(), timers.count())
    }
}

/// Whom a token came to.
fn runner(pass: &Pass) -> u32 {
    (pass.token + pass.hop - 1) % RUNNERS
}

#[test]
fn a_swap_in_the_thick_of_it_loses_nothing() {
    let run = run(NEVER);
    assert!(run.report.published && run.report.reversible, "{:?}", run.report);
    assert_eq!(run.report.migrated, 2 * RUNNERS as usize);
    assert_eq!(run.began, [1, 1]);
    for track in &run.tracks {
        track.check(&[1, 2]);
        let (passes, timers) = track.crossed(1, 2);
        assert_eq!(passes, TOKENS as usize, "the whole round was queued when the swap came");
        assert!(timers > 0, "no timer was due when the swap came");
    }
    assert_eq!(run.kept, [[1, 2, 2]], "asked before, answered after");
}

#[test]
fn a_swap_that_fails_half_way_through_a_migration_leaves_nothing_behind() {
    // The same race without anybody who is stuck says what the score will be when the swap comes.
    let free = run(NEVER);
    let of_stuck = |pass: &&Pass| pass.run_by == 1 && runner(pass) == STUCK;
    let score = free.tracks[1].passes.iter().filter(of_stuck).count();
    assert!(score > 0, "the swap came before the race");
    let run = run(u32::try_from(score).unwrap());
    assert!(!run.report.published, "{:?}", run.report);
    let told = format!("a score of {score} is too high");
    assert!(run.report.refusals.iter().any(|refusal| refusal.contains(&told)), "{:?}", run.report);
    assert_eq!(run.began, [1, 1]);
    let [fair, stuck] = &run.tracks;
    fair.check(&[1, 2, 1]);
    for (from, to) in [(1, 2), (2, 1)] {
        assert_eq!(fair.crossed(from, to).0, TOKENS as usize, "from version {from} to version {to}");
    }
    stuck.check(&[1]);
    assert_eq!(run.kept, [[1, 1, 1]]);
}
