//! What every process of a cluster has: its folder, its life, its log, its signals.

use super::Which;
use super::config::{Cluster, file_name_of};
use crate::admin::desk::{self, Count, Desk, Drain};
use crate::dev::ports::{Protocol, holder};
use crate::failure::{HintExt as _, because, hinted};
use crate::ops::life::Life;
use crate::ops::place::{self, Note};
use crate::terminal::Terminal;
use everwake_dispatcher::driver::LinkBoard;
use everwake_link::{Identity, PeerName, Role};
use everwake_protocol::cluster::Incarnation;
use everwake_runtime::driver::entropy;
use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Variable of the environment with the pid of whoever looks after the process: it ends with that one, and
/// leaves time and name of what it says to it.
pub const PARENT: &str = "EVERWAKE_PARENT";
/// File that counts how often a process was started.
const STARTS: &str = "starts";
/// File with [`Process::lasting_secret`].
const SECRET: &str = "secret";

/// A process that has its folder.
pub struct Process {
    /// What it says of itself, and where.
    note: Note,
    note_file: PathBuf,
    started: Instant,
    /// This life of it.
    pub us: Identity,
    /// Its folder.
    pub folder: PathBuf,
    /// Drawn for this life.
    pub seed: [u8; 32],
    /// Nobody else has the folder while this is open.
    _lock: File,
}

/// A command that asks the process to stop.
pub struct Asked(UnboundedReceiver<()>);

impl Asked {
    /// Resolves when it comes, or when that other one does.
    pub async fn or(mut self, other: impl Future<Output = ()>) {
        tokio::select! {
            Some(()) = self.0.recv() => {}
            () = other => {}
        }
    }
}

/// Resolves when somebody wants this process to end: Ctrl-C, or SIGTERM.
pub type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Stopped,
    /// All others hold this life for dead.
    Outlived,
}

/// Runs a process of a cluster, from its folder to its last word.
pub fn run(
    role: Role,
    which: &Which,
    terminal: &Terminal,
    serve: impl AsyncFnOnce(&Cluster, &Process, Stop, &Terminal) -> anyhow::Result<Ended>,
) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::load(&which.config)?;
    let peer = PeerName::new(role, &which.name)?;
    end_with_parent()?;
    start_log(&cluster, &peer);
    let process = Process::begin(&cluster, peer.clone())?;
    let runtime = runtime_of(workers_of(&cluster, &peer))?;
    // Heard from the beginning on: who is still looking for the others ends in order, too.
    let ended = runtime.block_on(async { serve(&cluster, &process, stopped()?, terminal).await });
    runtime.shutdown_timeout(Duration::from_millis(100));
    match ended? {
        Ended::Stopped => {
            terminal.good(format!("`{peer}` has stopped."));
            Ok(ExitCode::SUCCESS)
        }
        Ended::Outlived => Err(hinted(
            format!("All others hold this life of `{peer}` for dead; it has stopped."),
            "Start it again: it begins a new life. It was not to be reached for a while, or another one has its name.",
        )),
    }
}

/// Threads of its runtime. Almost all that a process does is a chain of short steps, each of which waits for the one
/// before: over several threads every step would wake another one, which costs more than the step. The spaces of
/// a game have threads of their own.
fn workers_of(cluster: &Cluster, peer: &PeerName) -> usize {
    let gate = || cluster.gates.iter().find(|gate| gate.name == peer.name());
    match peer.role() {
        Role::Gate => gate().map_or(1, |gate| gate.workers),
        Role::Dispatcher | Role::Game => 1,
    }
}

fn runtime_of(workers: usize) -> std::io::Result<Runtime> {
    match workers {
        0 => Builder::new_multi_thread().enable_all().build(),
        1 => Builder::new_current_thread().enable_all().build(),
        some => Builder::new_multi_thread().worker_threads(some).enable_all().build(),
    }
}

