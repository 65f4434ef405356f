//! The scripted game, and a gate in front of it.

use bytes::Bytes;
use everwake_client::{Client, ClientConfig, ClientEndpoint};
use everwake_gate::{CertificateSource, Gate, GateConfig, GateLimits, GateStatus};
use everwake_protocol::client::{CloseCode, Placed, Pose, PositionDatagram, ServerFrame};
use everwake_protocol::cluster::{
    Envelope, FromDispatcher, Incarnation, MessageId, Target, ToDispatcher, ToGame, ToGate, Viewer,
};
use everwake_protocol::outcome::Outcome;
use everwake_protocol::schema::{AttributeSchema, Field, MethodSchema, Schema, TypeSchema};
use everwake_protocol::{EntityId, Id, SessionId};
use smallvec::smallvec;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot, watch};

pub(crate) const ECHO: u32 = 0;
pub(crate) const WAVE: u32 = 1;
pub(crate) const KICK_ME: u32 = 2;
pub(crate) const FLOOD_ME: u32 = 3;
/// Is never answered.
pub(crate) const DREAM: u32 = 4;
const WAVED: u32 = 10;

const GATE: Incarnation = Incarnation { start: 1, random: 7 };
const GAME: Incarnation = Incarnation { start: 1, random: 8 };

fn schema() -> Schema {
    let field = |name: &str, text: &str| Field { name: name.into(), type_text: text.into() };
    let method = |id, name: &str, parameters, all_clients| MethodSchema {
        id,
        name: name.into(),
        parameters,
        returns: "any".into(),
        all_clients,
        live: true,
        ..MethodSchema::default()
    };
    let attribute = |id, name: &str, text: &str, initial: &'static [u8]| AttributeSchema {
        id,
        name: name.into(),
        type_text: text.into(),
        all_clients: true,
        live: true,
        initial: Bytes::from_static(initial),
    };
    let kind = TypeSchema {
        id: 0,
        name: "Player".into(),
        live: true,
        attributes: vec![attribute(0, "echoes", "u32", &[0]), attribute(3, "said", "list<string>", &[0x80])],
        methods: vec![
            method(ECHO, "echo", vec![field("value", "any")], false),
            method(WAVE, "wave", vec![field("strength", "f32")], true),
            method(KICK_ME, "kick_me", vec![], false),
            method(FLOOD_ME, "flood_me", vec![], false),
            method(DREAM, "dream", vec![], false),
        ],
        client_methods: vec![method(WAVED, "waved", vec![field("args", "any")], true)],
    };
    Schema { module: "play".into(), generation: 1, types: vec![kind], ..Schema::default() }
}

/// What the game saw, for tests to look at.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) messages: Mutex<Vec<ToGame>>,
    news: Notify,
    /// While a test holds it the game takes nothing.
    pub(crate) awake: tokio::sync::Mutex<()>,
}

impl Seen {
    /// Waits until a message is there for which `find` finds something.
    pub(crate) async fn find<T>(&self, find: impl Fn(&ToGame) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let news = self.news.notified();
                if let Some(found) = self.messages.lock().unwrap().iter().find_map(&find) {
                    return found;
                }
                news.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("the game hears of it")
    }
}

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) fingerprint: String,
    pub(crate) seen: Arc<Seen>,
    pub(crate) status: watch::Receiver<GateStatus>,
    endpoint: ClientEndpoint,
    stop: Option<oneshot::Sender<()>>,
    running: Option<tokio::task::JoinHandle<()>>,
}

impl World {
    pub(crate) fn start(limits: GateLimits) -> World {
        World::with_seed(limits, 7)
    }

    /// Gates of another seed give their sessions other names.
    pub(crate) fn with_seed(limits: GateLimits, seed: u32) -> World {
        let config = GateConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            certificate: CertificateSource::Development,
            limits,
            incarnation: GATE,
            seed: Id([seed; 4]),
            secret: Some([3; 32]),
        };
        let gate = Gate::bind(config).unwrap();
        let (address, fingerprint) = (gate.address(), gate.fingerprint().to_owned());
        let status = gate.status();
        let (to_game, from_gate) = mpsc::channel(64);
        let (to_gate, from_game) = mpsc::channel(64);
        let (stop, stopped) = oneshot::channel();
        let seen = Arc::new(Seen::default());
        tokio::spawn(play(from_gate, to_gate, Arc::clone(&seen)));
        let running = tokio::spawn(gate.run(to_game, from_game, async {
            let _ = stopped.await;
        }));
        let endpoint = ClientEndpoint::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        World { address, fingerprint, seen, status, endpoint, stop: Some(stop), running: Some(running) }
    }

    pub(crate) fn config(&self) -> ClientConfig {
        ClientConfig { endpoint: Some(self.endpoint.clone()), ..ClientConfig::local(self.address) }
    }

    /// A client with its own entity in view.
    pub(crate) async fn client(&self) -> Client {
        let client = Client::connect(self.config()).await.unwrap();
        assert_eq!(client.wait(Duration::from_secs(20), |core| core.own().is_some()).await, Ok(true));
        client
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(running) = self.running.take() {
            running.await.unwrap();
        }
    }
}

