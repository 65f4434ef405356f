//! `rpc`: a call of a client through gate, dispatcher, game and handler and back, over real QUIC, beside a bare echo
//! with frames of the same size: all of it in one process, and each role in a process of its own.

use crate::child::Server;
use crate::cluster::{Cluster, Spent};
use crate::load::{self, Kind};
use crate::modules::AVATAR;
use crate::report::{Line, Report, process_cpu};
use anyhow::{Result, ensure};
use std::net::SocketAddr;
use std::time::Duration;

/// Calls of one client a second in a cluster: its gate takes no more than 100.
const CLUSTER_RATE_MAX: f64 = 80.0;

/// Who answers.
enum Serving {
    One(Server),
    Cluster(Cluster),
}

/// What they have spent, by role if these are processes.
struct Cpu {
    total: Duration,
    roles: Vec<(&'static str, Duration)>,
}

/// What servers and so many clients did. CPU in us a call.
struct Measured {
    p50: f64,
    p99: f64,
    server_us: f64,
    roles: Vec<(&'static str, f64)>,
    client_us: f64,
    calls: usize,
    lost: usize,
}

pub fn run(report: &mut Report) -> Result<()> {
    let component = load::file(&AVATAR.build()?, "avatar")?;
    let (clients, seconds): (&[usize], u64) =
        if report.quick { (&[1, 100], 4) } else { (&[1, 100, 1_000], 15) };
    report.note(&format!(
        "64 bytes each way; servers are processes of their own; {seconds} s after 1 s to warm up; calls at a fixed rate"
    ));
    for clients in clients.iter().copied() {
        // Alone it tells the latency of an idle server, together what a busy one spends.
        let rate = match clients {
            1 => 250.0,
            count => 4_000.0 / count as f64,
        };
        let load = Load { clients, rate, seconds };
        let echo = load.measure(Kind::Echo, || Ok(Serving::One(Server::echo()?)))?;
        let game = load.measure(Kind::Game, || Ok(Serving::One(Server::game(&component)?)))?;
        load.tell(report, "one process", &game, &echo);
        let load = Load { rate: rate.min(CLUSTER_RATE_MAX), ..load };
        let slow = match load.rate < rate {
            true => Some(load.measure(Kind::Echo, || Ok(Serving::One(Server::echo()?)))?),
            false => None,
        };
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let cluster = || Ok(Serving::Cluster(Cluster::start(&component, 1, cores)?));
        load.tell(report, "processes", &load.measure(Kind::Game, cluster)?, slow.as_ref().unwrap_or(&echo));
    }
    Ok(())
}

impl Serving {
    fn address(&self) -> SocketAddr {
        match self {
            Serving::One(server) => server.address,
            Serving::Cluster(cluster) => cluster.address,
        }
    }

    fn cpu(&self) -> Result<Cpu> {
        Ok(match self {
            Serving::One(server) => Cpu { total: server.cpu()?, roles: Vec::new() },
            Serving::Cluster(cluster) => {
                let Spent { dispatcher, games, gate } = cluster.cpu()?;
                let roles = vec![("gate", gate), ("dispatcher", dispatcher), ("game", games)];
                Cpu { total: dispatcher + games + gate, roles }
            }
        })
    }
}

/// So many clients that call so often a second, for so long.
#[derive(Clone, Copy)]
struct Load {
    clients: usize,
    rate: f64,
    seconds: u64,
}

impl Load {
    fn tell(self, report: &mut Report, place: &str, game: &Measured, echo: &Measured) {
        let Load { clients, rate, .. } = self;
        let (lines, runs) = (|at: f64| Some(Line::RatioAtMost(at)), game.calls);
        let case = |what: &str| format!("{clients} at {:.0}/s, {place}: {what}", rate * clients as f64);
        let idle = clients == 1;
        report.row(&case("p50"), game.p50, "us", Some(echo.p50), if idle { lines(3.0) } else { None }, runs);
        report.row(&case("p99"), game.p99, "us", Some(echo.p99), None, runs);
        let line = if idle { None } else { lines(3.0) };
        report.row(&case("server CPU a call"), game.server_us, "us", Some(echo.server_us), line, runs);
        for (role, micros) in &game.roles {
            report.row(&case(&format!("{role}'s CPU")), *micros, "us", Some(echo.server_us), None, runs);
        }
        report.row(&case("client CPU a call"), game.client_us, "us", Some(echo.client_us), None, runs);
        if echo.lost + game.lost > 0 {
            report.note(&format!("calls without an answer: {} here, {} of the echo", game.lost, echo.lost));
        }
    }

    fn measure(self, kind: Kind, serving: impl Fn() -> Result<Serving>) -> Result<Measured> {
        let server = serving()?;
        let Load { clients, rate, seconds } = self;
        load::runtime()?.block_on(async {
            let peers = load::connect(kind, server.address(), clients).await?;
            load::run(&peers, rate, Duration::from_secs(1)).await;
            let (server_before, client_before) = (server.cpu()?, process_cpu());
            let calls = load::run(&peers, rate, Duration::from_secs(seconds)).await;
            let (spent, client_spent) = (server.cpu()?, process_cpu() - client_before);
            ensure!(!calls.done.is_empty(), "nobody was answered");
            let each = |spent: Duration| spent.as_secs_f64() * 1e6 / calls.done.len() as f64;
            let roles = spent.roles.iter().zip(&server_before.roles);
            Ok(Measured {
                p50: calls.percentile(0.5),
                p99: calls.percentile(0.99),
                server_us: each(spent.total - server_before.total),
                roles: roles.map(|((role, after), (_, before))| (*role, each(*after - *before))).collect(),
                client_us: each(client_spent),
                calls: calls.done.len(),
                lost: calls.sent - calls.done.len(),
            })
        })
    }
}
