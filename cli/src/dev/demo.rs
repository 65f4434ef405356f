//! `everwake demo`: `dev` of the two samples, with the map, and a line that says what to do next.

use super::DevCommand;
use crate::failure::hinted;
use crate::terminal::Terminal;
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The samples that are shown.
const SAMPLES: [&str; 2] = ["samples/yard", "samples/chat"];

/// Runs the two samples: a live map here, a chat in a second terminal.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  everwake demo
  everwake chat Ada            in a second terminal, same folder
  everwake demo --no-map       lines instead of the map, for logs")]
pub struct DemoCommand {
    /// Prints lines instead of the map.
    #[arg(long)]
    pub no_map: bool,
    /// Port of the gate; 0 = any free one.
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Port of the admin API; 0 = any free one.
    #[arg(long, value_name = "PORT")]
    pub admin_port: Option<u16>,
}

/// Runs until Ctrl-C, or `q` on the map.
pub fn run(command: DemoCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let here = std::env::current_dir()?;
    let binary = std::env::current_exe().unwrap_or_default();
    let Some(root) = checkout(&[&here, &binary]) else {
        return Err(hinted(
            "The samples are not found.",
            "Run `everwake demo` in a checkout of Everwake; for a module of your own: `everwake new mygame`.",
        ));
    };
    let dev = DevCommand {
        dirs: SAMPLES.iter().map(|sample| root.join(sample)).collect(),
        map: !command.no_map,
        // The demo is played, not edited: worth the longer build.
        release: true,
        port: command.port,
        admin_port: command.admin_port,
        next: Some("In a second terminal, in this folder: `everwake chat YOURNAME`".to_owned()),
        ..DevCommand::default()
    };
    super::run(dev, terminal)
}

/// The folder above one of these that has the samples.
fn checkout(places: &[&Path]) -> Option<PathBuf> {
    let complete = |dir: &&Path| SAMPLES.iter().all(|sample| dir.join(sample).join("Cargo.toml").is_file());
    places.iter().flat_map(|place| place.ancestors()).find(complete).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_samples_are_found_from_below_and_beside() {
        let dir = tempfile::tempdir().unwrap();
        for sample in SAMPLES {
            std::fs::create_dir_all(dir.path().join(sample)).unwrap();
            std::fs::write(dir.path().join(sample).join("Cargo.toml"), "").unwrap();
        }
        let below = dir.path().join("target/debug/everwake");
        let nowhere = Path::new("/nowhere");
        assert_eq!(checkout(&[nowhere, &below]).as_deref(), Some(dir.path()));
        assert_eq!(checkout(&[nowhere]), None);
    }
}
