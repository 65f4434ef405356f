//! `everwake dev`: game and gate in one process, that swap a module each time it is saved.
//!
//! # Layout
//! - [`host`]: game and gate, joined; [`steer`]: the admin API's view of them.
//! - [`session`]: the loop: saves, builds, publications, facts, the end.
//! - [`rebuild`], [`watch`]: when to build what. [`components`]: what was published. [`ports`]: who holds a port. [`recordings`]: where they go.
//! - [`screen`], [`tell`], [`logs`]: what is said, and where.
//! - [`demo`]: the samples.

pub mod components;
pub mod demo;
pub mod host;
pub mod logs;
pub mod ports;
pub mod rebuild;
pub mod recordings;
pub mod screen;
pub mod session;
pub mod steer;
pub mod tell;
pub mod watch;

use crate::commands::build::{self, Profile};
use crate::config::Config;
use crate::failure::{HintExt as _, hinted};
use crate::state;
use crate::terminal::{Notice, Terminal};
use clap::Args;
use everwake_builder::Built;
use everwake_runtime::game::publish::Agreed;
use everwake_runtime::space::config::Chaos;
use host::HostSettings;
use screen::{Log, Screen};
use std::io::IsTerminal as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use watch::Watched;

/// How long threads may take after everything is stopped.
const THREADS_END: Duration = Duration::from_millis(100);

/// Runs modules in one process, and swaps them each time you save.
///
/// A source that does not compile, a schema that is refused or would lose what players have, and a
/// version that crashes leave the last good version playing, and the terminal says why. Clients stay connected all the while. The
/// other commands find this process by `.everwake/dev.json` in this folder.
#[derive(Clone, Debug, Default, Args)]
#[command(after_long_help = "Examples:
  everwake dev                                  the module in this folder
  everwake dev samples/yard samples/chat        several at once
  everwake dev samples/yard --map               with the map of the yard in this terminal
  everwake connect                              in a second terminal: plays the first module by hand")]
pub struct DevCommand {
    /// Folders of modules. Clients that name none play the first.
    #[arg(default_value = ".", value_name = "DIR")]
    pub dirs: Vec<PathBuf>,
    /// Draws the map of the module `yard`; what is told stands below it.
    #[arg(long)]
    pub map: bool,
    /// Swaps in a version though it takes values of live entities out of use: an attribute that is
    /// removed, or has another type.
    #[arg(long)]
    pub irreversible: bool,
    /// Builds optimised: slower to build, faster to play.
    #[arg(long)]
    pub release: bool,
    /// Address of the gate; `0.0.0.0` lets others on your network play.
    #[arg(long, value_name = "IP")]
    pub host: Option<IpAddr>,
    /// Port of the gate (UDP); 0 = any free one.
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Port of the admin API (TCP, loopback); 0 = any free one.
    #[arg(long, value_name = "PORT")]
    pub admin_port: Option<u16>,
    /// Drops a module's instance after one of so many events; shows state that is hidden in it.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub chaos: u32,
    /// Runs one of so many events twice, on a fresh instance too, and compares; 0 = never.
    #[arg(long, value_name = "N", default_value_t = host::TWIN_ONE_IN)]
    pub twin: u32,
    /// A line for those who watch.
    #[arg(skip)]
    pub next: Option<String>,
}

/// One module of the command line.
pub struct Module {
    /// Its folder.
    pub dir: PathBuf,
    /// How people call it here.
    pub name: String,
    /// What counts as a save.
    pub watched: Watched,
    /// How it is built.
    pub profile: Profile,
}

