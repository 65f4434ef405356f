//! The gate under virtual time: every limit, every close code, order and views.

use super::*;
use crate::limits::GateLimits;
use everwake_protocol::cbor;
use everwake_protocol::client::{ClientFrame, MoveDatagram, Placed, Pose, PositionDatagram};
use everwake_protocol::cluster::{
    Comparison, Envelope, FromDispatcher, MessageId, Placement, ReturnReason, Target, ToDispatcher, ToGame,
    ToGate, Viewer,
};
use everwake_protocol::frame::FrameDecoder;
use everwake_protocol::limits::{
    ARGS_BYTES_MAX, FILTERS_MAX, FRAME_BYTES_BEFORE_WELCOME_MAX, PROTOCOL_VERSION,
};
use everwake_protocol::schema::{MethodSchema, Schema, TypeSchema};
use smallvec::smallvec;
use std::sync::Arc;

const GATE: Incarnation = Incarnation { start: 1, random: 0xabcd };
/// The game that serves whom nobody else does.
const HOME: Incarnation = Incarnation { start: 1, random: 1 };

const OWN_ONLY: u32 = 0;
const FOR_ALL: u32 = 1;
const THRICE: u32 = 2;
const GONE: u32 = 3;

fn schema(generation: u32) -> Arc<Schema> {
    let method = |id, all_clients, calls_per_minute, live| MethodSchema {
        id,
        name: format!("m{id}"),
        returns: "unit".into(),
        all_clients,
        calls_per_minute,
        live,
        ..MethodSchema::default()
    };
    let methods = vec![
        method(OWN_ONLY, false, 0, true),
        method(FOR_ALL, true, 0, true),
        method(THRICE, false, 3, true),
        method(GONE, false, 0, false),
    ];
    let kind = TypeSchema { id: 7, name: "Avatar".into(), live: true, methods, ..TypeSchema::default() };
    Arc::new(Schema { module: "yard".into(), generation, types: vec![kind], ..Schema::default() })
}

struct Rig {
    core: GateCore,
    now: Duration,
    out: Vec<GateOutput>,
    numbered: u64,
}

/// What a client got to read.
type Frames = Vec<ServerFrame>;

impl Rig {
    fn new(limits: GateLimits) -> Rig {
        let mut rig = Rig {
            core: GateCore::new(limits, GATE, Id([1, 2, 3, 4])),
            now: Duration::from_secs(100),
            out: Vec::new(),
            numbered: 0,
        };
        rig.says(ToGate::Schema { schema: schema(1) });
        rig
    }

    fn input(&mut self, input: GateInput) {
        self.core.handle(self.now, input, &mut self.out);
    }

    /// The game at home says something.
    fn says(&mut self, payload: ToGate) {
        self.hears(HOME, payload);
    }

    /// A game says something.
    fn hears(&mut self, game: Incarnation, payload: ToGate) {
        let envelope = Envelope::new(game, Target::Process(GATE), MessageId::default(), payload);
        self.input(GateInput::Dispatched(FromDispatcher::Deliver(envelope)));
    }

    fn dies(&mut self, life: Incarnation) {
        self.input(GateInput::Dispatched(FromDispatcher::Dead(life)));
    }

    /// Something comes back as it was sent.
    fn returned(&mut self, envelope: Envelope<ToGame>, reason: ReturnReason, uncertain: bool) {
        let back = FromDispatcher::Return { envelope, reason, uncertain };
        self.input(GateInput::Dispatched(back));
    }

    /// Everything since the last time, with all writes begun and done.
    fn drain(&mut self) -> Vec<GateOutput> {
        let mut all = std::mem::take(&mut self.out);
        loop {
            let mut more = Vec::new();
            self.core.flush(self.now, &mut more);
            if more.is_empty() {
                return all;
            }
            for output in &more {
                if let GateOutput::Write { connection, .. } = output {
                    self.core.handle(self.now, GateInput::Written { connection: *connection }, &mut all);
                }
            }
            all.extend(more);
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.input(GateInput::Tick);
    }

    /// Somebody who has shown its address.
    fn open(&mut self, address: &str) -> ConnectionId {
        self.knock(address, true)
    }

    fn knock(&mut self, address: &str, proven: bool) -> ConnectionId {
        self.numbered += 1;
        let connection = ConnectionId(self.numbered);
        self.input(GateInput::Incoming { connection, address: address.parse().unwrap(), proven });
        connection
    }

    fn silent(&mut self) -> ConnectionId {
        let connection = self.open("192.0.2.1:1000");
        self.input(GateInput::Established { connection });
        connection
    }

    fn say(&mut self, connection: ConnectionId, frame: &ClientFrame) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.input(GateInput::Received { connection, bytes: bytes.into() });
    }

