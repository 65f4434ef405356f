//! What operators are told: plain data for people and programs.

use crate::guest::VersionHash;
use serde::{Deserialize, Serialize};

/// A hash in full, in hexadecimal.
pub fn full_hash(hash: VersionHash) -> String {
    hash.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How a publication, a plan or a rollback went, or would go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PublicationReport {
    /// Name of the module.
    pub module: String,
    /// Hash of the version, in full.
    pub version: String,
    /// The author's label.
    pub label: String,
    /// Hash of the version before, in full; empty if there was none.
    pub from: String,
    /// Rises with each publication; 0 if there was none.
    pub generation: u32,
    /// For a process's exit: 0 = done, or nothing in the way; 1 = possible, but somebody must agree
    /// to a loss; 2 = refused, or failed.
    pub exit: u8,
    /// One sentence.
    pub summary: String,
    /// Why it was refused, each with a hint where there is one.
    pub refusals: Vec<String>,
    /// What to know.
    pub warnings: Vec<String>,
    /// What changes, a line each.
    pub changes: Vec<String>,
    /// True if going back would lose nothing.
    pub reversible: bool,
    /// Spaces that swap, shards included.
    pub spaces: usize,
    /// Entities in them.
    pub entities: usize,
    /// Entities that `migrate` changes.
    pub migrated: usize,
    /// The pauses so far; none if nothing was swapped.
    pub pause: Option<Pauses>,
    /// Of a plan: the pauses to expect, estimated. A space's is the time to make an instance and, of what the
    /// rehearsal spent in `migrate` there and back, half. The first event itself is not in it.
    #[serde(default)]
    pub expected_pause: Option<Pauses>,
    /// True if the version is head now. Of a game that has not joined the others yet: if it becomes head then, for
    /// what they run counts.
    pub published: bool,
    /// How long it is watched, in ms; a version that fails goes back by itself if `reversible`.
    pub probation_ms: u64,
    /// How it stands on its probation.
    #[serde(default)]
    pub probation: Option<ProbationReport>,
    /// In a cluster: how it went in each game, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub games: Vec<SiteReport>,
}

/// How a publication went in one game of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SiteReport {
    /// Name of the game.
    pub game: String,
    /// Its spaces that swapped, shards included.
    pub spaces: usize,
    /// Entities in them.
    pub entities: usize,
    /// Entities that `migrate` changed.
    pub migrated: usize,
    /// The pauses of its spaces, as far as they are measured.
    pub pause: Option<Pauses>,
}

/// Percentiles of the pauses of one swap, in microseconds: from the end of the last event on the
/// old version to the end of the first one on the new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pauses {
    /// How many spaces were measured.
    pub spaces: usize,
    /// Half of them paused shorter.
    pub p50_us: u64,
    /// 99 of 100 paused shorter.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl Pauses {
    /// Of measured pauses; none if there are none.
    pub fn of(micros: &[u64]) -> Option<Self> {
        let mut sorted = micros.to_vec();
        sorted.sort_unstable();
        let at = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).max(1) - 1).copied();
        Some(Self { spaces: sorted.len(), p50_us: at(50)?, p99_us: at(99)?, max_us: *sorted.last()? })
    }

    /// Over several games: of each percentile that of the slowest game, so no space of the other games is
    /// slower by it.
    pub fn slowest(games: impl IntoIterator<Item = Pauses>) -> Option<Self> {
        games.into_iter().reduce(|one, other| Self {
            spaces: one.spaces + other.spaces,
            p50_us: one.p50_us.max(other.p50_us),
            p99_us: one.p99_us.max(other.p99_us),
            max_us: one.max_us.max(other.max_us),
        })
    }
}

/// One generation of a module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionEntry {
    /// Name of the module.
    pub module: String,
    /// Rises with each publication, roll-backs included.
    pub generation: u32,
    /// Hash of the component, in full.
    pub version: String,
    /// The author's label.
    pub label: String,
    /// The publisher's note.
    pub note: String,
    /// When it became head, UTC ms.
    pub at_ms: u64,
    /// True if it went back to an earlier version.
    pub rollback: bool,
    /// What became of it.
    pub state: VersionState,
    /// New failures while it was watched: those that no version before had.
    pub traps: u32,
    /// All crashes of it since it became head, whether they counted or not.
    #[serde(default)]
    pub crashes: u64,
    /// How it stands, if it is watched.
    #[serde(default)]
    pub probation: Option<ProbationReport>,
    /// Of head: where a roll-back that names no version goes to; none if there is nothing to go back to.
    #[serde(default)]
    pub rolls_back_to: Option<String>,
    /// Spaces that swapped.
    pub spaces: usize,
    /// Pauses, if spaces swapped.
    pub pause: Option<Pauses>,
    /// In a cluster: the same by game; what is above is of all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub games: Vec<VersionAt>,
}

/// A generation as one game of a cluster sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VersionAt {
    /// Name of the game.
    pub game: String,
    /// Name of the module.
    pub module: String,
    /// Which generation.
    pub generation: u32,
    /// Its spaces that swapped.
    pub spaces: usize,
    /// Crashes of it there.
    pub crashes: u64,
    /// Pauses, if spaces swapped.
    pub pause: Option<Pauses>,
}

