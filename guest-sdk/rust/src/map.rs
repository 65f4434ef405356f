//! An ordered map that remembers, for each key that was touched, what the host has; the
//! difference is the patch. It does not know the rest of its entity.

use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::ops::{Deref, RangeBounds};

use crate::attribute::{Attribute, Owner};
use crate::cbor::{Malformed, Reader, UNDEFINED};
use crate::id::path;
use crate::manifest::Definitions;
use crate::value::{Value, decode_map, encode_map};

/// Entries touched in one event beyond which the map is sent whole if that is smaller.
const TOUCHED_MANY: usize = 64;

/// An ordered map. Reads like a [`BTreeMap`]; each way of changing it is a method here, and
/// sends only the entries that are different afterwards.
pub struct Map<K, V> {
    entries: BTreeMap<K, V>,
    owner: Owner,
    /// Touched keys in order, and what the host has for them: a range of `images`.
    touched: Vec<(K, Option<(usize, usize)>)>,
    images: Vec<u8>,
}

impl<K: Ord, V> Map<K, V> {
    /// An empty map.
    pub const fn new() -> Self {
        Self { entries: BTreeMap::new(), owner: Owner::NOBODY, touched: Vec::new(), images: Vec::new() }
    }
}

impl<K: Value + Ord + Clone, V: Value> Map<K, V> {
    /// Keeps what the host has under `key`, before it changes for the first time.
    fn touch(&mut self, key: &K) {
        if self.owner.is_nobody() {
            return;
        }
        if let Err(at) = self.touched.binary_search_by(|(known, _)| known.cmp(key)) {
            let image = self.entries.get(key).map(|value| {
                let start = self.images.len();
                value.encode(&mut self.images);
                (start, self.images.len())
            });
            self.touched.insert(at, (key.clone(), image));
        }
    }

    fn touch_all(&mut self) {
        if self.owner.is_nobody() || self.entries.is_empty() {
            return;
        }
        let (old, images) = (std::mem::take(&mut self.touched), &mut self.images);
        let mut old = old.into_iter().peekable();
        let mut touched = Vec::with_capacity(self.entries.len());
        for (key, value) in &self.entries {
            while let Some(earlier) = old.next_if(|(known, _)| known < key) {
                touched.push(earlier);
            }
            touched.push(old.next_if(|(known, _)| known == key).unwrap_or_else(|| {
                let start = images.len();
                value.encode(images);
                (key.clone(), Some((start, images.len())))
            }));
        }
        touched.extend(old);
        self.touched = touched;
    }

    /// Sets an entry; returns what was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.touch(&key);
        self.entries.insert(key, value)
    }

    /// Removes an entry; returns what was there.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        if !self.entries.contains_key(key) {
            return None;
        }
        self.touch(key);
        self.entries.remove(key)
    }

    /// A value to change.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        if !self.entries.contains_key(key) {
            return None;
        }
        self.touch(key);
        self.entries.get_mut(key)
    }

    /// The place of a key, filled or not.
    pub fn entry(&mut self, key: K) -> btree_map::Entry<'_, K, V> {
        self.touch(&key);
        self.entries.entry(key)
    }

    /// All entries, values to change.
    pub fn iter_mut(&mut self) -> btree_map::IterMut<'_, K, V> {
        self.touch_all();
        self.entries.iter_mut()
    }

    /// All values, to change.
    pub fn values_mut(&mut self) -> btree_map::ValuesMut<'_, K, V> {
        self.touch_all();
        self.entries.values_mut()
    }

    /// Entries of a range of keys, values to change.
    pub fn range_mut<R: RangeBounds<K> + Clone>(&mut self, range: R) -> btree_map::RangeMut<'_, K, V> {
        let keys: Vec<K> = self.entries.range(range.clone()).map(|(key, _)| key.clone()).collect();
        keys.iter().for_each(|key| self.touch(key));
        self.entries.range_mut(range)
    }

    /// Keeps the entries that `keep` says yes to.
    pub fn retain(&mut self, keep: impl FnMut(&K, &mut V) -> bool) {
        self.touch_all();
        self.entries.retain(keep);
    }

    /// Takes the entry with the smallest key out.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        let key = self.entries.keys().next()?.clone();
        self.remove(&key).map(|value| (key, value))
    }

    /// Takes the entry with the greatest key out.
    pub fn pop_last(&mut self) -> Option<(K, V)> {
        let key = self.entries.keys().next_back()?.clone();
        self.remove(&key).map(|value| (key, value))
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        self.touch_all();
        self.entries.clear();
    }

    /// Takes all entries out.
    pub fn take(&mut self) -> BTreeMap<K, V> {
        self.touch_all();
        std::mem::take(&mut self.entries)
    }

    fn write_changes(&self, index: u32, patch: &mut Vec<u8>) {
        for (key, image) in &self.touched {
            let start = patch.len();
            path(patch, index, 2);
            key.encode(patch);
            let before = image.and_then(|(from, to)| self.images.get(from..to));
            match (before, self.entries.get(key)) {
                (None, None) => patch.truncate(start),
                (Some(_), None) => patch.push(UNDEFINED),
                (before, Some(value)) => {
                    let written = patch.len();
                    value.encode(patch);
                    if before == patch.get(written..) {
                        patch.truncate(start);
                    }
                }
            }
        }
    }

    fn write_whole(&self, index: u32, patch: &mut Vec<u8>) {
        index.encode(patch);
        self.encode(patch);
    }
}

