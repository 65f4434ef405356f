//! One entity as clients may see it, and which of its changes they have not been told yet.
//!
//! Values are read when they are written to a frame, not when they change: of several writes to
//! one place the last one goes out. Changes of a list are the exception, they keep their order.

use super::interest::Row;
use super::kinds::{Kind, Visible};
use super::limits::{LIST_CHANGES_MAX, MAP_CHANGES_SLACK, PATCH_BYTES_MAX};
use bytes::Bytes;
use everwake_protocol::attributes::{Attributes, Change, PatchReader, Slot, Span, write_path};
use everwake_protocol::cbor;
use everwake_protocol::client::Pose;
use everwake_protocol::cluster::Viewer;
use everwake_protocol::{EntityId, SessionId};
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// See the head of this file. What moving it touches lies together.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Mirror {
    pub(super) entity: EntityId,
    pub(super) pose: Option<Pose>,
    pub(super) row: Row,
    /// Rises with each move and each motion.
    pub(super) stamp: u64,
    /// Its own client.
    pub(super) owner: Option<Viewer>,
    pub(super) type_id: u32,
    pub(super) kind: Arc<Kind>,
    /// Order of arrival in the space.
    pub(super) slot: u64,
    pub(super) motion: Bytes,
    /// Other clients that see it, ascending.
    pub(super) watchers: Vec<Viewer>,
    /// It waits for the next flush.
    pub(super) listed: bool,
    /// What the space was told last.
    pub(super) told_watched: bool,
    attributes: Attributes,
    untold: BTreeMap<u32, Untold>,
}

/// What clients do not know yet of one attribute.
#[derive(Debug)]
enum Untold {
    /// All of it.
    Whole,
    /// Entries of a map, by encoded key.
    Entries(BTreeSet<Span>),
    /// Changes of a list as they came, path and value.
    List(Vec<Box<[u8]>>),
}

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Circle {
    /// The entity's own client.
    Own,
    /// The others that see it.
    Others,
}

impl Circle {
    fn sees(self, attribute: &Visible) -> bool {
        match self {
            Circle::Own => attribute.own,
            Circle::Others => attribute.all,
        }
    }
}

/// What a new entity is made of.
pub(super) struct Arrival {
    pub(super) entity: EntityId,
    pub(super) type_id: u32,
    pub(super) slot: u64,
    pub(super) pose: Option<Pose>,
    pub(super) motion: Bytes,
    pub(super) attributes: Attributes,
}

impl Mirror {
    pub(super) fn new(row: Row, kind: Arc<Kind>, arrival: Arrival) -> Mirror {
        let Arrival { entity, type_id, slot, pose, motion, mut attributes } = arrival;
        attributes.grow(kind.attribute_ids());
        Mirror {
            row,
            entity,
            type_id,
            kind,
            slot,
            pose,
            motion,
            stamp: 1,
            owner: None,
            watchers: Vec::new(),
            listed: false,
            told_watched: false,
            attributes,
            untold: BTreeMap::new(),
        }
    }

    /// Applies a patch up to the first change that does not fit (the space has checked all).
    /// Returns false if there was one.
    pub(super) fn patch(&mut self, changes: &[u8]) -> bool {
        let watched = self.is_watched();
        for change in PatchReader::new(changes) {
            let Ok(change) = change else { return false };
            // Cloned by reference count: the borrow must not stand in the way of the change.
            let kind = self.kind.clone();
            let Some(visible) = kind.attribute(change.attribute) else { continue };
            match self.attributes.apply(&change, visible.column(), None) {
                Ok(applied) if applied.changed && watched && visible.own => self.note(&change, visible),
                Ok(_) => {}
                Err(_) => return false,
            }
        }
        true
    }

    fn note(&mut self, change: &Change<'_>, visible: &Visible) {
        let attribute = change.attribute;
        let Some(key) = change.key else {
            self.untold.insert(attribute, Untold::Whole);
            return;
        };
        let slot = self.attributes.slot(attribute);
        let untold = self.untold.entry(attribute).or_insert_with(|| match visible.is_list() {
            true => Untold::List(Vec::new()),
            false => Untold::Entries(BTreeSet::new()),
        });
        let too_many = match untold {
            Untold::Whole => false,
            Untold::Entries(keys) => {
                keys.insert(Span::from_slice(key));
                matches!(slot, Slot::Map(entries) if keys.len() > entries.len() + MAP_CHANGES_SLACK)
            }
            Untold::List(changes) => {
                changes.push(change.raw.into());
                changes.len() > LIST_CHANGES_MAX
            }
        };
        if too_many {
            *untold = Untold::Whole;
        }
    }

