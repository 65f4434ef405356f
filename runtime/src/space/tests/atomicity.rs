//! For every function that a guest may call: call it, then fail; nothing of it is left.

use super::*;
use crate::guest::{Audience, Imports, LogLevel, Place};
use everwake_protocol::cluster::Comparison;

type Case = (&'static str, fn(&mut Context<'_>) -> Result<(), Stop>);

/// One case for each function of [`Imports`]. Avatars 2 and 3 are in the space, 2 has a client, a
/// timer, a watch and a deferred call whose ids are in its attribute `items`.
const CASES: &[Case] = &[
    ("load", |cx| cx.host.load(cx.event.entity).map(drop).ok_or(refused())),
    ("patch", |cx| {
        cx.host.patch(id(3), &[0, 7])?;
        cx.host.patch(id(2), &[1, 8, 0x82, 2, 0, 9])?;
        Ok(())
    }),
    ("spawn", |cx| {
        let new = cx.host.spawn(AVATAR, &[0, 5], Pose::default())??;
        cx.host.patch(new, &[1, 6])?;
        assert_eq!(cx.host.members(Some(AVATAR)).last(), Some(&new), "spawns are members at once");
        Ok(())
    }),
    ("destroy", |cx| Ok(cx.host.destroy(id(3))?)),
    ("create", |cx| {
        let then = resumed(cx, id(2));
        Ok(cx.host.create(AVATAR, args(&[]), Place::Anywhere, then)?)
    }),
    ("call", |cx| {
        let (part, then) = (part(cx, id(3), "other"), resumed(cx, id(2)));
        Ok(cx.host.call(part, then)?)
    }),
    ("send", |cx| {
        let part = part(cx, id(STRANGER), "other");
        let method = cx.method("Avatar", "resumed")?.1;
        Ok(cx.host.send(id(2), part, Some((method, int(1))))?)
    }),
    ("post", |cx| {
        let part = part(cx, id(STRANGER), "other");
        Ok(cx.host.post(id(3), part)?)
    }),
    ("gather", |cx| {
        let parts = vec![part(cx, id(3), "other"), part(cx, id(STRANGER), "other")];
        let then = resumed(cx, id(2));
        Ok(cx.host.gather(parts, then)?)
    }),
    ("caller", |cx| {
        assert_eq!(cx.host.caller(), None);
        Ok(())
    }),
    ("answer", |cx| {
        cx.host.answer(int(1))?;
        assert!(matches!(cx.host.answer(int(2)), Err(GuestError::NotAllowed(_))));
        Ok(())
    }),
    ("refuse", |cx| Ok(cx.host.refuse("poor".into(), int(1))?)),
    ("defer", |cx| {
        cx.host.defer()?;
        assert!(matches!(cx.host.answer(int(2)), Err(GuestError::NotAllowed(_))));
        Ok(())
    }),
    ("reply", |cx| {
        let deferred = stored(cx, 2)?;
        cx.host.reply(id(2), deferred, int(5))?;
        assert_eq!(cx.host.reply(id(2), deferred, int(5)), Err(GuestError::NotFound));
        Ok(())
    }),
    ("reply_refused", |cx| {
        let deferred = stored(cx, 2)?;
        Ok(cx.host.reply_refused(id(2), deferred, "no".into(), int(5))?)
    }),
    ("watch", |cx| {
        let method = cx.method("Avatar", "resumed")?.1;
        cx.host.watch(id(2), id(3), method, int(1))?;
        Ok(())
    }),
    ("unwatch", |cx| {
        let watch = stored(cx, 1)?;
        cx.host.unwatch(id(2), watch);
        Ok(())
    }),
    ("start_timer", |cx| {
        let method = cx.method("Avatar", "timed")?.1;
        cx.host.start_timer(id(3), method, int(1), 100.0, 50.0, false)?;
        Ok(())
    }),
    ("cancel_timer", |cx| {
        let timer = stored(cx, 0)?;
        cx.host.cancel_timer(id(2), timer);
        Ok(())
    }),
    ("due", |cx| {
        assert!(cx.host.due().is_empty());
        Ok(())
    }),
    ("poses", |cx| {
        assert!(cx.host.poses().is_empty());
        Ok(())
    }),
    ("neighbours", |cx| {
        assert_eq!(cx.host.neighbours(10.0, None), (vec![], vec![]));
        Ok(())
    }),
    ("move_all", |cx| Ok(cx.host.move_all(&[99.0, 0.0, 0.0, 0.0])?)),
    ("working_on", |cx| {
        cx.host.working_on(0);
        Ok(())
    }),
    ("current_space", |cx| {
        assert_eq!(cx.host.current_space(), Some(id(SPACE)));
        Ok(())
    }),
    ("enter", |cx| Ok(cx.host.enter(id(3), id(STRANGER), Pose::default())?)),
    ("leave", |cx| Ok(cx.host.leave(id(3))?)),
    ("members", |cx| {
        assert_eq!(cx.host.members(None), [id(2), id(3)]);
        Ok(())
    }),
    ("pose_of", |cx| {
        assert_eq!(cx.host.pose_of(id(3)).map(|pose| pose.x), Some(3.0));
        Ok(())
    }),
    ("move_to", |cx| {
        let to = Pose { x: 50.0, ..Pose::default() };
        cx.host.move_to(id(3), to)?;
        assert_eq!(cx.host.pose_of(id(3)), Some(to), "moves of the running event are included");
        Ok(())
    }),
    ("set_motion", |cx| Ok(cx.host.set_motion(id(3), &[1, 2, 3])?)),
    ("near", |cx| {
        assert_eq!(cx.host.near(Pose::default(), 2.5, None).len(), 1);
        Ok(())
    }),
    ("set_layers", |cx| Ok(cx.host.set_layers(id(3), 1, 2)?)),
    ("allow_client_moves", |cx| Ok(cx.host.allow_client_moves(id(3), true)?)),
    ("service_by_key", |cx| {
        assert_ne!(cx.host.service_by_key(CLERK, b"key")?, EntityId::default());
        assert_eq!(cx.host.service_by_key(AVATAR, b"key"), Err(GuestError::NotFound));
        Ok(())
    }),
    ("service_by_number", |cx| {
        assert!(cx.host.service_by_number(CLERK, 1).is_ok());
        assert_eq!(cx.host.service_by_number(CLERK, 2), Err(GuestError::NotFound));
        Ok(())
    }),
    ("client_of", |cx| {
        assert!(cx.host.client_of(id(2)).is_some() && cx.host.client_of(id(3)).is_none());
        Ok(())
    }),
    ("give", |cx| {
        let then = resumed(cx, id(2));
        Ok(cx.host.give(id(2), id(3), false, then)?)
    }),
    ("kick", |cx| Ok(cx.host.kick(id(2), "out".into())?)),
    ("call_client", |cx| Ok(cx.host.call_client(id(2), Audience::OwnClient, 0, args(&[1]))?)),
    ("set_filter", |cx| Ok(cx.host.set_filter(id(2), "team".into(), Some("red".into()))?)),
    ("broadcast", |cx| {
        let compare = Comparison::Equal;
        Ok(cx.host.broadcast("team".into(), compare, "red".into(), AVATAR, 0, args(&[1]))?)
    }),
    ("kv_get", |cx| {
        let then = resumed(cx, id(2));
        Ok(cx.host.kv_get("k".into(), then)?)
    }),
    ("kv_put", |cx| {
        let then = resumed(cx, id(2));
        Ok(cx.host.kv_put("k".into(), Some(int(1)), then)?)
    }),
    ("kv_get_or_put", |cx| {
        let then = resumed(cx, id(2));
        Ok(cx.host.kv_get_or_put("k".into(), int(1), then)?)
    }),
    ("kv_compare_and_set", |cx| {
        let then = resumed(cx, id(2));
        Ok(cx.host.kv_compare_and_set("k".into(), None, Some(int(1)), then)?)
    }),
    ("kv_range", |cx| {
        let then = resumed(cx, id(2));
        Ok(cx.host.kv_range("a".into(), "b".into(), 10, then)?)
    }),
    ("log_line", |cx| {
        cx.host.log_line(LogLevel::Info, "a line".into());
        Ok(())
    }),
    ("panicked", |cx| {
        cx.host.panicked("last words".into());
        Ok(())
    }),
];

