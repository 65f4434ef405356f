//! Attributes in a snapshot: each slot with its shape, because bytes alone do not tell a list from
//! an opaque value that happens to be an array.

use everwake_protocol::attributes::{Attributes, Change, Column, Shape, Slot};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// As a sequence with one entry for each slot.
pub fn serialize<S: Serializer>(attributes: &Attributes, serializer: S) -> Result<S::Ok, S::Error> {
    let slots: Vec<Option<(u8, Vec<u8>)>> = attributes
        .slots()
        .iter()
        .map(|slot| {
            let shape = match slot {
                Slot::Absent => return None,
                Slot::Scalar(_) => 0,
                Slot::List(_) => 1,
                Slot::Map(_) => 2,
            };
            let mut bytes = Vec::new();
            slot.encode(&mut bytes);
            Some((shape, bytes))
        })
        .collect();
    slots.serialize(serializer)
}

/// The same back.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Attributes, D::Error> {
    let slots = Vec::<Option<(u8, Vec<u8>)>>::deserialize(deserializer)?;
    let mut attributes = Attributes::new(slots.len());
    for (attribute, slot) in (0u32..).zip(&slots) {
        let Some((shape, bytes)) = slot else { continue };
        let shape = match shape {
            0 => Shape::Scalar,
            1 => Shape::List,
            _ => Shape::Map,
        };
        let change = Change { attribute, key: None, insert: false, value: Some(bytes), raw: &[] };
        attributes.apply(&change, Column { shape, initial: &[] }, None).map_err(D::Error::custom)?;
    }
    Ok(attributes)
}
