//! Who sees whom as plain data, and back: what a recording that begins in the midst of a game needs.
//!
//! Distances alone do not tell it: who came near is seen until further away than that, and a look is taken
//! only every so often.

use super::Replicator;
use super::interest::{Row, Sight};
use super::stage::Stage;
use everwake_protocol::EntityId;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// See the head of this file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SightSnapshot {
    /// Everybody who sees somebody, is seen, or has moved since the last look. The other fields count in
    /// this list.
    pub entities: Vec<EntityId>,
    /// Who sees whom.
    pub seen: Vec<(u32, Vec<u32>)>,
    /// Who has moved since the last look.
    pub stale: Vec<u32>,
    /// UTC ms of the last look.
    pub looked_ms: u64,
    /// UTC ms of the next one.
    pub look_due_ms: Option<u64>,
    /// UTC ms at which clients were told of attributes last.
    pub told_ms: u64,
}

impl SightSnapshot {
    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        let seen: usize = self.seen.iter().map(|(_, seen)| 32 + 4 * seen.len()).sum();
        16 * self.entities.len() + 4 * self.stale.len() + seen
    }
}

impl Replicator {
    /// Who sees whom now.
    #[must_use]
    pub fn sights(&self) -> SightSnapshot {
        let mut names = Names { of: HashMap::new(), sights: self.times() };
        for (observer, seen) in self.interest.sights().filter(|(_, seen)| !seen.is_empty()) {
            if let Some(observer) = names.of(self, observer) {
                let seen = seen.iter().filter_map(|row| names.of(self, *row)).collect();
                names.sights.seen.push((observer, seen));
            }
        }
        for row in self.interest.stale() {
            if let Some(number) = names.of(self, *row) {
                names.sights.stale.push(number);
            }
        }
        names.sights
    }

    /// Sees again as it was. Whoever is named and is not here is left out. What follows for clients and
    /// entities was told when it happened first.
    pub fn resume(&mut self, sights: &SightSnapshot) {
        let rows: Vec<Option<Row>> = sights.entities.iter().map(|entity| self.roster.find(*entity)).collect();
        let row = |number: &u32| rows.get(*number as usize).copied().flatten();
        let mut found: HashMap<Row, Vec<Row>> = HashMap::new();
        for (observer, seen) in &sights.seen {
            let mut seen: Vec<Row> = seen.iter().filter_map(row).collect();
            seen.sort_unstable();
            found.extend(row(observer).map(|observer| (observer, seen)));
        }
        let mut changes: Vec<Sight> = Vec::new();
        self.interest.resume(&mut found, &mut changes);
        sights.stale.iter().filter_map(row).for_each(|row| self.interest.touch(row));
        let mut stage = Stage::default();
        self.take_sights(changes, &mut stage);
        self.finish(stage, &mut Vec::new());
        self.positions_flushed_ms = sights.looked_ms;
        self.positions_due_ms = sights.look_due_ms;
        self.attributes_flushed_ms = sights.told_ms;
    }

    /// Whether the next flush looks at who sees whom.
    #[must_use]
    pub fn looks(&self, now_ms: u64) -> bool {
        self.positions_due_ms.is_some_and(|due_ms| due_ms <= now_ms)
    }

    /// Makes the next flush look, or not, whatever it would have done by itself: a replay looks when
    /// the recorded space did.
    pub fn set_look(&mut self, looks: bool, now_ms: u64) {
        self.positions_due_ms = match looks {
            true => Some(now_ms),
            false => self.positions_due_ms.map(|due_ms| due_ms.max(now_ms + 1)),
        };
    }

    fn times(&self) -> SightSnapshot {
        SightSnapshot {
            looked_ms: self.positions_flushed_ms,
            look_due_ms: self.positions_due_ms,
            told_ms: self.attributes_flushed_ms,
            ..SightSnapshot::default()
        }
    }
}

/// Gives numbers to entities as they come.
struct Names {
    of: HashMap<Row, u32>,
    sights: SightSnapshot,
}

impl Names {
    fn of(&mut self, replicator: &Replicator, row: Row) -> Option<u32> {
        if let Some(number) = self.of.get(&row) {
            return Some(*number);
        }
        let entity = replicator.roster.row(row)?.entity;
        let number = u32::try_from(self.sights.entities.len()).ok()?;
        self.sights.entities.push(entity);
        self.of.insert(row, number);
        Some(number)
    }
}
