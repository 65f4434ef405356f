//! Sockets for dispatchers, and for the processes that they serve: bytes and time between links and cores.
//!
//! It decides nothing about envelopes, moves and deaths. What it decides is how a link's fate is told to a core, and
//! that bytes which are no message end their link.
//!
//! # Layout
//! - here: [`serve`], a dispatcher; `server`: its task.
//! - [`uplinks`]: a game's or a gate's links to all dispatchers. `board`: which links stand.

use crate::router::RouterConfig;
use everwake_link::tcp::{DialConfig, ListenConfig, Security, StartError, dial, listen};
use everwake_link::{Event, Identity, Limits, PeerName, PerLane, Role, Session, Up};
use server::{Server, forward};
use std::future::Future;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

mod board;
mod server;
#[cfg(test)]
mod tests;
pub mod uplinks;

pub use board::LinkBoard;
pub use uplinks::{MemberInputs, UplinkConfig, Uplinks, connect};

/// Batches of events of all links that wait for a core. Each holds about one read of a socket.
const BATCHES_MAX: usize = 64;

/// What a dispatcher is told.
#[derive(Clone, Debug)]
pub struct DispatcherConfig {
    /// Of the core. Its dispatchers are those of `others`.
    pub router: RouterConfig,
    /// Where each other dispatcher listens. Of two, the one with the smaller name dials.
    pub others: Vec<(PeerName, String)>,
    /// How links are protected.
    pub security: Security,
    /// Of each link.
    pub limits: Limits,
    /// Any number; see [`DialConfig::seed`].
    pub seed: u64,
    /// Shows which links stand.
    pub board: LinkBoard,
}

/// Serves on a socket that is bound, until `shutdown`. Inside of a tokio runtime.
pub async fn serve(
    config: DispatcherConfig,
    socket: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let DispatcherConfig { router, others, security, limits, seed, board } = config;
    let us = Identity { peer: router.name.clone(), incarnation: router.incarnation };
    let allowed = Role::ALL.to_vec();
    let mut listener =
        listen(socket, ListenConfig { us: us.clone(), allowed, security: security.clone(), limits })?;
    let (told, mut events) = mpsc::channel(BATCHES_MAX);
    let mut server = Server::new(router, board);
    for (peer, address) in others {
        if us.peer < peer {
            let (us, security) = (us.clone(), security.clone());
            let link = dial(DialConfig { us, peer: peer.clone(), address, security, limits, seed })?;
            server.add(link.sender);
            tokio::spawn(forward(peer, link.receiver, told.clone()));
        }
    }
    tracing::info!(address = %listener.address(), "dispatcher listens");
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let wake = server.until_wake();
        tokio::select! {
            link = listener.accept() => match link {
                Some(link) => {
                    let peer = link.sender.peer().clone();
                    tracing::debug!(%peer, "links for the first time");
                    server.add(link.sender);
                    tokio::spawn(forward(peer, link.receiver, told.clone()));
                }
                None => break,
            },
            Some((peer, batch)) = events.recv() => server.heard(&peer, batch),
            () = tokio::time::sleep(wake) => server.wake(),
            () = &mut shutdown => break,
        }
    }
    server.close();
    drop(listener);
    drop(told);
    // What links still say nobody needs; they end by themselves, in bounded time.
    while events.recv().await.is_some() {}
    tracing::info!("dispatcher stopped");
    Ok(())
}

/// Whether a link that stands has lost anything, or begins.
fn has_lost(up: &Up) -> bool {
    up.session != Session::Resumed || up.lost != PerLane::default()
}

/// What an operator should see of a link.
fn log(peer: &PeerName, event: &Event) {
    match event {
        Event::Up(up) => {
            let (start, lost) = (up.incarnation.start, has_lost(up));
            tracing::info!(%peer, start, session = ?up.session, lost, "the link stands");
        }
        Event::Down(why) => tracing::warn!(%peer, %why, "the link is cut"),
        Event::Failed(why) => tracing::warn!(%peer, %why, "a link is not made"),
        Event::Closed => tracing::debug!(%peer, "the link has ended"),
        Event::Message { .. } | Event::Refused { .. } => {}
    }
}
