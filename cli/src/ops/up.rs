//! `everwake up`: starts processes as its children, keeps what they say, and starts again who dies.

use super::journal::{Journal, next_line};
use super::life::{Life, Wish};
use super::office::{self, Asked};
use super::place::{self, Note, living, log_of, logs_of, note_of, supervisor_of};
use super::supervisor::{Input, Output, Supervisor};
use super::{Described, meant};
use crate::clock::{duration_words, now_text};
use crate::cluster::config::Cluster;
use crate::cluster::process::PARENT;
use crate::failure::{HintExt as _, hinted};
use crate::terminal::{Notice, Terminal, Tone};
use clap::Args;
use everwake_link::PeerName;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Lines of children that wait to be written. A child that says more waits.
const LINES_MAX: usize = 1024;
/// How often it is looked whether those that start are ready.
const LOOK: Duration = Duration::from_millis(50);
/// A wait that is long enough when nothing is due.
const IDLE: Duration = Duration::from_secs(60);
/// What the supervisor itself says is kept under this name.
pub const OWN_LOG: &str = "everwake";

/// Runs processes of a cluster on this host, and starts those again that die.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Lines of all processes come to stdout and into `logs` of the data folder, where \
`everwake logs` finds them. Ctrl-C or SIGTERM stops gates, then games, then dispatchers; a second time it kills. \
A process that ends well, as after `everwake stop NAME`, stays down; another one starts again after 0.5 s, and \
later each time it fails, at most 30 s.

Examples:
  everwake up
  everwake up --config cluster.toml
  everwake up game/g-2 game/g-3"
)]
pub struct UpCommand {
    /// Only these processes: those of this host. All of the file if left out.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub described: Described,
    /// As `start` has it: away from the terminal.
    #[arg(long, hide = true)]
    pub background: bool,
}

/// Runs until Ctrl-C or SIGTERM, and until all have stopped.
pub fn run(command: &UpCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::load(&command.described.config)?;
    let wanted = meant(&cluster, &command.names)?;
    let alone = Alone::take(&cluster)?;
    if command.background {
        nix::unistd::setsid()
            .hint("The terminal cannot be left.", "Use `everwake start`, or `everwake up`.")?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // The main thread spawns all children: they end with the thread that made them.
    runtime.block_on(watch(cluster, wanted, command, terminal))?;
    drop(alone);
    Ok(ExitCode::SUCCESS)
}

/// Nobody else looks after this cluster on this host.
struct Alone {
    note: PathBuf,
    _lock: File,
}

impl Alone {
    fn take(cluster: &Cluster) -> anyhow::Result<Alone> {
        let logs = logs_of(cluster);
        std::fs::create_dir_all(&logs).hint(
            format!("The folder `{}` cannot be made.", logs.display()),
            "Set `data` in the configuration to a folder that you may write to.",
        )?;
        let note = supervisor_of(cluster);
        let file = note.with_extension("lock");
        let lock = File::create(&file).hint(
            format!("The file `{}` cannot be made.", file.display()),
            "Allow this user to write there.",
        )?;
        match lock.try_lock() {
            Ok(()) => Ok(Alone { note, _lock: lock }),
            Err(_) => Err(hinted(
                match living(&note) {
                    Some(other) => format!("Process `{}` looks after this cluster already.", other.life.pid),
                    None => "Somebody looks after this cluster already.".to_owned(),
                },
                "`everwake start NAME` starts what is down there; `everwake stop` stops it all.",
            )),
        }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.note);
    }
}

enum Event {
    Line(PeerName, String),
    Ended(PeerName, std::io::Result<ExitStatus>),
}

struct Up<'a> {
    cluster: Cluster,
    config: PathBuf,
    program: PathBuf,
    terminal: &'a Terminal,
    background: bool,
    core: Supervisor,
    origin: Instant,
    told: mpsc::Sender<Event>,
    own: Journal,
    journals: BTreeMap<PeerName, Journal>,
    lives: BTreeMap<PeerName, Life>,
    /// They start, and are not ready yet.
    starting: BTreeSet<PeerName>,
    width: usize,
    over: bool,
}

