//! `everwake record`

use super::{count, entries};
use crate::admin::client::{AdminAddress, AdminClient};
use crate::admin::types::{RecordRequest, RecordTarget, Recording};
use crate::terminal::Terminal;
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// Writes everything that happens into a folder, for `replay`.
///
/// Each space gets a file, and the components that ran lie beside them. Secrets are left out. The last
/// seconds of every space are always kept, so that `last` may be asked for after a surprise.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  everwake record start                 into a new folder in `.everwake` of the server
  everwake record start bug
  everwake record stop
  everwake replay bug
  everwake record last oops             what just happened, though nobody recorded it
  everwake record last oops --force     the same into the same folder
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
    Start(Whereto),
    /// Flushes and closes the files.
    Stop,
    /// Writes down the last seconds: at least ten of each space, if not too much has happened.
    Last(Whereto),
}

/// What is recorded, and where.
#[derive(Debug, Args)]
pub struct Whereto {
    /// The folder, as seen from the server's working directory; a new one in its `.everwake` if left out.
    #[arg(default_value = "", hide_default_value = true)]
    pub folder: String,
    /// One space instead of all: the start of its id.
    #[arg(long, value_name = "ID")]
    pub space: Option<String>,
    /// Writes over an earlier recording in that folder.
    #[arg(long)]
    pub force: bool,
}

impl Whereto {
    fn target(&self) -> RecordTarget {
        RecordTarget { folder: self.folder.clone(), space: self.space.clone(), force: self.force }
    }
}

/// Starts, stops, or looks back.
pub fn run(command: &RecordCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let client = AdminClient::find(&command.address)?;
    let request = match &command.what {
        What::Start(into) => RecordRequest::Start(into.target()),
        What::Stop => RecordRequest::Stop,
        What::Last(into) => RecordRequest::Last(into.target()),
    };
    let recording = client.record(&request)?;
    terminal.answer(&format!("{}{}", describe(&request, &recording), earlier(&recording)));
    Ok(ExitCode::SUCCESS)
}

/// What became of an earlier recording.
fn earlier(recording: &Recording) -> String {
    match (&recording.beside, recording.replaced) {
        (Some(beside), _) => format!(" The earlier one in `{beside}` is kept."),
        (None, 0) => String::new(),
        (None, replaced) => format!(" It is written over {} of an earlier one.", count(replaced, "file")),
    }
}

fn describe(request: &RecordRequest, recording: &Recording) -> String {
    let folder = &recording.folder;
    match request {
        RecordRequest::Start(_) => {
            format!("The server records into `{folder}`; `everwake record stop` ends it.")
        }
        RecordRequest::Last(_) if recording.files == 0 => {
            "Nothing is at hand: in the last seconds nothing happened, or too much to keep.".to_owned()
        }
        RecordRequest::Last(_) => {
            let without = match recording.without {
                0 => String::new(),
                some => format!(" Of {} nothing is at hand.", count(some, "other space")),
            };
            format!(
                "`{folder}` holds the last {} s of {} with {}; `everwake replay {folder}` runs them \
                 again.{without}",
                recording.back_ms.div_ceil(1_000),
                count(recording.files, "space"),
                entries(recording.entries),
            )
        }
        RecordRequest::Stop => format!(
            "`{folder}` holds {} with {} in {}; `everwake replay {folder}` runs them again.",
            count(recording.files, "space"),
            entries(recording.entries),
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
        let last = RecordRequest::Last(RecordTarget { folder: "oops".into(), ..RecordTarget::default() });
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

    #[test]
    fn what_became_of_an_earlier_recording_is_said() {
        assert_eq!(earlier(&Recording::default()), "");
        let beside = Recording { beside: Some("last".into()), ..Recording::default() };
        assert_eq!(earlier(&beside), " The earlier one in `last` is kept.");
        let over = Recording { replaced: 2, ..Recording::default() };
        assert_eq!(earlier(&over), " It is written over 2 files of an earlier one.");
    }
}
