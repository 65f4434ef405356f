//! What games and gates say to dispatchers, and what they hear from them.
//!
//! A dispatcher reads envelopes, never what is in them: `P` is bytes between processes, and a value inside of one.

use super::{Incarnation, MessageId, Target};
use crate::id::{EntityId, Id};

/// Something on its way, under what dispatchers look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<P> {
    /// Who answers for it until it is acknowledged. What cannot be delivered goes back there.
    pub source: Incarnation,
    /// Whom it is for.
    pub target: Target,
    /// Who says it, and which of its sayings it is. Counter 0: nobody keeps it, it may get lost with whoever
    /// has it.
    pub message: MessageId,
    /// Counter of the message of the same sender to the same target that must have arrived before this one; 0 if
    /// all of them have been acknowledged. A receiver takes nothing behind a hole: it will come again. So order
    /// is kept end to end, whatever gets lost on the way.
    pub after: u64,
    /// Location epoch under which an entity arrives; of a creation its dispatcher says under which the entity is made.
    /// 0 for everything else.
    pub location_epoch: u32,
    /// How often a dispatcher has handed it to a process. Whoever makes one says 0.
    pub hops: u8,
    /// Its author can be told no if too much waits. What others wait for (answers, arrivals, hand-overs) never
    /// is refused for that; its number is bounded by what was let in before.
    pub refusable: bool,
    /// Which copy of it this is, as far as is known.
    pub attempt: Attempt,
    /// What it says.
    pub payload: P,
}

/// Whether an envelope may have arrived before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attempt {
    /// It was never sent before.
    #[default]
    First,
    /// It was.
    Again,
    /// And since it was first sent its source has heard of a death, or has not yet heard of one: who was its target
    /// then may have taken it, and be no more. Only what comes back under its name after a death cares
    /// ([`Placement::Named`]).
    Doubtful,
}

/// How much room something takes where it waits.
pub trait Weight {
    /// Bytes, about.
    fn bytes(&self) -> usize;
}

impl Weight for bytes::Bytes {
    fn bytes(&self) -> usize {
        self.len()
    }
}

/// Where a new entity is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Any game that runs the module: the one with the least to do of two drawn by the entity's id.
    Anywhere {
        /// Name of the module.
        module: String,
    },
    /// The same among games with a label.
    Labelled {
        /// Name of the module.
        module: String,
        /// The label.
        label: String,
    },
    /// The game of a space.
    Space(EntityId),
    /// As anywhere, for what comes back under its name: that it is no more is no reason to refuse it. Its maker is told
    /// the location epoch, above all that it had, in the envelope.
    Named {
        /// Name of the module.
        module: String,
    },
    /// The same in one life of a game.
    Process(Incarnation),
}

/// Where a space is. The higher epoch wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceReport {
    /// Its id.
    pub space: EntityId,
    /// Rises when it goes to another process or is made again.
    pub epoch: u32,
}

/// Where an entity is. The higher epoch wins; `leaving` loses against being there at the same epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityReport {
    /// Its id.
    pub entity: EntityId,
    /// Its space; of one that is leaving, where it goes.
    pub space: EntityId,
    /// Its location epoch; of one that is leaving, that under which it arrives.
    pub epoch: u32,
    /// It has left its space, and the reporter keeps it until it has arrived (rule C6).
    pub leaving: bool,
}

/// All of a sender's messages to a target up to a counter have arrived for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// As in the message's identity.
    pub sender: Id,
    /// As in the envelope.
    pub target: Target,
    /// Of the last of them.
    pub counter: u64,
}

/// What a game is like, for placing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Modules that it runs.
    pub modules: Vec<String>,
    /// What operators call it.
    pub labels: Vec<String>,
    /// How much it has to do: any unit that all games share.
    pub load: u32,
    /// Takes nothing new: it is being emptied, or has only begun.
    pub closed: bool,
}

