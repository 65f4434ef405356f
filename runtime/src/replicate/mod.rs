//! What clients see of one space: mirrors, interest, coalesced deltas, positions.
//!
//! A [`Replicator`] belongs to one space and gets values only, so it can run on another core
//! beside the space's logic. It keeps its own copy of what clients may see. It deliberately does
//! not know guests, handlers, messages, stores, or which gate a session is on.
//!
//! # Order towards clients
//! For each event creates, then deltas, then calls and replies in call order, then destroys. A
//! call seals the pending changes of the entities that its event changed and of the entity that
//! it is called on: they are encoded and leave before it, for their whole audience.
//!
//! # Layout
//! - `values`: inputs and outputs.
//! - `events`: what a committed event does to mirrors and clients.
//! - `sight`: entities come into views and leave them.
//! - `sights`: who sees whom as data, and back.
//! - `roster`, `mirror`, `kinds`: entities, what of them is untold, what their types show.
//! - `interest`: who should see whom.
//! - `view`: what one client has in view, and which positions it knows.
//! - `stage`: the order in which one input's frames leave.
//! - `limits`: named limits. `tally`: how much of everything there is.

mod events;
mod interest;
mod kinds;
mod limits;
mod mirror;
mod roster;
mod sight;
mod sights;
mod stage;
mod tally;
#[cfg(test)]
mod tests;
mod values;
mod view;

pub use sights::SightSnapshot;
pub use values::{Change, Fact, ReplicaInput, ReplicaOutput};

use crate::versions::ModuleVersion;
use everwake_protocol::cluster::ToGate;
use everwake_protocol::{EntityId, SessionId};
use interest::{Interest, Row};
use kinds::Kinds;
use roster::Roster;
use stage::Stage;
use std::collections::BTreeMap;
use std::sync::Arc;
use view::View;

/// How often a replicator says something unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// Between deltas of one entity.
    pub attributes_ms: u64,
    /// Between positions, and looks at who sees whom.
    pub positions_ms: u64,
}

impl Default for Intervals {
    fn default() -> Self {
        Intervals { attributes_ms: 100, positions_ms: 50 }
    }
}

/// What went wrong so far; anything but zeros is a fault of the space or a limit that is set
/// wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Frames that were larger than a client takes.
    pub oversized: u64,
    /// Changes that did not fit: patches that do not apply, entities that came twice.
    pub misfits: u64,
}

/// See the head of this module.
#[derive(Debug)]
pub struct Replicator {
    space: Option<EntityId>,
    intervals: Intervals,
    version: Arc<ModuleVersion>,
    /// False until gates were told what the version shows.
    schema_told: bool,
    kinds: Kinds,
    roster: Roster,
    interest: Interest,
    views: BTreeMap<SessionId, View>,
    now_ms: u64,
    /// Rows that may have something untold.
    untold: Vec<Row>,
    attributes_flushed_ms: u64,
    positions_flushed_ms: u64,
    /// When positions are to be looked at again; none while all stand still.
    positions_due_ms: Option<u64>,
    /// Rows whose audience the running input changed.
    regarded: Vec<Row>,
    /// Facts of the running input, with slots of observer and subject.
    facts: Vec<(u64, u64, Fact)>,
    faults: Faults,
}

impl Replicator {
    /// A replicator for a space; none for nil shards and services, where nobody sees others.
    pub fn new(version: Arc<ModuleVersion>, space: Option<EntityId>, intervals: Intervals) -> Replicator {
        let mut kinds = Kinds::default();
        kinds.learn(&version);
        Replicator {
            space,
            intervals,
            version,
            schema_told: false,
            kinds,
            roster: Roster::default(),
            interest: Interest::default(),
            views: BTreeMap::new(),
            now_ms: 0,
            untold: Vec::new(),
            attributes_flushed_ms: 0,
            positions_flushed_ms: 0,
            positions_due_ms: None,
            regarded: Vec::new(),
            facts: Vec::new(),
            faults: Faults::default(),
        }
    }

    /// Takes one input and appends everything that follows from it.
    pub fn handle(&mut self, input: ReplicaInput, out: &mut Vec<ReplicaOutput>) {
        match input {
            ReplicaInput::Committed { now_ms, changes } => {
                self.now_ms = self.now_ms.max(now_ms);
                let mut stage = Stage::default();
                self.committed(changes, &mut stage);
                self.finish(stage, out);
            }
            ReplicaInput::Flush { now_ms } => {
                self.now_ms = self.now_ms.max(now_ms);
                self.flush(out);
            }
            ReplicaInput::Swapped(version) => {
                let mut stage = Stage::default();
                self.swapped(version, &mut stage);
                self.finish(stage, out);
            }
        }
    }

