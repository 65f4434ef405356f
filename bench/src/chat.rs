//! `chat`: one client speaks, and everybody in its space hears it, over real QUIC; beside a bare server that sends the
//! same bytes to the same number of streams.

use crate::child::Server;
use crate::load::{self, Kind, Peer};
use crate::modules::AVATAR;
use crate::report::{Line, Report, monotonic, percentile};
use anyhow::{Context, Result, anyhow, bail, ensure};
use everwake_client::{ClientConfig, ClientEndpoint, ClientEvent, Value};
use everwake_protocol::EntityId;
use quinn::{RecvStream, SendStream, VarInt};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

const LISTENERS: usize = 1_000;
/// What is said; the first bytes say when.
const TEXT_BYTES: usize = 64;
/// A frame of a call with it: head, entity, method, and arguments with a number.
const FRAME_BYTES: usize = 96;
/// The others are let in at so many a time.
const CONNECTING: usize = 64;
/// Said words a second, where they come at a rate.
const RATE: f64 = 4.0;
/// Nothing takes longer on a machine that works.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was heard.
#[derive(Default)]
struct Heard {
    count: watch::Sender<usize>,
    /// From mouth to ear, us.
    ages: Mutex<Vec<f64>>,
}

/// What one server did.
struct Measured {
    per_second: f64,
    server_us: f64,
    p50: f64,
    p99: f64,
    deliveries: usize,
}

pub fn run(report: &mut Report) -> Result<()> {
    let component = load::file(&AVATAR.build()?, "avatar")?;
    let (words, seconds) = if report.quick { (40, 4) } else { (200, 15) };
    report.note(&format!(
        "1 speaker and {LISTENERS} listeners in one space, {TEXT_BYTES} bytes a word; {RATE} words a second for {seconds} s, \
         then {words} words, each when all have heard the last one"
    ));
    let bare = measure(None, words, seconds)?;
    let game = measure(Some(&component), words, seconds)?;
    let (line, runs) = (|| Some(Line::RatioAtMost(2.5)), game.deliveries);
    report.row("deliveries a second", game.per_second, "1/s", Some(bare.per_second), None, runs);
    report.row("server CPU a delivery", game.server_us, "us", Some(bare.server_us), line(), runs);
    report.row("from mouth to ear, p50", game.p50, "us", Some(bare.p50), None, runs);
    report.row("from mouth to ear, p99", game.p99, "us", Some(bare.p99), None, runs);
    Ok(())
}

fn measure(component: Option<&Path>, words: usize, seconds: u64) -> Result<Measured> {
    let mut server = match component {
        Some(component) => Server::game(component)?,
        None => Server::fan_out()?,
    };
    let field = match component {
        Some(_) => Some(id_of(&server.ask("open 0")?)?),
        None => None,
    };
    load::runtime()?.block_on(async {
        let heard = Arc::new(Heard::default());
        let mut room = Room::fill(server.address, field, &heard).await?;
        for _ in 0..4 {
            room.say().await?;
        }
        heard.ages.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let before = server.cpu()?;
        let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / RATE));
        let said = (seconds as f64 * RATE) as usize;
        for _ in 0..said {
            ticks.tick().await;
            room.say().await?;
        }
        let spent = server.cpu()? - before;
        let mut ages = std::mem::take(&mut *heard.ages.lock().unwrap_or_else(PoisonError::into_inner));
        let begin = Instant::now();
        for _ in 0..words {
            room.say().await?;
        }
        let deliveries = said * room.ears;
        ensure!(ages.len() == deliveries, "{} of {deliveries} were heard", ages.len());
        Ok(Measured {
            per_second: (words * room.ears) as f64 / begin.elapsed().as_secs_f64(),
            server_us: spent.as_secs_f64() * 1e6 / deliveries as f64,
            p50: percentile(&mut ages, 0.5),
            p99: percentile(&mut ages, 0.99),
            deliveries,
        })
    })
}

fn id_of(field: &serde_json::Value) -> Result<EntityId> {
    let text = field.as_str().with_context(|| format!("no field: {field}"))?;
    Ok(EntityId(text.parse().map_err(|_| anyhow!("`{text}` is no id"))?))
}

/// Everybody in one place; the speaker hears itself.
struct Room {
    mouth: Mouth,
    ears: usize,
    count: watch::Receiver<usize>,
    said: usize,
    _listeners: Vec<Arc<Peer>>,
}

