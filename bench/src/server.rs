//! A game with its gate in a process of its own, as `everwake` runs them, steered by lines on its
//! standard input. Also what tests of a game in this process ask of it.

use crate::child::say;
use crate::modules;
use crate::report::{monotonic, pause};
use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use everwake_gate::{CertificateSource, Gate, GateConfig, GateLimits};
use everwake_protocol::cluster::{FromDispatcher, ToDispatcher, ToGame, ToGate};
use everwake_protocol::{EntityId, Id};
use everwake_runtime::driver::{
    Game, GameEvent, GameHandle, GameSettings, Overloaded, SpaceSettings, WasmLoader,
};
use everwake_runtime::game::GameConfig;
use everwake_runtime::game::admin::AdminAnswer;
use everwake_runtime::game::node::Lives;
use everwake_runtime::game::publish::{Agreed, PublishOptions};
use everwake_runtime::game::report::{Fact, PublicationReport};
use everwake_runtime::message::service_shard;
use everwake_runtime::wasm::{EngineConfig, Loader};
use serde_json::{Value, json};
use std::io::BufRead;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const BATCHES_MAX: usize = 1_024;
/// No limit of a client's is what is measured.
const PLENTY: u32 = 1_000_000_000;

/// Runs until its standard input ends.
pub fn run(component: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let lives = Lives::drawn(std::process::id().into());
    let gate = Gate::bind(GateConfig {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        certificate: CertificateSource::Development,
        limits: limits(),
        incarnation: lives.gate,
        seed: Id([std::process::id(), 2, 3, 4]),
        secret: None,
    })?;
    let address = gate.address();
    let (to_gate, from_game) = mpsc::channel::<Vec<FromDispatcher<ToGate, ToGame>>>(BATCHES_MAX);
    let (to_game, from_gate) = mpsc::channel::<Vec<ToDispatcher<ToGame>>>(BATCHES_MAX);
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let engine = modules::engine(EngineConfig::default())?;
    let loader = Loader::with_cache(engine, &modules::root().join("target/bench-cache"))?;
    let settings = GameSettings {
        config: GameConfig::dev(cores),
        spaces: SpaceSettings::default(),
        workers: cores,
        loader: Box::new(WasmLoader::new(loader)),
        lives,
    };
    // A gate that is gone needs nothing.
    let game = Game::start(settings, Box::new(move |batch| drop(to_gate.blocking_send(batch))))?;
    let handle = game.handle();
    publish(&handle, std::fs::read(component)?.into())?;
    runtime.spawn(pump(from_gate, handle.clone()));
    runtime.spawn(gate.run(to_game, from_game, std::future::pending()));
    say(&json!(address.to_string()));
    for line in std::io::stdin().lock().lines() {
        say(&obey(&handle, &line?).unwrap_or_else(|error| json!({ "error": error.to_string() })));
    }
    Ok(())
}

fn limits() -> GateLimits {
    GateLimits {
        connections: PLENTY as usize,
        connections_per_address: PLENTY as usize,
        connections_per_address_per_minute: PLENTY,
        handshake_timeout: Duration::from_secs(60),
        hello_timeout: Duration::from_secs(60),
        requests_per_second: PLENTY,
        frames_per_second: PLENTY,
        stream_bytes_per_second: PLENTY,
        method_calls_per_minute: PLENTY,
        ..GateLimits::default()
    }
}

/// As the command line's host does it.
async fn pump(mut from_gate: mpsc::Receiver<Vec<ToDispatcher<ToGame>>>, game: GameHandle) {
    while let Some(batch) = from_gate.recv().await {
        for mut message in batch {
            while let Err(Overloaded(back)) = game.from_gate(message) {
                message = *back;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

fn obey(game: &GameHandle, line: &str) -> Result<Value> {
    match line.split_once(' ') {
        Some(("open", population)) => Ok(json!(open_field(game, population.parse()?)?.to_string())),
        Some(("publish", path)) => {
            let swapped = game.events();
            let moment = std::thread::spawn(move || moment_of_swap(&swapped));
            let report = publish(game, std::fs::read(path)?.into())?;
            let micros = moment.join().ok().flatten().map(|at| at.as_secs_f64() * 1e6);
            Ok(json!({ "report": report, "at_us": micros }))
        }
        _ => bail!("`{line}` is no command"),
    }
}

/// When all spaces run a new version.
fn moment_of_swap(events: &Receiver<GameEvent>) -> Option<Duration> {
    loop {
        let event = events.recv_timeout(Duration::from_secs(30)).ok()?;
        if matches!(event, GameEvent::Fact(Fact::Swapped { .. })) {
            return Some(monotonic());
        }
    }
}

/// Publishes a component, come what may.
pub fn publish(game: &GameHandle, bytes: Bytes) -> Result<PublicationReport> {
    let options = PublishOptions { supersede: true, agreed: Agreed::Loss, ..PublishOptions::default() };
    match game.publish(bytes, "bench", options)? {
        AdminAnswer::Publication(report) if report.published => Ok(*report),
        other => bail!("not published: {other:?}"),
    }
}

/// Makes a field, and waits until all its avatars are there.
pub fn open_field(game: &GameHandle, population: u32) -> Result<EntityId> {
    let warden = service_shard("bench", "Warden", 0);
    let begin = Instant::now();
    let field = loop {
        match operate(game, warden, "open", json!([population])) {
            // It is being made still.
            Err(_) if begin.elapsed() < Duration::from_secs(5) => pause(Duration::from_millis(20)),
            answer => break answer?,
        }
    };
    let text = field.as_str().with_context(|| format!("no field: {field}"))?;
    let field = EntityId(text.parse().map_err(|_| anyhow!("`{text}` is no id"))?);
    while operate(game, field, "population", json!([]))? != json!(population) {
        anyhow::ensure!(begin.elapsed() < Duration::from_secs(30), "the field does not fill");
        pause(Duration::from_millis(20));
    }
    Ok(field)
}

/// Calls a method as an operator.
pub fn operate(game: &GameHandle, entity: EntityId, method: &str, args: Value) -> Result<Value> {
    match game.call("bench", entity, method, args)? {
        AdminAnswer::Value(value) => Ok(value),
        other => bail!("`{method}`: {other:?}"),
    }
}
