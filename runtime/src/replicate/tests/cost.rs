//! What a flush costs. A measurement, not a gate: it prints, and fails only far from the aim.

use super::*;
use std::time::{Duration, Instant};

#[test]
#[ignore = "a measurement, for release builds: cargo test --release -p everwake-runtime --lib replicate::tests::cost -- --ignored --nocapture"]
fn a_flush_of_200_movers_for_50_observers() {
    let mut stand = Stand::new();
    let place = |number: u32, turn: u32| {
        at((number % 15) as f32 + (turn % 7) as f32 / 4.0, (number / 15) as f32 + (turn % 5) as f32 / 4.0)
    };
    for number in 1..=50 {
        stand.player(number, place(number, 0));
    }
    for number in 51..=200 {
        stand.rock(number, place(number, 0));
    }
    stand.pass(1_000);
    let mut times: Vec<Duration> = Vec::new();
    let mut placed = 0;
    for turn in 0..400 {
        let mut changes: Vec<Change> = (1..=200)
            .map(|number| Change::Moved {
                entity: entity(number),
                pose: place(number, turn),
                by_client: false,
            })
            .collect();
        changes.extend((1..=200).map(|number| set(number, HP, &[(turn % 20) as u8])));
        stand.event(changes);
        stand.now_ms += 100;
        let mut out = Vec::new();
        let begin = Instant::now();
        stand.replicator.handle(ReplicaInput::Flush { now_ms: stand.now_ms }, &mut out);
        times.push(begin.elapsed());
        placed += gates(&out).filter(|value| matches!(value, ToGate::Positions { .. })).count();
    }
    times.sort_unstable();
    let (median, worst) = (times[200], times[399]);
    println!("flush of 200 movers for 50 observers: median {median:?}, worst {worst:?}, {placed} datagrams");
    assert!(median < Duration::from_millis(5));
}
