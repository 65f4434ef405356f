//! Where spaces and entities are (rule C3): an entity is in a space, a space is in one life of a process. The higher
//! epoch wins.

use crate::bounded::Bounded;
use crate::limits::{PARKED_MS_MAX, TOMBSTONES_MAX};
use everwake_protocol::EntityId;
use everwake_protocol::cluster::{EntityReport, Incarnation, MessageId, SpaceReport};
use std::collections::{BTreeMap, HashMap};

/// Both levels. Its hash maps are never walked through in an order that can be seen.
#[derive(Debug)]
pub(super) struct Directory {
    spaces: HashMap<EntityId, Space>,
    entities: HashMap<EntityId, Row>,
    /// To which life an arrival of an entity was handed that nobody has told to be there since.
    arriving: BTreeMap<EntityId, Incarnation>,
    /// Entities that are no more, or came back under their name since, with the last epoch in which they were.
    tombstones: Bounded<EntityId, u32>,
    /// Rows that end with time.
    limits: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    pub(super) process: Incarnation,
    pub(super) epoch: u32,
    report: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) place: Place,
    pub(super) epoch: u32,
    /// The report, of all that the router has heard, which told it.
    report: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Its creation was handed out, and what is for it goes the same way.
    Making { at: Incarnation, by: MessageId },
    /// That creation may have got lost: its source sends it again.
    Remaking { at: Incarnation, by: MessageId, until_ms: u64 },
    /// It is in a space.
    Here { space: EntityId },
    /// It is about to leave a space.
    Blocked { space: EntityId },
    /// It has left its space; who says so keeps it until it has arrived.
    Leaving { holder: Incarnation },
    /// Whoever kept it is dead, and its arrival is under way.
    Orphan { until_ms: u64 },
}

/// What became of a report about an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It counts.
    New,
    /// Known.
    Same,
    /// Something newer is known.
    Stale,
}

impl Default for Directory {
    fn default() -> Directory {
        Directory {
            spaces: HashMap::new(),
            entities: HashMap::new(),
            arriving: BTreeMap::new(),
            tombstones: Bounded::new(TOMBSTONES_MAX),
            limits: 0,
        }
    }
}

impl Directory {
    pub(super) fn entity_count(&self) -> usize {
        self.entities.len()
    }

    pub(super) fn has_limits(&self) -> bool {
        self.limits != 0
    }

    pub(super) fn entity(&self, entity: EntityId) -> Option<&Row> {
        self.entities.get(&entity)
    }

    pub(super) fn space(&self, space: EntityId) -> Option<&Space> {
        self.spaces.get(&space)
    }

    pub(super) fn tombstone(&self, entity: EntityId) -> Option<u32> {
        self.tombstones.get(&entity).copied()
    }

    /// Sets a place and keeps the rest.
    pub(super) fn set_place(&mut self, entity: EntityId, place: Place) {
        if let Some(Row { epoch, report, .. }) = self.entities.get(&entity).copied() {
            self.put(entity, Row { place, epoch, report });
        }
    }

    /// A creation was handed out, under an epoch.
    pub(super) fn make(&mut self, entity: EntityId, at: Incarnation, by: MessageId, epoch: u32) {
        self.put(entity, Row { place: Place::Making { at, by }, epoch, report: 0 });
    }

    /// A creation was not handed out after all.
    pub(super) fn unmake(&mut self, entity: Option<EntityId>, by: MessageId) {
        let Some((entity, row)) = entity.and_then(|entity| Some((entity, self.entities.get(&entity)?)))
        else {
            return;
        };
        if matches!(row.place, Place::Making { by: known, .. } if known == by) {
            self.entities.remove(&entity);
        }
    }

    /// An arrival is handed out. The entity has left where it was.
    pub(super) fn arrives(&mut self, entity: EntityId, epoch: u32, at: Incarnation, now_ms: u64) {
        match self.entities.get(&entity).map(|row| row.place) {
            Some(Place::Here { space }) => self.set_place(entity, Place::Blocked { space }),
            Some(_) => {}
            None => {
                let place = Place::Orphan { until_ms: now_ms.saturating_add(PARKED_MS_MAX) };
                self.put(entity, Row { place, epoch: epoch.saturating_sub(1), report: 0 });
            }
        }
        self.arriving.insert(entity, at);
    }

