//! The state machine of one end of one link: it outlives its connections, and does no I/O.
//!
//! One input, drain all outputs, next input. Two things are kept apart: the *connection*, of which there is one
//! or none, and the *standing* with one life of the peer, which goes on over connections.

use crate::credit::{Allowance, Window, cost};
use crate::frame::{Batch, Decoder, Frame, FrameError, Lane, PerLane};
use crate::handshake::HandshakeError;
use crate::limits::{Limits, LimitsError, WRITE_FRAMES_MAX};
use crate::names::PeerName;
use crate::queue::{Queue, Waiting};
use bytes::Bytes;
use everwake_protocol::backoff::Backoff;
use everwake_protocol::cluster::Incarnation;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

mod meeting;
mod values;

pub use values::{
    Config, ConnectionId, DownReason, Event, Input, Lost, Outgoing, Output, Refused, Session, Side, Up,
};

const LANES: [Lane; 2] = [Lane::Express, Lane::Main];

/// One end of one link.
#[derive(Debug)]
pub struct Core {
    config: Config,
    state: State,
    decoder: Decoder,
    queue: Queue,
    backoff: Backoff,
    chance: ChaCha8Rng,
    dialed: u64,
    /// The youngest life of the peer that was met. Older ones are refused for ever.
    known: Option<Incarnation>,
    sent: PerLane<Sent>,
    received: PerLane<Received>,
    windows: PerLane<Window>,
}

/// Where this side stands as a sender.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    last: u64,
    /// Up to here the owner knows whether it arrived.
    settled: u64,
}

/// Where this side stands as a receiver.
#[derive(Clone, Copy, Debug, Default)]
struct Received {
    /// What the next greeting says. A hole behind it is told to the peer until something came behind the
    /// hole: then the peer has heard of it.
    last: u64,
    /// Up to here the owner knows whether it arrived; the next message has the sequence behind it.
    settled: u64,
}

#[derive(Debug)]
enum State {
    /// No connection. The dialer makes one at that time.
    Waiting {
        dial_at_ms: Option<u64>,
    },
    Dialing {
        connection: ConnectionId,
        deadline_ms: u64,
    },
    /// The dialer has greeted and waits for the answer.
    Greeting {
        connection: ConnectionId,
        certified: Option<PeerName>,
        since_ms: u64,
    },
    Up(Open),
    Closed,
}

/// A connection on which messages flow.
#[derive(Debug)]
struct Open {
    connection: ConnectionId,
    since_ms: u64,
    heard_ms: u64,
    wrote_ms: u64,
    /// A write is under way since then.
    writing_since_ms: Option<u64>,
    allowances: PerLane<Allowance>,
    /// The owner closes; at the latest then.
    close_at_ms: Option<u64>,
    said_bye: bool,
}

impl Core {
    /// A link without a connection. A dialer wants to be ticked at once.
    pub fn new(config: Config) -> Result<Core, LimitsError> {
        let Limits { main_window_bytes, express_window_bytes, backoff_min_ms, backoff_max_ms, .. } =
            config.limits;
        config.limits.check()?;
        Ok(Core {
            state: State::Waiting { dial_at_ms: (config.side == Side::Dialer).then_some(0) },
            decoder: Decoder::new(),
            queue: Queue::default(),
            backoff: Backoff::new(backoff_min_ms, backoff_max_ms),
            chance: ChaCha8Rng::seed_from_u64(config.seed),
            dialed: 0,
            known: None,
            sent: PerLane::default(),
            received: PerLane::default(),
            windows: PerLane {
                main: Window::new(main_window_bytes),
                express: Window::new(express_window_bytes),
            },
            config,
        })
    }

