//! A folder with the source of the chat, and processes whose lines are waited for.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How long a line may take on the slowest of machines.
const PATIENCE: Duration = Duration::from_secs(180);

/// One project at a time: all builds share a target folder and the project's place, so that only the
/// chat itself is compiled again.
pub(crate) struct Desk {
    dir: PathBuf,
    _alone: File,
}

impl Desk {
    /// With the sample as it is.
    pub(crate) fn new() -> Desk {
        let room = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let alone = File::create(room.join("running.lock")).unwrap();
        alone.lock().unwrap();
        let desk = Desk { dir: room.join("running"), _alone: alone };
        if desk.dir.exists() {
            fs::remove_dir_all(&desk.dir).unwrap();
        }
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
        let sample = checkout.join("samples/chat");
        fs::create_dir_all(desk.dir.join("src")).unwrap();
        for file in fs::read_dir(sample.join("src")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), desk.dir.join("src").join(file.file_name())).unwrap();
        }
        fs::copy(checkout.join("Cargo.lock"), desk.dir.join("Cargo.lock")).unwrap();
        let manifest = fs::read_to_string(sample.join("Cargo.toml")).unwrap();
        desk.write("Cargo.toml", &outside_of_the_workspace(&manifest, &checkout));
        // A busy machine must not end a probation before its crashes.
        desk.write("everwake.toml", "[limits]\nprobation_ms = 600000\n");
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Saves a file with each of these texts replaced.
    #[track_caller]
    pub(crate) fn edit(&self, name: &str, changes: &[(&str, &str)]) {
        let mut text = fs::read_to_string(self.path(name)).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "`{name}` does not say `{from}`");
            text = text.replace(from, to);
        }
        self.write(name, &text);
    }

    fn command(&self, args: &[&str]) -> Command {
        self.command_in("", args)
    }

    fn command_in(&self, folder: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_everwake"));
        command.args(args).current_dir(self.path(folder));
        command.env_remove("EVERWAKE_ADMIN").env_remove("EVERWAKE_GATE").env_remove("EVERWAKE_LOG");
        command.env_remove("EVERWAKE_CLUSTER");
        command.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests"));
        command
    }

    /// Runs a command to its end: exit code, and everything that it said.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> (i32, String) {
        self.run_with(args, "")
    }

    /// The same with something typed.
    #[track_caller]
    pub(crate) fn run_with(&self, args: &[&str], typed: &str) -> (i32, String) {
        to_the_end(self.command(args), typed)
    }

    /// The same in a folder of the project's.
    #[track_caller]
    pub(crate) fn run_in(&self, folder: &str, args: &[&str]) -> (i32, String) {
        to_the_end(self.command_in(folder, args), "")
    }

    /// The same, which must end well.
    #[track_caller]
    pub(crate) fn good(&self, args: &[&str]) -> String {
        let (code, said) = self.run(args);
        assert_eq!(code, 0, "{args:?}: {said}");
        said
    }

    /// Starts a command that goes on.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        Running::new(self.command(args))
    }

    /// Starts `dev`, and waits until clients may come.
    #[track_caller]
    pub(crate) fn dev(&self, args: &[&str]) -> Running {
        let mut dev = self.start(&[&["dev", "--port", "0", "--admin-port", "0"], args].concat());
        dev.until("Clients connect to");
        dev
    }
}

#[track_caller]
fn to_the_end(mut command: Command, typed: &str) -> (i32, String) {
    let mut child = spawn(&mut command);
    // Who does not read what is typed may have ended already.
    let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let said = [stdout, stderr].map(|it| String::from_utf8(it).unwrap()).concat();
    (status.code().unwrap(), said)
}

fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The sample's manifest without what it takes from the workspace.
fn outside_of_the_workspace(manifest: &str, checkout: &Path) -> String {
    let own = |line: &str| match line.split_once(".workspace") {
        None => line.to_owned(),
        Some(("edition", _)) => "edition = \"2024\"".to_owned(),
        Some(("everwake", _)) => format!("everwake = {{ path = {:?} }}", checkout.join("guest-sdk/rust")),
        Some(_) => String::new(),
    };
    let lines: Vec<String> = manifest.lines().map(own).collect();
    format!("{}\n[workspace]\n", lines.join("\n"))
        .replace("[features]", "[features]\ndefault = [\"trouble\"]")
}

/// A process that goes on, and its lines.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    heard: Vec<String>,
}

impl Running {
    fn new(mut command: Command) -> Running {
        let mut child = spawn(&mut command);
        let (told, lines) = channel();
        read(child.stdout.take().unwrap(), told.clone());
        read(child.stderr.take().unwrap(), told);
        Running { child, lines, heard: Vec::new() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that contains this.
    #[track_caller]
    pub(crate) fn until(&mut self, part: &str) -> String {
        self.until_one_of(&[part]).1
    }

    /// Waits for a line that contains one of these; which, and the line.
    #[track_caller]
    fn until_one_of(&mut self, parts: &[&str]) -> (usize, String) {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.heard.push(line.clone());
                    if let Some(which) = parts.iter().position(|part| line.contains(part)) {
                        return (which, line);
                    }
                }
                Err(why) => {
                    let ended = if why == RecvTimeoutError::Disconnected { " and ended" } else { "" };
                    panic!("never said {parts:?}{ended}:\n{}", self.heard.join("\n"))
                }
            }
        }
    }

    /// Types a line.
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Types a line, and waits for what follows.
    #[track_caller]
    pub(crate) fn ask(&mut self, line: &str, part: &str) -> String {
        self.say(line);
        self.until(part)
    }

    /// Types a line, and waits for all that follows, in any order.
    #[track_caller]
    pub(crate) fn ask_all(&mut self, line: &str, parts: &[&str]) {
        self.say(line);
        let mut left = parts.to_vec();
        while !left.is_empty() {
            let (which, _) = self.until_one_of(&left);
            left.remove(which);
        }
    }

    /// Presses Ctrl-C, and waits for the end: exit code, and what was said until then.
    #[track_caller]
    pub(crate) fn interrupt(&mut self) -> (i32, String) {
        let told = Command::new("kill").args(["-INT", &self.id().to_string()]).status().unwrap();
        assert!(told.success());
        self.end()
    }

    /// Ends it at once, without a chance to say anything; what it held is free afterwards.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end: exit code, and what was said until then.
    #[track_caller]
    pub(crate) fn end(&mut self) -> (i32, String) {
        drop(self.child.stdin.take());
        self.ends_within(PATIENCE)
    }

    /// The same without an end of what is typed, and no longer than this.
    #[track_caller]
    pub(crate) fn ends_within(&mut self, patience: Duration) -> (i32, String) {
        let until = Instant::now() + patience;
        let mut said: Vec<String> = Vec::new();
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => said.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("does not end:\n{}", said.join("\n")),
            }
        }
        let status: ExitStatus = self.child.wait().unwrap();
        (status.code().unwrap_or(-1), said.join("\n"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already, if the test was good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(from: impl Read + Send + 'static, told: Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if told.send(line).is_err() {
                return;
            }
        }
    });
}