/// Runs until Ctrl-C, `everwake shutdown`, or `q` on the map.
pub fn run(command: DevCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let here = std::env::current_dir()?;
    if let Some(other) = state::running_in(&here) {
        return Err(hinted(
            format!("A `dev` runs in this folder already, process `{}`.", other.pid),
            "Stop it with `everwake shutdown`, or start this one in another folder with other ports.",
        ));
    }
    let (modules, config) = open(&command)?;
    let settings = settings(&command, &config, &here.join(state::FOLDER))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ports = runtime.block_on(host::bind(&settings))?;
    let announced =
        state::Announced::starting(&here, modules.iter().map(|module| module.name.clone()).collect())?;
    let first = build_all(&modules, terminal);
    let drawn = command.map && std::io::stdout().is_terminal();
    let screen = if drawn { Screen::Log(Log::default()) } else { Screen::Lines(*terminal) };
    if command.map && !drawn {
        terminal
            .hint("Without a terminal there is no live map; `everwake map --frames 3` prints it as text.");
    }
    logs::start(&here.join(state::FOLDER), screen.clone())?;
    let session = session::Setup {
        here,
        modules,
        first,
        quiet_ms: config.build.quiet_ms,
        settings,
        agreed: if command.irreversible { Agreed::Loss } else { Agreed::NoWayBack },
        screen,
        next: command.next,
    };
    let ended = runtime.block_on(session::run(session, ports));
    runtime.shutdown_timeout(THREADS_END);
    drop(announced);
    let clean = ended?;
    if !clean {
        terminal.warn("Something did not end in time; nothing is lost that was kept.");
    }
    terminal.good("Stopped.");
    Ok(ExitCode::SUCCESS)
}

/// The modules, and the config of the first one.
fn open(command: &DevCommand) -> anyhow::Result<(Vec<Module>, Config)> {
    let mut first = None;
    let mut modules = Vec::new();
    for dir in &command.dirs {
        if !dir.join("Cargo.toml").is_file() {
            return Err(hinted(
                format!("The folder `{}` holds no module: it has no `Cargo.toml`.", dir.display()),
                "Name the folder of a module, or make one with `everwake new mygame`.",
            ));
        }
        let config = Config::load(dir)?;
        let profile = if command.release || config.build.release { Profile::Release } else { Profile::Dev };
        let watched = Watched::new(dir, &config.build.watch)?;
        modules.push(Module { dir: dir.clone(), name: build::name_of(dir), watched, profile });
        first.get_or_insert(config);
    }
    Ok((modules, first.unwrap_or_default()))
}

/// Flags win over the file.
fn settings(command: &DevCommand, config: &Config, folder: &Path) -> anyhow::Result<HostSettings> {
    let host = match command.host {
        Some(host) => host,
        None => config.listen.host.parse().hint(
            format!("`{}` is not an IP address.", config.listen.host),
            "Write `host = \"127.0.0.1\"` or `host = \"0.0.0.0\"` in `everwake.toml`.",
        )?,
    };
    Ok(HostSettings {
        gate: SocketAddr::new(host, command.port.unwrap_or(config.listen.port)),
        admin_port: command.admin_port.unwrap_or(config.listen.admin_port),
        limits: config.limits.clone(),
        cache: folder.join("code"),
        // Beside the components that a replay needs; short, for it is part of a command.
        crash_recordings: Path::new(state::FOLDER).join(session::COMPONENTS),
        chaos: Chaos { seed: 0, drop_one_in: command.chaos, twin_one_in: command.twin, check_one_in: 0 },
    })
}

/// Builds each module; one that does not build is told and waits for a save.
fn build_all(modules: &[Module], terminal: &Terminal) -> Vec<Option<Built>> {
    let one = |module: &Module| match build::build(&module.dir, module.profile, terminal) {
        Ok(built) => Some(built),
        Err(error) => {
            Notice::of_error("", &error).iter().for_each(|it| terminal.notice(it));
            None
        }
    };
    modules.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_file() {
        let config = Config::default();
        let command =
            DevCommand { port: Some(1), host: Some("0.0.0.0".parse().unwrap()), ..DevCommand::default() };
        let settings = settings(&command, &config, Path::new("x")).unwrap();
        assert_eq!(settings.gate.to_string(), "0.0.0.0:1");
        assert_eq!(settings.admin_port, crate::config::ADMIN_PORT);
    }

    #[test]
    fn an_address_that_is_none_is_named() {
        let mut config = Config::default();
        config.listen.host = "home".into();
        let error = settings(&DevCommand::default(), &config, Path::new("x")).unwrap_err();
        assert!(crate::failure::read(&error).0[0].contains("`home`"));
    }

    #[test]
    fn a_folder_without_a_package_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let command = DevCommand { dirs: vec![dir.path().to_owned()], ..DevCommand::default() };
        let error = open(&command).err().unwrap();
        assert!(crate::failure::read(&error).1[0].contains("everwake new"));
    }
}
