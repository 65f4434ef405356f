//! What goes into a member and what comes out of it.

use everwake_link::{Class, PeerName};
use everwake_protocol::cluster::{
    Ack, EntityReport, Envelope, FromDispatcher, Incarnation, Member as Process, Placement, Profile,
    ReturnReason, SpaceReport, Target, ToDispatcher,
};
use everwake_protocol::{EntityId, Id};

/// Who a member is, and by whom it goes.
#[derive(Clone, Debug)]
pub struct MemberConfig {
    /// This life of the process.
    pub incarnation: Incarnation,
    /// All dispatchers of the cluster: the same set in every process.
    pub dispatchers: Vec<PeerName>,
    #[cfg(test)]
    pub(crate) plant: Option<crate::simulation::Plant>,
}

impl MemberConfig {
    /// A process of a cluster with these dispatchers.
    pub fn new(incarnation: Incarnation, dispatchers: Vec<PeerName>) -> MemberConfig {
        MemberConfig {
            incarnation,
            dispatchers,
            #[cfg(test)]
            plant: None,
        }
    }
}

/// What a member reacts to.
#[derive(Clone, Debug)]
pub enum MemberInput<P> {
    /// The link to a dispatcher stands.
    Up {
        /// Its name.
        dispatcher: PeerName,
        /// Its life.
        incarnation: Incarnation,
        /// The life is new, or messages of either direction got lost.
        lost: bool,
    },
    /// The link is cut. What is said goes to it all the same, and waits there.
    Down {
        /// Its name.
        dispatcher: PeerName,
    },
    /// A dispatcher says something.
    Heard {
        /// Its name.
        dispatcher: PeerName,
        /// What.
        message: FromDispatcher<P>,
    },
    /// The link gave a message back.
    Unsent {
        /// For which dispatcher it was.
        dispatcher: PeerName,
        /// As it was given out.
        message: ToDispatcher<P>,
    },
    /// The owner says something.
    Say(Say<P>),
    /// The owner has said everything for now, or time went on: acknowledgements leave.
    Flush,
}

/// What a process says, without knowing by which dispatcher.
#[derive(Clone, Debug)]
pub enum Say<P> {
    /// Something for an entity, a space, or a life of a process. To a process the member numbers it, if its counter
    /// is not 0. Something of another source, that came here by mistake, is sent on and not kept.
    Carry(Envelope<P>),
    /// Make an entity.
    Create {
        /// Where.
        place: Placement,
        /// For whoever makes it.
        envelope: Envelope<P>,
    },
    /// Somebody's messages have arrived here for good. Those to this process itself the member acknowledges.
    Ack {
        /// Who sent them.
        to: Incarnation,
        /// Up to where.
        ack: Ack,
    },
    /// A space is here.
    Space(SpaceReport),
    /// A space is no more.
    SpaceClosed(SpaceReport),
    /// An entity is here, or has left.
    Entity(EntityReport),
    /// An entity is no more.
    Gone {
        /// Which.
        entity: EntityId,
        /// Its location epoch.
        epoch: u32,
    },
    /// An entity wants to leave: said again until its marker has come.
    Block {
        /// Which.
        entity: EntityId,
        /// Given back.
        intent: u32,
    },
    /// What this process is like.
    Profile(Profile),
    /// Which of these are no more? Answers come by dispatcher, under the same ticket.
    Ask {
        /// Given back.
        ticket: u64,
        /// Any number.
        entities: Vec<EntityId>,
    },
    /// What this sender says to this target from now on is kept, and not sent before this hold ends. What was said
    /// before is not held by it, so holds of which each waits for something older never wait for each other.
    Hold {
        /// Who.
        sender: Id,
        /// To whom.
        target: Target,
        /// The owner's.
        hold: u64,
    },
    /// A hold ends.
    LetGo {
        /// Who.
        sender: Id,
        /// To whom.
        target: Target,
        /// As given.
        hold: u64,
    },
    /// Answers [`MemberEvent::ReportWanted`].
    Report {
        /// As it was asked.
        dispatcher: usize,
        /// All spaces that are here.
        spaces: Vec<SpaceReport>,
        /// All entities of this dispatcher that are here, are being made, or have left and are kept.
        entities: Vec<EntityReport>,
    },
    /// The process ends.
    Leave,
}

/// What a member wants.
#[derive(Clone, Debug, PartialEq)]
pub enum MemberOutput<P> {
    /// Send this by the link to a dispatcher.
    Send {
        /// Its place among the dispatchers by name.
        dispatcher: usize,
        /// For which of its lives.
        to: Incarnation,
        /// In which class.
        class: Class,
        /// What.
        message: ToDispatcher<P>,
    },
    /// For the owner.
    Event(MemberEvent<P>),
}

/// What a member tells its owner.
#[derive(Clone, Debug, PartialEq)]
pub enum MemberEvent<P> {
    /// Say [`Say::Report`] with what belongs to this dispatcher by [`crate::Member::share`]. Until then nothing new
    /// leaves for it, and what is said of spaces and entities is taken as part of that report.
    ReportWanted {
        /// Its place.
        dispatcher: usize,
    },
    /// For an entity, a space or this process. Doubles and what is behind a hole were dropped only of what is for the
    /// process; for the rest the target has [`crate::Marks`].
    Deliver(Envelope<P>),
    /// It could not be delivered, and is forgotten here.
    Returned {
        /// As it was said.
        envelope: Envelope<P>,
        /// Why.
        reason: ReturnReason,
        /// It was sent more than once, so another copy may have arrived. Of a creation that `Exists` this means
        /// that it was made, for ids are never used again.
        uncertain: bool,
    },
    /// Too much waits for its dispatcher: it was not taken.
    Refused(Envelope<P>),
    /// Everything that was sent to the entity before its `Block` has been handed over.
    Marker {
        /// Which.
        entity: EntityId,
        /// As given.
        intent: u32,
    },
    /// A life is over, says this dispatcher: of what is its own it may be asked now.
    Dead {
        /// Which life. Of this process itself: stop.
        life: Incarnation,
        /// Who says so.
        dispatcher: usize,
    },
    /// All games and gates that live, as one dispatcher knows them.
    Members {
        /// Who says so.
        dispatcher: usize,
        /// All of them.
        members: Vec<Process>,
    },
    /// Answers [`Say::Ask`], for one dispatcher.
    Asked {
        /// As given.
        ticket: u64,
        /// Those that are no more.
        gone: Vec<EntityId>,
    },
}
