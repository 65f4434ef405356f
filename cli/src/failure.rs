//! Errors as people read them: what is wrong, because of what, and what to do about it.

use std::fmt;

/// An error with something to do about it. Travels inside of `anyhow::Error`, anywhere in its chain.
#[derive(Debug)]
pub struct Hinted {
    message: String,
    hint: String,
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Hinted {}

/// An error that says what to do.
pub fn hinted(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Hinted { message: message.into(), hint: hint.into() })
}

/// The error of somebody else, under a message with something to do about it.
pub fn because(
    error: impl Into<anyhow::Error>,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> anyhow::Error {
    error.into().context(Hinted { message: message.into(), hint: hint.into() })
}

/// Says what to do about the errors of others.
pub trait HintExt<T> {
    /// Wraps the error under a message, with something to do about it.
    fn hint(self, message: impl Into<String>, hint: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> HintExt<T> for Result<T, E> {
    fn hint(self, message: impl Into<String>, hint: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| because(error, message, hint))
    }
}

/// What an error says, outermost first, without saying the same thing twice; then the hints.
pub fn read(error: &anyhow::Error) -> (Vec<String>, Vec<String>) {
    let mut lines: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        // Many libraries repeat their source in their own text.
        if !lines.iter().any(|line| line.contains(&text)) {
            lines.push(text);
        }
    }
    // A context is no link of `chain` by type, so ask anyhow, then the plain sources.
    let mut hints: Vec<String> = Vec::new();
    if let Some(found) = error.downcast_ref::<Hinted>() {
        hints.push(found.hint.clone());
    }
    for cause in error.chain() {
        if let Some(found) = cause.downcast_ref::<Hinted>() {
            hints.push(found.hint.clone());
        }
    }
    hints.retain(|hint| !hint.is_empty());
    hints.dedup();
    (lines, hints)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn a_chain_is_read_outermost_first_with_its_hint() {
        let inner: Result<(), _> = Err(std::io::Error::other("no such thing"));
        let error =
            inner.hint("The file `a` cannot be read.", "Make it.").context("Nothing is built.").unwrap_err();
        let (lines, hints) = read(&error);
        assert_eq!(lines, ["Nothing is built.", "The file `a` cannot be read.", "no such thing"]);
        assert_eq!(hints, ["Make it."]);
    }

    #[test]
    fn a_cause_that_was_said_is_not_said_again() {
        let inner: Result<(), _> = Err(std::io::Error::other("busy"));
        let error = inner.context("Cannot bind: busy").unwrap_err();
        assert_eq!(read(&error).0, ["Cannot bind: busy"]);
    }

    #[test]
    fn a_bare_hinted_error_has_one_hint() {
        assert_eq!(read(&hinted("No.", "Yes.")).1, ["Yes."]);
    }
}
