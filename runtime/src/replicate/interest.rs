//! Who sees whom: distances, radii with hysteresis, layers.
//!
//! Knows rows, not entities or clients. Looks at each pair that may have changed; a grid can
//! take the place of the two loops without changing the interface.

use super::limits::{LEAVE_FACTOR, LEAVE_METRES};
use everwake_protocol::client::Pose;
use std::collections::HashMap;

/// A place in the replicator's table of entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Row(pub(super) u32);

impl Row {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A change of who sees whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) observer: Row,
    pub(super) subject: Row,
    /// False: it is seen no more.
    pub(super) sees: bool,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    present: bool,
    dirty: bool,
    x: f64,
    z: f64,
    sees: u32,
    seen_by: u32,
}

const NOWHERE: Place =
    Place { present: false, dirty: false, x: 0.0, z: 0.0, sees: u32::MAX, seen_by: u32::MAX };

#[derive(Debug)]
struct Observer {
    row: Row,
    radius: f64,
    /// Rows that it sees, ascending.
    seen: Vec<Row>,
}

/// Everybody who has a position, and those that look around.
#[derive(Debug, Default)]
pub(super) struct Interest {
    places: Vec<Place>,
    /// Ascending by row.
    observers: Vec<Observer>,
    /// Rows that were touched since the last look, once each.
    dirty: Vec<Row>,
}

impl Interest {
    /// Puts an entity where it stands, or moves it there.
    pub(super) fn place(&mut self, row: Row, pose: &Pose) {
        if self.places.len() <= row.index() {
            self.places.resize(row.index() + 1, NOWHERE);
        }
        if let Some(place) = self.places.get_mut(row.index()) {
            place.present = true;
            place.x = f64::from(pose.x);
            place.z = f64::from(pose.z);
        }
        self.touch(row);
    }

    /// Sets who sees whom by masks. Only for a row that has a place.
    pub(super) fn layers(&mut self, row: Row, sees: u32, seen_by: u32) {
        if let Some(place) = self.places.get_mut(row.index()) {
            place.sees = sees;
            place.seen_by = seen_by;
        }
        self.touch(row);
    }

    /// Makes a row an observer, changes its radius, or (none) lets it see nobody from now on.
    /// What it sees no more is not told.
    pub(super) fn observe(&mut self, row: Row, radius: Option<f64>) {
        match (self.observers.binary_search_by_key(&row, |observer| observer.row), radius) {
            (Ok(at), Some(radius)) => {
                if let Some(observer) = self.observers.get_mut(at) {
                    observer.radius = radius;
                }
            }
            (Ok(at), None) => {
                self.observers.remove(at);
            }
            (Err(at), Some(radius)) => self.observers.insert(at, Observer { row, radius, seen: Vec::new() }),
            (Err(_), None) => {}
        }
        self.touch(row);
    }

    /// Takes a row out; returns who saw it, ascending.
    pub(super) fn remove(&mut self, row: Row) -> Vec<Row> {
        self.observe(row, None);
        if let Some(place) = self.places.get_mut(row.index()) {
            // The mark stays: the row is still in the list of the touched.
            *place = Place { dirty: place.dirty, ..NOWHERE };
        }
        let mut saw = Vec::new();
        for observer in &mut self.observers {
            if let Ok(at) = observer.seen.binary_search(&row) {
                observer.seen.remove(at);
                saw.push(observer.row);
            }
        }
        saw
    }

    /// What a row sees, ascending, as of the last look.
    pub(super) fn seen(&self, row: Row) -> &[Row] {
        match self.observers.binary_search_by_key(&row, |observer| observer.row) {
            Ok(at) => self.observers.get(at).map_or(&[], |observer| &observer.seen),
            Err(_) => &[],
        }
    }

    /// Looks at all pairs with a row that was touched since the last look.
    pub(super) fn look(&mut self, out: &mut Vec<Sight>) {
        let mut rows = std::mem::take(&mut self.dirty);
        rows.sort_unstable();
        for row in &rows {
            if let Some(place) = self.places.get_mut(row.index()) {
                place.dirty = false;
            }
        }
        self.look_at(&rows, out);
        rows.clear();
        self.dirty = rows;
    }

