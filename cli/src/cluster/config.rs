//! The file that describes a cluster: the same one for every process. Every key has a default; what is not listed
//! here is refused.

use crate::config::{ADMIN_PORT, GATE_PORT};
use crate::failure::{HintExt as _, hinted};
use everwake_link::tcp::Security;
use everwake_link::tls::permitted;
use everwake_link::{PeerName, Role, Tls};
use everwake_protocol::limits::{LABEL_BYTES_MAX, PROFILE_NAMES_MAX};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Every key with its default.
pub const EXAMPLE: &str = include_str!("example.toml");
/// Port of the dispatcher unless something else is asked for.
const DISPATCHER_PORT: u16 = 4750;
/// In a path of a certificate: role and name of the process, with `-` between.
pub const PROCESS: &str = "{process}";
const FIX: &str = "`everwake check-config --example` prints every key with its default.";

/// The file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    /// Name of the cluster, in logs.
    pub name: String,
    /// Folder in which each process has one of its own.
    pub data: PathBuf,
    /// At least one.
    pub dispatchers: Vec<Dispatcher>,
    /// Run spaces.
    pub games: Vec<Game>,
    /// Hold clients.
    pub gates: Vec<Gate>,
    /// Of links; needed as soon as one leaves this machine.
    pub tls: Option<Certificates>,
}

/// `[[dispatchers]]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dispatcher {
    /// Its name.
    pub name: String,
    /// TCP address.
    pub listen: SocketAddr,
    /// Where others reach it; empty: where it listens.
    pub address: String,
}

/// `[[games]]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Game {
    /// Its name.
    pub name: String,
    /// Port of the admin API (TCP, loopback).
    pub admin_port: u16,
    /// Components that it publishes at its start.
    pub modules: Vec<PathBuf>,
    /// By which `entities.create` may ask for it.
    pub labels: Vec<String>,
    /// Threads that run spaces; 0 = one for each core.
    pub workers: usize,
}

/// `[[gates]]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gate {
    /// Its name.
    pub name: String,
    /// UDP address.
    pub listen: SocketAddr,
    /// PEM file of the chain; empty: one for development.
    pub certificate: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
    /// Clients of one address at once.
    pub clients_per_address: usize,
    /// Threads that serve clients; 0 = one for each core.
    pub workers: usize,
}

/// `[tls]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Certificates {
    /// Certificate of the cluster's authority.
    pub authority: PathBuf,
    /// Of each process.
    pub certificate: PathBuf,
    /// Of each process.
    pub key: PathBuf,
}

impl Default for Cluster {
    fn default() -> Cluster {
        Cluster {
            name: "everwake".to_owned(),
            data: "everwake-data".into(),
            dispatchers: vec![Dispatcher::default()],
            games: vec![Game::default()],
            gates: vec![Gate::default()],
            tls: None,
        }
    }
}

impl Default for Dispatcher {
    fn default() -> Dispatcher {
        let listen = (Ipv4Addr::LOCALHOST, DISPATCHER_PORT).into();
        Dispatcher { name: "d-1".to_owned(), listen, address: String::new() }
    }
}

impl Default for Game {
    fn default() -> Game {
        let (modules, labels) = (Vec::new(), Vec::new());
        Game { name: "g-1".to_owned(), admin_port: ADMIN_PORT, modules, labels, workers: 0 }
    }
}

impl Default for Gate {
    fn default() -> Gate {
        Gate {
            name: "w-1".to_owned(),
            listen: (Ipv4Addr::LOCALHOST, GATE_PORT).into(),
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            clients_per_address: 1_000,
            workers: 1,
        }
    }
}

impl Default for Certificates {
    fn default() -> Certificates {
        Certificates {
            authority: "certs/authority.pem".into(),
            certificate: "certs/{process}.pem".into(),
            key: "certs/{process}-key.pem".into(),
        }
    }
}

impl Dispatcher {
    /// Where others reach it.
    pub fn reached_at(&self) -> String {
        if self.address.is_empty() { self.listen.to_string() } else { self.address.clone() }
    }
}

