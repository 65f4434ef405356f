//! An entity's attributes as encoded spans, and patches to them.
//!
//! Host and client mirrors hold attributes in this one form and change them by this one
//! function, so they agree by construction. A list or a map is split on its top level; what is
//! deeper stays opaque bytes. Nothing here knows types beyond [`Shape`].
//!
//! A patch is a CBOR sequence `path value ...`: path `i` is the whole attribute (value
//! `undefined`: back to initial), `[i, key]` an entry of a map or an item of a list (key = length
//! appends, `undefined` removes), `[i, k, true]` inserts before item k.

use crate::cbor::{self, CborError, Reader};
use crate::limits::{ENTITY_BYTES_MAX, VALUE_BYTES_MAX};
use smallvec::SmallVec;
use split::Pieces;
use std::collections::BTreeMap;

mod patch;
mod split;
#[cfg(test)]
mod tests;
mod whole;

pub use patch::{Change, PatchReader, write_change_renumbered, write_path};

/// One encoded CBOR item. Numbers, ids and short texts stay inline.
pub type Span = SmallVec<[u8; INLINE_BYTES]>;

/// Longest value that is not an allocation of its own.
const INLINE_BYTES: usize = 24;

/// What an entry of a list costs besides its bytes, against [`ENTITY_BYTES_MAX`]. Stops a list
/// of a million empty items from taking 32 times its size.
const ITEM_COST: usize = 8;
/// The same for an entry of a map.
const ENTRY_COST: usize = 16;

/// How an attribute is split, by its type text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Shape {
    /// One span.
    #[default]
    Scalar,
    /// A span for each item.
    List,
    /// A span for each entry.
    Map,
}

impl Shape {
    /// The shape of a type text. Named types and options are scalars, whatever is in them.
    pub fn of(type_text: &str) -> Shape {
        match type_text.trim_start() {
            text if text.starts_with("list<") => Shape::List,
            text if text.starts_with("map<") => Shape::Map,
            _ => Shape::Scalar,
        }
    }
}

/// What [`Attributes::apply`] must know of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column<'a> {
    /// How it is split.
    pub shape: Shape,
    /// One CBOR item: its value while the slot is absent.
    pub initial: &'a [u8],
}

/// The value of one attribute.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Slot {
    /// It has its initial value.
    #[default]
    Absent,
    /// Not split.
    Scalar(Span),
    /// By index.
    List(Vec<Span>),
    /// By encoded key, in the order of the keys' bytes.
    Map(BTreeMap<Span, Span>),
}

/// Why a patch was not applied. Whoever sent it disagrees with us about the entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// Not CBOR as we use it.
    #[error("malformed patch: {0}")]
    Cbor(#[from] CborError),
    /// A path that is neither `i` nor `[i, key]` nor `[i, k, true]`.
    #[error("malformed path")]
    Path,
    /// An insert without a value.
    #[error("an insert needs a value")]
    InsertNothing,
    /// No attribute has this number.
    #[error("no attribute {0}")]
    UnknownAttribute(u32),
    /// A key for an attribute that is not split, or an insert into a map.
    #[error("attribute {0} has no such entries")]
    NotKeyed(u32),
    /// The whole value of a list is no array, or that of a map no map.
    #[error("attribute {0} is of another shape")]
    WrongShape(u32),
    /// A list index that is no index, or behind the end.
    #[error("attribute {0}: index out of range")]
    Index(u32),
    /// A map with the same key twice.
    #[error("attribute {0}: key twice")]
    KeyTwice(u32),
    /// A value or an entry is larger than [`VALUE_BYTES_MAX`].
    #[error("attribute {0}: value larger than {VALUE_BYTES_MAX} bytes")]
    ValueTooLarge(u32),
    /// The entity would be larger than [`ENTITY_BYTES_MAX`].
    #[error("entity larger than {ENTITY_BYTES_MAX} bytes")]
    EntityTooLarge,
}

