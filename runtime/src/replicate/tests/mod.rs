//! A replicator against clients that apply what they get, and against plain copies.

mod client;
mod order;
mod positions;
mod rules;
mod sight;

use super::{Change, Fact, Intervals, ReplicaInput, ReplicaOutput, Replicator};
use crate::guest::{Hook, VersionHash};
use crate::manifest::{AttributeFlags, EntityType, Manifest, TypeKind};
use crate::versions::type_text::Scalar;
use crate::versions::{AttributeTable, ModuleVersion, Structure, TypeTable};
use bytes::Bytes;
use everwake_protocol::attributes::{Attributes, Column, Shape};
use everwake_protocol::client::Pose;
use everwake_protocol::cluster::{ToGate, Viewer};
use everwake_protocol::schema::Schema;
use everwake_protocol::{EntityId, Id, SessionId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Small ids of the types.
pub const ROOM: u32 = 0;
pub const AVATAR: u32 = 1;
pub const ROCK: u32 = 2;
pub const WOLF: u32 = 3;

/// Small ids of the attributes that all types have.
pub const HP: u32 = 0;
pub const GOLD: u32 = 1;
pub const PLAN: u32 = 2;
pub const ITEMS: u32 = 3;
pub const BAG: u32 = 4;
pub const MARKS: u32 = 5;
pub const COUNT: usize = 6;

pub const RADIUS: f32 = 10.0;

/// One entity moved.
pub fn moved(entity: EntityId, pose: Pose, by_client: bool) -> Change {
    Change::Moved { moves: smallvec::smallvec![(entity, pose)], by_client }
}

const NOBODY: AttributeFlags =
    AttributeFlags { client: false, all_clients: false, persistent: false, volatile: false, secret: false };
const OWN: AttributeFlags = AttributeFlags { client: true, ..NOBODY };
const ALL: AttributeFlags = AttributeFlags { all_clients: true, ..NOBODY };

/// Shape, audience and initial value of each attribute.
pub const COLUMNS: [(Shape, AttributeFlags, &[u8]); COUNT] = [
    (Shape::Scalar, ALL, &[0x18, 0x64]),
    (Shape::Scalar, OWN, &[0x00]),
    (Shape::Scalar, NOBODY, &[0xf6]),
    (Shape::List, ALL, &[0x82, 0x01, 0x02]),
    (Shape::Map, OWN, &[0xa0]),
    (Shape::Map, ALL, &[0xa1, 0x01, 0x01]),
];

pub fn column(attribute: u32) -> Column<'static> {
    let (shape, _, initial) = COLUMNS[attribute as usize];
    Column { shape, initial }
}

fn hooks(hooks: &[Hook]) -> u32 {
    hooks.iter().map(|hook| 1 << *hook as u32).sum()
}

/// A version with these flags.
pub fn version_with(generation: u32, flags: [AttributeFlags; COUNT]) -> Arc<ModuleVersion> {
    let aoi = hooks(&[Hook::EnterAoi, Hook::LeaveAoi]);
    let watching = hooks(&[Hook::Watched, Hook::Unwatched]);
    let described = [
        ("Room", TypeKind::Space, None, 0),
        ("Avatar", TypeKind::Entity, Some(RADIUS), 0),
        ("Rock", TypeKind::Entity, None, watching),
        ("Wolf", TypeKind::Entity, Some(RADIUS), aoi),
    ];
    let types = described.iter().map(|(name, kind, aoi_radius, hooks)| EntityType {
        name: (*name).to_owned(),
        kind: *kind,
        aoi_radius: *aoi_radius,
        hooks: *hooks,
        ..EntityType::default()
    });
    let tables = (0u32..4).map(|id| TypeTable {
        id,
        attributes: (0u32..)
            .zip(COLUMNS.iter().zip(flags))
            .map(|(id, ((shape, _, initial), flags))| AttributeTable {
                id,
                shape: *shape,
                flags,
                initial: Bytes::from_static(initial),
                majors: 0xff,
                structure: Arc::new(Structure::Scalar(Scalar::Any)),
            })
            .collect(),
        attribute_by_id: (0..COUNT as u32).map(|id| (id, id)).collect(),
        identity: true,
        attribute_ids: COUNT as u32,
        methods: Vec::new(),
        method_by_id: BTreeMap::new(),
        method_by_name: BTreeMap::new(),
        method_by_key: BTreeMap::new(),
        client_methods: Vec::new(),
        client_parameters: Vec::new(),
    });
    Arc::new(ModuleVersion {
        hash: VersionHash::default(),
        generation,
        manifest: Manifest { name: "yard".to_owned(), types: types.collect(), ..Manifest::default() },
        types: tables.collect(),
        type_by_id: (0..4).map(|id| (id, id)).collect(),
        type_by_name: described.iter().zip(0..).map(|((name, ..), id)| ((*name).to_owned(), id)).collect(),
        schema: Arc::new(Schema { module: "yard".to_owned(), generation, ..Schema::default() }),
    })
}

