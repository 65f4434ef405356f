//! The driver: holds the client of the session that there is, and the attempt that is under way.

use super::{ConnectionEvent, Input, Output, Over, ReconnectCore, ReconnectPolicy};
use crate::core::{ClientEvent, Greeting, RequestError};
use crate::driver::{CallError, Client, ClientConfig, ClientEndpoint, ConnectError};
use crate::tls::Trust;
use crate::value::Value;
use everwake_protocol::EntityId;
use ring::rand::{SecureRandom as _, SystemRandom};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// One of the gates that a client may go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateEntry {
    /// Where it is.
    pub address: SocketAddr,
    /// Name that its certificate is for; matters only with [`Trust::Roots`].
    pub server_name: String,
    /// Which certificate is believed there.
    pub trust: Trust,
}

impl GateEntry {
    /// A development gate on this machine.
    pub fn local(address: SocketAddr) -> GateEntry {
        GateEntry { address, server_name: "localhost".to_owned(), trust: Trust::AnyOnLoopback }
    }
}

/// What a client that connects again needs to know.
#[derive(Clone, Debug)]
pub struct ReconnectConfig {
    /// In the order in which they are asked. The first one has the first session.
    pub gates: Vec<GateEntry>,
    /// What is said first, at every gate.
    pub greeting: Greeting,
    /// Shared by many clients (bots), for gates of its family; none: an endpoint of its own for each connection.
    pub endpoint: Option<ClientEndpoint>,
    /// Events of a session that wait to be taken. More are counted and left out.
    pub events_max: usize,
    /// How hard it tries.
    pub policy: ReconnectPolicy,
}

impl ReconnectConfig {
    /// A client of development gates on this machine.
    pub fn local(gates: &[SocketAddr]) -> ReconnectConfig {
        ReconnectConfig {
            gates: gates.iter().copied().map(GateEntry::local).collect(),
            greeting: Greeting::default(),
            endpoint: None,
            events_max: 4_096,
            policy: ReconnectPolicy::default(),
        }
    }

    fn of_gate(&self, gate: &GateEntry) -> ClientConfig {
        let endpoint = self.endpoint.clone().filter(|endpoint| endpoint.reaches(gate.address));
        ClientConfig {
            address: gate.address,
            server_name: gate.server_name.clone(),
            trust: gate.trust.clone(),
            greeting: self.greeting.clone(),
            endpoint,
            events_max: self.events_max,
        }
    }
}

/// What a client gets to know, of its connections and of the session that there is.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionEvent {
    /// A session begins or ends, or there is none for a while.
    Connection(ConnectionEvent),
    /// Something happened in the session.
    Client(ClientEvent),
}

/// A client that connects again when its connection ends. It goes on while [`ReconnectingClient::next`] is waited
/// for: who does not listen to what became of a session has none after it.
#[derive(Debug)]
pub struct ReconnectingClient {
    config: ReconnectConfig,
    current: watch::Sender<Option<Arc<Client>>>,
    inner: tokio::sync::Mutex<Inner>,
    /// Events that nobody took in time, of sessions that are over.
    missed: Mutex<u64>,
    left: watch::Sender<bool>,
}

#[derive(Debug)]
struct Inner {
    core: ReconnectCore,
    origin: Instant,
    attempt: Option<Attempt>,
    /// Events of the first connection, which nobody has heard of yet.
    ready: VecDeque<ConnectionEvent>,
    over: bool,
}

/// Dropping it ends the attempt.
#[derive(Debug)]
struct Attempt(JoinHandle<Result<Client, ConnectError>>);

impl Drop for Attempt {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl ReconnectingClient {
    /// Connects to the first gate that lets it in; each is asked once. Must be called inside of a tokio runtime.
    pub async fn connect(config: ReconnectConfig) -> Result<ReconnectingClient, Over> {
        let mut seed = [0; 8];
        // Without chance all waits are those of seed 0: a crowd comes back together, and nothing worse.
        let _ = SystemRandom::new().fill(&mut seed);
        let core = ReconnectCore::new(config.gates.len(), config.policy, u64::from_be_bytes(seed));
        let ready = VecDeque::new();
        let inner = Inner { core, origin: Instant::now(), attempt: None, ready, over: false };
        let client = ReconnectingClient {
            config,
            current: watch::Sender::new(None),
            inner: tokio::sync::Mutex::new(inner),
            missed: Mutex::new(0),
            left: watch::Sender::new(false),
        };
        client.begin().await?;
        Ok(client)
    }

    async fn begin(&self) -> Result<(), Over> {
        let mut inner = self.inner.lock().await;
        inner.handle(Input::Start);
        loop {
            match self.turn(&mut inner).await {
                Some(SessionEvent::Connection(ConnectionEvent::Over { why })) => return Err(why),
                Some(SessionEvent::Connection(event)) => {
                    let connected = matches!(event, ConnectionEvent::Connected { .. });
                    inner.ready.push_back(event);
                    if connected {
                        return Ok(());
                    }
                }
                Some(SessionEvent::Client(_)) => {}
                None => return Err(Over::Left),
            }
        }
    }

