//! `everwake plan`

use super::build::{self, Profile};
use super::publish::{Terms, tell, warn_of_dev_build};
use crate::admin::client::{AdminAddress, AdminClient};
use crate::terminal::Terminal;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Says what `publish` would do, and does nothing.
///
/// `migrate` runs on copies of the live state, so what it says about your players is true.
#[derive(Debug, Args)]
#[command(after_long_help = "Exit codes:
  0  nothing stands against it
  1  it would lose something, and wants `--irreversible`; or it could not be planned
  2  it would be refused; the reasons are printed

Examples:
  everwake plan samples/chat
  everwake plan chat.wasm --json | jq .refusals")]
pub struct PlanCommand {
    /// A component, or a folder with the source of a module.
    pub source: PathBuf,
    #[command(flatten)]
    pub terms: Terms,
    /// Prints the answer as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub address: AdminAddress,
}

/// Plans.
pub fn run(command: &PlanCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let client = AdminClient::find(&command.address)?;
    let component = build::component_of(&command.source, Profile::Release, terminal)?;
    let mut report = client.plan(&component, &command.terms.query(""))?;
    warn_of_dev_build(&mut report, &component);
    tell(&report, command.json, terminal)
}
