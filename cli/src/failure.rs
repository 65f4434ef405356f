//! Errors as people read them: what is wrong, because of what, and what to do about it.

use std::fmt;

/// The hint of what nobody but the authors of Everwake can mend.
pub const FAULT: &str = "This is a fault of Everwake: if it happens again, report it with these lines.";

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

/// A hint of another crate as a sentence, as all of ours are.
pub fn sentence(hint: &str) -> String {
    let mut letters = hint.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let end = if hint.ends_with(['.', '?', '!', ':']) || hint.contains('\n') { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
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

/// What an error says, outermost first, without saying the same thing twice; then the hints, at least one.
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
    if hints.is_empty() {
        hints.push(advice(error).to_owned());
    }
    (lines, hints)
}

/// What can be said about an error that nobody has explained.
fn advice(error: &anyhow::Error) -> &'static str {
    use std::io::ErrorKind;
    match error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>()).map(std::io::Error::kind) {
        Some(ErrorKind::NotFound) => "Is the path right, as seen from the working directory?",
        Some(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
            "Run it where you may read and write, or change who owns the file."
        }
        Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => "Make room on the disk, and try again.",
        Some(_) => "Try again; if it stays, look at the machine: files, memory, network.",
        None => FAULT,
    }
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
    fn hints_of_others_become_sentences() {
        assert_eq!(sentence("run `rustup update`"), "Run `rustup update`.");
        assert_eq!(sentence("does it?"), "Does it?");
        assert_eq!(sentence("add:\n  [lib]"), "Add:\n  [lib]");
        assert_eq!(sentence("`a` does"), "`a` does.");
    }

    #[test]
    fn a_bare_hinted_error_has_one_hint() {
        assert_eq!(read(&hinted("No.", "Yes.")).1, ["Yes."]);
    }

    #[test]
    fn an_error_that_nobody_explained_has_a_hint_too() {
        let missing = anyhow::Error::new(std::io::Error::from(std::io::ErrorKind::NotFound)).context("No.");
        assert!(read(&missing).1[0].contains("path"));
        assert_eq!(read(&anyhow::anyhow!("odd")).1, [FAULT]);
    }

    /// Calls whose last argument is a hint.
    const HINTED: [&str; 4] = ["hinted(", "because(", ".hint(", "Problem::new("];

    /// What stands between an opening parenthesis and the one that closes it; brackets in texts come in pairs.
    fn arguments(text: &str) -> &str {
        let mut depth = 1;
        let end = text.char_indices().find(|(_, c)| {
            depth += i32::from(*c == '(') - i32::from(*c == ')');
            depth == 0
        });
        &text[..end.map_or(text.len(), |(at, _)| at)]
    }

    fn without_hint(source: &str) -> Vec<&str> {
        let calls =
            HINTED.iter().flat_map(|call| source.match_indices(call).map(|(at, call)| at + call.len()));
        let empty = calls.map(|at| arguments(&source[at..])).filter(|arguments| {
            let arguments = arguments.trim_end().trim_end_matches(',');
            arguments.ends_with("\"\"") || arguments.ends_with("String::new()")
        });
        empty.collect()
    }

    fn check_folder(folder: &std::path::Path, checked: &mut usize) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                check_folder(&path, checked);
            } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
                let source = std::fs::read_to_string(&path).unwrap();
                let source = source.split("#[cfg(test)]\nmod tests").next().unwrap();
                assert_eq!(without_hint(source), Vec::<&str>::new(), "{}: no hint", path.display());
                *checked += 1;
            }
        }
    }

    #[test]
    fn no_error_is_made_without_a_hint() {
        assert_eq!(without_hint("hinted(format!(\"a {}\", b()), \"\")"), ["format!(\"a {}\", b()), \"\""]);
        assert_eq!(without_hint("x.hint(name(), \"\")?; y.hint(\"\", \"Do.\")").len(), 1);
        let mut checked = 0;
        check_folder(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut checked);
        assert!(checked > 40, "{checked} files");
    }
}
