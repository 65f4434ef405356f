//! Writing attributes as several patches of bounded size.

use super::{Slot, write_path};
use crate::cbor;

/// Patches that were filled, and the one that is being filled.
pub(super) struct Pieces {
    done: Vec<Vec<u8>>,
    last: Vec<u8>,
    bytes_max: usize,
}

impl Pieces {
    /// Longest path besides its key: array head, number, `true`; or the head of a value.
    const PATH_BYTES_MAX: usize = 16;

    pub(super) fn new(bytes_max: usize) -> Pieces {
        Pieces { done: Vec::new(), last: Vec::new(), bytes_max }
    }

    pub(super) fn push_slot(&mut self, attribute: u32, slot: &Slot) {
        match slot {
            Slot::List(items) if slot.cost() + Self::PATH_BYTES_MAX > self.bytes_max => {
                self.push(attribute, None, &[0x80]);
                let mut key = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    key.clear();
                    cbor::uint(&mut key, index as u64);
                    self.push(attribute, Some(&key), item);
                }
            }
            Slot::Map(entries) if slot.cost() + Self::PATH_BYTES_MAX > self.bytes_max => {
                self.push(attribute, None, &[0xa0]);
                for (key, value) in entries {
                    self.push(attribute, Some(key), value);
                }
            }
            _ => {
                let mut value = Vec::new();
                slot.encode(&mut value);
                self.push(attribute, None, &value);
            }
        }
    }

    fn push(&mut self, attribute: u32, key: Option<&[u8]>, value: &[u8]) {
        let more = Self::PATH_BYTES_MAX + key.map_or(0, <[u8]>::len) + value.len();
        if !self.last.is_empty() && self.last.len() + more > self.bytes_max {
            self.done.push(std::mem::take(&mut self.last));
        }
        write_path(attribute, key, false, &mut self.last);
        self.last.extend_from_slice(value);
    }

    pub(super) fn finish(mut self) -> Vec<Vec<u8>> {
        if !self.last.is_empty() {
            self.done.push(self.last);
        }
        self.done
    }
}
