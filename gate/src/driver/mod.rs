//! The driver: quinn and the dispatchers' channels on one side, the core on the other.

mod certificate;
mod link;
pub(crate) mod office;
mod transport;

pub use certificate::CertificateSource;

use crate::core::GateCore;
use crate::limits::GateLimits;
use crate::values::{ConnectionId, GateInput, GateOutput, GateStatus};
use everwake_protocol::Id;
use everwake_protocol::client::CloseCode;
use everwake_protocol::cluster::{FromDispatcher, Incarnation, ReturnReason, ToDispatcher, ToGame, ToGate};
use everwake_protocol::limits::LAST_WORDS_MS;
use link::{Command, FromLink, Handle};
use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

const TICK: Duration = Duration::from_millis(100);
/// Inputs of connections that are handled before anything is written.
const BATCH: usize = 256;
/// Inputs that wait for the core. When it is full gates stop reading from clients, all alike.
const INPUTS_MAX: usize = 1_024;

/// What a gate needs to know.
#[derive(Clone, Debug)]
pub struct GateConfig {
    /// UDP address; port 0 takes any.
    pub listen: SocketAddr,
    /// Where the certificate comes from.
    pub certificate: CertificateSource,
    /// What clients may do.
    pub limits: GateLimits,
    /// This life of the gate, of which others hear. Its random half is in every session id.
    pub incarnation: Incarnation,
    /// Random, new for each life of a gate, and secret: session ids come from it.
    pub seed: Id,
    /// With a secret that stays the same over restarts, clients of a gate that crashed learn it
    /// at once instead of after the idle timeout.
    pub secret: Option<[u8; 32]>,
}

/// Why a gate did not start.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The UDP address.
    #[error("cannot bind UDP `{0}`: {1}")]
    Bind(SocketAddr, std::io::Error),
    /// The certificate.
    #[error("certificate: {0}")]
    Certificate(String),
}

/// A gate that is bound and not yet running.
#[derive(Debug)]
pub struct Gate {
    endpoint: quinn::Endpoint,
    address: SocketAddr,
    fingerprint: String,
    core: GateCore,
    status: watch::Sender<GateStatus>,
    drains: watch::Sender<bool>,
}

/// Binds a gate and runs it until `shutdown`.
pub async fn run(
    config: GateConfig,
    outgoing: mpsc::Sender<Vec<ToDispatcher<ToGame>>>,
    incoming: mpsc::Receiver<Vec<FromDispatcher<ToGate, ToGame>>>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), GateError> {
    Gate::bind(config)?.run(outgoing, incoming, shutdown).await;
    Ok(())
}