/// Functions that only look.
const READS: &[&str] = &[
    "load",
    "caller",
    "due",
    "poses",
    "neighbours",
    "move_all",
    "working_on",
    "current_space",
    "members",
    "pose_of",
    "near",
    "service_by_key",
    "service_by_number",
    "client_of",
    "panicked",
];

/// An id that `prepare` has put into the list.
fn stored(cx: &mut Context<'_>, place: usize) -> Result<Id, Stop> {
    let items = cx.read(id(2), 2)?;
    let mut reader = cbor::Reader::new(&items);
    let count = reader.array().unwrap();
    assert_eq!(count, 3);
    for _ in 0..place {
        reader.skip().unwrap();
    }
    Ok(reader.id().unwrap())
}

fn prepare(cx: &mut Context<'_>) -> Result<(), Stop> {
    let timed = cx.method("Avatar", "timed")?.1;
    let timer = cx.host.start_timer(id(2), timed, int(1), 60_000.0, 0.0, false)?;
    let watch = cx.host.watch(id(2), id(STRANGER), timed, int(1))?;
    let deferred = cx.host.defer()?;
    let mut items = Vec::new();
    cbor::array(&mut items, 3);
    for id in [timer, watch, deferred] {
        cbor::id(&mut items, id);
    }
    cx.write(id(2), 2, items.into())
}

