//! `everwake crashes`

use super::{count, table};
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
  everwake crashes                 one line for each fingerprint, and for each version of it
  everwake crashes --full          with frames, arguments, log lines, and how to run it again
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
    let rows: Vec<Vec<String>> = groups.iter().flat_map(rows).collect();
    table(&["count", "module", "version", "handler", "first utc", "last utc", "message"], &rows)
}

/// One row for a kind of crash; if it happened in several versions, one below for each of them.
fn rows(group: &CrashGroup) -> Vec<Vec<String>> {
    let row = |count: u64, times: (u64, u64), [module, version, handler, message]: [&str; 4]| {
        let (first, last) = (time_of_day(times.0), time_of_day(times.1));
        vec![count.to_string(), module.into(), version.into(), handler.into(), first, last, message.into()]
    };
    let several = count(group.versions.len() as u64, "version");
    let version = if group.versions.len() > 1 { &several } else { &group.version };
    let texts = [&group.module, version, &group.handler, &group.message].map(String::as_str);
    let mut rows = vec![row(group.count, (group.first_ms, group.last_ms), texts)];
    for version in group.versions.iter().filter(|_| group.versions.len() > 1) {
        let name = format!("{} {}", version.label, version.version);
        rows.push(row(version.count, (version.first_ms, version.last_ms), ["", &name, "", ""]));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::types::CrashVersion;
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
        assert_eq!(describe(std::slice::from_ref(&group), true), "3 × `f00` Avatar::say\nframes");
        let of = |label: &str, count, first_ms| CrashVersion {
            label: label.into(),
            version: "0123".into(),
            count,
            first_ms,
            last_ms: first_ms + 1_000,
        };
        let versions = vec![of("1", 2, 0), of("2", 1, 5_000)];
        expect![[r#"
            count  module  version     handler      first utc  last utc  message
            3      chat    2 versions  Avatar::say  00:00:00   00:00:06  panicked at src/lib.rs:9: boom
            2              1 0123                   00:00:00   00:00:01
            1              2 0123                   00:00:05   00:00:06"#]]
        .assert_eq(&describe(&[CrashGroup { last_ms: 6_000, versions, ..group }], false));
        assert_eq!(describe(&[], true), "Nothing has crashed.");
    }
}
