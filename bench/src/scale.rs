//! `scale`: a whole game in this process, with one worker and with two, and tokens that run in
//! circles through its spaces.

use crate::modules::{self, AVATAR};
use crate::report::{Line, Report, median};
use crate::server;
use anyhow::{Result, anyhow, ensure};
use everwake_protocol::EntityId;
use everwake_runtime::driver::{Game, GameHandle, GameSettings, SpaceSettings, WasmLoader};
use everwake_runtime::game::GameConfig;
use everwake_runtime::game::node::Lives;
use everwake_runtime::wasm::{EngineConfig, Loader};
use serde_json::json;
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
        let mut measured =
            (0..=runs).map(|_| tokens(&handle, &fields, hops)).collect::<Result<Vec<f64>>>()?;
        measured.remove(0);
        rates.push(median(&mut measured));
        game.stop();
    }
    if let [one, two] = rates.as_slice() {
        report.row("one worker", *one, "events/s", None, None, runs);
        report.row("two workers", *two, "events/s", Some(*one), Some(Line::RatioAtLeast(1.8)), runs);
    }
    Ok(())
}

/// Events a second until all tokens of all fields are at their ends.
fn tokens(game: &GameHandle, fields: &[EntityId], hops: u32) -> Result<f64> {
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let relays: Vec<_> = fields
            .iter()
            .map(|field| scope.spawn(|| server::operate(game, *field, "relay", json!([TOKENS, hops]))))
            .collect();
        for relay in relays {
            let answer = relay.join().map_err(|_| anyhow!("a thread died"))??;
            ensure!(answer == json!(1), "the tokens got lost: {answer}");
        }
        Ok(f64::from(TOKENS * (hops + 2)) * fields.len() as f64 / begin.elapsed().as_secs_f64())
    })
}