/// A game of a cluster at a glance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GameGlance {
    /// Its name.
    pub name: String,
    /// False if it did not say anything in time: all that follows is empty then.
    pub answers: bool,
    /// In which order it was let in; none if it was not yet.
    pub rank: Option<u32>,
    /// Publications go by it.
    pub leads: bool,
    /// Clients.
    pub sessions: usize,
    /// Entities that its directory knows.
    pub entities: usize,
    /// In the order in which they were started.
    pub modules: Vec<ModuleGlance>,
}

/// A module in one game of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModuleGlance {
    /// Its name.
    pub name: String,
    /// The author's label of head.
    pub label: String,
    /// Hash of head, in full.
    pub version: String,
    /// Generation of head.
    pub generation: u32,
    /// Spaces here go over to it yet.
    pub swapping: bool,
    /// True if a swap went wrong half-way.
    pub mixed: bool,
    /// Clients that play it here.
    pub sessions: usize,
    /// Spaces and shards.
    pub spaces: usize,
    /// Live entities.
    pub entities: usize,
    /// Handlers that trapped or were cut since the start.
    pub crashes: u64,
    /// Head's pauses.
    pub pause: Option<Pauses>,
}

/// How a version stands that is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbationReport {
    /// How long it is watched yet, in ms.
    pub left_ms: u64,
    /// New failures of the last minute.
    pub counted: usize,
    /// With more than so many within a minute it has failed.
    pub allowed: u32,
    /// Where it goes back to by itself if it fails.
    pub back_to: Option<String>,
    /// Why it goes back to nothing; empty if it does.
    pub stays: String,
}

/// What became of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VersionState {
    /// Spaces are going over to it.
    Swapping,
    /// Head, and watched.
    Probation,
    /// Passed its probation.
    Passed,
    /// A newer one came before its probation was over.
    Superseded,
    /// Failed its probation, and the version before is back.
    Reverted,
    /// Failed its probation or its swap, and nothing could be taken back.
    Halted,
}

/// Something that happened, for logs, toasts and audits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum Fact {
    /// A module runs for the first time in this process.
    Started {
        /// Which one.
        module: String,
        /// Hash, short.
        version: String,
        /// The author's label.
        label: String,
    },
    /// All spaces run a new version.
    Swapped {
        /// Which module's.
        module: String,
        /// Hash, short.
        version: String,
        /// The author's label.
        label: String,
        /// Its generation.
        generation: u32,
        /// Spaces that swapped.
        spaces: usize,
        /// Entities that were migrated.
        migrated: usize,
        /// True if it went back.
        rollback: bool,
    },
    /// A version passed its probation.
    Passed {
        /// Which module's.
        module: String,
        /// Hash, short.
        version: String,
    },
    /// A version failed its probation; the roll-back is under way.
    Reverting {
        /// Which module's.
        module: String,
        /// Hash of the failed one, short.
        version: String,
        /// Hash of the one that comes back, short.
        back_to: String,
        /// Why.
        reason: String,
    },
    /// A version failed, and nothing can be taken back without loss.
    Halted {
        /// Which module's.
        module: String,
        /// Hash, short.
        version: String,
        /// Why.
        reason: String,
    },
    /// A publication was refused.
    Refused {
        /// Which module's, if that is known.
        module: String,
        /// Why.
        reasons: Vec<String>,
    },
    /// Something that waited named a method that the running version lacks.
    Unhandled {
        /// Which module's.
        module: String,
        /// Hash, short.
        version: String,
        /// The method's former name.
        method: String,
    },
    /// A shard of a service could not be made.
    ServiceFailed {
        /// Which module's.
        module: String,
        /// Hash, short.
        version: String,
        /// Type of the service.
        service: String,
        /// Number of the shard.
        shard: u32,
        /// Why.
        reason: String,
    },
    /// An operator did something that changes the game.
    Operator {
        /// Who, as the admin API knows them.
        who: String,
        /// What.
        what: String,
        /// To whom.
        entity: Option<String>,
    },
    /// A module's file was not published, for another version of it ran already in the cluster.
    FileLeftOut {
        /// Which module's.
        module: String,
        /// Hash of the file, short.
        version: String,
        /// What runs, for people.
        runs: String,
    },
    /// This game is one of the cluster's now, and has all their versions.
    Joined {
        /// In which order it was let in.
        rank: u32,
    },
    /// Publications go by this game now: it is the one that was let in first of all that live.
    Leads,
    /// All processes that the deployment consists of are there for the first time.
    Ready {
        /// Games that it waited for.
        games: usize,
        /// Gates that it waited for.
        gates: usize,
    },
    /// This game cannot join the others; it tries again.
    NotJoined {
        /// Why.
        reason: String,
    },
    /// Another history of a module runs elsewhere, with more to it: this life of the game ends.
    Contradicted {
        /// Which module.
        module: String,
    },
}

/// How far a game is that is to stop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct DrainReport {
    /// It takes nothing new.
    pub drains: bool,
    /// Other games that take what it lets go.
    pub takers: usize,
    /// Entities in no space: they go.
    pub free: usize,
    /// Entities that went since it began.
    pub gone: u64,
    /// Spaces, which do not go.
    pub spaces: usize,
    /// Entities in them.
    pub inside: usize,
    /// Clients with an entity here, wherever it is.
    pub clients: usize,
    /// Services here, which do not go.
    pub services: usize,
    /// Modules whose key-value map is kept here, which does not go.
    pub maps: usize,
}
