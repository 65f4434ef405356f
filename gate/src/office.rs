//! Between a gate and its dispatchers: makes bytes of what the gate says and keeps them until they have arrived, and
//! opens what comes for its clients.
//!
//! A gate has no entities: a report of it names nothing. It does not know clients.

use bytes::Bytes;
use everwake_dispatcher::{Member, MemberConfig, MemberEvent, MemberInput, MemberOutput, Say};
use everwake_protocol::cluster::{
    CARGO_CLIENT, CARGO_GATE, Envelope, FromDispatcher, Incarnation, ReturnReason, Target, ToDispatcher,
    ToGame, ToGate,
};

/// Into an office.
#[derive(Debug)]
pub enum OfficeInput {
    /// The gate says something.
    Gate(ToDispatcher<ToGame>),
    /// From the links, or [`MemberInput::Flush`] after a round.
    Links(MemberInput<Bytes>),
    /// The gate ends.
    Leave,
}

/// Out of an office.
#[derive(Debug, PartialEq)]
pub enum OfficeOutput {
    /// For the gate.
    Gate(FromDispatcher<ToGate, ToGame>),
    /// To a dispatcher.
    Send {
        /// Its place among the dispatchers by name.
        dispatcher: usize,
        /// For which of its lives.
        to: Incarnation,
        /// What.
        message: ToDispatcher<Bytes>,
    },
}

/// See the head of this module.
#[derive(Debug)]
pub struct Office {
    member: Member<Bytes>,
    malformed: u64,
}

impl Office {
    /// Of a gate whose life and dispatchers these are.
    pub fn new(config: MemberConfig) -> Office {
        Office { member: Member::new(config), malformed: 0 }
    }

    /// Takes one input; appends everything that follows from it.
    pub fn handle(&mut self, now_ms: u64, input: OfficeInput, out: &mut Vec<OfficeOutput>) {
        let input = match input {
            OfficeInput::Links(input) => input,
            OfficeInput::Leave => MemberInput::Say(Say::Leave),
            OfficeInput::Gate(ToDispatcher::Carry(envelope)) => {
                MemberInput::Say(Say::Carry(envelope.map(sealed)))
            }
            OfficeInput::Gate(ToDispatcher::Create { place, envelope }) => {
                MemberInput::Say(Say::Create { place, envelope: envelope.map(sealed) })
            }
            // A gate says nothing else.
            OfficeInput::Gate(_) => return,
        };
        let mut heard = Vec::new();
        self.member.handle(now_ms, input, &mut heard);
        while !heard.is_empty() {
            for output in std::mem::take(&mut heard) {
                match output {
                    MemberOutput::Send { dispatcher, to, message, .. } => {
                        out.push(OfficeOutput::Send { dispatcher, to, message });
                    }
                    MemberOutput::Event(event) => self.hear(now_ms, event, &mut heard, out),
                }
            }
        }
    }

    /// When [`MemberInput::Flush`] is due, if nothing happens before.
    pub fn next_wake_ms(&self) -> Option<u64> {
        self.member.next_wake_ms()
    }

    /// Envelopes that nobody has acknowledged, and payloads that did not decode so far.
    pub fn kept(&self) -> (usize, u64) {
        (self.member.kept().0, self.malformed)
    }

    fn hear(
        &mut self,
        now_ms: u64,
        event: MemberEvent<Bytes>,
        heard: &mut Vec<MemberOutput<Bytes>>,
        out: &mut Vec<OfficeOutput>,
    ) {
        let message = match event {
            MemberEvent::ReportWanted { dispatcher } => {
                let say = Say::Report { dispatcher, spaces: Vec::new(), entities: Vec::new() };
                return self.member.handle(now_ms, MemberInput::Say(say), heard);
            }
            // What is for an entity came here by mistake: it is sent on.
            MemberEvent::Deliver(envelope) if !matches!(envelope.target, Target::Process(_)) => {
                return self.member.handle(now_ms, MemberInput::Say(Say::Carry(envelope)), heard);
            }
            MemberEvent::Deliver(envelope) => self.opened(envelope).map(FromDispatcher::Deliver),
            MemberEvent::Returned { envelope, reason, uncertain } => {
                returned(envelope).map(|envelope| FromDispatcher::Return { envelope, reason, uncertain })
            }
            MemberEvent::Refused(envelope) => {
                let (reason, uncertain) = (ReturnReason::Overloaded, false);
                returned(envelope).map(|envelope| FromDispatcher::Return { envelope, reason, uncertain })
            }
            MemberEvent::Dead { life, .. } => Some(FromDispatcher::Dead(life)),
            MemberEvent::Members { members, .. } => Some(FromDispatcher::Members(members)),
            // It asks for neither.
            MemberEvent::Marker { .. } | MemberEvent::Asked { .. } => None,
        };
        out.extend(message.map(OfficeOutput::Gate));
    }

