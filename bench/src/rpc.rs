//! `rpc`: a call of a client through gate, dispatcher, game and handler and back, over real QUIC,
//! beside a bare echo with frames of the same size.

use crate::child::Server;
use crate::load::{self, Kind};
use crate::modules::AVATAR;
use crate::report::{Line, Report, process_cpu};
use anyhow::{Result, ensure};
use std::path::Path;
use std::time::Duration;

/// What one server and so many clients did.
struct Measured {
    p50: f64,
    p99: f64,
    server_us: f64,
    client_us: f64,
    calls: usize,
    lost: usize,
}

pub fn run(report: &mut Report) -> Result<()> {
    let component = load::file(&AVATAR.build()?, "avatar")?;
    let (clients, seconds): (&[usize], u64) =
        if report.quick { (&[1, 100], 4) } else { (&[1, 100, 1_000], 15) };
    report.note(&format!(
        "64 bytes each way; the server is a process of its own; {seconds} s after 1 s to warm up; calls at a fixed rate"
    ));
    for clients in clients.iter().copied() {
        // Alone it tells the latency of an idle server, together what a busy one spends.
        let rate = match clients {
            1 => 250.0,
            count => 4_000.0 / count as f64,
        };
        let echo = measure(Kind::Echo, &component, clients, rate, seconds)?;
        let game = measure(Kind::Game, &component, clients, rate, seconds)?;
        let (lines, runs) = (|at: f64| Some(Line::RatioAtMost(at)), game.calls);
        let case = |what: &str| format!("{clients} clients, {:.0} calls/s: {what}", rate * clients as f64);
        let idle = clients == 1;
        report.row(&case("p50"), game.p50, "us", Some(echo.p50), if idle { lines(3.0) } else { None }, runs);
        report.row(&case("p99"), game.p99, "us", Some(echo.p99), None, runs);
        report.row(
            &case("server CPU a call"),
            game.server_us,
            "us",
            Some(echo.server_us),
            if idle { None } else { lines(3.0) },
            runs,
        );
        report.row(&case("client CPU a call"), game.client_us, "us", Some(echo.client_us), None, runs);
        if echo.lost + game.lost > 0 {
            report.note(&format!("calls without an answer: {} here, {} of the echo", game.lost, echo.lost));
        }
    }
    Ok(())
}

fn measure(kind: Kind, component: &Path, clients: usize, rate: f64, seconds: u64) -> Result<Measured> {
    let server = match kind {
        Kind::Game => Server::game(component)?,
        Kind::Echo => Server::echo()?,
    };
    load::runtime()?.block_on(async {
        let peers = load::connect(kind, server.address, clients).await?;
        load::run(&peers, rate, Duration::from_secs(1)).await;
        let (server_before, client_before) = (server.cpu()?, process_cpu());
        let calls = load::run(&peers, rate, Duration::from_secs(seconds)).await;
        let (server_spent, client_spent) = (server.cpu()? - server_before, process_cpu() - client_before);
        ensure!(!calls.done.is_empty(), "nobody was answered");
        let each = |spent: Duration| spent.as_secs_f64() * 1e6 / calls.done.len() as f64;
        Ok(Measured {
            p50: calls.percentile(0.5),
            p99: calls.percentile(0.99),
            server_us: each(server_spent),
            client_us: each(client_spent),
            calls: calls.done.len(),
            lost: calls.sent - calls.done.len(),
        })
    })
}
