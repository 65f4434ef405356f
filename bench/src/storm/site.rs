//! The processes of the storm: two of each role, started again half a second after they end, as `everwake up` does it.
//! One game reaches one dispatcher by a way that can be cut.

use super::gap::{Gap, Way};
use crate::cluster::everwake;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// From an end to the next start.
const REST: Duration = Duration::from_millis(500);
/// The process whose way to `CUT_TO` can be cut.
pub const CUT_FROM: &str = "g-1";
const CUT_TO: &str = "d-1";
const DISPATCHERS: [&str; 2] = ["d-1", "d-2"];
const GAMES: [&str; 2] = ["g-1", "g-2"];
const GATES: [&str; 2] = ["w-1", "w-2"];
/// File of all, and of the one whose way can be cut.
const FILE: &str = "cluster.toml";
const CUT_FILE: &str = "cluster-cut.toml";

/// All processes, until it is dropped.
pub struct Site {
    folder: PathBuf,
    processes: Vec<Process>,
    /// Where clients connect to.
    pub gates: Vec<SocketAddr>,
    gap: Gap,
}

struct Process {
    role: &'static str,
    name: &'static str,
    child: Option<Child>,
    starts_at: Option<Instant>,
    /// Lives that ended.
    ends: usize,
}

impl Site {
    /// Starts all, and waits until they are ready. Must be called inside of a tokio runtime.
    pub async fn start(components: &[PathBuf], patience: Duration) -> Result<Site> {
        let folder = crate::modules::root().join("target/storm");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(folder.join("logs"))?;
        let ports = Ports::free()?;
        fs::write(folder.join(FILE), ports.file(components, None))?;
        fs::write(folder.join(CUT_FILE), ports.file(components, Some(ports.gap)))?;
        let [first, ..] = ports.dispatchers;
        let gap = Gap::open(ports.gap, first);
        let gates = ports.gates.to_vec();
        let role = |role, names: [&'static str; 2]| names.map(|name| (role, name));
        let all = [role("dispatcher", DISPATCHERS), role("game", GAMES), role("gate", GATES)];
        let process = |(role, name)| Process { role, name, child: None, starts_at: None, ends: 0 };
        let processes = all.into_iter().flatten().map(process).collect();
        let mut site = Site { folder, processes, gates, gap };
        let until = Instant::now() + patience;
        for at in 0..site.processes.len() {
            site.begin(at)?;
        }
        while !site.are_ready() {
            site.look_after()?;
            if Instant::now() > until || site.ends() > 0 {
                bail!("the processes do not start: see `{}`", site.logs().display());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(site)
    }

    /// Starts again who has ended; call it often.
    pub fn look_after(&mut self) -> Result<()> {
        for at in 0..self.processes.len() {
            let Some(process) = self.processes.get_mut(at) else { continue };
            if let Some(child) = &mut process.child
                && child.try_wait()?.is_some()
            {
                process.child = None;
                process.ends += 1;
                process.starts_at = Some(Instant::now() + REST);
            }
            if process.starts_at.is_some_and(|time| time <= Instant::now()) {
                process.starts_at = None;
                self.begin(at)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, at: usize) -> Result<()> {
        let Some(process) = self.processes.get_mut(at) else { return Ok(()) };
        let log = self.folder.join("logs").join(format!("{}.log", process.name));
        let log = File::options().create(true).append(true).open(log)?;
        let file = if process.name == CUT_FROM { CUT_FILE } else { FILE };
        let mut command = everwake()?;
        command
            .args([process.role, "--config", file, "--name", process.name])
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        // SAFETY: between fork and exec there is one call that touches no memory of ours.
        unsafe { command.pre_exec(end_with_us) };
        process.child = Some(command.spawn()?);
        Ok(())
    }

    /// Ends a process at once.
    pub fn kill(&mut self, name: &str) -> Result<()> {
        let process = self.named(name)?;
        process.child.as_mut().with_context(|| format!("`{name}` does not run"))?.kill()?;
        Ok(())
    }

    /// Holds a process, or lets it go on.
    pub fn hold(&mut self, name: &str, hold: bool) -> Result<()> {
        let process = self.named(name)?;
        // One that has ended meanwhile need not go on.
        let Some(child) = &process.child else { return Ok(()) };
        let signal = if hold { libc::SIGSTOP } else { libc::SIGCONT };
        // SAFETY: sends a signal to a child that was not waited for, so the number is its own.
        let told = unsafe { libc::kill(libc::pid_t::try_from(child.id())?, signal) };
        anyhow::ensure!(told == 0, "`{name}` takes no signal");
        Ok(())
    }

    /// What becomes of the way that can be cut.
    pub fn way(&self, way: Way) {
        self.gap.set(way);
    }

    fn named(&mut self, name: &str) -> Result<&mut Process> {
        self.processes.iter_mut().find(|it| it.name == name).with_context(|| format!("no `{name}`"))
    }

    /// Whether all do what they are for.
    pub fn are_ready(&self) -> bool {
        self.processes.iter().all(|it| it.is_ready(&self.folder))
    }

    /// How many lives ended so far.
    pub fn ends(&self) -> usize {
        self.processes.iter().map(|it| it.ends).sum()
    }

    /// How many lives of each ended so far, by name.
    pub fn ends_by_name(&self) -> Vec<(&'static str, usize)> {
        self.processes.iter().map(|it| (it.name, it.ends)).collect()
    }

    /// What the processes say.
    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// The folder with the file of the cluster.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Process {
    /// By what it says of itself on the disk.
    fn is_ready(&self, folder: &Path) -> bool {
        let Some(child) = &self.child else { return false };
        let note = folder.join(format!("everwake-data/{}-{}/process.json", self.role, self.name));
        let Ok(text) = fs::read_to_string(note) else { return false };
        let Ok(note) = serde_json::from_str::<Value>(&text) else { return false };
        note.pointer("/life/pid") == Some(&child.id().into()) && note.get("ready") == Some(&true.into())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for process in &mut self.processes {
            if let Some(child) = &mut process.child {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

/// A storm that is interrupted leaves nobody behind.
fn end_with_us() -> std::io::Result<()> {
    // SAFETY: asks something of the system, touches no memory.
    match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Publishes a file at the first game that takes it. Errors are for people; what is tried takes no longer than `patience`.
pub fn publish(folder: &Path, file: &Path, patience: Duration) -> Result<()> {
    let mut why = String::new();
    for game in GAMES {
        let mut child = everwake()?
            .args(["publish", "--config", FILE, "--game", game, "--supersede", "--irreversible", "--json"])
            .arg(file)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let until = Instant::now() + patience;
        while child.try_wait()?.is_none() {
            if Instant::now() > until {
                child.kill()?;
                break;
            }
            crate::report::pause(Duration::from_millis(20));
        }
        let output = child.wait_with_output()?;
        if output.status.success() {
            return Ok(());
        }
        let said =
            [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned()).concat();
        let _ = write!(why, "{game}: {} {said} ", output.status);
    }
    bail!(why)
}

/// Ports that were free a moment ago; one that was taken since is told by its process.
struct Ports {
    dispatchers: [SocketAddr; 2],
    gap: SocketAddr,
    gates: [SocketAddr; 2],
}

impl Ports {
    fn free() -> Result<Ports> {
        // Held until all are known, so that no two are the same.
        let tcp: Vec<TcpListener> =
            (0..3).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<std::io::Result<_>>()?;
        let udp: Vec<UdpSocket> =
            (0..2).map(|_| UdpSocket::bind("127.0.0.1:0")).collect::<std::io::Result<_>>()?;
        let tcp: Vec<SocketAddr> = tcp.iter().map(TcpListener::local_addr).collect::<std::io::Result<_>>()?;
        let udp: Vec<SocketAddr> = udp.iter().map(UdpSocket::local_addr).collect::<std::io::Result<_>>()?;
        match (tcp.as_slice(), udp.as_slice()) {
            ([a, b, gap], [c, d]) => Ok(Ports { dispatchers: [*a, *b], gap: *gap, gates: [*c, *d] }),
            _ => bail!("no ports"),
        }
    }

    /// The file of the cluster; `gap` stands for the way to the dispatcher that can be cut.
    fn file(&self, components: &[PathBuf], gap: Option<SocketAddr>) -> String {
        let mut text = String::new();
        for (name, listen) in DISPATCHERS.iter().zip(self.dispatchers) {
            let address = gap.filter(|_| *name == CUT_TO).unwrap_or(listen);
            let _ = writeln!(
                text,
                "[[dispatchers]]\nname = \"{name}\"\nlisten = \"{listen}\"\naddress = \"{address}\""
            );
        }
        for name in GAMES {
            let _ = writeln!(
                text,
                "[[games]]\nname = \"{name}\"\nadmin_port = 0\nmodules = {components:?}\nlabels = [\"{name}\"]\nworkers = 1"
            );
        }
        for (name, listen) in GATES.iter().zip(self.gates) {
            let _ = writeln!(
                text,
                "[[gates]]\nname = \"{name}\"\nlisten = \"{listen}\"\nclients_per_address = 9000"
            );
        }
        text
    }
}
