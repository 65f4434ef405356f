//! The processes of a cluster: games, gates with the ends of their clients, dispatchers.

use crate::model::{MODULE, Shared, see};
use bytes::Bytes;
use everwake_client::{ClientCore, ClientEvent, Greeting, Value};
use everwake_dispatcher::member::{Member, MemberConfig, MemberEvent, MemberInput, MemberOutput, Say};
use everwake_gate::{ConnectionId, GateCore, GateInput, GateLimits, GateOutput};
use everwake_link::PeerName;
use everwake_protocol::Id;
use everwake_protocol::cluster::{FromDispatcher, Incarnation, ReturnReason, ToDispatcher, ToGame, ToGate};
use everwake_runtime::cargo::Cargo;
use everwake_runtime::driver::lockstep::{Among, AmongSettings, Sent};
use everwake_runtime::driver::{ModelLoader, SpaceSettings};
use everwake_runtime::game::GameConfig;
use everwake_runtime::game::admin::{AdminAnswer, AdminRequest};
use everwake_runtime::game::publish::PublishOptions;
use std::collections::BTreeMap;
use std::time::Duration;

/// A game or a gate.
pub(crate) struct Process {
    pub(crate) name: PeerName,
    pub(crate) life: Incarnation,
    pub(crate) part: Part,
    /// It does nothing until then.
    pub(crate) paused_until_ms: u64,
    /// Declared dead: what it does is void.
    pub(crate) is_over: bool,
}

pub(crate) enum Part {
    Game(Box<Among>),
    Gate(Box<GateSide>),
}

impl Process {
    pub(crate) fn game(
        name: PeerName,
        life: Incarnation,
        dispatchers: Vec<PeerName>,
        (loader, bytes): (ModelLoader, Bytes),
        now_ms: u64,
    ) -> Process {
        let config = GameConfig { nil_shards: 2, name: name.to_string(), ..GameConfig::dev(1) };
        let mut game = Among::new(AmongSettings {
            config,
            spaces: SpaceSettings { events_per_drain: 4, ..SpaceSettings::default() },
            member: MemberConfig::new(life, dispatchers),
            seed: life.random ^ u64::from(life.start),
            start_ms: now_ms,
            loader: Box::new(loader),
        });
        let options = PublishOptions::default();
        let ticket = game.ask(AdminRequest::Publish { bytes, note: String::new(), options });
        game.run(now_ms, 100);
        // A first version has nothing to be held against: it is published at once.
        match game.answer(ticket) {
            Some(AdminAnswer::Publication(report)) if report.published => {}
            other => panic!("the module is not published: {other:?}"),
        }
        Process { name, life, part: Part::Game(Box::new(game)), paused_until_ms: 0, is_over: false }
    }

    pub(crate) fn gate(name: PeerName, life: Incarnation, dispatchers: Vec<PeerName>) -> Process {
        let seed = Id::derive(&[b"gate", &life.random.to_be_bytes(), &life.start.to_be_bytes()]);
        let limits = GateLimits {
            connections_per_address: 1_000,
            connections_per_address_per_minute: 1_000_000,
            reboots_per_minute: 1_000,
            ..GateLimits::default()
        };
        let side = GateSide {
            core: GateCore::new(limits, life, seed),
            member: Member::new(MemberConfig::new(life, dispatchers)),
            ticked_ms: 0,
            sent: Vec::new(),
            said: Vec::new(),
            log: Vec::new(),
            is_outlived: false,
        };
        Process { name, life, part: Part::Gate(Box::new(side)), paused_until_ms: 0, is_over: false }
    }

    pub(crate) fn links(&mut self, now_ms: u64, input: MemberInput<Bytes>) {
        match &mut self.part {
            Part::Game(game) => game.from_links(input),
            Part::Gate(gate) => gate.links(now_ms, input),
        }
    }

    pub(crate) fn run(&mut self, now_ms: u64, spaces: usize, witness: &Shared) {
        match &mut self.part {
            Part::Game(game) => {
                see(witness).at = self.life;
                game.run(now_ms, spaces);
            }
            Part::Gate(gate) => gate.run(now_ms),
        }
    }

    pub(crate) fn take_sent(&mut self) -> Vec<Sent> {
        match &mut self.part {
            Part::Game(game) => game.take_sent(),
            Part::Gate(gate) => std::mem::take(&mut gate.sent),
        }
    }

    pub(crate) fn is_outlived(&self) -> bool {
        match &self.part {
            Part::Game(game) => game.is_outlived(),
            Part::Gate(gate) => gate.is_outlived,
        }
    }

    /// Envelopes that nobody has acknowledged.
    pub(crate) fn kept(&self) -> usize {
        match &self.part {
            Part::Game(game) => game.kept().0,
            Part::Gate(gate) => gate.member.kept().0,
        }
    }
}

/// A gate's core over its side of all dispatchers.
pub(crate) struct GateSide {
    pub(crate) core: GateCore,
    member: Member<Bytes>,
    ticked_ms: u64,
    sent: Vec<Sent>,
    /// For clients.
    pub(crate) said: Vec<GateOutput>,
    pub(crate) log: Vec<String>,
    is_outlived: bool,
}

impl GateSide {
    fn links(&mut self, now_ms: u64, input: MemberInput<Bytes>) {
        let mut heard = Vec::new();
        self.member.handle(now_ms, input, &mut heard);
        while !heard.is_empty() {
            for output in std::mem::take(&mut heard) {
                match output {
                    MemberOutput::Send { dispatcher, to, class, message } => {
                        self.sent.push(Sent { dispatcher, to, class, message });
                    }
                    MemberOutput::Event(MemberEvent::ReportWanted { dispatcher }) => {
                        let say = Say::Report { dispatcher, spaces: Vec::new(), entities: Vec::new() };
                        self.member.handle(now_ms, MemberInput::Say(say), &mut heard);
                    }
                    MemberOutput::Event(event) => {
                        if let Some(message) = for_gate(event) {
                            self.core_input(now_ms, GateInput::Dispatched(message));
                        }
                    }
                }
            }
        }
    }