#[derive(Clone, Copy, PartialEq)]
enum Ending {
    Commit,
    Error,
    Trap,
}

fn bed(case: fn(&mut Context<'_>) -> Result<(), Stop>, ending: Ending) -> Bed {
    let mut bed = Bed::new(&[2, 3], |model, _| {
        model.on("Avatar", "inner", |_| Ok(())).on("Avatar", "other", prepare).on(
            "Avatar",
            "act",
            move |cx| {
                case(cx)?;
                match ending {
                    Ending::Commit => Ok(()),
                    Ending::Error => Err(refused()),
                    Ending::Trap => Err(trap()),
                }
            },
        )
    });
    bed.call(2, "other");
    bed.attach(2, 1);
    bed.pass(1_000);
    bed.out.clear();
    bed
}

#[test]
fn every_function_has_a_case() {
    let source = include_str!("../../guest.rs");
    let (_, of_trait) = source.split_once("pub trait Imports").unwrap();
    let mut missing = Vec::new();
    for line in of_trait.lines() {
        if let Some(rest) = line.trim().strip_prefix("fn ") {
            let name = rest.split('(').next().unwrap();
            if !CASES.iter().any(|(case, _)| *case == name) {
                missing.push(name);
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(CASES.len(), of_trait.matches("    fn ").count());
    fn _is_object_safe(_: &dyn Imports) {}
}

#[test]
fn nothing_is_left_of_an_event_that_failed() {
    for (name, case) in CASES {
        for ending in [Ending::Error, Ending::Trap] {
            let mut bed = bed(*case, ending);
            let before = bed.state();
            let wake = bed.core.next_wake_ms();
            let outcome = bed.call(2, "act").unwrap_or_else(|| panic!("{name}: no answer"));
            let code = if ending == Ending::Error { "failed" } else { "trapped" };
            assert!(
                matches!(&outcome, Outcome::Err { code: found, certainty: everwake_protocol::outcome::Certainty::NotRun, .. } if found == code),
                "{name}: {outcome:?}"
            );
            pretty(name, &before, &bed.state());
            assert_eq!(wake, bed.core.next_wake_ms(), "{name}: another time to wake");
            for output in &bed.out {
                match output {
                    Output::Operator { .. } => {}
                    Output::Crashed(_) if ending == Ending::Trap => {}
                    Output::Log(_) if *name == "log_line" => {}
                    other => panic!("{name}: {other:?} got out"),
                }
            }
            let commit = bed.core.commits().last().unwrap();
            assert!(commit.deltas.is_empty() && commit.outbox.is_empty() && !commit.took_place(), "{name}");
        }
    }
}

fn pretty(name: &str, before: &str, after: &str) {
    // A roll-back gives new revisions; they are no part of the snapshot.
    if before != after {
        let differs: Vec<_> = before.lines().zip(after.lines()).filter(|(a, b)| a != b).take(5).collect();
        panic!("{name} left something: {differs:#?}");
    }
}

#[test]
fn the_same_functions_do_something_when_the_event_commits() {
    for (name, case) in CASES {
        let mut bed = bed(*case, Ending::Commit);
        let before = bed.state();
        let outcome = bed.call(2, "act");
        let quiet = bed.out.iter().all(|output| matches!(output, Output::Operator { .. }));
        let nothing = before == bed.state() && quiet && outcome == Some(Outcome::null());
        bed.pass(1_000);
        let later = bed.out.iter().all(|output| matches!(output, Output::Operator { .. }));
        assert_eq!(nothing && later, READS.contains(name), "{name}");
        assert!(bed.crashes().is_empty(), "{name}: {:?}", bed.crashes());
    }
}

#[test]
fn malformed_patches_trap_and_change_nothing() {
    let cases: &[&[u8]] = &[
        &[0],          // a path without a value
        &[9, 1],       // no such attribute
        &[0, 0x60],    // a text for an integer
        &[0, 1, 0xff], // not CBOR behind a good change
        &[0x82, 0, 0, 1],
    ];
    for changes in cases {
        let changes = *changes;
        let mut bed = Bed::new(&[2], move |model, _| {
            // The guest swallows the error: the host must not.
            model.on("Avatar", "act", move |cx| {
                let _ = cx.host.patch(id(2), changes);
                Ok(())
            })
        });
        let before = bed.state();
        let outcome = bed.call(2, "act").unwrap();
        assert!(matches!(outcome, Outcome::Err { code, .. } if code == "trapped"), "{changes:?}");
        assert_eq!(before, bed.state());
        assert_eq!(bed.crashes()[0].kind, TrapKind::Misuse);
    }
}

#[test]
fn a_resident_copy_is_forgotten_after_an_error() {
    let mut bed = Bed::new(&[2], |model, journal| {
        let journal = journal.clone();
        model
            .on("Avatar", "act", |cx| {
                cx.set(id(2), 0, 99)?;
                Err(refused())
            })
            .on("Avatar", "other", move |cx| {
                let a = cx.number(id(2), 0)?;
                note(&journal, a.to_string());
                Ok(())
            })
    });
    bed.call(2, "other");
    bed.call(2, "act");
    bed.call(2, "other");
    assert_eq!(bed.noted(), ["0", "0"]);
}

#[test]
fn a_refusal_commits_and_tells_the_caller_no() {
    let mut bed = Bed::new(&[2], |model, _| {
        model.on("Avatar", "act", |cx| {
            cx.set(id(2), 0, 1)?;
            Ok(cx.host.refuse("wrong-password".into(), int(3))?)
        })
    });
    let outcome = bed.call(2, "act");
    assert_eq!(outcome, Some(Outcome::refused("wrong-password", int(3))));
    assert_eq!(bed.number(2, 0), 1);
}

#[test]
fn what_a_patch_says_again_is_not_in_the_record() {
    // Attributes 0 and 1 are integers; each patch beside what of it was a change.
    const PATCHES: [(&[u8], &[u8]); 5] = [
        (&[0, 5, 1, 7], &[0, 5, 1, 7]),
        (&[0, 5, 1, 8], &[1, 8]),
        (&[0, 6, 1, 8], &[0, 6]),
        (&[0, 4, 0, 4, 1, 9, 1, 9, 0, 3], &[0, 4, 1, 9, 0, 3]),
        (&[1, 9, 0, 3], &[]),
    ];
    let mut bed = Bed::new(&[2], |model, _| {
        model.on("Avatar", "act", |cx| {
            PATCHES.iter().try_for_each(|(patch, _)| Ok(cx.host.patch(id(2), patch)?))
        })
    });
    bed.push_call(2, "act");
    bed.run();
    let commit = bed.core.commits().last().unwrap();
    let recorded: Vec<&[u8]> = commit.deltas.iter().map(|delta| commit.delta(delta)).collect();
    let changed: Vec<&[u8]> =
        PATCHES.iter().map(|(_, changes)| *changes).filter(|it| !it.is_empty()).collect();
    assert_eq!(recorded, changed);
}
