//! What a replicator must know of a type: which attributes who sees, and how far it sees.

use crate::guest::Hook;
use crate::versions::ModuleVersion;
use bytes::Bytes;
use everwake_protocol::attributes::{Column, Shape};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One attribute that the version knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Visible {
    shape: Shape,
    pub(super) initial: Bytes,
    /// The entity's own client sees it.
    pub(super) own: bool,
    /// Everybody who sees the entity sees it.
    pub(super) all: bool,
}

impl Visible {
    pub(super) fn column(&self) -> Column<'_> {
        Column { shape: self.shape, initial: &self.initial }
    }

    pub(super) fn is_list(&self) -> bool {
        self.shape == Shape::List
    }
}

/// One type.
#[derive(Clone, Debug, Default)]
pub(super) struct Kind {
    /// By small id; none for those that the version does not know.
    attributes: Vec<Option<Visible>>,
    /// How far its entities see.
    pub(super) radius: Option<f64>,
    /// It wants to hear who comes into its radius ...
    pub(super) hears_enter: bool,
    /// ... and who leaves it.
    pub(super) hears_leave: bool,
    /// The space must know when its first client comes ...
    pub(super) hears_watched: bool,
    /// ... and when its last one goes.
    pub(super) hears_unwatched: bool,
}

impl Kind {
    pub(super) fn attribute(&self, id: u32) -> Option<&Visible> {
        self.attributes.get(id as usize)?.as_ref()
    }

    pub(super) fn attribute_ids(&self) -> usize {
        self.attributes.len()
    }

    /// True if it looks around even without a client.
    pub(super) fn hears_aoi(&self) -> bool {
        self.hears_enter || self.hears_leave
    }
}

/// All types by small id. Types that a version dropped stay, so that their entities stay visible.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    by_id: BTreeMap<u32, Arc<Kind>>,
    unknown: Arc<Kind>,
}

impl Kinds {
    pub(super) fn learn(&mut self, version: &ModuleVersion) {
        for (id, index) in &version.type_by_id {
            let index = *index as usize;
            let (Some(table), Some(described)) =
                (version.types.get(index), version.manifest.types.get(index))
            else {
                continue;
            };
            let mut attributes = vec![None; table.attribute_ids as usize];
            for attribute in &table.attributes {
                if let Some(place) = attributes.get_mut(attribute.id as usize) {
                    *place = Some(Visible {
                        shape: attribute.shape,
                        initial: attribute.initial.clone(),
                        own: attribute.flags.client || attribute.flags.all_clients,
                        all: attribute.flags.all_clients,
                    });
                }
            }
            let hears = |hook: Hook| described.hooks & 1 << hook as u32 != 0;
            let kind = Kind {
                attributes,
                radius: described
                    .aoi_radius
                    .map(f64::from)
                    .filter(|radius| radius.is_finite() && *radius >= 0.0),
                hears_enter: hears(Hook::EnterAoi),
                hears_leave: hears(Hook::LeaveAoi),
                hears_watched: hears(Hook::Watched) || described.sleeps_unwatched,
                hears_unwatched: hears(Hook::Unwatched) || described.sleeps_unwatched,
            };
            self.by_id.insert(*id, Arc::new(kind));
        }
    }

    /// The type, or one of which nothing is visible.
    pub(super) fn kind(&self, type_id: u32) -> Arc<Kind> {
        self.by_id.get(&type_id).unwrap_or(&self.unknown).clone()
    }
}
