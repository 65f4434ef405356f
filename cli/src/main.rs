//! The `everwake` binary: one file per command, each a thin shell around functions that tests
//! can call. Knows processes and terminals; the game itself is in `runtime/` and `gate/`.
//!
//! # Layout
//! - [`arguments`]: the clap tree. [`mistyped`]: what it does not understand. [`terminal`]: how we speak. [`failure`]: errors with hints.
//! - [`config`], [`state`]: `everwake.toml`, and where a running `dev` says how to find it.
//! - [`admin`]: the admin API, both ends. [`commands`]: the commands that are its clients.
//! - [`dev`]: game and gate in one process, builds and swaps on save. [`new`]: a new module.
//! - [`cluster`]: dispatchers, games and gates in processes of their own.
//! - [`ops`]: all processes of a cluster on one host: started, looked after, stopped.
//! - [`ids`]: ids by their start. [`values`]: arguments and attributes between text, JSON and CBOR, by type text.
//! - [`play`]: a connection to a gate, by names. [`prompt`]: lines that people type.
//! - [`connect`], [`chat`], [`map`]: clients for the terminal. [`bots`]: many strict ones.

mod admin;
mod arguments;
mod bots;
mod chat;
mod clock;
mod cluster;
mod commands;
mod config;
mod connect;
#[cfg(test)]
mod deploy;
mod dev;
mod failure;
mod ids;
mod map;
mod mistyped;
mod new;
mod ops;
mod play;
mod prompt;
mod state;
mod terminal;
mod values;

use arguments::{Arguments, Command};
use clap::Parser as _;
use std::process::ExitCode;
use terminal::Terminal;

/// Exit code of a command line that cannot be read.
const MISREAD: u8 = 2;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return misread(&error),
    };
    let terminal = Terminal::from_environment(arguments.quiet);
    match run(arguments.command, &terminal) {
        Ok(code) => code,
        Err(error) => {
            terminal.error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Help and version are answers; what cannot be read is told, and exits as shells expect it.
fn misread(error: &clap::Error) -> ExitCode {
    let typed: Vec<String> = std::env::args().skip(1).collect();
    let Some(explained) = mistyped::explain(error, &typed) else { error.exit() };
    Terminal::from_environment(false).error(&explained);
    ExitCode::from(MISREAD)
}

fn run(command: Command, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    if command.needs_dev() {
        state::wait_until_started(|found| {
            terminal.say(format!("{} This waits for it.", state::starting_words(found)));
        })?;
    }
    match command {
        Command::New(command) => new::run(&command, terminal),
        Command::Build(command) => commands::build::run(&command, terminal),
        Command::Dev(command) => dev::run(command, terminal),
        Command::Demo(command) => dev::demo::run(command, terminal),
        Command::Up(command) => ops::up::run(&command, terminal),
        Command::Start(command) => ops::start::run(&command, terminal),
        Command::Stop(command) => ops::stop::stop(&command, terminal),
        Command::Kill(command) => ops::stop::kill(&command, terminal),
        Command::Drain(command) => ops::drain::run(&command, terminal),
        Command::Logs(command) => ops::logs::run(&command, terminal),
        Command::Dispatcher(command) => cluster::dispatcher::run(&command, terminal),
        Command::Game(command) => cluster::game::run(&command, terminal),
        Command::Gate(command) => cluster::gate::run(&command, terminal),
        Command::CheckConfig(command) => cluster::check::run(&command, terminal),
        Command::Certs(command) => cluster::certs::run(&command, terminal),
        Command::Publish(command) => commands::publish::run(&command, terminal),
        Command::Plan(command) => commands::plan::run(&command, terminal),
        Command::Versions(command) => commands::versions::run(&command, terminal),
        Command::Rollback(command) => commands::rollback::run(&command, terminal),
        Command::Status(command) => commands::status::run(&command, terminal),
        Command::Inspect(command) => commands::inspect::run(&command, terminal),
        Command::Call(command) => commands::call::run(&command, terminal),
        Command::Crashes(command) => commands::crashes::run(&command, terminal),
        Command::Record(command) => commands::record::run(&command, terminal),
        Command::Replay(command) => commands::replay::run(&command, terminal),
        Command::Shutdown(command) => commands::shutdown::run(&command, terminal),
        Command::Connect(command) => connect::run(command, terminal),
        Command::Chat(command) => chat::run(command, terminal),
        Command::Map(command) => map::run(command, terminal),
        Command::Bots(command) => bots::run(command, terminal),
    }
}
