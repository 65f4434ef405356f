//! What entities were like before they changed, each kept once in a period.
//!
//! So a space can be put together as it was when the period began: who has an image was like that, and
//! who has none is as it was. An entity that nothing touches costs nothing.

use super::entity::Entity;
use super::snapshot::EntitySnapshot;
use super::weight;
use crate::id_hash::IdHasher;
use everwake_protocol::EntityId;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

/// By entity what it was like when a period began; none if it was not there. Shared, so that whoever asks for the
/// past copies nothing while the space waits. For finding only: its order
/// reaches nobody.
pub(super) type Album = HashMap<EntityId, Option<Arc<EntitySnapshot>>, BuildHasherDefault<IdHasher>>;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Images {
    /// Number of the period; none is taken in 0.
    period: u32,
    album: Album,
    bytes: usize,
    bytes_max: usize,
    /// There was no room for all: what is there says nothing.
    is_full: bool,
    periods: u32,
}

impl Images {
    /// Begins a period. Gives back the images of the one before.
    pub(super) fn begin(&mut self, bytes_max: usize) -> Album {
        let before = self.stop();
        self.periods = self.periods.wrapping_add(1).max(1);
        self.period = self.periods;
        self.bytes_max = bytes_max;
        before
    }

    /// Takes no images any more.
    pub(super) fn stop(&mut self) -> Album {
        self.period = 0;
        self.bytes = 0;
        self.is_full = false;
        std::mem::take(&mut self.album)
    }

    /// Bytes of the period's images; none if there was no room for all.
    pub(super) fn bytes(&self) -> Option<usize> {
        (!self.is_full).then_some(self.bytes)
    }

    /// Of the running period.
    pub(super) fn album(&self) -> &Album {
        &self.album
    }

    /// An entity is about to change, or to go.
    pub(super) fn changes(&mut self, entity: &mut Entity) {
        // In this order: mostly no period runs, and the note lies behind the first line of the entity.
        if self.period != 0 && entity.imaged != self.period {
            self.take(entity);
        }
    }

    /// An entity is new here.
    pub(super) fn comes(&mut self, entity: &mut Entity) {
        if self.period != 0 {
            entity.imaged = self.period;
            // Who went and came back has an image already.
            self.album.entry(entity.id).or_insert(None);
        }
    }

    #[cold]
    fn take(&mut self, entity: &mut Entity) {
        entity.imaged = self.period;
        let bytes = weight::entity(entity);
        if self.bytes + bytes > self.bytes_max {
            self.album.clear();
            self.is_full = true;
            self.period = 0;
            return;
        }
        self.bytes += bytes;
        self.album.insert(entity.id, Some(Arc::new(EntitySnapshot::of(entity))));
    }
}
