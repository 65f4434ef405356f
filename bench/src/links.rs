//! `links`: messages from one end of a link to the other over TCP on loopback, beside framed TCP that writes many
//! frames at once and knows neither order, credit, classes nor lives. Both ends are in this process.

use crate::load;
use crate::report::{Report, median, process_cpu};
use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::{Buf as _, Bytes, BytesMut};
use everwake_link::tcp::{DialConfig, ListenConfig, Security, dial, listen};
use everwake_link::{Class, Event, Identity, Limits, Refused, Role};
use everwake_protocol::cluster::Incarnation;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Of a call, and of a patch with some attributes.
const SIZES: [usize; 2] = [64, 1_024];
/// As in a link.
const READ_BYTES: usize = 128 * 1024;
const WRITE_BYTES: usize = 256 * 1024;
const WAITING_MAX: usize = 16 * 1024;
/// As a link's message: length, kind and number.
const HEAD_BYTES: usize = 13;
/// Nothing takes longer on a machine that works.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn run(report: &mut Report) -> Result<()> {
    let (messages, runs) = if report.quick { (500_000, 3) } else { (2_000_000, 5) };
    report.note(&format!(
        "{messages} messages one way on loopback, CPU of both ends together; median of {runs} runs"
    ));
    let runtime = load::runtime()?;
    for size in SIZES {
        let each = |bare: bool| -> Result<f64> {
            let mut rates = Vec::new();
            for _ in 0..runs {
                let begin = process_cpu();
                runtime.block_on(async {
                    let passed = async {
                        if bare { over_tcp(messages, size).await } else { over_a_link(messages, size).await }
                    };
                    tokio::time::timeout(PATIENCE, passed).await.context("the messages do not arrive")?
                })?;
                rates.push(f64::from(messages) / (process_cpu() - begin).as_secs_f64());
            }
            Ok(median(&mut rates))
        };
        let (bare, link) = (each(true)?, each(false)?);
        report.row(&format!("{size} bytes: messages of one core"), link, "1/s", Some(bare), None, runs);
    }
    Ok(())
}

fn payload(size: usize) -> Bytes {
    vec![7; size].into()
}

fn identity(peer: &str) -> Result<Identity> {
    Ok(Identity { peer: peer.parse()?, incarnation: Incarnation { start: 1, random: 7 } })
}

async fn over_a_link(messages: u32, size: usize) -> Result<()> {
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    let address = socket.local_addr()?.to_string();
    let (game, dispatcher) = (identity("game/g-1")?, identity("dispatcher/d-1")?);
    let (limits, security) = (Limits::default(), Security::Loopback);
    let listening = ListenConfig { us: dispatcher.clone(), allowed: vec![Role::Game], security, limits };
    let mut listener = listen(socket, listening)?;
    let (peer, security) = (dispatcher.peer.clone(), Security::Loopback);
    let dialed = dial(DialConfig { us: game, peer, address, security, limits, seed: 3 })?;
    let mut taken = listener.accept().await.context("no link")?;
    let counting = tokio::spawn(async move {
        let mut left = messages;
        while left > 0 {
            let events = taken.receiver.recv_batch().await.context("the link ended")?;
            left -= u32::try_from(events.iter().filter(|it| matches!(it, Event::Message { .. })).count())?;
        }
        // Without it the link closes.
        anyhow::Ok(taken)
    });
    let mut receiver = dialed.receiver;
    while !matches!(receiver.recv().await.context("the link ended")?, Event::Up(_)) {}
    // Who does not take what a link says is cut off.
    let mut listening = tokio::spawn(async move {
        while let Some(events) = receiver.recv_batch().await {
            if let Some(strange) =
                events.iter().find(|it| matches!(it, Event::Refused { .. } | Event::Down { .. }))
            {
                bail!("the link says {strange:?}");
            }
        }
        anyhow::Ok(())
    });
    let sending = async {
        let payload = payload(size);
        for _ in 0..messages {
            let mut message = payload.clone();
            while let Err(back) = dialed.sender.send(dispatcher.incarnation, Class::Ordinary, message) {
                ensure!(back.why == Refused::Overloaded, "{}", back.why);
                message = back.message.payload;
                // As the owners of links wait for room.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        counting.await?
    };
    tokio::select! {
        biased;
        strange = &mut listening => strange?,
        // What it gives back keeps the link until here.
        taken = sending => taken.map(drop),
    }
}

async fn over_tcp(messages: u32, size: usize) -> Result<()> {
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    let address = socket.local_addr()?;
    let (to_socket, from_owner) = mpsc::channel::<Bytes>(WAITING_MAX);
    let writing = tokio::spawn(write(address, from_owner));
    let (stream, _) = socket.accept().await?;
    let (to_owner, mut from_socket) = mpsc::channel::<Vec<Bytes>>(1_024);
    let reading = tokio::spawn(read(stream, to_owner));
    let counting = tokio::spawn(async move {
        let mut left = messages;
        while left > 0 {
            left -= u32::try_from(from_socket.recv().await.context("the connection ended")?.len())?;
        }
        anyhow::Ok(())
    });
    let payload = payload(size);
    for _ in 0..messages {
        to_socket.send(payload.clone()).await.map_err(|_| anyhow!("the writer ended"))?;
    }
    counting.await??;
    drop(to_socket);
    writing.await??;
    reading.await?
}

/// Writes as many frames at once as wait.
async fn write(address: std::net::SocketAddr, mut frames: mpsc::Receiver<Bytes>) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut waiting, mut bytes) = (Vec::new(), Vec::with_capacity(WRITE_BYTES));
    while frames.recv_many(&mut waiting, WRITE_BYTES / HEAD_BYTES / 8).await > 0 {
        for frame in waiting.drain(..) {
            bytes.extend_from_slice(&u32::try_from(frame.len() + HEAD_BYTES - 4)?.to_be_bytes());
            bytes.extend_from_slice(&[0; HEAD_BYTES - 4]);
            bytes.extend_from_slice(&frame);
            if bytes.len() >= WRITE_BYTES {
                stream.write_all(&bytes).await?;
                bytes.clear();
            }
        }
        stream.write_all(&bytes).await?;
        bytes.clear();
    }
    Ok(())
}

/// Cuts what comes into frames, and hands over all of one read at once.
async fn read(mut stream: TcpStream, owner: mpsc::Sender<Vec<Bytes>>) -> Result<()> {
    let mut bytes = BytesMut::with_capacity(READ_BYTES);
    loop {
        bytes.reserve(READ_BYTES);
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
        let mut frames = Vec::new();
        while let Some(length) = bytes.get(..4) {
            let length = 4 + u32::from_be_bytes(length.try_into()?) as usize;
            if bytes.len() < length {
                break;
            }
            let mut frame = bytes.split_to(length).freeze();
            frame.advance(HEAD_BYTES);
            frames.push(frame);
        }
        if !frames.is_empty() && owner.send(frames).await.is_err() {
            return Ok(());
        }
    }
}
