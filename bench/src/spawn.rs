//! `spawn`: entities made and destroyed, spaces made and idle.

use crate::bed::{Bed, integers};
use crate::modules::{self, AVATAR, Loaded};
use crate::report::{Line, Report, median, resident_bytes, thread_cpu};
use anyhow::{Result, ensure};
use everwake_runtime::wasm::EngineConfig;

/// Entities of one event, and events of one run.
const BATCH: i64 = 2_000;
const BATCHES: usize = 10;
const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

pub fn run(report: &mut Report) -> Result<()> {
    let spaces: u32 = if report.quick { 1_000 } else { 10_000 };
    let engine = modules::engine(EngineConfig { instances: spaces + 16, ..EngineConfig::default() })?;
    let mut loaded = AVATAR.load(&engine)?;
    entities(report, &mut loaded)?;
    idle_spaces(report, &mut loaded, spaces)
}

fn entities(report: &mut Report, loaded: &mut Loaded) -> Result<()> {
    let runs = if report.quick { 3 } else { 7 };
    let mut bed = Bed::new(&loaded.version, 0);
    let field = bed.own("Field", &[0], &mut loaded.guests);
    let (spawn, clear) = (bed.method("Field", "spawn")?, bed.method("Field", "clear")?);
    let (mut spawns, mut destroys) = (Vec::new(), Vec::new());
    for _ in 0..=runs {
        for _ in 0..BATCHES {
            bed.call(field, spawn, &integers(&[BATCH]));
        }
        let begin = thread_cpu();
        bed.run(&mut loaded.guests);
        let made = bed.core.entities() - 1;
        spawns.push(made as f64 / (thread_cpu() - begin).as_secs_f64());
        ensure!(made == BATCH as usize * BATCHES, "{made} entities were made");
        bed.call(field, clear, &integers(&[]));
        let begin = thread_cpu();
        bed.run(&mut loaded.guests);
        destroys.push(made as f64 / (thread_cpu() - begin).as_secs_f64());
        ensure!(bed.core.entities() == 1, "some entities are left");
    }
    report.note(&format!("entities of 15 attributes, {BATCH} in one event, {BATCHES} events, median of {runs} runs, thread CPU time"));
    spawns.remove(0);
    destroys.remove(0);
    report.row("spawned", median(&mut spawns), "1/s", None, Some(Line::AtLeast(1e5)), runs);
    report.row("destroyed", median(&mut destroys), "1/s", None, None, runs);
    Ok(())
}

fn idle_spaces(report: &mut Report, loaded: &mut Loaded, count: u32) -> Result<()> {
    let before = resident_bytes();
    let begin = thread_cpu();
    let mut spaces = Vec::with_capacity(count as usize);
    for number in 1..=count {
        let mut bed = Bed::new(&loaded.version, number);
        bed.own("Field", &[1], &mut loaded.guests);
        spaces.push(bed);
    }
    let spent = (thread_cpu() - begin).as_secs_f64();
    ensure!(spaces.iter().all(|space| space.core.has_instance()), "a space has no instance");
    let with = (resident_bytes() - before) / f64::from(count);
    spaces.iter_mut().for_each(|space| space.core.rest());
    let without = (resident_bytes() - before) / f64::from(count);
    report.note(&format!("{count} spaces with an avatar each, all idle"));
    report.row("a space made, with its instance, CPU", spent * 1e6 / f64::from(count), "us", None, None, 1);
    report.row(
        "memory of an idle space with its instance",
        with / 1024.0,
        "KiB",
        None,
        Some(Line::AtMost(GIB / 1e4 / 1024.0)),
        1,
    );
    report.row("the same after the instance was let go", without / 1024.0, "KiB", None, None, 1);
    Ok(())
}
