//! `trap`: what a handler costs that panics, never ends, or wants all memory, and what those beside
//! it notice.

use crate::bed::{Bed, integers};
use crate::modules::{self, AVATAR, Loaded, YARD};
use crate::report::{Line, Report, median, percentile, thread_cpu};
use anyhow::{Result, ensure};
use everwake_protocol::client::Pose;
use everwake_runtime::guest::TrapKind;
use everwake_runtime::space::CommitVerdict;
use everwake_runtime::wasm::EngineConfig;
use std::time::Instant;

const ENTITIES: u32 = 1_000;
const BUDGET_MS: u32 = 10;

pub fn run(report: &mut Report) -> Result<()> {
    let (mut bed, mut loaded) = avatars(EngineConfig::default())?;
    let runs = if report.quick { 100 } else { 1_000 };
    report.note(&format!(
        "from the call to the end of the next call, a new instance in between; median of {runs}"
    ));
    let mut well = pairs(&mut bed, &mut loaded, "nothing", None, runs)?;
    let healthy = median(&mut well);
    let mut panics = pairs(&mut bed, &mut loaded, "panics", Some(TrapKind::Fault), runs)?;
    report.row(
        "a panic, and a call after it",
        median(&mut panics),
        "us",
        Some(healthy),
        Some(Line::AtMost(1_000.0)),
        runs,
    );
    report.row("the same, p99", percentile(&mut panics, 0.99), "us", None, None, runs);
    let few = runs / 10;
    let mut hoards = pairs(&mut bed, &mut loaded, "hoards", Some(TrapKind::Memory), few)?;
    report.row(
        "a memory bomb of 64 MiB, and a call after it",
        median(&mut hoards),
        "us",
        Some(healthy),
        None,
        few,
    );
    let (mut bed, mut loaded) =
        avatars(EngineConfig { event_budget_ms_max: BUDGET_MS, ..EngineConfig::default() })?;
    let begin = Instant::now();
    let mut spins = pairs(&mut bed, &mut loaded, "spins", Some(TrapKind::TimedOut), few)?;
    let wall = begin.elapsed().as_secs_f64() * 1e6 / few as f64;
    let allowed = f64::from(BUDGET_MS) * 1e3;
    report.row(
        "an endless loop, budget 10 ms, CPU",
        median(&mut spins),
        "us",
        Some(allowed),
        Some(Line::RatioAtMost(2.5)),
        few,
    );
    report.row("the same, time on the wall", wall, "us", Some(allowed), None, few);
    neighbours(report)
}

fn avatars(config: EngineConfig) -> Result<(Bed, Loaded)> {
    let mut loaded = AVATAR.load(&modules::engine(config)?)?;
    let mut bed = Bed::new(&loaded.version, 0);
    bed.populate("Avatar", ENTITIES, &[7], |_| Pose::default(), &mut loaded.guests);
    Ok((bed, loaded))
}

/// CPU time of a call and of a healthy one after it, in us.
fn pairs(
    bed: &mut Bed,
    loaded: &mut Loaded,
    method: &str,
    trap: Option<TrapKind>,
    runs: usize,
) -> Result<Vec<f64>> {
    let expected = trap.map_or(CommitVerdict::Done, CommitVerdict::Trapped);
    let mut times = Vec::with_capacity(runs);
    for _ in 0..=runs {
        let begin = thread_cpu();
        for (method, expected) in [(method, expected), ("nothing", CommitVerdict::Done)] {
            bed.cost(bed.method("Avatar", method)?, &integers(&[37]), 1, &mut loaded.guests);
            let verdict = bed.core.commits().last().map(|commit| commit.verdict);
            ensure!(verdict == Some(expected), "`{method}` ended as {verdict:?}");
        }
        times.push((thread_cpu() - begin).as_secs_f64() * 1e6);
    }
    times.remove(0);
    Ok(times)
}

/// The yard's ticks, with a monster that panics in each of its ticks and without.
fn neighbours(report: &mut Report) -> Result<()> {
    let engine = modules::engine(EngineConfig::default())?;
    let ticks = if report.quick { 600 } else { 6_000 };
    let mut quantiles = Vec::new();
    for source in [YARD, YARD.with("trouble")] {
        let mut loaded = source.load(&engine)?;
        let mut bed = Bed::new(&loaded.version, 1);
        bed.own("Yard", &[], &mut loaded.guests);
        let mut times: Vec<f64> = (0..ticks).map(|_| bed.next_moment(&mut loaded.guests)).skip(20).collect();
        quantiles.push((median(&mut times), percentile(&mut times, 0.99), percentile(&mut times, 1.0)));
    }
    if let [(p50, p99, _), (with_p50, with_p99, with_max)] = quantiles.as_slice() {
        let line = || Some(Line::RatioAtMost(1.1));
        report.row("249 neighbours of one that panics, tick p50", *with_p50, "us", Some(*p50), line(), ticks);
        report.row("the same, p99", *with_p99, "us", Some(*p99), line(), ticks);
        report.row("the slowest tick: with the trap in it", *with_max, "us", Some(*p50), None, ticks);
    }
    Ok(())
}
