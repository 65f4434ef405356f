//! `everwake status`

use super::versions::state_name;
use super::{count, short, table};
use crate::admin::client::{AdminAddress, AdminClient};
use crate::admin::types::{GameGlance, ModuleGlance, ModuleStatus, Status};
use crate::clock::duration_words;
use crate::cluster::config::Cluster;
use crate::ops;
use crate::terminal::Terminal;
use clap::Args;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Shows what runs: modules, spaces, clients, the last swap.
#[derive(Debug, Args)]
#[command(
    after_long_help = "With `--config` it shows processes of a cluster as this host sees them (all, or those that are named, or with \
`--here` those that were ever started on this host), and its exit code is 1 unless each of them is up or draining; with `--game` what one of its games runs.

Examples:
  everwake status
  everwake status --config cluster.toml
  everwake status --config cluster.toml --here
  everwake status --config cluster.toml gate/w-1
  everwake status --config cluster.toml --game g-1
  everwake status --json | jq '.game.modules[].generation'"
)]
pub struct StatusCommand {
    /// Processes of the cluster; all if none is named.
    #[arg(value_name = "NAME", requires = "config", conflicts_with = "game")]
    pub names: Vec<String>,
    /// Only the processes that were ever started on this host, of which there has to be one.
    #[arg(long, requires = "config", conflicts_with_all = ["names", "game"])]
    pub here: bool,
    /// Prints the answer as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub address: AdminAddress,
}

/// Shows.
pub fn run(command: &StatusCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    if let Some(config) = command.address.config.as_ref().filter(|_| command.address.game.is_none()) {
        return of_cluster(config, command, terminal);
    }
    let status = AdminClient::find(&command.address)?.status()?;
    if command.json {
        terminal.data(&super::json(&status)?);
    } else {
        terminal.answer(&describe(&status));
    }
    Ok(ExitCode::SUCCESS)
}

