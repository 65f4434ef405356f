//! `idle`: what connections cost that do nothing, beside bare quinn with the same windows.

use crate::child::Server;
use crate::load::{self, Kind};
use crate::modules::AVATAR;
use crate::report::{Line, Report};
use anyhow::Result;
use std::path::Path;
use std::time::Duration;

/// What one connection costs a server.
struct Cost {
    kib: f64,
    micros_per_second: f64,
}

pub fn run(report: &mut Report) -> Result<()> {
    let component = load::file(&AVATAR.build()?, "avatar")?;
    let (counts, seconds): (&[usize], u64) =
        if report.quick { (&[1_000], 12) } else { (&[1_000, 5_000, 10_000], 20) };
    report.note(&format!(
        "each has an entity of its own in the game; memory and CPU of the server's process over {seconds} s"
    ));
    for count in counts.iter().copied() {
        let echo = measure(Kind::Echo, &component, count, seconds)?;
        let game = measure(Kind::Game, &component, count, seconds)?;
        let line = || Some(Line::RatioAtMost(1.3));
        report.row(
            &format!("{count} connections: memory of one"),
            game.kib,
            "KiB",
            Some(echo.kib),
            line(),
            1,
        );
        let case = format!("{count} connections: CPU of one a second");
        report.row(&case, game.micros_per_second, "us", Some(echo.micros_per_second), line(), 1);
    }
    Ok(())
}

fn measure(kind: Kind, component: &Path, count: usize, seconds: u64) -> Result<Cost> {
    let server = match kind {
        Kind::Game => Server::game(component)?,
        Kind::Echo => Server::echo()?,
    };
    load::runtime()?.block_on(async {
        let few = load::connect(kind, server.address, 10).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (before, cpu) = (server.resident()?, server.cpu()?);
        tokio::time::sleep(Duration::from_secs(seconds / 2)).await;
        // What it spends without them is not theirs.
        let alone = (server.cpu()? - cpu).as_secs_f64() * 2.0;
        let many = load::connect(kind, server.address, count).await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let kib = (server.resident()? - before) / 1024.0 / count as f64;
        let cpu = server.cpu()?;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let spent = ((server.cpu()? - cpu).as_secs_f64() - alone).max(0.0) * 1e6;
        drop((few, many));
        Ok(Cost { kib, micros_per_second: spent / seconds as f64 / count as f64 })
    })
}
