//! A cluster of real processes on loopback: the `everwake` beside this program, with one file. CPU time is each
//! process's own.

use crate::child;
use crate::report::pause;
use anyhow::{Context, Result, anyhow, bail, ensure};
use everwake_protocol::EntityId;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// How long a process may take to say that it runs: it compiles.
const PATIENCE: Duration = Duration::from_secs(120);

/// Processes that run until it is dropped.
pub struct Cluster {
    folder: PathBuf,
    dispatcher: Process,
    games: Vec<Process>,
    gate: Process,
    /// Where clients connect to.
    pub address: SocketAddr,
    /// Of each game.
    pub operators: Vec<Operator>,
}

/// Somebody with the address and the token of a game's admin API, which reaches what lives in this game.
pub struct Operator {
    admin: String,
    token: String,
}

struct Process {
    child: Child,
    lines: Receiver<String>,
}

/// CPU time of each role.
pub struct Spent {
    pub dispatcher: Duration,
    pub games: Duration,
    pub gate: Duration,
}

impl Cluster {
    /// A dispatcher, a gate, and so many games that play a component with so many threads each.
    pub fn start(component: &Path, games: usize, workers: usize) -> Result<Cluster> {
        let folder = crate::modules::root().join(format!("target/bench-cluster-{}", std::process::id()));
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("cluster.toml"), file(component, games, workers)?)?;
        let dispatcher = Process::start(&folder, "dispatcher", "d-1")?;
        let names: Vec<String> = (1..=games).map(|number| format!("g-{number}")).collect();
        let games =
            names.iter().map(|name| Process::start(&folder, "game", name)).collect::<Result<Vec<_>>>()?;
        let gate = Process::start(&folder, "gate", "w-1")?;
        let line = gate.until("its certificate is")?;
        let address = quoted(&line, 1)?.parse()?;
        let mut operators = Vec::new();
        for game in &games {
            let line = game.until("its admin API is at")?;
            let token = std::fs::read_to_string(folder.join(quoted(&line, 2)?))?;
            operators.push(Operator { admin: quoted(&line, 1)?.to_owned(), token });
        }
        Ok(Cluster { folder, dispatcher, games, gate, address, operators })
    }

    /// CPU time that each has used, all threads.
    pub fn cpu(&self) -> Result<Spent> {
        let games: Result<Vec<Duration>> = self.games.iter().map(Process::cpu).collect();
        Ok(Spent {
            dispatcher: self.dispatcher.cpu()?,
            games: games?.into_iter().sum(),
            gate: self.gate.cpu()?,
        })
    }
}

impl Operator {
    /// Calls a method, wherever the entity is.
    pub fn operate(&self, entity: EntityId, method: &str, args: &[u32]) -> Result<Value> {
        let Operator { admin, token } = self;
        let args: Vec<String> = args.iter().map(u32::to_string).collect();
        let output = everwake()?
            .args(["call", "--json", "--admin", admin, "--token", token, &entity.to_string(), method])
            .args(args)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "`{method}`: {said}");
        let answer: Value = serde_json::from_slice(&output.stdout)?;
        answer.get("value").cloned().with_context(|| format!("`{method}` answers {answer}"))
    }
}

/// Makes a field in some game, and waits until all its avatars are there. Who operates it, and its id.
pub fn open_field(operators: &[Operator], population: u32) -> Result<(&Operator, EntityId)> {
    let warden = everwake_runtime::message::service_shard("bench", "Warden", 0);
    let (_, field) = wherever(operators, warden, "open", population)?;
    let text = field.as_str().with_context(|| format!("no field: {field}"))?;
    let field = EntityId(text.parse().map_err(|_| anyhow!("`{text}` is no id"))?);
    let until = Instant::now() + PATIENCE;
    loop {
        let (operator, there) = wherever(operators, field, "population", None)?;
        if there == json!(population) {
            return Ok((operator, field));
        }
        ensure!(Instant::now() < until, "the field does not fill");
        pause(Duration::from_millis(20));
    }
}

/// Calls a method of an entity that some game has, or will have soon.
fn wherever<'a>(
    operators: &'a [Operator],
    entity: EntityId,
    method: &str,
    arg: impl Into<Option<u32>>,
) -> Result<(&'a Operator, Value)> {
    let (args, until) = (Vec::from_iter(arg.into()), Instant::now() + PATIENCE);
    loop {
        let mut last = None;
        for operator in operators {
            match operator.operate(entity, method, &args) {
                Ok(value) => return Ok((operator, value)),
                Err(error) => last = Some(error),
            }
        }
        if Instant::now() >= until {
            return Err(last.unwrap_or_else(|| anyhow!("no games")));
        }
        pause(Duration::from_millis(50));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A folder that stays is in the way of nobody.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn file(component: &Path, games: usize, workers: usize) -> Result<String> {
    // Free a moment ago; a port that was taken since is told by the process.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut text = format!("[[dispatchers]]\nlisten = \"127.0.0.1:{port}\"\n");
    for number in 1..=games {
        text.push_str(&format!(
            "[[games]]\nname = \"g-{number}\"\nadmin_port = 0\nmodules = [{component:?}]\nworkers = {workers}\n"
        ));
    }
    text.push_str("[[gates]]\nlisten = \"127.0.0.1:0\"\nclients_per_address = 9000\n");
    Ok(text)
}

/// The program that was built with this one.
pub fn everwake() -> Result<Command> {
    let path = std::env::current_exe()?.with_file_name("everwake");
    ensure!(
        path.exists(),
        "there is no `{}`\nhint: build it with the same profile: `cargo build --release --bins`",
        path.display()
    );
    let mut command = Command::new(path);
    command.env_remove("EVERWAKE_ADMIN").env_remove("EVERWAKE_TOKEN");
    Ok(command)
}

/// What stands between the backticks of a line, counted from 0.
fn quoted(line: &str, place: usize) -> Result<&str> {
    line.split('`').nth(2 * place + 1).with_context(|| format!("`{line}` says less than it did"))
}

impl Process {
    fn start(folder: &Path, role: &str, name: &str) -> Result<Process> {
        let mut child = everwake()?
            .args([role, "--config", "cluster.toml", "--name", name])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (told, lines) = channel();
        follow(child.stdout.take(), told.clone());
        follow(child.stderr.take(), told);
        Ok(Process { child, lines })
    }

    /// Waits for a line that contains this.
    fn until(&self, part: &str) -> Result<String> {
        let mut heard = String::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            if line.contains(part) {
                return Ok(line);
            }
            heard.push_str(&line);
            heard.push('\n');
        }
        bail!("a process never said `{part}`:\n{heard}")
    }

    fn cpu(&self) -> Result<Duration> {
        child::cpu_of(self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn follow(from: Option<impl Read + Send + 'static>, told: Sender<String>) {
    let Some(from) = from else { return };
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            // Whoever does not listen any more still lets it speak.
            let _ = told.send(line);
        }
    });
}
