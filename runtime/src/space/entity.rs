//! One entity in a space: what follows it everywhere ([`EntityBody`]) and what only this space knows.

use crate::message::EntityBody;
use everwake_protocol::EntityId;
use everwake_protocol::client::Pose;

/// Where an entity lies in its [`super::world::World`]. Valid until the entity is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot(pub(super) u32);

/// See the head of this file. What ticks and messages look at lies in one cache line: a space of
/// thousands is walked several times in a tick.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Entity {
    pub(super) id: EntityId,
    /// Where it stands; zero outside of real spaces.
    pub(super) pose: Pose,
    /// Index into the types of the running version.
    pub(super) type_index: u32,
    /// Changes whenever somebody other than the instance changes the entity.
    pub(super) revision: u32,
    /// Items in the mailbox that are addressed to it.
    pub(super) queued: u32,
    /// Index of the running event's note of it, [`UNTOUCHED`] if there is none.
    pub(super) touched: u32,
    /// Its ticks pause until then, in UTC ms: they failed.
    pub(super) pause_until_ms: u64,
    /// Failed ticks in a row.
    pub(super) strikes: u8,
    /// True if messages from here may take the short way (rule C8).
    pub(super) local: bool,
    /// The running event makes it: nobody has heard of it.
    pub(super) unborn: bool,
    /// Its destruction is committed; hooks are still to run.
    pub(super) dying: bool,
    /// The running event has asked for its destruction.
    pub(super) doomed: bool,
    /// The marker has come: it goes after its hooks.
    pub(super) leaving: bool,
    /// Whether some client sees it.
    pub(super) watched: bool,
    /// Its client is on its way to another entity. It stays here until that has it, or will not.
    pub(super) giving: bool,
    pub(super) body: EntityBody,
    /// Rises with each entity that enters the space; lists are in this order.
    pub(super) order: u64,
    /// Counter of the last message from here that took the long way.
    pub(super) outside: u64,
    /// Counter of the last sign that was asked for; when it is back and nothing went outside since, it is local.
    pub(super) sign: u64,
    /// Location epoch.
    pub(super) epoch: u32,
    /// Where it wants to go.
    pub(super) intent: Option<Intent>,
    /// Counts intents.
    pub(super) intents: u32,
    /// The last period of [`super::images::Images`] that has an image of it.
    pub(super) imaged: u32,
}

const _: () = assert!(std::mem::offset_of!(Entity, body) == 64, "the first line is full");

/// No note.
pub(super) const UNTOUCHED: u32 = u32::MAX;

/// Where an entity wants to go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Intent {
    /// None is nil.
    pub(super) to: Option<EntityId>,
    pub(super) pose: Pose,
    pub(super) number: u32,
}

impl Entity {
    pub(super) fn new(id: EntityId, type_index: u32, pose: Pose, epoch: u32, body: EntityBody) -> Entity {
        Entity {
            id,
            pose,
            type_index,
            revision: 0,
            queued: 0,
            touched: UNTOUCHED,
            pause_until_ms: 0,
            strikes: 0,
            local: true,
            outside: 0,
            sign: 0,
            unborn: false,
            dying: false,
            doomed: false,
            leaving: false,
            watched: false,
            giving: false,
            body,
            order: 0,
            epoch,
            intent: None,
            intents: 0,
            imaged: 0,
        }
    }
}

/// An entity's beginning.
pub(super) fn empty_body(type_id: u32, schema: u32, attributes: u32) -> EntityBody {
    EntityBody {
        type_id,
        schema,
        attributes: everwake_protocol::attributes::Attributes::new(attributes as usize),
        client: None,
        filters: Default::default(),
        timers: Default::default(),
        pending: Default::default(),
        deferred: Default::default(),
        watches: Default::default(),
        watchers: Default::default(),
        marks: Default::default(),
        former: None,
        layers: (u32::MAX, u32::MAX),
        client_moves: false,
        motion: Default::default(),
    }
}