    fn opened(&mut self, envelope: Envelope<Bytes>) -> Option<Envelope<ToGate>> {
        let opened = envelope.try_map(|mut payload| {
            let body = (!payload.is_empty()).then(|| payload.split_off(1))?;
            (*payload == [CARGO_GATE]).then(|| ToGate::decode(body).ok()).flatten()
        });
        self.malformed += u64::from(opened.is_none());
        opened
    }
}

fn sealed(message: ToGame) -> Bytes {
    let mut bytes = vec![CARGO_CLIENT];
    message.encode(&mut bytes);
    bytes.into()
}

/// What the gate itself has said, so that it decodes.
fn returned(envelope: Envelope<Bytes>) -> Option<Envelope<ToGame>> {
    envelope.try_map(|payload| ToGame::decode(payload.slice(payload.len().min(1)..)).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use everwake_link::PeerName;
    use everwake_protocol::cluster::MessageId;
    use everwake_protocol::{EntityId, Id, SessionId};

    const GATE: Incarnation = Incarnation { start: 1, random: 5 };
    const GAME: Incarnation = Incarnation { start: 1, random: 6 };
    const DISPATCHER: Incarnation = Incarnation { start: 1, random: 7 };

    fn office() -> (Office, PeerName) {
        let dispatcher: PeerName = "dispatcher/d".parse().unwrap();
        (Office::new(MemberConfig::new(GATE, vec![dispatcher.clone()])), dispatcher)
    }

    fn handle(office: &mut Office, input: OfficeInput) -> Vec<OfficeOutput> {
        let mut out = Vec::new();
        office.handle(0, input, &mut out);
        out
    }

    fn forget() -> Envelope<ToGame> {
        let message = MessageId { sender: Id::from_u128(9), epoch: 1, counter: 1 };
        let payload = ToGame::Forget { session: SessionId::default() };
        Envelope::new(GATE, Target::Entity(EntityId::default()), message, payload)
    }

    #[test]
    fn what_is_said_before_a_dispatcher_is_there_is_kept_and_follows_the_report() {
        let (mut office, dispatcher) = office();
        assert_eq!(handle(&mut office, OfficeInput::Gate(ToDispatcher::Carry(forget()))), []);
        assert_eq!(office.kept(), (1, 0));
        let up = MemberInput::Up { dispatcher: dispatcher.clone(), incarnation: DISPATCHER, lost: true };
        let sent = handle(&mut office, OfficeInput::Links(up));
        let kinds: Vec<bool> = sent
            .iter()
            .map(|it| matches!(it, OfficeOutput::Send { message: ToDispatcher::Carry(_), .. }))
            .collect();
        assert_eq!(kinds, [false, false, false, true, false], "{sent:?}");
        let returned = FromDispatcher::Return {
            envelope: forget().map(sealed),
            reason: ReturnReason::Gone,
            uncertain: false,
        };
        let back = MemberInput::Heard { dispatcher, message: returned };
        let told = handle(&mut office, OfficeInput::Links(back));
        assert!(matches!(&told[..], [OfficeOutput::Gate(FromDispatcher::Return { envelope, .. })]
            if envelope.payload == forget().payload));
    }

    #[test]
    fn what_comes_is_opened_and_what_is_none_is_counted() {
        let (mut office, dispatcher) = office();
        let to_gate = ToGate::End { session: SessionId::default(), view: 3 };
        let mut bytes = vec![CARGO_GATE];
        to_gate.encode(&mut bytes);
        let mut deliver = |payload: Vec<u8>| {
            let envelope =
                Envelope::new(GAME, Target::Process(GATE), MessageId::default(), Bytes::from(payload));
            let message = FromDispatcher::Deliver(envelope);
            handle(
                &mut office,
                OfficeInput::Links(MemberInput::Heard { dispatcher: dispatcher.clone(), message }),
            )
        };
        let told = deliver(bytes);
        assert!(matches!(&told[..], [OfficeOutput::Gate(FromDispatcher::Deliver(envelope))]
            if envelope.payload == to_gate));
        for hostile in [vec![], vec![CARGO_GATE], vec![CARGO_CLIENT, 1], vec![9; 9]] {
            assert_eq!(deliver(hostile), []);
        }
        assert_eq!(office.kept(), (0, 4));
    }
}
