//! The clap tree: names and help of all commands. What a command takes is in its own file.

use crate::{bots, chat, cluster, commands, connect, dev, map, new, ops};
use clap::{Parser, Subcommand};

/// A game server whose game is a WebAssembly component, replaced while thousands play.
#[derive(Debug, Parser)]
#[command(name = "everwake", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Start here: `everwake demo` shows a game in this terminal; `everwake new mygame` makes one of your own."
)]
pub struct Arguments {
    /// Says only what was asked for, warnings and errors.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes a new module in an empty folder.
    New(new::NewCommand),
    /// Builds the source of a module into a component.
    Build(commands::build::BuildCommand),
    /// Runs modules in one process, and swaps them each time you save.
    Dev(dev::DevCommand),
    /// Runs the two samples: a live map here, a chat in a second terminal.
    Demo(dev::demo::DemoCommand),
    /// Runs processes of a cluster on this host, and starts those again that die.
    Up(ops::up::UpCommand),
    /// Starts processes of a cluster on this host, in the background.
    Start(ops::start::StartCommand),
    /// Stops processes of a cluster on this host in order.
    Stop(ops::stop::StopCommand),
    /// Ends processes of a cluster on this host at once.
    Kill(ops::stop::KillCommand),
    /// Empties a game or a gate of a cluster, so that it can be stopped.
    Drain(ops::drain::DrainCommand),
    /// Shows what processes of a cluster on this host have said.
    Logs(ops::logs::LogsCommand),
    /// Runs a dispatcher of a cluster.
    Dispatcher(cluster::dispatcher::DispatcherCommand),
    /// Runs a game of a cluster.
    Game(cluster::game::GameCommand),
    /// Runs a gate of a cluster.
    Gate(cluster::gate::GateCommand),
    /// Says whether a file describes a cluster.
    CheckConfig(cluster::check::CheckConfigCommand),
    /// Makes certificates for the processes of a cluster.
    Certs(cluster::certs::CertsCommand),
    /// Makes a version live while everybody plays on.
    Publish(commands::publish::PublishCommand),
    /// Says what `publish` would do, and does nothing.
    Plan(commands::plan::PlanCommand),
    /// Lists the versions that were published.
    Versions(commands::versions::VersionsCommand),
    /// Goes back to an earlier version.
    Rollback(commands::rollback::RollbackCommand),
    /// Shows what runs: modules, spaces, clients, the last swap.
    Status(commands::status::StatusCommand),
    /// Shows spaces and entities with their attributes.
    Inspect(commands::inspect::InspectCommand),
    /// Calls a method of an entity as an operator.
    Call(commands::call::CallCommand),
    /// Lists the crashes of handlers, most frequent first.
    Crashes(commands::crashes::CrashesCommand),
    /// Writes everything that happens into a folder, for `replay`.
    Record(commands::record::RecordCommand),
    /// Runs a recording again, on its own version or on another one.
    Replay(commands::replay::ReplayCommand),
    /// Stops a running `dev` cleanly.
    Shutdown(commands::shutdown::ShutdownCommand),
    /// Plays by hand: lists entities, shows attributes, calls methods.
    Connect(connect::ConnectCommand),
    /// Chats: the terminal client of `samples/chat`.
    Chat(chat::ChatCommand),
    /// Draws the map of `samples/yard` in the terminal.
    Map(map::MapCommand),
    /// Many strict clients that check what they are told.
    Bots(bots::BotsCommand),
}

impl Command {
    /// Whether it needs the `dev` of this folder, so that it waits while that starts. `status` and
    /// `shutdown` do not wait: they say what is.
    pub fn needs_dev(&self) -> bool {
        let admin = match self {
            Command::Publish(command) => &command.address,
            Command::Plan(command) => &command.address,
            Command::Versions(command) => &command.address,
            Command::Rollback(command) => &command.address,
            Command::Inspect(command) => &command.address,
            Command::Call(command) => &command.address,
            Command::Crashes(command) => &command.address,
            Command::Record(command) => &command.address,
            Command::Connect(command) => return command.gate.gate.is_empty(),
            Command::Chat(command) => return command.gate.gate.is_empty(),
            Command::Map(command) => return command.gate.gate.is_empty(),
            Command::Bots(bots::BotsCommand { what: bots::What::Chat(command) }) => {
                return command.gate.gate.is_empty();
            }
            _ => return false,
        };
        admin.admin.is_none() && admin.config.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_tree_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does_and_shows_an_example() {
        for command in Arguments::command().get_subcommands() {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name} has no help");
            let long = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(long.contains("everwake "), "{name} has no example in its long help");
        }
    }

    /// Words of a command line as a shell reads them, up to a pipe, a file or a gap before a remark.
    fn words(line: &str) -> Vec<String> {
        let line = line.split(" | ").next().unwrap_or_default();
        let line = line.split(" > ").next().unwrap_or_default();
        let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
        for (place, letter) in line.char_indices() {
            match letter {
                '\'' => quoted = !quoted,
                ' ' if !quoted && line[place..].starts_with("  ") => break,
                ' ' if !quoted => words.push(std::mem::take(&mut word)),
                letter => word.push(letter),
            }
        }
        words.push(word);
        words.retain(|word| !word.is_empty());
        words
    }

    /// Commands that a document shows: whole spans and lines of code that begin with our name.
    fn shown(document: &str) -> Vec<String> {
        let mut shown = Vec::new();
        let mut fenced = false;
        for line in document.lines() {
            if line.starts_with("```") {
                fenced = !fenced;
            } else if fenced {
                let line = line.trim_start_matches("$ ").trim_end_matches(" &");
                let line = line.replace("cargo run --release --bin everwake --", "everwake");
                shown.extend(Some(line).filter(|line| line.starts_with("everwake ")));
            } else {
                let spans = line.split('`').skip(1).step_by(2).filter(|span| span.starts_with("everwake "));
                shown.extend(spans.map(str::to_owned));
            }
        }
        shown
    }

    #[test]
    fn every_command_that_is_shown_exists() {
        let mut lines = Vec::new();
        for document in [
            include_str!("../../README.md"),
            include_str!("../../builder/template/README.md.txt"),
            include_str!("../../samples/chat/README.md"),
            include_str!("../../samples/yard/README.md"),
            include_str!("../../docs/guide/admin.md"),
            include_str!("../../docs/guide/cli.md"),
            include_str!("../../docs/guide/cluster.md"),
            include_str!("../../docs/guide/deploy.md"),
        ] {
            let found = shown(document);
            assert!(!found.is_empty(), "{document}");
            // What stands for something else, and what lists options, is no command line.
            lines.extend(
                found.into_iter().filter(|line| !line.contains(['[', ',']) && !line.contains("COMMAND")),
            );
        }
        let top = Arguments::command();
        for command in top.get_subcommands() {
            let long = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            let examples = long.lines().map(str::trim_start).filter(|line| line.starts_with("everwake "));
            lines.extend(examples.map(str::to_owned));
        }
        for line in lines {
            // Arguments that are left out stand for all: only their absence is not held against it.
            if let Err(error) = Arguments::try_parse_from(words(&line)) {
                let kind = error.kind();
                assert_eq!(kind, clap::error::ErrorKind::MissingRequiredArgument, "`{line}`: {error}");
            }
        }
    }

    #[test]
    fn the_guide_lists_every_command() {
        let guide = include_str!("../../docs/guide/cli.md");
        for command in Arguments::command().get_subcommands() {
            let name = command.get_name();
            assert!(guide.contains(&format!("| `everwake {name}")), "docs/guide/cli.md lacks `{name}`");
        }
    }
}
