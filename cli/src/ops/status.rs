//! `everwake status --config FILE`: all processes of a cluster as this host sees them.

use super::life::Used;
use super::place::{Note, living, note_of, supervisor_of};
use super::wait;
use crate::admin::client::AdminClient;
use crate::clock::age_words;
use crate::cluster::config::Cluster;
use crate::commands::{count, table};
use everwake_link::{PeerName, Role};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long CPU time is measured.
const MEASURE: Duration = Duration::from_millis(300);
/// How long a process may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A process.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Row {
    /// `game`, `gate` or `dispatcher`.
    pub role: String,
    /// Its name.
    pub name: String,
    /// `up`, `draining`, `starting`, `silent` (it runs and does not answer) or `down`.
    pub state: &'static str,
    /// None if it does not run here, as all that follows.
    pub pid: Option<u32>,
    /// Since it began.
    pub uptime_ms: Option<u64>,
    /// Which start of it this is.
    pub start: Option<u32>,
    /// Version of its binary.
    pub everwake: Option<String>,
    /// Address of its admin API.
    pub admin: Option<String>,
    /// What it has: nothing if that role has none.
    pub entities: Option<u64>,
    /// Spaces, nil shards and service shards among them.
    pub spaces: Option<u64>,
    /// Clients that it holds, or whose entities it has.
    pub clients: Option<u64>,
    /// Percent of one core, over the last moment.
    pub cpu_percent: Option<f64>,
    /// Bytes in memory.
    pub memory: Option<u64>,
    /// To whom it has a link, and whether it stands.
    pub links: BTreeMap<String, bool>,
}

/// The cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Overview {
    /// Name of the cluster.
    pub name: String,
    /// Process that looks after the others on this host.
    pub supervisor: Option<u32>,
    /// In the file's order.
    pub processes: Vec<Row>,
}

impl Overview {
    /// There is somebody, and each answers. One that is drained does what it is told to.
    pub fn is_well(&self) -> bool {
        !self.processes.is_empty() && self.processes.iter().all(|row| ["up", "draining"].contains(&row.state))
    }
}

/// Looks at these of them.
pub fn look(cluster: &Cluster, peers: &[PeerName]) -> Overview {
    let notes: Vec<Option<Note>> = peers.iter().map(|peer| living(&note_of(cluster, peer))).collect();
    let used = |notes: &[Option<Note>]| -> Vec<Option<Used>> {
        notes.iter().map(|note| note.as_ref().and_then(|note| note.life.used())).collect()
    };
    let (begun, before) = (Instant::now(), used(&notes));
    let mut rows: Vec<Row> = peers.iter().zip(&notes).map(|(peer, note)| row(peer, note.as_ref())).collect();
    wait::until_none(vec![()], MEASURE.saturating_sub(begun.elapsed()), |()| true);
    let (elapsed, after) = (begun.elapsed(), used(&notes));
    for (row, pair) in rows.iter_mut().zip(before.into_iter().zip(after)) {
        if let (Some(before), Some(after)) = pair {
            let cpu = after.cpu.saturating_sub(before.cpu);
            row.cpu_percent = Some((cpu.as_secs_f64() / elapsed.as_secs_f64() * 1000.0).round() / 10.0);
            row.memory = Some(after.memory);
        }
    }
    let supervisor = living(&supervisor_of(cluster)).map(|note| note.life.pid);
    Overview { name: cluster.name.clone(), supervisor, processes: rows }
}

fn row(peer: &PeerName, note: Option<&Note>) -> Row {
    let mut row =
        Row { role: peer.role().to_string(), name: peer.name().to_owned(), state: "down", ..Row::default() };
    let Some(note) = note else { return row };
    row.state = "starting";
    row.pid = Some(note.life.pid);
    row.everwake = Some(note.everwake.clone());
    row.uptime_ms = note.life.age().and_then(|age| u64::try_from(age.as_millis()).ok());
    if note.ready {
        row.admin = Some(note.admin.clone());
        row.state = ask(peer, note, &mut row).unwrap_or("silent");
    }
    row
}

/// What the process itself says; nothing if it does not answer.
fn ask(peer: &PeerName, note: &Note, row: &mut Row) -> Option<&'static str> {
    let client = AdminClient::patient(&note.admin, &note.token, PATIENCE);
    let process = client.process().ok()?;
    row.start = Some(process.start);
    row.links = process.links;
    row.clients = process.clients;
    if peer.role() == Role::Game {
        let game = client.status().ok()?.game;
        row.clients = Some(game.sessions);
        row.spaces = Some(game.modules.iter().map(|module| module.spaces).sum());
        row.entities = Some(game.modules.iter().flat_map(|module| module.entities.values()).sum());
    }
    Some(if process.drains { "draining" } else { "up" })
}