impl Slot {
    /// Reads a whole value.
    pub fn read(attribute: u32, shape: Shape, value: &[u8]) -> Result<Slot, PatchError> {
        let mut reader = Reader::new(value);
        let slot = match shape {
            Shape::Scalar => {
                if value.len() > VALUE_BYTES_MAX {
                    return Err(PatchError::ValueTooLarge(attribute));
                }
                reader.skip()?;
                Slot::Scalar(Span::from_slice(value))
            }
            Shape::List => {
                let len = reader.array().map_err(|_| PatchError::WrongShape(attribute))?;
                if len.saturating_mul(ITEM_COST) > ENTITY_BYTES_MAX {
                    return Err(PatchError::EntityTooLarge);
                }
                let mut items = Vec::with_capacity(len);
                for _ in 0..len {
                    items.push(checked(attribute, 0, reader.item()?)?);
                }
                Slot::List(items)
            }
            Shape::Map => {
                let len = reader.map().map_err(|_| PatchError::WrongShape(attribute))?;
                if len.saturating_mul(ENTRY_COST) > ENTITY_BYTES_MAX {
                    return Err(PatchError::EntityTooLarge);
                }
                let mut entries = BTreeMap::new();
                for _ in 0..len {
                    let key = reader.item()?;
                    let value = checked(attribute, key.len(), reader.item()?)?;
                    if entries.insert(Span::from_slice(key), value).is_some() {
                        return Err(PatchError::KeyTwice(attribute));
                    }
                }
                Slot::Map(entries)
            }
        };
        reader.end()?;
        Ok(slot)
    }

    /// Writes the value as one CBOR item, `undefined` if absent.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Slot::Absent => cbor::undefined(out),
            Slot::Scalar(span) => out.extend_from_slice(span),
            Slot::List(items) => {
                cbor::array(out, items.len());
                for item in items {
                    out.extend_from_slice(item);
                }
            }
            Slot::Map(entries) => {
                cbor::map(out, entries.len());
                for (key, value) in entries {
                    out.extend_from_slice(key);
                    out.extend_from_slice(value);
                }
            }
        }
    }

    /// What it counts for against [`ENTITY_BYTES_MAX`].
    pub fn cost(&self) -> usize {
        match self {
            Slot::Absent => 0,
            Slot::Scalar(span) => span.len(),
            Slot::List(items) => items.iter().map(|item| item.len() + ITEM_COST).sum(),
            Slot::Map(entries) => {
                entries.iter().map(|(key, value)| key.len() + value.len() + ENTRY_COST).sum()
            }
        }
    }

    /// True if it has its initial value by default.
    pub fn is_absent(&self) -> bool {
        matches!(self, Slot::Absent)
    }

    /// Applies one change of this attribute, for mirrors that keep attributes in a way of their own. The
    /// entity as a whole is not limited: within one batch an attribute may be told to grow before another
    /// is told to shrink. On an error nothing has changed. An equal value is no change.
    pub fn apply(&mut self, change: &Change<'_>, column: Column<'_>) -> Result<Applied, PatchError> {
        let done = change_slot(self, change, column, Budget::UNLIMITED)?;
        Ok(Applied { changed: done.is_some() })
    }
}

fn checked(attribute: u32, key_len: usize, value: &[u8]) -> Result<Span, PatchError> {
    if key_len + value.len() > VALUE_BYTES_MAX {
        return Err(PatchError::ValueTooLarge(attribute));
    }
    Ok(Span::from_slice(value))
}

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// False if the value was equal already: nothing is to be told to anybody.
    pub changed: bool,
}

/// How to take changes back, exactly. One for each entity that an event touched; the newest
/// change is taken back first.
#[derive(Clone, Debug, Default)]
pub struct Undo {
    steps: Vec<(u32, Step)>,
    /// Former values of scalars, one after the other.
    scalars: Vec<u8>,
    bytes: usize,
}

#[derive(Clone, Debug)]
enum Step {
    /// A scalar as it was: behind this place in [`Undo::scalars`].
    Scalar(usize),
    /// The slot as it was.
    Whole(Slot),
    Replaced(usize, Span),
    Removed(usize, Span),
    Inserted(usize),
    Entry(Span, Option<Span>),
}

