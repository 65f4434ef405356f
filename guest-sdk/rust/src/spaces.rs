//! Spaces: who is in them, and where; moving about, and from one to another. It does not know
//! what an entity is made of.

use crate::bindings::everwake::game::types as wit;
use crate::context::Context;
use crate::entity::{InModule, Service};
use crate::failure::Error;
use crate::host;
use crate::id::{Id, Ref};
use crate::poison;
use crate::types::Pose;
use crate::value::{Value, to_bytes};

/// Somebody near.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// Who.
    pub entity: Id,
    /// Of which type of the module.
    pub(crate) type_index: u32,
    /// Where.
    pub pose: Pose,
}

impl Neighbour {
    /// A reference, if it is a `T`.
    pub fn is<T: InModule>(&self) -> Option<Ref<T>> {
        (self.type_index == T::INDEX).then(|| Ref::new(self.entity))
    }
}

impl From<host::ticks::Neighbour> for Neighbour {
    fn from(found: host::ticks::Neighbour) -> Self {
        Self { entity: found.entity.into(), type_index: found.type_index, pose: found.pose.into() }
    }
}

impl Context {
    /// The space that the event runs in; none outside of spaces.
    pub fn space_id(&self) -> Option<Id> {
        host::spaces::current().map(Id::from)
    }

    /// Asks to move the entity at hand to another space. It goes on here until all that was
    /// sent to it before is handled; then `on_leave_space` here, and `on_enter_space` there.
    pub fn enter(&self, space: impl Into<Id>, at: impl Into<Pose>) {
        let (space, at): (Id, Pose) = (space.into(), at.into());
        poison::check(host::spaces::enter(self.id().into(), space.into(), at.into()));
    }

    /// Asks to move the entity at hand out of this space.
    pub fn leave(&self) {
        poison::check(host::spaces::leave(self.id().into()));
    }

    /// The members of this space that are a `T`, in the order they entered.
    pub fn members<T: InModule>(&self) -> Vec<Ref<T>> {
        host::spaces::members(Some(T::INDEX)).into_iter().map(|id| Ref::new(id.into())).collect()
    }

    /// All members of this space, in the order they entered.
    pub fn all_members(&self) -> Vec<Id> {
        host::spaces::members(None).into_iter().map(Id::from).collect()
    }

    /// Where the entity at hand stands.
    pub fn pose(&self) -> Pose {
        self.pose_of(self.id()).unwrap_or_default()
    }

    /// Where an entity of this space stands; in a tick, where it stood before the tick.
    pub fn pose_of(&self, entity: impl Into<Id>) -> Option<Pose> {
        let entity: Id = entity.into();
        host::spaces::pose_of(entity.into()).map(Pose::from)
    }

    /// Moves the entity at hand.
    pub fn move_to(&self, to: impl Into<Pose>) {
        self.set_pose_of(self.id(), to);
    }

    /// Moves an entity of this space.
    pub fn set_pose_of(&self, entity: impl Into<Id>, to: impl Into<Pose>) {
        let (entity, to): (Id, Pose) = (entity.into(), to.into());
        poison::check(host::spaces::move_to(entity.into(), to.into()));
        self.moved.borrow_mut().push((entity, to));
    }

    /// Up to 16 bytes that travel with the pose of the entity at hand to clients.
    pub fn set_motion(&self, motion: &[u8]) {
        poison::check(host::spaces::set_motion(self.id().into(), motion));
    }

    /// The `T`s within `radius` metres of a place, in the order they entered the space.
    pub fn near<T: InModule>(&self, center: impl Into<Pose>, radius: f32) -> Vec<(Ref<T>, Pose)> {
        let found = host::spaces::near(center.into().into(), radius, Some(T::INDEX));
        found.into_iter().map(|found| (Ref::new(found.entity.into()), found.pose.into())).collect()
    }

    /// Everybody within `radius` metres of a place, in the order they entered the space.
    pub fn all_near(&self, center: impl Into<Pose>, radius: f32) -> Vec<Neighbour> {
        host::spaces::near(center.into().into(), radius, None).into_iter().map(Neighbour::from).collect()
    }

    /// Who can see whom: an observer sees an entity if `sees` of the one and `seen_by` of the
    /// other share a bit. For the entity at hand; both are all ones at first.
    pub fn set_layers(&self, sees: u32, seen_by: u32) {
        poison::check(host::spaces::set_layers(self.id().into(), sees, seen_by));
    }

    /// Lets the own client of the entity at hand move it.
    pub fn allow_client_moves(&self, allowed: bool) {
        poison::check(host::spaces::allow_client_moves(self.id().into(), allowed));
    }
}

fn shard<T: Service>(found: Result<wit::Id, wit::Error>) -> Result<Ref<T>, Error> {
    found.map(|id| Ref::new(id.into())).map_err(Error::from)
}

impl<T: Service> Ref<T> {
    /// The shard that a key belongs to: the same in all processes, for ever.
    pub fn shard_for<K: Value>(key: &K) -> Self {
        shard(host::services::by_key(T::INDEX, &to_bytes(key))).unwrap_or_else(|error| {
            poison::set(error);
            Self::nil()
        })
    }

    /// A shard by number, 0 first.
    pub fn shard(number: u32) -> Result<Self, Error> {
        shard(host::services::by_number(T::INDEX, number))
    }
}
