//! What games say to each other: who leads, which versions run, what is to be published. It takes lanes, so it comes
//! in order and once, as long as both live.

use crate::game::publish::PublishOptions;
use crate::game::report::{GameGlance, Pauses, PublicationReport, VersionAt, VersionState};
use crate::guest::{TrapKind, VersionHash};
use crate::message::Rehearsal;
use bytes::Bytes;
use everwake_protocol::Id;
use serde::{Deserialize, Serialize};

/// From one game to another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Peer {
    /// How the sender stands: when they meet, when something changes, and when it was asked.
    Standing(Standing),
    /// To the one that leads: let me in, this is what I run. To any other: what do you run that I have missed?
    Join(Vec<HeadMark>),
    /// You are in. From here on publications wait for you.
    Welcome {
        /// Whoever has the lowest one leads.
        rank: u32,
    },
    /// Not yet: take these first. In the order in which the modules were started.
    Take(Vec<Offer>),
    /// The next part of something, please.
    Want {
        /// What.
        blob: Blob,
        /// From this byte on.
        offset: u64,
    },
    /// Answers [`Peer::Want`].
    Part {
        /// Of what.
        blob: Blob,
        /// Of its first byte.
        offset: u64,
        /// Bytes of all of it; 0 if it is not here.
        total: u64,
        /// At most [`crate::game::limits::PART_BYTES_MAX`].
        bytes: Bytes,
    },
    /// An operator has asked the sender.
    Ask {
        /// The sender's.
        ticket: u64,
        /// What.
        ask: Ask,
    },
    /// Answers [`Peer::Ask`].
    Answer {
        /// As given.
        ticket: u64,
        /// What the operator is told.
        answer: Answer,
    },
    /// Get this ready, and say what it would do to your spaces. Nobody swaps yet.
    Stage(Box<Order>),
    /// Answers [`Peer::Stage`].
    Staged {
        /// The publication.
        mark: Id,
        /// What was found; or why it cannot be, for people.
        found: Result<Box<Findings>, Vec<String>>,
    },
    /// All have it: it is head.
    Go {
        /// The publication.
        mark: Id,
        /// Going back loses nothing.
        reversible: bool,
    },
    /// It does not happen.
    Drop {
        /// The publication.
        mark: Id,
    },
    /// All spaces of the sender have said how their swap went.
    Swapped {
        /// The publication.
        mark: Id,
        /// How.
        swap: SiteSwap,
    },
    /// The pauses of the sender's spaces, as far as they are known.
    Paused {
        /// The publication.
        mark: Id,
        /// None if none was measured.
        pause: Option<Pauses>,
    },
    /// All spaces of all games run it.
    Done {
        /// Name of the module.
        module: String,
        /// The publication.
        mark: Id,
    },
    /// What became of head.
    Judged {
        /// Name of the module.
        module: String,
        /// The publication.
        mark: Id,
        /// Passed, or halted.
        state: VersionState,
    },
    /// Head has failed in a way that no version before it had.
    Strike {
        /// Name of the module.
        module: String,
        /// Which version.
        version: VersionHash,
        /// The handler, and how it died; none if the version lacks it.
        fault: Fault,
    },
    /// A version that nobody watches has failed so: that is nothing new any more.
    Known {
        /// Name of the module.
        module: String,
        /// As in [`Peer::Strike`].
        fault: Fault,
    },
}

/// What went wrong: the handler, and how it died; none if the version lacks it.
pub type Fault = (String, Option<TrapKind>);

/// How a game stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Standing {
    /// It wants to know the same.
    pub asks: bool,
    /// None before it was let in.
    pub rank: Option<u32>,
    /// It leads: all that were let in before it are dead.
    pub leads: bool,
    /// Heads, in the order in which the modules were started.
    pub modules: Vec<HeadMark>,
    /// Publications that it gets ready, or has ready.
    pub staged: Vec<Id>,
    /// Shards of each module for entities that are in no space.
    pub nil_shards: u32,
    /// The deployment is ready, as far as it knows.
    pub ready: bool,
}

/// Which publication of a module is head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadMark {
    /// Name of the module.
    pub module: String,
    /// Rises by one with each publication.
    pub generation: u32,
    /// Names the publication: no two have the same.
    pub mark: Id,
}

/// A module's record, to be fetched.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Offer {
    /// Name of the module.
    pub module: String,
    /// Names the record.
    pub record: Id,
}

/// What is fetched in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Blob {
    /// A component.
    Component(VersionHash),
    /// A module's record, as it was when it was offered.
    Record(Id),
}

/// A publication, for those who get it ready.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Name of the module.
    pub module: String,
    /// Names the publication.
    pub mark: Id,
    /// The generation that it would be.
    pub generation: u32,
    /// BLAKE3 of the component; whoever sends the order has it.
    pub version: VersionHash,
    /// The publisher's note.
    pub note: String,
    /// What the publisher agrees to.
    pub options: PublishOptions,
    /// UTC ms by the clock of the one that leads.
    pub at_ms: u64,
    /// It goes back to an earlier version.
    pub rollback: bool,
    /// Head has failed: nothing is rehearsed, and whatever is under way ends.
    pub revert: bool,
    /// It is only looked at.
    pub plan: bool,
}

/// What one game has found out about a publication.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// What it would do to the spaces.
    pub rehearsal: Rehearsal,
    /// Spaces, shards included.
    pub spaces: usize,
    /// What stands against it here, for people.
    pub refusals: Vec<String>,
    /// BLAKE3 of the table of small ids behind it: all games must have given out the same.
    pub table: [u8; 32],
}

/// How the spaces of one game went over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteSwap {
    /// Spaces that had to.
    pub spaces: usize,
    /// Entities in them.
    pub entities: usize,
    /// Entities that went through `migrate`.
    pub migrated: usize,
    /// Spaces that did not, and why; the first few.
    pub failures: Vec<String>,
}

/// What an operator asks by way of another game.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Ask {
    /// Publish, or plan to publish, a component that the asker has.
    Publish {
        /// Which.
        version: VersionHash,
        /// The publisher's note.
        note: String,
        /// What the publisher agrees to.
        options: PublishOptions,
        /// It is only looked at.
        plan: bool,
    },
    /// Make an earlier version head.
    Rollback {
        /// Of this module; none: the only one.
        module: Option<String>,
        /// Beginning of a hash, a label, or a generation; none: the last one that passed.
        to: Option<String>,
        /// Go back though that loses changes.
        irreversible: bool,
    },
    /// What runs there?
    Glance,
}

/// Answers [`Ask`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// How it went.
    Publication(Box<PublicationReport>),
    /// What runs, and the newest generations as they are seen there.
    Glance(Box<GameGlance>, Vec<VersionAt>),
}

impl Peer {
    /// Bytes, about.
    pub fn bytes(&self) -> usize {
        match self {
            Peer::Part { bytes, .. } => bytes.len(),
            _ => 256,
        }
    }
}