/// The game and the dispatcher before it.
async fn play(
    mut from_gate: mpsc::Receiver<Vec<ToDispatcher<ToGame>>>,
    to_gate: mpsc::Sender<Vec<FromDispatcher<ToGate, ToGame>>>,
    seen: Arc<Seen>,
) {
    let mut sessions: BTreeMap<SessionId, EntityId> = BTreeMap::new();
    let _ = to_gate.send(delivered(vec![ToGate::Schema { schema: Arc::new(schema()) }])).await;
    while let Some(messages) = next(&mut from_gate, &seen).await {
        let mut heard = Vec::new();
        for message in messages {
            let (ToDispatcher::Carry(envelope) | ToDispatcher::Create { envelope, .. }) = message else {
                panic!("the gate says {message:?}")
            };
            assert_eq!(envelope.source, GATE);
            let Target::Entity(target) = envelope.target else { panic!("nobody was served by another game") };
            let answers = answer(target, &envelope.payload, &mut sessions);
            if !answers.is_empty() && to_gate.send(delivered(answers)).await.is_err() {
                return;
            }
            heard.push(envelope.payload);
        }
        seen.messages.lock().unwrap().extend(heard);
        seen.news.notify_waiters();
    }
}

/// What the gate says next, once the game is awake.
async fn next(
    from_gate: &mut mpsc::Receiver<Vec<ToDispatcher<ToGame>>>,
    seen: &Seen,
) -> Option<Vec<ToDispatcher<ToGame>>> {
    // Nothing is taken out before: what waits fills the channel.
    while from_gate.is_empty() && !from_gate.is_closed() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let _awake = seen.awake.lock().await;
    from_gate.recv().await
}

fn delivered(payloads: Vec<ToGate>) -> Vec<FromDispatcher<ToGate, ToGame>> {
    let envelope = |payload| Envelope::new(GAME, Target::Process(GATE), MessageId::default(), payload);
    payloads.into_iter().map(|payload| FromDispatcher::Deliver(envelope(payload))).collect()
}

fn reply(session: SessionId, request: u64, value: Bytes) -> ToGate {
    let outcome = Outcome::Ok(value).to_bytes();
    ToGate::Reply { session, frame: ServerFrame::Reply { request, outcome }.to_bytes() }
}

fn frames(session: SessionId, frames: &[ServerFrame]) -> ToGate {
    let mut out = Vec::new();
    frames.iter().for_each(|frame| frame.encode(&mut out));
    ToGate::Frames { viewers: smallvec![Viewer { session, view: 1 }], frames: out.into() }
}

fn answer(target: EntityId, message: &ToGame, sessions: &mut BTreeMap<SessionId, EntityId>) -> Vec<ToGate> {
    match message {
        ToGame::Connected { session, .. } => {
            sessions.insert(*session, target);
            let create = ServerFrame::Create {
                entity: target,
                type_id: 0,
                own: true,
                handle: 1,
                pose: Pose::default(),
                attributes: Bytes::new(),
            };
            let view = ToGate::View { session: *session, view: 1, owner: target, type_id: 0 };
            vec![view, frames(*session, &[create])]
        }
        ToGame::Request { session, request, method, args, .. } => {
            asked(*session, *request, target, *method, args, sessions)
        }
        ToGame::Moved { session, pose, motion } => {
            let placed = vec![Placed { handle: 1, pose: Pose { y: 1.0, ..*pose }, motion: motion.clone() }];
            let datagram = PositionDatagram { view: 1, sequence: 0, time_ms: 5, placed };
            vec![ToGate::Positions { session: *session, datagram }]
        }
        ToGame::Detach { session, .. } => {
            sessions.remove(session);
            Vec::new()
        }
        ToGame::Acknowledged { .. }
        | ToGame::RoundTrip { .. }
        | ToGame::Forget { .. }
        | ToGame::Released { .. } => Vec::new(),
    }
}

fn asked(
    session: SessionId,
    request: u64,
    target: EntityId,
    method: u32,
    args: &Bytes,
    sessions: &BTreeMap<SessionId, EntityId>,
) -> Vec<ToGate> {
    match method {
        ECHO => {
            let mut changes = vec![0x00];
            everwake_protocol::cbor::uint(&mut changes, request);
            changes.extend_from_slice(b"\x82\x03\x00\x62hi");
            let delta = ServerFrame::Delta { entity: target, changes: changes.into() };
            vec![frames(session, &[delta]), reply(session, request, args.slice(1..))]
        }
        WAVE => {
            let mut all: Vec<ToGate> = sessions
                .iter()
                .map(|(session, own)| {
                    frames(*session, &[ServerFrame::Call { entity: *own, method: WAVED, args: args.clone() }])
                })
                .collect();
            all.push(reply(session, request, Outcome::null().to_bytes().slice(2..)));
            all
        }
        KICK_ME => {
            let last = ServerFrame::Call { entity: target, method: WAVED, args: Bytes::from_static(&[0x80]) };
            let close = ToGate::Close { session, code: CloseCode::Kicked, reason: "you asked for it".into() };
            vec![frames(session, &[last]), close]
        }
        DREAM => Vec::new(),
        _ => {
            let large = ServerFrame::Call { entity: target, method: WAVED, args: vec![0; 60_000].into() };
            vec![frames(session, &[large]); 10]
        }
    }
}