/// A process that somebody looks after stops when that one is gone, however that comes.
fn end_with_parent() -> anyhow::Result<()> {
    let Ok(parent) = std::env::var(PARENT) else { return Ok(()) };
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM)?;
    // It may have ended before.
    match nix::unistd::getppid().to_string() == parent {
        true => Ok(()),
        false => Err(hinted(
            "Whoever started this process has ended.",
            format!("`{PARENT}` is for `everwake up` alone: unset it to start a process by hand."),
        )),
    }
}

impl Process {
    /// Takes the folder, and begins a new life.
    fn begin(cluster: &Cluster, peer: PeerName) -> anyhow::Result<Process> {
        if !cluster.processes()?.contains(&peer) {
            return Err(hinted(
                format!("The configuration knows no `{peer}`."),
                "Add it, or choose another `--name`: every process of a cluster has the same file.",
            ));
        }
        let folder = cluster.data.join(file_name_of(&peer));
        std::fs::create_dir_all(&folder).hint(
            format!("The folder `{}` cannot be made.", folder.display()),
            "Set `data` in the configuration to a folder that you may write to.",
        )?;
        let lock = lock(&folder, &peer)?;
        let seed = entropy::seed()
            .hint("The operating system gives no random bytes.", "Is `/dev/urandom` there?")?;
        let start = count_start(&folder).hint(
            format!("The file `{}` cannot be used.", folder.join(STARTS).display()),
            "It holds how often the process was started; with a smaller number others refuse it.",
        )?;
        let (random, _) = seed.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        let incarnation = Incarnation { start, random: u64::from_be_bytes(*random) };
        let life = Life::ours().unwrap_or_default();
        let note = Note { life, everwake: env!("CARGO_PKG_VERSION").to_owned(), ..Note::default() };
        let note_file = place::note_of(cluster, &peer);
        place::write(&note_file, &note)?;
        let us = Identity { peer, incarnation };
        Ok(Process { note, note_file, started: Instant::now(), us, folder, seed, _lock: lock })
    }

    /// Says to commands that it does what it is for now, and how it is reached.
    pub fn ready(&self, how: Note) -> anyhow::Result<()> {
        let Note { life, everwake, .. } = self.note.clone();
        place::write(&self.note_file, &Note { life, everwake, ready: true, ..how })
    }

    /// What it answers to commands.
    pub fn desk(&self, links: LinkBoard, stop: UnboundedSender<()>) -> Desk {
        Desk { us: self.us.clone(), started: self.started, links, clients: None, drain: None, stop }
    }

    /// Answers commands from now on, and says how it is reached; tells when one of them asks it to stop.
    pub async fn open(
        &self,
        links: LinkBoard,
        holds: Option<(Count, Drain)>,
        how: Note,
    ) -> anyhow::Result<Asked> {
        let (stop, asked) = unbounded_channel();
        let (clients, drain) = holds.unzip();
        let desk = Desk { clients, drain, ..self.desk(links, stop) };
        let (admin, token) = desk::open(Arc::new(desk)).await?;
        self.ready(Note { admin, token, ..how })?;
        Ok(Asked(asked))
    }

    /// Random bits that are no part of the life's name.
    pub fn secret(&self) -> [u8; 16] {
        self.seed.last_chunk::<16>().copied().unwrap_or_default()
    }

    /// Random bytes that stay the same over all lives of the process: drawn by the first one, and kept in its folder.
    pub fn lasting_secret(&self) -> anyhow::Result<[u8; 32]> {
        let kept = std::fs::read(self.folder.join(SECRET)).ok();
        if let Some(secret) = kept.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
            return Ok(secret);
        }
        let secret = entropy::seed()
            .hint("The operating system gives no random bytes.", "Is `/dev/urandom` there?")?;
        self.write_private(SECRET, secret)?;
        Ok(secret)
    }

    /// Writes something that only the owner of the folder reads.
    pub fn write_private(&self, name: &str, content: impl AsRef<[u8]>) -> anyhow::Result<PathBuf> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let file = self.folder.join(name);
        let _ = std::fs::remove_file(&file);
        let written = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&file)
            .and_then(|mut out| out.write_all(content.as_ref()));
        written
            .hint(format!("The file `{}` cannot be written.", file.display()), "Make room, or allow it.")?;
        Ok(file)
    }
}

