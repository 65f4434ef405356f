//! Both ends of a link in one process: two cores, and between them one batch a direction at most.
//!
//! No I/O and no clock here either. Debug builds take every batch through its bytes, so that what runs while a
//! game is made is what runs between processes; other builds hand batches over as they are.

use crate::core::{Config, ConnectionId, Core, Event, Input, Output, Side};
use crate::frame::{Batch, Frame};
use crate::greeter::Greeter;
use crate::handshake::HandshakeError;
use crate::limits::LimitsError;
use std::collections::VecDeque;

/// How batches go from one core to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Encoded and decoded.
    Bytes,
    /// As values.
    Values,
}

impl Form {
    /// Bytes in debug builds, values otherwise.
    pub const OF_THIS_BUILD: Form = if cfg!(debug_assertions) { Form::Bytes } else { Form::Values };
}

/// Two ends that reach each other always.
#[derive(Debug)]
pub struct Pair {
    dialer: Core,
    listener: Core,
    dialer_config: Config,
    listener_config: Config,
    form: Form,
    /// A connection whose greeting has not reached the listener.
    greeter: Option<(ConnectionId, Greeter)>,
    work: VecDeque<(Side, Output)>,
}

impl Pair {
    /// Not connected: tick it. Each configuration names the other's process as its peer; their sides are set here.
    pub fn new(mut dialer: Config, mut listener: Config, form: Form) -> Result<Pair, LimitsError> {
        (dialer.side, listener.side) = (Side::Dialer, Side::Listener);
        Ok(Pair {
            dialer: Core::new(dialer.clone())?,
            listener: Core::new(listener.clone())?,
            dialer_config: dialer,
            listener_config: listener,
            form,
            greeter: None,
            work: VecDeque::new(),
        })
    }

    /// Gives one end an input and lets both run until nothing is left to do. Events come in `out` with the end
    /// that they are for.
    pub fn handle(&mut self, now_ms: u64, end: Side, input: Input, out: &mut Vec<(Side, Event)>) {
        self.feed(now_ms, end, input);
        while let Some((from, output)) = self.work.pop_front() {
            self.carry_out(now_ms, from, output, out);
        }
    }

    /// Time went on, for both ends.
    pub fn tick(&mut self, now_ms: u64, out: &mut Vec<(Side, Event)>) {
        self.handle(now_ms, Side::Dialer, Input::Tick, out);
        self.handle(now_ms, Side::Listener, Input::Tick, out);
    }

    /// When [`Pair::tick`] is due.
    pub fn next_wake_ms(&self) -> Option<u64> {
        self.dialer.next_wake_ms().into_iter().chain(self.listener.next_wake_ms()).min()
    }

    /// The core of one end, to look at.
    pub fn end(&self, end: Side) -> &Core {
        match end {
            Side::Dialer => &self.dialer,
            Side::Listener => &self.listener,
        }
    }

    fn feed(&mut self, now_ms: u64, end: Side, input: Input) {
        let mut outputs = Vec::new();
        let core = match end {
            Side::Dialer => &mut self.dialer,
            Side::Listener => &mut self.listener,
        };
        core.handle(now_ms, input, &mut outputs);
        self.work.extend(outputs.into_iter().map(|output| (end, output)));
    }

    fn carry_out(&mut self, now_ms: u64, from: Side, output: Output, out: &mut Vec<(Side, Event)>) {
        match output {
            Output::Dial { connection } => {
                let (us, role) = (self.listener_config.us.peer.clone(), self.dialer_config.us.peer.role());
                self.greeter = Some((connection, Greeter::new(us, &[role], None)));
                self.feed(now_ms, Side::Dialer, Input::Connected { connection, certified: None });
            }
            Output::Write { connection, batch } => {
                self.carry(now_ms, from, connection, batch, out);
                self.feed(now_ms, from, Input::Written { connection });
                self.feed(now_ms, from, Input::Flush);
                // The other end may have credit to tell, or waited for credit.
                self.feed(now_ms, other(from), Input::Flush);
            }
            Output::Disconnect { connection } => {
                self.greeter = self.greeter.take().filter(|(of, _)| *of != connection);
                self.feed(now_ms, other(from), Input::Disconnected { connection });
            }
            Output::Event(event) => out.push((from, event)),
        }
    }