    /// A client that greeted and owns the returned entity.
    fn playing(&mut self) -> (ConnectionId, SessionId, EntityId) {
        let connection = self.silent();
        self.say(connection, &hello("yard"));
        let outputs = self.drain();
        let (session, boot, _) = connected(&outputs).expect("a game hears of the client");
        self.says(ToGate::View { session, view: 1, owner: boot, type_id: 7 });
        self.drain();
        (connection, session, boot)
    }

    /// Sends a request and returns the answer of the gate itself, if there is one.
    fn ask(
        &mut self,
        connection: ConnectionId,
        request: u64,
        target: EntityId,
        method: u32,
    ) -> Option<String> {
        let args = Bytes::from_static(&[0x80]);
        self.say(
            connection,
            &ClientFrame::Request { request, acknowledged: 0, target, method, deadline_ms: 1, args },
        );
        let outputs = self.drain();
        let passed = sent(&outputs).iter().any(|it| matches!(it.payload, ToGame::Request { .. }));
        let answer = read(&outputs, connection).into_iter().find_map(|frame| match frame {
            ServerFrame::Reply { request: found, outcome } if found == request => {
                Outcome::decode(&outcome).ok()
            }
            _ => None,
        });
        match answer {
            Some(Outcome::Err { code, .. }) => {
                assert!(!passed, "an answered request reached the game too");
                Some(code)
            }
            other => {
                assert!(passed && other.is_none(), "a request was lost");
                None
            }
        }
    }
}

/// The view that [`Rig::playing`] begins.
fn first_view(session: SessionId) -> Viewer {
    Viewer { session, view: 1 }
}

fn hello(module: &str) -> ClientFrame {
    let (module, token) = (module.to_owned(), "t".to_owned());
    ClientFrame::Hello {
        protocol: PROTOCOL_VERSION,
        module,
        token,
        version: String::new(),
        locale: String::new(),
    }
}

fn read(outputs: &[GateOutput], of: ConnectionId) -> Frames {
    let mut decoder = FrameDecoder::of_server();
    for output in outputs {
        if let GateOutput::Write { connection, pieces } = output
            && *connection == of
        {
            pieces.iter().for_each(|piece| decoder.push(piece));
        }
    }
    std::iter::from_fn(|| decoder.pop().unwrap())
        .map(|raw| ServerFrame::decode(raw).unwrap().unwrap())
        .collect()
}

fn closed(outputs: &[GateOutput], of: ConnectionId) -> Option<(CloseCode, String)> {
    outputs.iter().find_map(|output| match output {
        GateOutput::Close { connection, code, reason, .. } if *connection == of => {
            Some((*code, reason.clone()))
        }
        _ => None,
    })
}

fn told_closed(outputs: &[GateOutput]) -> Vec<u32> {
    outputs
        .iter()
        .filter_map(|output| match output {
            GateOutput::Dispatch(ToDispatcher::Carry(Envelope {
                payload: ToGame::Detach { reason, .. },
                ..
            })) => Some(*reason),
            _ => None,
        })
        .collect()
}

/// What left for dispatchers, in order.
fn sent(outputs: &[GateOutput]) -> Vec<&Envelope<ToGame>> {
    outputs
        .iter()
        .filter_map(|output| match output {
            GateOutput::Dispatch(ToDispatcher::Carry(envelope) | ToDispatcher::Create { envelope, .. }) => {
                Some(envelope)
            }
            _ => None,
        })
        .collect()
}

/// The session, the boot entity and the view of a client that asks for an entity.
fn connected(outputs: &[GateOutput]) -> Option<(SessionId, EntityId, u32)> {
    sent(outputs).into_iter().find_map(|envelope| match (&envelope.payload, envelope.target) {
        (ToGame::Connected { session, view, .. }, Target::Entity(boot)) => Some((*session, boot, *view)),
        _ => None,
    })
}

#[test]
fn a_client_is_welcomed_then_gets_the_schema_then_its_view() {
    let mut rig = Rig::new(GateLimits::default());
    let connection = rig.silent();
    rig.say(connection, &hello(""));
    let outputs = rig.drain();
    let frames = read(&outputs, connection);
    assert!(
        matches!(&frames[..], [ServerFrame::Welcome { module, .. }, ServerFrame::Schema { .. }] if module == "yard")
    );
    let Some(GateOutput::Dispatch(ToDispatcher::Create { place, envelope })) =
        outputs.iter().find(|it| matches!(it, GateOutput::Dispatch(_)))
    else {
        panic!("no game hears of the client")
    };
    assert_eq!(*place, Placement::Anywhere { module: "yard".into() });
    let ToGame::Connected { session, token, address, view: 0, .. } = &envelope.payload else {
        panic!("{envelope:?}")
    };
    assert_eq!((token.as_str(), address.as_str()), ("t", "192.0.2.1:1000"));
    assert_eq!(session.gate_random(), GATE.random);
    assert!(envelope.is_kept() && envelope.refusable && envelope.source == GATE);
    let Target::Entity(boot) = envelope.target else { panic!("{envelope:?}") };
    assert_ne!(session.0, boot.0);
    rig.says(ToGate::View { session: *session, view: 1, owner: boot, type_id: 7 });
    let outputs = rig.drain();
    assert_eq!(read(&outputs, connection), [ServerFrame::Resync { view: 1 }]);
}

