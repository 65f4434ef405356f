//! Disturbances: none may be seen from outside, and whoever hides state is found.

use super::*;
use crate::space::commit::CommitVerdict;

/// A little game with timers, calls between avatars, spawns, errors and ticks.
fn game(chaos: Chaos, extra: impl FnOnce(Model) -> Model) -> Bed {
    let mut bed = Bed::empty(SpaceKind::Space, chaos, manifest(), |model, _| {
        extra(
            model
                .on("Avatar", "act", |cx| {
                    let me = cx.me();
                    let a = cx.number(me, 0)?;
                    cx.set(me, 0, a + i64::from(cx.event.seed[0] % 7))?;
                    let other = if me == id(2) { id(3) } else { id(2) };
                    let b = cx.number(other, 1)?;
                    cx.set(other, 1, b + 1)?;
                    let (part, then) = (part(cx, other, "other"), resumed(cx, me));
                    cx.host.call(part, then)?;
                    if a > 12 {
                        return Err(refused());
                    }
                    Ok(())
                })
                .on("Avatar", "other", |cx| {
                    let b = cx.number(cx.me(), 1)?;
                    if b % 3 == 0 {
                        cx.host.spawn(MOB, &[0, 1], Pose::default())??;
                    }
                    if b % 5 == 4 {
                        return Err(trap());
                    }
                    Ok(cx.host.answer(int(b))?)
                })
                .on("Avatar", "resumed", |cx| {
                    let me = cx.me();
                    let b = cx.number(me, 1)?;
                    let timed = cx.method("Avatar", "timed")?.1;
                    cx.host.start_timer(me, timed, int(b), 30.0, 0.0, false)?;
                    cx.set(me, 1, b + 2)
                })
                .on("Avatar", "timed", |cx| {
                    let a = cx.number(cx.me(), 0)?;
                    cx.set(cx.me(), 0, a - 1)
                })
                .tick("Mob", |cx| {
                    for member in cx.host.due() {
                        let a = cx.number(member.entity, 0)?;
                        cx.set(member.entity, 0, a + 1)?;
                    }
                    Ok(())
                }),
        )
    });
    bed.make(SPACE, "Room");
    bed.make(2, "Avatar");
    bed.make(3, "Avatar");
    bed.run();
    bed
}

fn play(bed: &mut Bed) -> (String, String) {
    for round in 0..20 {
        bed.push_call(2 + round % 2, "act");
        bed.pass(40);
    }
    let outputs: Vec<String> = bed
        .out
        .iter()
        .filter(|output| !matches!(output, Output::Crashed(_)))
        .map(|output| format!("{output:?}"))
        .collect();
    (outputs.join("\n"), bed.state())
}

#[test]
fn dropping_the_instance_after_every_event_changes_nothing() {
    let plain = play(&mut game(Chaos::default(), |model| model));
    let mut bed = game(Chaos { drop_one_in: 1, ..Chaos::default() }, |model| model);
    let chaotic = play(&mut bed);
    assert!(bed.guests.made > 60, "{} instances", bed.guests.made);
    assert!(plain == chaotic, "another course of the game");
    let failed = bed.core.commits().filter(|commit| commit.verdict != CommitVerdict::Done).count();
    assert!(failed > 0, "the game has failures, too");
}

#[test]
fn twins_agree_and_residents_hold_what_the_host_holds() {
    let plain = play(&mut game(Chaos::default(), |model| model));
    let chaos = Chaos { twin_one_in: 1, check_one_in: 1, ..Chaos::default() };
    let mut bed = game(chaos, |model| model);
    assert!(plain == play(&mut bed), "another course of the game");
    assert_eq!(bed.core.counts().disagreements, 0);
}

#[test]
fn twin_mode_names_the_handler_that_hides_state() {
    let chaos = Chaos { twin_one_in: 1, ..Chaos::default() };
    let mut bed = game(chaos, |model| {
        model.on("Avatar", "timed", |cx| {
            let count = cx.hidden.entry("count".into()).or_default();
            *count += 1;
            let count = *count as i64;
            cx.set(cx.me(), 0, count)
        })
    });
    play(&mut bed);
    let found: Vec<_> =
        bed.crashes().into_iter().filter(|crash| crash.message.contains("hidden state")).collect();
    assert!(!found.is_empty());
    assert!(found.iter().all(|crash| crash.handler == "Avatar::timed"), "{found:?}");
    assert!(found[0].message.starts_with("hidden state in Avatar::timed: the patch"));
}

#[test]
fn an_event_does_not_die_of_an_old_instances_leak() {
    let mut bed = game(Chaos::default(), |model| {
        model.on("Avatar", "inner", |_| Ok(())).on("Avatar", "act", |cx| {
            let events = cx.hidden.entry("events".into()).or_default();
            *events += 1;
            if *events > 1 {
                return Err(Stop::Trap(TrapKind::Memory, "out of memory".into()));
            }
            cx.set(cx.me(), 0, 3)
        })
    });
    for _ in 0..3 {
        assert_eq!(bed.call(2, "act"), Some(Outcome::null()));
    }
    assert!(bed.crashes().is_empty());
}

#[test]
fn a_snapshot_goes_on_like_the_original() {
    let mut bed = game(Chaos::default(), |model| model);
    play(&mut bed);
    let snapshot = bed.core.snapshot().unwrap();
    let mut bytes = Vec::new();
    ciborium::into_writer(&snapshot, &mut bytes).unwrap();
    let snapshot = ciborium::from_reader(bytes.as_slice()).unwrap();
    let config = SpaceConfig::new(id(SPACE), SpaceKind::Space, [9; 32]);
    let restored = SpaceCore::restore(config, bed.version.clone(), snapshot).unwrap();
    let mut copy = game(Chaos::default(), |model| model);
    copy.core = restored;
    copy.now = bed.now;
    assert_eq!(bed.state(), copy.state());
    bed.out.clear();
    copy.out.clear();
    let first = bed.core.commits().last().unwrap().sequence;
    bed.push_call(2, "act");
    bed.pass(500);
    let seeds: Vec<_> =
        bed.core.commits().filter(|commit| commit.sequence > first).map(|commit| commit.seed).collect();
    copy.core.replay_seeds(seeds);
    copy.push_call(2, "act");
    copy.pass(500);
    assert_eq!(bed.state(), copy.state());
    let tail =
        |bed: &Bed| bed.core.commits().filter(|commit| commit.sequence > first).cloned().collect::<Vec<_>>();
    assert_eq!(tail(&bed), tail(&copy));
}
