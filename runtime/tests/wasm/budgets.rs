//! Time, memory and stack end; neighbours go on.

use std::time::{Duration, Instant};

use everwake_runtime::guest::{GuestSource, Trap, TrapKind, Verdict};
use everwake_runtime::wasm::{Engine, EngineConfig, LoadedVersions, Loader, WasmGuest, WasmSource};

use crate::host::Recorder;
use crate::probe::{BAD_PATCH, COUNT, GROW, NOTHING, RECURSE, SPIN, component, event, load, loaded, run};

fn trap(guest: &mut WasmGuest, method: u32) -> Trap {
    match run(guest, method, 0).0 {
        Verdict::Trapped(trap) => trap,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_endless_loop_is_cut_and_its_neighbour_is_not() {
    let version = loaded();
    let (mut looping, mut neighbour) = (version.instantiate().unwrap(), version.instantiate().unwrap());
    run(&mut neighbour, COUNT, 0);
    let started = Instant::now();
    let trap = trap(&mut looping, SPIN);
    assert_eq!(trap.kind, TrapKind::TimedOut);
    // Twice the budget of 5 ms, and a lot of room for a busy machine.
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(run(&mut neighbour, COUNT, 0).1.answers[0], [0x1a, 0, 0, 0, 2][..]);
    let mut fresh = version.instantiate().unwrap();
    assert_eq!(run(&mut fresh, COUNT, 0).1.answers[0], [0x1a, 0, 0, 0, 1][..], "made anew");
}

/// Nobody has said that a turn begins: the clock that cuts goes on all the same.
#[test]
fn an_endless_loop_is_cut_while_the_clock_rests() {
    let engine = Engine::new(EngineConfig { instances: 4, ..EngineConfig::default() }).unwrap();
    let version = Loader::new(engine.clone()).load(component()).unwrap();
    let versions = LoadedVersions::default();
    versions.add(version.clone());
    let mut source = WasmSource::new(versions, &engine);
    let spin = |source: &mut WasmSource| {
        let mut guest = source.instantiate(version.hash()).unwrap();
        guest.handle(&event(SPIN, 0), Box::new(Recorder::default())).1
    };
    for runs in [false, true, false] {
        source.turn(runs);
        assert!(matches!(spin(&mut source), Verdict::Trapped(Trap { kind: TrapKind::TimedOut, .. })));
    }
}

/// A budget of CPU time: events that wait long for the processor are not cut.
#[test]
fn a_busy_machine_cuts_nobody() {
    let version = loaded();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    std::hint::black_box(0);
                }
            });
        }
        let mut guest = version.instantiate().unwrap();
        let until = Instant::now() + Duration::from_millis(500);
        let mut verdict = Verdict::Done;
        while Instant::now() < until && verdict == Verdict::Done {
            verdict = run(&mut guest, COUNT, 0).0;
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(verdict, Verdict::Done);
    });
}

#[test]
fn memory_and_stack_end_before_the_hosts_do() {
    let version = loaded();
    let mut bomb = version.instantiate().unwrap();
    let memory = trap(&mut bomb, GROW);
    assert_eq!(memory.kind, TrapKind::Memory, "{memory:?}");
    let stack = trap(&mut version.instantiate().unwrap(), RECURSE);
    assert!(matches!(stack.kind, TrapKind::Stack | TrapKind::Fault), "{stack:?}");
    assert!(!stack.frames.is_empty());
    assert_eq!(run(&mut version.instantiate().unwrap(), NOTHING, 0).0, Verdict::Done);
}

#[test]
fn what_the_host_calls_a_misuse_traps() {
    let trap = trap(&mut loaded().instantiate().unwrap(), BAD_PATCH);
    assert_eq!((trap.kind, trap.message.as_str()), (TrapKind::Misuse, "the patch is malformed at byte 0"));
}

#[test]
fn a_full_pool_is_an_error_until_somebody_leaves() {
    let version = load(EngineConfig { instances: 2, ..EngineConfig::repeatable() });
    let first = version.instantiate().unwrap();
    let mut second = version.instantiate().unwrap();
    let full = version.instantiate().err().unwrap();
    assert_eq!(full.kind, TrapKind::NoRoom);
    drop(first);
    let third = version.instantiate().unwrap();
    assert!(version.instantiate().is_err());
    trap(&mut second, BAD_PATCH);
    assert!(version.instantiate().is_ok(), "a trap gives the slot back");
    drop(third);
}

#[test]
fn fuel_is_the_same_each_time() {
    let story = |guest: &mut WasmGuest| {
        let methods = [NOTHING, COUNT, COUNT, 2, 10, 8, SPIN];
        methods.map(|method| (run(guest, method, 7).0, guest.fuel_used().unwrap()))
    };
    let version = load(EngineConfig::repeatable());
    let first = story(&mut version.instantiate().unwrap());
    assert_eq!(story(&mut version.instantiate().unwrap()), first);
    let again = load(EngineConfig::repeatable());
    assert_eq!(story(&mut again.instantiate().unwrap()), first);
    let Verdict::Trapped(cut) = &first[6].0 else { panic!("{:?}", first[6]) };
    assert_eq!(cut.kind, TrapKind::TimedOut);
    assert!(first[1].1 > 0);
}