async fn watch(
    cluster: Cluster,
    wanted: Vec<PeerName>,
    command: &UpCommand,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let (asking, mut asked) = mpsc::channel(LINES_MAX);
    let (admin, token) = office::open(asking).await?;
    let all = cluster.processes()?;
    let (told, mut events) = mpsc::channel(LINES_MAX);
    let mut up = Up {
        config: std::path::absolute(&command.described.config)?,
        program: std::env::current_exe()?,
        terminal,
        background: command.background,
        width: all.iter().map(|peer| peer.to_string().len()).max().unwrap_or(0),
        core: Supervisor::new(all),
        origin: Instant::now(),
        told,
        own: Journal::open(logs_of(&cluster).join(format!("{OWN_LOG}.log")))?,
        journals: BTreeMap::new(),
        lives: BTreeMap::new(),
        starting: BTreeSet::new(),
        over: false,
        cluster,
    };
    let life = Life::ours().ok_or_else(|| {
        hinted(
            "This system does not say who a process is.",
            "`everwake up` needs a `/proc`, as Linux has it.",
        )
    })?;
    let everwake = env!("CARGO_PKG_VERSION").to_owned();
    let note = Note { life, everwake, ready: true, admin, token, ..Note::default() };
    place::write(&supervisor_of(&up.cluster), &note)?;
    for peer in wanted {
        up.handle(Input::Start(peer));
    }
    let mut begun = Some(Instant::now());
    while !up.over {
        let wait = up.until_wake();
        tokio::select! {
            Some(event) = events.recv() => up.heard(event),
            Some(asked) = asked.recv() => up.asked(asked),
            () = signals.next() => up.signalled(),
            () = tokio::time::sleep(wait) => up.handle(Input::Wake),
        }
        up.look(&mut begun);
    }
    Ok(())
}

struct Signals([Signal; 3]);

impl Signals {
    fn new() -> std::io::Result<Signals> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [one, two, three] = kinds.map(signal);
        Ok(Signals([one?, two?, three?]))
    }

    async fn next(&mut self) {
        let [one, two, three] = &mut self.0;
        tokio::select! {
            _ = one.recv() => {}
            _ = two.recv() => {}
            _ = three.recv() => {}
        }
    }
}

