//! Words that break the handler that hears them: one event each, then the version goes back by itself.

use crate::built::sample;
use crate::chat::{chat, enter_room, said};
use everwake_runtime::game::report::Fact;
use everwake_runtime::guest::TrapKind;
use everwake_runtime::wasm::EngineConfig;
use everwake_testkit::{Certainty, Kit, Outcome, Value, World};
use std::time::Duration;

fn code(outcome: Result<Value, Outcome>) -> (Certainty, String) {
    match outcome {
        Err(Outcome::Err { certainty, code, .. }) => (certainty, code),
        other => panic!("it was answered by {other:?}"),
    }
}

#[test]
fn bad_words_cost_one_event_each() {
    // Time enough to eat all memory: with the usual budget a glutton is cut before.
    let engine = EngineConfig { event_budget_ms_default: 500, instances: 64, ..EngineConfig::repeatable() };
    let kit = Kit::with_engine(engine);
    let mut world = World::new(&kit).seed(3).module(&sample("chat", &["trouble"], "1")).start();
    let alice = enter_room(&mut world, "alice", "hall");
    let bob = enter_room(&mut world, "bob", "hall");
    world.take_calls(bob);
    let cases = [
        ("boom", "trapped", TrapKind::Fault),
        ("spin", "timed-out", TrapKind::TimedOut),
        ("feast", "trapped", TrapKind::Memory),
    ];
    for (number, (word, expected, kind)) in (1..).zip(cases) {
        assert_eq!(
            code(world.call(alice, "say", &[word.into()])),
            (Certainty::NotRun, expected.into()),
            "{word}"
        );
        let crashes = world.take_crashes();
        assert!(
            crashes.iter().any(|crash| crash.kind == kind && crash.handler.contains("say")),
            "{word}: {crashes:?}"
        );
        // The next word of anybody is heard as if nothing had been.
        assert_eq!(world.call(bob, "say", &["fine".into()]), Ok(Value::Int(number)), "after {word}");
    }
    world.advance(Duration::from_millis(100));
    let heard: Vec<String> = said(&world.take_calls(bob)).into_iter().map(|(_, text, _)| text).collect();
    assert_eq!(heard, ["fine", "fine", "fine"]);
    assert_eq!((world.closed(alice), world.closed(bob)), (None, None));
    world.check();
}

#[test]
fn a_version_that_traps_again_and_again_goes_back_by_itself() {
    let mut world = chat(&[], "1");
    let speakers: Vec<_> = (0..8).map(|n| enter_room(&mut world, &format!("p{n}"), "hall")).collect();
    let listener = enter_room(&mut world, "listener", "hall");
    assert_eq!(
        world.call(speakers[0], "say", &["boom".into()]),
        Ok(Value::Int(1)),
        "the first version bears it"
    );
    let report = world.publish(&sample("chat", &["trouble"], "2"));
    assert!(report.published && report.reversible, "{report:?}");
    world.take_facts();
    let mut trapped = 0;
    let mut reverted = false;
    for round in 0..4 {
        for speaker in &speakers {
            match world.call(*speaker, "say", &["boom".into()]) {
                Ok(_) => reverted = true,
                Err(_) if reverted => panic!("it trapped after it had gone back"),
                Err(_) => trapped += 1,
            }
        }
        world.advance(Duration::from_millis(500));
        assert!(round < 3 || reverted, "{trapped} traps, and it is still there");
        if reverted {
            break;
        }
    }
    assert!(trapped > 0, "the second version did not run");
    let facts = world.take_facts();
    assert!(facts.iter().any(|fact| matches!(fact, Fact::Reverting { .. })), "{facts:?}");
    assert_eq!(world.call(listener, "version", &[]), Ok("1".into()));
    assert_eq!(world.closed(listener), None);
    world.check();
}
