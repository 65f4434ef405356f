//! The driver with sockets: dials and listens, and moves bytes and time between connections and cores.
//!
//! It decides nothing about links. What it decides is who may come near one: addresses in the clear, the number
//! of strangers, and the time that each gets for its greeting.

use crate::core::{Config, Core, Side};
use crate::frame::Decoder;
use crate::greeter::Greeted;
use crate::handle::{Link, halves};
use crate::handshake::Hello;
use crate::limits::{Limits, LimitsError};
use crate::names::{Identity, PeerName, Role};
use crate::tls::{ExposedError, Tls, TlsError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::OwnedSemaphorePermit;

mod connect;
mod listen;
mod task;

pub use listen::Listener;

/// How a link is protected.
#[derive(Clone, Debug)]
pub enum Security {
    /// Not at all: only within one machine.
    Loopback,
    /// Mutual TLS.
    Tls(Tls),
}

impl Security {
    fn tls(&self) -> Option<&Tls> {
        match self {
            Security::Loopback => None,
            Security::Tls(tls) => Some(tls),
        }
    }

    /// A certificate of another process than this one would be refused by every peer.
    fn check(&self, us: &Identity) -> Result<(), StartError> {
        match self.tls() {
            Some(tls) if *tls.name() != us.peer => {
                Err(StartError::Certificate { us: us.peer.clone(), certified: tls.name().clone() })
            }
            _ => Ok(()),
        }
    }
}

/// What a dialer is told.
#[derive(Clone, Debug)]
pub struct DialConfig {
    /// This process.
    pub us: Identity,
    /// The process at the address.
    pub peer: PeerName,
    /// Host and port; looked up for each attempt.
    pub address: String,
    /// How the link is protected.
    pub security: Security,
    /// See [`Limits`].
    pub limits: Limits,
    /// See [`Config::seed`].
    pub seed: u64,
}

/// What a listener is told.
#[derive(Clone, Debug)]
pub struct ListenConfig {
    /// This process.
    pub us: Identity,
    /// Roles that may link to it.
    pub allowed: Vec<Role>,
    /// How links are protected.
    pub security: Security,
    /// Of each link.
    pub limits: Limits,
}

/// A dialer or a listener that does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// See [`LimitsError`].
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// Would be reached from other machines in the clear.
    #[error(transparent)]
    Exposed(#[from] ExposedError),
    /// Someone else's certificate.
    #[error("`{us}` has the certificate of `{certified}`; hint: give each process its own")]
    Certificate {
        /// This process.
        us: PeerName,
        /// Whom the certificate names.
        certified: PeerName,
    },
    /// The socket.
    #[error("the listening socket cannot be used: {0}")]
    Socket(#[from] std::io::Error),
}

/// A connection that cannot be made, or not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("`{0}` has no address; hint: look at the host's name in the configuration")]
    Lookup(String),
    #[error(transparent)]
    Exposed(#[from] ExposedError),
    #[error("`{address}` cannot be connected to: {error}; hint: is the process running there?")]
    Socket { address: std::net::SocketAddr, error: std::io::Error },
    #[error("TLS fails: {0}; hint: have both sides certificates of one authority, and both of them TLS?")]
    Tls(std::io::Error),
    #[error(transparent)]
    Certificate(#[from] TlsError),
}

/// Starts a link that connects again and again. Inside of a tokio runtime.
pub fn dial(config: DialConfig) -> Result<Link, StartError> {
    config.security.check(&config.us)?;
    let core = Core::new(Config {
        us: config.us.clone(),
        peer: config.peer.clone(),
        side: Side::Dialer,
        limits: config.limits,
        seed: config.seed,
    })?;
    let (link, side) = halves(config.peer.clone(), config.limits);
    tokio::spawn(task::run(core, side, Some(config)));
    Ok(link)
}

/// Starts to take links on a socket that is bound. Inside of a tokio runtime.
pub fn listen(socket: TcpListener, config: ListenConfig) -> Result<Listener, StartError> {
    listen::start(socket, config)
}

/// The halves of a connection, with or without TLS.
pub(crate) struct Stream {
    pub(crate) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) writer: Box<dyn AsyncWrite + Send + Unpin>,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stream")
    }
}

/// A connection whose greeting a listener has taken.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: Stream,
    pub(crate) hello: Box<Hello>,
    pub(crate) decoder: Decoder,
    /// It counts as a stranger until its link has it.
    pub(crate) _stranger: OwnedSemaphorePermit,
}

impl Accepted {
    fn new(stream: Stream, greeted: Greeted, stranger: OwnedSemaphorePermit) -> Accepted {
        Accepted { stream, hello: greeted.hello, decoder: greeted.decoder, _stranger: stranger }
    }
}