/// From a game or a gate to a dispatcher.
#[derive(Clone, Debug, PartialEq)]
pub enum ToDispatcher<P> {
    /// Begins a report: the first message to each life of a dispatcher, and again after messages got lost.
    /// Everything before it on the link counts as lost too, but for acknowledgements. Everything numbered and not
    /// acknowledged is sent again behind [`ToDispatcher::Reported`], in order, before anything new.
    Report,
    /// Spaces that are here; in a report, and when one is made. To all dispatchers.
    Spaces(Vec<SpaceReport>),
    /// Entities of this dispatcher that are here; in a report, and when one arrives or comes to be.
    Entities(Vec<EntityReport>),
    /// Ends a report.
    Reported,
    /// Ends what was sent again behind a report. Only from here on the dispatcher knows of everything that the
    /// process wants made, and may say of an id that it is no more.
    Resent,
    /// What the process is like; to all dispatchers, when it changes.
    Profile(Profile),
    /// A space is no more. To all dispatchers.
    SpaceClosed(SpaceReport),
    /// An entity is no more.
    Gone {
        /// Which.
        entity: EntityId,
        /// Its location epoch.
        epoch: u32,
    },
    /// An entity wants to leave its space: what comes for it waits from now on, and the marker goes behind what
    /// came before (rule A8).
    Block {
        /// Which.
        entity: EntityId,
        /// Given back with the marker.
        intent: u32,
    },
    /// Something for an entity, a space, or a process.
    Carry(Envelope<P>),
    /// Make an entity, which is the envelope's target; what is for it follows on the same way.
    Create {
        /// Where.
        place: Placement,
        /// For whoever makes it.
        envelope: Envelope<P>,
    },
    /// What has arrived here.
    Acks {
        /// Whose messages.
        to: Incarnation,
        /// At most [`crate::limits::ACKS_MAX`].
        acks: Vec<Ack>,
    },
    /// Which of these are no more? All of them belong to this dispatcher.
    Ask {
        /// Given back.
        ticket: u64,
        /// At most [`crate::limits::REPORTS_MAX`].
        entities: Vec<EntityId>,
    },
    /// The process ends in order: its incarnation is over.
    Leave,
    /// Part of a report: of whom this process knows that he lives, or is dead. Alone: the answer to
    /// [`FromDispatcher::Dead`].
    Known {
        /// With their names; at most [`crate::limits::MEMBERS_MAX`].
        alive: Vec<(Incarnation, String)>,
        /// The last ones; at most [`crate::limits::REPORTS_MAX`].
        dead: Vec<Incarnation>,
    },
}

/// Why an envelope came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReturnReason {
    /// There is no such entity, space or process, and every game has said so.
    Gone,
    /// Too much waits.
    Overloaded,
    /// It waited too long for an entity that moves, or for a process that cannot be reached.
    Unavailable,
    /// Of a creation: the id is taken.
    Exists,
    /// Of a creation: no game takes it.
    NoPlace,
    /// It was handed out more often than allowed.
    Hops,
}

/// A process of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its life.
    pub incarnation: Incarnation,
    /// `game/name` or `gate/name`.
    pub name: String,
    /// Of a game.
    pub profile: Profile,
}

/// From a dispatcher to a game or a gate; what comes back is of the kind that was sent.
#[derive(Clone, Debug, PartialEq)]
pub enum FromDispatcher<P, S = P> {
    /// All games and gates that this dispatcher has heard of and that live; whenever that changes.
    Members(Vec<Member>),
    /// A life of a process is over, for good (rule C4). Of the receiver's own: it must stop.
    Dead(Incarnation),
    /// For this process, one of its spaces, or an entity that should be here.
    Deliver(Envelope<P>),
    /// It could not be delivered; to its source.
    Return {
        /// As it was sent.
        envelope: Envelope<S>,
        /// Why.
        reason: ReturnReason,
        /// It was sent more than once, and may have arrived before. A dispatcher does not know; who keeps the
        /// message until it is acknowledged does.
        uncertain: bool,
    },
    /// Everything that was sent to the entity before its `Block` has been handed over.
    Marker {
        /// Which.
        entity: EntityId,
        /// As given.
        intent: u32,
    },
    /// What has arrived of this process's messages.
    Acks(Vec<Ack>),
    /// Somebody lost messages: send again what is numbered and not acknowledged, in order.
    SendAgain,
    /// Answers [`ToDispatcher::Ask`].
    Asked {
        /// As given.
        ticket: u64,
        /// Those that are no more.
        gone: Vec<EntityId>,
    },
}

/// What dispatchers say to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BetweenDispatchers {
    /// These lives are over (rule C4). Who did not know it says it to all others, once. At most
    /// [`crate::limits::REPORTS_MAX`].
    Dead(Vec<Incarnation>),
}

impl<P> ToDispatcher<P> {
    /// Whether its author can be told no.
    pub fn is_refusable(&self) -> bool {
        match self {
            ToDispatcher::Carry(envelope) | ToDispatcher::Create { envelope, .. } => envelope.refusable,
            _ => false,
        }
    }

