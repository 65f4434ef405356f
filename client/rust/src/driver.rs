//! The driver: one task for each connection moves bytes and time between quinn and the core.

use crate::core::{BrokenStream, ClientCore, ClientEvent, Greeting, GreetingError, LeftOpen, RequestError};
use crate::mirror::Entity;
use crate::tls::{self, Trust, TrustError};
use crate::value::Value;
use bytes::Bytes;
use everwake_protocol::client::{CloseCode, Pose};
use everwake_protocol::limits::{ALPN, HELLO_TIMEOUT_MS, IDLE_TIMEOUT_MS, KEEP_ALIVE_MS};
use everwake_protocol::outcome::{Certainty, Outcome, code};
use everwake_protocol::{EntityId, SessionId};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig as QuicConfig, ConnectionError, IdleTimeout, TransportConfig, VarInt, WriteError};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

const TICK: Duration = Duration::from_millis(100);
/// Largest piece of the stream that is taken at once.
const CHUNK: usize = 64 * 1024;

/// What a server may send before the client has read it. 2.5 MB a second over 100 ms; a burst of
/// this size does not overrun the socket, in which a close could get lost.
const WINDOW_BYTES: u32 = 256 * 1024;
/// How long the server may take to hear a good-bye.
const GOOD_BYE: Duration = Duration::from_secs(1);
/// Datagrams that wait to be read.
const DATAGRAM_BYTES: usize = 64 * 1024;

/// What a client needs to know.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The gate.
    pub address: SocketAddr,
    /// Name that the certificate is for; matters only with [`Trust::Roots`].
    pub server_name: String,
    /// Which server is believed.
    pub trust: Trust,
    /// What is said first.
    pub greeting: Greeting,
    /// Shared by many clients (bots); none: an endpoint of its own.
    pub endpoint: Option<ClientEndpoint>,
    /// Events that wait to be taken. More are counted and left out.
    pub events_max: usize,
}

impl ClientConfig {
    /// A client of a development gate on this machine.
    pub fn local(address: SocketAddr) -> ClientConfig {
        ClientConfig {
            address,
            server_name: "localhost".to_owned(),
            trust: Trust::AnyOnLoopback,
            greeting: Greeting::default(),
            endpoint: None,
            events_max: 4_096,
        }
    }
}

/// A UDP socket for any number of clients.
#[derive(Clone, Debug)]
pub struct ClientEndpoint(quinn::Endpoint);

impl ClientEndpoint {
    /// Binds any port of the address. Must be called inside of a tokio runtime.
    pub fn bind(address: SocketAddr) -> std::io::Result<ClientEndpoint> {
        quinn::Endpoint::client(address).map(ClientEndpoint)
    }

    /// Any port, for peers of the family of `peer`.
    pub fn for_peer(peer: SocketAddr) -> std::io::Result<ClientEndpoint> {
        let any = if peer.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        ClientEndpoint::bind(any.parse().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0))))
    }

    /// Whether it is of the family of a peer.
    pub(crate) fn reaches(&self, peer: SocketAddr) -> bool {
        self.0.local_addr().is_ok_and(|own| own.is_ipv4() == peer.is_ipv4())
    }
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// The gate closed it with one of its codes.
    #[error("closed by the server: {code:?}: {reason}")]
    ByServer {
        /// None: a code that is not known here.
        code: Option<CloseCode>,
        /// For people.
        reason: String,
    },
    /// The client closed it.
    #[error("closed by the client")]
    ByClient,
    /// The server fell silent.
    #[error("the server does not answer")]
    TimedOut,
    /// The server broke the protocol.
    #[error(transparent)]
    Broken(#[from] BrokenStream),
    /// The two sides of TLS did not agree: the certificate is not believed, or one of them speaks something else.
    #[error("{0}")]
    Handshake(String),
    /// The transport.
    #[error("{0}")]
    Transport(String),
}

/// How a connection ended, and what it left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Why.
    pub why: Closed,
    /// Requests that had no answer.
    pub open: LeftOpen,
}

