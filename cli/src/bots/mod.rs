//! `everwake bots`: many clients that check what they are told, and tolerate nothing.
//!
//! - [`check`]: what one bot checks, and `self_test` whether it does. [`chat`]: what a bot in the chat does.
//! - [`swarm`]: all bots, and the publications that happen meanwhile. [`report`]: the end.

pub mod chat;
pub mod check;
pub mod report;
mod self_test;
pub mod swarm;

use crate::admin::client::AdminAddress;
use crate::failure::{FAULT, HintExt as _, hinted};
use crate::play::GateAddress;
use crate::terminal::Terminal;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Many strict clients that check what they are told.
///
/// Each bot has its own connection. It sees every message of its room exactly once and in order,
/// its own answers match what is told, versions only go up, nobody is disconnected (or no more than
/// `--losses`): else the exit code is 1. Before it starts, each checker is fed a wrong sequence and must notice.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  everwake bots chat --count 200 --rooms 20 --duration 60s
  everwake bots chat --losses 50 --gate 127.0.0.1:4747,127.0.0.1:4748 --cert-hash 5f1c…,09ab…
  everwake bots chat --count 200 --publish v2.wasm,v3.wasm,v4.wasm --every 2s --json out.json")]
pub struct BotsCommand {
    #[command(subcommand)]
    pub what: What,
}

/// Which game.
#[derive(Debug, Subcommand)]
pub enum What {
    /// Bots in the rooms of `samples/chat`.
    Chat(ChatBots),
}

/// Bots in the chat.
#[derive(Clone, Debug, Args)]
pub struct ChatBots {
    /// Bots.
    #[arg(long, default_value_t = 50)]
    pub count: usize,
    /// Rooms that they spread over.
    #[arg(long, default_value_t = 5)]
    pub rooms: usize,
    /// How long they talk: `500ms`, `60s`, `5m`.
    #[arg(long, default_value = "10s", value_parser = read_duration)]
    pub duration: Duration,
    /// Messages of each bot in a second.
    #[arg(long, default_value_t = 2.0)]
    pub rate: f64,
    /// Components that are published meanwhile, one after the other.
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    pub publish: Vec<PathBuf>,
    /// Time between two publications.
    #[arg(long, default_value = "2s", value_parser = read_duration, requires = "publish")]
    pub every: Duration,
    /// Versions that run in this time if others publish them; with `--publish` they are counted.
    #[arg(long, default_value_t = 0, conflicts_with = "publish")]
    pub versions: usize,
    /// Connections that may get lost, all bots together. If any may, a bot whose connection ends connects again, to the
    /// same gate or another one of `--gate`, and comes in under another name; else the first one that ends is the end of it.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub losses: u64,
    /// Writes the report as JSON to this file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Name of the module.
    #[arg(long, default_value = "chat")]
    pub module: String,
    #[command(flatten)]
    pub gate: GateAddress,
    #[command(flatten)]
    pub admin: AdminAddress,
}

/// Runs a swarm to its end.
pub fn run(command: BotsCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let What::Chat(bots) = command.what;
    if bots.count == 0 || bots.rooms == 0 || !(bots.rate > 0.0 && bots.rate <= 100.0) {
        return Err(hinted(
            "There is nothing to do.",
            "Use at least one bot, one room, and a rate of up to 100 in a second.",
        ));
    }
    self_test::self_test().map_err(|why| hinted(format!("The checkers are broken: {why}"), FAULT))?;
    terminal.good("Every checker notices its wrong sequence.");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(swarm::run(&bots, terminal))?;
    runtime.shutdown_timeout(Duration::from_millis(200));
    if let Some(file) = &bots.json {
        let written = std::fs::write(file, serde_json::to_string_pretty(&report)?);
        written.hint(
            format!("The report cannot be written to `{}`.", file.display()),
            "Give `--json` a file where you may write.",
        )?;
    }
    terminal.data(&report.table());
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `500ms`, `60s`, `5m`.
fn read_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no length of time; write `500ms`, `60s` or `5m`");
    let unit = text.trim_start_matches(|it: char| it.is_ascii_digit());
    let number: u64 = text.strip_suffix(unit).and_then(|it| it.parse().ok()).ok_or_else(wrong)?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read() {
        let check = |text, ms| assert_eq!(read_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        check("500ms", 500);
        check("60s", 60_000);
        check("5m", 300_000);
        for odd in ["", "5", "s", "-1s", "1h", "1 s"] {
            assert!(read_duration(odd).is_err(), "{odd}");
        }
    }
}
