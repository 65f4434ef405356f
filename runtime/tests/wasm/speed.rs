//! What the boundary costs. Run by hand, in release, on a quiet machine:
//! `cargo test --release -p everwake-runtime --test wasm -- --ignored --nocapture speed`

use std::time::Duration;

use everwake_runtime::guest::{Guest, Imports, Verdict};

use crate::host::Recorder;
use crate::probe::{FULL, NOTHING, event, loaded};

/// Nanoseconds of one event, the best of many runs.
fn cost(method: u32) -> f64 {
    const EVENTS: u32 = 20_000;
    let mut guest = loaded().instantiate().unwrap();
    let event = event(method, 5);
    let mut best = f64::INFINITY;
    for _ in 0..30 {
        let mut recorder = Recorder::default();
        recorder.patches.reserve(EVENTS as usize);
        recorder.sent.reserve(EVENTS as usize);
        let mut host: Box<dyn Imports> = Box::new(recorder);
        let started = thread_time();
        for _ in 0..EVENTS {
            let (back, verdict) = guest.handle(&event, host);
            assert_eq!(verdict, Verdict::Done);
            host = back;
        }
        best = best.min((thread_time() - started).as_nanos() as f64 / f64::from(EVENTS));
    }
    best
}

/// CPU time: what else runs on the machine does not count.
fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for a timespec.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
#[ignore = "measures; needs a release build and a quiet machine"]
fn speed_of_an_event() {
    println!("empty event: {:.0} ns, patch and send: {:.0} ns", cost(NOTHING), cost(FULL));
}