impl BrokenStream {
    fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The certificate options.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// [`Trust::AnyOnLoopback`] with another address.
    #[error("`{0}` is no loopback address: pin the certificate or give roots")]
    NotLoopback(SocketAddr),
    /// The local socket, or the address.
    #[error("cannot connect to `{0}`: {1}")]
    Socket(SocketAddr, String),
    /// The greeting cannot be said.
    #[error(transparent)]
    Greeting(#[from] GreetingError),
    /// The connection ended before the welcome.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// No welcome came in time.
    #[error("no welcome came in time")]
    TimedOut,
}

/// Why a call has no value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    /// It was not sent.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The server answered an error.
    #[error("{}", Outcome::Err { certainty: *certainty, code: code.clone(), detail: detail.clone() })]
    Failed {
        /// Whether it may have happened.
        certainty: Certainty,
        /// Names the error to programs.
        code: String,
        /// One CBOR item.
        detail: Bytes,
    },
    /// The answer is no CBOR.
    #[error("the answer cannot be read: {0}")]
    Answer(String),
}

#[derive(Debug)]
struct State {
    core: ClientCore,
    waiting: BTreeMap<u64, oneshot::Sender<Outcome>>,
    missed: u64,
    /// Bytes of the stream that the transport has taken.
    written: u64,
    /// Nothing is said any more but what waits to be written.
    leaving: bool,
    /// Nothing is written and nobody is answered any more.
    ended: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// There is something to be written.
    wake: Notify,
    origin: Instant,
    quic: quinn::Connection,
    /// Rises with everything that came from the server.
    news: watch::Sender<u64>,
    closed: watch::Sender<Option<Ended>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the core between two whole steps.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says something, if it can be heard.
    fn say<T>(
        &self,
        what: impl FnOnce(&mut State, Duration) -> Result<T, RequestError>,
    ) -> Result<T, RequestError> {
        let mut state = self.state();
        if state.ended {
            return Err(RequestError::Closed);
        }
        let said = what(&mut state, self.origin.elapsed())?;
        drop(state);
        self.wake.notify_one();
        Ok(said)
    }
}

/// A connection to a gate. Dropping it closes the connection.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    events: tokio::sync::Mutex<mpsc::Receiver<ClientEvent>>,
}

