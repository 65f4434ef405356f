//! Game and gate in this process, joined by channels. Knows neither builds nor terminals.

use super::ports::{self, Protocol};
use crate::config::Limits;
use crate::failure::{FAULT, HintExt as _, because, hinted};
use everwake_gate::{CertificateSource, Gate, GateConfig, GateError, GateLimits};
use everwake_protocol::Id;
use everwake_protocol::cluster::{FromDispatcher, ToDispatcher, ToGame, ToGate};
use everwake_runtime::driver::{
    Game, GameHandle, GameSettings, Overloaded, SpaceSettings, WasmLoader, entropy,
};
use everwake_runtime::game::GameConfig;
use everwake_runtime::game::node::Lives;
use everwake_runtime::space::config::Chaos;
use everwake_runtime::wasm::{Engine, EngineConfig, Loader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Batches that may wait between game and gate, each way. Over it the gate refuses requests, and
/// the game waits for the gate.
const BATCHES_MAX: usize = 1024;
/// How long the gate may take to tell its clients, and the game to close its spaces.
const STOP_GATE: Duration = Duration::from_millis(1300);
const STOP_GAME: Duration = Duration::from_millis(600);
/// Name of the one game process, in reports.
const GAME: &str = "dev";
/// One of so many events runs on a fresh instance too, in development.
pub const TWIN_ONE_IN: u32 = 50;

/// Where to listen, and within which limits.
#[derive(Clone, Debug)]
pub struct HostSettings {
    /// Address of the gate.
    pub gate: SocketAddr,
    /// Port of the admin API on loopback.
    pub admin_port: u16,
    /// Of clients and modules.
    pub limits: Limits,
    /// Compiled code is kept here.
    pub cache: PathBuf,
    /// What led to crashes is written here.
    pub crash_recordings: PathBuf,
    /// What to disturb on purpose.
    pub chaos: Chaos,
}

/// Ports that are taken; nothing runs yet, so that a taken port is told before a long build.
pub struct Ports {
    gate: BoundGate,
    /// For the admin server.
    pub admin: TcpListener,
}

/// A gate that has its port, and the lives that it and its game will have.
pub struct BoundGate {
    gate: Gate,
    lives: Lives,
}

/// A running game with its gate.
pub struct Host {
    /// Steers the game.
    pub handle: GameHandle,
    /// Where clients connect.
    pub gate: SocketAddr,
    /// SHA-256 of the gate's certificate.
    pub fingerprint: String,
    game: Game,
    stop_gate: oneshot::Sender<()>,
    gate_task: JoinHandle<()>,
}

/// Takes the ports. A taken one is named, with who holds it.
pub async fn bind(settings: &HostSettings) -> anyhow::Result<Ports> {
    let admin = (Ipv4Addr::LOCALHOST, settings.admin_port);
    let admin =
        TcpListener::bind(admin).await.map_err(|error| explain(error, Protocol::Tcp, settings.admin_port))?;
    let seed =
        entropy::seed().hint("The operating system gives no random bytes.", "Is `/dev/urandom` there?")?;
    let short = || hinted("The seed is too short.", FAULT);
    let (id, rest) = seed.split_first_chunk::<16>().ok_or_else(short)?;
    let lives = Lives::drawn(u64::from_be_bytes(*rest.first_chunk::<8>().ok_or_else(short)?));
    let config = GateConfig {
        listen: settings.gate,
        certificate: CertificateSource::Development,
        limits: gate_limits(&settings.limits),
        incarnation: lives.gate,
        seed: Id::from_bytes(*id),
        secret: None,
    };
    let gate = Gate::bind(config).map_err(|error| match error {
        GateError::Bind(address, cause) => explain(cause, Protocol::Udp, address.port()),
        other => anyhow::Error::new(other),
    })?;
    Ok(Ports { gate: BoundGate { gate, lives }, admin })
}

fn gate_limits(limits: &Limits) -> GateLimits {
    // All clients of a developer come from one address.
    GateLimits {
        connections: limits.clients,
        connections_per_address: limits.clients,
        connections_per_address_per_minute: u32::MAX,
        ..GateLimits::default()
    }
}

fn explain(error: std::io::Error, protocol: Protocol, port: u16) -> anyhow::Error {
    let flag = match protocol {
        Protocol::Udp => "--port",
        Protocol::Tcp => "--admin-port",
    };
    let (message, hint) = match error.kind() {
        std::io::ErrorKind::AddrInUse => ports::taken(protocol, port, flag),
        _ => (
            format!("The port `{port}` cannot be used."),
            format!("Use another port: `{flag} 0` takes any free one."),
        ),
    };
    because(error, message, hint)
}

/// Starts game and gate: no module runs until one is published.
pub fn start(bound: BoundGate, settings: &HostSettings) -> anyhow::Result<Host> {
    let BoundGate { gate, lives } = bound;
    let (to_gate, from_game) = mpsc::channel::<Vec<FromDispatcher<ToGate, ToGame>>>(BATCHES_MAX);
    let (to_game, from_gate) = mpsc::channel::<Vec<ToDispatcher<ToGame>>>(BATCHES_MAX);
    let sink = move |batch: Vec<FromDispatcher<ToGate, ToGame>>| {
        // The gate never waits for the game, so this ends; a gate that is gone needs nothing.
        let _ = to_gate.blocking_send(batch);
    };
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let settings = GameSettings {
        config: GameConfig {
            name: GAME.to_owned(),
            crash_recordings: Some(settings.crash_recordings.clone()),
            ..game_config(&settings.limits, cores)
        },
        spaces: SpaceSettings { chaos: settings.chaos, events_per_drain: 0, commits_kept: 0 },
        workers: cores,
        loader: Box::new(loader(&settings.limits, &settings.cache)?),
        lives,
    };
    let game = Game::start(settings, Box::new(sink))?;
    let handle = game.handle();
    tokio::spawn(pump(from_gate, handle.clone()));
    let (address, fingerprint) = (gate.address(), gate.fingerprint().to_owned());
    let (stop_gate, stopped) = oneshot::channel::<()>();
    let gate_task = tokio::spawn(gate.run(to_game, from_game, async move {
        let _ = stopped.await;
    }));
    Ok(Host { handle, gate: address, fingerprint, game, stop_gate, gate_task })
}

fn game_config(limits: &Limits, cores: usize) -> GameConfig {
    GameConfig {
        sessions_max: limits.clients,
        probation_ms: limits.probation_ms,
        probation_traps_max: limits.probation_crashes,
        ..GameConfig::dev(cores)
    }
}

/// The loader of a game, or of a replay.
pub fn loader(limits: &Limits, cache: &Path) -> anyhow::Result<WasmLoader> {
    let config = EngineConfig {
        event_budget_ms_max: limits.event_budget_ms,
        memory_bytes_max: usize::try_from(limits.memory_mib).unwrap_or(64) * 1024 * 1024,
        ..EngineConfig::default()
    };
    let engine = Engine::new(config).hint(
        "WebAssembly cannot run on this machine.",
        "Raise the limit of virtual memory: `ulimit -v unlimited`.",
    )?;
    let loader = Loader::with_cache(engine, cache).hint(
        format!("The folder `{}` cannot be used.", cache.display()),
        "Remove it: it holds nothing but compiled code.",
    )?;
    Ok(WasmLoader::new(loader))
}

/// Hands the gate's messages to the game; waits while too much waits there.
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

impl Ports {
    /// Both.
    pub fn split(self) -> (BoundGate, TcpListener) {
        (self.gate, self.admin)
    }
}

impl Host {
    /// Tells the clients, then closes the spaces. True if all of it ended in time.
    pub async fn stop(self) -> bool {
        let _ = self.stop_gate.send(());
        let told = tokio::time::timeout(STOP_GATE, self.gate_task).await.is_ok();
        let closed = tokio::task::spawn_blocking(move || self.game.stop());
        told & tokio::time::timeout(STOP_GAME, closed).await.is_ok()
    }
}
