//! `everwake stop` and `everwake kill`.

use super::life::{Life, Wish};
use super::place::{Note, living, note_of, supervisor_of};
use super::start::ask;
use super::{Described, meant, wait};
use crate::cluster::config::Cluster;
use crate::failure::hinted;
use crate::terminal::Terminal;
use clap::Args;
use everwake_link::{PeerName, Role};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The order in which roles stop where nobody looks after them.
const ORDER: [Role; 3] = [Role::Gate, Role::Game, Role::Dispatcher];
/// How long the system may take to end whoever is killed.
const KILLED: Duration = Duration::from_secs(10);

/// Stops processes of a cluster on this host: in order, all of them unless some are named.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Gates stop first, then games, then dispatchers. A process that is named stays down until \
`everwake start NAME`. What a game holds is gone with it: `everwake drain NAME` brings it to other games first. \
Exit code 1 if something did not stop in time; `everwake kill` ends that.

Examples:
  everwake stop
  everwake stop g-2 --timeout 30"
)]
pub struct StopCommand {
    /// Only these processes.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub described: Described,
    /// How long to wait until they have stopped, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,
}

/// Ends processes of a cluster on this host at once, without their last words.
#[derive(Debug, Args)]
#[command(
    after_long_help = "As a crash would: others notice within seconds, and whoever looks after the process \
(`everwake up`, `everwake start`) starts it again. `everwake stop NAME` is what keeps it down.

Examples:
  everwake kill g-2
  everwake kill --all"
)]
pub struct KillCommand {
    /// These processes.
    #[arg(value_name = "NAME", required_unless_present = "all")]
    pub names: Vec<String>,
    /// All processes, and whoever looks after them.
    #[arg(long, conflicts_with = "names")]
    pub all: bool,
    #[command(flatten)]
    pub described: Described,
}

/// Those of a list that run here.
fn running(cluster: &Cluster, peers: &[PeerName]) -> Vec<(PeerName, Life)> {
    let lives = |peer: &PeerName| Some((peer.clone(), living(&note_of(cluster, peer))?.life));
    peers.iter().filter_map(lives).collect()
}

/// Stops.
pub fn stop(command: &StopCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::load(&command.described.config)?;
    let peers = meant(&cluster, &command.names)?;
    let lives = running(&cluster, &peers);
    let supervisor = living(&supervisor_of(&cluster));
    let all = command.names.is_empty();
    let most = Duration::from_secs(command.timeout);
    let until = Instant::now() + most;
    let left = match &supervisor {
        Some(supervisor) => {
            if all {
                supervisor.life.tell(Wish::Stop);
            } else {
                // Also who waits for its next start.
                ask(supervisor, true, &peers)?;
            }
            ended(lives, most, terminal)
        }
        None if lives.is_empty() => {
            terminal.say("Nothing of it runs here.");
            return Ok(ExitCode::SUCCESS);
        }
        None => in_order(lives, until, terminal),
    };
    if !left.is_empty() {
        let names: Vec<String> =
            left.iter().map(|(peer, life)| format!("`{peer}` (process `{}`)", life.pid)).collect();
        return Err(hinted(
            format!("After {} s these have not stopped: {}.", command.timeout, names.join(", ")),
            "Give them longer with `--timeout`, or end them: `everwake kill NAME`.",
        ));
    }
    if let Some(Note { life, .. }) = supervisor.filter(|_| all) {
        let late = wait::until_none(
            vec![life],
            until.saturating_duration_since(Instant::now()).max(KILLED),
            Life::goes_on,
        );
        if let Some(life) = late.first() {
            return Err(hinted(
                format!("All have stopped but process `{}`, which looks after them.", life.pid),
                "End it: `everwake kill --all`.",
            ));
        }
        terminal.good("All have stopped.");
    }
    Ok(ExitCode::SUCCESS)
}

/// Role by role, as whoever looks after them would.
fn in_order(mut lives: Vec<(PeerName, Life)>, until: Instant, terminal: &Terminal) -> Vec<(PeerName, Life)> {
    for role in ORDER {
        let (now, later) = lives.into_iter().partition(|(peer, _)| peer.role() == role);
        lives = later;
        let now: Vec<(PeerName, Life)> = now;
        now.iter().for_each(|(_, life)| {
            life.tell(Wish::Stop);
        });
        let left = ended(now, until.saturating_duration_since(Instant::now()), terminal);
        if !left.is_empty() {
            return left.into_iter().chain(lives).collect();
        }
    }
    Vec::new()
}

fn ended(lives: Vec<(PeerName, Life)>, most: Duration, terminal: &Terminal) -> Vec<(PeerName, Life)> {
    wait::until_none(lives, most, |(peer, life)| {
        let goes_on = life.goes_on();
        if !goes_on {
            terminal.good(format!("`{peer}` has stopped."));
        }
        goes_on
    })
}

/// Kills.
pub fn kill(command: &KillCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::load(&command.described.config)?;
    let supervisor = living(&supervisor_of(&cluster));
    if let Some(supervisor) = supervisor.as_ref().filter(|_| command.all) {
        // First, or it would start the others again.
        supervisor.life.tell(Wish::Kill);
        wait::until_none(vec![&supervisor.life], KILLED, |life| life.goes_on());
        terminal.good("Nobody looks after the processes any more.");
    }
    let peers = meant(&cluster, &command.names)?;
    let lives = running(&cluster, &peers);
    for (peer, life) in &lives {
        if life.tell(Wish::Kill) {
            terminal.good(format!("`{peer}`, process `{}`, is killed.", life.pid));
        }
    }
    let left = wait::until_none(lives.clone(), KILLED, |(_, life)| life.goes_on());
    if let Some((peer, life)) = left.first() {
        return Err(hinted(
            format!("`{peer}`, process `{}`, is killed and does not end.", life.pid),
            "The system holds it: look at its disks with `dmesg`.",
        ));
    }
    for peer in peers.iter().filter(|_| !command.all) {
        if !lives.iter().any(|(killed, _)| killed == peer) {
            terminal.warn(format!("`{peer}` does not run here."));
        } else if supervisor.is_some() {
            terminal.hint(format!("`{peer}` starts again; `everwake stop {}` keeps it down.", peer.name()));
        }
    }
    Ok(ExitCode::SUCCESS)
}