/// As people read it.
pub fn describe(overview: &Overview) -> String {
    let head = [
        "process", "state", "pid", "up for", "start", "version", "entities", "spaces", "clients", "CPU",
        "memory", "links",
    ];
    let rows: Vec<Vec<String>> = overview.processes.iter().map(cells).collect();
    let up = overview.processes.iter().filter(|row| row.state == "up").count();
    let all = count(overview.processes.len() as u64, "process").replace("processs", "processes");
    let supervisor = match overview.supervisor {
        Some(pid) => format!("; process `{pid}` looks after them"),
        None => String::new(),
    };
    let text = format!("`{}`: {up} of {all} up{supervisor}.\n\n{}", overview.name, table(&head, &rows));
    let missing = missing(overview);
    if missing.is_empty() { text } else { format!("{text}\n\n{}", missing.join("\n")) }
}

fn cells(row: &Row) -> Vec<String> {
    let or = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let stand = row.links.values().filter(|stands| **stands).count();
    vec![
        format!("{}/{}", row.role, row.name),
        row.state.to_owned(),
        or(row.pid.map(|it| it.to_string())),
        or(row.uptime_ms.map(|ms| age_words(Duration::from_millis(ms)))),
        or(row.start.map(|it| it.to_string())),
        or(row.everwake.clone()),
        or(row.entities.map(|it| it.to_string())),
        or(row.spaces.map(|it| it.to_string())),
        or(row.clients.map(|it| it.to_string())),
        or(row.cpu_percent.map(|it| format!("{it:.1} %"))),
        or(row.memory.map(|bytes| format!("{} MiB", bytes / 1024 / 1024))),
        if row.links.is_empty() { "-".to_owned() } else { format!("{stand} of {}", row.links.len()) },
    ]
}

/// Links that do not stand; that there is none to who is down goes without saying.
fn missing(overview: &Overview) -> Vec<String> {
    let is_down = |peer: &str| {
        let named = |row: &&Row| format!("{}/{}", row.role, row.name) == peer;
        overview.processes.iter().find(named).is_some_and(|row| row.state == "down")
    };
    let of = |row: &Row| {
        let cut = row.links.iter().filter(|(peer, stands)| !**stands && !is_down(peer));
        let cut: Vec<String> = cut.map(|(peer, _)| format!("`{peer}`")).collect();
        (!cut.is_empty()).then(|| format!("`{}/{}` has no link to {}.", row.role, row.name, cut.join(", ")))
    };
    overview.processes.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn it_is_well_if_each_answers_though_it_is_drained() {
        let of = |states: &[&'static str]| {
            let row = |state: &&'static str| Row { state, ..Row::default() };
            Overview { processes: states.iter().map(row).collect(), ..Overview::default() }.is_well()
        };
        assert!(of(&["up", "draining"]) && !of(&[]));
        for state in ["starting", "silent", "down"] {
            assert!(!of(&["up", state]), "{state}");
        }
    }

    #[test]
    fn a_cluster_is_readable() {
        let game = Row {
            role: "game".into(),
            name: "g-1".into(),
            state: "up",
            pid: Some(4711),
            uptime_ms: Some(90_061_000),
            start: Some(3),
            everwake: Some("0.1.0".into()),
            entities: Some(250),
            spaces: Some(3),
            clients: Some(12),
            cpu_percent: Some(3.25),
            memory: Some(64 * 1024 * 1024),
            links: [
                ("dispatcher/d-1".into(), true),
                ("dispatcher/d-2".into(), false),
                ("gate/w-1".into(), false),
            ]
            .into(),
            ..Row::default()
        };
        let gate = Row { role: "gate".into(), name: "w-1".into(), state: "down", ..Row::default() };
        let overview =
            Overview { name: "everwake".into(), supervisor: Some(4700), processes: vec![game, gate] };
        expect![[r#"
            `everwake`: 1 of 2 processes up; process `4700` looks after them.

            process   state  pid   up for   start  version  entities  spaces  clients  CPU    memory  links
            game/g-1  up     4711  1 d 1 h  3      0.1.0    250       3       12       3.2 %  64 MiB  1 of 3
            gate/w-1  down   -     -        -      -        -         -       -        -      -       -

            `game/g-1` has no link to `dispatcher/d-2`."#]]
        .assert_eq(&describe(&overview));
    }
}
