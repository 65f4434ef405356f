//! Whole values put in place of others, all or none: asked first, then done.

use super::{Attributes, Budget, PatchError, Slot};
use crate::limits::ENTITY_BYTES_MAX;

impl Attributes {
    /// Whether whole values may be [put](Attributes::put) in place of what is there. Each attribute once.
    pub fn allow(&self, values: &[(u32, Slot)]) -> Result<(), PatchError> {
        let less = values.iter().map(|(attribute, _)| self.slot(*attribute).cost()).sum();
        let more = values.iter().map(|(_, value)| value.cost()).sum();
        Budget { bytes: self.bytes, max: ENTITY_BYTES_MAX }.after(less, more).map(|_| ())
    }

    /// Puts a whole value in place of what is there, and makes room for it.
    pub fn put(&mut self, attribute: u32, value: Slot) {
        self.grow(attribute as usize + 1);
        if let Some(slot) = self.slots.get_mut(attribute as usize) {
            self.bytes = self.bytes + value.cost() - slot.cost();
            *slot = value;
        }
    }
}