    /// Looks at all pairs with these rows (ascending), now.
    pub(super) fn look_at(&mut self, rows: &[Row], out: &mut Vec<Sight>) {
        for observer in &mut self.observers {
            let Some(here) = self.places.get(observer.row.index()).copied() else { continue };
            if !here.present {
                continue;
            }
            if rows.binary_search(&observer.row).is_ok() {
                observer.look_around(&here, &self.places, out);
                continue;
            }
            for row in rows {
                if let Some(there) = self.places.get(row.index()) {
                    observer.look_at(&here, *row, there, out);
                }
            }
        }
    }

    /// True if somebody was touched since the last look, and somebody looks.
    pub(super) fn is_stale(&self) -> bool {
        !self.dirty.is_empty() && !self.observers.is_empty()
    }

    /// How many are somewhere, how many look around, and how many they see.
    pub(super) fn sizes(&self) -> (usize, usize, usize) {
        let present = self.places.iter().filter(|place| place.present).count();
        (present, self.observers.len(), self.observers.iter().map(|observer| observer.seen.len()).sum())
    }

    pub(super) fn touch(&mut self, row: Row) {
        if let Some(place) = self.places.get_mut(row.index())
            && !place.dirty
        {
            place.dirty = true;
            self.dirty.push(row);
        }
    }
}

/// As data, and back.
impl Interest {
    /// What each observer sees, ascending.
    pub(super) fn sights(&self) -> impl Iterator<Item = (Row, &[Row])> {
        self.observers.iter().map(|observer| (observer.row, observer.seen.as_slice()))
    }

    /// Who was touched since the last look.
    pub(super) fn stale(&self) -> &[Row] {
        &self.dirty
    }

    /// Lets everybody see what `seen` says, ascending, and nobody be stale. Says what changes by that.
    pub(super) fn resume(&mut self, seen: &mut HashMap<Row, Vec<Row>>, out: &mut Vec<Sight>) {
        for row in std::mem::take(&mut self.dirty) {
            if let Some(place) = self.places.get_mut(row.index()) {
                place.dirty = false;
            }
        }
        for observer in &mut self.observers {
            let before =
                std::mem::replace(&mut observer.seen, seen.remove(&observer.row).unwrap_or_default());
            let (row, now) = (observer.row, &observer.seen);
            let lost = before.iter().filter(|subject| now.binary_search(subject).is_err());
            out.extend(lost.map(|subject| Sight { observer: row, subject: *subject, sees: false }));
            let found = now.iter().filter(|subject| before.binary_search(subject).is_err());
            out.extend(found.map(|subject| Sight { observer: row, subject: *subject, sees: true }));
        }
    }
}

impl Observer {
    fn look_around(&mut self, here: &Place, places: &[Place], out: &mut Vec<Sight>) {
        let (enter, leave) = self.squares();
        let mut before = self.seen.iter().copied().peekable();
        let mut seen = Vec::with_capacity(self.seen.len());
        for (row, there) in (0u32..).map(Row).zip(places) {
            let saw = before.next_if_eq(&row).is_some();
            let sees = row != self.row && in_sight(here, there, if saw { leave } else { enter });
            if sees {
                seen.push(row);
            }
            if sees != saw {
                out.push(Sight { observer: self.row, subject: row, sees });
            }
        }
        self.seen = seen;
    }

    fn look_at(&mut self, here: &Place, row: Row, there: &Place, out: &mut Vec<Sight>) {
        let (enter, leave) = self.squares();
        match self.seen.binary_search(&row) {
            Ok(at) if !in_sight(here, there, leave) => {
                self.seen.remove(at);
                out.push(Sight { observer: self.row, subject: row, sees: false });
            }
            Err(at) if row != self.row && in_sight(here, there, enter) => {
                self.seen.insert(at, row);
                out.push(Sight { observer: self.row, subject: row, sees: true });
            }
            _ => {}
        }
    }

    /// Squares of the distances within which it begins and goes on to see.
    fn squares(&self) -> (f64, f64) {
        let leave = self.radius * LEAVE_FACTOR + LEAVE_METRES;
        (self.radius * self.radius, leave * leave)
    }
}

fn in_sight(here: &Place, there: &Place, square: f64) -> bool {
    let (x, z) = (there.x - here.x, there.z - here.z);
    there.present && here.sees & there.seen_by != 0 && x * x + z * z <= square
}
