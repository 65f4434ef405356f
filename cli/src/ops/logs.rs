//! `everwake logs`

use super::journal::{ASIDE_MAX, aside};
use super::place::{log_of, logs_of};
use super::up::OWN_LOG;
use super::{Described, meant, wait};
use crate::cluster::config::Cluster;
use crate::failure::hinted;
use crate::terminal::Terminal;
use clap::Args;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Shows what processes of a cluster on this host have said.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Of processes that `everwake up` or `everwake start` looks after: what they say is kept in \
`logs` of the data folder, five files of 16 MiB for each at most. `everwake` is whoever looks after them.

Examples:
  everwake logs
  everwake logs g-1 --lines 200
  everwake logs g-1 w-1 --follow"
)]
pub struct LogsCommand {
    /// Only of these processes.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub described: Described,
    /// How many lines of each.
    #[arg(long, short = 'n', default_value_t = 50)]
    pub lines: usize,
    /// Goes on with what they say from now on.
    #[arg(long, short)]
    pub follow: bool,
}

/// Shows.
pub fn run(command: &LogsCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::load(&command.described.config)?;
    let mut tails = tails_of(&cluster, &command.names)?;
    let any = tails.iter().any(|tail| tail.path.exists());
    if !any && !command.follow {
        return Err(hinted(
            format!("There are no logs in `{}`.", logs_of(&cluster).display()),
            "They are kept of processes that `everwake start` or `everwake up` looks after.",
        ));
    }
    let width = tails.iter().map(|tail| tail.name.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for tail in &mut tails {
        lines.extend(last(&tail.path, command.lines).into_iter().map(|line| (line, tail.name.clone())));
        tail.skip();
    }
    show(lines, width, terminal);
    if !command.follow {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        let mut lines = Vec::new();
        for tail in &mut tails {
            lines.extend(tail.more().into_iter().map(|line| (line, tail.name.clone())));
        }
        show(lines, width, terminal);
        wait::pause();
    }
}

fn tails_of(cluster: &Cluster, names: &[String]) -> anyhow::Result<Vec<Tail>> {
    let own = names.is_empty() || names.iter().any(|name| name == OWN_LOG);
    let others: Vec<String> = names.iter().filter(|name| *name != OWN_LOG).cloned().collect();
    let peers =
        if own && !names.is_empty() && others.is_empty() { Vec::new() } else { meant(cluster, &others)? };
    let mut tails: Vec<Tail> =
        peers.iter().map(|peer| Tail::new(peer.to_string(), log_of(cluster, peer))).collect();
    if own {
        tails.push(Tail::new(OWN_LOG.to_owned(), logs_of(cluster).join(format!("{OWN_LOG}.log"))));
    }
    Ok(tails)
}

/// Lines of several processes by their times; a line that is no log line stays behind the one before it.
fn show(mut lines: Vec<(String, String)>, width: usize, terminal: &Terminal) {
    let time = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    lines.sort_by_key(|(line, _)| time(line));
    for (line, name) in lines {
        let (time, text) = line.split_once(' ').unwrap_or((&line, ""));
        terminal.data(&format!("{time} {name:<width$} {text}"));
    }
}

/// The last lines of a log file, and of those that were put aside.
fn last(path: &Path, most: usize) -> Vec<String> {
    let mut lines = VecDeque::new();
    let mut files = vec![path.to_owned()];
    files.extend((1..=ASIDE_MAX).map(|number| aside(path, number)));
    for file in files {
        let Ok(file) = File::open(file) else { break };
        let mut here = VecDeque::new();
        for line in BufReader::new(file).split(b'\n').map_while(Result::ok) {
            here.push_back(String::from_utf8_lossy(&line).into_owned());
            if here.len() > most {
                here.pop_front();
            }
        }
        while lines.len() < most
            && let Some(line) = here.pop_back()
        {
            lines.push_front(line);
        }
        if lines.len() >= most {
            break;
        }
    }
    lines.into()
}

/// A log file that is read while it is written.
struct Tail {
    name: String,
    path: PathBuf,
    file: Option<(File, u64)>,
    /// The beginning of a line whose end is not written.
    rest: Vec<u8>,
}

impl Tail {
    fn new(name: String, path: PathBuf) -> Tail {
        Tail { name, path, file: None, rest: Vec::new() }
    }

    fn open(&mut self) {
        self.file = File::open(&self.path).ok().and_then(|file| {
            let number = file.metadata().ok()?.ino();
            Some((file, number))
        });
    }

    fn skip(&mut self) {
        use std::io::Seek as _;
        self.open();
        if let Some((file, _)) = &mut self.file {
            let _ = file.seek(std::io::SeekFrom::End(0));
        }
    }

    fn more(&mut self) -> Vec<String> {
        let mut lines = self.read();
        let number = std::fs::metadata(&self.path).ok().map(|it| it.ino());
        let ours = self.file.as_ref().map(|(_, number)| *number);
        if number.is_some() && number != ours {
            // Put aside meanwhile: what is left of it comes first.
            lines.extend(self.read());
            self.open();
            lines.extend(self.read());
        }
        lines
    }

    fn read(&mut self) -> Vec<String> {
        let Some((file, _)) = &mut self.file else { return Vec::new() };
        let _ = file.read_to_end(&mut self.rest);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let behind = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, behind);
        String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::journal::Journal;
    use super::*;
    use std::io::Write as _;

    #[test]
    fn the_last_lines_reach_into_files_that_were_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        std::fs::write(aside(&path, 2), "1\n2\n").unwrap();
        std::fs::write(aside(&path, 1), "3\n4\n").unwrap();
        std::fs::write(&path, "5\n6\n").unwrap();
        assert_eq!(last(&path, 1), ["6"]);
        assert_eq!(last(&path, 3), ["4", "5", "6"]);
        assert_eq!(last(&path, 100).len(), 6);
        assert_eq!(last(&path, 0).len(), 0);
    }

    #[test]
    fn who_follows_sees_each_line_once_also_over_the_end_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let mut tail = Tail::new("a".into(), path.clone());
        assert!(tail.more().is_empty());
        Journal::open(path.clone()).unwrap().write("one").unwrap();
        assert_eq!(tail.more(), ["one"]);
        let mut out = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        out.write_all(b"tw").unwrap();
        assert!(tail.more().is_empty());
        out.write_all(b"o\nthree\n").unwrap();
        std::fs::rename(&path, aside(&path, 1)).unwrap();
        std::fs::write(&path, "four\n").unwrap();
        assert_eq!(tail.more(), ["two", "three", "four"]);
        assert!(tail.more().is_empty());
    }
}