impl Client {
    /// Connects, greets, and waits for the welcome.
    pub async fn connect(config: ClientConfig) -> Result<Client, ConnectError> {
        let core = ClientCore::new(&config.greeting)?;
        let quic = open(&config).await?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                core,
                waiting: BTreeMap::new(),
                missed: 0,
                written: 0,
                leaving: false,
                ended: false,
            }),
            wake: Notify::new(),
            origin: Instant::now(),
            quic,
            news: watch::Sender::new(0),
            closed: watch::Sender::new(None),
        });
        let (sender, events) = mpsc::channel(config.events_max.max(1));
        tokio::spawn(run(Arc::clone(&shared), sender));
        let client = Client { shared, events: tokio::sync::Mutex::new(events) };
        let timeout = Duration::from_millis(HELLO_TIMEOUT_MS);
        match client.wait(timeout, |core| core.session().is_some()).await {
            Ok(true) => Ok(client),
            Ok(false) => Err(ConnectError::TimedOut),
            Err(closed) => Err(closed.into()),
        }
    }

    /// Calls a method of an entity in view and waits at most five seconds for the answer. After the end of
    /// the connection it is not sent ([`RequestError::Closed`]).
    pub async fn call(&self, entity: EntityId, method: &str, args: &[Value]) -> Result<Value, CallError> {
        let answer = self.ask(5_000, |core, now| core.request(now, entity, method, args, 5_000)).await?;
        Value::decode(&answer).map_err(|error| CallError::Answer(error.to_string()))
    }

    /// The same with encoded arguments and answer, and a deadline.
    pub async fn call_encoded(
        &self,
        entity: EntityId,
        method: &str,
        args: Bytes,
        deadline_ms: u32,
    ) -> Result<Bytes, CallError> {
        self.ask(deadline_ms, |core, now| core.request_encoded(now, entity, method, args, deadline_ms)).await
    }

    /// The same, unchecked: by small id, on any entity. For tests that are hostile.
    pub async fn call_by_id(
        &self,
        entity: EntityId,
        method: u32,
        args: Bytes,
        deadline_ms: u32,
    ) -> Result<Bytes, CallError> {
        self.ask(deadline_ms, |core, now| Ok(core.request_by_id(now, entity, method, args, deadline_ms)))
            .await
    }

    /// Calls without waiting for an answer.
    pub fn post(&self, entity: EntityId, method: &str, args: &[Value]) -> Result<(), RequestError> {
        self.shared.say(|state, now| state.core.request(now, entity, method, args, 0)).map(drop)
    }

    /// Moves the own entity; the newest move wins, some may get lost.
    pub fn move_to(&self, pose: Pose, motion: &[u8]) {
        let datagram = self.shared.state().core.move_to(pose, motion);
        // Lost moves are not missed: the next one says more.
        let _ = self.shared.quic.send_datagram(datagram);
    }

    /// Asks for a [`ClientEvent::Pong`].
    pub fn ping(&self, nonce: u64) -> Result<(), RequestError> {
        self.shared.say(|state, _| state.core.ping(nonce))
    }

    /// The next thing that happened; none when the connection has ended.
    pub async fn next_event(&self) -> Option<ClientEvent> {
        self.events.lock().await.recv().await
    }

    /// Events that nobody took in time.
    pub fn missed_events(&self) -> u64 {
        self.shared.state().missed
    }

    /// Reads the mirror: schema, entities, attributes. Keep it short, the connection waits.
    pub fn read<T>(&self, read: impl FnOnce(&ClientCore) -> T) -> T {
        read(&self.shared.state().core)
    }

    /// Name of this connection.
    pub fn session(&self) -> Option<SessionId> {
        self.read(ClientCore::session)
    }

    /// The own entity, if it is in view.
    pub fn own(&self) -> Option<EntityId> {
        self.read(|core| core.own().map(|own| own.id))
    }

    /// An entity in view.
    pub fn entity(&self, id: EntityId) -> Option<Entity> {
        self.read(|core| core.entity(id).cloned())
    }

    /// The value of an attribute by name, the initial one if nothing else was said.
    pub fn attribute(&self, entity: EntityId, name: &str) -> Option<Value> {
        self.read(|core| core.attribute(entity, name))
    }

    /// Waits until the mirror is as `until` says: true; false after `timeout`.
    pub async fn wait(&self, timeout: Duration, until: impl Fn(&ClientCore) -> bool) -> Result<bool, Closed> {
        let (mut news, mut closed) = (self.shared.news.subscribe(), self.shared.closed.subscribe());
        let deadline = Instant::now() + timeout;
        loop {
            if self.read(&until) {
                return Ok(true);
            }
            if let Some(ended) = closed.borrow().clone() {
                return Err(ended.why);
            }
            tokio::select! {
                _ = news.changed() => {}
                _ = closed.changed() => {}
                () = tokio::time::sleep_until(deadline) => return Ok(false),
            }
        }
    }

    /// Round trip as QUIC measures it.
    pub fn round_trip(&self) -> Duration {
        self.shared.quic.rtt()
    }

    /// The QUIC connection, for tests that misuse it.
    pub fn quic(&self) -> &quinn::Connection {
        &self.shared.quic
    }

    /// Why the connection ended, once it has.
    pub async fn closed(&self) -> Closed {
        self.ended().await.why
    }

    /// Whether the connection has ended.
    pub fn has_ended(&self) -> bool {
        self.shared.closed.borrow().is_some()
    }

    /// How the connection ended, once it has.
    pub async fn ended(&self) -> Ended {
        let mut closed = self.shared.closed.subscribe();
        loop {
            if let Some(ended) = closed.borrow_and_update().clone() {
                return ended;
            }
            if closed.changed().await.is_err() {
                return Ended { why: Closed::ByClient, open: LeftOpen::default() };
            }
        }
    }

    /// Says good-bye behind all that was said before, and waits until the server has heard it, at most a
    /// second. Then the connection is closed.
    pub async fn close(&self) {
        self.shared.state().leaving = true;
        self.shared.wake.notify_one();
        if tokio::time::timeout(GOOD_BYE, self.closed()).await.is_err() {
            self.end();
            // The close packet leaves with the endpoint's next turn.
            let _ = tokio::time::timeout(GOOD_BYE, self.closed()).await;
        }
    }

    /// Ends the connection at once; what was said last may be lost.
    pub(crate) fn end(&self) {
        self.shared.quic.close((CloseCode::Done as u32).into(), b"good-bye");
    }

    async fn ask(
        &self,
        deadline_ms: u32,
        request: impl FnOnce(&mut ClientCore, Duration) -> Result<u64, RequestError>,
    ) -> Result<Bytes, CallError> {
        let (sender, answer) = oneshot::channel();
        self.shared.say(|state, now| {
            let request = request(&mut state.core, now)?;
            if deadline_ms > 0 {
                state.waiting.insert(request, sender);
            }
            Ok(())
        })?;
        if deadline_ms == 0 {
            return Ok(Bytes::from_static(&[everwake_protocol::cbor::NULL]));
        }
        match answer.await {
            Ok(Outcome::Ok(value)) => Ok(value),
            Ok(Outcome::Err { certainty, code, detail }) => {
                Err(CallError::Failed { certainty, code, detail })
            }
            // Nobody knows of it any more; what had become of it would have been said.
            Err(_) => Err(CallError::Failed {
                certainty: Certainty::Unknown,
                code: code::DISCONNECTED.to_owned(),
                detail: Bytes::from_static(&[everwake_protocol::cbor::NULL]),
            }),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.end();
    }
}