impl Undo {
    /// True if there is nothing to take back.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Forgets everything: the changes stay. Keeps its memory for the next event.
    pub fn clear(&mut self) {
        self.steps.clear();
        self.scalars.clear();
    }

    /// Numbers of the attributes that were changed, oldest change first, with repetitions.
    pub fn attributes(&self) -> impl Iterator<Item = u32> + '_ {
        self.steps.iter().map(|(attribute, _)| *attribute)
    }
}

/// All attributes of one entity, by attribute number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    slots: Vec<Slot>,
    bytes: usize,
}

impl Attributes {
    /// `count` attributes with their initial values.
    pub fn new(count: usize) -> Attributes {
        Attributes { slots: vec![Slot::Absent; count], bytes: 0 }
    }

    /// Makes room for attributes that a new version added.
    pub fn grow(&mut self, count: usize) {
        if count > self.slots.len() {
            self.slots.resize(count, Slot::Absent);
        }
    }

    /// Applies one change. On an error nothing has changed. An equal value is no change.
    pub fn apply(
        &mut self,
        change: &Change<'_>,
        column: Column<'_>,
        undo: Option<&mut Undo>,
    ) -> Result<Applied, PatchError> {
        let attribute = change.attribute;
        let bytes = self.bytes;
        let slot = self.slots.get_mut(attribute as usize).ok_or(PatchError::UnknownAttribute(attribute))?;
        if let (Slot::Scalar(old), Shape::Scalar, None, Some(value)) =
            (&mut *slot, column.shape, change.key, change.value)
        {
            return set_scalar(old, attribute, value, &mut self.bytes, undo);
        }
        let done = change_slot(slot, change, column, Budget { bytes, max: ENTITY_BYTES_MAX })?;
        let Some((bytes_now, step)) = done else { return Ok(Applied { changed: false }) };
        self.bytes = bytes_now;
        if let Some(undo) = undo {
            if undo.steps.is_empty() {
                undo.bytes = bytes;
            }
            undo.steps.push((attribute, step));
        }
        Ok(Applied { changed: true })
    }

    /// Takes back what `undo` noted and empties it.
    pub fn undo(&mut self, undo: &mut Undo) {
        if !undo.steps.is_empty() {
            self.bytes = undo.bytes;
        }
        while let Some((attribute, step)) = undo.steps.pop() {
            let Some(slot) = self.slots.get_mut(attribute as usize) else { continue };
            match (step, slot) {
                (Step::Scalar(start), slot) => {
                    *slot = Slot::Scalar(Span::from_slice(undo.scalars.get(start..).unwrap_or_default()));
                    undo.scalars.truncate(start);
                }
                (Step::Whole(old), slot) => *slot = old,
                (Step::Replaced(index, old), Slot::List(items)) => {
                    if let Some(item) = items.get_mut(index) {
                        *item = old;
                    }
                }
                (Step::Removed(index, old), Slot::List(items)) => {
                    items.insert(index.min(items.len()), old);
                }
                (Step::Inserted(index), Slot::List(items)) if index < items.len() => {
                    items.remove(index);
                }
                (Step::Entry(key, Some(old)), Slot::Map(entries)) => {
                    entries.insert(key, old);
                }
                (Step::Entry(key, None), Slot::Map(entries)) => {
                    entries.remove(&key);
                }
                // A step is noted only together with the slot that it fits.
                _ => {}
            }
        }
    }

    /// The value of an attribute; absent if the number is unknown.
    pub fn slot(&self, attribute: u32) -> &Slot {
        self.slots.get(attribute as usize).unwrap_or(&Slot::Absent)
    }

    /// All values by number.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// What all values count for against [`ENTITY_BYTES_MAX`].
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes a CBOR sequence `i value ...` of all attributes that are not absent and that
    /// `filter` lets pass.
    pub fn encode_into(&self, out: &mut Vec<u8>, mut filter: impl FnMut(u32) -> bool) {
        self.encode_renumbered(out, |attribute| filter(attribute).then_some(attribute));
    }

