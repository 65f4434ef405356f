//! `everwake shutdown`

use crate::admin::client::{AdminAddress, AdminClient};
use crate::terminal::Terminal;
use clap::Args;
use std::process::ExitCode;

/// Stops a running `dev` cleanly: clients are told, the record is flushed.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  everwake shutdown")]
pub struct ShutdownCommand {
    #[command(flatten)]
    pub address: AdminAddress,
}

/// Stops.
pub fn run(command: &ShutdownCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    AdminClient::find(&command.address)?.shutdown()?;
    terminal.good("The server stops.");
    Ok(ExitCode::SUCCESS)
}