/// Connects and says nothing: for tools that speak the protocol by themselves, such as hostile
/// tests.
pub async fn open(config: &ClientConfig) -> Result<quinn::Connection, ConnectError> {
    if config.trust == Trust::AnyOnLoopback && !config.address.ip().is_loopback() {
        return Err(ConnectError::NotLoopback(config.address));
    }
    let socket = |error: &dyn std::fmt::Display| ConnectError::Socket(config.address, error.to_string());
    let crypto = QuicClientConfig::try_from(tls::config(&config.trust, ALPN)?)
        .map_err(|error| TrustError::Tls(error.to_string()))?;
    let mut quic = QuicConfig::new(Arc::new(crypto));
    let mut transport = TransportConfig::default();
    transport
        .keep_alive_interval(Some(Duration::from_millis(KEEP_ALIVE_MS)))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_TIMEOUT_MS as u32))))
        .stream_receive_window(VarInt::from_u32(WINDOW_BYTES))
        .receive_window(VarInt::from_u32(2 * WINDOW_BYTES))
        .datagram_receive_buffer_size(Some(DATAGRAM_BYTES))
        .max_concurrent_bidi_streams(VarInt::from_u32(0));
    quic.transport_config(Arc::new(transport));
    let endpoint = match &config.endpoint {
        Some(endpoint) => endpoint.clone(),
        None => ClientEndpoint::for_peer(config.address).map_err(|error| socket(&error))?,
    };
    let connecting =
        endpoint.0.connect_with(quic, config.address, &config.server_name).map_err(|error| socket(&error))?;
    connecting.await.map_err(|error| ConnectError::Closed(closed(&error)))
}

