//! Two cores, a wire between them that can be held and cut, and a clock that is a number.

use super::super::*;
use crate::frame::Class;
use crate::greeter::Greeter;
use crate::names::{Identity, Role};
use std::collections::VecDeque;

pub const DIALER: usize = 0;
pub const LISTENER: usize = 1;

/// What is under way to one end.
#[derive(Clone, Debug)]
pub enum Item {
    Bytes(ConnectionId, Bytes),
    End(ConnectionId),
}

pub struct Rig {
    pub now_ms: u64,
    pub cores: [Core; 2],
    pub configs: [Config; 2],
    /// Under way to each end.
    pub wire: [VecDeque<Item>; 2],
    /// What is under way stays under way, and the writer waits.
    pub held: bool,
    /// New connections can be made.
    pub reachable: bool,
    /// What each end told its owner.
    pub events: [Vec<Event>; 2],
    /// When the dialer dialed.
    pub dials: Vec<u64>,
    /// Writes of each end.
    pub writes: [usize; 2],
    greeter: Option<(ConnectionId, Greeter)>,
    /// A write of this end is under way.
    writing: [Option<ConnectionId>; 2],
    /// Connections of a dialer that is made anew get names of their own.
    dialed_before: u64,
}

pub fn life(start: u32) -> Incarnation {
    Incarnation { start, random: u64::from(start) * 1_000 + 1 }
}

pub fn config(us: &str, peer: &str, side: Side, limits: Limits) -> Config {
    let us = Identity { peer: us.parse().unwrap(), incarnation: life(1) };
    Config { us, peer: peer.parse().unwrap(), side, limits, seed: 5 }
}