    /// The next thing that happened; none after [`ConnectionEvent::Over`]. Nothing is lost if the future is dropped.
    pub async fn next(&self) -> Option<SessionEvent> {
        let mut inner = self.inner.lock().await;
        if let Some(event) = inner.ready.pop_front() {
            return Some(SessionEvent::Connection(event));
        }
        self.turn(&mut inner).await
    }

    /// The client of the session that there is, if there is one. It stays that of this session: after its end its
    /// mirror is empty, and whatever is asked of it is not sent.
    pub fn client(&self) -> Option<Arc<Client>> {
        self.current.borrow().clone()
    }

    /// Waits until there is a session; none after `timeout`.
    pub async fn session(&self, timeout: Duration) -> Option<Arc<Client>> {
        let mut current = self.current.subscribe();
        let there = tokio::time::timeout(timeout, current.wait_for(Option::is_some)).await;
        there.ok()?.ok()?.clone()
    }

    /// [`Client::call`] in the session that there is. The answer is of this session too: if it ends first, the call
    /// fails with `disconnected`.
    pub async fn call(&self, entity: EntityId, method: &str, args: &[Value]) -> Result<Value, CallError> {
        let client = self.client().ok_or(RequestError::Closed)?;
        client.call(entity, method, args).await
    }

    /// Events that nobody took in time, of all sessions.
    pub fn missed_events(&self) -> u64 {
        let before = *self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        before + self.client().map_or(0, |client| client.missed_events())
    }

    /// Says good-bye behind all that was said before, and connects no more. [`ReconnectingClient::next`] tells of
    /// the end.
    pub async fn close(&self) {
        self.left.send_replace(true);
        if let Some(client) = self.client() {
            client.close().await;
        }
    }

    /// Inputs, one after the other, until there is something to tell.
    async fn turn(&self, inner: &mut Inner) -> Option<SessionEvent> {
        loop {
            while let Some(output) = inner.core.drain() {
                match output {
                    Output::Connect(gate) => inner.attempt = self.attempt(gate),
                    Output::Abandon => inner.attempt = None,
                    Output::Tell(event) => {
                        inner.over |= matches!(event, ConnectionEvent::Over { .. });
                        return Some(SessionEvent::Connection(event));
                    }
                }
            }
            if inner.over {
                return None;
            }
            if let Some(event) = self.input(inner).await {
                return Some(SessionEvent::Client(event));
            }
        }
    }

    fn attempt(&self, gate: usize) -> Option<Attempt> {
        let config = self.config.of_gate(self.config.gates.get(gate)?);
        Some(Attempt(tokio::spawn(Client::connect(config))))
    }

    /// Waits for one thing: what the session says, or an input of the core.
    async fn input(&self, inner: &mut Inner) -> Option<ClientEvent> {
        if let Some(client) = self.client() {
            if let Some(event) = client.next_event().await {
                return Some(event);
            }
            let ended = client.ended().await;
            *self.missed.lock().unwrap_or_else(PoisonError::into_inner) += client.missed_events();
            self.current.send_replace(None);
            if *self.left.borrow() {
                inner.handle(Input::Leave);
            }
            inner.handle(Input::Ended(ended));
            return None;
        }
        let mut left = self.left.subscribe();
        let until = inner.core.deadline().map(|at| inner.origin + at);
        let tried = async {
            match &mut inner.attempt {
                Some(attempt) => (&mut attempt.0).await,
                None => std::future::pending().await,
            }
        };
        let input = tokio::select! {
            biased;
            _ = left.wait_for(|left| *left) => Input::Leave,
            tried = tried => match tried {
                Ok(Ok(client)) => self.enter(client),
                Ok(Err(why)) => Input::Failed(why),
                // The attempt panicked, or the runtime is going down.
                Err(_) => Input::Failed(ConnectError::TimedOut),
            },
            () = tokio::time::sleep_until(until.unwrap_or_else(far)), if until.is_some() => Input::Tick,
        };
        if !matches!(input, Input::Tick) {
            inner.attempt = None;
        }
        inner.handle(input);
        None
    }

    fn enter(&self, client: Client) -> Input {
        // It was welcomed, so it has a name.
        let session = client.session().unwrap_or_default();
        let client = Arc::new(client);
        self.current.send_replace(Some(Arc::clone(&client)));
        if *self.left.borrow() {
            // Whoever left in this moment may not have seen it.
            client.end();
        }
        Input::Connected(session)
    }
}

impl Inner {
    fn handle(&mut self, input: Input) {
        let now = self.origin.elapsed();
        self.core.handle(now, input);
    }
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(3_600)
}
