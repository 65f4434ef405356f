//! A server in a process of its own: this program again. Its CPU time and memory are its own, so
//! what clients cost in this process is not counted to it.

use crate::report::pause;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A server that runs until it is dropped.
pub struct Server {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    pub address: SocketAddr,
}

impl Server {
    /// A game with its gate that plays a component.
    pub fn game(component: &Path) -> Result<Server> {
        Server::start(Command::new(std::env::current_exe()?).arg("--serve").arg(component))
    }

    /// What sends back everything that it gets.
    pub fn echo() -> Result<Server> {
        Server::start(Command::new(std::env::current_exe()?).arg("--serve"))
    }

    /// What sends everything that it gets to everybody.
    pub fn fan_out() -> Result<Server> {
        Server::start(Command::new(std::env::current_exe()?).arg("--fan-out"))
    }

    fn start(command: &mut Command) -> Result<Server> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let to = child.stdin.take();
        let from = BufReader::new(child.stdout.take().context("no output")?);
        let mut server = Server { child, to, from, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let address = server.hear()?;
        server.address = address.as_str().with_context(|| format!("no address: {address}"))?.parse()?;
        Ok(server)
    }

    /// Tells it something, and waits for the answer.
    pub fn ask(&mut self, line: &str) -> Result<Value> {
        let to = self.to.as_mut().context("the server was stopped")?;
        writeln!(to, "{line}")?;
        to.flush()?;
        let answer = self.hear()?;
        match answer.get("error") {
            Some(error) => bail!("`{line}`: {error}"),
            None => Ok(answer),
        }
    }

    fn hear(&mut self) -> Result<Value> {
        let mut line = String::new();
        ensure!(self.from.read_line(&mut line)? > 0, "the server died");
        Ok(serde_json::from_str(&line)?)
    }

    /// CPU time that it has used, all threads.
    pub fn cpu(&self) -> Result<Duration> {
        cpu_of(self.child.id())
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id()))?;
        let pages = text.split_whitespace().nth(1).and_then(|it| it.parse::<f64>().ok());
        Ok(pages.context("a strange `statm`")? * 4096.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends with its input, or it is ended.
        drop(self.to.take());
        for _ in 0..50 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            pause(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server's side: one line of JSON.
#[expect(clippy::print_stdout, reason = "its output is how a server speaks")]
pub fn say(value: &Value) {
    println!("{value}");
}

/// CPU time that a process has used, all threads.
pub fn cpu_of(process: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name before may hold anything; the numbers behind it do not.
    let (_, numbers) = stat.rsplit_once(')').context("a strange `stat`")?;
    let field = |at: usize| numbers.split_whitespace().nth(at).and_then(|it| it.parse::<u64>().ok());
    let (user, system) = (field(11).context("no user time")?, field(12).context("no system time")?);
    // SAFETY: asks for a number of the system, touches no memory.
    let per_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100).max(1);
    Ok(Duration::from_nanos((user + system) * (1_000_000_000 / per_second)))
}
