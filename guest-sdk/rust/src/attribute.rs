//! What a field of an entity may be, and how a change of it is found. Plain values are
//! compared with what the host has, encoded; lists and maps keep a log (`list.rs`, `map.rs`).

use std::time::Duration;

use crate::id::{Id, Ref};
use crate::types::{Any, Bytes, Pose, Secret, Time, Vec3};
use crate::value::Value;

/// A type that a field of an entity may have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an attribute of an entity",
    label = "not an attribute type",
    note = "attributes are numbers, bool, String, Option, tuples, List, Map, Ref, Id, Time, Vec3, Secret, and structs and enums with `#[attr_type]`",
    note = "a value that may be computed again is `#[cache] field: Cache<T>`"
)]
pub trait Attribute: Value {
    /// Whether it finds its changes itself.
    const LOGGED: bool = false;
    /// Whether it must stay out of logs.
    const SECRET: bool = false;

    /// What an entity has that was made before the attribute was.
    fn start() -> Self {
        Self::initial()
    }

    /// From here on the value is what the host has; changes are noted for `owner`.
    fn adopt(&mut self, owner: Owner) {
        let _ = owner;
    }

    /// Writes what changed since `adopt` as patch items, and starts anew.
    fn flush(&mut self, owner: Owner, patch: &mut Vec<u8>) {
        let _ = (owner, patch);
    }
}

/// Which attribute of which resident entity a log belongs to. A list that was moved here
/// from somewhere else has another one, and is written whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Different for each time an entity was loaded; never 0.
    pub(crate) token: u32,
    /// Index of the attribute.
    pub(crate) index: u32,
}

impl Owner {
    /// Of a value that belongs to no attribute.
    pub(crate) const NOBODY: Self = Self { token: 0, index: 0 };

    /// Whether it is no attribute's.
    pub(crate) fn is_nobody(self) -> bool {
        self.token == 0
    }
}

macro_rules! plain {
    ($($type:ty),* $(,)?) => {$(impl Attribute for $type {})*};
}

plain!(
    bool, i8, i16, i32, i64, u8, u16, u32, u64, usize, f32, f64, String, Duration, Id, Time, Vec3, Pose,
    Bytes, Any
);

impl<T: Value> Attribute for Option<T> {}
impl<T: crate::entity::Entity> Attribute for Ref<T> {}
impl<T: Value> Attribute for Box<T> {}
impl<T: Value> Attribute for Secret<T> {
    const SECRET: bool = true;
}

macro_rules! tuples {
    ($(($($name:ident),+);)*) => {$(impl<$($name: Value),+> Attribute for ($($name,)+) {})*};
}

tuples! {
    (A);
    (A, B);
    (A, B, C);
    (A, B, C, D);
    (A, B, C, D, E);
    (A, B, C, D, E, F);
    (A, B, C, D, E, F, G);
    (A, B, C, D, E, F, G, H);
}
