//! `everwake game`

use super::Which;
use super::config::{Cluster, Game as Listed};
use super::process::{self, Ended, Process, Stop, port_failed};
use crate::admin::desk::{Desk, Drain};
use crate::admin::server;
use crate::admin::types::{DrainStatus, Problem, ProblemCode};
use crate::config::Limits;
use crate::dev::components::Components;
use crate::dev::host;
use crate::dev::ports::Protocol;
use crate::dev::steer::Steering;
use crate::failure::{HintExt as _, hinted};
use crate::ops::place::Note;
use crate::terminal::Terminal;
use bytes::Bytes;
use clap::Args;
use everwake_dispatcher::MemberConfig;
use everwake_dispatcher::driver::{MemberInputs, UplinkConfig, Uplinks, connect};
use everwake_link::{Limits as LinkLimits, Role};
use everwake_runtime::driver::{Game, GameHandle, JoinSettings, LinkSink, LiveVersion, SpaceSettings};
use everwake_runtime::game::GameConfig;
use everwake_runtime::game::admin::AdminAnswer;
use everwake_runtime::game::publish::{Agreed, PublishOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

/// How long spaces may take to close, and the last words to dispatchers to be said.
const STOP_GAME: Duration = Duration::from_secs(5);
const LAST: Duration = Duration::from_secs(2);
/// How often it is looked for room in the game.
const LOOK: Duration = Duration::from_millis(1);

/// Runs a game of a cluster: it runs spaces, and publishes its modules at its start.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  everwake game --config cluster.toml --name g-1")]
pub struct GameCommand {
    #[command(flatten)]
    pub which: Which,
}

/// Runs until Ctrl-C, SIGTERM or `everwake shutdown`, or until the others hold it for dead.
pub fn run(command: &GameCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    process::run(Role::Game, &command.which, terminal, serve)
}

/// A game with its links.
struct Running {
    game: Game,
    links: Arc<Uplinks>,
    pump: JoinHandle<()>,
    over: UnboundedReceiver<()>,
}

async fn serve(
    cluster: &Cluster,
    process: &Process,
    stop: Stop,
    terminal: &Terminal,
) -> anyhow::Result<Ended> {
    let peer = &process.us.peer;
    let Some(listed) = cluster.games.iter().find(|it| it.name == peer.name()) else {
        return Err(hinted(format!("The configuration knows no `{peer}`."), "Add it to `games`."));
    };
    let admin = TcpListener::bind((Ipv4Addr::LOCALHOST, listed.admin_port)).await;
    let admin =
        admin.map_err(|error| port_failed(error, Protocol::Tcp, listed.admin_port, peer, "admin_port"))?;
    let modules = read_all(listed)?;
    let components = Components::begin(process.folder.join("components"))?;
    let Running { game, links, pump, mut over } = start(cluster, process, listed, components.clone())?;
    let (told, mut asked) = unbounded_channel();
    let steering = Arc::new(Steering {
        game: game.handle(),
        gate: cluster.gates.first().map_or(SocketAddr::from(([127, 0, 0, 1], 0)), |gate| gate.listen),
        started: Instant::now(),
        stop: told,
        components,
        recording: Mutex::default(),
    });
    let token = server::mint_token()?;
    let token_file = process.write_private("admin.token", &token)?;
    let address = admin.local_addr()?;
    let desk = process.desk(links.board(), steering.stop.clone());
    let desk = Arc::new(Desk { drain: Some(drain(game.handle())), ..desk });
    let serving = server::run(admin, steering.clone(), Some(desk), token.clone(), std::future::pending());
    let serving = tokio::spawn(serving);
    let runs = async {
        for (name, bytes) in modules {
            publish(game.handle(), name, bytes).await?;
        }
        process.ready(Note { admin: address.to_string(), token, ..Note::default() })?;
        terminal.good(format!(
            "`{peer}` runs; its admin API is at `{address}`, the token in `{}`.",
            token_file.display()
        ));
        std::future::pending().await
    };
    let ended = tokio::select! {
        failed = runs => failed,
        () = stop => Ok(Ended::Stopped),
        _ = asked.recv() => Ok(Ended::Stopped),
        _ = over.recv() => Ok(Ended::Outlived),
    };
    serving.abort();
    match ended {
        Ok(Ended::Stopped) => steering.end_recording(),
        // Nothing that it does counts any more.
        ended => return ended,
    }
    let handle = game.handle();
    let closed = tokio::time::timeout(STOP_GAME, tokio::task::spawn_blocking(move || game.stop())).await;
    if closed.is_err() {
        tracing::warn!(now_ms = handle.now_ms(), "spaces did not close in time");
    }
    links.close();
    let _ = tokio::time::timeout(LAST, pump).await;
    Ok(Ended::Stopped)
}

fn start(
    cluster: &Cluster,
    process: &Process,
    listed: &Listed,
    components: Components,
) -> anyhow::Result<Running> {
    let peer = &process.us.peer;
    let ways = cluster.ways()?;
    let member =
        MemberConfig::new(process.us.incarnation, ways.iter().map(|(name, _)| name.clone()).collect());
    let (links, inputs) = connect(UplinkConfig {
        us: process.us.clone(),
        dispatchers: ways,
        security: cluster.security(peer)?,
        limits: LinkLimits::default(),
        seed: process.us.incarnation.random,
    })
    .hint("The links to dispatchers do not start.", "Look at `[tls]` in the configuration.")?;
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let (told, over) = unbounded_channel();
    let (live, versions) = unbounded_channel();
    tokio::spawn(keep(versions, components));
    let settings = JoinSettings {
        config: GameConfig {
            name: listed.name.clone(),
            labels: listed.labels.clone(),
            games: cluster.games.len(),
            gates: cluster.gates.len(),
            crash_recordings: Some(process.folder.join("crashes")),
            ..GameConfig::production(cores)
        },
        spaces: SpaceSettings::default(),
        workers: if listed.workers == 0 { cores } else { listed.workers },
        loader: Box::new(host::loader(&Limits::default(), &process.folder.join("cache"))?),
        member,
        over: Box::new(move || {
            // Whoever waits for it has ended before.
            let _ = told.send(());
        }),
        live: Box::new(move |version| {
            // Whoever keeps them ends with the process.
            let _ = live.send(version);
        }),
    };
    let links = Arc::new(links);
    let sender = links.clone();
    let sink: LinkSink = Box::new(move |dispatcher, to, message| sender.send(dispatcher, to, message));
    let game = Game::join(settings, sink)?;
    let pump = tokio::spawn(pump(inputs, game.handle()));
    Ok(Running { game, links, pump, over })
}

fn drain(game: GameHandle) -> Drain {
    let problem = |message: &str| {
        Problem::new(ProblemCode::Unavailable, message, "`everwake status --config FILE` says who is up.")
    };
    Box::new(move |on| match game.drain(on) {
        Ok(AdminAnswer::Drain(game)) => {
            Ok(DrainStatus { drains: game.drains, clients: game.clients as u64, game: Some(game) })
        }
        Ok(AdminAnswer::Bad(why)) => Err(problem(&format!("The game cannot be drained: {why}."))),
        Ok(_) => Err(problem("The game answers something else.")),
        Err(_) => Err(problem("The game has stopped.")),
    })
}

/// Hands to the game what links say, as fast as it takes it.
async fn pump(mut inputs: MemberInputs, game: GameHandle) {
    while let Some(batch) = inputs.recv().await {
        while !game.has_room() {
            tokio::time::sleep(LOOK).await;
        }
        game.from_links(batch);
    }
}

/// Keeps every component that becomes head here, for recordings.
async fn keep(mut versions: UnboundedReceiver<LiveVersion>, components: Components) {
    while let Some(LiveVersion { module, generation, version, bytes }) = versions.recv().await {
        let components = components.clone();
        let kept = tokio::task::spawn_blocking(move || {
            components.keep(&module, generation, &version.to_string(), &bytes)
        });
        if let Ok(Err(error)) = kept.await {
            tracing::warn!(%error, "a component is not kept");
        }
    }
}

fn read_all(listed: &Listed) -> anyhow::Result<Vec<(String, Bytes)>> {
    let read = |path: &std::path::PathBuf| {
        let bytes = std::fs::read(path).hint(
            format!("The component `{}` cannot be read.", path.display()),
            "Build it: `everwake build DIR --out FILE`; paths are seen from the configuration's folder.",
        )?;
        Ok((name_of(path), bytes.into()))
    };
    listed.modules.iter().map(read).collect()
}

fn name_of(path: &Path) -> String {
    path.display().to_string()
}

/// Publishes a file, unless the module runs already: what the cluster runs counts.
async fn publish(game: GameHandle, name: String, bytes: Bytes) -> anyhow::Result<()> {
    let options = PublishOptions { supersede: true, agreed: Agreed::NoWayBack, first: true };
    let answer = tokio::task::spawn_blocking(move || game.publish(bytes, "start", options)).await??;
    let why = match answer {
        AdminAnswer::Publication(report) if report.exit == 0 => {
            tracing::info!(module = report.module, version = report.version, "{}", report.summary);
            return Ok(());
        }
        AdminAnswer::Publication(report) => report.refusals.join("; "),
        AdminAnswer::Bad(why) => why,
        other => format!("the game answers something else: {other:?}"),
    };
    Err(hinted(format!("The component `{name}` is not published: {why}"), "Build it anew, of this release."))
}