impl Rig {
    pub fn new() -> Rig {
        Rig::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Rig {
        let configs = [
            config("game/a", "dispatcher/d", Side::Dialer, limits),
            config("dispatcher/d", "game/a", Side::Listener, limits),
        ];
        Rig {
            now_ms: 1_000,
            cores: configs.clone().map(|config| Core::new(config).unwrap()),
            configs,
            wire: Default::default(),
            held: false,
            reachable: true,
            events: Default::default(),
            dials: Vec::new(),
            writes: [0; 2],
            greeter: None,
            writing: [None; 2],
            dialed_before: 0,
        }
    }

    /// Connected and greeted; the events of it are taken.
    pub fn up(limits: Limits) -> Rig {
        let mut rig = Rig::with(limits);
        rig.tick();
        for end in [DIALER, LISTENER] {
            assert!(matches!(rig.take(end)[..], [Event::Up(_)]));
        }
        rig
    }

    /// The process of one end starts anew, as this life.
    pub fn restart(&mut self, end: usize, life: Incarnation) {
        self.cut();
        self.configs[end].us.incarnation = life;
        self.cores[end] = Core::new(self.configs[end].clone()).unwrap();
        self.dialed_before += 1_000;
        if end == DIALER {
            self.cores[end].dialed = self.dialed_before;
        }
        self.events[end].clear();
    }

    pub fn input(&mut self, end: usize, input: Input) {
        let mut outputs = Vec::new();
        self.cores[end].handle(self.now_ms, input, &mut outputs);
        for output in outputs {
            self.carry_out(end, output);
        }
    }

    pub fn send(&mut self, end: usize, class: Class, payload: impl Into<Bytes>) {
        let to = self.cores[end].known().unwrap_or_default();
        self.input(end, Input::Send(Outgoing { to, class, payload: payload.into() }));
    }

    pub fn tick(&mut self) {
        for end in [DIALER, LISTENER] {
            self.input(end, Input::Tick);
        }
        self.run();
    }

    /// Flushes and delivers until nothing moves.
    pub fn run(&mut self) {
        loop {
            for end in [DIALER, LISTENER] {
                self.input(end, Input::Flush);
            }
            if self.held || self.wire.iter().all(VecDeque::is_empty) {
                return;
            }
            for end in [DIALER, LISTENER] {
                while self.deliver(end) {}
            }
        }
    }

    /// Delivers the first item that is under way to an end.
    pub fn deliver(&mut self, end: usize) -> bool {
        match self.wire[end].pop_front() {
            None => return false,
            Some(Item::End(connection)) => {
                self.greeter = self.greeter.take().filter(|(of, _)| *of != connection);
                self.input(end, Input::Disconnected { connection });
            }
            Some(Item::Bytes(connection, bytes)) => {
                self.bytes(end, connection, bytes);
                if self.writing[1 - end].take_if(|of| *of == connection).is_some() {
                    self.input(1 - end, Input::Written { connection });
                }
            }
        }
        true
    }

    fn bytes(&mut self, end: usize, connection: ConnectionId, bytes: Bytes) {
        let greeter = self.greeter.as_mut().filter(|(of, _)| end == LISTENER && *of == connection);
        let Some((_, greeter)) = greeter else {
            return self.input(end, Input::Received { connection, bytes });
        };
        match greeter.handle(bytes) {
            Ok(None) => {}
            Ok(Some(greeted)) => {
                self.greeter = None;
                let (hello, decoder) = (greeted.hello, greeted.decoder);
                self.input(LISTENER, Input::Accepted { connection, hello, decoder });
            }
            Err(error) => {
                self.greeter = None;
                if let Some(refusal) = error.refusal() {
                    let batch = Batch { frames: vec![Frame::Refused(Box::new(refusal))] };
                    self.wire[DIALER].push_back(Item::Bytes(connection, batch.to_bytes()));
                }
                self.wire[DIALER].push_back(Item::End(connection));
                self.events[LISTENER].push(Event::Failed(error));
            }
        }
    }

    fn carry_out(&mut self, end: usize, output: Output) {
        match output {
            Output::Dial { connection } => {
                self.dials.push(self.now_ms);
                if self.reachable {
                    let us = self.configs[LISTENER].us.peer.clone();
                    self.greeter = Some((connection, Greeter::new(us, &[Role::Game, Role::Gate], None)));
                    self.input(end, Input::Connected { connection, certified: None });
                } else {
                    self.input(end, Input::Unreachable { connection, why: "refused".to_owned() });
                }
            }
            Output::Write { connection, batch } => {
                self.writes[end] += 1;
                self.writing[end] = Some(connection);
                self.wire[1 - end].push_back(Item::Bytes(connection, batch.to_bytes()));
            }
            Output::Disconnect { connection } => self.wire[1 - end].push_back(Item::End(connection)),
            Output::Event(event) => self.events[end].push(event),
        }
    }

    /// The connection breaks: what is under way is gone.
    pub fn cut(&mut self) {
        self.greeter = None;
        for end in [DIALER, LISTENER] {
            if let Some(connection) = self.cores[end].connection() {
                self.input(end, Input::Disconnected { connection });
            }
        }
        self.wire = Default::default();
    }

    /// Lets time go on, from one wake to the next.
    pub fn advance(&mut self, ms: u64) {
        let target = self.now_ms + ms;
        while self.now_ms < target {
            let next = self.cores.iter().filter_map(Core::next_wake_ms).min().unwrap_or(target);
            self.now_ms = next.max(self.now_ms + 1).min(target);
            self.tick();
        }
    }

    /// The events of an end since the last time.
    pub fn take(&mut self, end: usize) -> Vec<Event> {
        std::mem::take(&mut self.events[end])
    }

    /// The payloads among the events of an end, which are consumed by that.
    pub fn messages(&mut self, end: usize) -> Vec<Bytes> {
        let mut payloads = Vec::new();
        for event in self.take(end) {
            if let Event::Message { class, payload } = event {
                self.input(end, Input::Consumed { lane: class.lane(), cost: cost(payload.len()) });
                payloads.push(payload);
            }
        }
        payloads
    }

    /// Lets time go on until both ends are up; the last `Up` of each.
    pub fn until_up(&mut self) -> [Up; 2] {
        let is_up = |core: &Core| matches!(core.state, State::Up(_));
        while !self.cores.iter().all(is_up) {
            self.advance(100);
        }
        [DIALER, LISTENER].map(|end| {
            let events = self.take(end);
            let up = events.iter().rev().find_map(|event| match event {
                Event::Up(up) => Some(*up),
                _ => None,
            });
            up.unwrap_or_else(|| panic!("end {end} did not say that it is up: {events:?}"))
        })
    }
}