    /// Takes another version's view of its type; what becomes visible by that is untold.
    pub(super) fn adopt(&mut self, kind: Arc<Kind>) {
        self.attributes.grow(kind.attribute_ids());
        let watched = self.is_watched();
        for (id, slot) in (0u32..).zip(self.attributes.slots()) {
            let Some(now) = kind.attribute(id) else { continue };
            let before = self.kind.attribute(id);
            let news = match before {
                Some(before) if slot.is_absent() => now.own && before.initial != now.initial,
                Some(before) => now.own && !before.own || now.all && !before.all,
                None => now.own && !slot.is_absent(),
            };
            if news && watched {
                self.untold.insert(id, Untold::Whole);
            }
        }
        self.kind = kind;
    }

    pub(super) fn is_watched(&self) -> bool {
        self.owner.is_some() || !self.watchers.is_empty()
    }

    /// Its own client and the others that see it, ascending.
    pub(super) fn audience(&self) -> SmallVec<[Viewer; 4]> {
        let mut viewers = SmallVec::from_slice(&self.watchers);
        if let Some(own) = self.owner {
            let at = self.watchers.partition_point(|watcher| *watcher < own);
            viewers.insert(at, own);
        }
        viewers
    }

    /// Another client sees it from now on.
    pub(super) fn watch(&mut self, viewer: Viewer) {
        if let Err(at) = self.watchers.binary_search_by_key(&viewer.session, |watcher| watcher.session) {
            self.watchers.insert(at, viewer);
        }
    }

    /// Another client sees it no more.
    pub(super) fn unwatch(&mut self, session: SessionId) {
        if let Ok(at) = self.watchers.binary_search_by_key(&session, |watcher| watcher.session) {
            self.watchers.remove(at);
        }
    }

    pub(super) fn has_untold(&self) -> bool {
        !self.untold.is_empty()
    }

    /// True if both circles would be told the same.
    pub(super) fn untold_is_public(&self) -> bool {
        self.untold.keys().all(|id| self.kind.attribute(*id).is_none_or(|visible| visible.all == visible.own))
    }

    /// All attributes that a circle sees and that are not initial, as patches that fit frames.
    pub(super) fn whole(&self, circle: Circle) -> Vec<Vec<u8>> {
        let sees = |id| self.kind.attribute(id).filter(|visible| circle.sees(visible)).map(|_| id);
        self.attributes.encode_split(PATCH_BYTES_MAX, sees)
    }

    /// What a circle has not been told, as patches that fit frames.
    pub(super) fn news(&self, circle: Circle) -> Vec<Vec<u8>> {
        let mut pages = Pages::default();
        for (id, untold) in &self.untold {
            if !self.kind.attribute(*id).is_some_and(|visible| circle.sees(visible)) {
                continue;
            }
            match (untold, self.attributes.slot(*id)) {
                (Untold::Entries(keys), Slot::Map(entries)) => {
                    for key in keys {
                        pages.entry(*id, key, entries.get(key));
                    }
                }
                (Untold::List(changes), _) => changes.iter().for_each(|change| pages.add(change)),
                (Untold::Whole | Untold::Entries(_), _) => {
                    self.attributes
                        .encode_one_split(*id, *id, PATCH_BYTES_MAX)
                        .iter()
                        .for_each(|part| pages.add(part));
                }
            }
        }
        pages.finish()
    }

    /// Everybody who sees it has been told everything.
    pub(super) fn told(&mut self) {
        self.untold.clear();
    }
}

/// Patches that fit frames.
#[derive(Default)]
struct Pages {
    done: Vec<Vec<u8>>,
    last: Vec<u8>,
}

impl Pages {
    fn entry(&mut self, attribute: u32, key: &[u8], value: Option<&Span>) {
        let mut change = Vec::with_capacity(key.len() + 16);
        write_path(attribute, Some(key), false, &mut change);
        match value {
            Some(value) => change.extend_from_slice(value),
            None => cbor::undefined(&mut change),
        }
        self.add(&change);
    }

    fn add(&mut self, changes: &[u8]) {
        if !self.last.is_empty() && self.last.len() + changes.len() > PATCH_BYTES_MAX {
            self.done.push(std::mem::take(&mut self.last));
        }
        self.last.extend_from_slice(changes);
    }

    fn finish(mut self) -> Vec<Vec<u8>> {
        if !self.last.is_empty() {
            self.done.push(self.last);
        }
        self.done
    }
}
