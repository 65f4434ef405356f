//! A game that is to stop: it takes nothing new, and what can go on elsewhere goes.
//!
//! That is every entity in no space: each leaves for a nil shard of another game as if it had asked for it, so nothing
//! of it, of what is under way to it and of its client gets lost. Spaces and services do not move; who leaves a space
//! for nil goes to another game's.

use super::admin::AdminAnswer;
use super::limits::{DRAIN_AGAIN_MS, EVICTIONS_MAX};
use super::moves::share_of;
use super::report::DrainReport;
use super::{GameCore, SpaceKind};
use crate::message::{Input, nil_shard};
use everwake_protocol::EntityId;
use everwake_protocol::cluster::ToDispatcher;
use std::collections::BTreeMap;

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct Draining {
    /// Who was asked to go, under which epoch of its place.
    asked: BTreeMap<EntityId, u32>,
    /// Who went.
    gone: u64,
    /// When to look again.
    pub(super) again_ms: u64,
}

impl GameCore {
    /// Whether it takes nothing new.
    pub(super) fn drains(&self) -> bool {
        self.draining.is_some()
    }

    pub(super) fn drain_asked(&mut self, admin: u64, on: Option<bool>) {
        if on == Some(true) && !self.peers.among {
            let why = "there are no other games that could take what is here";
            return self.answer_admin(admin, AdminAnswer::Bad(why.to_owned()));
        }
        if let Some(on) = on.filter(|on| *on != self.drains()) {
            self.draining = on.then(Draining::default);
            self.dispatch(ToDispatcher::Profile(self.profile()));
            self.tend_drain();
        }
        self.answer_admin(admin, AdminAnswer::Drain(self.drain_report()));
    }

    fn drain_report(&self) -> DrainReport {
        let spaces = |kind| self.directory.spaces().filter(move |(_, row)| row.kind == kind).count();
        let takers = self.modules.keys().map(|module| self.takers(module).len()).min();
        DrainReport {
            drains: self.drains(),
            takers: takers.unwrap_or_default(),
            // Also who is on the way: it comes back if nobody takes it.
            free: self.directory.inside(SpaceKind::Nil).count() + self.directory.waiting().0,
            gone: self.draining.as_ref().map_or(0, |draining| draining.gone),
            spaces: spaces(SpaceKind::Space),
            inside: self.directory.inside(SpaceKind::Space).count(),
            clients: self.sessions.len(),
            services: spaces(SpaceKind::Service),
            maps: self.homes.len(),
        }
    }

    /// Asks those in no space to go, so many at once.
    pub(super) fn tend_drain(&mut self) {
        let Some(mut draining) = self.draining.take() else { return };
        if draining.again_ms <= self.now_ms {
            draining.again_ms = self.now_ms.saturating_add(DRAIN_AGAIN_MS);
            let here = |entity: &EntityId, epoch: &u32| {
                let at = self.directory.location(*entity);
                at.is_some_and(|at| at.leaving.is_none() && at.epoch == *epoch)
            };
            draining.asked.retain(|entity, epoch| here(entity, epoch));
            for (entity, space, epoch) in self.next_to_go(&draining) {
                draining.asked.insert(entity, epoch);
                self.hand(space, Input::Evict { entity });
            }
        }
        self.draining = Some(draining);
    }

    fn next_to_go(&self, draining: &Draining) -> Vec<(EntityId, EntityId, u32)> {
        let room = EVICTIONS_MAX.saturating_sub(draining.asked.len());
        let may_go = |at: EntityId| {
            let module = self.directory.space(at).map(|row| row.module.as_str());
            module.is_some_and(|module| !self.takers(module).is_empty())
        };
        let free = self.directory.inside(SpaceKind::Nil);
        // Who is not registered is about to be, or is not to be.
        let free = free.filter(|(entity, at)| at.type_id.is_some() && !draining.asked.contains_key(entity));
        let free = free.filter(|(_, at)| may_go(at.space));
        free.take(room).map(|(entity, at)| (entity, at.space, at.epoch)).collect()
    }

    /// Where an entity goes that is to be in no space: here, or to another game if this one is to stop.
    pub(super) fn nil_place_of(&mut self, module: &str, entity: EntityId) -> EntityId {
        if self.drains() {
            let takers = self.takers(module);
            let share = share_of(entity, u32::try_from(takers.len()).unwrap_or(u32::MAX));
            if let Some((life, shards)) = takers.get(share as usize) {
                self.draining.iter_mut().for_each(|draining| draining.gone += 1);
                return nil_shard(*life, module, share_of(entity, *shards));
            }
        }
        self.nil_shard_of(module, entity)
    }
}
