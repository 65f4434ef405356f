//! Whole clusters from one seed under virtual time: gates, dispatchers, games and clients, all of them the cores
//! that run in production, while links are cut and lose, and processes are paused, restarted and killed.
//!
//! `EVERWAKE_SEEDS=1000` runs more seeds, `EVERWAKE_SEED=7` that one alone. `EVERWAKE_FAULTS` says how much goes wrong:
//! 0, the default, nothing; 1 links; 2 dispatchers too; 3 games and gates too. Runs with faults do not hold yet.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

mod cluster;
mod dice;
mod faults;
mod link;
mod model;
mod parts;
mod players;
mod witness;

use cluster::Cluster;
use faults::Level;
use model::see;
use witness::Counts;

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
}

fn level_of(seed: u64) -> Level {
    let worst = number("EVERWAKE_FAULTS").unwrap_or_default().min(3);
    Level::ALL[(seed % (worst + 1)) as usize]
}

/// Runs a seed; says what was wrong.
fn run(seed: u64) -> Result<Run, String> {
    let mut cluster = Cluster::new(seed, level_of(seed));
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
    match witness.wrong.take() {
        Some(wrong) => Err(wrong),
        None => Ok(Run { hash: witness.hash(), counts: witness.counts, ms: cluster.now_ms - start_ms }),
    }
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

#[test]
fn nothing_is_lost_doubled_or_out_of_order() {
    let only = number("EVERWAKE_SEED");
    let seeds = only.map_or(0..number("EVERWAKE_SEEDS").unwrap_or(24), |seed| seed..seed + 1);
    let count = seeds.end - seeds.start;
    let begun = std::time::Instant::now();
    let (mut virtual_ms, mut heard, mut wrong) = (0, 0, Vec::new());
    for seed in seeds {
        match run(seed) {
            Ok(run) => {
                if only.is_some() {
                    println!("seed {seed}: {run:?}");
                }
                (virtual_ms, heard) = (virtual_ms + run.ms, heard + run.counts.heard);
            }
            Err(what) => wrong.push(format!("seed {seed}, {:?}: {what}", level_of(seed))),
        }
    }
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    println!(
        "{:.0} seeds and {:.1} simulated hours a minute; {heard} messages; {} of {count} seeds fail",
        count as f64 / minutes,
        virtual_ms as f64 / 3_600_000.0 / minutes,
        wrong.len(),
    );
    assert!(heard >= 100 * (count - wrong.len() as u64), "hardly anything happens: {heard} messages");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..4 {
        let hash = |seed| run(seed).map(|run| run.hash);
        assert_eq!(hash(seed), hash(seed), "seed {seed}");
    }
}
