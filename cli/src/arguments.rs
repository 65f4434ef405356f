//! The clap tree: names and help of all commands. What a command takes is in its own file.

use crate::{bots, chat, commands, connect, dev, map, new};
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

    #[test]
    fn the_guide_lists_every_command() {
        let guide = include_str!("../../docs/guide/cli.md");
        for command in Arguments::command().get_subcommands() {
            let name = command.get_name();
            assert!(guide.contains(&format!("| `everwake {name}")), "docs/guide/cli.md lacks `{name}`");
        }
    }
}
