//! What the client sees of one entity.

use crate::tables::Kind;
use crate::value::Value;
use bytes::Bytes;
use everwake_protocol::EntityId;
use everwake_protocol::attributes::{Applied, Change, Column, PatchError, Slot};
use everwake_protocol::client::Pose;
use std::collections::BTreeMap;

/// The mirror of one entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    /// Its name.
    pub id: EntityId,
    /// Small id of its type.
    pub type_id: u32,
    /// Name of its type.
    pub type_name: String,
    /// True if it is the client's own.
    pub own: bool,
    /// Names it in position datagrams; 0 = it has no position.
    pub handle: u16,
    /// Where it was last seen.
    pub pose: Pose,
    /// Up to 16 bytes of the game's that came with the pose.
    pub motion: Bytes,
    /// By small id; those that have their initial value are not here.
    pub attributes: BTreeMap<u32, Slot>,
}

impl Entity {
    pub(crate) fn apply(&mut self, change: &Change<'_>, column: Column<'_>) -> Result<Applied, PatchError> {
        let slot = self.attributes.entry(change.attribute).or_default();
        let applied = slot.apply(change, column);
        if slot.is_absent() {
            self.attributes.remove(&change.attribute);
        }
        applied
    }

    /// The value of an attribute as one CBOR item, the initial one if nothing else was said.
    pub(crate) fn encoded(&self, kind: &Kind, attribute: u32) -> Option<Bytes> {
        let Some(slot) = self.attributes.get(&attribute) else {
            return kind.column(attribute).map(|column| Bytes::copy_from_slice(column.initial));
        };
        let mut out = Vec::new();
        slot.encode(&mut out);
        Some(out.into())
    }

    pub(crate) fn value(&self, kind: &Kind, name: &str) -> Option<Value> {
        let attribute = kind.attribute_named(name)?;
        Value::decode(&self.encoded(kind, attribute.id)?).ok()
    }
}
