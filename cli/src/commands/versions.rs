//! `everwake versions`

use super::{short, table};
use crate::admin::client::{AdminAddress, AdminClient};
use crate::admin::types::{VersionEntry, VersionState};
use crate::clock::{duration_words, time_of_day};
use crate::terminal::Terminal;
use clap::Args;
use std::process::ExitCode;
use std::time::Duration;

/// Lists the versions that were published, newest first.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  everwake versions
  everwake versions --module chat --json")]
pub struct VersionsCommand {
    /// Only this module's.
    #[arg(long, value_name = "NAME")]
    pub module: Option<String>,
    /// Prints the answer as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub address: AdminAddress,
}

/// Lists.
pub fn run(command: &VersionsCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let mut versions = AdminClient::find(&command.address)?.versions()?;
    versions.retain(|it| command.module.as_ref().is_none_or(|module| *module == it.module));
    if command.json {
        terminal.data(&super::json(&versions)?);
    } else {
        terminal.answer(&list(&versions));
    }
    Ok(ExitCode::SUCCESS)
}

fn list(versions: &[VersionEntry]) -> String {
    let row = |it: &VersionEntry| {
        let state = state_name(it.state);
        let state = if it.rollback { format!("{state} (went back)") } else { state.to_owned() };
        let pause = it
            .pause
            .map_or_else(|| "-".to_owned(), |pause| duration_words(Duration::from_micros(pause.p99_us)));
        let at = time_of_day(it.at_ms);
        let hash = short(&it.version).to_owned();
        let generation = it.generation.to_string();
        vec![
            it.module.clone(),
            generation,
            it.label.clone(),
            hash,
            state,
            at,
            it.traps.to_string(),
            pause,
            it.note.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = versions.iter().map(row).collect();
    table(&["module", "generation", "label", "version", "state", "utc", "traps", "pause p99", "note"], &rows)
}

/// As people say it.
pub fn state_name(state: VersionState) -> &'static str {
    match state {
        VersionState::Swapping => "swapping",
        VersionState::Probation => "probation",
        VersionState::Passed => "passed",
        VersionState::Superseded => "superseded",
        VersionState::Reverted => "reverted",
        VersionState::Halted => "halted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::types::Pauses;
    use expect_test::expect;

    #[test]
    fn versions_are_a_table() {
        let version = |generation, state, note: &str| VersionEntry {
            module: "chat".into(),
            generation,
            version: "0123456789abcdef".into(),
            label: format!("v{generation}"),
            note: note.into(),
            at_ms: 3_600_000,
            rollback: generation == 1,
            state,
            traps: 6,
            spaces: 3,
            pause: (generation == 2).then_some(Pauses { spaces: 3, p50_us: 1, p99_us: 400, max_us: 500 }),
        };
        expect![[r#"
            module  generation  label  version       state               utc       traps  pause p99  note
            chat    2           v2     0123456789ab  reverted            01:00:00  6      400 µs     bad
            chat    1           v1     0123456789ab  passed (went back)  01:00:00  6      -"#]]
        .assert_eq(&list(&[version(2, VersionState::Reverted, "bad"), version(1, VersionState::Passed, "")]));
    }
}
