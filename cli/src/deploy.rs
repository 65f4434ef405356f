//! Tests that what lies in `deploy/` fits the commands: units of systemd, an image, and a cluster of containers.

use crate::arguments::{Arguments, Command};
use crate::cluster::Which;
use crate::cluster::config::Cluster;
use clap::Parser as _;
use everwake_link::{PeerName, Role};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

/// Values by section and key of a unit file, in order.
fn unit(name: &str) -> BTreeMap<(String, String), Vec<String>> {
    let mut section = String::new();
    let mut values: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for line in text(name).lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(found) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = found.to_owned();
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{name}: `{line}`"));
        assert!(!key.is_empty() && key.chars().all(char::is_alphanumeric), "{name}: `{line}`");
        values.entry((section.clone(), key.to_owned())).or_default().push(value.to_owned());
    }
    values
}

/// Which process a command line runs.
fn process_of(words: &[&str]) -> (Role, String, PathBuf) {
    let parsed = Arguments::try_parse_from(words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    let of = |role, which: Which| (role, which.name, which.config);
    match parsed.command {
        Command::Dispatcher(command) => of(Role::Dispatcher, command.which),
        Command::Game(command) => of(Role::Game, command.which),
        Command::Gate(command) => of(Role::Gate, command.which),
        other => panic!("{words:?} is no process: {other:?}"),
    }
}

#[test]
fn each_role_has_a_unit_whose_command_line_runs_it() {
    let mut files: BTreeSet<String> = std::fs::read_dir(folder().join("systemd"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".service"))
        .collect();
    let mut alike = BTreeSet::new();
    for role in [Role::Dispatcher, Role::Game, Role::Gate] {
        let name = format!("everwake-{role}@.service");
        assert!(files.remove(&name), "{name}");
        let mut unit = unit(&format!("systemd/{name}"));
        let mut take = |section: &str, key: &str| {
            unit.remove(&(section.to_owned(), key.to_owned())).unwrap_or_default().join("|")
        };
        let line = take("Service", "ExecStart").replace("%i", "x-1");
        let words: Vec<&str> = line.split(' ').collect();
        let (runs, instance, config) = process_of(&words);
        assert_eq!((runs, instance.as_str()), (role, "x-1"), "{line}");
        assert_eq!(config, Path::new("/etc/everwake/cluster.toml"));
        assert!(take("Unit", "Description").contains("%i"));
        // Nobody tells systemd that it is ready, or alive.
        assert_eq!(take("Service", "Type"), "exec");
        assert_eq!(take("Service", "WatchdogSec"), "");
        assert_eq!(take("Service", "Restart"), "on-failure");
        assert_eq!(take("Unit", "PartOf") + &take("Install", "WantedBy"), "everwake.target".repeat(2));
        // Modules are compiled in a game alone.
        let wanted = if role == Role::Game { "" } else { "yes" };
        assert_eq!(take("Service", "MemoryDenyWriteExecute"), wanted, "{name}");
        alike.insert(unit);
    }
    assert_eq!(files, BTreeSet::new(), "units of no role");
    assert_eq!(alike.len(), 1, "the rest is the same in all of them");
}

/// The words of a list in JSON, which is also one in YAML.
fn list(text: &str) -> Vec<String> {
    serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("`{text}`: {error}"))
}

#[test]
fn the_image_starts_us_and_asks_whether_we_are_well() {
    let file = text("Containerfile");
    let of = |word: &str| {
        let mut lines = file.lines().filter_map(|line| line.trim_start().strip_prefix(word));
        lines.next_back().unwrap_or_else(|| panic!("no {word}"))
    };
    assert_eq!(list(of("ENTRYPOINT ")), ["everwake"]);
    let check = file.split("HEALTHCHECK").nth(1).and_then(|rest| rest.split("CMD ").nth(1)).unwrap();
    let check = list(check.lines().next().unwrap());
    let Ok(parsed) = Arguments::try_parse_from(&check) else { panic!("{check:?}") };
    assert!(matches!(parsed.command, Command::Status(status) if status.here));
    assert_ne!(of("USER ").split(':').next(), Some("0"));
    let built = of("RUN cargo ");
    assert!(built.contains("--release --locked --bin everwake") && built.contains("strip"), "{built}");
    let rust = file.split("rust:").nth(1).and_then(|rest| rest.split('-').next()).unwrap();
    assert_eq!(rust, env!("CARGO_PKG_RUST_VERSION"), "the oldest compiler that we support");
}

#[test]
fn the_containers_are_the_processes_of_their_file() {
    let cluster = Cluster::load(&folder().join("cluster.toml")).unwrap();
    let wanted: BTreeSet<PeerName> = cluster.processes().unwrap().into_iter().collect();
    let compose = text("compose.yaml");
    let commands = compose.lines().filter_map(|line| line.trim().strip_prefix("command: "));
    let found = commands.map(|command| {
        let words = list(command);
        let words: Vec<&str> = std::iter::once("everwake").chain(words.iter().map(String::as_str)).collect();
        let (role, name, _) = process_of(&words);
        // Its own volume, and the name by which others look for it.
        for line in [format!("\n  {name}:\n"), format!("\"{name}:/var/lib/everwake\"")] {
            assert!(compose.contains(&line), "{line}");
        }
        PeerName::new(role, &name).unwrap()
    });
    assert_eq!(found.collect::<BTreeSet<_>>(), wanted);
    for (peer, way) in cluster.ways().unwrap() {
        assert_eq!(way, format!("{}:4750", peer.name()));
    }
    let port = cluster.gates[0].listen.port();
    assert!(compose.contains(&format!("ports: [\"{port}:{port}/udp\"]")));
}

#[test]
fn the_ports_of_the_guide_are_those_that_are_listened_to() {
    let defaults = Cluster::default();
    let ports = [
        format!("| UDP {} (`listen` of a gate) ", defaults.gates[0].listen.port()),
        format!("| TCP {} (`listen` of a dispatcher) ", defaults.dispatchers[0].listen.port()),
        format!("| TCP {} (`admin_port` of a game) ", defaults.games[0].admin_port),
    ];
    let guide = include_str!("../../docs/guide/deploy.md");
    for port in ports {
        assert!(guide.contains(&port), "{port}");
    }
    let exposed = text("Containerfile");
    assert!(exposed.contains("EXPOSE 4747/udp 4750/tcp"));
}