    /// A space is at a process. True if that is news.
    pub(super) fn hear_space(&mut self, from: Incarnation, told: &SpaceReport, report: u64) -> bool {
        let row = Space { process: from, epoch: told.epoch, report };
        match self.spaces.get(&told.space) {
            Some(known) if known.epoch > told.epoch => false,
            Some(known) if known.epoch == told.epoch && known.process != from => false,
            _ => self.spaces.insert(told.space, row).is_none_or(|known| known.process != from),
        }
    }

    /// An entity is at a process, or leaving it. `latest` is a planted bug: whoever says it last wins.
    pub(super) fn hear_entity(
        &mut self,
        from: Incarnation,
        told: &EntityReport,
        report: u64,
        latest: bool,
    ) -> Heard {
        let EntityReport { entity, space, epoch, leaving } = *told;
        let place = if leaving { Place::Leaving { holder: from } } else { Place::Here { space } };
        if let Some(row) = self.entities.get_mut(&entity).filter(|_| !latest) {
            let (newer, equal) = (epoch > row.epoch, epoch == row.epoch);
            match row.place {
                Place::Making { .. } | Place::Remaking { .. } => {}
                _ if newer => {}
                Place::Leaving { .. } if equal && !leaving => {}
                Place::Orphan { .. } if equal => {}
                Place::Here { space: known } | Place::Blocked { space: known }
                    if equal && !leaving && known == space =>
                {
                    row.report = report;
                    return Heard::Same;
                }
                Place::Leaving { holder } if equal && holder == from => {
                    row.report = report;
                    return Heard::Same;
                }
                _ => return Heard::Stale,
            }
        } else if self.tombstone(entity).is_some_and(|last| last >= epoch) {
            return Heard::Stale;
        }
        if !leaving {
            self.arriving.remove(&entity);
        }
        self.put(entity, Row { place, epoch, report });
        Heard::New
    }

    /// An entity is no more, says a process. True if it was its to say.
    pub(super) fn hear_gone(&mut self, from: Incarnation, entity: EntityId, epoch: u32) -> bool {
        let Some(row) = self.entities.get(&entity).copied() else { return false };
        let its = match row.place {
            Place::Making { at, .. } | Place::Remaking { at, .. } => at == from,
            Place::Orphan { .. } => self.arriving.get(&entity) == Some(&from),
            // It may have arrived, and ended, before this dispatcher was told of either.
            Place::Leaving { holder } => {
                (holder == from || self.arriving.get(&entity) == Some(&from)) && epoch >= row.epoch
            }
            Place::Here { space } | Place::Blocked { space } => {
                epoch >= row.epoch && self.spaces.get(&space).is_some_and(|space| space.process == from)
            }
        };
        if its {
            self.bury(entity, row.epoch.max(epoch));
        }
        its
    }

    /// A space is no more, says a process. True if it was its to say.
    pub(super) fn hear_closed(&mut self, from: Incarnation, told: &SpaceReport) -> bool {
        let its = self
            .spaces
            .get(&told.space)
            .is_some_and(|known| known.process == from && known.epoch <= told.epoch);
        if its {
            let inside = self.select(|_, row| row.place == Place::Here { space: told.space });
            for (entity, row) in inside {
                self.bury(entity, row.epoch);
            }
            self.spaces.remove(&told.space);
        }
        its
    }

    /// What the report did not tell again is no more.
    pub(super) fn end_report(&mut self, from: Incarnation, report: u64, now_ms: u64) {
        let old = self.select(|directory, row| {
            row.report < report
                && match row.place {
                    Place::Here { space } | Place::Blocked { space } => {
                        directory.spaces.get(&space).is_some_and(|space| space.process == from)
                    }
                    Place::Leaving { holder } => holder == from,
                    Place::Orphan { .. } | Place::Making { .. } | Place::Remaking { .. } => false,
                }
        });
        for (entity, row) in old {
            // It may have left with what was acknowledged by a process that has not told us yet.
            if self.arriving.get(&entity).is_none_or(|at| *at == from) {
                self.bury(entity, row.epoch);
            }
        }
        // What was handed to it and is not there may have been destroyed there, or got lost and comes again.
        let not_here: Vec<EntityId> =
            self.arriving.iter().filter(|(_, at)| **at == from).map(|(entity, _)| *entity).collect();
        for entity in not_here {
            if self.entity(entity).is_some_and(|row| row.place.until_ms().is_none()) {
                self.set_place(entity, Place::Orphan { until_ms: now_ms.saturating_add(PARKED_MS_MAX) });
            }
        }
        self.spaces.retain(|_, space| space.process != from || space.report == report);
    }

