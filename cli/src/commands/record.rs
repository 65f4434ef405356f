//! `everwake record`

use super::count;
use crate::admin::client::{AdminAddress, AdminClient};
use crate::admin::types::{RecordRequest, Recording};
use crate::terminal::Terminal;
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// Writes everything that happens into a folder, for `replay`.
///
/// Each space gets a file, and the components that ran lie beside them. Secrets are left out. The last
/// seconds of every space are always kept, so that `last` may be asked for after a surprise.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  everwake record start                 into `.everwake/recording` of the server
  everwake record start bug
  everwake record stop
  everwake replay bug
  everwake record last oops             what just happened, though nobody recorded it
  everwake replay oops")]
pub struct RecordCommand {
    #[command(subcommand)]
    pub what: What,
    #[command(flatten)]
    pub address: AdminAddress,
}

/// Start, stop, or what is past.
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
    /// Writes down the last seconds: at least ten of each space, if not too much has happened.
    Last {
        /// The folder, as seen from the server's working directory.
        #[arg(default_value = ".everwake/last")]
        folder: String,
        /// One space instead of all: the start of its id.
        #[arg(long, value_name = "ID")]
        space: Option<String>,
    },
}

/// Starts, stops, or looks back.
pub fn run(command: &RecordCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let client = AdminClient::find(&command.address)?;
    let request = match &command.what {
        What::Start { folder } => RecordRequest::Start(folder.clone()),
        What::Stop => RecordRequest::Stop,
        What::Last { folder, space } => RecordRequest::Last { folder: folder.clone(), space: space.clone() },
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
        RecordRequest::Last { .. } if recording.files == 0 => {
            "Nothing is at hand: in the last seconds nothing happened, or too much to keep.".to_owned()
        }
        RecordRequest::Last { .. } => {
            let without = match recording.without {
                0 => String::new(),
                some => format!(" Of {} nothing is at hand.", count(some, "other space")),
            };
            format!(
                "`{folder}` holds the last {} s of {} with {} entries; `everwake replay {folder}` runs them \
                 again.{without}",
                recording.back_ms.div_ceil(1_000),
                count(recording.files, "space"),
                recording.entries,
            )
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
        let recording =
            Recording { folder: "bug".into(), files: 1, bytes: 2048, entries: 7, ..Recording::default() };
        let text = describe(&RecordRequest::Stop, &recording);
        assert_eq!(
            text,
            "`bug` holds 1 space with 7 entries in 2048 bytes; `everwake replay bug` runs them again."
        );
    }

    #[test]
    fn the_last_seconds_say_how_far_they_go_back() {
        let last = RecordRequest::Last { folder: "oops".into(), space: None };
        let recording = Recording {
            folder: "oops".into(),
            files: 2,
            entries: 7,
            back_ms: 12_100,
            without: 1,
            ..Recording::default()
        };
        assert_eq!(
            describe(&last, &recording),
            "`oops` holds the last 13 s of 2 spaces with 7 entries; `everwake replay oops` runs them again. \
             Of 1 other space nothing is at hand."
        );
        let nothing = Recording { without: 3, ..Recording::default() };
        assert!(describe(&last, &nothing).starts_with("Nothing is at hand"));
    }
}
