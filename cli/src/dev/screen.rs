//! Where `dev` speaks: plain lines, or the log below the map.

use crate::terminal::{Notice, Terminal, render};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Lines that are kept for the map.
const LOG_LINES_MAX: usize = 100;

/// Where to speak. Clones speak in the same place.
#[derive(Clone)]
pub enum Screen {
    /// Lines on stderr.
    Lines(Terminal),
    /// Below the map.
    Log(Log),
}

/// The newest lines.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<VecDeque<String>>>);

impl Screen {
    /// Tells.
    pub fn notice(&self, notice: &Notice) {
        match self {
            Screen::Lines(terminal) => terminal.notice(notice),
            Screen::Log(log) => log.push(&render(notice, false)),
        }
    }

    /// Tells several things.
    pub fn notices(&self, notices: &[Notice]) {
        notices.iter().for_each(|it| self.notice(it));
    }
}

impl Log {
    /// Adds the lines of a text.
    pub fn push(&self, text: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in text.lines() {
            lines.push_back(line.to_owned());
            if lines.len() > LOG_LINES_MAX {
                lines.pop_front();
            }
        }
    }

    /// All that is kept, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::Tone;

    #[test]
    fn the_log_keeps_the_newest_lines() {
        let log = Log::default();
        let screen = Screen::Log(log.clone());
        for number in 0..200 {
            screen.notice(&Notice::new(Tone::Hint, format!("{number}\nmore")));
        }
        let lines = log.lines();
        assert_eq!(
            (lines.len(), lines[98].as_str(), lines[99].as_str()),
            (LOG_LINES_MAX, "hint: 199", "more")
        );
    }
}
