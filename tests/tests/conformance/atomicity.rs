//! "Call it, then trap; then fail; then refuse": nothing half-done is visible to anybody.

use crate::contract::{CASES, Case};
use crate::guests::{self, Guest};
use crate::stage::{Run, Stage, difference};

/// Holds all cases of some interfaces against a world in which the handler did nothing, in every language.
fn check(interfaces: &[&str]) {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for guest in guests::all() {
        let idle = guest.run("nothing", "done");
        assert_eq!(idle.answer, "ok Null", "{}", guest.name);
        for (what, case) in CASES {
            let interface = what.split('.').next().unwrap_or_default();
            if what != "nothing" && interfaces.contains(&interface) {
                wrong.extend(check_case(guest, &idle, what, case));
                checked += 1;
            }
        }
    }
    assert!(checked > 0, "no case for {interfaces:?}");
    assert!(wrong.is_empty(), "{} findings\n{}", wrong.len(), wrong.join("\n"));
}

fn check_case(guest: &Guest, idle: &Run, what: &str, case: Case) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut find = |finding: String| wrong.push(format!("{}, {what}: {finding}", guest.name));
    for (end, answer) in [("err", "not-run failed"), ("trap", "not-run trapped")] {
        let run = guest.run(what, end);
        if run.view != idle.view {
            find(format!("after {end} something is left:\n{}", difference(&idle.view, &run.view)));
        }
        if !run.answer.starts_with(answer) {
            find(format!("after {end} the caller was told `{}`", run.answer));
        }
    }
    let done = guest.run(what, "done");
    if (&done.view, &done.answer) == (&idle.view, &idle.answer) {
        find("nobody notices that it was done".into());
    }
    let refused = guest.run(what, "refuse");
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
    for guest in guests::all() {
        let name = guest.name;
        let idle = guest.run_tick("nothing");
        let done = guest.run_tick("done");
        assert_ne!(done.view, idle.view, "{name}: nobody notices a tick");
        for end in ["err", "trap"] {
            let failed = guest.run_tick(end);
            let left = || difference(&idle.view, &failed.view);
            assert!(failed.view == idle.view, "{name}: after {end} something is left:\n{}", left());
        }
        assert!(!guest.run_tick("trap").crashes.is_empty(), "{name}: a trap was not reported");
    }
}

#[test]
fn lines_for_people_stay() {
    for guest in guests::all() {
        for end in ["done", "err", "trap"] {
            let run = guest.run("log.line", end);
            let said = run.log.iter().any(|line| line == "a line from guest 1");
            assert!(said, "{}: after {end} the log has {:?}", guest.name, run.log);
        }
        let trapped = guest.run("log.line", "trap");
        let words = trapped.crashes.first().cloned().unwrap_or_default();
        let told = words.contains("it was told to trap") && words.contains(guest.source);
        assert!(told, "{}: last words: {words:?}", guest.name);
    }
}

#[test]
fn a_planted_difference_is_found() {
    for guest in guests::all() {
        let view = |plants: &[&str]| {
            let mut stage = Stage::set(&guest.kit, &guest.component);
            let request = stage.act("probe", &["nothing".into(), "done".into()]);
            plants.iter().for_each(|on| stage.plant(on, "planted"));
            stage.finish(request).view
        };
        let idle = view(&[]);
        assert_eq!(idle, view(&[]), "{}: the same run is not the same twice", guest.name);
        for on in ["friend", "guest 2", "victim"] {
            assert_ne!(idle, view(&[on]), "{}: an effect on {on} was not noticed", guest.name);
        }
    }
}
