//! `everwake versions`

use super::publish::{if_it_fails, pauses};
use super::{count, short, table};
use crate::admin::client::{AdminAddress, AdminClient};
use crate::admin::types::{VersionEntry, VersionState};
use crate::clock::{duration_words, time_of_day};
use crate::terminal::Terminal;
use clap::Args;
use std::process::ExitCode;
use std::time::Duration;

/// What the numbers are.
const COUNTS: &str = "`crashes` are all of a generation, as `everwake status` sums them up; `new` are those of its probation that no version before had: only they count against it.";

/// Lists the versions that were published, newest first.
///
/// A new version is on probation: it is watched for a while, and if it fails too often within a minute in
/// ways that no version before it had, it takes itself back, unless that would lose something.
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
        terminal.hint(COUNTS);
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
            it.crashes.to_string(),
            it.traps.to_string(),
            pause,
            it.note.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = versions.iter().map(row).collect();
    let head =
        ["module", "generation", "label", "version", "state", "utc", "crashes", "new", "pause p99", "note"];
    let stands: Vec<String> = versions.iter().flat_map(stands).collect();
    match stands.is_empty() {
        true => table(&head, &rows),
        false => format!("{}\n\n{}", table(&head, &rows), stands.join("\n")),
    }
}

/// How a version stands, in sentences: its probation, and where one goes back to from it.
fn stands(it: &VersionEntry) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(probation) = &it.probation {
        let left = duration_words(Duration::from_millis(probation.left_ms));
        lines.push(format!(
            "`{}` generation {} is on probation for {left} more, with {} in the last minute. {}",
            it.module,
            it.generation,
            count(probation.counted as u64, "new failure"),
            if_it_fails(probation),
        ));
    }
    if !it.games.is_empty() && it.pause.is_some() {
        let at = it.games.iter().map(|at| {
            let pause = at.pause.map_or_else(|| "no pause measured".to_owned(), |pause| pauses(&pause));
            format!("  `{}`: {}, {pause}", at.game, count(at.spaces as u64, "space"))
        });
        lines.push(format!("`{}` generation {} by game:", it.module, it.generation));
        lines.extend(at);
    }
    if let Some(to) = &it.rolls_back_to {
        lines.push(format!("`everwake rollback --module {}` goes back to {to}.", it.module));
    }
    lines
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
    use crate::admin::types::{Pauses, ProbationReport};
    use everwake_runtime::game::report::VersionAt;
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
            crashes: 7,
            probation: (generation == 2).then(|| ProbationReport {
                left_ms: 8_200,
                counted: 1,
                allowed: 2,
                back_to: Some("generation 1 `v1` (`0123456789ab`)".into()),
                stays: String::new(),
            }),
            rolls_back_to: (generation == 2).then(|| "generation 1 `v1` (`0123456789ab`)".into()),
            spaces: 3,
            pause: (generation == 2).then_some(Pauses { spaces: 3, p50_us: 1, p99_us: 400, max_us: 500 }),
            games: Vec::new(),
        };
        expect![[r#"
            module  generation  label  version       state               utc       crashes  new  pause p99  note
            chat    2           v2     0123456789ab  probation           01:00:00  7        6    400 µs     bad
            chat    1           v1     0123456789ab  passed (went back)  01:00:00  7        6    -

            `chat` generation 2 is on probation for 8.2 s more, with 1 new failure in the last minute. With more than 2 new failures within a minute it goes back to generation 1 `v1` (`0123456789ab`) by itself.
            `everwake rollback --module chat` goes back to generation 1 `v1` (`0123456789ab`)."#]]
        .assert_eq(&list(&[version(2, VersionState::Probation, "bad"), version(1, VersionState::Passed, "")]));
        let mut alone = version(2, VersionState::Probation, "");
        alone.probation = Some(ProbationReport {
            stays: "going back would lose changes".into(),
            ..ProbationReport::default()
        });
        assert!(list(&[alone]).contains("does not go back by itself: going back would lose changes."));
        let mut spread = version(1, VersionState::Passed, "");
        let pause = Some(Pauses { spaces: 3, p50_us: 1, p99_us: 400, max_us: 500 });
        let at =
            |game: &str, pause| VersionAt { game: game.into(), spaces: 3, pause, ..VersionAt::default() };
        (spread.pause, spread.games) = (pause, vec![at("g-1", pause), at("g-2", None)]);
        expect![[r#"
            `chat` generation 1 by game:
              `g-1`: 3 spaces, pause: p50 1 µs, p99 400 µs, longest 500 µs
              `g-2`: 3 spaces, no pause measured"#]]
        .assert_eq(&stands(&spread).join("\n"));
    }
}
