//! `soak`: lives that begin, go elsewhere and end while versions and clients come and go, under virtual time.
//! At the end there must be as much of everything as before, and the process must not have grown.

use crate::modules::root;
use crate::report::{Line, Report, resident_bytes, thread_cpu};
use anyhow::{Result, ensure};
use everwake_testkit::soak::Soak;
use everwake_testkit::{Kit, World};

/// Cycles after which everybody has heard from everybody, and pools and rings are as full as they get: all is compared
/// from here on.
const WARM: usize = 100;
const MIB: f64 = 1024.0 * 1024.0;

pub fn run(report: &mut Report) -> Result<()> {
    let least: u64 = if report.quick { 100_000 } else { 1_000_000 };
    let kit = Kit::new();
    let folder = root().join("tests/modules/relay");
    let versions = [kit.build(&folder), kit.build_with(&folder, &["v2"], &[])];
    let mut soak = Soak::new(World::new(&kit).seed(8), versions);
    for number in 0..WARM {
        soak.cycle(number);
    }
    soak.rest();
    let start = soak.world.tally();
    let (events, memory, begin) = (soak.events(), resident_bytes(), thread_cpu());
    let mut number = WARM;
    let ran = loop {
        soak.cycle(number);
        number += 1;
        let ran = soak.events() - events;
        if ran >= least {
            break ran;
        }
    };
    let (spent, after) = ((thread_cpu() - begin).as_secs_f64(), resident_bytes());
    soak.rest();
    let left = soak.world.tally().difference(&start);
    ensure!(left.is_empty(), "more or less than before (what, after, before): {left:?}");
    report.note(&format!("{ran} events in {} cycles, a swap in every fourth, by the testkit", number - WARM));
    report.note(&format!("left at the end: {}", soak.world.tally()));
    let most = Some(Line::RatioAtMost(1.05));
    report.row("memory after it", after / MIB, "MiB", Some(memory / MIB), most, 1);
    report.row("events", ran as f64 / spent, "1/s", None, None, 1);
    Ok(())
}