#[test]
fn a_greeting_in_small_pieces_is_taken() {
    let mut rig = Rig::new(GateLimits::default());
    let connection = rig.silent();
    let mut bytes = Vec::new();
    hello("yard").encode(&mut bytes);
    for byte in bytes {
        rig.input(GateInput::Received { connection, bytes: vec![byte].into() });
    }
    assert_eq!(read(&rig.drain(), connection).len(), 2);
}

#[test]
fn many_frames_of_a_batch_make_one_write_and_the_next_waits_for_it() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, _) = rig.playing();
    let frames = ServerFrame::Pong { nonce: 1 }.to_bytes();
    let send = |rig: &mut Rig| {
        rig.says(ToGate::Frames { viewers: smallvec![first_view(session)], frames: frames.clone() });
    };
    let flush = |rig: &mut Rig| {
        let mut out = Vec::new();
        rig.core.flush(rig.now, &mut out);
        out
    };
    send(&mut rig);
    send(&mut rig);
    assert!(matches!(&flush(&mut rig)[..], [GateOutput::Write { pieces, .. }] if pieces.len() == 2));
    send(&mut rig);
    assert!(flush(&mut rig).is_empty(), "two writes at once");
    send(&mut rig);
    rig.input(GateInput::Written { connection });
    assert!(matches!(&flush(&mut rig)[..], [GateOutput::Write { pieces, .. }] if pieces.len() == 2));
}

#[test]
fn a_new_schema_is_told_once_and_at_once() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, _) = rig.playing();
    rig.says(ToGate::Schema { schema: schema(2) });
    let found = read(&rig.drain(), connection);
    assert!(matches!(found[..], [ServerFrame::Schema { .. }]), "{found:?}");
    let frames = ServerFrame::Pong { nonce: 1 }.to_bytes();
    for _ in 0..2 {
        rig.says(ToGate::Frames { viewers: smallvec![first_view(session)], frames: frames.clone() });
    }
    let found = read(&rig.drain(), connection);
    assert!(matches!(found[..], [ServerFrame::Pong { .. }, ServerFrame::Pong { .. }]), "{found:?}");
    rig.says(ToGate::Schema { schema: schema(1) });
    assert!(matches!(&rig.drain()[..], [GateOutput::Log { cause: "schema", .. }]));
}

#[test]
fn who_comes_before_the_game_waits_for_it() {
    let mut rig = Rig {
        core: GateCore::new(GateLimits::default(), GATE, Id::ZERO),
        now: Duration::ZERO,
        out: vec![],
        numbered: 0,
    };
    let (early, impatient) = (rig.silent(), rig.silent());
    rig.say(early, &hello("yard"));
    rig.say(impatient, &hello("yard"));
    rig.input(GateInput::Received {
        connection: impatient,
        bytes: vec![0; FRAME_BYTES_BEFORE_WELCOME_MAX + 1].into(),
    });
    let outputs = rig.drain();
    assert_eq!(read(&outputs, early), []);
    assert_eq!(closed(&outputs, impatient).unwrap().0, CloseCode::Protocol);
    rig.says(ToGate::Schema { schema: schema(1) });
    assert_eq!(read(&rig.drain(), early).len(), 2);
    let late = rig.silent();
    rig.say(late, &hello("chess"));
    assert_eq!(closed(&rig.drain(), late), Some((CloseCode::Version, "no module `chess` is here".into())));
}

#[test]
fn another_protocol_version_is_refused_with_both_numbers() {
    let mut rig = Rig::new(GateLimits::default());
    let connection = rig.silent();
    let frame = ClientFrame::Hello {
        protocol: 9,
        module: String::new(),
        token: String::new(),
        version: String::new(),
        locale: String::new(),
    };
    rig.say(connection, &frame);
    let reason = "the client speaks protocol 9, this gate speaks 1".to_owned();
    assert_eq!(closed(&rig.drain(), connection), Some((CloseCode::Version, reason)));
}