    /// Takes one input. Time never goes back. Drain `out` before the next one.
    pub fn handle(&mut self, now_ms: u64, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Connected { connection, certified } => self.connected(now_ms, connection, certified, out),
            Input::Accepted { connection, hello, decoder } => {
                self.accepted(now_ms, connection, &hello, decoder, out);
            }
            Input::Received { connection, bytes } => self.bytes_came(now_ms, connection, bytes, out),
            Input::Handed { connection, batch } => {
                for frame in batch.frames {
                    if self.heard(now_ms, connection) {
                        self.frame_came(now_ms, frame, out);
                    }
                }
            }
            Input::Written { connection } => self.written(now_ms, connection, out),
            Input::Disconnected { connection } => self.disconnected(now_ms, connection, out),
            Input::Unreachable { connection, why } => {
                if self.connection() == Some(connection) {
                    let (us, them) = (self.config.us.peer.clone(), self.config.peer.clone());
                    self.give_up(now_ms, HandshakeError::Unreachable { us, them, why }, out);
                }
            }
            Input::Send(message) => self.send(message, out),
            Input::Consumed { lane, cost } => self.windows.of_mut(lane).consumed(cost),
            Input::Flush => self.flush(now_ms, out),
            Input::Close => self.close(now_ms, out),
            Input::Tick => self.tick(now_ms, out),
        }
    }

    /// When [`Input::Tick`] is due, if nothing else happens before. In the past: at once.
    pub fn next_wake_ms(&self) -> Option<u64> {
        let limits = &self.config.limits;
        match &self.state {
            State::Waiting { dial_at_ms } => *dial_at_ms,
            State::Dialing { deadline_ms, .. } => Some(*deadline_ms),
            State::Greeting { since_ms, .. } => Some(since_ms.saturating_add(limits.greeting_ms)),
            State::Up(open) => {
                let silence = open.heard_ms.saturating_add(limits.silence_ms);
                let own = match open.writing_since_ms {
                    Some(since) => since.saturating_add(limits.stall_ms),
                    None => open.wrote_ms.saturating_add(limits.heartbeat_ms),
                };
                Some(silence.min(own).min(open.close_at_ms.unwrap_or(u64::MAX)))
            }
            State::Closed => None,
        }
    }

    /// The process at the other end.
    pub fn peer(&self) -> &PeerName {
        &self.config.peer
    }

    /// The youngest life of it that was met.
    pub fn known(&self) -> Option<Incarnation> {
        self.known
    }

    /// What waits to be sent of a class.
    pub fn waiting(&self, class: crate::Class) -> Waiting {
        self.queue.waiting(class)
    }

    /// True after [`Event::Closed`].
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    fn connection(&self) -> Option<ConnectionId> {
        match &self.state {
            State::Dialing { connection, .. } | State::Greeting { connection, .. } => Some(*connection),
            State::Up(open) => Some(open.connection),
            State::Waiting { .. } | State::Closed => None,
        }
    }

    // Receiving.

    fn bytes_came(&mut self, now_ms: u64, connection: ConnectionId, bytes: Bytes, out: &mut Vec<Output>) {
        if !self.heard(now_ms, connection) {
            return;
        }
        self.decoder.push(bytes);
        // A frame may end the connection; what is behind it then belongs to nobody.
        while self.connection() == Some(connection) {
            match self.decoder.pop() {
                Ok(Some(frame)) => self.frame_came(now_ms, frame, out),
                Ok(None) => return,
                Err(error) => self.garbage_came(now_ms, error, out),
            }
        }
    }

    /// True if the connection is the present one. It is not silent then.
    fn heard(&mut self, now_ms: u64, connection: ConnectionId) -> bool {
        match &mut self.state {
            State::Up(open) if open.connection == connection => {
                open.heard_ms = now_ms;
                true
            }
            State::Greeting { connection: present, .. } => *present == connection,
            _ => false,
        }
    }

    fn frame_came(&mut self, now_ms: u64, frame: Frame, out: &mut Vec<Output>) {
        match (&mut self.state, frame) {
            (State::Up(_), Frame::Message { class, sequence, payload }) => {
                self.message_came(now_ms, class, sequence, payload, out);
            }
            (State::Up(open), Frame::Credit { lane, granted }) => open.allowances.of_mut(lane).raise(granted),
            (State::Up(_), Frame::Beat) => {}
            (State::Up(_), Frame::Bye) => self.down(now_ms, DownReason::Bye, out),
            (State::Up(_), Frame::Refused(_)) => self.down(now_ms, DownReason::Refused, out),
            (State::Up(_), Frame::Hello(_)) => self.down(now_ms, DownReason::Greeting, out),
            (State::Greeting { .. }, Frame::Hello(hello)) => self.answered(now_ms, &hello, out),
            (State::Greeting { .. }, Frame::Refused(refusal)) => {
                let (us, them) = (self.config.us.peer.clone(), self.config.peer.clone());
                self.give_up(now_ms, HandshakeError::Refused { us, them, refusal: *refusal }, out);
            }
            (State::Greeting { .. }, _) => self.garbage_came(now_ms, FrameError::Field("greeting"), out),
            _ => {}
        }
    }

    fn message_came(
        &mut self,
        now_ms: u64,
        class: crate::Class,
        sequence: u64,
        payload: Bytes,
        out: &mut Vec<Output>,
    ) {
        let lane = class.lane();
        let received = self.received.of_mut(lane);
        let expected = received.settled + 1;
        if sequence != expected {
            return self.down(now_ms, DownReason::Gap { lane, expected, found: sequence }, out);
        }
        if !self.windows.of_mut(lane).take(cost(payload.len())) {
            return self.down(now_ms, DownReason::Credit { lane }, out);
        }
        *received = Received { last: sequence, settled: sequence };
        out.push(Output::Event(Event::Message { class, payload }));
    }

    fn garbage_came(&mut self, now_ms: u64, error: FrameError, out: &mut Vec<Output>) {
        match &self.state {
            State::Greeting { .. } => {
                let us = self.config.us.peer.clone();
                self.give_up(now_ms, HandshakeError::Frame { us, error }, out);
            }
            _ => self.down(now_ms, DownReason::Frame(error), out),
        }
    }

    // Sending.

    fn send(&mut self, message: Outgoing, out: &mut Vec<Output>) {
        let Outgoing { to, class, payload } = message;
        let (len, max) = (payload.len(), class.payload_bytes_max());
        let closing = matches!(&self.state, State::Up(open) if open.close_at_ms.is_some());
        let refused = if self.is_closed() || closing {
            Err((payload, Refused::Closed))
        } else if self.known != Some(to) {
            Err((payload, Refused::OtherLife))
        } else if len > max {
            Err((payload, Refused::TooLarge { len, max }))
        } else {
            let offered = self.queue.offer(class, payload, &self.config.limits);
            offered.map_err(|payload| (payload, Refused::Overloaded))
        };
        if let Err((payload, why)) = refused {
            out.push(Output::Event(Event::Refused { message: Outgoing { to, class, payload }, why }));
        }
    }

    /// One write of all that waits and has credit, if none is under way.
    fn flush(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        let limits = &self.config.limits;
        let State::Up(open) = &mut self.state else { return };
        if open.writing_since_ms.is_some() || open.said_bye {
            return;
        }
        let mut frames = Vec::new();
        for lane in LANES {
            let told = self.windows.of_mut(lane).tell();
            frames.extend(told.map(|granted| Frame::Credit { lane, granted }));
        }
        let mut bytes = 0;
        for lane in LANES {
            while bytes < limits.write_bytes_max && frames.len() < WRITE_FRAMES_MAX {
                let Some(cost) = self.queue.next_cost(lane) else { break };
                if !open.allowances.of_mut(lane).spend(cost) {
                    break;
                }
                let Some((class, payload)) = self.queue.pop(lane) else { break };
                let sent = self.sent.of_mut(lane);
                sent.last += 1;
                bytes += payload.len();
                frames.push(Frame::Message { class, sequence: sent.last, payload });
            }
        }
        if open.close_at_ms.is_some_and(|at| self.queue.is_empty() || now_ms >= at) {
            frames.push(Frame::Bye);
            open.said_bye = true;
        } else if frames.is_empty() && now_ms.saturating_sub(open.wrote_ms) >= limits.heartbeat_ms {
            frames.push(Frame::Beat);
        }
        if !frames.is_empty() {
            (open.wrote_ms, open.writing_since_ms) = (now_ms, Some(now_ms));
            out.push(Output::Write { connection: open.connection, batch: Batch { frames } });
        }
    }

    fn written(&mut self, now_ms: u64, connection: ConnectionId, out: &mut Vec<Output>) {
        if let State::Up(open) = &mut self.state
            && open.connection == connection
        {
            open.writing_since_ms = None;
            open.wrote_ms = now_ms;
            if open.said_bye {
                self.end(out);
            }
        }
    }

    /// Everything that waits goes back to the owner, each lane in its order.
    fn give_back(&mut self, why: Refused, out: &mut Vec<Output>) {
        // Nothing waits before a first life is known.
        let to = self.known.unwrap_or_default();
        for lane in LANES {
            while let Some((class, payload)) = self.queue.pop(lane) {
                out.push(Output::Event(Event::Refused { message: Outgoing { to, class, payload }, why }));
            }
        }
    }

    // Time, and ends.

    fn tick(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        let limits = self.config.limits;
        match &self.state {
            State::Waiting { dial_at_ms: Some(at) } if now_ms >= *at => self.dial(now_ms, out),
            State::Dialing { connection, deadline_ms } if now_ms >= *deadline_ms => {
                out.push(Output::Disconnect { connection: *connection });
                self.wait(now_ms);
            }
            State::Greeting { since_ms, .. } if now_ms.saturating_sub(*since_ms) >= limits.greeting_ms => {
                let (us, waited_ms) = (self.config.us.peer.clone(), now_ms.saturating_sub(*since_ms));
                self.give_up(now_ms, HandshakeError::Timeout { us, waited_ms }, out);
            }
            State::Up(open) => {
                let silent_ms = now_ms.saturating_sub(open.heard_ms);
                let stalled_ms = open.writing_since_ms.map_or(0, |since| now_ms.saturating_sub(since));
                if open.close_at_ms.is_some_and(|at| now_ms >= at) && open.writing_since_ms.is_some() {
                    // The peer does not even take what is under way.
                    self.end(out);
                } else if silent_ms >= limits.silence_ms {
                    self.down(now_ms, DownReason::Silent { silent_ms }, out);
                } else if stalled_ms >= limits.stall_ms {
                    self.down(now_ms, DownReason::Stalled { stalled_ms }, out);
                } else {
                    self.flush(now_ms, out);
                }
            }
            _ => {}
        }
    }

    fn dial(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        self.dialed += 1;
        let connection = ConnectionId(self.dialed);
        let deadline_ms = now_ms.saturating_add(self.config.limits.connect_ms);
        self.state = State::Dialing { connection, deadline_ms };
        out.push(Output::Dial { connection });
    }

    /// No connection any more; the dialer makes a new one after a while.
    fn wait(&mut self, now_ms: u64) {
        let dials = self.config.side == Side::Dialer;
        let dial_at_ms = dials.then(|| now_ms.saturating_add(self.backoff.next_ms(self.chance.next_u64())));
        self.state = State::Waiting { dial_at_ms };
        self.decoder = Decoder::new();
    }

    fn disconnected(&mut self, now_ms: u64, connection: ConnectionId, out: &mut Vec<Output>) {
        if self.connection() != Some(connection) {
            return;
        }
        match &self.state {
            State::Up(_) => self.down(now_ms, DownReason::Disconnected, out),
            _ => self.wait(now_ms),
        }
    }

    fn down(&mut self, now_ms: u64, reason: DownReason, out: &mut Vec<Output>) {
        let State::Up(open) = &self.state else { return };
        let closing = open.close_at_ms.is_some();
        // A link that fails right after each greeting must not be made anew without a pause.
        if now_ms.saturating_sub(open.since_ms) >= self.config.limits.silence_ms {
            self.backoff.reset();
        }
        if closing {
            return self.end(out);
        }
        out.push(Output::Disconnect { connection: open.connection });
        self.wait(now_ms);
        out.push(Output::Event(Event::Down(reason)));
    }

    fn close(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        match &mut self.state {
            State::Closed => {}
            State::Up(open) => {
                open.close_at_ms.get_or_insert(now_ms.saturating_add(self.config.limits.close_ms));
                self.flush(now_ms, out);
            }
            _ => self.end(out),
        }
    }

    fn end(&mut self, out: &mut Vec<Output>) {
        if let Some(connection) = self.connection() {
            out.push(Output::Disconnect { connection });
        }
        if matches!(self.state, State::Up(_)) {
            out.push(Output::Event(Event::Down(DownReason::Closed)));
        }
        self.state = State::Closed;
        self.give_back(Refused::Closed, out);
        out.push(Output::Event(Event::Closed));
    }
}

#[cfg(test)]
mod tests;