    /// The same with other numbers: `number` gives the one to write, or none to leave it out.
    pub fn encode_renumbered(&self, out: &mut Vec<u8>, mut number: impl FnMut(u32) -> Option<u32>) {
        for (attribute, slot) in (0u32..).zip(&self.slots) {
            if slot.is_absent() {
                continue;
            }
            if let Some(written) = number(attribute) {
                cbor::uint(out, u64::from(written));
                slot.encode(out);
            }
        }
    }

    /// The same as several patches to be applied one after the other, none larger than
    /// `bytes_max` (which must leave room for the largest entry and its path). Lists and maps
    /// that are larger go entry by entry.
    pub fn encode_split(&self, bytes_max: usize, mut number: impl FnMut(u32) -> Option<u32>) -> Vec<Vec<u8>> {
        let mut pieces = Pieces::new(bytes_max);
        for (attribute, slot) in (0u32..).zip(&self.slots) {
            if slot.is_absent() {
                continue;
            }
            if let Some(written) = number(attribute) {
                pieces.push_slot(written, slot);
            }
        }
        pieces.finish()
    }

    /// One attribute as [`Attributes::encode_split`] would write it under the number `written`.
    pub fn encode_one_split(&self, attribute: u32, written: u32, bytes_max: usize) -> Vec<Vec<u8>> {
        let mut pieces = Pieces::new(bytes_max);
        pieces.push_slot(written, self.slot(attribute));
        pieces.finish()
    }
}

/// By far the most frequent change. The bytes are written where they stay: values that are made elsewhere and
/// moved in stall the processor, which costs more than all the rest.
fn set_scalar(
    old: &mut Span,
    attribute: u32,
    value: &[u8],
    bytes: &mut usize,
    undo: Option<&mut Undo>,
) -> Result<Applied, PatchError> {
    if old.as_slice() == value {
        return Ok(Applied { changed: false });
    }
    if value.len() > VALUE_BYTES_MAX {
        return Err(PatchError::ValueTooLarge(attribute));
    }
    let before = *bytes;
    *bytes = Budget { bytes: before, max: ENTITY_BYTES_MAX }.after(old.len(), value.len())?;
    if let Some(undo) = undo {
        if undo.steps.is_empty() {
            undo.bytes = before;
        }
        undo.steps.push((attribute, Step::Scalar(undo.scalars.len())));
        undo.scalars.extend_from_slice(old);
    }
    if old.capacity() > 2 * value.len().max(INLINE_BYTES) {
        // What was once large must not keep its memory.
        *old = Span::from_slice(value);
    } else if old.len() == value.len() {
        old.copy_from_slice(value);
    } else {
        old.clear();
        old.extend_from_slice(value);
    }
    Ok(Applied { changed: true })
}

/// What all attributes cost after a change, and how to take it back; none if nothing changed.
type Done = Option<(usize, Step)>;

/// What all attributes cost before a change, and may cost after it.
#[derive(Clone, Copy)]
struct Budget {
    bytes: usize,
    max: usize,
}

impl Budget {
    /// For who does not count: far from both ends, whatever is taken or added.
    const UNLIMITED: Budget = Budget { bytes: usize::MAX / 2, max: usize::MAX };

    fn after(self, less: usize, more: usize) -> Result<usize, PatchError> {
        let now = self.bytes - less + more;
        // Shrinking is always allowed, also for an entity from a time of higher limits.
        if now > self.max && more > less { Err(PatchError::EntityTooLarge) } else { Ok(now) }
    }
}

fn change_slot(
    slot: &mut Slot,
    change: &Change<'_>,
    column: Column<'_>,
    budget: Budget,
) -> Result<Done, PatchError> {
    match (change.key, change.value) {
        (None, Some(value)) => set_whole(slot, change.attribute, column, value, budget),
        (None, None) if slot.is_absent() => Ok(None),
        (None, None) => {
            let old = std::mem::take(slot);
            Ok(Some((budget.bytes - old.cost(), Step::Whole(old))))
        }
        (Some(key), _) => set_entry(slot, change, key, column, budget),
    }
}