#[test]
fn what_must_not_be_said_ends_the_connection() {
    let big = vec![0xff, 0xff, 0xff, 0xff];
    let request = |request, acknowledged| ClientFrame::Request {
        request,
        acknowledged,
        target: EntityId::default(),
        method: OWN_ONLY,
        deadline_ms: 0,
        args: Bytes::from_static(&[0x80]),
    };
    for (frames, code) in [
        (vec![request(1, 0), request(1, 0)], CloseCode::Protocol),
        (vec![request(2, 0), request(1, 0)], CloseCode::Protocol),
        (vec![request(1, 1)], CloseCode::Protocol),
        (vec![ClientFrame::Acknowledge { request: 1 }], CloseCode::Protocol),
        (vec![hello("yard")], CloseCode::Protocol),
    ] {
        let mut rig = Rig::new(GateLimits::default());
        let (connection, ..) = rig.playing();
        frames.iter().for_each(|frame| rig.say(connection, frame));
        let outputs = rig.drain();
        assert_eq!(closed(&outputs, connection).map(|it| it.0), Some(code), "{frames:?}");
        assert_eq!(told_closed(&outputs), [0]);
        rig.input(GateInput::Gone { connection, timed_out: false });
        assert!(rig.drain().is_empty() && rig.core.is_empty(), "told twice");
    }
    let mut rig = Rig::new(GateLimits::default());
    let (first, second, third) = (rig.silent(), rig.silent(), rig.silent());
    rig.say(first, &ClientFrame::Ping { nonce: 1 });
    rig.input(GateInput::Received { connection: second, bytes: big.into() });
    rig.input(GateInput::Misused { connection: third, what: "a second stream" });
    let outputs = rig.drain();
    for connection in [first, second, third] {
        assert_eq!(closed(&outputs, connection).unwrap().0, CloseCode::Protocol);
    }
}

#[test]
fn exposure_is_checked_before_the_game_hears_of_it() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, own) = rig.playing();
    let other = EntityId(Id([9; 4]));
    assert_eq!(rig.ask(connection, 1, own, OWN_ONLY), None);
    assert_eq!(rig.ask(connection, 2, other, OWN_ONLY).as_deref(), Some(code::NOT_EXPOSED));
    assert_eq!(rig.ask(connection, 3, other, FOR_ALL), None);
    assert_eq!(rig.ask(connection, 4, own, 99).as_deref(), Some(code::NOT_EXPOSED));
    assert_eq!(rig.ask(connection, 5, own, GONE).as_deref(), Some(code::NO_SUCH_METHOD));
    rig.says(ToGate::View { session, view: 2, owner: other, type_id: 8 });
    assert_eq!(rig.ask(connection, 6, own, OWN_ONLY).as_deref(), Some(code::REBOUND));
    assert_eq!(
        rig.ask(connection, 7, other, OWN_ONLY).as_deref(),
        Some(code::NOT_EXPOSED),
        "of another type"
    );
    assert_eq!(rig.core.status().requests_refused, 5);
}

#[test]
fn arguments_that_are_no_array_are_answered() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, _, target) = rig.playing();
    let request = |request, args: Vec<u8>| ClientFrame::Request {
        request,
        acknowledged: 0,
        target,
        method: OWN_ONLY,
        deadline_ms: 0,
        args: args.into(),
    };
    for (number, args) in [vec![], vec![0x00], vec![0x81], vec![0x80, 0x00]].into_iter().enumerate() {
        rig.say(connection, &request(number as u64 + 1, args));
        let frames = read(&rig.drain(), connection);
        let Some(ServerFrame::Reply { outcome, .. }) = frames.first() else { panic!("no answer") };
        let Ok(Outcome::Err { code, .. }) = Outcome::decode(outcome) else { panic!("no error") };
        assert_eq!(code, code::BAD_ARGUMENTS);
    }
    rig.say(connection, &request(9, vec![0; ARGS_BYTES_MAX + 1]));
    assert_eq!(closed(&rig.drain(), connection).unwrap().0, CloseCode::Protocol);
}

mod chance;
mod forged;
mod limits;
mod places;
mod play;
mod sessions;

mod code {
    pub(super) use everwake_protocol::outcome::code::*;
}

#[test]
fn who_is_there_stays_while_a_gate_that_is_to_stop_lets_nobody_in() {
    let mut rig = Rig::new(GateLimits::default());
    let (playing, _, own) = rig.playing();
    rig.input(GateInput::Drain { on: true });
    assert!(rig.core.status().drains);
    rig.knock("10.0.0.9:1", true);
    assert!(rig.drain().iter().any(|output| matches!(output, GateOutput::Refuse { .. })));
    assert_eq!((rig.core.status().refused, rig.core.status().sessions), (1, 1));
    assert_eq!(rig.ask(playing, 1, own, FOR_ALL), None, "it plays on");
    rig.input(GateInput::Drain { on: false });
    rig.knock("10.0.0.9:1", true);
    assert!(rig.drain().iter().any(|output| matches!(output, GateOutput::Accept { .. })));
}