pub fn version() -> Arc<ModuleVersion> {
    version_with(1, COLUMNS.map(|(_, flags, _)| flags))
}

pub fn entity(number: u32) -> EntityId {
    EntityId(Id([0, 0, 0, number]))
}

pub fn session(number: u32) -> SessionId {
    SessionId(Id([7, 0, 0, number]))
}

pub fn at(x: f32, z: f32) -> Pose {
    Pose { x, y: 0.0, z, yaw: 0.0 }
}

/// The space's own entity.
pub const SPACE: u32 = 1_000;

/// A replicator and the time.
pub struct Stand {
    pub replicator: Replicator,
    pub now_ms: u64,
    slots: u64,
}

impl Stand {
    pub fn new() -> Stand {
        let replicator = Replicator::new(version(), Some(entity(SPACE)), Intervals::default());
        let mut stand = Stand { replicator, now_ms: 1_000_000, slots: 0 };
        let room = stand.created(SPACE, ROOM, None);
        assert_eq!(stand.event(vec![room]), []);
        stand
    }

    pub fn created(&mut self, number: u32, type_id: u32, pose: Option<Pose>) -> Change {
        self.slots += 1;
        Change::Created {
            entity: entity(number),
            type_id,
            slot: self.slots,
            pose,
            motion: Bytes::new(),
            layers: (u32::MAX, u32::MAX),
            attributes: Attributes::new(COUNT),
        }
    }

    /// An avatar with a client of the same number.
    pub fn player(&mut self, number: u32, pose: Pose) -> Vec<ReplicaOutput> {
        let created = self.created(number, AVATAR, Some(pose));
        let attached = Change::Attached { entity: entity(number), session: session(number), view: 1 };
        self.event(vec![created, attached])
    }

    pub fn rock(&mut self, number: u32, pose: Pose) -> Vec<ReplicaOutput> {
        let created = self.created(number, ROCK, Some(pose));
        self.event(vec![created])
    }

    pub fn event(&mut self, changes: Vec<Change>) -> Vec<ReplicaOutput> {
        let mut out = Vec::new();
        self.replicator.handle(ReplicaInput::Committed { now_ms: self.now_ms, changes }, &mut out);
        out
    }

    pub fn moved(&mut self, number: u32, pose: Pose) -> Vec<ReplicaOutput> {
        self.event(vec![moved(entity(number), pose, false)])
    }

    /// Lets time pass as a driver would.
    pub fn pass(&mut self, ms: u64) -> Vec<ReplicaOutput> {
        let mut out = Vec::new();
        let end = self.now_ms + ms;
        while let Some(due) = self.replicator.next_ms().filter(|due| *due <= end) {
            self.now_ms = self.now_ms.max(due);
            self.replicator.handle(ReplicaInput::Flush { now_ms: self.now_ms }, &mut out);
        }
        self.now_ms = end;
        out
    }
}

pub fn gates(out: &[ReplicaOutput]) -> impl Iterator<Item = &ToGate> {
    out.iter().filter_map(|output| match output {
        ReplicaOutput::Gate(value) => Some(value),
        ReplicaOutput::Fact(_) => None,
    })
}

pub fn facts(out: &[ReplicaOutput]) -> Vec<Fact> {
    out.iter()
        .filter_map(|output| match output {
            ReplicaOutput::Gate(_) => None,
            ReplicaOutput::Fact(fact) => Some(*fact),
        })
        .collect()
}

/// `attribute value`, one change of a whole attribute.
pub fn set(number: u32, attribute: u32, value: &[u8]) -> Change {
    let mut changes = Vec::new();
    everwake_protocol::attributes::write_path(attribute, None, false, &mut changes);
    changes.extend_from_slice(value);
    Change::Patched { entity: entity(number), changes: changes.into() }
}