impl Cluster {
    /// Reads and checks a file. Paths in it are seen from its folder.
    pub fn load(file: &Path) -> anyhow::Result<Cluster> {
        let text = std::fs::read_to_string(file).hint(
            format!("The file `{}` cannot be read.", file.display()),
            "Make one: `everwake check-config --example > cluster.toml`.",
        )?;
        let mut cluster =
            Cluster::parse(&text).hint(format!("The file `{}` cannot be used.", file.display()), FIX)?;
        cluster.check()?;
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        let from_folder = |path: &mut PathBuf| *path = folder.join(&*path);
        from_folder(&mut cluster.data);
        cluster.games.iter_mut().flat_map(|game| &mut game.modules).for_each(from_folder);
        for gate in cluster.gates.iter_mut().filter(|gate| !gate.is_for_development()) {
            from_folder(&mut gate.certificate);
            from_folder(&mut gate.key);
        }
        if let Some(tls) = &mut cluster.tls {
            [&mut tls.authority, &mut tls.certificate, &mut tls.key].into_iter().for_each(from_folder);
        }
        Ok(cluster)
    }

    fn parse(text: &str) -> Result<Cluster, toml::de::Error> {
        toml::from_str(text)
    }

    /// All of its processes.
    pub fn processes(&self) -> anyhow::Result<Vec<PeerName>> {
        let of = |role: Role, names: Vec<&String>| {
            names.into_iter().map(move |name| PeerName::new(role, name)).collect::<Vec<_>>()
        };
        let all = [
            of(Role::Dispatcher, self.dispatchers.iter().map(|it| &it.name).collect()),
            of(Role::Game, self.games.iter().map(|it| &it.name).collect()),
            of(Role::Gate, self.gates.iter().map(|it| &it.name).collect()),
        ];
        all.into_iter().flatten().map(|name| name.hint("A process has no usable name.", FIX)).collect()
    }

    /// Names of dispatchers, and where each is reached.
    pub fn ways(&self) -> anyhow::Result<Vec<(PeerName, String)>> {
        let way = |it: &Dispatcher| Ok((PeerName::new(Role::Dispatcher, &it.name)?, it.reached_at()));
        self.dispatchers.iter().map(way).collect()
    }

    /// How the links of a process are protected.
    pub fn security(&self, peer: &PeerName) -> anyhow::Result<Security> {
        let Some(tls) = &self.tls else { return Ok(Security::Loopback) };
        let name = file_name_of(peer);
        let read = |path: &Path| {
            let path = path.to_string_lossy().replace(PROCESS, &name);
            std::fs::read_to_string(&path).hint(
                format!("The file `{path}` of `{peer}` cannot be read."),
                "`everwake certs DIR --config FILE` makes certificates for all processes.",
            )
        };
        let tls = Tls::from_pem(&read(&tls.authority)?, &read(&tls.certificate)?, &read(&tls.key)?);
        Ok(Security::Tls(tls.hint(format!("The certificates of `{peer}` cannot be used."), FIX)?))
    }

    fn check(&self) -> anyhow::Result<()> {
        let mut seen = BTreeSet::new();
        for name in self.processes()? {
            if !seen.insert(name.clone()) {
                return Err(hinted(format!("There are two processes `{name}`."), "Give each its own name."));
            }
        }
        if self.dispatchers.is_empty() {
            return Err(hinted("There is no dispatcher.", "Leave `dispatchers` out, or list at least one."));
        }
        self.games.iter().try_for_each(Game::check_labels)?;
        let mut places = BTreeSet::new();
        for dispatcher in &self.dispatchers {
            permitted(dispatcher.listen, self.tls.is_some()).hint(
                format!("`dispatcher/{}` would be reached from other machines.", dispatcher.name),
                "Give certificates in `[tls]`: `everwake certs DIR --config FILE` makes them.",
            )?;
            if !places.insert(dispatcher.reached_at()) {
                return Err(twice(&dispatcher.reached_at()));
            }
        }
        // With [tls] they may be on several machines, and nobody knows which is where before it starts.
        if self.tls.is_none() { self.check_ports() } else { Ok(()) }
    }

    /// All are on one machine.
    fn check_ports(&self) -> anyhow::Result<()> {
        let admin = |game: &Game| ("TCP", (Ipv4Addr::LOCALHOST, game.admin_port).into());
        let gates = self.gates.iter().map(|gate| ("UDP", gate.listen));
        let dispatchers = self.dispatchers.iter().map(|dispatcher| ("TCP", dispatcher.listen));
        let mut ports = BTreeSet::new();
        for (kind, address) in dispatchers.chain(self.games.iter().map(admin)).chain(gates) {
            if address.port() != 0 && !ports.insert((kind, address)) {
                return Err(twice(&address.to_string()));
            }
        }
        Ok(())
    }
}

