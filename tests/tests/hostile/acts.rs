//! Handlers that loop, eat, recurse, lie and ask for too much.

use crate::neighbours::Block;
use everwake_runtime::guest::TrapKind;
use everwake_testkit::{Certainty, Outcome, Value};

/// What its client is told, and, if the instance dies of it, how.
struct Act {
    what: &'static str,
    code: &'static str,
    /// Part of the text that the caller gets, or of the crash's message: it names the limit.
    names: &'static str,
    trap: Option<TrapKind>,
}

const fn act(what: &'static str, code: &'static str, names: &'static str, trap: Option<TrapKind>) -> Act {
    Act { what, code, names, trap }
}

const ACTS: [Act; 14] = [
    act("spin", "timed-out", "", Some(TrapKind::TimedOut)),
    act("memory", "trapped", "memory", Some(TrapKind::Memory)),
    act("recursion", "trapped", "stack", Some(TrapKind::Stack)),
    act("garbage", "trapped", "patch", Some(TrapKind::Misuse)),
    act("wrong type", "trapped", "attribute 0", Some(TrapKind::Misuse)),
    act("wrong attribute", "trapped", "99", Some(TrapKind::Misuse)),
    act("nobody", "trapped", "not here", Some(TrapKind::Misuse)),
    act("timers", "limit", "timers", None),
    act("spawns", "limit", "spawns", None),
    act("posts", "failed", "messages", None),
    act("big attribute", "trapped", "65536", Some(TrapKind::Misuse)),
    act("huge attribute", "trapped", "memory", Some(TrapKind::Memory)),
    act("context", "limit", "context", None),
    act("nowhere", "bad-arguments", "finite", None),
];

fn told(outcome: Result<Value, Outcome>) -> (Certainty, String, String) {
    match outcome {
        Err(Outcome::Err { certainty, code, detail }) => {
            (certainty, code, format!("{:?}", Value::decode(&detail).unwrap()))
        }
        other => panic!("it was answered by {other:?}"),
    }
}

fn check(act: &Act) -> Result<(), String> {
    let Act { what, code, names, trap } = act;
    let mut block = Block::new();
    let (certainty, told, detail) = told(block.call("wreck", &[(*what).into()]));
    let crashes = block.world.take_crashes();
    block.nothing_is_left(what);
    block.others_live(what);
    let said = format!("{detail} {crashes:?}");
    if (certainty, told.as_str()) != (Certainty::NotRun, *code) {
        return Err(format!("{what}: told {certainty:?} {told} {detail}; {crashes:?}"));
    }
    if !said.to_lowercase().contains(names) {
        return Err(format!("{what}: nobody names `{names}`: {said}"));
    }
    let kinds: Vec<TrapKind> = crashes.iter().map(|crash| crash.kind).collect();
    if kinds.first() != trap.as_ref() {
        return Err(format!("{what}: died by {kinds:?} instead of {trap:?}: {said}"));
    }
    Ok(())
}

#[test]
fn each_is_told_to_its_author_and_to_nobody_else() {
    let wrong: Vec<String> = ACTS.iter().filter_map(|act| check(act).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn one_vandal_does_it_all_and_is_at_last_refused() {
    let mut block = Block::new();
    let mut refused = 0;
    for round in 0..3 {
        for act in &ACTS {
            let Err(Outcome::Err { code, .. }) = block.call("wreck", &[act.what.into()]) else {
                panic!("{} was done", act.what);
            };
            refused += usize::from(code != act.code);
            if block.world.closed(block.vandal).is_some() {
                break;
            }
            block.others_live(act.what);
        }
        if block.world.closed(block.vandal).is_some() {
            break;
        }
        assert!(round < 2 || refused > 0, "who crashes a method again and again is never charged for it");
    }
    block.others_live("everything");
}
