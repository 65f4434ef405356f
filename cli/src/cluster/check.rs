//! `everwake check-config`

use super::config::{Cluster, EXAMPLE};
use crate::terminal::Terminal;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Says whether a file describes a cluster.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  everwake check-config cluster.toml
  everwake check-config --example > cluster.toml")]
pub struct CheckConfigCommand {
    /// The file.
    #[arg(required_unless_present = "example")]
    pub file: Option<PathBuf>,
    /// Prints a file with every key, its default and what it is.
    #[arg(long, conflicts_with = "file")]
    pub example: bool,
}

/// Checks: the file, certificates that it names, and components.
pub fn run(command: &CheckConfigCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let Some(file) = &command.file else {
        terminal.data(EXAMPLE.trim_end());
        return Ok(ExitCode::SUCCESS);
    };
    let cluster = Cluster::load(file)?;
    let processes = cluster.processes()?;
    for peer in &processes {
        // One machine has only the certificates of its own processes.
        if let Err(error) = cluster.security(peer) {
            terminal.warn(error.to_string());
        }
    }
    for module in cluster.games.iter().flat_map(|game| &game.modules).filter(|module| !module.is_file()) {
        terminal.warn(format!("The component `{}` is not there.", module.display()));
    }
    let names: Vec<String> = processes.iter().map(|it| format!("`{it}`")).collect();
    terminal.good(format!("`{}` describes {}.", file.display(), names.join(", ")));
    Ok(ExitCode::SUCCESS)
}
