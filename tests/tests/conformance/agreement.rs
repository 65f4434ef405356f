//! The same acts in WASM over the real host, in every language, by hand over the real host, and in the SDK's mock: all
//! agree on what happened.

use crate::contract::CASES;
use crate::guests;
use crate::model::native;
use crate::stage::{difference, run, run_tick};

const ENDS: [&str; 4] = ["done", "err", "trap", "refuse"];

/// Answers that the mock gives otherwise, for a reason: it reads answers as their type, so one that is not of the
/// method's type is a mistake of the test; it waits for an answer until the deadline; and a client that was kicked
/// has no connection there that could break before the answer.
const ANSWERED_APART: [(&str, &str); 4] =
    [("calls.answer", "done"), ("calls.defer", "done"), ("clients.kick", "done"), ("clients.kick", "refuse")];

/// `not-run trapped` of `not-run trapped "what the engine said"`.
fn without_detail(answer: &str) -> String {
    answer.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_native_guest_does_the_same_as_a_component() {
    let (native, model) = native();
    let mut wrong = Vec::new();
    for (what, _) in CASES {
        for end in ENDS {
            let found = run(native, model, what, end);
            for guest in guests::all() {
                let (expected, name) = (guest.run(what, end), guest.name);
                if without_detail(&expected.answer) != without_detail(&found.answer) {
                    let (expected, found) = (&expected.answer, &found.answer);
                    wrong.push(format!("{name}, {what}, {end}: `{expected}` and natively `{found}`"));
                }
                if expected.view != found.view {
                    let difference = difference(&expected.view, &found.view);
                    wrong.push(format!("{name}, {what}, {end}:\n{difference}"));
                }
            }
        }
    }
    for end in ["nothing", "done", "err", "trap"] {
        let found = run_tick(native, model, end);
        for guest in guests::all() {
            let expected = guest.run_tick(end);
            if expected.view != found.view {
                let difference = difference(&expected.view, &found.view);
                wrong.push(format!("{}, a tick, {end}:\n{difference}", guest.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} findings\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_mock_does_the_same_as_a_component() {
    let mut wrong = Vec::new();
    for (what, _) in CASES {
        for end in ENDS {
            let (answer, noticed) = probe::mocked::run(what, end);
            for guest in guests::all() {
                let (real, name) = (guest.run(what, end), guest.name);
                // The mock answers by code alone.
                let code = real.answer.split(' ').nth(1).unwrap_or("none");
                let code = if real.answer.starts_with("ok") { "ok" } else { code };
                if answer != code && !ANSWERED_APART.contains(&(what, end)) {
                    wrong
                        .push(format!("{name}, {what}, {end}: `{}` and in the mock `{answer}`", real.answer));
                }
                if real.noticed != noticed {
                    wrong.push(format!("{name}, {what}, {end}:\n{}", difference(&real.noticed, &noticed)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} findings\n{}", wrong.len(), wrong.join("\n"));
}
