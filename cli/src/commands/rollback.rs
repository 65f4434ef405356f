//! `everwake rollback`

use super::publish::tell;
use crate::admin::client::{AdminAddress, AdminClient};
use crate::admin::types::RollbackRequest;
use crate::terminal::Terminal;
use clap::Args;
use std::process::ExitCode;

/// Goes back to an earlier version, as a publication of its own.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  everwake rollback                        the last version that passed its probation
  everwake rollback 3fa9 --module chat     the version whose hash begins so")]
pub struct RollbackCommand {
    /// Start of a hash, a label, or a generation; the last version that passed if left out.
    #[arg(default_value = "")]
    pub to: String,
    /// Which module, if several run.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub module: String,
    /// Goes back though that loses what only the newer version knows.
    #[arg(long)]
    pub irreversible: bool,
    /// Prints the answer as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub address: AdminAddress,
}

/// Goes back.
pub fn run(command: &RollbackCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let request = RollbackRequest {
        module: command.module.clone(),
        to: command.to.clone(),
        irreversible: command.irreversible,
    };
    tell(&AdminClient::find(&command.address)?.rollback(&request)?, command.json, terminal)
}