enum Mouth {
    Game(Arc<Peer>),
    /// The first of all streams; one that is dropped is over.
    Bare(Vec<SendStream>),
}

impl Room {
    async fn fill(address: SocketAddr, field: Option<EntityId>, heard: &Arc<Heard>) -> Result<Room> {
        let ears = LISTENERS + 1;
        let (mouth, listeners) = match field {
            None => (Mouth::Bare(streams(address, ears, heard).await?), Vec::new()),
            Some(field) => {
                let peers = visitors(address, ears, field, heard).await?;
                (Mouth::Game(peers.first().cloned().context("nobody")?), peers)
            }
        };
        Ok(Room { mouth, ears, count: heard.count.subscribe(), said: 0, _listeners: listeners })
    }

    /// Says a word, and waits until all have heard it.
    async fn say(&mut self) -> Result<()> {
        let mut text = vec![7; TEXT_BYTES];
        let now = u64::try_from(monotonic().as_nanos())?;
        text.splice(..8, now.to_be_bytes());
        match &mut self.mouth {
            Mouth::Game(peer) => {
                let Peer::Game { client, own } = &**peer else { bail!("the speaker is no client") };
                client.call(*own, "say", &[Value::Bytes(text.into())]).await?;
            }
            Mouth::Bare(streams) => {
                let stream = streams.first_mut().context("nobody")?;
                text.resize(FRAME_BYTES, 7);
                stream.write_all(&text).await?;
            }
        }
        self.said += 1;
        let all = self.said * self.ears;
        let heard = tokio::time::timeout(PATIENCE, self.count.wait_for(|count| *count >= all)).await;
        let count = *heard.context("not all hear it")??;
        ensure!(count == all, "{count} deliveries of {all}");
        Ok(())
    }
}

impl Heard {
    fn take(&self, text: &[u8]) {
        let said_at = text.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let age = monotonic().saturating_sub(Duration::from_nanos(said_at)).as_secs_f64() * 1e6;
        self.ages.lock().unwrap_or_else(PoisonError::into_inner).push(age);
        self.count.send_modify(|count| *count += 1);
    }
}

async fn visitors(
    address: SocketAddr,
    count: usize,
    field: EntityId,
    heard: &Arc<Heard>,
) -> Result<Vec<Arc<Peer>>> {
    let peers = load::connect(Kind::Game, address, count).await?;
    for some in peers.chunks(CONNECTING) {
        let visits: Vec<_> =
            some.iter().cloned().map(|peer| tokio::spawn(async move { peer.visit(field).await })).collect();
        for visit in visits {
            visit.await??;
        }
    }
    for peer in &peers {
        let (peer, heard) = (peer.clone(), heard.clone());
        tokio::spawn(async move {
            let Peer::Game { client, .. } = &*peer else { return };
            while let Some(event) = client.next_event().await {
                if let ClientEvent::Called { args, .. } = event
                    && let Ok(values) = Value::decode_list(&args)
                    && let Some(Value::Bytes(text)) = values.get(1)
                {
                    heard.take(text);
                }
            }
        });
    }
    Ok(peers)
}

async fn streams(address: SocketAddr, count: usize, heard: &Arc<Heard>) -> Result<Vec<SendStream>> {
    let endpoint = ClientEndpoint::for_peer(address)?;
    let config = ClientConfig { endpoint: Some(endpoint), ..ClientConfig::local(address) };
    let mut mouths = Vec::new();
    while mouths.len() < count {
        let now = CONNECTING.min(count - mouths.len());
        let tasks: Vec<_> = (0..now).map(|_| tokio::spawn(stream(config.clone(), heard.clone()))).collect();
        for task in tasks {
            mouths.push(task.await??);
        }
    }
    Ok(mouths)
}

async fn stream(config: ClientConfig, heard: Arc<Heard>) -> Result<SendStream> {
    let connection = everwake_client::open(&config).await?;
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(&[0]).await?;
    let mut first = [0];
    receive.read_exact(&mut first).await?;
    tokio::spawn(listen(connection, receive, heard));
    Ok(send)
}

async fn listen(connection: quinn::Connection, mut receive: RecvStream, heard: Arc<Heard>) -> Result<()> {
    let mut frame = [0; FRAME_BYTES];
    while receive.read_exact(&mut frame).await.is_ok() {
        heard.take(&frame);
    }
    connection.close(VarInt::from_u32(0), b"");
    Ok(())
}
