//! What leaves for the dispatchers: whose it is, whom it is for, and which of its author's sayings it is.
//!
//! Requests are numbered by their session, so that a target knows one that comes twice. What the gate itself says
//! is numbered by the gate. Moves and the like have no number: newer ones follow.

use crate::values::GateOutput;
use everwake_protocol::cluster::{Envelope, Incarnation, MessageId, Placement, Target, ToDispatcher, ToGame};
use everwake_protocol::{EntityId, Id, SessionId};

/// Epoch of a gate's own messages: they do not outlive the life of the gate.
const EPOCH: u32 = 1;
/// Epoch of sessions. Entities mark requests by their number alone, and what they marked is what the game that they
/// move to goes by: any other epoch would make each request after a move look like one behind a hole.
const SESSION_EPOCH: u32 = 0;

/// See the head of this module.
#[derive(Debug)]
pub(crate) struct Post {
    incarnation: Incarnation,
    sender: Id,
    counter: u64,
}

impl Post {
    pub(crate) fn new(incarnation: Incarnation) -> Post {
        let Incarnation { start, random } = incarnation;
        let sender = Id::derive(&[b"gate", &start.to_be_bytes(), &random.to_be_bytes()]);
        Post { incarnation, sender, counter: 0 }
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Make a boot entity in any game of the module. May be refused: then the client is told.
    pub(crate) fn create(&mut self, boot: EntityId, module: String, connected: ToGame) -> GateOutput {
        let message = self.next();
        let envelope = self.envelope(Target::Entity(boot), message, true, connected);
        GateOutput::Dispatch(ToDispatcher::Create { place: Placement::Anywhere { module }, envelope })
    }

    /// A client's call.
    pub(crate) fn request(
        &self,
        session: SessionId,
        request: u64,
        target: EntityId,
        payload: ToGame,
    ) -> GateOutput {
        let message = MessageId { sender: session.0, epoch: SESSION_EPOCH, counter: request };
        GateOutput::Dispatch(ToDispatcher::Carry(self.envelope(
            Target::Entity(target),
            message,
            true,
            payload,
        )))
    }

    /// The session is no more. It goes behind its last request to this target, so that none is sent again after it.
    pub(crate) fn forget(&self, session: SessionId, target: EntityId, last: u64) -> GateOutput {
        let counter = last.saturating_add(1);
        let message = MessageId { sender: session.0, epoch: SESSION_EPOCH, counter };
        let payload = ToGame::Forget { session };
        GateOutput::Dispatch(ToDispatcher::Carry(self.envelope(
            Target::Entity(target),
            message,
            false,
            payload,
        )))
    }

    /// What may get lost.
    pub(crate) fn fleeting(&self, target: EntityId, payload: ToGame) -> GateOutput {
        let message = MessageId { sender: payload.session().0, epoch: EPOCH, counter: 0 };
        GateOutput::Dispatch(ToDispatcher::Carry(self.envelope(
            Target::Entity(target),
            message,
            true,
            payload,
        )))
    }

    /// What must arrive, however much waits: that clients are gone, or elsewhere.
    pub(crate) fn kept(&mut self, target: Target, payload: ToGame) -> GateOutput {
        let message = self.next();
        GateOutput::Dispatch(ToDispatcher::Carry(self.envelope(target, message, false, payload)))
    }

    fn next(&mut self) -> MessageId {
        self.counter += 1;
        MessageId { sender: self.sender, epoch: EPOCH, counter: self.counter }
    }

    fn envelope(
        &self,
        target: Target,
        message: MessageId,
        refusable: bool,
        payload: ToGame,
    ) -> Envelope<ToGame> {
        let source = self.incarnation;
        Envelope { refusable, ..Envelope::new(source, target, message, payload) }
    }
}
