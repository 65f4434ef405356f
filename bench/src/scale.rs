//! `scale`: a whole game in this process, with one worker and with two, and a cluster of one game and of two with a
//! worker each; and tokens that run in circles through spaces.

use crate::cluster::{Cluster, Operator, open_field};
use crate::load;
use crate::modules::{self, AVATAR};
use crate::report::{Line, Report, median};
use crate::server;
use anyhow::{Result, anyhow, ensure};
use everwake_protocol::EntityId;
use everwake_runtime::driver::{Game, GameSettings, SpaceSettings, WasmLoader};
use everwake_runtime::game::GameConfig;
use everwake_runtime::game::node::Lives;
use everwake_runtime::wasm::{EngineConfig, Loader};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

const FIELDS: usize = 8;
const AVATARS: u32 = 256;
const TOKENS: u32 = 64;

pub fn run(report: &mut Report) -> Result<()> {
    let (runs, hops) = if report.quick { (3, 2_000) } else { (5, 4_000) };
    let component = AVATAR.build()?;
    report.note(&format!("{FIELDS} spaces, {TOKENS} tokens in each that are passed on {hops} times; median of {runs} runs, time on the wall"));
    let mut rates = Vec::new();
    for workers in [1, 2] {
        let settings = GameSettings {
            config: GameConfig::dev(workers),
            spaces: SpaceSettings::default(),
            workers,
            loader: Box::new(WasmLoader::new(Loader::new(modules::engine(EngineConfig::default())?))),
            lives: Lives::drawn(1),
        };
        let game = Game::start(settings, Box::new(drop))?;
        let handle = game.handle();
        server::publish(&handle, component.clone())?;
        let fields = (0..FIELDS).map(|_| server::open_field(&handle, AVATARS)).collect::<Result<Vec<_>>>()?;
        let relay = |field: &EntityId| server::operate(&handle, *field, "relay", json!([TOKENS, hops]));
        rates.push(measure(runs, || tokens(&relay, &fields, hops))?);
        game.stop();
    }
    if let [one, two] = rates.as_slice() {
        report.row("one worker", *one, "events/s", None, None, runs);
        report.row("two workers", *two, "events/s", Some(*one), Some(Line::RatioAtLeast(1.8)), runs);
    }
    processes(report, &load::file(&component, "avatar")?, (runs, hops))
}

/// The same in processes.
fn processes(report: &mut Report, component: &Path, (runs, hops): (usize, u32)) -> Result<()> {
    let mut rates = Vec::new();
    for games in [1, 2] {
        let cluster = Cluster::start(component, games, 1)?;
        let fields =
            (0..FIELDS).map(|_| open_field(&cluster.operators, AVATARS)).collect::<Result<Vec<_>>>()?;
        let relay =
            |(operator, field): &(&Operator, EntityId)| operator.operate(*field, "relay", &[TOKENS, hops]);
        rates.push(measure(runs, || tokens(&relay, &fields, hops))?);
        let used: BTreeSet<*const Operator> =
            fields.iter().map(|(operator, _)| std::ptr::from_ref(*operator)).collect();
        ensure!(used.len() == games, "the fields are in {} games of {games}", used.len());
    }
    if let [one, two] = rates.as_slice() {
        report.row("one game, a process with one worker", *one, "events/s", None, None, runs);
        report.row("two such games", *two, "events/s", Some(*one), Some(Line::RatioAtLeast(1.8)), runs);
    }
    Ok(())
}

/// The median after a run to warm up.
fn measure(runs: usize, run: impl Fn() -> Result<f64>) -> Result<f64> {
    run()?;
    Ok(median(&mut (0..runs).map(|_| run()).collect::<Result<Vec<f64>>>()?))
}

/// Events a second until all tokens of all fields are at their ends.
fn tokens<F: Sync>(relay: &(impl Fn(&F) -> Result<Value> + Sync), fields: &[F], hops: u32) -> Result<f64> {
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let relays: Vec<_> = fields.iter().map(|field| scope.spawn(|| relay(field))).collect();
        for relay in relays {
            let answer = relay.join().map_err(|_| anyhow!("a thread died"))??;
            ensure!(answer == json!(1), "the tokens got lost: {answer}");
        }
        Ok(f64::from(TOKENS * (hops + 2)) * fields.len() as f64 / begin.elapsed().as_secs_f64())
    })
}
