//! `everwake crashes`

use super::table;
use crate::admin::client::{AdminAddress, AdminClient};
use crate::admin::types::CrashGroup;
use crate::clock::time_of_day;
use crate::terminal::Terminal;
use clap::Args;
use std::process::ExitCode;

/// Exit code with `--fail` if there are crashes.
const CRASHED: u8 = 1;

/// Lists the crashes of handlers, most frequent first.
///
/// A crash costs the one event that it happened in: its changes are rolled back, its caller is told.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  everwake crashes                 one line for each fingerprint
  everwake crashes --full          with frames, arguments, log lines
  everwake crashes --fail          exits with 1 if there are any, for CI")]
pub struct CrashesCommand {
    /// The whole report of the last crash of each fingerprint.
    #[arg(long)]
    pub full: bool,
    /// Exits with 1 if there are crashes.
    #[arg(long)]
    pub fail: bool,
    /// Prints the answer as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub address: AdminAddress,
}

/// Lists.
pub fn run(command: &CrashesCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let groups = AdminClient::find(&command.address)?.crashes()?;
    if command.json {
        terminal.data(&super::json(&groups)?);
    } else {
        terminal.answer(&describe(&groups, command.full));
    }
    Ok(if command.fail && !groups.is_empty() { ExitCode::from(CRASHED) } else { ExitCode::SUCCESS })
}

fn describe(groups: &[CrashGroup], full: bool) -> String {
    if groups.is_empty() {
        return "Nothing has crashed.".to_owned();
    }
    if full {
        let block =
            |it: &CrashGroup| format!("{} × `{}` {}\n{}", it.count, it.fingerprint, it.handler, it.report);
        return groups.iter().map(block).collect::<Vec<_>>().join("\n\n");
    }
    let rows: Vec<Vec<String>> = groups
        .iter()
        .map(|it| {
            let (first, last) = (time_of_day(it.first_ms), time_of_day(it.last_ms));
            vec![
                it.count.to_string(),
                it.module.clone(),
                it.version.clone(),
                it.handler.clone(),
                first,
                last,
                it.message.clone(),
            ]
        })
        .collect();
    table(&["count", "module", "version", "handler", "first utc", "last utc", "message"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn crashes_are_counted_by_fingerprint() {
        let group = CrashGroup {
            fingerprint: "f00".into(),
            count: 3,
            module: "chat".into(),
            version: "2 0123456789ab".into(),
            handler: "Avatar::say".into(),
            message: "panicked at src/lib.rs:9: boom".into(),
            report: "frames".into(),
            ..CrashGroup::default()
        };
        expect![[r#"
            count  module  version         handler      first utc  last utc  message
            3      chat    2 0123456789ab  Avatar::say  00:00:00   00:00:00  panicked at src/lib.rs:9: boom"#]]
        .assert_eq(&describe(std::slice::from_ref(&group), false));
        assert_eq!(describe(&[group], true), "3 × `f00` Avatar::say\nframes");
        assert_eq!(describe(&[], true), "Nothing has crashed.");
    }
}
