//! `everwake record`

use super::count;
use crate::admin::client::{AdminAddress, AdminClient};
use crate::admin::types::{RecordRequest, Recording};
use crate::terminal::Terminal;
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// Writes everything that happens into a folder, for `replay`.
///
/// Each space gets a file, and the components that ran lie beside them. Secrets are left out.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  everwake record start                 into `.everwake/recording` of the server
  everwake record start bug
  everwake record stop
  everwake replay bug")]
pub struct RecordCommand {
    #[command(subcommand)]
    pub what: What,
    #[command(flatten)]
    pub address: AdminAddress,
}

/// Start or stop.
#[derive(Debug, Subcommand)]
pub enum What {
    /// Begins with a snapshot of each space, then every event.
    Start {
        /// The folder, as seen from the server's working directory.
        #[arg(default_value = ".everwake/recording")]
        folder: String,
    },
    /// Flushes and closes the files.
    Stop,
}

/// Starts or stops.
pub fn run(command: &RecordCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let client = AdminClient::find(&command.address)?;
    let request = match &command.what {
        What::Start { folder } => RecordRequest::Start(folder.clone()),
        What::Stop => RecordRequest::Stop,
    };
    let recording = client.record(&request)?;
    terminal.answer(&describe(&request, &recording));
    Ok(ExitCode::SUCCESS)
}

fn describe(request: &RecordRequest, recording: &Recording) -> String {
    let folder = &recording.folder;
    match request {
        RecordRequest::Start(_) => {
            format!("The server records into `{folder}`; `everwake record stop` ends it.")
        }
        RecordRequest::Stop => format!(
            "`{folder}` holds {} with {} entries in {}; `everwake replay {folder}` runs them again.",
            count(recording.files, "space"),
            recording.entries,
            count(recording.bytes, "byte"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_recording_says_what_to_do_with_it() {
        let recording = Recording { folder: "bug".into(), files: 1, bytes: 2048, entries: 7 };
        let text = describe(&RecordRequest::Stop, &recording);
        assert_eq!(
            text,
            "`bug` holds 1 space with 7 entries in 2048 bytes; `everwake replay bug` runs them again."
        );
    }
}
