//! The log file of a process: each line with its time, and a bound on all of them.
//!
//! A file that is full is put aside as `.log.1`, the one before as `.log.2`, and so on; the oldest goes.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Write as _};
use std::path::{Path, PathBuf};

/// Bytes in a log file before a new one begins.
pub const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Files of a process that are put aside.
pub const ASIDE_MAX: usize = 4;
/// Longest line; what is more is left out. Stops a process that writes no line feed from filling memory.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// A log file that is written.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
    most: u64,
}

impl Journal {
    /// Goes on with a file, or begins one.
    pub fn open(path: PathBuf) -> io::Result<Journal> {
        Journal::bounded(path, FILE_BYTES_MAX)
    }

    fn bounded(path: PathBuf, most: u64) -> io::Result<Journal> {
        let file = OpenOptions::new().append(true).create(true).open(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Journal { path, file, bytes, most })
    }

    /// Writes a line.
    pub fn write(&mut self, line: &str) -> io::Result<()> {
        let length = line.len() as u64 + 1;
        if self.bytes > 0 && self.bytes.saturating_add(length) > self.most {
            self.put_aside()?;
        }
        self.bytes = self.bytes.saturating_add(length);
        self.file.write_all(format!("{line}\n").as_bytes())
    }

    fn put_aside(&mut self) -> io::Result<()> {
        for number in (1..ASIDE_MAX).rev() {
            let from = aside(&self.path, number);
            if from.exists() {
                std::fs::rename(from, aside(&self.path, number + 1))?;
            }
        }
        std::fs::rename(&self.path, aside(&self.path, 1))?;
        *self = Journal::bounded(self.path.clone(), self.most)?;
        Ok(())
    }
}

/// Name of a file that was put aside: 1 is the newest.
pub fn aside(path: &Path, number: usize) -> PathBuf {
    path.with_extension(format!("log.{number}"))
}

/// The next line of a process, without its end and cut to what is kept; none at its end.
pub fn next_line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let (mut line, mut any) = (Vec::new(), false);
    loop {
        let held = from.fill_buf()?;
        if held.is_empty() {
            return Ok(any.then(|| text_of(&line)));
        }
        any = true;
        let end = held.iter().position(|byte| *byte == b'\n');
        let part = held.get(..end.unwrap_or(held.len())).unwrap_or_default();
        let room = LINE_BYTES_MAX.saturating_sub(line.len()).min(part.len());
        line.extend_from_slice(part.get(..room).unwrap_or_default());
        let taken = part.len() + usize::from(end.is_some());
        from.consume(taken);
        if end.is_some() {
            return Ok(Some(text_of(&line)));
        }
    }
}

fn text_of(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end_matches('\r').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_put_aside_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("game-a.log");
        let mut journal = Journal::bounded(path.clone(), 10).unwrap();
        for number in 0..13 {
            journal.write(&format!("line{number}")).unwrap();
            if number == 6 {
                // Another one goes on where the first one stopped.
                journal = Journal::bounded(path.clone(), 10).unwrap();
            }
        }
        let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
        assert_eq!(read(path.clone()), "line12\n");
        let kept: Vec<String> = (1..=ASIDE_MAX).map(|number| read(aside(&path, number))).collect();
        assert_eq!(kept, ["line11\n", "line10\n", "line9\n", "line8\n"]);
        assert!(!aside(&path, ASIDE_MAX + 1).exists());
        journal.write("x".repeat(100).as_str()).unwrap();
        assert_eq!(read(path).len(), 101, "a line is never divided");
    }

    #[test]
    fn lines_are_cut_to_a_bound_and_nothing_of_the_next_is_lost() {
        let long = "é".repeat(LINE_BYTES_MAX);
        let text = format!("one\r\n\n{long}\nlast");
        let mut from = io::BufReader::with_capacity(7, text.as_bytes());
        let mut next = || next_line(&mut from).unwrap();
        assert_eq!((next().unwrap(), next().unwrap()), ("one".to_owned(), String::new()));
        assert!(next().unwrap().len() <= LINE_BYTES_MAX);
        assert_eq!((next().unwrap(), next()), ("last".to_owned(), None));
    }
}