    /// The same with another payload.
    pub fn map<Q>(self, change: impl FnOnce(P) -> Q) -> ToDispatcher<Q> {
        match self {
            ToDispatcher::Carry(envelope) => ToDispatcher::Carry(envelope.map(change)),
            ToDispatcher::Create { place, envelope } => {
                ToDispatcher::Create { place, envelope: envelope.map(change) }
            }
            ToDispatcher::Report => ToDispatcher::Report,
            ToDispatcher::Spaces(reports) => ToDispatcher::Spaces(reports),
            ToDispatcher::Entities(reports) => ToDispatcher::Entities(reports),
            ToDispatcher::Reported => ToDispatcher::Reported,
            ToDispatcher::Resent => ToDispatcher::Resent,
            ToDispatcher::Profile(profile) => ToDispatcher::Profile(profile),
            ToDispatcher::SpaceClosed(report) => ToDispatcher::SpaceClosed(report),
            ToDispatcher::Gone { entity, epoch } => ToDispatcher::Gone { entity, epoch },
            ToDispatcher::Block { entity, intent } => ToDispatcher::Block { entity, intent },
            ToDispatcher::Acks { to, acks } => ToDispatcher::Acks { to, acks },
            ToDispatcher::Ask { ticket, entities } => ToDispatcher::Ask { ticket, entities },
            ToDispatcher::Leave => ToDispatcher::Leave,
            ToDispatcher::Known { alive, dead } => ToDispatcher::Known { alive, dead },
        }
    }
}

impl<P, S> FromDispatcher<P, S> {
    /// The same with other payloads; none if one of them has no place there.
    pub fn try_map<Q, R>(
        self,
        delivered: impl FnOnce(P) -> Option<Q>,
        returned: impl FnOnce(S) -> Option<R>,
    ) -> Option<FromDispatcher<Q, R>> {
        Some(match self {
            FromDispatcher::Deliver(envelope) => FromDispatcher::Deliver(envelope.try_map(delivered)?),
            FromDispatcher::Return { envelope, reason, uncertain } => {
                FromDispatcher::Return { envelope: envelope.try_map(returned)?, reason, uncertain }
            }
            FromDispatcher::Members(members) => FromDispatcher::Members(members),
            FromDispatcher::Dead(life) => FromDispatcher::Dead(life),
            FromDispatcher::Marker { entity, intent } => FromDispatcher::Marker { entity, intent },
            FromDispatcher::Acks(acks) => FromDispatcher::Acks(acks),
            FromDispatcher::SendAgain => FromDispatcher::SendAgain,
            FromDispatcher::Asked { ticket, gone } => FromDispatcher::Asked { ticket, gone },
        })
    }
}

impl<P> Envelope<P> {
    /// Something that was not on its way yet.
    pub fn new(source: Incarnation, target: Target, message: MessageId, payload: P) -> Envelope<P> {
        Envelope {
            source,
            target,
            message,
            after: 0,
            location_epoch: 0,
            hops: 0,
            refusable: false,
            attempt: Attempt::First,
            payload,
        }
    }

    /// The same with another payload.
    pub fn map<Q>(self, change: impl FnOnce(P) -> Q) -> Envelope<Q> {
        let Envelope { source, target, message, after, location_epoch, hops, refusable, attempt, payload } =
            self;
        let payload = change(payload);
        Envelope { source, target, message, after, location_epoch, hops, refusable, attempt, payload }
    }

    /// The same with another payload, if there is one.
    pub fn try_map<Q>(self, change: impl FnOnce(P) -> Option<Q>) -> Option<Envelope<Q>> {
        let Envelope { source, target, message, after, location_epoch, hops, refusable, attempt, payload } =
            self;
        let payload = change(payload)?;
        Some(Envelope { source, target, message, after, location_epoch, hops, refusable, attempt, payload })
    }

    /// Whether it is kept at its source until it has arrived.
    pub fn is_kept(&self) -> bool {
        self.message.counter != 0
    }
}

impl Target {
    /// What decides which dispatcher it goes by; none for a process: that is decided by both ends.
    pub fn key(&self) -> Option<EntityId> {
        match self {
            Target::Entity(entity) | Target::Arrival { entity, .. } => Some(*entity),
            Target::Process(_) => None,
        }
    }
}
