//! How we speak to people: sentences in the present tense, values in backticks, hints below.
//!
//! Answers go to stdout, everything about the work itself to stderr, so that pipes get data.
//! Colours only on a terminal, and never when `NO_COLOR` is set.

use crate::failure;
use std::io::{IsTerminal as _, Write as _};

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Something goes on.
    Plain,
    /// Something is done.
    Good,
    /// Something needs a look.
    Warning,
    /// Something failed.
    Bad,
    /// What to do.
    Hint,
}

/// One thing to tell, from wherever it happens to whoever owns the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What it is about.
    pub tone: Tone,
    /// May have several lines.
    pub text: String,
}

impl Notice {
    /// One thing to tell.
    pub fn new(tone: Tone, text: impl Into<String>) -> Self {
        Notice { tone, text: text.into() }
    }

    /// A whole error: what, why, and what to do.
    pub fn of_error(prefix: &str, error: &anyhow::Error) -> Vec<Self> {
        let (lines, hints) = failure::read(error);
        let mut text = prefix.to_owned();
        for (depth, line) in lines.iter().enumerate() {
            if depth > 0 {
                text.push_str("\n  because: ");
            }
            text.push_str(line);
        }
        let mut notices = vec![Notice::new(Tone::Bad, text)];
        notices.extend(hints.into_iter().map(|hint| Notice::new(Tone::Hint, hint)));
        notices
    }
}

/// Where we speak.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    colour_out: bool,
    colour_err: bool,
    quiet: bool,
}

impl Terminal {
    /// Looks at stdout, stderr and `NO_COLOR`.
    pub fn from_environment(quiet: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Terminal {
            colour_out: wanted && std::io::stdout().is_terminal(),
            colour_err: wanted && std::io::stderr().is_terminal(),
            quiet,
        }
    }

    /// Whether answers may have colours.
    pub fn colours(&self) -> bool {
        self.colour_out
    }

    /// One answer, on stdout. A closed pipe is the reader's wish, not an error.
    pub fn answer(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{}", paint_values(text, self.colour_out)).and_then(|()| out.flush());
    }

    /// Data for programs, on stdout, as it is.
    pub fn data(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// What goes on, on stderr.
    pub fn say(&self, text: impl Into<String>) {
        self.notice(&Notice::new(Tone::Plain, text));
    }

    /// What is done, on stderr.
    pub fn good(&self, text: impl Into<String>) {
        self.notice(&Notice::new(Tone::Good, text));
    }

    /// What needs a look, on stderr.
    pub fn warn(&self, text: impl Into<String>) {
        self.notice(&Notice::new(Tone::Warning, text));
    }

    /// What to do, on stderr.
    pub fn hint(&self, text: impl Into<String>) {
        self.notice(&Notice::new(Tone::Hint, text));
    }

    /// A whole error chain, on stderr.
    pub fn error(&self, error: &anyhow::Error) {
        for notice in Notice::of_error("", error) {
            self.notice(&notice);
        }
    }

    /// Anything, on stderr.
    pub fn notice(&self, notice: &Notice) {
        if self.quiet && matches!(notice.tone, Tone::Plain | Tone::Good) {
            return;
        }
        let _ = writeln!(std::io::stderr().lock(), "{}", render(notice, self.colour_err));
    }
}

/// A notice as text.
pub fn render(notice: &Notice, colour: bool) -> String {
    let (label, code) = match notice.tone {
        Tone::Plain => ("", ""),
        Tone::Good => ("", "32"),
        Tone::Warning => ("warning: ", "1;33"),
        Tone::Bad => ("error: ", "1;31"),
        Tone::Hint => ("hint: ", "1;36"),
    };
    let text = paint_values(&notice.text, colour);
    match (notice.tone, colour) {
        (Tone::Good, true) => format!("\x1b[{code}m✓\x1b[0m {text}"),
        (Tone::Plain | Tone::Good, _) => text,
        (_, true) => format!("\x1b[{code}m{label}\x1b[0m{text}"),
        (_, false) => format!("{label}{text}"),
    }
}

/// Values in backticks in cyan; the backticks stay, so that colour carries nothing alone.
pub fn paint_values(text: &str, colour: bool) -> String {
    if !colour {
        return text.to_owned();
    }
    let mut painted = String::with_capacity(text.len() + 16);
    let mut inside = false;
    for part in text.split_inclusive('`') {
        match part.strip_suffix('`') {
            Some(before) if inside => painted.extend([before, "`\x1b[0m"]),
            Some(before) => painted.extend([before, "\x1b[36m`"]),
            None => painted.push_str(part),
        }
        if part.ends_with('`') {
            inside = !inside;
        }
    }
    if inside {
        painted.push_str("\x1b[0m");
    }
    painted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_a_line_is_what_it_says() {
        let check = |tone, expect: &str| {
            assert_eq!(render(&Notice::new(tone, "The port `5` is taken."), false), expect)
        };
        check(Tone::Plain, "The port `5` is taken.");
        check(Tone::Bad, "error: The port `5` is taken.");
        check(Tone::Hint, "hint: The port `5` is taken.");
    }

    #[test]
    fn values_are_painted_and_every_colour_ends() {
        assert_eq!(paint_values("a `b` c", true), "a \x1b[36m`b`\x1b[0m c");
        assert!(paint_values("a `b", true).ends_with("\x1b[0m"));
        assert_eq!(paint_values("a `b` c", false), "a `b` c");
    }

    #[test]
    fn an_error_says_why_below() {
        use anyhow::Context as _;
        let error = Err::<(), _>(crate::failure::hinted("Disk full.", "Clean up."))
            .context("Nothing is saved.")
            .unwrap_err();
        let notices = Notice::of_error("", &error);
        assert_eq!(notices[0].text, "Nothing is saved.\n  because: Disk full.");
        assert_eq!(notices[1], Notice::new(Tone::Hint, "Clean up."));
    }
}