impl Up<'_> {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn until_wake(&self) -> Duration {
        let due = self.core.next_wake_ms();
        let due = due.map_or(IDLE, |due| Duration::from_millis(due.saturating_sub(self.now_ms())));
        if self.starting.is_empty() { due.min(IDLE) } else { due.min(LOOK) }
    }

    fn handle(&mut self, input: Input) {
        let outputs = self.core.handle(self.now_ms(), input);
        for output in outputs {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Spawn(peer) => self.spawn(&peer),
            Output::Terminate(peer) => self.tell(&peer, Wish::Stop),
            Output::Kill(peer) => self.tell(&peer, Wish::Kill),
            Output::Later { peer, after_ms } => {
                let after = duration_words(Duration::from_millis(after_ms));
                self.say(Tone::Warning, format!("`{peer}` starts again in {after}."));
            }
            Output::StaysDown(peer) => {
                self.say(
                    Tone::Plain,
                    format!("`{peer}` stays down; `everwake start {}` starts it.", peer.name()),
                );
            }
            Output::Late(peer) => {
                self.say(Tone::Warning, format!("`{peer}` does not stop in time, and is killed."));
            }
            Output::Over => {
                self.say(Tone::Good, "All have stopped.");
                self.over = true;
            }
        }
    }

    fn spawn(&mut self, peer: &PeerName) {
        match self.try_spawn(peer) {
            Ok(()) => {
                self.starting.insert(peer.clone());
            }
            Err(error) => {
                for notice in Notice::of_error("", &error) {
                    self.say(notice.tone, notice.text);
                }
                // Not at once: what it would be told may want to spawn again.
                let told = self.core.handle(self.now_ms(), Input::Unstarted(peer.clone()));
                told.into_iter().for_each(|output| self.perform(output));
            }
        }
    }

    fn try_spawn(&mut self, peer: &PeerName) -> anyhow::Result<()> {
        if !self.journals.contains_key(peer) {
            let path = log_of(&self.cluster, peer);
            let journal = Journal::open(path.clone()).hint(
                format!("The file `{}` cannot be written.", path.display()),
                "Make room, or allow it.",
            )?;
            self.journals.insert(peer.clone(), journal);
        }
        let (reads, writes) = std::io::pipe()?;
        let mut command = Command::new(&self.program);
        command
            .args([peer.role().to_string().as_str(), "--name", peer.name(), "--config"])
            .arg(&self.config)
            .env(PARENT, std::process::id().to_string())
            // A terminal's Ctrl-C is for us alone: they stop in an order.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(writes.try_clone()?)
            .stderr(writes);
        let child = command.spawn().hint(
            format!("`{peer}` cannot be started."),
            format!("Is `{}` there?", self.program.display()),
        )?;
        // The ends of the pipe that this process has must close, or it would never end.
        drop(command);
        if let Some(life) = Life::of(child.id()) {
            self.lives.insert(peer.clone(), life);
        }
        let (peer, told) = (peer.clone(), self.told.clone());
        std::thread::spawn(move || follow(peer, child, reads, &told));
        Ok(())
    }

    fn tell(&mut self, peer: &PeerName, wish: Wish) {
        if let Some(life) = self.lives.get(peer) {
            life.tell(wish);
        }
    }

    fn heard(&mut self, event: Event) {
        match event {
            Event::Line(peer, line) => {
                let time = now_text();
                if let Some(journal) = self.journals.get_mut(&peer)
                    && let Err(error) = journal.write(&format!("{time} {line}"))
                {
                    self.journals.remove(&peer);
                    self.say(Tone::Warning, format!("The log of `{peer}` is not kept: {error}"));
                }
                if !self.background {
                    self.terminal.data(&format!(
                        "{time} {:<width$} {line}",
                        peer.to_string(),
                        width = self.width
                    ));
                }
            }
            Event::Ended(peer, status) => {
                self.lives.remove(&peer);
                self.starting.remove(&peer);
                let well = status.as_ref().is_ok_and(ExitStatus::success);
                if !well {
                    self.say(Tone::Warning, format!("`{peer}` has ended: {}.", how(&status)));
                }
                self.handle(Input::Ended { peer, well });
            }
        }
    }

    fn asked(&mut self, asked: Asked) {
        let Asked { stop, names } = asked;
        let all: Vec<PeerName> = names.iter().filter_map(|name| name.parse().ok()).collect();
        for peer in all {
            self.handle(if stop { Input::Stop(peer) } else { Input::Start(peer) });
        }
    }

    fn signalled(&mut self) {
        let again = self.core.stops();
        if again {
            self.say(Tone::Warning, "Whoever still runs is killed.");
        } else {
            self.say(Tone::Plain, "All stop: gates, games, dispatchers.");
        }
        self.handle(if again { Input::Hurry } else { Input::StopAll });
    }

    /// Who of those that start is ready, and whether all are for the first time.
    fn look(&mut self, begun: &mut Option<Instant>) {
        let (cluster, lives) = (&self.cluster, &self.lives);
        self.starting.retain(|peer| {
            let note = living(&note_of(cluster, peer)).filter(|note| note.ready);
            note.is_none_or(|note| Some(&note.life) != lives.get(peer))
        });
        if !self.starting.is_empty() || self.core.stops() || self.core.next_wake_ms().is_some() {
            return;
        }
        if let Some(begun) = begun.take() {
            let running = self.core.running().count();
            let text = format!("All {running} processes run, after {}.", duration_words(begun.elapsed()));
            self.say(Tone::Good, text);
        }
    }

    fn say(&mut self, tone: Tone, text: impl Into<String>) {
        let notice = Notice::new(tone, text);
        // Who has no room for it has the terminal.
        let _ = self.own.write(&format!("{} {}", now_text(), crate::terminal::render(&notice, false)));
        self.terminal.notice(&notice);
    }
}

/// Brings what a child says to the supervisor, and at last how it ended.
fn follow(peer: PeerName, mut child: Child, from: std::io::PipeReader, told: &mpsc::Sender<Event>) {
    let mut from = BufReader::new(from);
    while let Ok(Some(line)) = next_line(&mut from) {
        if told.blocking_send(Event::Line(peer.clone(), line)).is_err() {
            break;
        }
    }
    let ended = child.wait();
    let _ = told.blocking_send(Event::Ended(peer, ended));
}

fn how(status: &std::io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => match nix::sys::signal::Signal::try_from(signal) {
                Ok(signal) => format!("killed by {signal}"),
                Err(_) => format!("killed by signal {signal}"),
            },
            (None, None) => "nobody knows how".to_owned(),
        },
        Err(error) => error.to_string(),
    }
}

/// The command that `start` runs in the background.
pub fn in_background(config: &Path, names: &[String]) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["up", "--background", "--config"]).arg(config).args(names);
    Ok(command)
}
