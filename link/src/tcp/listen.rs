//! Takes connections, reads their greetings, and gives each to the link of its peer.
//!
//! Who has not greeted is a stranger: of them there are few, each has little time, and none costs more than one
//! greeting's memory.

use super::{Accepted, ConnectError, ListenConfig, StartError, Stream, connect, task};
use crate::core::{Config, Core, Side};
use crate::frame::{Batch, Frame};
use crate::greeter::{Greeted, Greeter};
use crate::handle::{Command, Link, halves};
use crate::handshake::HandshakeError;
use crate::limits::{GREETING_BYTES_MAX, PEERS_MAX, STRANGERS_MAX};
use crate::names::PeerName;
use crate::tls::permitted;
use bytes::{Bytes, BytesMut};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// After a socket could not be accepted, usually because files have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Gives a link for each peer that was never met before. When it is dropped all of its links close.
#[derive(Debug)]
pub struct Listener {
    links: mpsc::Receiver<Link>,
    address: SocketAddr,
}

impl Listener {
    /// The next new link. One that connects again stays the same link.
    pub async fn accept(&mut self) -> Option<Link> {
        self.links.recv().await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

struct Shared {
    config: ListenConfig,
    /// Every peer that was ever met: its link knows which of its lives are over.
    peers: Mutex<HashMap<PeerName, mpsc::UnboundedSender<Command>>>,
    links: mpsc::Sender<Link>,
}

#[derive(Debug, thiserror::Error)]
enum StrangerError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    #[error("it left before its greeting")]
    Left,
}

pub(super) fn start(socket: TcpListener, config: ListenConfig) -> Result<Listener, StartError> {
    config.limits.check()?;
    config.security.check(&config.us)?;
    let address = socket.local_addr()?;
    permitted(address, config.security.tls().is_some())?;
    let (sender, links) = mpsc::channel(PEERS_MAX);
    let shared = Shared { config, peers: Mutex::default(), links: sender };
    tokio::spawn(run(socket, Arc::new(shared)));
    Ok(Listener { links, address })
}

async fn run(socket: TcpListener, shared: Arc<Shared>) {
    let strangers = Arc::new(Semaphore::new(STRANGERS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = shared.links.closed() => break,
        };
        match accepted {
            Ok((connection, address)) => match strangers.clone().try_acquire_owned() {
                Ok(permit) => drop(tokio::spawn(meet(connection, address, shared.clone(), permit))),
                Err(_) => {
                    tracing::warn!(%address, "a connection is closed: {STRANGERS_MAX} others have not greeted")
                }
            },
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    let peers = std::mem::take(&mut *shared.peers.lock().unwrap_or_else(PoisonError::into_inner));
    for commands in peers.into_values() {
        // Who has ended already is closed.
        let _ = commands.send(Command::Close);
    }
}

async fn meet(connection: TcpStream, address: SocketAddr, shared: Arc<Shared>, permit: OwnedSemaphorePermit) {
    let waited_ms = shared.config.limits.greeting_ms;
    let met =
        tokio::time::timeout(Duration::from_millis(waited_ms), greet(connection, address, &shared)).await;
    let us = shared.config.us.peer.clone();
    let error = match met {
        Ok(Ok((stream, greeted))) => match shared.give(Accepted::new(stream, greeted, permit)) {
            Ok(()) => return,
            Err(refused) => {
                let (accepted, error) = *refused;
                refuse(accepted.stream, &error).await;
                error.into()
            }
        },
        Ok(Err(error)) => error,
        Err(_) => HandshakeError::Timeout { us, waited_ms }.into(),
    };
    tracing::warn!(%address, %error, "a connection is refused");
}

async fn greet(
    connection: TcpStream,
    address: SocketAddr,
    shared: &Shared,
) -> Result<(Stream, Greeted), StrangerError> {
    let security = &shared.config.security;
    permitted(address, security.tls().is_some()).map_err(ConnectError::from)?;
    let (mut stream, certified) = connect::server(connection, security).await?;
    let mut greeter = Greeter::new(shared.config.us.peer.clone(), &shared.config.allowed, certified);
    let mut buffer = BytesMut::with_capacity(GREETING_BYTES_MAX);
    loop {
        match stream.reader.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return Err(StrangerError::Left),
            Ok(_) => {}
        }
        match greeter.handle(buffer.split().freeze()) {
            Ok(Some(greeted)) => return Ok((stream, greeted)),
            Ok(None) => buffer.reserve(GREETING_BYTES_MAX),
            Err(error) => {
                refuse(stream, &error).await;
                return Err(error.into());
            }
        }
    }
}

/// Says why, as far as the other side listens.
async fn refuse(mut stream: Stream, error: &HandshakeError) {
    if let Some(refusal) = error.refusal() {
        let bytes: Bytes = Batch { frames: vec![Frame::Refused(Box::new(refusal))] }.to_bytes();
        let _ = stream.writer.write_all(&bytes).await;
        let _ = stream.writer.shutdown().await;
    }
}

impl Shared {
    /// To the link of its peer; a new link for a new peer.
    fn give(&self, accepted: Accepted) -> Result<(), Box<(Accepted, HandshakeError)>> {
        let peer = accepted.hello.peer.clone();
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(commands) = peers.get(&peer) {
            // A link that has ended takes nobody: the process is about to end too.
            let _ = commands.send(Command::Accepted(Box::new(accepted)));
            return Ok(());
        }
        let us = self.config.us.clone();
        if peers.len() >= PEERS_MAX {
            let error = HandshakeError::Full { us: us.peer, them: peer, peers: peers.len() };
            return Err(Box::new((accepted, error)));
        }
        let config =
            Config { us, peer: peer.clone(), side: Side::Listener, limits: self.config.limits, seed: 0 };
        let (link, side) = halves(peer.clone(), self.config.limits);
        // The limits were checked at the start.
        let Ok(core) = Core::new(config) else { return Ok(()) };
        let _ = link.sender.commands().send(Command::Accepted(Box::new(accepted)));
        peers.insert(peer, link.sender.commands().clone());
        tokio::spawn(task::run(core, side, None));
        // As many places as peers; a listener that is gone closes its links.
        let _ = self.links.try_send(link);
        Ok(())
    }
}
