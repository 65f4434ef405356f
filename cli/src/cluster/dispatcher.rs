//! `everwake dispatcher`

use super::Which;
use super::config::Cluster;
use super::process::{self, Ended, Process, Stop, port_failed};
use crate::dev::ports::Protocol;
use crate::failure::hinted;
use crate::ops::place::Note;
use crate::terminal::Terminal;
use clap::Args;
use everwake_dispatcher::RouterConfig;
use everwake_dispatcher::driver::{DispatcherConfig, LinkBoard, serve};
use everwake_link::{Limits, PeerName, Role};
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long links may take to end after everything is said.
const LAST: Duration = Duration::from_secs(2);

/// Runs a dispatcher of a cluster: it routes what is for entities, and decides who is dead.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  everwake dispatcher --config cluster.toml --name d-1")]
pub struct DispatcherCommand {
    #[command(flatten)]
    pub which: Which,
}

/// Runs until Ctrl-C or SIGTERM.
pub fn run(command: &DispatcherCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    process::run(Role::Dispatcher, &command.which, terminal, serve_one)
}

async fn serve_one(
    cluster: &Cluster,
    process: &Process,
    stop: Stop,
    terminal: &Terminal,
) -> anyhow::Result<Ended> {
    let peer = process.us.peer.clone();
    let listed = cluster.dispatchers.iter().find(|it| it.name == peer.name());
    let Some(listen) = listed.map(|it| it.listen) else {
        return Err(hinted(format!("The configuration knows no `{peer}`."), "Add it to `dispatchers`."));
    };
    let security = cluster.security(&peer)?;
    let socket = TcpListener::bind(listen).await;
    let socket = socket.map_err(|error| port_failed(error, Protocol::Tcp, listen.port(), &peer, "listen"))?;
    let others: Vec<(PeerName, String)> = cluster.ways()?.into_iter().filter(|(it, _)| *it != peer).collect();
    let names = others.iter().map(|(name, _)| name.clone()).collect();
    let games = cluster.processes()?.into_iter().filter(|it| it.role() == Role::Game).collect();
    let incarnation = process.us.incarnation;
    let board = LinkBoard::default();
    let config = DispatcherConfig {
        board: board.clone(),
        router: RouterConfig::new(incarnation, peer.clone(), games, names),
        others,
        security,
        limits: Limits::default(),
        seed: incarnation.random,
    };
    let asked = process.open(board, None, Note::default()).await?;
    terminal.good(format!("`{peer}` listens at `{}`.", socket.local_addr()?));
    let (told, hurry) = tokio::sync::oneshot::channel::<()>();
    let stop = async move {
        asked.or(stop).await;
        let _ = told.send(());
    };
    tokio::select! {
        served = serve(config, socket, stop) => served?,
        // A link that does not end is ended by the end of the process.
        () = async { let _ = hurry.await; tokio::time::sleep(LAST).await } => {}
    }
    Ok(Ended::Stopped)
}
