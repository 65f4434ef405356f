//! Whole clusters from one seed under virtual time: gates, dispatchers, games and clients, all of them the cores
//! that run in production, while links are cut and lose, and processes are paused, restarted and killed.
//!
//! `EVERWAKE_SEEDS=1000` runs more seeds, `EVERWAKE_SEED=7` that one alone. In a quarter of the runs nothing goes wrong, in one
//! links do, in one dispatchers too, in one games and gates too.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

mod cluster;
mod coverage;
mod dice;
mod faults;
mod link;
mod model;
mod parts;
mod plants;
mod players;
mod witness;

use cluster::Cluster;
use coverage::Coverage;
use faults::Level;
use model::see;
use plants::Plant;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use witness::Counts;

/// A mistake that is not found in so many seeds is not found.
const PLANT_SEEDS: u64 = 300;
/// How long things may go wrong.
const TROUBLE_STEPS: u64 = 1_500;
/// How long a cluster may take to come to rest afterwards.
const REST_MS_MAX: u64 = 120_000;
/// How long until each client has an entity that answers. A gate waits for some time until it counts an entity as lost
/// on its way from one game to another.
const ANSWER_MS_MAX: u64 = 60_000;

/// What came of a run.
#[derive(Debug)]
struct Run {
    hash: u64,
    counts: Counts,
    ms: u64,
    coverage: Coverage,
}

fn level_of(seed: u64) -> Level {
    Level::ALL[seed as usize % Level::ALL.len()]
}

/// Runs a seed; says what was wrong.
fn run(seed: u64, plant: Option<Plant>) -> Result<Run, String> {
    let mut cluster = Cluster::new(seed, level_of(seed), plant);
    let start_ms = cluster.now_ms;
    for _ in 0..TROUBLE_STEPS {
        cluster.step()?;
    }
    cluster.heal();
    see(&cluster.witness).quiet = true;
    rest(&mut cluster)?;
    answer(&mut cluster)?;
    let mut witness = see(&cluster.witness);
    witness.end();
    if let Some(wrong) = witness.wrong.take() {
        return Err(wrong);
    }
    let (hash, counts) = (witness.hash(), witness.counts);
    drop(witness);
    Ok(Run { hash, counts, ms: cluster.now_ms - start_ms, coverage: std::mem::take(&mut cluster.coverage) })
}

/// When faults are over everything comes to rest.
fn rest(cluster: &mut Cluster) -> Result<(), String> {
    let until_ms = cluster.now_ms + REST_MS_MAX;
    while !cluster.is_settled() {
        cluster.step()?;
        if cluster.now_ms > until_ms {
            return Err(format!("it does not settle: {}", cluster.unsettled()));
        }
    }
    Ok(())
}

/// Every client comes to have an entity that answers, and sees it as it is.
fn answer(cluster: &mut Cluster) -> Result<(), String> {
    let until_ms = cluster.now_ms + ANSWER_MS_MAX;
    (0..cluster.seats.len()).for_each(|seat| cluster.poke(seat));
    loop {
        cluster.step()?;
        let whereabouts = cluster.whereabouts()?;
        let mut wrong = None;
        for number in 0..cluster.seats.len() {
            let Some(seat) = cluster.seats[number].as_ref() else { continue };
            let (mirror, told) = (seat.mirror(), seat.last_poke.clone());
            let is_somewhere = seat.core.own().is_some_and(|own| whereabouts.contains_key(&own.id));
            if is_somewhere && mirror.is_some() && mirror == told.clone().and_then(Result::ok) {
                continue;
            }
            let what = format!("a client sees {mirror:?}, its entity says {told:?}, lives: {is_somewhere}");
            wrong = Some(format!("{what}: {}", seat.describe()));
            // It may have been about to get another entity.
            if told.is_some() || seat.core.pending() == 0 {
                cluster.poke(number);
            }
        }
        match wrong {
            None => return Ok(()),
            Some(wrong) if cluster.now_ms > until_ms => return Err(wrong),
            Some(_) => {}
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// What came of many.
#[derive(Debug, Default)]
struct Sum {
    ms: u64,
    heard: u64,
    coverage: Coverage,
    wrong: Vec<String>,
}

/// Runs seeds, on as many threads as there are processors.
fn run_all(seeds: Range<u64>) -> Sum {
    let (next, sum) = (AtomicU64::new(seeds.start), Mutex::new(Sum::default()));
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let run = run(seed, None);
            let mut sum = sum.lock().unwrap();
            match run {
                Ok(run) => {
                    (sum.ms, sum.heard) = (sum.ms + run.ms, sum.heard + run.counts.heard);
                    sum.coverage.add(&run.coverage);
                }
                Err(what) => sum.wrong.push(format!("seed {seed}, {:?}: {what}", level_of(seed))),
            }
        }
    };
    std::thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(work))));
    sum.into_inner().unwrap()
}

#[test]
fn nothing_is_lost_doubled_or_out_of_order() {
    let only = number("EVERWAKE_SEED");
    let seeds = only.map_or(0..number("EVERWAKE_SEEDS").unwrap_or(160), |seed| seed..seed + 1);
    let (count, begun) = (seeds.end - seeds.start, std::time::Instant::now());
    let sum = run_all(seeds);
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    println!(
        "{:.0} seeds and {:.1} simulated hours a minute; {} messages; {} of {count} seeds fail",
        count as f64 / minutes,
        sum.ms as f64 / 3_600_000.0 / minutes,
        sum.heard,
        sum.wrong.len(),
    );
    println!("said: {}", sum.coverage.table());
    assert!(sum.wrong.is_empty(), "{}", sum.wrong.join("\n"));
    assert!(sum.heard > 100 * count, "hardly anything happens: {} messages", sum.heard);
    if count > 100 {
        assert_eq!(sum.coverage.missing(), Vec::<&str>::new(), "never said");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..8 {
        let hash = |seed| run(seed, None).map(|run| run.hash);
        assert_eq!(hash(seed), hash(seed), "seed {seed}");
    }
}

#[test]
fn a_rule_that_nobody_keeps_is_missed() {
    for (plant, rule) in Plant::ALL {
        let found = (0..PLANT_SEEDS).find_map(|seed| run(seed, Some(plant)).err().map(|wrong| (seed, wrong)));
        let Some((seed, wrong)) = found else {
            panic!("{rule}: {plant:?} is not found in {PLANT_SEEDS} seeds")
        };
        let wrong: String = wrong.chars().take(100).collect();
        println!("{rule:4} {plant:?}: found after {} seeds: {wrong}", seed + 1);
    }
}