impl Gate {
    /// Takes the UDP port. Must be called inside of a tokio runtime.
    pub fn bind(config: GateConfig) -> Result<Gate, GateError> {
        let identity = certificate::load(&config.certificate)?;
        let endpoint = transport::endpoint(&config, &identity)?;
        let address = endpoint.local_addr().map_err(|error| GateError::Bind(config.listen, error))?;
        Ok(Gate {
            endpoint,
            address,
            fingerprint: identity.fingerprint,
            core: GateCore::new(config.limits, config.incarnation, config.seed),
            status: watch::Sender::new(GateStatus::default()),
            drains: watch::Sender::new(false),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// SHA-256 of the certificate, in hex: what clients of a development gate pin.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Counts, renewed ten times a second.
    pub fn status(&self) -> watch::Receiver<GateStatus> {
        self.status.subscribe()
    }

    /// Set to true it lets nobody in, and who is there stays; set to false it does again.
    pub fn drains(&self) -> watch::Sender<bool> {
        self.drains.clone()
    }

    /// Runs until `shutdown`, until the dispatchers' channels close, or until the others hold this life of the
    /// gate for dead ([`GateStatus::dead`]). Tells the clients, waits for them a bounded time.
    pub async fn run(
        self,
        outgoing: mpsc::Sender<Vec<ToDispatcher<ToGame>>>,
        incoming: mpsc::Receiver<Vec<FromDispatcher<ToGate, ToGame>>>,
        shutdown: impl Future<Output = ()>,
    ) {
        let (inputs, from_links) = mpsc::channel(INPUTS_MAX);
        let endpoint = self.endpoint.clone();
        let driver = Driver {
            core: self.core,
            origin: Instant::now(),
            inputs,
            handles: HashMap::new(),
            waiting: HashMap::new(),
            outgoing,
            pending: Vec::new(),
            outputs: Vec::new(),
            numbered: 0,
            cut_off: false,
            over: false,
            status: self.status,
            drains: self.drains.subscribe(),
        };
        tracing::info!(address = %self.address, fingerprint = %self.fingerprint, "gate listens");
        driver.run(&endpoint, from_links, incoming, shutdown).await;
        endpoint.close((CloseCode::Shutdown as u32).into(), b"the server is shutting down");
        let idle = tokio::time::timeout(Duration::from_secs(1), endpoint.wait_idle()).await;
        tracing::info!(clean = idle.is_ok(), "gate stopped");
    }
}

struct Driver {
    core: GateCore,
    origin: Instant,
    inputs: mpsc::Sender<FromLink>,
    handles: HashMap<ConnectionId, Handle>,
    /// Connections that the core has not decided about.
    waiting: HashMap<ConnectionId, quinn::Incoming>,
    outgoing: mpsc::Sender<Vec<ToDispatcher<ToGame>>>,
    /// What the dispatchers have to hear next.
    pending: Vec<ToDispatcher<ToGame>>,
    outputs: Vec<GateOutput>,
    numbered: u64,
    /// The dispatchers' channels are closed.
    cut_off: bool,
    /// The core says that this life of the gate is over.
    over: bool,
    status: watch::Sender<GateStatus>,
    drains: watch::Receiver<bool>,
}

impl Driver {
    async fn run(
        mut self,
        endpoint: &quinn::Endpoint,
        mut from_links: mpsc::Receiver<FromLink>,
        mut dispatched: mpsc::Receiver<Vec<FromDispatcher<ToGate, ToGame>>>,
        shutdown: impl Future<Output = ()>,
    ) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        let mut stop_at: Option<Instant> = None;
        loop {
            tokio::select! {
                incoming = endpoint.accept() => match incoming {
                    Some(incoming) => self.incoming(incoming),
                    None => return,
                },
                _ = from_links.recv_many(&mut batch, BATCH) => {
                    for input in batch.drain(..) {
                        self.on_link(input);
                    }
                }
                messages = dispatched.recv(), if !self.cut_off => match messages {
                    Some(messages) => {
                        for message in messages {
                            self.handle(GateInput::Dispatched(link::crossed_to_gate(message)));
                        }
                    }
                    None => self.cut_off = true,
                },
                Ok(()) = self.drains.changed() => {
                    let on = *self.drains.borrow_and_update();
                    self.handle(GateInput::Drain { on });
                }
                _ = ticks.tick() => self.tick(),
                () = &mut shutdown, if stop_at.is_none() => {
                    stop_at = Some(self.stop());
                }
            }
            if self.cut_off && stop_at.is_none() {
                tracing::warn!("the dispatchers' channels are closed, the gate stops");
                stop_at = Some(self.stop());
            }
            if self.over && stop_at.is_none() {
                tracing::error!("this life of the gate is over for the others, the gate stops");
                self.status.send_replace(self.core.status());
                stop_at = Some(self.stop());
            }
            self.finish_turn();
            if stop_at.is_some_and(|at| self.core.is_empty() || Instant::now() >= at) {
                self.deliver();
                return;
            }
        }
    }

    fn stop(&mut self) -> Instant {
        self.handle(GateInput::Shutdown);
        Instant::now() + Duration::from_millis(LAST_WORDS_MS)
    }

    fn tick(&mut self) {
        self.handle(GateInput::Tick);
        self.status.send_replace(self.core.status());
    }

    fn incoming(&mut self, incoming: quinn::Incoming) {
        self.numbered += 1;
        let connection = ConnectionId(self.numbered);
        let (address, proven) = (incoming.remote_address(), incoming.remote_address_validated());
        self.waiting.insert(connection, incoming);
        self.handle(GateInput::Incoming { connection, address, proven });
        self.perform();
    }

    fn on_link(&mut self, input: FromLink) {
        match input {
            FromLink::Established(connection, quic) => {
                match self.handles.get_mut(&connection) {
                    Some(handle) => handle.quic = Some(quic),
                    // The core gave it up just before.
                    None => quic.close((CloseCode::Timeout as u32).into(), b"the handshake took too long"),
                }
                self.handle(GateInput::Established { connection });
            }
            FromLink::Input(input) => {
                if let GateInput::Gone { connection, .. } = &input {
                    self.handles.remove(connection);
                }
                self.handle(input);
            }
        }
    }

    fn handle(&mut self, input: GateInput) {
        self.core.handle(self.origin.elapsed(), input, &mut self.outputs);
    }

    /// Writes what the inputs so far led to, and tells the dispatchers.
    fn finish_turn(&mut self) {
        self.core.flush(self.origin.elapsed(), &mut self.outputs);
        self.perform();
        self.deliver();
    }

    fn perform(&mut self) {
        for output in std::mem::take(&mut self.outputs) {
            match output {
                GateOutput::Accept { connection } => self.accept(connection),
                GateOutput::Refuse { connection } => {
                    if let Some(incoming) = self.waiting.remove(&connection) {
                        incoming.refuse();
                    }
                }
                GateOutput::Retry { connection } => {
                    if let Some(incoming) = self.waiting.remove(&connection)
                        && let Err(proven) = incoming.retry()
                    {
                        proven.into_incoming().refuse();
                    }
                }
                GateOutput::Write { connection, pieces } => self.command(connection, Command::Write(pieces)),
                GateOutput::Datagram { connection, bytes } => {
                    if let Some(quic) = self.handles.get(&connection).and_then(|handle| handle.quic.as_ref())
                    {
                        // A path that is too small for it, or a client without datagrams: it
                        // sees no positions, nothing else is lost.
                        let _ = quic.send_datagram(bytes);
                    }
                }
                GateOutput::Close { connection, code, reason, flush } => {
                    self.close(connection, code, reason, flush);
                }
                GateOutput::Dispatch(message) => self.pending.push(link::crossed_to_game(message)),
                GateOutput::Stop => self.over = true,
                GateOutput::Log { cause, text, suppressed } => {
                    tracing::warn!(cause, suppressed, "{text}");
                }
            }
        }
    }

    fn accept(&mut self, connection: ConnectionId) {
        if let Some(incoming) = self.waiting.remove(&connection) {
            let (commands, receiver) = mpsc::unbounded_channel();
            self.handles.insert(connection, Handle { commands, quic: None });
            tokio::spawn(link::serve(connection, incoming, self.inputs.clone(), receiver));
        }
    }

    fn command(&mut self, connection: ConnectionId, command: Command) {
        if let Some(handle) = self.handles.get(&connection) {
            // A link that ended says so by itself.
            let _ = handle.commands.send(Box::new(command));
        }
    }

    fn close(&mut self, connection: ConnectionId, code: CloseCode, reason: String, flush: bool) {
        match self.handles.get(&connection).map(|handle| handle.quic.clone()) {
            Some(Some(_)) if flush => self.command(connection, Command::Close(code, reason)),
            // A write may be stuck; this passes it by.
            Some(Some(quic)) => quic.close((code as u32).into(), reason.as_bytes()),
            // Without its handle a handshake ends.
            Some(None) => drop(self.handles.remove(&connection)),
            None => {}
        }
    }

    /// Hands over what the dispatchers have to hear. What they cannot take now comes back to the core if its
    /// author can be told no. The rest is kept, in order: there is no more of it than there are clients that end
    /// and views that games begin.
    fn deliver(&mut self) {
        if self.pending.is_empty() || self.cut_off {
            return;
        }
        match self.outgoing.try_send(std::mem::take(&mut self.pending)) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Closed(_)) => self.cut_off = true,
            Err(mpsc::error::TrySendError::Full(messages)) => {
                let mut refused = Vec::new();
                for message in messages {
                    match message {
                        ToDispatcher::Carry(envelope) | ToDispatcher::Create { envelope, .. }
                            if envelope.refusable =>
                        {
                            refused.push(envelope);
                        }
                        kept => self.pending.push(kept),
                    }
                }
                for envelope in refused {
                    let reason = ReturnReason::Overloaded;
                    let back = FromDispatcher::Return { envelope, reason, uncertain: false };
                    self.handle(GateInput::Dispatched(back));
                }
                self.core.flush(self.origin.elapsed(), &mut self.outputs);
                self.perform();
            }
        }
    }
}
