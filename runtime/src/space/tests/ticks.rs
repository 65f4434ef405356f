//! Ticks: rates, lag, and one bad member among many.

use super::*;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

const MOBS: u32 = 200;
const BAD: u32 = 100 + 137;

fn mobs(hints: bool, kind: TrapKind) -> Bed {
    let mut bed = Bed::new(&[], move |model, _| {
        model.tick("Mob", move |cx| {
            for (index, member) in (0u32..).zip(cx.host.due()) {
                if hints {
                    cx.host.working_on(index);
                }
                if member.entity == id(BAD) {
                    return Err(Stop::Trap(kind, "bad mob".into()));
                }
                let ticked = cx.number(member.entity, 0)?;
                cx.set(member.entity, 0, ticked + 1)?;
            }
            Ok(())
        })
    });
    for mob in 0..MOBS {
        bed.make(100 + mob, "Mob");
    }
    bed.run();
    bed.out.clear();
    bed
}

fn ticked(bed: &Bed) -> BTreeMap<i64, usize> {
    let mut counts = BTreeMap::new();
    for mob in 100..100 + MOBS {
        *counts.entry(bed.number(mob, 0)).or_default() += 1;
    }
    counts
}

#[test]
fn one_bad_member_does_not_cost_the_others_a_tick() {
    for (hints, kind) in [(true, TrapKind::Fault), (false, TrapKind::Fault), (true, TrapKind::TimedOut)] {
        let mut bed = mobs(hints, kind);
        bed.pass(100);
        assert_eq!(ticked(&bed), BTreeMap::from([(0, 1), (1, MOBS as usize - 1)]), "{hints} {kind:?}");
        let culprits: BTreeSet<_> = bed.crashes().iter().map(|crash| crash.entity).collect();
        assert_eq!(culprits, BTreeSet::from([id(BAD)]), "{hints} {kind:?}");
    }
}

#[test]
fn its_pause_grows() {
    let mut bed = mobs(true, TrapKind::Fault);
    bed.pass(10_000);
    // At 0.1, 1.1, 3.1 and 7.1 s.
    assert_eq!(bed.crashes().len(), 4);
    assert_eq!(ticked(&bed), BTreeMap::from([(0, 1), (100, MOBS as usize - 1)]));
}

#[test]
fn what_was_missed_is_left_out_and_the_lag_is_told() {
    let mut bed = Bed::new(&[], |model, journal| {
        let journal = journal.clone();
        model.tick("Mob", move |cx| {
            let mut reader = cx.args();
            let (step, lag) = (reader.f64().unwrap(), reader.f64().unwrap());
            note(&journal, format!("{step} {lag}"));
            Ok(())
        })
    });
    bed.make(100, "Mob");
    bed.run();
    bed.pass(200);
    assert_eq!(bed.noted(), ["100 0", "100 0"]);
    bed.now += 350;
    bed.run();
    assert_eq!(bed.noted(), ["100 250"]);
    assert_eq!(bed.core.counts().ticks_left_out, 2);
    bed.pass(50);
    assert_eq!(bed.noted(), ["100 0"], "the phase is kept");
}

#[test]
fn a_tick_moves_its_members_and_sees_neighbours() {
    let mut bed = Bed::new(&[], |model, _| {
        model.tick("Mob", |cx| {
            let (offsets, found) = cx.host.neighbours(1.5, Some(MOB));
            assert_eq!(offsets, [0, 1, 3, 4]);
            assert_eq!(
                found.iter().map(|f| f.entity).collect::<Vec<_>>(),
                [id(101), id(100), id(102), id(101)]
            );
            let mut poses = cx.host.poses();
            poses.iter_mut().skip(2).step_by(4).for_each(|z| *z = 5.0);
            Ok(cx.host.move_all(&poses)?)
        })
    });
    for mob in [100, 101, 102] {
        bed.make(mob, "Mob");
    }
    bed.run();
    bed.pass(100);
    assert!(bed.crashes().is_empty(), "{:?}", bed.crashes());
    let snapshot = bed.core.snapshot().unwrap();
    let moved = snapshot.entities.iter().filter(|entity| entity.pose.z == 5.0).count();
    assert_eq!(moved, 3);
}

#[test]
fn who_sleeps_unwatched_neither_ticks_nor_hears_its_timers() {
    let mut manifest = manifest();
    manifest.types[MOB as usize].sleeps_unwatched = true;
    let mut bed = Bed::empty(SpaceKind::Space, Chaos::default(), manifest, |model, journal| {
        let (ticks, timers) = (journal.clone(), journal.clone());
        model
            .on("Mob", "act", |cx| {
                let timed = cx.method("Mob", "timed")?.1;
                cx.host.start_timer(cx.me(), timed, int(1), 10.0, 100.0, false)?;
                Ok(())
            })
            .on("Mob", "timed", move |cx| {
                note(&timers, format!("timer {}", cbor::diagnostic(&cx.event.args[1..])));
                Ok(())
            })
            .tick("Mob", move |_| {
                note(&ticks, "tick");
                Ok(())
            })
    });
    bed.make(SPACE, "Room");
    bed.make(100, "Mob");
    bed.call(100, "act");
    bed.pass(1_000);
    assert_eq!(bed.noted(), Vec::<String>::new());
    bed.attach(100, 1);
    bed.pass(115);
    assert_eq!(bed.noted(), ["timer 9", "timer 0", "tick", "timer 0"]);
}

#[test]
fn poses_that_are_not_finite_are_a_trap() {
    let mut bed = Bed::new(&[], |model, _| {
        model.tick("Mob", |cx| {
            let _ = cx.host.move_all(&[f32::NAN, 0.0, 0.0, 0.0]);
            Ok(())
        })
    });
    bed.make(100, "Mob");
    bed.run();
    bed.pass(100);
    assert_eq!(bed.crashes()[0].kind, TrapKind::Misuse);
}

#[test]
fn a_service_shard_ticks_itself_and_nobody_ticks_in_a_nil_shard() {
    let run = |kind: SpaceKind, type_name: &'static str| {
        let mut manifest = manifest();
        manifest.types[CLERK as usize].ticks_per_second = 10.0;
        let mut bed = Bed::empty(kind, Chaos::default(), manifest, move |model, journal| {
            let journal = journal.clone();
            model.tick(type_name, move |cx| {
                let due: Vec<EntityId> = cx.host.due().into_iter().map(|member| member.entity).collect();
                let (me, space) = (cx.me(), cx.host.current_space());
                let ticked = cx.number(me, 0)?;
                cx.set(me, 0, ticked + 1)?;
                note(&journal, format!("{} {}", due == [me], space.is_some()));
                if ticked == 2 { Err(trap()) } else { Ok(()) }
            })
        });
        bed.make(SPACE, type_name);
        bed.run();
        bed
    };
    let mut bed = run(SpaceKind::Service, "Clerk");
    bed.pass(300);
    assert_eq!(bed.noted(), ["true false"; 3]);
    assert_eq!(bed.number(SPACE, 0), 2, "the one that trapped is undone");
    // It pauses like any member.
    bed.pass(900);
    assert_eq!(bed.noted(), Vec::<String>::new());
    bed.pass(200);
    assert_eq!(bed.noted(), ["true false"]);
    let mut nil = run(SpaceKind::Nil, "Mob");
    nil.pass(1_000);
    assert_eq!(nil.noted(), Vec::<String>::new());
}
