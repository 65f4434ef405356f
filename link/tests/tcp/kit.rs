//! A listener and a dialer in one runtime, and a door between them that can be shut.

use everwake_link::tcp::{DialConfig, ListenConfig, Listener, Security, dial, listen};
use everwake_link::{Event, Identity, Limits, Link, Receiver, Role, Up};
use everwake_protocol::cluster::Incarnation;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// No test waits longer for anything that has to happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn identity(peer: &str, start: u32) -> Identity {
    Identity {
        peer: peer.parse().unwrap(),
        incarnation: Incarnation { start, random: u64::from(start) + 77 },
    }
}

/// Quick to come back, for tests that cut often.
pub fn quick() -> Limits {
    Limits { backoff_min_ms: 1, backoff_max_ms: 5, ..Limits::default() }
}

pub async fn listener(us: &str, security: Security) -> Listener {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let allowed = vec![Role::Game, Role::Gate];
    listen(socket, ListenConfig { us: identity(us, 1), allowed, security, limits: quick() }).unwrap()
}

pub fn dialer(us: &str, peer: &str, address: SocketAddr, security: Security) -> Link {
    let (us, peer, address) = (identity(us, 1), peer.parse().unwrap(), address.to_string());
    dial(DialConfig { us, peer, address, security, limits: quick(), seed: 3 }).unwrap()
}

pub async fn next(receiver: &mut Receiver) -> Event {
    tokio::time::timeout(PATIENCE, receiver.recv())
        .await
        .expect("nothing happens")
        .expect("the link has ended")
}

pub async fn up(receiver: &mut Receiver) -> Up {
    loop {
        if let Event::Up(up) = next(receiver).await {
            return up;
        }
    }
}

/// Passes bytes on to `target`, and cuts all connections each time that the sender is told.
pub async fn door(target: SocketAddr) -> (SocketAddr, watch::Sender<u32>) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let (cuts, cut) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut inner, _)) = socket.accept().await {
            let mut cut = cut.clone();
            cut.mark_unchanged();
            tokio::spawn(async move {
                let mut outer = TcpStream::connect(target).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut inner, &mut outer) => {}
                    _ = cut.changed() => {}
                }
            });
        }
    });
    (address, cuts)
}