    /// When [`ReplicaInput::Flush`] is due, if at all. In the past if it is overdue.
    pub fn next_ms(&self) -> Option<u64> {
        let attributes = self.attributes_due_ms();
        match (attributes, self.positions_due_ms) {
            (Some(attributes), Some(positions)) => Some(attributes.min(positions)),
            (attributes, positions) => attributes.or(positions),
        }
    }

    /// Whether a client sees an entity now: what it may call follows from it.
    #[must_use]
    pub fn sees(&self, session: SessionId, entity: EntityId) -> bool {
        let Some(row) = self.roster.find(entity) else { return false };
        self.views.get(&session).is_some_and(|view| view.sees(row))
    }

    /// What went wrong so far.
    pub fn faults(&self) -> Faults {
        self.faults
    }

    fn attributes_due_ms(&self) -> Option<u64> {
        (!self.untold.is_empty()).then(|| self.attributes_flushed_ms + self.intervals.attributes_ms)
    }

    fn flush(&mut self, out: &mut Vec<ReplicaOutput>) {
        let mut stage = Stage::default();
        let positions = self.positions_due_ms.is_some_and(|due| due <= self.now_ms);
        if positions {
            self.positions_flushed_ms = self.now_ms;
            let mut sights = Vec::new();
            self.interest.look(&mut sights);
            self.take_sights(sights, &mut stage);
        }
        if self.attributes_due_ms().is_some_and(|due| due <= self.now_ms) {
            self.attributes_flushed_ms = self.now_ms;
            self.seal_all(&mut stage);
        }
        self.finish(stage, out);
        if positions {
            self.flush_positions(out);
        }
    }

    fn flush_positions(&mut self, out: &mut Vec<ReplicaOutput>) {
        self.positions_due_ms = None;
        let next_flush_ms = self.now_ms + self.intervals.positions_ms;
        let roster = &self.roster;
        for view in self.views.values_mut() {
            let (datagrams, due) = view.positions(self.now_ms, next_flush_ms, |row| roster.row(row));
            let session = view.viewer.session;
            out.extend(
                datagrams
                    .into_iter()
                    .map(|datagram| ReplicaOutput::Gate(ToGate::Positions { session, datagram })),
            );
            // Repeats wait for the next regular flush.
            let due = due.map(|due| due.max(next_flush_ms));
            self.positions_due_ms = match (self.positions_due_ms, due) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
    }

    /// Positions or sights changed: they are looked at with the next flush.
    fn stir(&mut self) {
        if !self.views.is_empty() || self.interest.is_stale() {
            let due = self.positions_flushed_ms + self.intervals.positions_ms;
            self.positions_due_ms = Some(self.positions_due_ms.map_or(due, |before| before.min(due)));
        }
    }

    fn swapped(&mut self, version: Arc<ModuleVersion>, stage: &mut Stage) {
        // What is untold is told as the version before shows it, and the new schema goes ahead
        // of everything that needs it.
        self.seal_all(stage);
        self.kinds.learn(&version);
        self.version = version;
        self.schema_told = false;
        if !self.views.is_empty() {
            self.tell_schema(stage);
        }
        for mirror in self.roster.iter_mut() {
            let kind = self.kinds.kind(mirror.type_id);
            mirror.adopt(kind.clone());
            if mirror.has_untold() && !std::mem::replace(&mut mirror.listed, true) {
                self.untold.push(mirror.row);
            }
            let looks = mirror.pose.is_some() && (mirror.owner.is_some() || kind.hears_aoi());
            self.interest.observe(mirror.row, kind.radius.filter(|_| looks));
        }
        self.stir();
    }

    /// Appends what one input led to: frames in the order of the contract, then facts.
    fn finish(&mut self, stage: Stage, out: &mut Vec<ReplicaOutput>) {
        self.faults.oversized += stage.finish(out);
        let mut facts = std::mem::take(&mut self.facts);
        facts.sort_unstable_by_key(|(observer, subject, _)| (*observer, *subject));
        out.extend(facts.drain(..).map(|(_, _, fact)| ReplicaOutput::Fact(fact)));
        self.facts = facts;

        let mut regarded = std::mem::take(&mut self.regarded);
        regarded.sort_unstable_by_key(|row| (self.roster.slot(*row), *row));
        regarded.dedup();
        for row in regarded.drain(..) {
            let Some(mirror) = self.roster.row_mut(row) else { continue };
            let watched = mirror.is_watched();
            if watched == std::mem::replace(&mut mirror.told_watched, watched) {
                continue;
            }
            let entity = mirror.entity;
            if watched && mirror.kind.hears_watched {
                out.push(ReplicaOutput::Fact(Fact::Watched { entity }));
            }
            if !watched && mirror.kind.hears_unwatched {
                out.push(ReplicaOutput::Fact(Fact::Unwatched { entity }));
            }
        }
        self.regarded = regarded;
    }
}
