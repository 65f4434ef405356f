//! `everwake build`, and how all commands build: with progress, and errors that say what to do.

use super::short;
use crate::clock::words;
use crate::failure::{HintExt as _, hinted, sentence};
use crate::terminal::Terminal;
use clap::Args;
use everwake_builder::{Build, BuildError, Built, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub use everwake_builder::Profile;

/// Builds the source of a module into a component.
///
/// Runs cargo for `wasm32-unknown-unknown` with the linker that makes components; adds the target
/// through rustup if it is missing.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  everwake build
  everwake build samples/chat --out chat.wasm
  everwake build samples/chat --env CHAT_VERSION=7 --out chat7.wasm
  everwake build --dev                     fast to build, slow to play")]
pub struct BuildCommand {
    /// Folder with the module's `Cargo.toml`.
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Compiles fast instead of well.
    #[arg(long)]
    pub dev: bool,
    /// Turns a feature of the package on; may be given several times.
    #[arg(long = "feature", value_name = "NAME")]
    pub features: Vec<String>,
    /// Sets a variable that the source reads with `env!`; may be given several times.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = read_variable)]
    pub variables: Vec<(String, String)>,
    /// Also copies the component to this file.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Builds.
pub fn run(command: &BuildCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let profile = if command.dev { Profile::Dev } else { Profile::Release };
    let mut recipe = Build::new(&command.dir, profile);
    recipe = command.features.iter().fold(recipe, |recipe, feature| recipe.feature(feature));
    recipe = command.variables.iter().fold(recipe, |recipe, (name, value)| recipe.env(name, value));
    let built = build_as(&recipe, &command.dir, terminal)?;
    let file = match &command.out {
        Some(out) => {
            std::fs::copy(&built.component, out).hint(
                format!("The file `{}` cannot be written.", out.display()),
                "Name a file in a folder that exists.",
            )?;
            out
        }
        None => &built.component,
    };
    let hash = blake3::hash(&built.bytes).to_hex();
    terminal.answer(&format!(
        "`{}` is version `{}`, {} KiB.",
        file.display(),
        short(&hash),
        built.bytes.len() / 1024
    ));
    Ok(ExitCode::SUCCESS)
}

/// The component behind an argument that names a file or a folder with source.
pub fn component_of(source: &Path, profile: Profile, terminal: &Terminal) -> anyhow::Result<Vec<u8>> {
    if source.is_dir() {
        return Ok(build(source, profile, terminal)?.bytes);
    }
    std::fs::read(source).hint(
        format!("The component `{}` cannot be read.", source.display()),
        "Name a `.wasm` file, or a folder with the source of a module.",
    )
}

/// Builds with a bar (on a terminal) or a line for each step that takes long (elsewhere).
pub fn build(dir: &Path, profile: Profile, terminal: &Terminal) -> anyhow::Result<Built> {
    build_as(&Build::new(dir, profile), dir, terminal)
}

fn build_as(recipe: &Build, dir: &Path, terminal: &Terminal) -> anyhow::Result<Built> {
    let started = Instant::now();
    let name = name_of(dir);
    let purpose = match recipe.profile() {
        Profile::Release => "for players: optimised",
        Profile::Dev => "for development: fast to build",
    };
    let bar = bar(&name, purpose);
    if bar.is_hidden() {
        terminal.say(format!("Building `{name}` {purpose}."));
    }
    let built =
        recipe.run(&mut |progress| show(&bar, progress, terminal)).map_err(|error| explain(dir, error));
    bar.finish_and_clear();
    let built = built?;
    for warning in &built.warnings {
        terminal.warn(warning.strip_prefix("warning: ").unwrap_or(warning));
    }
    terminal.good(format!("`{}` is built in {}.", built.package, words(started)));
    Ok(built)
}

/// Builds without saying anything; for threads that do not own the screen.
pub fn build_silently(dir: &Path, profile: Profile) -> anyhow::Result<Built> {
    Build::new(dir, profile).run(&mut |_| {}).map_err(|error| explain(dir, error))
}

/// `NAME=VALUE`
fn read_variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("`{text}` has no `=`"))?;
    if name.is_empty() {
        return Err(format!("`{text}` has no name before `=`"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// The builder's error as ours: its hint becomes a hint of its own.
fn explain(dir: &Path, error: BuildError) -> anyhow::Error {
    let text = error.to_string();
    let (message, hint) = split_hint(&text);
    let hint = match &error {
        BuildError::Compile { .. } => "Mend the source; the compiler says where.",
        _ => hint,
    };
    hinted(format!("`{}` is not built.\n{message}", name_of(dir)), sentence(hint))
}

fn split_hint(text: &str) -> (&str, &str) {
    text.split_once("\nhint: ").unwrap_or((text, "Does `cargo check` work in that folder?"))
}

fn bar(name: &str, purpose: &str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} [{bar:24}] {pos}/{len} {msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(format!("{name} ({purpose})"));
    bar.set_message("planning the build");
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn show(bar: &ProgressBar, progress: Progress, terminal: &Terminal) {
    match progress {
        Progress::AddingTarget => {
            bar.set_message("adding the Rust target wasm32-unknown-unknown (about 20 MB, once)");
            if bar.is_hidden() {
                terminal.say("The Rust target `wasm32-unknown-unknown` is missing; rustup adds it (about 20 MB, once).");
            }
        }
        Progress::Compiling { done, total, name } => {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
            bar.set_message(name);
        }
    }
}

/// What a folder is called, also `.`.
pub fn name_of(dir: &Path) -> String {
    let whole = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    whole.file_name().map_or_else(|| dir.display().to_string(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure;

    #[test]
    fn the_builders_hint_becomes_ours() {
        let error = explain(Path::new("/nowhere/here"), BuildError::NoPackage("here".into()));
        let (lines, hints) = failure::read(&error);
        assert_eq!(lines, ["`here` is not built.\n`here` has no `Cargo.toml`"]);
        assert_eq!(hints, ["Name the folder of a module, or make one with `everwake new`."]);
    }

    #[test]
    fn variables_have_a_name() {
        assert_eq!(read_variable("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert!(read_variable("A").is_err() && read_variable("=b").is_err());
    }

    #[test]
    fn compiler_errors_are_shown_as_they_are() {
        let error = explain(
            Path::new("a"),
            BuildError::Compile {
                errors: vec!["error: expected `;`\n --> src/lib.rs:1".into()],
                warnings: vec![],
            },
        );
        assert!(failure::read(&error).0[0].contains("error: expected `;`\n --> src/lib.rs:1"));
    }

    #[test]
    fn a_component_that_is_not_there_is_named() {
        let error = component_of(Path::new("/nowhere.wasm"), Profile::Dev, &Terminal::from_environment(true))
            .unwrap_err();
        assert!(failure::read(&error).0[0].contains("`/nowhere.wasm` cannot be read"));
    }
}
