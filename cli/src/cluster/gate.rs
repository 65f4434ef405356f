//! `everwake gate`

use super::Which;
use super::config::{Cluster, Gate as Listed};
use super::process::{self, Ended, Process, Stop, port_failed};
use crate::admin::desk::Drain;
use crate::admin::types::DrainStatus;
use crate::dev::ports::Protocol;
use crate::failure::{HintExt as _, hinted};
use crate::ops::place::Note;
use crate::terminal::Terminal;
use clap::Args;
use everwake_dispatcher::MemberConfig;
use everwake_dispatcher::driver::{UplinkConfig, connect};
use everwake_gate::{CertificateSource, Gate, GateConfig, GateError, GateLimits, serve_office};
use everwake_link::{Limits, Role};
use everwake_protocol::Id;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::mpsc;

/// Batches that may wait between the gate and its office, each way.
const BATCHES_MAX: usize = 1024;
/// How long the last words to dispatchers may take.
const LAST: Duration = Duration::from_secs(2);

/// Runs a gate of a cluster: it holds clients.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  everwake gate --config cluster.toml --name w-1")]
pub struct GateCommand {
    #[command(flatten)]
    pub which: Which,
}

/// Runs until Ctrl-C or SIGTERM, or until the others hold it for dead.
pub fn run(command: &GateCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    process::run(Role::Gate, &command.which, terminal, serve)
}

async fn serve(
    cluster: &Cluster,
    process: &Process,
    stop: Stop,
    terminal: &Terminal,
) -> anyhow::Result<Ended> {
    let peer = process.us.peer.clone();
    let Some(listed) = cluster.gates.iter().find(|it| it.name == peer.name()) else {
        return Err(hinted(format!("The configuration knows no `{peer}`."), "Add it to `gates`."));
    };
    let ways = cluster.ways()?;
    let member =
        MemberConfig::new(process.us.incarnation, ways.iter().map(|(name, _)| name.clone()).collect());
    let gate = Gate::bind(config(listed, process)?).map_err(|error| match error {
        GateError::Bind(address, cause) => port_failed(cause, Protocol::Udp, address.port(), &peer, "listen"),
        other => anyhow::Error::new(other),
    })?;
    let (links, inputs) = connect(UplinkConfig {
        us: process.us.clone(),
        dispatchers: ways,
        security: cluster.security(&peer)?,
        limits: Limits::default(),
        seed: process.us.incarnation.random,
    })
    .hint("The links to dispatchers do not start.", "Look at `[tls]` in the configuration.")?;
    let board = links.board();
    let (to_office, from_gate) = mpsc::channel(BATCHES_MAX);
    let (to_gate, from_office) = mpsc::channel(BATCHES_MAX);
    let office = tokio::spawn(serve_office(member, links, inputs, from_gate, to_gate));
    let status = gate.status();
    terminal.good(format!(
        "`{peer}` listens at `{}`; its certificate is `{}`.",
        gate.address(),
        gate.fingerprint()
    ));
    let sessions = gate.status();
    let clients = Box::new(move || sessions.borrow().sessions as u64);
    let drain = drain(&gate);
    let (address, cert_hash) = (gate.address().to_string(), gate.fingerprint().to_owned());
    let how = Note { gate: address, cert_hash, ..Note::default() };
    let asked = process.open(board, Some((clients, drain)), how).await?;
    gate.run(to_office, from_office, asked.or(stop)).await;
    let _ = tokio::time::timeout(LAST, office).await;
    Ok(if status.borrow().dead { Ended::Outlived } else { Ended::Stopped })
}

/// It lets nobody in; who is there stays until it stops, and is told then to go elsewhere.
fn drain(gate: &Gate) -> Drain {
    let (status, drains) = (gate.status(), gate.drains());
    Box::new(move |on| {
        if let Some(on) = on {
            drains.send_replace(on);
        }
        let (clients, drains) = (status.borrow().sessions as u64, *drains.borrow());
        Ok(DrainStatus { drains, clients, game: None })
    })
}

fn config(listed: &Listed, process: &Process) -> anyhow::Result<GateConfig> {
    let certificate = match listed.is_for_development() {
        true => CertificateSource::Development,
        false => CertificateSource::Pem { chain: listed.certificate.clone(), key: listed.key.clone() },
    };
    let per_address = listed.clients_per_address;
    let defaults = GateLimits::default();
    Ok(GateConfig {
        listen: listed.listen,
        certificate,
        limits: GateLimits {
            connections_per_address: per_address,
            connections_per_address_per_minute: u32::try_from(per_address)
                .unwrap_or(u32::MAX)
                .max(defaults.connections_per_address_per_minute),
            ..defaults
        },
        incarnation: process.us.incarnation,
        seed: Id::from_bytes(process.secret()),
        secret: Some(process.lasting_secret()?),
    })
}