/// Its processes; exit code 1 if one does not answer.
fn of_cluster(config: &Path, command: &StatusCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::load(config)?;
    let mut peers = ops::meant(&cluster, &command.names)?;
    peers.retain(|peer| !command.here || ops::place::note_of(&cluster, peer).exists());
    let overview = ops::status::look(&cluster, &peers);
    match command.json {
        true => terminal.data(&super::json(&overview)?),
        false => terminal.answer(&ops::status::describe(&overview)),
    }
    Ok(if overview.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn describe(status: &Status) -> String {
    let mut text = format!(
        "Everwake {} runs for {} with {} at `{}`.",
        status.everwake,
        duration_words(Duration::from_millis(status.uptime_ms)),
        count(status.game.sessions, "client"),
        status.gate,
    );
    if let Some(file) = &status.recording {
        text.push_str(&format!("\nIt records to `{file}`."));
    }
    let rows: Vec<Vec<String>> = status.game.modules.iter().map(row).collect();
    text.push_str(&format!("\n\n{}", table(&COLUMNS, &rows)));
    if !status.game.games.is_empty() {
        text.push_str(&format!("\n\n{}", games(&status.game.games)));
    }
    text
}

/// What is said of each module.
const COLUMNS: [&str; 10] = [
    "module",
    "label",
    "version",
    "generation",
    "state",
    "clients",
    "spaces",
    "entities",
    "crashes",
    "last pause p99",
];

/// Which game of a cluster runs what.
fn games(games: &[GameGlance]) -> String {
    let head: Vec<&str> = ["game"].into_iter().chain(COLUMNS).collect();
    let rows: Vec<Vec<String>> = games.iter().flat_map(rows_of).collect();
    let leader = games.iter().find(|game| game.leads);
    let leads = leader.map_or_else(String::new, |game| format!("\nPublications go by `{}`.", game.name));
    format!("{}{leads}", table(&head, &rows))
}

fn rows_of(game: &GameGlance) -> Vec<Vec<String>> {
    let nothing = || "-".to_owned();
    let state = match (game.answers, game.rank) {
        (false, _) => "does not answer",
        (true, None) => "joins the others",
        (true, Some(_)) => "no module",
    };
    if game.modules.is_empty() {
        let mut row = vec![game.name.clone()];
        row.extend((0..4).map(|_| nothing()));
        row.push(state.to_owned());
        row.extend([game.sessions.to_string(), nothing(), game.entities.to_string(), nothing(), nothing()]);
        return vec![row];
    }
    let row = |module: &ModuleGlance| {
        let state = match module {
            _ if game.rank.is_none() => state,
            ModuleGlance { mixed: true, .. } => "mixed",
            ModuleGlance { swapping: true, .. } => "swapping",
            _ => "runs",
        };
        vec![
            game.name.clone(),
            module.name.clone(),
            module.label.clone(),
            short(&module.version).to_owned(),
            module.generation.to_string(),
            state.to_owned(),
            module.sessions.to_string(),
            module.spaces.to_string(),
            module.entities.to_string(),
            module.crashes.to_string(),
            module.pause.map_or_else(nothing, |it| duration_words(Duration::from_micros(it.p99_us))),
        ]
    };
    game.modules.iter().map(row).collect()
}

fn row(module: &ModuleStatus) -> Vec<String> {
    vec![
        module.name.clone(),
        module.label.clone(),
        short(&module.version).to_owned(),
        module.generation.to_string(),
        match &module.probation {
            Some(probation) => {
                let left = duration_words(Duration::from_millis(probation.left_ms));
                format!("{}, {left} left", module.state.map_or("probation", state_name))
            }
            None => module.state.map_or("-", state_name).to_owned(),
        },
        module.sessions.to_string(),
        module.spaces.to_string(),
        module.entities.values().sum::<u64>().to_string(),
        module.crashes.to_string(),
        module.pause.map_or_else(|| "-".to_owned(), |it| duration_words(Duration::from_micros(it.p99_us))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::types::{GameStatus, Pauses, ProbationReport, VersionState};
    use expect_test::expect;
    use std::collections::BTreeMap;

    #[test]
    fn status_is_readable() {
        let module = ModuleStatus {
            name: "yard".into(),
            label: "1".into(),
            version: "0123456789abcdef".into(),
            generation: 2,
            state: Some(VersionState::Probation),
            probation: Some(ProbationReport { left_ms: 8_200, ..ProbationReport::default() }),
            crashes: 1,
            sessions: 1,
            spaces: 3,
            entities: BTreeMap::from([("Monster".into(), 200), ("Walker".into(), 50)]),
            pause: Some(Pauses { p99_us: 400, ..Pauses::default() }),
            ..ModuleStatus::default()
        };
        let game = GameStatus { modules: vec![module], sessions: 1, ..GameStatus::default() };
        let gate = "127.0.0.1:4747".into();
        let status = Status { everwake: "0.1.0".into(), uptime_ms: 61_000, gate, recording: None, game };
        expect![[r#"
            Everwake 0.1.0 runs for 1 min 1 s with 1 client at `127.0.0.1:4747`.

            module  label  version       generation  state                  clients  spaces  entities  crashes  last pause p99
            yard    1      0123456789ab  2           probation, 8.2 s left  1        3       250       1        400 µs"#]]
        .assert_eq(&describe(&status));
    }

    #[test]
    fn of_a_cluster_it_is_told_which_game_runs_what() {
        let module = ModuleGlance {
            name: "chat".into(),
            label: "2".into(),
            version: "0123456789abcdef".into(),
            generation: 2,
            sessions: 3,
            spaces: 5,
            entities: 7,
            pause: Some(Pauses { p99_us: 300, ..Pauses::default() }),
            ..ModuleGlance::default()
        };
        let game = |name: &str, rank, answers| GameGlance {
            name: name.into(),
            rank,
            answers,
            ..GameGlance::default()
        };
        let first = GameGlance { leads: true, modules: vec![module.clone()], ..game("g-1", Some(1), true) };
        let module = ModuleGlance { swapping: true, pause: None, ..module };
        let second = GameGlance { modules: vec![module], ..game("g-2", Some(2), true) };
        let all = [first, second, game("g-3", None, true), game("g-4", None, false)];
        expect![[r#"
            game  module  label  version       generation  state             clients  spaces  entities  crashes  last pause p99
            g-1   chat    2      0123456789ab  2           runs              3        5       7         0        300 µs
            g-2   chat    2      0123456789ab  2           swapping          3        5       7         0        -
            g-3   -       -      -             -           joins the others  0        -       0         -        -
            g-4   -       -      -             -           does not answer   0        -       0         -        -
            Publications go by `g-1`."#]]
        .assert_eq(&games(&all));
    }

    #[test]
    fn what_a_newer_server_adds_is_kept() {
        let text = r#"{"modules": [{"name": "a", "mixed": true}], "sessions": 2, "parked": 3}"#;
        let game: GameStatus = serde_json::from_str(text).unwrap();
        assert_eq!(game.more["parked"], 3);
        assert_eq!(game.modules[0].more["mixed"], true);
    }
}