/// What the end of a connection means.
pub fn closed(error: &ConnectionError) -> Closed {
    match error {
        ConnectionError::ApplicationClosed(close) => Closed::ByServer {
            code: CloseCode::from_code(close.error_code.into_inner()),
            reason: String::from_utf8_lossy(&close.reason).into_owned(),
        },
        ConnectionError::LocallyClosed => Closed::ByClient,
        ConnectionError::TimedOut => Closed::TimedOut,
        ConnectionError::TransportError(said) if is_of_tls(said.code) => Closed::Handshake(error.to_string()),
        ConnectionError::ConnectionClosed(said) if is_of_tls(said.error_code) => {
            Closed::Handshake(error.to_string())
        }
        other => Closed::Transport(other.to_string()),
    }
}

/// RFC 9000, 20.1: CRYPTO_ERROR is an alert of TLS.
fn is_of_tls(code: quinn::TransportErrorCode) -> bool {
    (0x100..0x200).contains(&u64::from(code))
}

async fn run(shared: Arc<Shared>, events: mpsc::Sender<ClientEvent>) {
    let why = match exchange(&shared, &events).await {
        Ok(()) => closed(&shared.quic.closed().await),
        Err(broken) => {
            shared.quic.close((CloseCode::Protocol as u32).into(), broken.bytes());
            Closed::Broken(broken)
        }
    };
    let open = {
        let mut state = shared.state();
        state.ended = true;
        let written = state.written;
        state.core.end(written)
    };
    // Whoever waits for an answer learns that none comes.
    publish(&shared, &events);
    shared.closed.send_replace(Some(Ended { why, open }));
}

/// Moves bytes until the connection ends, or the server breaks the protocol.
async fn exchange(shared: &Shared, events: &mpsc::Sender<ClientEvent>) -> Result<(), BrokenStream> {
    let Ok((mut send, mut receive)) = shared.quic.open_bi().await else { return Ok(()) };
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut open, mut finished) = (true, false);
    let mut unsent = Bytes::new();
    loop {
        let leaving = {
            let mut state = shared.state();
            if unsent.is_empty() && !finished {
                unsent = state.core.take_output().into();
            }
            state.leaving
        };
        if leaving && unsent.is_empty() && !finished {
            finished = true;
            // A stream that the server stopped is heard of as the end of the connection.
            let _ = send.finish();
        }
        tokio::select! {
            // The server may be slow to read: meanwhile the rest goes on.
            written = send.write_chunks(std::slice::from_mut(&mut unsent)), if !unsent.is_empty() => match written {
                Ok(written) => {
                    shared.state().written += written.bytes as u64;
                    continue;
                }
                Err(WriteError::Stopped(_)) => return Err(BrokenStream("the stream was stopped".to_owned())),
                Err(_) => break,
            },
            chunk = receive.read_chunk(CHUNK, true), if open => match chunk {
                Ok(Some(chunk)) => shared.state().core.receive(&chunk.bytes)?,
                // The reason comes with the end of the connection.
                _ => open = false,
            },
            datagram = shared.quic.read_datagram() => match datagram {
                Ok(datagram) => shared.state().core.receive_datagram(datagram),
                Err(_) => break,
            },
            () = shared.wake.notified() => {}
            _ = ticks.tick() => shared.state().core.tick(shared.origin.elapsed()),
        }
        publish(shared, events);
    }
    // What arrived before the end counts, such as the last words before a kick.
    while open && let Ok(Some(chunk)) = receive.read_chunk(CHUNK, true).await {
        shared.state().core.receive(&chunk.bytes)?;
    }
    publish(shared, events);
    Ok(())
}

fn publish(shared: &Shared, events: &mpsc::Sender<ClientEvent>) {
    let mut state = shared.state();
    while let Some(event) = state.core.poll_event() {
        if let ClientEvent::Replied { request, outcome } = &event
            && let Some(waiting) = state.waiting.remove(request)
        {
            // Whoever gave up waiting does not want to know.
            let _ = waiting.send(outcome.clone());
        }
        if events.try_send(event).is_err() {
            state.missed += 1;
        }
    }
    drop(state);
    shared.news.send_modify(|news| *news = news.wrapping_add(1));
}
