//! Which gates a player may go to, and how hard it tries.

use super::Player;
use crate::failure::{HintExt as _, hinted};
use crate::state;
use clap::Args;
use everwake_client::{
    ClientEndpoint, GateEntry, Greeting, ReconnectConfig, ReconnectPolicy, ReconnectingClient, Trust,
};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

/// Events that wait to be taken. Whoever is slower than that has missed something, and is told so.
const EVENTS_MAX: usize = 65_536;

/// Where gates are.
#[derive(Clone, Debug, Default, Args)]
pub struct GateAddress {
    /// Addresses of gates: the first one that lets us in, and another one when it is lost; found by
    /// `.everwake/dev.json` if left out.
    #[arg(long, value_name = "HOST:PORT", env = "EVERWAKE_GATE", value_delimiter = ',')]
    pub gate: Vec<String>,
    /// SHA-256 of the gates' certificates, hex, one for each or one for all; needed for a development gate that is
    /// not found.
    #[arg(long, value_name = "HEX", requires = "gate", value_delimiter = ',')]
    pub cert_hash: Vec<String>,
}

impl GateAddress {
    /// A gate that is known.
    pub fn local(gate: &str, cert_hash: &str) -> Self {
        GateAddress { gate: vec![gate.to_owned()], cert_hash: vec![cert_hash.to_owned()] }
    }

    /// Addresses and certificate hashes: by flags, else by what a running `dev` wrote.
    fn find(&self) -> anyhow::Result<Found> {
        if self.gate.is_empty() {
            let found = state::find()?;
            // A `dev` that ended comes back with another certificate, if it does.
            return Ok(Found { gates: vec![(found.gate, Some(found.cert_hash))], come_back: false });
        }
        let hash_of = |place: usize| match self.cert_hash.as_slice() {
            [one] => Some(one.clone()),
            hashes => hashes.get(place).cloned(),
        };
        if self.cert_hash.len() > 1 && self.cert_hash.len() != self.gate.len() {
            return Err(hinted(
                format!("There are {} gates and {} certificates.", self.gate.len(), self.cert_hash.len()),
                "Give `--cert-hash` once for all gates, or once for each, in their order.",
            ));
        }
        let named = self.gate.iter().enumerate();
        let gates = named.map(|(place, gate)| (gate.clone(), hash_of(place))).collect();
        Ok(Found { gates, come_back: true })
    }
}

struct Found {
    /// Addresses, and the hashes of certificates.
    gates: Vec<(String, Option<String>)>,
    /// Whether they are worth another attempt.
    come_back: bool,
}

/// One socket for many players.
#[derive(Clone)]
pub struct Endpoint {
    socket: ClientEndpoint,
    gates: Vec<GateEntry>,
    names: Arc<[String]>,
    policy: ReconnectPolicy,
}

impl Endpoint {
    /// For the gates of an address. Must be called inside of a tokio runtime.
    pub fn open(gate: &GateAddress) -> anyhow::Result<Endpoint> {
        let Found { gates: found, come_back } = gate.find()?;
        let mut gates = Vec::new();
        for (name, hash) in &found {
            let entry = GateEntry::local(resolve(name)?);
            let trust = hash.clone().map_or(Trust::AnyOnLoopback, Trust::Pinned);
            gates.push(GateEntry { trust, ..entry });
        }
        let first = gates.first().ok_or_else(|| hinted("No gate is known.", "Write `--gate HOST:PORT`."))?;
        let socket = ClientEndpoint::for_peer(first.address)
            .hint("No UDP socket can be opened.", "Is the machine out of ports?")?;
        let policy = if come_back { ReconnectPolicy::default() } else { ReconnectPolicy::off() };
        Ok(Endpoint { socket, gates, names: found.into_iter().map(|it| it.0).collect(), policy })
    }

    /// The first connection of each player that ends is its last.
    pub fn once(self) -> Endpoint {
        Endpoint { policy: ReconnectPolicy::off(), ..self }
    }

    /// Connects and greets.
    pub async fn connect(&self, module: &str) -> anyhow::Result<Player> {
        let config = ReconnectConfig {
            gates: self.gates.clone(),
            greeting: Greeting {
                module: module.to_owned(),
                version: concat!("everwake-cli ", env!("CARGO_PKG_VERSION")).to_owned(),
                ..Greeting::default()
            },
            endpoint: Some(self.socket.clone()),
            events_max: EVENTS_MAX,
            policy: self.policy,
        };
        let client = ReconnectingClient::connect(config).await.hint(
            match &*self.names {
                [gate] => format!("The gate at `{gate}` does not let us in."),
                gates => format!("None of the gates at `{}` lets us in.", gates.join("`, `")),
            },
            "Is `everwake dev` running, and does it run this module? `everwake status` tells; `--gate ADDR --cert-hash HEX` names another gate.",
        )?;
        Ok(Player::new(client, self.names.clone()))
    }
}

fn resolve(address: &str) -> anyhow::Result<SocketAddr> {
    let hint = "Write `--gate HOST:PORT`, for example `127.0.0.1:4747`.";
    let mut found = address.to_socket_addrs().hint(format!("`{address}` is no address of a gate."), hint)?;
    found.next().ok_or_else(|| hinted(format!("`{address}` has no address."), hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_resolved_or_named() {
        assert_eq!(resolve("127.0.0.1:4747").unwrap().port(), 4747);
        let error = resolve("nonsense").unwrap_err();
        assert!(crate::failure::read(&error).1[0].contains("--gate"));
    }

    #[test]
    fn each_gate_has_its_certificate_or_all_have_the_same() {
        let found = |gates: &[&str], hashes: &[&str]| {
            let texts = |texts: &[&str]| texts.iter().map(|&it| it.to_owned()).collect();
            GateAddress { gate: texts(gates), cert_hash: texts(hashes) }.find()
        };
        let hashes = |gates: &[&str], given: &[&str]| -> Vec<Option<String>> {
            found(gates, given).unwrap().gates.into_iter().map(|(_, hash)| hash).collect()
        };
        assert_eq!(hashes(&["a", "b"], &[]), [None, None]);
        assert_eq!(hashes(&["a", "b"], &["1"]), [Some("1".to_owned()), Some("1".to_owned())]);
        assert_eq!(hashes(&["a", "b"], &["1", "2"]), [Some("1".to_owned()), Some("2".to_owned())]);
        assert!(found(&["a", "b", "c"], &["1", "2"]).is_err() && found(&["a"], &["1", "2"]).is_err());
    }
}