impl Game {
    /// Its own name is a label too, and nobody else's may be.
    fn check_labels(&self) -> anyhow::Result<()> {
        let bad =
            |label: &&String| label.is_empty() || label.len() > LABEL_BYTES_MAX || label.starts_with("game/");
        if let Some(label) = self.labels.iter().find(bad) {
            return Err(hinted(
                format!("`game/{}` cannot have the label `{label}`.", self.name),
                format!("A label has 1 to {LABEL_BYTES_MAX} bytes and is not the name of a game."),
            ));
        }
        if self.labels.len() >= PROFILE_NAMES_MAX {
            return Err(hinted(
                format!("`game/{}` has {} labels.", self.name, self.labels.len()),
                format!("At most {} are allowed.", PROFILE_NAMES_MAX - 1),
            ));
        }
        Ok(())
    }
}

impl Gate {
    /// Whether its certificate is a new one at each start, which clients pin.
    pub fn is_for_development(&self) -> bool {
        self.certificate.as_os_str().is_empty()
    }
}

/// A process in names of files and folders.
pub fn file_name_of(peer: &PeerName) -> String {
    format!("{}-{}", peer.role(), peer.name())
}

fn twice(address: &str) -> anyhow::Error {
    hinted(format!("Two processes are to listen at `{address}`."), "Give each its own port.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_the_defaults_and_names_every_key() {
        let cluster = Cluster::parse(EXAMPLE).unwrap();
        assert_eq!(cluster, Cluster::default());
        cluster.check().unwrap();
        let tls: String = EXAMPLE
            .lines()
            .skip_while(|line| *line != "# [tls]")
            .map(|it| it.replacen("# ", "", 1) + "\n")
            .collect();
        assert_eq!(Cluster::parse(&tls).unwrap().tls, Some(Certificates::default()));
        for line in EXAMPLE.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')) {
            assert!(line.contains(" # "), "what is `{line}`?");
        }
        let guide = include_str!("../../../docs/guide/cluster.md");
        assert!(
            guide.contains(&format!("```toml\n{EXAMPLE}```")),
            "docs/guide/cluster.md shows another file"
        );
    }

    fn problem(text: &str) -> String {
        let cluster = Cluster::parse(text).unwrap();
        crate::failure::read(&cluster.check().unwrap_err()).0.join(" ")
    }

    #[test]
    fn what_cannot_be_is_told() {
        assert!(Cluster::parse("nmae = \"a\"").unwrap_err().to_string().contains("nmae"));
        assert!(problem("dispatchers = []").contains("no dispatcher"));
        assert!(problem("[[games]]\n[[games]]").contains("two processes `game/g-1`"));
        assert!(problem("[[games]]\n[[games]]\nname = \"b\"").contains("127.0.0.1:4748"));
        assert!(problem("[[games]]\nlabels = [\"big\", \"game/g-2\"]").contains("the label `game/g-2`"));
        assert!(problem("[[games]]\nlabels = [\"\"]").contains("the label ``"));
        let labels = |count: usize| format!("[[games]]\nlabels = {:?}", vec!["big"; count]);
        assert!(problem(&labels(64)).contains("has 64 labels"));
        Cluster::parse(&labels(63)).unwrap().check().unwrap();
        let two = "[[dispatchers]]\nname = \"d\"\n[[dispatchers]]\n";
        assert!(problem(two).contains("127.0.0.1:4750"));
        assert!(problem("[[dispatchers]]\n[[games]]\nadmin_port = 4750").contains("127.0.0.1:4750"));
        let apart = "[[games]]\n[[games]]\nname = \"b\"\n[[gates]]\n[[gates]]\nname = \"b\"\n[tls]\n";
        Cluster::parse(apart).unwrap().check().unwrap();
        assert!(problem(&format!("{two}[tls]")).contains("127.0.0.1:4750"), "they are reached at one place");
        assert!(problem("[[games]]\nname = \"B c\"").contains("no usable name"));
        let exposed = problem("[[dispatchers]]\nlisten = \"0.0.0.0:1\"");
        assert!(exposed.contains("other machines"), "{exposed}");
        let covered = Cluster::parse("[[dispatchers]]\nlisten = \"0.0.0.0:1\"\n[tls]").unwrap();
        covered.check().unwrap();
    }
}
