//! The way into the core's thread: one queue, bounded for those who can wait or be refused.

use super::ask::Ask;
use crate::game::GameInput;
use bytes::Bytes;
use everwake_dispatcher::MemberInput;
use everwake_protocol::cluster::{ToDispatcher, ToGame};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Inputs that may wait for the core before workers pause and the gate is refused. Stops spaces
/// and clients from filling memory faster than the core can look.
const CORE_INPUTS_MAX: usize = 16_384;

/// The gate's message was not taken: too much waits already.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the game is overloaded")]
pub struct Overloaded(pub Box<ToDispatcher<ToGame>>);

/// What the core's thread gets.
pub(super) enum CoreMessage {
    /// For the core.
    Input(GameInput),
    /// From the gate.
    Gate(ToDispatcher<ToGame>),
    /// From the links to dispatchers.
    Links(Vec<MemberInput<Bytes>>),
    /// An operator's request.
    Ask(Ask),
}

/// The sending end. Shared.
pub(super) struct CoreInbox {
    sender: Mutex<Sender<CoreMessage>>,
    waiting: AtomicUsize,
    room: Condvar,
    gate: Mutex<()>,
}

/// The receiving end.
pub(super) struct CoreOutbox {
    receiver: Receiver<CoreMessage>,
}

/// Both ends.
pub(super) fn traffic() -> (CoreInbox, CoreOutbox) {
    let (sender, receiver) = channel();
    let inbox = CoreInbox {
        sender: Mutex::new(sender),
        waiting: AtomicUsize::new(0),
        room: Condvar::new(),
        gate: Mutex::new(()),
    };
    (inbox, CoreOutbox { receiver })
}

impl CoreInbox {
    /// Never refused.
    pub(super) fn push(&self, input: GameInput) {
        self.send(CoreMessage::Input(input));
    }

    /// Given back if too much waits, and its author can be told no.
    pub(super) fn offer(&self, message: ToDispatcher<ToGame>) -> Result<(), Overloaded> {
        if self.waiting.load(Ordering::Relaxed) >= CORE_INPUTS_MAX && message.is_refusable() {
            return Err(Overloaded(Box::new(message)));
        }
        self.send(CoreMessage::Gate(message));
        Ok(())
    }

    /// Never refused: who brings it looks for room first.
    pub(super) fn links(&self, inputs: Vec<MemberInput<Bytes>>) {
        self.send(CoreMessage::Links(inputs));
    }

    /// Whether not too much waits for the core.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) < CORE_INPUTS_MAX
    }

    pub(super) fn ask(&self, ask: Ask) {
        self.send(CoreMessage::Ask(ask));
    }

    /// Waits while too much waits for the core.
    pub(super) fn wait_for_room(&self) {
        if self.waiting.load(Ordering::Relaxed) < CORE_INPUTS_MAX {
            return;
        }
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        while self.waiting.load(Ordering::Relaxed) >= CORE_INPUTS_MAX {
            // The time-out heals a wake-up that came between the look and the wait.
            let wait = self.room.wait_timeout(gate, Duration::from_millis(5));
            gate = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The core has taken one.
    pub(super) fn taken(&self) {
        let before = self.waiting.fetch_sub(1, Ordering::Relaxed);
        if before == CORE_INPUTS_MAX {
            self.room.notify_all();
        }
    }

    fn send(&self, message: CoreMessage) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        // The core is gone: the process is ending, and nobody wants to know.
        drop(sender.send(message));
    }
}

impl CoreOutbox {
    /// The next one; none when the time is over.
    pub(super) fn next(&self, wait: Option<Duration>) -> Option<CoreMessage> {
        match wait {
            None => self.receiver.recv().ok(),
            Some(wait) => self.receiver.recv_timeout(wait).ok(),
        }
    }

    /// The next one, if it is there.
    pub(super) fn try_next(&self) -> Option<CoreMessage> {
        self.receiver.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use everwake_protocol::cluster::{Envelope, Incarnation, MessageId, Target};
    use everwake_protocol::{EntityId, SessionId};

    #[test]
    fn the_gate_is_refused_while_too_much_waits_and_operators_are_not() {
        let (inbox, outbox) = traffic();
        let message = |refusable| {
            let target = Target::Entity(EntityId::default());
            let payload = ToGame::RoundTrip { session: SessionId::default(), ms: 1.0 };
            let envelope = Envelope::new(Incarnation::default(), target, MessageId::default(), payload);
            ToDispatcher::Carry(Envelope { refusable, ..envelope })
        };
        for _ in 0..CORE_INPUTS_MAX {
            inbox.offer(message(true)).expect("room");
        }
        assert_eq!(inbox.offer(message(true)), Err(Overloaded(Box::new(message(true)))));
        inbox.offer(message(false)).expect("what nobody can be told no for is taken");
        inbox.push(GameInput::Shutdown);
        for _ in 0..3 {
            outbox.try_next().expect("something waits");
            inbox.taken();
        }
        inbox.offer(message(true)).expect("room again");
    }
}