    /// What was handed to a process may have got lost.
    pub(super) fn doubt(&mut self, process: Incarnation, now_ms: u64) {
        let until_ms = now_ms.saturating_add(PARKED_MS_MAX);
        let making = self.select(|_, row| matches!(row.place, Place::Making { at, .. } if at == process));
        for (entity, row) in making {
            if let Place::Making { at, by } = row.place {
                self.set_place(entity, Place::Remaking { at, by, until_ms });
            }
        }
    }

    /// A process is dead: what was in it is no more, but for what left it before.
    pub(super) fn end_process(&mut self, dead: Incarnation, now_ms: u64) {
        let until_ms = now_ms.saturating_add(PARKED_MS_MAX);
        let hit = self.select(|directory, row| match row.place {
            Place::Making { at, .. } | Place::Remaking { at, .. } => at == dead,
            Place::Here { space } | Place::Blocked { space } => {
                directory.spaces.get(&space).is_some_and(|space| space.process == dead)
            }
            Place::Leaving { holder } => holder == dead,
            Place::Orphan { .. } => false,
        });
        for (entity, row) in hit {
            if self.arriving.get(&entity).is_some_and(|at| *at != dead) {
                self.set_place(entity, Place::Orphan { until_ms });
            } else {
                // Of one that was leaving the arrival may be under way still, and counts.
                let left = matches!(row.place, Place::Leaving { .. });
                self.bury(entity, if left { row.epoch.saturating_sub(1) } else { row.epoch });
            }
        }
        let lost: Vec<EntityId> =
            self.arriving.iter().filter(|(_, at)| **at == dead).map(|(entity, _)| *entity).collect();
        for entity in lost {
            self.arriving.remove(&entity);
            if let Some(Row { place: Place::Orphan { .. }, epoch, .. }) = self.entities.get(&entity).copied()
            {
                self.bury(entity, epoch);
            }
        }
        self.spaces.retain(|_, space| space.process != dead);
    }

    /// Ends rows whose time is over. True if there were some.
    pub(super) fn expire(&mut self, now_ms: u64) -> bool {
        if self.limits == 0 {
            return false;
        }
        let over = self.select(|_, row| row.place.until_ms().is_some_and(|until_ms| until_ms <= now_ms));
        for (entity, row) in &over {
            self.bury(*entity, row.epoch);
        }
        !over.is_empty()
    }

    fn put(&mut self, entity: EntityId, row: Row) {
        self.limits += usize::from(row.place.until_ms().is_some());
        if let Some(old) = self.entities.insert(entity, row) {
            self.limits -= usize::from(old.place.until_ms().is_some());
        }
    }

    /// No more, with the last epoch in which it was.
    fn bury(&mut self, entity: EntityId, epoch: u32) {
        if let Some(old) = self.entities.remove(&entity) {
            self.limits -= usize::from(old.place.until_ms().is_some());
        }
        self.arriving.remove(&entity);
        let last = self.tombstone(entity).unwrap_or_default().max(epoch);
        self.tombstones.insert(entity, last);
    }

    /// Rows of a kind, in order of their ids.
    fn select(&self, wanted: impl Fn(&Directory, &Row) -> bool) -> Vec<(EntityId, Row)> {
        let rows = self.entities.iter().filter(|(_, row)| wanted(self, row));
        let mut rows: Vec<(EntityId, Row)> = rows.map(|(entity, row)| (*entity, *row)).collect();
        rows.sort_unstable_by_key(|(entity, _)| *entity);
        rows
    }
}

impl Place {
    fn until_ms(&self) -> Option<u64> {
        match self {
            Place::Orphan { until_ms } | Place::Remaking { until_ms, .. } => Some(*until_ms),
            _ => None,
        }
    }
}
