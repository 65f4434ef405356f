//! Patches to attributes: an undo is exact, and what was encoded reads back equal.
#![no_main]

use everwake_protocol::attributes::{Attributes, Column, PatchReader, Shape, Slot, Undo};
use everwake_protocol::cbor;

const COLUMNS: [Column<'static>; 4] = [
    Column { shape: Shape::Scalar, initial: &[0x00] },
    Column { shape: Shape::List, initial: &[0x80] },
    Column { shape: Shape::Map, initial: &[0xa0] },
    Column { shape: Shape::List, initial: &[0x82, 0x01, 0x02] },
];

fn apply(attributes: &mut Attributes, patch: &[u8], mut undo: Option<&mut Undo>) {
    for change in PatchReader::new(patch) {
        let Ok(change) = change else { return };
        let Some(column) = COLUMNS.get(change.attribute as usize) else { return };
        if attributes.apply(&change, *column, undo.as_deref_mut()).is_err() {
            return;
        }
    }
}

/// What each attribute is worth: a slot may be absent or hold its initial value.
fn values(attributes: &Attributes) -> Vec<Vec<u8>> {
    let value = |(slot, column): (&Slot, &Column<'_>)| {
        let mut out = Vec::new();
        if slot.is_absent() {
            out.extend_from_slice(column.initial)
        } else {
            slot.encode(&mut out)
        }
        out
    };
    attributes.slots().iter().zip(&COLUMNS).map(value).collect()
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = cbor::diagnostic(bytes);
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let mut attributes = Attributes::new(COLUMNS.len());
    apply(&mut attributes, first, None);

    let before = attributes.clone();
    let mut undo = Undo::default();
    apply(&mut attributes, second, Some(&mut undo));

    let mut encoded = Vec::new();
    attributes.encode_into(&mut encoded, |_| true);
    let mut copy = Attributes::new(COLUMNS.len());
    apply(&mut copy, &encoded, None);
    assert_eq!(values(&copy), values(&attributes), "what was encoded reads back equal");

    attributes.undo(&mut undo);
    assert_eq!(attributes, before, "an undo is exact");
});
