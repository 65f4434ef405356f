//! `everwake drain`: before a game or a gate stops.

use super::place::{living, note_of};
use super::stop::{self, StopCommand};
use super::{Described, meant, wait};
use crate::admin::client::AdminClient;
use crate::admin::types::{DrainReport, DrainStatus};
use crate::cluster::config::Cluster;
use crate::commands::count;
use crate::failure::hinted;
use crate::terminal::Terminal;
use clap::Args;
use everwake_link::PeerName;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How often it is told how far it is, if that changes.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Empties a game or a gate, so that it can be stopped without cutting anybody off.
#[derive(Debug, Args)]
#[command(
    after_long_help = "A game takes no new entities; those that are in no space go on in other games, with their clients. \
Spaces and services do not move: it waits for the clients in them, and says what ends with the game. A gate lets nobody in, \
and waits for those who are there; when it stops they are told to go to another gate. Exit code 0 when it may be stopped.

Examples:
  everwake drain g-2
  everwake drain g-2 --now --stop
  everwake drain w-1 --timeout 600
  everwake drain g-2 --cancel"
)]
pub struct DrainCommand {
    /// The game or gate.
    #[arg(value_name = "NAME")]
    pub name: String,
    #[command(flatten)]
    pub described: Described,
    /// How long to wait, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub timeout: u64,
    /// Does not wait for clients that cannot go: those in a game's spaces, all of a gate.
    #[arg(long)]
    pub now: bool,
    /// Stops it when it is empty.
    #[arg(long)]
    pub stop: bool,
    /// It takes what is new again.
    #[arg(long, conflicts_with_all = ["now", "stop"])]
    pub cancel: bool,
}

/// Empties it, and says how far it is.
pub fn run(command: &DrainCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::load(&command.described.config)?;
    let found = meant(&cluster, std::slice::from_ref(&command.name))?;
    let Some(peer) = found.first() else { return Ok(ExitCode::SUCCESS) };
    let Some(note) = living(&note_of(&cluster, peer)).filter(|note| note.ready) else {
        return Err(hinted(format!("`{peer}` does not run here."), "Drain it on its own host."));
    };
    let client = AdminClient::new(&note.admin, &note.token);
    let begun = client.drain(!command.cancel)?;
    if command.cancel {
        terminal.good(format!("`{peer}` takes what is new again."));
        return Ok(ExitCode::SUCCESS);
    }
    terminal.say(format!("`{peer}` takes nothing new. {}", progress(&begun)));
    let last = follow(peer, &client, begun, command, terminal)?;
    if !is_empty(&last, command.now) {
        return Err(hinted(
            format!("After {} s `{peer}` is not empty. {}", command.timeout, progress(&last)),
            why_not(&last),
        ));
    }
    terminal.good(format!("`{peer}` has let go what can go."));
    if let Some(ends) = ends_with(&last) {
        terminal.warn(format!("With it end {ends}."));
    }
    if !command.stop {
        let name = peer.name();
        terminal.hint(format!(
            "`everwake stop {name}` stops it; `everwake drain {name} --cancel` takes it back."
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let (names, described) = (vec![peer.to_string()], command.described.clone());
    stop::stop(&StopCommand { names, described, timeout: command.timeout }, terminal)
}

/// Looks until it is empty or time is up; how it stands then.
fn follow(
    peer: &PeerName,
    client: &AdminClient,
    begun: DrainStatus,
    command: &DrainCommand,
    terminal: &Terminal,
) -> anyhow::Result<DrainStatus> {
    let until = Instant::now() + Duration::from_secs(command.timeout);
    let (mut last, mut told, mut said) = (begun, Instant::now(), String::new());
    while !is_empty(&last, command.now) && Instant::now() < until {
        wait::pause();
        last = client.drain_status()?;
        if !last.drains {
            return Err(hinted(
                format!("Somebody has taken `{peer}` back."),
                "`everwake status --config FILE` says how it stands.",
            ));
        }
        let text = progress(&last);
        if told.elapsed() >= TELL_EVERY && text != said {
            terminal.say(text.as_str());
            (told, said) = (Instant::now(), text);
        }
    }
    Ok(last)
}

/// Whether it may be stopped.
fn is_empty(status: &DrainStatus, now: bool) -> bool {
    status.game.as_ref().is_none_or(|game| game.free == 0) && (now || status.clients == 0)
}

fn entities(number: u64) -> String {
    if number == 1 { "1 entity".to_owned() } else { format!("{number} entities") }
}

fn progress(status: &DrainStatus) -> String {
    let clients = count(status.clients, "client");
    let Some(DrainReport { free, gone, spaces, inside, .. }) = &status.game else {
        return format!("It has {clients}.");
    };
    let went = match (gone, free) {
        (0, 0) => format!("Nothing of it can go; it has {clients}"),
        _ => format!("{} went, {free} are left; it has {clients}", entities(*gone)),
    };
    match spaces {
        0 => format!("{went}."),
        _ => {
            format!("{went}, and {} with {}.", count(*spaces as u64, "space"), entities(*inside as u64))
        }
    }
}

fn why_not(status: &DrainStatus) -> &'static str {
    match &status.game {
        Some(game) if game.free > 0 && game.takers == 0 => {
            "No other game takes its entities: `everwake status --config FILE` says which are up."
        }
        Some(game) if game.free > 0 => "Give it longer: `--timeout SECONDS`.",
        Some(_) => "Spaces do not move: `--now` does not wait for the clients in them.",
        None => "`--now` does not wait for its clients; when it stops they are told to go to another gate.",
    }
}

/// What nothing brings elsewhere.
fn ends_with(status: &DrainStatus) -> Option<String> {
    let mut parts = Vec::new();
    match &status.game {
        Some(game) => {
            let (spaces, services, maps) = (game.spaces as u64, game.services as u64, game.maps as u64);
            let inside = entities(game.inside as u64);
            parts.extend((spaces > 0).then(|| format!("{} with {inside}", count(spaces, "space"))));
            parts.extend((services > 0).then(|| count(services, "service shard")));
            parts.extend((maps > 0).then(|| count(maps, "key-value map")));
        }
        None => parts.extend((status.clients > 0).then(|| count(status.clients, "connection"))),
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_and_what_ends_is_told() {
        let game =
            DrainReport { free: 3, gone: 1, spaces: 1, inside: 2, services: 2, ..DrainReport::default() };
        let mut status = DrainStatus { drains: true, clients: 1, game: Some(game) };
        let text = "1 entity went, 3 are left; it has 1 client, and 1 space with 2 entities.";
        assert_eq!(progress(&status), text);
        assert!(!is_empty(&status, true) && why_not(&status).contains("No other game"));
        status.game.as_mut().unwrap().free = 0;
        assert!(is_empty(&status, true) && !is_empty(&status, false) && why_not(&status).contains("--now"));
        assert_eq!(ends_with(&status).unwrap(), "1 space with 2 entities, 2 service shards");
        let gate = DrainStatus { drains: true, clients: 2, game: None };
        assert_eq!(progress(&gate), "It has 2 clients.");
        assert_eq!(ends_with(&gate).unwrap(), "2 connections");
        assert!(is_empty(&DrainStatus { clients: 0, ..gate }, false));
    }
}