    fn carry(
        &mut self,
        now_ms: u64,
        from: Side,
        connection: ConnectionId,
        batch: Batch,
        out: &mut Vec<(Side, Event)>,
    ) {
        let to = other(from);
        if let Some((_, mut greeter)) =
            self.greeter.take_if(|(of, _)| *of == connection && to == Side::Listener)
        {
            return match greeter.handle(batch.to_bytes()) {
                Ok(Some(greeted)) => {
                    let (hello, decoder) = (greeted.hello, greeted.decoder);
                    self.feed(now_ms, to, Input::Accepted { connection, hello, decoder });
                }
                // A dialer's first batch is its greeting, as a whole.
                Ok(None) => self.feed(now_ms, from, Input::Disconnected { connection }),
                Err(error) => self.refuse(now_ms, connection, error, out),
            };
        }
        match self.form {
            Form::Bytes => self.feed(now_ms, to, Input::Received { connection, bytes: batch.to_bytes() }),
            Form::Values => self.feed(now_ms, to, Input::Handed { connection, batch }),
        }
    }

    fn refuse(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        error: HandshakeError,
        out: &mut Vec<(Side, Event)>,
    ) {
        if let Some(refusal) = error.refusal() {
            let batch = Batch { frames: vec![Frame::Refused(Box::new(refusal))] };
            self.feed(now_ms, Side::Dialer, Input::Handed { connection, batch });
        }
        self.feed(now_ms, Side::Dialer, Input::Disconnected { connection });
        out.push((Side::Listener, Event::Failed(error)));
    }
}

fn other(side: Side) -> Side {
    match side {
        Side::Dialer => Side::Listener,
        Side::Listener => Side::Dialer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Outgoing, Session};
    use crate::frame::Class;
    use crate::limits::Limits;
    use crate::names::Identity;
    use everwake_protocol::cluster::Incarnation;

    fn config(us: &str, peer: &str) -> Config {
        let incarnation = Incarnation { start: 1, random: 7 };
        let (us, peer) = (Identity { peer: us.parse().unwrap(), incarnation }, peer.parse().unwrap());
        Config { us, peer, side: Side::Dialer, limits: Limits::default(), seed: 1 }
    }

    #[test]
    fn both_forms_tell_the_owners_the_same() {
        let run = |form| {
            let (game, dispatcher) = (config("game/a", "dispatcher/d"), config("dispatcher/d", "game/a"));
            let mut pair = Pair::new(game, dispatcher, form).unwrap();
            let mut events = Vec::new();
            pair.tick(0, &mut events);
            let to = Incarnation { start: 1, random: 7 };
            for number in 0..1_000u32 {
                let class = if number % 10 == 0 { Class::Reserved } else { Class::Ordinary };
                let payload = number.to_be_bytes().to_vec().into();
                let end = if number % 3 == 0 { Side::Listener } else { Side::Dialer };
                pair.handle(1, end, Input::Send(Outgoing { to, class, payload }), &mut events);
            }
            pair.handle(2, Side::Dialer, Input::Flush, &mut events);
            pair.handle(2, Side::Listener, Input::Flush, &mut events);
            pair.handle(3, Side::Dialer, Input::Close, &mut events);
            events
        };
        let events = run(Form::Bytes);
        assert_eq!(events, run(Form::Values));
        let messages = events.iter().filter(|(_, event)| matches!(event, Event::Message { .. })).count();
        assert_eq!(messages, 1_000);
        let ups =
            events.iter().filter(|(_, event)| matches!(event, Event::Up(up) if up.session == Session::Fresh));
        assert_eq!(ups.count(), 2);
        assert!(matches!(events.last(), Some((_, Event::Closed | Event::Down(_)))));
    }

    #[test]
    fn a_pair_that_is_mixed_up_says_so_at_both_ends() {
        let (game, dispatcher) = (config("game/a", "dispatcher/other"), config("dispatcher/d", "game/a"));
        let mut pair = Pair::new(game, dispatcher, Form::OF_THIS_BUILD).unwrap();
        let mut events = Vec::new();
        pair.tick(0, &mut events);
        assert!(
            matches!(
                &events[..],
                [
                    (Side::Listener, Event::Failed(HandshakeError::Misled { .. })),
                    (Side::Dialer, Event::Failed(HandshakeError::Refused { .. }))
                ] | [
                    (Side::Dialer, Event::Failed(HandshakeError::Refused { .. })),
                    (Side::Listener, Event::Failed(HandshakeError::Misled { .. }))
                ]
            ),
            "{events:?}"
        );
        assert!(pair.next_wake_ms().is_some_and(|wake| (25..=50).contains(&wake)));
    }
}
