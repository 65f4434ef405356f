//! Stored attributes by name, for `#[migrate]`: what an old version wrote, to be turned into
//! what this one reads, and back.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

use crate::cbor::{self, Malformed, Reader};
use crate::failure::Error;
use crate::value::Value;

/// The attributes of one entity by name.
///
/// Thousands are migrated while their space stands still, so nothing is built from them: what is not asked
/// for is copied as it came, in one piece where nothing in between was changed.
#[derive(Clone, Default)]
pub struct State {
    /// The map as it came, then what was set.
    bytes: Vec<u8>,
    /// Shorter names first: the order of the names' bytes as items.
    entries: Vec<Entry>,
}

/// An attribute: places in [`State::bytes`].
#[derive(Clone)]
struct Entry {
    /// The name as an item.
    key: Range<usize>,
    /// Its text.
    name: Range<usize>,
    value: Range<usize>,
}

impl State {
    /// Reads one map from name to value; the host has checked it.
    pub(crate) fn read(state: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(state);
        let at = |reader: &Reader<'_>| state.len() - reader.rest().len();
        let count = reader.map()?;
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            let start = at(&reader);
            let length = reader.text_bytes()?.len();
            let end = at(&reader);
            reader.checked_item()?;
            entries.push(Entry { key: start..end, name: end - length..end, value: end..at(&reader) });
        }
        let name = |entry: &Entry| state.get(entry.name.clone()).unwrap_or_default();
        let order = |a: &Entry, b: &Entry| order(name(a), name(b));
        if !entries.is_sorted_by(|a, b| order(a, b).is_lt()) {
            entries.sort_by(order);
        }
        // With room for what is set.
        let mut bytes = Vec::with_capacity(state.len() + 64);
        bytes.extend_from_slice(state);
        Ok(Self { entries, bytes })
    }

    /// Writes one map from name to value, shorter names first.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes.len() + 8);
        cbor::map(&mut out, self.entries.len());
        // What lies together is copied together.
        let mut run = 0..0;
        for part in self.entries.iter().flat_map(|entry| [&entry.key, &entry.value]) {
            if part.start != run.end {
                out.extend_from_slice(self.part(&run));
                run.start = part.start;
            }
            run.end = part.end;
        }
        out.extend_from_slice(self.part(&run));
        out
    }

    /// Whether there is an attribute of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Reads an attribute; its initial value if it is not there.
    pub fn get<T: Value>(&self, name: &str) -> Result<T, Error> {
        let Some(entry) = self.find(name).and_then(|place| self.entries.get(place)) else {
            return Ok(T::initial());
        };
        let value = crate::value::from_bytes(self.part(&entry.value));
        value.map_err(|bad| Error::BadArguments(format!("attribute `{name}`: {bad}")))
    }

    /// Reads an attribute and removes it.
    pub fn take<T: Value>(&mut self, name: &str) -> Result<T, Error> {
        let value = self.get(name)?;
        self.remove(name);
        Ok(value)
    }

    /// Sets an attribute.
    pub fn set<T: Value>(&mut self, name: &str, value: &T) {
        let start = self.bytes.len();
        value.encode(&mut self.bytes);
        let value = start..self.bytes.len();
        self.put(name, value);
    }

    /// Removes an attribute.
    pub fn remove(&mut self, name: &str) {
        if let Some(place) = self.find(name) {
            self.entries.remove(place);
        }
    }

    /// Gives an attribute another name.
    pub fn rename(&mut self, from: &str, to: &str) {
        if let Some(place) = self.find(from) {
            let entry = self.entries.remove(place);
            self.put(to, entry.value);
        }
    }

    fn put(&mut self, name: &str, value: Range<usize>) {
        if let Some(entry) = self.find(name).and_then(|place| self.entries.get_mut(place)) {
            entry.value = value;
            return;
        }
        let start = self.bytes.len();
        cbor::text(&mut self.bytes, name);
        let end = self.bytes.len();
        let entry = Entry { key: start..end, name: end - name.len()..end, value };
        let before = |there: &Entry| order(self.part(&there.name), name.as_bytes()).is_lt();
        self.entries.insert(self.entries.partition_point(before), entry);
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| cbor::same(self.part(&entry.name), name.as_bytes()))
    }

    fn part(&self, place: &Range<usize>) -> &[u8] {
        self.bytes.get(place.clone()).unwrap_or_default()
    }

    fn named(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let name = |entry: &Entry| std::str::from_utf8(self.part(&entry.name)).unwrap_or_default();
        self.entries.iter().map(move |entry| (name(entry), self.part(&entry.value)))
    }
}

/// Order of names in a map.
fn order(name: &[u8], other: &[u8]) -> Ordering {
    name.len().cmp(&other.len()).then_with(|| name.cmp(other))
}

/// The same attributes with the same values.
impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.named().eq(other.named())
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.named()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(entries: &[(&str, i64)]) -> State {
        let mut bytes = Vec::new();
        cbor::map(&mut bytes, entries.len());
        for (name, value) in entries {
            cbor::text(&mut bytes, name);
            cbor::integer(&mut bytes, *value);
        }
        State::read(&bytes).unwrap()
    }

    #[test]
    fn what_is_not_touched_comes_back_as_it_came() {
        let before = state(&[("hp", 7), ("mp", 0), ("gold", 300), ("level", -1)]);
        assert_eq!(before.write(), before.bytes);
        let mut after = before.clone();
        after.set("gold", &30_000i64);
        assert_eq!(
            State::read(&after.write()).unwrap(),
            state(&[("level", -1), ("mp", 0), ("gold", 30_000), ("hp", 7)])
        );
        assert_ne!(after, before);
        assert_eq!(State::read(&[0xa0]).unwrap().write(), [0xa0]);
    }

    #[test]
    fn attributes_are_renamed_replaced_and_removed() {
        let mut all = state(&[("hp", 7), ("gold", 300), ("level", 1)]);
        all.rename("gold", "coins");
        all.rename("none", "hp");
        assert_eq!(all.take::<i64>("hp").unwrap(), 7);
        all.set("title", &String::from("of the sea"));
        all.set("title", &1i64);
        all.rename("coins", "level");
        assert_eq!(State::read(&all.write()).unwrap(), state(&[("level", 300), ("title", 1)]));
        assert_eq!((all.get::<i64>("hp").unwrap(), all.contains("hp")), (0, false));
        assert!(all.get::<bool>("level").is_err());
    }

    #[test]
    fn what_is_no_map_is_refused() {
        for bad in [&[][..], &[0x80], &[0xa1, 0x61, 0x61], &[0xa1, 0x00, 0x00]] {
            assert!(State::read(bad).is_err(), "{bad:02x?}");
        }
    }
}