fn set_whole(
    slot: &mut Slot,
    attribute: u32,
    column: Column<'_>,
    value: &[u8],
    budget: Budget,
) -> Result<Done, PatchError> {
    if slot.is_absent() && value == column.initial {
        return Ok(None);
    }
    if let (Slot::Scalar(old), Shape::Scalar) = (&mut *slot, column.shape) {
        if old.as_slice() == value {
            return Ok(None);
        }
        // The value is well-formed: it comes out of a `PatchReader`.
        let new = checked(attribute, 0, value)?;
        let now = budget.after(old.len(), new.len())?;
        let old = std::mem::replace(old, new);
        return Ok(Some((now, Step::Whole(Slot::Scalar(old)))));
    }
    let new = Slot::read(attribute, column.shape, value)?;
    if new == *slot {
        return Ok(None);
    }
    let now = budget.after(slot.cost(), new.cost())?;
    Ok(Some((now, Step::Whole(std::mem::replace(slot, new)))))
}

fn set_entry(
    slot: &mut Slot,
    change: &Change<'_>,
    key: &[u8],
    column: Column<'_>,
    budget: Budget,
) -> Result<Done, PatchError> {
    let attribute = change.attribute;
    match slot {
        Slot::List(items) => set_item(items, change, key, budget),
        Slot::Map(entries) => set_map_entry(entries, change, key, budget),
        Slot::Scalar(_) => Err(PatchError::NotKeyed(attribute)),
        Slot::Absent if column.shape == Shape::Scalar => Err(PatchError::NotKeyed(attribute)),
        Slot::Absent => {
            // The initial value becomes the entity's own, but only if the change changes it.
            let mut own = Slot::read(attribute, column.shape, column.initial)?;
            let budget = Budget { bytes: budget.bytes + own.cost(), ..budget };
            let done = set_entry(&mut own, change, key, column, budget)?;
            Ok(done.map(|(now, _)| (now, Step::Whole(std::mem::replace(slot, own)))))
        }
    }
}

fn set_item(
    items: &mut Vec<Span>,
    change: &Change<'_>,
    key: &[u8],
    budget: Budget,
) -> Result<Done, PatchError> {
    let attribute = change.attribute;
    let index = Reader::new(key).uint().map_err(|_| PatchError::Index(attribute))?;
    let index = usize::try_from(index).map_err(|_| PatchError::Index(attribute))?;
    let Some(value) = change.value else {
        if index >= items.len() {
            return Err(PatchError::Index(attribute));
        }
        let old = items.remove(index);
        let now = budget.after(old.len() + ITEM_COST, 0)?;
        return Ok(Some((now, Step::Removed(index, old))));
    };
    if index > items.len() {
        return Err(PatchError::Index(attribute));
    }
    let new = checked(attribute, 0, value)?;
    match items.get_mut(index) {
        Some(old) if !change.insert => {
            if *old == new {
                return Ok(None);
            }
            let now = budget.after(old.len(), new.len())?;
            Ok(Some((now, Step::Replaced(index, std::mem::replace(old, new)))))
        }
        _ => {
            let now = budget.after(0, new.len() + ITEM_COST)?;
            items.insert(index, new);
            Ok(Some((now, Step::Inserted(index))))
        }
    }
}

fn set_map_entry(
    entries: &mut BTreeMap<Span, Span>,
    change: &Change<'_>,
    key: &[u8],
    budget: Budget,
) -> Result<Done, PatchError> {
    if change.insert {
        return Err(PatchError::NotKeyed(change.attribute));
    }
    let Some(value) = change.value else {
        let Some((key, old)) = entries.remove_entry(key) else { return Ok(None) };
        let now = budget.after(key.len() + old.len() + ENTRY_COST, 0)?;
        return Ok(Some((now, Step::Entry(key, Some(old)))));
    };
    let new = checked(change.attribute, key.len(), value)?;
    if let Some(old) = entries.get_mut(key) {
        if *old == new {
            return Ok(None);
        }
        let now = budget.after(old.len(), new.len())?;
        return Ok(Some((now, Step::Entry(Span::from_slice(key), Some(std::mem::replace(old, new))))));
    }
    let now = budget.after(0, key.len() + new.len() + ENTRY_COST)?;
    entries.insert(Span::from_slice(key), new);
    Ok(Some((now, Step::Entry(Span::from_slice(key), None))))
}
