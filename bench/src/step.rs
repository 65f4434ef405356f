//! `step`: ticks, in bulk and member by member, beside the same loops natively.

use crate::bed::Bed;
use crate::modules::{self, BOIDS, Loaded, YARD};
use crate::report::{Line, Report, median, thread_cpu};
use anyhow::{Result, ensure};
use everwake_protocol::EntityId;
use everwake_protocol::client::Pose;
use everwake_runtime::space::CommitVerdict;
use everwake_runtime::wasm::EngineConfig;
use flock::{Bird, Flock};
use std::collections::HashMap;

#[path = "../modules/boids/src/flock.rs"]
#[expect(clippy::indexing_slicing, reason = "source of a module, where indexes are the loop's own")]
mod flock;

const BOIDS_COUNT: u32 = 10_000;
const MONSTERS: u32 = 200;
const PLAYERS: u32 = 50;
/// As in the module.
const SIGHT: f32 = 4.0;
const FIELD: f32 = 400.0;
const STEP: f32 = 6.0 / 20.0;

pub fn run(report: &mut Report) -> Result<()> {
    let engine = modules::engine(EngineConfig::default())?;
    let ticks = if report.quick { 60 } else { 400 };
    report.note(&format!("thread CPU time, median of {ticks} ticks after 5 to warm up; nobody watches"));
    let mut loaded = BOIDS.load(&engine)?;
    boids(report, &mut loaded, ticks)?;
    monsters(report, &mut loaded, ticks)?;
    let mut loaded = YARD.load(&engine)?;
    yard(report, &mut loaded, ticks)
}

fn boids(report: &mut Report, loaded: &mut Loaded, ticks: usize) -> Result<()> {
    let mut bed = Bed::new(&loaded.version, 0);
    bed.populate("Boid", BOIDS_COUNT, &[], scattered, &mut loaded.guests);
    let mut host = ticks_of(&mut bed, loaded, ticks)?;
    let birds =
        (0..BOIDS_COUNT).map(scattered).map(|pose| Bird { x: pose.x, z: pose.z, yaw: pose.yaw }).collect();
    let mut flock = Flock::new(birds, SIGHT, FIELD);
    let mut native: Vec<f64> = (0..ticks + 5).map(|_| timed(|| flock.step(STEP))).skip(5).collect();
    ensure!(flock.birds().iter().all(|bird| bird.x.is_finite()), "the flock is lost");
    let (host, native) = (median(&mut host), median(&mut native));
    report.row(
        "10,000 boids, one bulk tick through the space",
        host,
        "us",
        Some(native),
        Some(Line::RatioAtMost(2.0)),
        ticks,
    );
    report.row(
        "its share of a core at 20 Hz",
        host * 20.0 / 1e4,
        "%",
        Some(native * 20.0 / 1e4),
        None,
        ticks,
    );
    Ok(())
}

fn monsters(report: &mut Report, loaded: &mut Loaded, ticks: usize) -> Result<()> {
    let mut bed = Bed::new(&loaded.version, 1);
    bed.populate("Player", PLAYERS, &[77], scattered, &mut loaded.guests);
    bed.populate("Monster", MONSTERS, &[], scattered, &mut loaded.guests);
    let mut host = ticks_of(&mut bed, loaded, ticks)?;
    let players: HashMap<EntityId, i64> =
        (0..PLAYERS).map(|number| (EntityId(everwake_protocol::Id([1, 2, 3, number])), 77)).collect();
    let mut angry = vec![0i64; MONSTERS as usize];
    let mut native: Vec<f64> = (0..ticks + 5)
        .map(|_| {
            timed(|| {
                for angry in &mut angry {
                    let found = players.keys().filter_map(|player| players.get(std::hint::black_box(player)));
                    *angry += found.min().copied().unwrap_or(0);
                }
            })
        })
        .skip(5)
        .collect();
    ensure!(angry.iter().all(|angry| *angry > 0), "nobody looked");
    let (host, native) = (median(&mut host), median(&mut native));
    report.row("200 monsters read 50 players each, by member", host, "us", Some(native), None, ticks);
    report.row(
        "one read of another entity",
        host * 1e3 / f64::from(MONSTERS * PLAYERS),
        "ns",
        None,
        None,
        ticks,
    );
    Ok(())
}

fn yard(report: &mut Report, loaded: &mut Loaded, ticks: usize) -> Result<()> {
    let mut bed = Bed::new(&loaded.version, 2);
    bed.own("Yard", &[], &mut loaded.guests);
    let mut host = ticks_of(&mut bed, loaded, ticks)?;
    report.row("the yard: 200 monsters, 50 walkers", median(&mut host), "us", None, None, ticks);
    Ok(())
}

fn ticks_of(bed: &mut Bed, loaded: &mut Loaded, ticks: usize) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(ticks);
    for tick in 0..ticks + 5 {
        let time = bed.next_moment(&mut loaded.guests);
        let last = bed.core.commits().last();
        ensure!(last.is_some_and(|commit| commit.verdict == CommitVerdict::Done), "the tick fails: {last:?}");
        if tick >= 5 {
            times.push(time);
        }
    }
    Ok(times)
}

fn timed(work: impl FnOnce()) -> f64 {
    let begin = thread_cpu();
    work();
    (thread_cpu() - begin).as_secs_f64() * 1e6
}

/// A place that is anywhere, the same in each run.
fn scattered(number: u32) -> Pose {
    let share =
        |salt: u32| f64::from(number.wrapping_add(salt).wrapping_mul(2_654_435_761)) / f64::from(u32::MAX);
    let place = |salt| (share(salt) * f64::from(FIELD - 1.0)) as f32;
    Pose { x: place(1), y: 0.0, z: place(77_777), yaw: (share(3) * 359.0) as f32 }
}
