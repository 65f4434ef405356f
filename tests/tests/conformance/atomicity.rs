//! "Call it, then trap; then fail; then refuse": nothing half-done is visible to anybody.

use crate::contract::{CASES, Case};
use crate::guests::{run, wasm};
use crate::stage::{Run, Stage, difference, run_tick};

/// Holds all cases of some interfaces against a world in which the handler did nothing.
fn check(interfaces: &[&str]) {
    let idle = run("nothing", "done");
    assert_eq!(idle.answer, "ok Null");
    let mut wrong = Vec::new();
    let mut checked = 0;
    for (what, case) in CASES {
        let interface = what.split('.').next().unwrap_or_default();
        if what != "nothing" && interfaces.contains(&interface) {
            wrong.extend(check_case(&idle, what, case));
            checked += 1;
        }
    }
    assert!(checked > 0, "no case for {interfaces:?}");
    assert!(wrong.is_empty(), "{} findings\n{}", wrong.len(), wrong.join("\n"));
}

fn check_case(idle: &Run, what: &str, case: Case) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut find = |finding: String| wrong.push(format!("{what}: {finding}"));
    for (end, answer) in [("err", "not-run failed"), ("trap", "not-run trapped")] {
        let run = run(what, end);
        if run.view != idle.view {
            find(format!("after {end} something is left:\n{}", difference(&idle.view, &run.view)));
        }
        if !run.answer.starts_with(answer) {
            find(format!("after {end} the caller was told `{}`", run.answer));
        }
    }
    let done = run(what, "done");
    if (&done.view, &done.answer) == (&idle.view, &idle.answer) {
        find("nobody notices that it was done".into());
    }
    let refused = run(what, "refuse");
    match case {
        Case::Answers => {
            // A second answer makes no sense: the event is undone.
            if refused.view != idle.view || !refused.answer.starts_with("not-run failed") {
                let left = difference(&idle.view, &refused.view);
                find(format!("two answers: `{}`, and left is\n{left}", refused.answer));
            }
        }
        Case::Changes => {
            if refused.view == idle.view {
                find("a refusal undid it".into());
            }
            let told = refused.answer.starts_with("refused refused");
            // Who gives its client away or is kicked cannot be told.
            if !told && !["clients.kick", "clients.give"].contains(&what) {
                find(format!("a refusal was told as `{}`", refused.answer));
            }
        }
    }
    wrong
}

#[test]
fn undone_is_undone_for_entities() {
    check(&["entities"]);
}

#[test]
fn undone_is_undone_for_calls_and_answers() {
    check(&["calls"]);
}

#[test]
fn undone_is_undone_for_timers_and_watches() {
    check(&["timers", "watches"]);
}

#[test]
fn undone_is_undone_for_spaces() {
    check(&["spaces"]);
}

#[test]
fn undone_is_undone_for_clients() {
    check(&["clients"]);
}

#[test]
fn undone_is_undone_for_the_store() {
    check(&["key-value"]);
}

#[test]
fn a_tick_that_fails_moves_nobody_and_stops_nobody_else() {
    let (kit, component) = wasm();
    let idle = run_tick(kit, component, "nothing");
    let done = run_tick(kit, component, "done");
    assert_ne!(done.view, idle.view, "nobody notices a tick");
    for end in ["err", "trap"] {
        let failed = run_tick(kit, component, end);
        assert!(
            failed.view == idle.view,
            "after {end} something is left:\n{}",
            difference(&idle.view, &failed.view)
        );
    }
    assert!(!run_tick(kit, component, "trap").crashes.is_empty(), "a trap was not reported");
}

#[test]
fn lines_for_people_stay() {
    for end in ["done", "err", "trap"] {
        let run = run("log.line", end);
        let said = run.log.iter().any(|line| line == "a line from guest 1");
        assert!(said, "after {end} the log has {:?}", run.log);
    }
    let trapped = run("log.line", "trap");
    let words = trapped.crashes.first().cloned().unwrap_or_default();
    assert!(words.contains("it was told to trap") && words.contains("actor.rs"), "last words: {words:?}");
}

#[test]
fn a_planted_difference_is_found() {
    let (kit, component) = wasm();
    let view = |plants: &[&str]| {
        let mut stage = Stage::set(kit, component);
        let request = stage.act("probe", &["nothing".into(), "done".into()]);
        plants.iter().for_each(|on| stage.plant(on, "planted"));
        stage.finish(request).view
    };
    let idle = view(&[]);
    assert_eq!(idle, view(&[]), "the same run is not the same twice");
    for on in ["friend", "guest 2", "victim"] {
        assert_ne!(idle, view(&[on]), "an effect on {on} was not noticed");
    }
}
