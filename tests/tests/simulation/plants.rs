//! What is wrong on purpose: messages are changed on their way as if whoever says or hears them did not keep a rule.
//! Each must be found, or the simulation would not find it in what people write either.

use bytes::Bytes;
use ciborium::Value;
use everwake_link::Class;
use everwake_protocol::cluster::{Envelope, FromDispatcher, Target, ToDispatcher};
use everwake_runtime::cargo::Cargo;
use everwake_runtime::message::Body;

/// A rule that nobody keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plant {
    /// Receivers take what is behind a hole.
    HolesTaken,
    /// A dispatcher acknowledges what it has handed out.
    HopAck,
    /// What has arrived is not acknowledged.
    AcksLost,
    /// Messages got lost and nobody is asked to send again.
    NobodySendsAgain,
    /// What a game says to a gate has no order.
    LanesUnordered,
    /// Nobody can tell where an entity is from where it was.
    EpochsFlat,
    /// Deaths are not told to processes.
    DeathsUntold,
    /// Reports do not say who lives and who is dead.
    KnownUnsaid,
    /// What is unknown is gone, whoever has not reported.
    GoneEarly,
    /// Whoever has arrived in a space is reached by the short way at once.
    ShortWay,
    /// What could not be delivered does not come back.
    ReturnsLost,
    /// Whoever moves forgets what of his words is under way.
    DebtsForgotten,
}

impl Plant {
    /// All of them, with the rules that they break.
    pub(crate) const ALL: [(Plant, &str); 12] = [
        (Plant::HolesTaken, "C1"),
        (Plant::HopAck, "C1"),
        (Plant::AcksLost, "C1"),
        (Plant::NobodySendsAgain, "C1"),
        (Plant::LanesUnordered, "B2"),
        (Plant::EpochsFlat, "C3"),
        (Plant::DeathsUntold, "C4"),
        (Plant::KnownUnsaid, "C4"),
        (Plant::GoneEarly, "C6"),
        (Plant::ShortWay, "C8"),
        (Plant::ReturnsLost, "C9"),
        (Plant::DebtsForgotten, "C10"),
    ];

    /// What a process says comes to its dispatcher so; none if it does not.
    pub(crate) fn to_dispatcher(self, message: ToDispatcher<Bytes>) -> Option<ToDispatcher<Bytes>> {
        match (self, message) {
            (Plant::AcksLost, ToDispatcher::Acks { .. }) => None,
            (Plant::KnownUnsaid, ToDispatcher::Known { .. }) => {
                Some(ToDispatcher::Known { alive: Vec::new(), dead: Vec::new() })
            }
            (Plant::EpochsFlat, ToDispatcher::Entities(mut reports)) => {
                reports.iter_mut().for_each(|report| report.epoch = 1);
                Some(ToDispatcher::Entities(reports))
            }
            (Plant::DebtsForgotten, ToDispatcher::Carry(envelope)) => {
                Some(ToDispatcher::Carry(without_debts(envelope)))
            }
            (_, message) => Some(message),
        }
    }

    /// What a dispatcher says comes to a process so, and in which class; none if it does not.
    pub(crate) fn to_process(
        self,
        class: Class,
        message: FromDispatcher<Bytes>,
        coin: bool,
    ) -> Option<(Class, FromDispatcher<Bytes>)> {
        Some(match (self, message) {
            (Plant::NobodySendsAgain, FromDispatcher::SendAgain)
            | (Plant::DeathsUntold, FromDispatcher::Dead(_))
            | (Plant::ReturnsLost, FromDispatcher::Return { .. }) => return None,
            (Plant::HolesTaken, FromDispatcher::Deliver(envelope)) => {
                (class, FromDispatcher::Deliver(Envelope { after: 0, ..envelope }))
            }
            (Plant::LanesUnordered, FromDispatcher::Deliver(envelope))
                if matches!(envelope.target, Target::Process(_)) =>
            {
                let class = if coin { Class::Express } else { class };
                (class, FromDispatcher::Deliver(Envelope { after: 0, ..envelope }))
            }
            (_, message) => (class, message),
        })
    }

    /// Whether something is a sign that should go round by a dispatcher, and comes back from nowhere.
    pub(crate) fn echoes(self, message: &ToDispatcher<Bytes>) -> Option<FromDispatcher<Bytes>> {
        let ToDispatcher::Carry(envelope) = message else { return None };
        let is_sign = |envelope: &Envelope<Bytes>| match Cargo::decode(envelope.payload.clone(), &|_, _| None)
        {
            Ok(Cargo::Message(message)) => matches!(message.body, Body::Flush { .. }),
            _ => false,
        };
        let echoes = self == Plant::ShortWay && is_sign(envelope);
        echoes.then(|| FromDispatcher::Deliver(Envelope { after: 0, ..envelope.clone() }))
    }
}

fn without_debts(envelope: Envelope<Bytes>) -> Envelope<Bytes> {
    if !matches!(envelope.target, Target::Arrival { .. }) {
        return envelope;
    }
    let mut cargo: Value = ciborium::from_reader(&envelope.payload[1..]).unwrap();
    let traveller = field(&mut cargo, "traveller").unwrap();
    *field(traveller, "debts").unwrap() = Value::Array(Vec::new());
    let mut payload = vec![envelope.payload[0]];
    ciborium::into_writer(&cargo, &mut payload).unwrap();
    Envelope { payload: payload.into(), ..envelope }
}

fn field<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    let Value::Map(fields) = value else { return None };
    fields.iter_mut().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value)
}
