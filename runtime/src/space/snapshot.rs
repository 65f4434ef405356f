//! A whole space as plain data, and back: where a recording begins.

use super::charge::{ChargeSnapshot, Charges};
use super::config::{SpaceConfig, SpaceKind};
use super::core::SpaceCore;
use super::entity::{Entity, Intent};
use super::state::Space;
use crate::guest::VersionHash;
use crate::message::EntityBody;
use crate::replicate::{Change, SightSnapshot};
use crate::versions::ModuleVersion;
use everwake_protocol::EntityId;
use everwake_protocol::client::Pose;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// See the head of this file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SpaceSnapshot {
    /// Name of the space.
    pub id: EntityId,
    /// What it is.
    pub kind: SpaceKind,
    /// Version that runs in it.
    pub version: VersionHash,
    /// Its time, in UTC ms.
    pub now_ms: u64,
    /// Number of its last message.
    pub counter: u64,
    /// Number of its last commit.
    pub commit: u64,
    /// In the order of entering.
    pub entities: Vec<EntitySnapshot>,
    /// Where its ticks stand.
    pub ticks: Vec<TickSnapshot>,
    /// Who sees whom, and when that was looked at.
    pub sights: SightSnapshot,
    /// Whose clients made what crash.
    pub charges: Vec<ChargeSnapshot>,
    /// Names of methods of former versions by hash.
    pub former_names: BTreeMap<u64, String>,
    /// It takes nobody in any more.
    pub closing: bool,
    /// It knows that the deployment is ready.
    pub ready: bool,
}

/// An entity with what only its space knows of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "they are the fields of an entity, by name")]
pub struct EntitySnapshot {
    pub id: EntityId,
    pub order: u64,
    pub epoch: u32,
    pub pose: Pose,
    pub local: bool,
    pub outside: u64,
    pub sign: u64,
    pub intent: Option<(Option<EntityId>, Pose, u32)>,
    pub intents: u32,
    pub watched: bool,
    pub tick_pause: (u64, u8),
    pub giving: bool,
    pub body: EntityBody,
}

/// Where the ticks of one type stand.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "they are the fields of a type's tick, by name")]
pub struct TickSnapshot {
    pub type_id: u32,
    pub base_ms: Option<u64>,
    pub steps: u64,
    pub chunk: usize,
}

/// Why a snapshot cannot be brought back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The snapshot is of another version.
    #[error("the snapshot needs version {needed}, not {given}")]
    OtherVersion {
        /// Of the snapshot.
        needed: VersionHash,
        /// That was given.
        given: VersionHash,
    },
    /// The version lacks the type of an entity.
    #[error("the version has no type with the small id {0}")]
    UnknownType(u32),
}

impl SpaceCore {
    /// The space as data. None while something waits in it: drain it first.
    #[must_use]
    pub fn snapshot(&self) -> Option<SpaceSnapshot> {
        let space = self.shared();
        if !space.mailbox.is_empty() {
            return None;
        }
        let entities = space.world.iter().map(|(_, entity)| EntitySnapshot::of(entity)).collect();
        Some(SpaceSnapshot { entities, ..space.head() })
    }

    /// A space as it was. No hooks run: for its entities nothing has happened.
    pub fn restore(
        config: SpaceConfig,
        version: Arc<ModuleVersion>,
        snapshot: SpaceSnapshot,
    ) -> Result<SpaceCore, RestoreError> {
        if snapshot.version != version.hash {
            return Err(RestoreError::OtherVersion { needed: snapshot.version, given: version.hash });
        }
        let mut space = Space::new(config, version);
        space.now_ms = snapshot.now_ms;
        space.counter = snapshot.counter;
        space.commits.resume(snapshot.commit);
        for tick in &mut space.ticks.types {
            if let Some(old) = snapshot.ticks.iter().find(|old| old.type_id == tick.type_id) {
                (tick.base_ms, tick.steps, tick.chunk) = (old.base_ms, old.steps, old.chunk);
            }
        }
        space.charges = Charges::restore(&snapshot.charges);
        space.former_names = snapshot.former_names;
        (space.closing, space.ready) = (snapshot.closing, snapshot.ready);
        for old in snapshot.entities {
            let type_id = old.body.type_id;
            let type_index = space.version.type_by_id.get(&type_id).copied();
            let type_index = type_index.ok_or(RestoreError::UnknownType(type_id))?;
            space.bring_back(old, type_index);
        }
        space.replicate();
        space.replicator.resume(&snapshot.sights);
        // What follows from it was said when it happened first.
        space.mailbox.facts.clear();
        space.free.clear();
        space.fifo = super::fifo::Fifo::default();
        Ok(SpaceCore::around(space))
    }
}

impl Space {
    /// The space without its entities.
    pub(super) fn head(&self) -> SpaceSnapshot {
        let ticks = self.ticks.types.iter();
        SpaceSnapshot {
            id: self.config.id,
            kind: self.config.kind,
            version: self.version.hash,
            now_ms: self.now_ms,
            counter: self.counter,
            commit: self.commits.sequence(),
            entities: Vec::new(),
            ticks: ticks
                .map(|tick| TickSnapshot {
                    type_id: tick.type_id,
                    base_ms: tick.base_ms,
                    steps: tick.steps,
                    chunk: tick.chunk,
                })
                .collect(),
            sights: self.replicator.sights(),
            charges: self.charges.snapshot(),
            former_names: self.former_names.clone(),
            closing: self.closing,
            ready: self.ready,
        }
    }

    fn bring_back(&mut self, old: EntitySnapshot, type_index: u32) {
        let EntitySnapshot { id, order, epoch, pose, local, outside, sign, intent, intents, .. } = old;
        let mut entity = Entity::new(id, type_index, pose, epoch, old.body);
        entity.order = order;
        entity.local = local;
        (entity.outside, entity.sign) = (outside, sign);
        entity.intent = intent.map(|(to, pose, number)| Intent { to, pose, number });
        entity.intents = intents;
        (entity.pause_until_ms, entity.strikes) = old.tick_pause;
        entity.giving = old.giving;
        self.schedule(&entity);
        let client = entity.body.client.clone();
        let slot = self.world.insert_at(entity);
        self.show(slot);
        if let Some(client) = client {
            self.changes.push(Change::Attached { entity: id, session: client.session, view: client.view });
        }
        if let Some(entity) = self.world.get_mut(slot) {
            entity.watched = old.watched;
        }
    }
}

impl EntitySnapshot {
    pub(super) fn of(entity: &Entity) -> EntitySnapshot {
        EntitySnapshot {
            id: entity.id,
            order: entity.order,
            epoch: entity.epoch,
            pose: entity.pose,
            local: entity.local,
            outside: entity.outside,
            sign: entity.sign,
            intent: entity.intent.map(|intent| (intent.to, intent.pose, intent.number)),
            intents: entity.intents,
            watched: entity.watched,
            tick_pause: (entity.pause_until_ms, entity.strikes),
            giving: entity.giving,
            body: entity.body.clone(),
        }
    }
}
