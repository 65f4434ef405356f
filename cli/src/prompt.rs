//! Lines that people type while other lines are printed above: a thread with the editor, a channel
//! with what was typed, a printer that does not tear the line that is being typed.

use rustyline::{DefaultEditor, ExternalPrinter};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Lines of history that are kept.
const HISTORY_LINES_MAX: usize = 500;

/// What was typed, and a place to print.
pub struct Prompt {
    lines: UnboundedReceiver<String>,
    printer: Option<Box<dyn ExternalPrinter + Send>>,
}

impl Prompt {
    /// Starts to read. `history` is a file that is read now and written at the end.
    pub fn open(prompt: &str, history: Option<PathBuf>) -> anyhow::Result<Prompt> {
        let mut editor = DefaultEditor::new()?;
        for line in history.iter().flat_map(|file| read_history(file)) {
            editor.add_history_entry(line)?;
        }
        let printer =
            editor.create_external_printer().ok().map(|it| Box::new(it) as Box<dyn ExternalPrinter + Send>);
        let (typed, lines) = unbounded_channel();
        let prompt = prompt.to_owned();
        std::thread::Builder::new().name("prompt".to_owned()).spawn(move || {
            let mut fresh = Vec::new();
            // Ctrl-C and Ctrl-D end it; so does a pipe that is empty.
            while let Ok(line) = editor.readline(&prompt) {
                if !line.trim().is_empty() {
                    let _ = editor.add_history_entry(&line);
                    fresh.push(line.clone());
                }
                if typed.send(line).is_err() {
                    break;
                }
            }
            if let Some(file) = history {
                append_history(&file, &fresh);
            }
        })?;
        Ok(Prompt { lines, printer })
    }

    /// The next line; none at the end.
    pub async fn next(&mut self) -> Option<String> {
        self.lines.recv().await
    }

    /// Prints above the line that is being typed.
    pub fn print(&mut self, text: &str) {
        let line = format!("{text}\n");
        let printed = self.printer.as_mut().is_some_and(|printer| printer.print(line.clone()).is_ok());
        if !printed {
            let mut out = std::io::stdout().lock();
            // A closed pipe is the reader's wish.
            let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
        }
    }
}

fn read_history(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(HISTORY_LINES_MAX);
    lines.into_iter().skip(skipped).map(str::to_owned).collect()
}

/// Writes what is new behind what is there, and cuts the file. History is a comfort: an error to
/// write it is nobody's problem.
fn append_history(file: &Path, fresh: &[String]) {
    if fresh.is_empty() {
        return;
    }
    let mut lines = read_history(file);
    lines.extend(fresh.iter().cloned());
    let skipped = lines.len().saturating_sub(HISTORY_LINES_MAX);
    let text: String = lines.iter().skip(skipped).flat_map(|line| [line.as_str(), "\n"]).collect();
    let _ = file.parent().map(std::fs::create_dir_all);
    let _ = std::fs::write(file, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_kept_over_sessions_and_cut() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("deep/history");
        append_history(&file, &["one".into(), "two".into()]);
        append_history(&file, &[]);
        let many: Vec<String> = (0..HISTORY_LINES_MAX).map(|it| it.to_string()).collect();
        append_history(&file, &many[..HISTORY_LINES_MAX - 1]);
        let lines = read_history(&file);
        assert_eq!((lines.len(), lines[0].as_str(), lines[1].as_str()), (HISTORY_LINES_MAX, "two", "0"));
    }
}