impl<K: Value + Ord + Clone, V: Value> Attribute for Map<K, V> {
    const LOGGED: bool = true;

    fn adopt(&mut self, owner: Owner) {
        self.owner = owner;
        self.touched.clear();
        self.images.clear();
    }

    fn flush(&mut self, owner: Owner, patch: &mut Vec<u8>) {
        if self.owner != owner {
            self.write_whole(owner.index, patch);
        } else if !self.touched.is_empty() {
            let start = patch.len();
            self.write_changes(owner.index, patch);
            if self.touched.len() > TOUCHED_MANY && self.touched.len() > self.entries.len() {
                let changes = patch.split_off(start);
                self.write_whole(owner.index, patch);
                if patch.len() - start > changes.len() {
                    patch.truncate(start);
                    patch.extend_from_slice(&changes);
                }
            }
        }
        self.adopt(owner);
    }
}

impl<K: Value + Ord, V: Value> Value for Map<K, V> {
    fn type_text(definitions: &mut Definitions) -> String {
        format!("map<{}, {}>", K::type_text(definitions), V::type_text(definitions))
    }

    fn initial() -> Self {
        Self::new()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        encode_map(&self.entries, out);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        decode_map(reader).map(Self::from)
    }
}

impl<K, V> Deref for Map<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &BTreeMap<K, V> {
        &self.entries
    }
}

impl<K: Value + Ord + Clone, V: Value> Extend<(K, V)> for Map<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        entries.into_iter().for_each(|(key, value)| {
            self.insert(key, value);
        });
    }
}

impl<K: Ord, V> From<BTreeMap<K, V>> for Map<K, V> {
    fn from(entries: BTreeMap<K, V>) -> Self {
        Self { entries, ..Self::new() }
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for Map<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        Self::from(BTreeMap::from(entries))
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self::from(BTreeMap::from_iter(entries))
    }
}

impl<'a, K, V> IntoIterator for &'a Map<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = btree_map::Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter()
    }
}

impl<'a, K: Value + Ord + Clone, V: Value> IntoIterator for &'a mut Map<K, V> {
    type Item = (&'a K, &'a mut V);
    type IntoIter = btree_map::IterMut<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<K, V> IntoIterator for Map<K, V> {
    type Item = (K, V);
    type IntoIter = btree_map::IntoIter<K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

/// A copy belongs to no attribute until it is put into one.
impl<K: Clone + Ord, V: Clone> Clone for Map<K, V> {
    fn clone(&self) -> Self {
        Self::from(self.entries.clone())
    }
}

impl<K: Ord, V> Default for Map<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for Map<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<K: Eq, V: Eq> Eq for Map<K, V> {}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.fmt(f)
    }
}