    pub(crate) fn core_input(&mut self, now_ms: u64, input: GateInput) {
        let mut out = Vec::new();
        self.core.handle(Duration::from_millis(now_ms), input, &mut out);
        self.follow(now_ms, out);
    }

    fn follow(&mut self, now_ms: u64, outputs: Vec<GateOutput>) {
        for output in outputs {
            match output {
                GateOutput::Dispatch(message) => {
                    let say = match message.map(|to_game| Cargo::Client(to_game).encode()) {
                        ToDispatcher::Carry(envelope) => Say::Carry(envelope),
                        ToDispatcher::Create { place, envelope } => Say::Create { place, envelope },
                        other => panic!("a gate says {other:?}"),
                    };
                    self.links(now_ms, MemberInput::Say(say));
                }
                GateOutput::Stop => self.is_outlived = true,
                GateOutput::Log { .. } => self.log.push(format!("{now_ms} {output:?}")),
                output => self.said.push(output),
            }
        }
    }

    fn run(&mut self, now_ms: u64) {
        if now_ms >= self.ticked_ms + 250 {
            self.ticked_ms = now_ms;
            self.core_input(now_ms, GateInput::Tick);
        }
        let mut out = Vec::new();
        self.core.flush(Duration::from_millis(now_ms), &mut out);
        self.follow(now_ms, out);
        self.links(now_ms, MemberInput::Flush);
    }
}

fn for_gate(event: MemberEvent<Bytes>) -> Option<FromDispatcher<ToGate, ToGame>> {
    let open = |bytes: Bytes| Cargo::decode(bytes, &|_, _| None).unwrap();
    let to_gate = |bytes| match open(bytes) {
        Cargo::Gate(to_gate) => Some(to_gate),
        other => panic!("a gate gets {other:?}"),
    };
    let to_game = |bytes| match open(bytes) {
        Cargo::Client(to_game) => Some(to_game),
        other => panic!("a gate gets back {other:?}"),
    };
    Some(match event {
        MemberEvent::Deliver(envelope) => FromDispatcher::Deliver(envelope.try_map(to_gate)?),
        MemberEvent::Returned { envelope, reason, uncertain } => {
            FromDispatcher::Return { envelope: envelope.try_map(to_game)?, reason, uncertain }
        }
        MemberEvent::Refused(envelope) => FromDispatcher::Return {
            envelope: envelope.try_map(to_game)?,
            reason: ReturnReason::Overloaded,
            uncertain: false,
        },
        MemberEvent::Dead { life, .. } => FromDispatcher::Dead(life),
        MemberEvent::Members { members, .. } => FromDispatcher::Members(members),
        MemberEvent::ReportWanted { .. } | MemberEvent::Marker { .. } | MemberEvent::Asked { .. } => {
            return None;
        }
    })
}

/// A client, and its connection if it has one.
pub(crate) struct Seat {
    pub(crate) core: ClientCore,
    /// Place of the gate's process and its life.
    pub(crate) gate: Option<(usize, Incarnation)>,
    pub(crate) connection: ConnectionId,
    /// Requests that wait, by id, and the last poke that was answered well.
    pub(crate) pokes: BTreeMap<u64, i64>,
    pub(crate) answers: u64,
    pub(crate) last_poke: Option<Result<Vec<i64>, String>>,
    pub(crate) views: u64,
}

impl Seat {
    pub(crate) fn new(connection: ConnectionId, gate: (usize, Incarnation)) -> Seat {
        let greeting = Greeting { module: MODULE.into(), ..Greeting::default() };
        Seat {
            core: ClientCore::new(&greeting).unwrap(),
            gate: Some(gate),
            connection,
            pokes: BTreeMap::new(),
            answers: 0,
            last_poke: None,
            views: 0,
        }
    }

    /// What the client was told; an error if it does not fit together.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.core.receive(bytes).map_err(|error| error.to_string())?;
        self.drain()
    }

    pub(crate) fn drain(&mut self) -> Result<(), String> {
        while let Some(event) = self.core.poll_event() {
            match event {
                ClientEvent::Inconsistent { text } => return Err(text),
                ClientEvent::Resync { .. } => self.views += 1,
                ClientEvent::Replied { request, outcome } => {
                    self.answers += 1;
                    if self.pokes.remove(&request).is_some() {
                        self.last_poke = Some(match outcome {
                            everwake_protocol::outcome::Outcome::Ok(value) => Ok(numbers(&value)),
                            failed => Err(format!("{failed:?}")),
                        });
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What the client's mirror of its own entity says.
    pub(crate) fn mirror(&self) -> Option<Vec<i64>> {
        let own = self.core.own()?.id;
        let value = |name| match self.core.attribute(own, name) {
            Some(Value::Int(number)) => i64::try_from(number).unwrap_or(i64::MIN),
            other => panic!("`{name}` is {other:?}"),
        };
        Some(["pokes", "heard", "sent"].map(value).to_vec())
    }
}

fn numbers(value: &[u8]) -> Vec<i64> {
    let mut reader = everwake_protocol::cbor::Reader::new(value);
    let count = reader.array().unwrap();
    (0..count).map(|_| reader.i64().unwrap()).collect()
}
