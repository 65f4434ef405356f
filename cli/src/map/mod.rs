//! `everwake map`: the yard in a terminal.
//!
//! - [`scene`]: from what the client mirrors to dots. [`frame`]: from dots to lines.
//! - [`screen`]: the terminal: raw mode, keys, frames.

pub mod frame;
pub mod scene;
pub mod screen;

use crate::dev::screen::Log;
use crate::play::GateAddress;
use crate::terminal::Terminal;
use clap::Args;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

/// Size of a frame where there is no terminal.
const PLAIN_COLUMNS: usize = 100;
const PLAIN_ROWS: usize = 30;
/// Frames where there is no terminal and nothing was said.
const PLAIN_FRAMES: u32 = 1;

/// Draws the map of `samples/yard` in the terminal.
#[derive(Debug, Args)]
#[command(after_long_help = "`q` quits. Without a terminal, frames are printed as plain text.

Examples:
  everwake map
  everwake map --frames 3 | cat        three plain frames, a second apart")]
pub struct MapCommand {
    /// Prints so many plain frames, a second apart, and ends.
    #[arg(long, value_name = "N")]
    pub frames: Option<u32>,
    /// Module to watch.
    #[arg(long, default_value = screen::MODULE)]
    pub module: String,
    #[command(flatten)]
    pub gate: GateAddress,
}

/// Draws until `q`.
pub fn run(command: MapCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let plain = command.frames.is_some() || !std::io::stdout().is_terminal();
    let drawn = runtime.block_on(async {
        if plain {
            let frames = command.frames.unwrap_or(PLAIN_FRAMES);
            screen::print(&command.gate, &command.module, frames, (PLAIN_COLUMNS, PLAIN_ROWS), terminal).await
        } else {
            screen::run_module(&command.gate, &command.module, &Log::default()).await
        }
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    drawn?;
    Ok(ExitCode::SUCCESS)
}
