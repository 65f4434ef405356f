//! Clients of a server in another process, and calls at a fixed rate: a slow server does not slow
//! the load. Latency runs from the call to its answer; a timer that fires late is no latency.

use crate::echo::EchoClient;
use crate::report::monotonic;
use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use everwake_client::{Client, ClientConfig, ClientEndpoint, Value};
use everwake_protocol::{EntityId, cbor};
use hdrhistogram::Histogram;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Connections that are being made at a time.
const CONNECTING: usize = 64;
const PAYLOAD: [u8; 64] = [7; 64];

/// A client of either server.
pub enum Peer {
    Game { client: Client, own: EntityId },
    Echo(EchoClient),
}

/// Which server it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Game,
    Echo,
}

impl Peer {
    async fn connect(kind: Kind, config: ClientConfig) -> Result<Peer> {
        if kind == Kind::Echo {
            return Ok(Peer::Echo(EchoClient::connect(&config).await?));
        }
        let client = Client::connect(config).await?;
        client.wait(Duration::from_secs(30), |core| core.own().is_some()).await?;
        let own = client.own().context("no entity of one's own")?;
        Ok(Peer::Game { client, own })
    }

    /// One call with 64 bytes there and back.
    pub async fn call(&self) -> Result<()> {
        match self {
            Peer::Echo(client) => client.call().await,
            Peer::Game { client, own } => {
                let mut args = Vec::with_capacity(80);
                cbor::array(&mut args, 1);
                cbor::bytes(&mut args, &PAYLOAD);
                let answer = client.call_encoded(*own, "echo", args.into(), 30_000).await?;
                anyhow::ensure!(answer.ends_with(&PAYLOAD), "another answer");
                Ok(())
            }
        }
    }

    /// How many of the calls the server ran; none if it does not say any more.
    pub async fn ran(&self) -> Option<u64> {
        let Peer::Game { client, own } = self else { return None };
        match client.call(*own, "echoed", &[]).await {
            Ok(Value::Int(count)) => u64::try_from(count).ok(),
            _ => None,
        }
    }

    /// Goes into a field, and waits until it is there.
    pub async fn visit(&self, field: EntityId) -> Result<()> {
        let Peer::Game { client, own } = self else { return Ok(()) };
        client.call(*own, "visit", &[Value::Id(field.0)]).await?;
        for _ in 0..500 {
            if client.call(*own, "inside", &[]).await? == Value::Bool(true) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(anyhow!("no way into the field"))
    }
}

/// So many clients, all on one socket.
pub async fn connect(kind: Kind, address: SocketAddr, count: usize) -> Result<Vec<Arc<Peer>>> {
    let endpoint = ClientEndpoint::for_peer(address)?;
    let mut peers = Vec::with_capacity(count);
    while peers.len() < count {
        let now = CONNECTING.min(count - peers.len());
        let tasks: Vec<_> = (0..now)
            .map(|_| {
                let config = ClientConfig {
                    endpoint: Some(endpoint.clone()),
                    events_max: 16,
                    ..ClientConfig::local(address)
                };
                tokio::spawn(Peer::connect(kind, config))
            })
            .collect();
        for task in tasks {
            peers.push(Arc::new(task.await??));
        }
    }
    Ok(peers)
}

/// One call: when it was made by the machine's monotonic clock, and how long it took in us.
#[derive(Clone, Copy)]
pub struct Call {
    pub at: Duration,
    pub micros: u64,
}

/// What came of a load.
#[derive(Default)]
pub struct Calls {
    pub done: Vec<Call>,
    pub sent: usize,
}

impl Calls {
    /// Share of the latencies that are below, in us.
    pub fn percentile(&self, share: f64) -> f64 {
        percentile(self.done.iter(), share)
    }
}

/// The same of some of the calls.
pub fn percentile<'a>(calls: impl Iterator<Item = &'a Call>, share: f64) -> f64 {
    let Ok(mut histogram) = Histogram::<u64>::new(3) else { return 0.0 };
    // It grows as it has to; `saturating_record` would not, and takes what is above 2 ms for 2 us.
    for call in calls {
        let _ = histogram.record(call.micros);
    }
    histogram.value_at_quantile(share) as f64
}

/// Every peer calls so often a second, for so long; then the answers that are still missing are
/// waited for.
pub async fn run(peers: &[Arc<Peer>], rate: f64, time: Duration) -> Calls {
    let calls: Arc<Mutex<Calls>> = Arc::default();
    let begin = tokio::time::Instant::now();
    let period = Duration::from_secs_f64(1.0 / rate);
    let loads: Vec<_> = peers
        .iter()
        .enumerate()
        .map(|(number, peer)| {
            let (peer, calls) = (peer.clone(), calls.clone());
            let offset = period.mul_f64(number as f64 / peers.len() as f64);
            tokio::spawn(async move {
                let mut ticks = tokio::time::interval_at(begin + offset, period);
                ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
                let mut asked = Vec::new();
                while ticks.tick().await < begin + time {
                    asked.push(tokio::spawn(timed(peer.clone(), calls.clone())));
                }
                for call in asked {
                    let _ = call.await;
                }
            })
        })
        .collect();
    for load in loads {
        let _ = load.await;
    }
    std::mem::take(&mut *calls.lock().unwrap_or_else(PoisonError::into_inner))
}

async fn timed(peer: Arc<Peer>, calls: Arc<Mutex<Calls>>) {
    let (at, begin) = (monotonic(), Instant::now());
    let answered = peer.call().await.is_ok();
    let micros = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
    let mut calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
    calls.sent += 1;
    if answered {
        calls.done.push(Call { at, micros });
    }
}

/// A component in a file, for a server in another process.
pub fn file(bytes: &Bytes, name: &str) -> Result<std::path::PathBuf> {
    let folder = crate::modules::root().join("target/bench-components");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{name}.wasm"));
    std::fs::write(&path, bytes)?;
    Ok(path)
}

/// The runtime of the clients.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_long_counts_as_long() {
        let calls: Vec<Call> = (1..=100).map(|ms| Call { at: Duration::ZERO, micros: ms * 1_000 }).collect();
        let near = |share, ms: f64| (percentile(calls.iter(), share) / 1_000.0 - ms).abs() < 0.1;
        assert!(near(0.5, 50.0) && near(0.99, 99.0), "{}", percentile(calls.iter(), 0.5));
    }
}