fn lock(folder: &Path, peer: &PeerName) -> anyhow::Result<File> {
    let file = folder.join("lock");
    let lock = File::create(&file)
        .hint(format!("The file `{}` cannot be made.", file.display()), "Allow this user to write there.")?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(_) => Err(hinted(
            format!("`{peer}` runs already, with the folder `{}`.", folder.display()),
            "Stop it first, or choose another `--name`.",
        )),
    }
}

/// The number of this start: one more than the last one, on the disk before anybody hears it.
fn count_start(folder: &Path) -> anyhow::Result<u32> {
    let file = folder.join(STARTS);
    let last: u32 = match std::fs::read_to_string(&file) {
        Ok(text) => text.trim().parse()?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error.into()),
    };
    let next = last.saturating_add(1);
    let fresh = folder.join("starts.new");
    let mut out = File::create(&fresh)?;
    writeln!(out, "{next}")?;
    out.sync_all()?;
    std::fs::rename(&fresh, &file)?;
    File::open(folder)?.sync_all()?;
    Ok(next)
}

/// A port that cannot be used: who holds it, and which key chooses another one.
pub fn port_failed(
    error: std::io::Error,
    protocol: Protocol,
    port: u16,
    peer: &PeerName,
    key: &str,
) -> anyhow::Error {
    let other = format!("give `{peer}` another `{key}` in the configuration.");
    if error.kind() != std::io::ErrorKind::AddrInUse {
        let message = format!("The {} port `{port}` cannot be used.", protocol.name());
        return because(error, message, format!("Is the address one of this machine? If so, {other}"));
    }
    let (by, stop) = match holder(protocol, port) {
        Some((pid, command)) => {
            (format!("`{command}`, process `{pid}`"), format!("Stop it with `kill {pid}`, or "))
        }
        None => ("another user's process".to_owned(), "Stop it, or ".to_owned()),
    };
    let message = format!("The {} port `{port}` is taken by {by}.", protocol.name());
    because(error, message, format!("{stop}{other}"))
}

/// Log lines of everything in this process, with time and name unless somebody else writes these before them.
fn start_log(cluster: &Cluster, peer: &PeerName) {
    let filter = EnvFilter::try_from_env(crate::dev::logs::FILTER)
        .unwrap_or_else(|_| EnvFilter::new("info,quinn=warn,ureq=warn"));
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
    let format = Format::default().with_ansi(false);
    let _ = match std::env::var_os(PARENT) {
        Some(_) => log.event_format(format.without_time()).try_init(),
        None => {
            log.event_format(Named { name: format!("{} {peer}", cluster.name), inner: format }).try_init()
        }
    };
}

struct Named {
    name: String,
    inner: Format,
}

impl<S, N> FormatEvent<S, N> for Named
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, cx: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        write!(to, "{} ", self.name)?;
        self.inner.format_event(cx, to, event)
    }
}

fn stopped() -> std::io::Result<Stop> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(Box::pin(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_has_a_greater_number_and_a_folder_one_owner() {
        let folder = tempfile::tempdir().unwrap();
        let cluster = Cluster { data: folder.path().to_owned(), ..Cluster::default() };
        let peer: PeerName = "game/g-1".parse().unwrap();
        let first = Process::begin(&cluster, peer.clone()).unwrap();
        assert_eq!(first.us.incarnation.start, 1);
        let secret = first.lasting_secret().unwrap();
        let error = Process::begin(&cluster, peer.clone()).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("runs already"), "{error}");
        drop(first);
        let second = Process::begin(&cluster, peer).unwrap();
        assert_eq!((second.us.incarnation.start, second.lasting_secret().unwrap()), (2, secret));
        assert!(Process::begin(&cluster, "gate/x".parse().unwrap()).is_err());
    }
}
