//! `everwake start`: `up` in the background.

use super::office::Asked;
use super::place::{Note, living, logs_of, note_of, supervisor_of};
use super::up::{OWN_LOG, in_background};
use super::{Described, meant, wait};
use crate::admin::client::AdminClient;
use crate::cluster::config::Cluster;
use crate::failure::{HintExt as _, hinted};
use crate::terminal::Terminal;
use clap::Args;
use everwake_link::PeerName;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

/// What the supervisor says before it has its log.
const FIRST_WORDS: &str = "start.log";

/// Starts processes of a cluster on this host, in the background.
#[derive(Debug, Args)]
#[command(
    after_long_help = "One process looks after all of them, as `everwake up` does, and outlives the terminal. \
If it is there already, it starts those that are down. Exit code 0 when all that are meant run.

Examples:
  everwake start
  everwake start g-2 --config cluster.toml"
)]
pub struct StartCommand {
    /// Only these processes. All of the file if left out.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub described: Described,
    /// How long to wait until they run, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,
}

/// Starts, and waits until they run.
pub fn run(command: &StartCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::load(&command.described.config)?;
    let wanted = meant(&cluster, &command.names)?;
    let mut missing = Vec::new();
    for peer in &wanted {
        match living(&note_of(&cluster, peer)) {
            Some(note) => terminal.say(format!("`{peer}` runs already, process `{}`.", note.life.pid)),
            None => missing.push(peer.clone()),
        }
    }
    if missing.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let mut words = Words::begin(&cluster)?;
    let most = Duration::from_secs(command.timeout);
    match living(&supervisor_of(&cluster)) {
        Some(supervisor) => ask(&supervisor, false, &missing)?,
        None => begin(&cluster, command, &missing)?,
    }
    let left = wait::until_none(missing, most, |peer| {
        words.pass_on(terminal);
        let Some(note) = living(&note_of(&cluster, peer)).filter(|note| note.ready) else { return true };
        terminal.good(format!("`{peer}` runs, process `{}`.", note.life.pid));
        false
    });
    if !left.is_empty() {
        let left: Vec<String> = left.iter().map(|peer| format!("`{peer}`")).collect();
        return Err(hinted(
            format!("After {} s these do not run: {}.", command.timeout, left.join(", ")),
            "`everwake logs NAME` shows what one said; it is tried again until `everwake stop`.",
        ));
    }
    for gate in wanted.iter().filter_map(|peer| living(&note_of(&cluster, peer))) {
        if !gate.gate.is_empty() {
            terminal
                .hint(format!("Clients connect with `--gate {} --cert-hash {}`.", gate.gate, gate.cert_hash));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks whoever looks after the processes.
pub fn ask(supervisor: &Note, stop: bool, processes: &[PeerName]) -> anyhow::Result<()> {
    let names = processes.iter().map(ToString::to_string).collect();
    AdminClient::new(&supervisor.admin, &supervisor.token).processes(&Asked { stop, names })
}

/// Starts it, and waits until it can be asked.
fn begin(cluster: &Cluster, command: &StartCommand, missing: &[PeerName]) -> anyhow::Result<()> {
    let path = logs_of(cluster).join(FIRST_WORDS);
    let words = File::create(&path)
        .hint(format!("The file `{}` cannot be made.", path.display()), "Make room, or allow it.")?;
    let config = std::path::absolute(&command.described.config)?;
    let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
    let mut child = in_background(&config, &names)?
        .stdin(Stdio::null())
        .stdout(words.try_clone()?)
        .stderr(words)
        .spawn()
        .hint("The supervisor cannot be started.", "Is `everwake` still where it was?")?;
    let file = supervisor_of(cluster);
    let most = Duration::from_secs(command.timeout);
    let mut ended = false;
    let left = wait::until_none(vec![()], most, |()| {
        ended = child.try_wait().is_ok_and(|status| status.is_some());
        !ended && living(&file).is_none()
    });
    match ended || !left.is_empty() {
        false => Ok(()),
        true => Err(hinted(
            format!("The supervisor does not start:\n{}", std::fs::read_to_string(&path)?.trim_end()),
            "`everwake up` runs it in this terminal.",
        )),
    }
}

/// What the supervisor says meanwhile.
struct Words {
    file: Option<File>,
    path: std::path::PathBuf,
}

impl Words {
    fn begin(cluster: &Cluster) -> anyhow::Result<Words> {
        let logs = logs_of(cluster);
        std::fs::create_dir_all(&logs).hint(
            format!("The folder `{}` cannot be made.", logs.display()),
            "Set `data` in the configuration to a folder that you may write to.",
        )?;
        let path = logs.join(format!("{OWN_LOG}.log"));
        let mut file = open(&path);
        if let Some(file) = &mut file {
            file.seek(SeekFrom::End(0))?;
        }
        Ok(Words { file, path })
    }

    /// Warnings alone: who runs is told in any case.
    fn pass_on(&mut self, terminal: &Terminal) {
        if self.file.is_none() {
            self.file = open(&self.path);
        }
        let mut text = String::new();
        let Some(Ok(_)) = self.file.as_mut().map(|file| file.read_to_string(&mut text)) else { return };
        for line in text.lines() {
            if let Some((_, warning)) = line.split_once(" warning: ") {
                terminal.warn(warning);
            }
        }
    }
}

fn open(path: &Path) -> Option<File> {
    File::open(path).ok()
}
