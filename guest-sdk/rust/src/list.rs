//! A list that writes its changes down as they happen: what moves positions at once, what
//! changes an item in place when the next move, or the end, asks. It does not know the rest
//! of its entity.

use std::fmt;
use std::ops::{Bound, Deref, Index, IndexMut, RangeBounds};

use crate::attribute::{Attribute, Owner};
use crate::cbor::{Malformed, Reader, UNDEFINED};
use crate::id::path;
use crate::manifest::Definitions;
use crate::value::{Value, decode_list, encode_list};

/// Bytes of log beyond which a list that keeps changing is sent whole.
const LOG_BYTES_MAX: usize = 16 * 1024;

/// A list. Reads like a slice; each way of changing it is a method here, and sends only the
/// items that are different afterwards.
pub struct List<T> {
    items: Vec<T>,
    owner: Owner,
    /// Patch items so far, in order.
    log: Vec<u8>,
    /// How many patch items that is.
    moves: usize,
    /// Items handed out to be changed, and what the host has for them: a range of `images`.
    touched: Vec<(usize, (usize, usize))>,
    images: Vec<u8>,
    /// The log was given up.
    whole: bool,
}

impl<T> List<T> {
    /// An empty list.
    pub const fn new() -> Self {
        Self::with(Vec::new())
    }

    const fn with(items: Vec<T>) -> Self {
        Self {
            items,
            owner: Owner::NOBODY,
            log: Vec::new(),
            moves: 0,
            touched: Vec::new(),
            images: Vec::new(),
            whole: false,
        }
    }
}

impl<T: Value> List<T> {
    fn is_logging(&self) -> bool {
        !self.owner.is_nobody() && !self.whole
    }

    /// Keeps what the host has at `at`, before it changes for the first time.
    fn touch(&mut self, at: usize) {
        if !self.is_logging() {
            return;
        }
        let Err(place) = self.touched.binary_search_by_key(&at, |(known, _)| *known) else { return };
        let Some(item) = self.items.get(at) else { return };
        let start = self.images.len();
        item.encode(&mut self.images);
        self.touched.insert(place, (at, (start, self.images.len())));
    }

    fn touch_all(&mut self) {
        (0..self.items.len()).for_each(|at| self.touch(at));
    }

    /// Writes the touched items that are different, as positions are now.
    fn settle(&mut self) {
        for (at, (from, to)) in &self.touched {
            let Some(item) = self.items.get(*at) else { continue };
            let start = self.log.len();
            path(&mut self.log, self.owner.index, 2);
            at.encode(&mut self.log);
            let written = self.log.len();
            item.encode(&mut self.log);
            if self.images.get(*from..*to) == self.log.get(written..) {
                self.log.truncate(start);
            } else {
                self.moves += 1;
            }
        }
        self.touched.clear();
        self.images.clear();
    }

    /// Gets ready for something that moves positions; says whether to write it down.
    fn begin_move(&mut self) -> bool {
        if !self.is_logging() {
            return false;
        }
        self.settle();
        if self.log.len() > LOG_BYTES_MAX {
            self.give_up();
            return false;
        }
        self.moves += 1;
        true
    }

    fn give_up(&mut self) {
        self.whole = true;
        self.log.clear();
        self.touched.clear();
        self.images.clear();
    }

    fn log_removal(&mut self, at: usize) {
        if self.begin_move() {
            path(&mut self.log, self.owner.index, 2);
            at.encode(&mut self.log);
            self.log.push(UNDEFINED);
        }
    }

    /// Puts an item at the end.
    pub fn push(&mut self, item: T) {
        if self.begin_move() {
            path(&mut self.log, self.owner.index, 2);
            self.items.len().encode(&mut self.log);
            item.encode(&mut self.log);
        }
        self.items.push(item);
    }

    /// Takes the last item.
    pub fn pop(&mut self) -> Option<T> {
        let last = self.items.len().checked_sub(1)?;
        self.log_removal(last);
        self.items.pop()
    }

    /// Puts an item before the one at `at`.
    ///
    /// # Panics
    /// If `at` is greater than the length.
    pub fn insert(&mut self, at: usize, item: T) {
        if at < self.items.len() && self.begin_move() {
            path(&mut self.log, self.owner.index, 3);
            at.encode(&mut self.log);
            self.log.push(0xf5);
            item.encode(&mut self.log);
        } else if at == self.items.len() {
            return self.push(item);
        }
        self.items.insert(at, item);
    }

    /// Takes the item at `at`; the ones behind it move up.
    ///
    /// # Panics
    /// If there is none.
    pub fn remove(&mut self, at: usize) -> T {
        if at < self.items.len() {
            self.log_removal(at);
        }
        self.items.remove(at)
    }

    /// Takes the item at `at`; the last one takes its place.
    ///
    /// # Panics
    /// If there is none.
    pub fn swap_remove(&mut self, at: usize) -> T {
        let last = self.items.len().wrapping_sub(1);
        if at < last {
            self.swap(at, last);
        }
        if at > last { self.items.remove(at) } else { self.remove(last) }
    }

    /// An item to change.
    pub fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.touch(at);
        self.items.get_mut(at)
    }

    /// The first item, to change.
    pub fn first_mut(&mut self) -> Option<&mut T> {
        self.get_mut(0)
    }

    /// The last item, to change.
    pub fn last_mut(&mut self) -> Option<&mut T> {
        self.get_mut(self.items.len().checked_sub(1)?)
    }

    /// All items, to change.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.touch_all();
        self.items.iter_mut()
    }

    /// Exchanges two items.
    ///
    /// # Panics
    /// If one of them is not there.
    pub fn swap(&mut self, a: usize, b: usize) {
        self.touch(a);
        self.touch(b);
        self.items.swap(a, b);
    }

    /// Turns the order around.
    pub fn reverse(&mut self) {
        self.touch_all();
        self.items.reverse();
    }

    /// Sorts; equal items keep their order.
    pub fn sort(&mut self)
    where
        T: Ord,
    {
        self.touch_all();
        self.items.sort();
    }

    /// Sorts by a key; equal items keep their order.
    pub fn sort_by_key<K: Ord>(&mut self, key: impl FnMut(&T) -> K) {
        self.touch_all();
        self.items.sort_by_key(key);
    }

    /// Sorts by a comparison; equal items keep their order.
    pub fn sort_by(&mut self, compare: impl FnMut(&T, &T) -> std::cmp::Ordering) {
        self.touch_all();
        self.items.sort_by(compare);
    }

    /// Keeps the items that `keep` says yes to.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        let mut at = 0;
        while let Some(item) = self.items.get(at) {
            if keep(item) {
                at += 1;
            } else {
                self.remove(at);
            }
        }
    }

    /// Keeps the first `length` items.
    pub fn truncate(&mut self, length: usize) {
        if length == 0 {
            return self.clear();
        }
        while self.items.len() > length {
            self.pop();
        }
    }

    /// Removes all items.
    pub fn clear(&mut self) {
        if self.is_logging() && !self.items.is_empty() {
            self.give_up();
        }
        self.items.clear();
    }

    /// Takes the items of a range out.
    ///
    /// # Panics
    /// If the range reaches beyond the end.
    pub fn drain(&mut self, range: impl RangeBounds<usize>) -> std::vec::IntoIter<T> {
        let from = match range.start_bound() {
            Bound::Included(at) => *at,
            Bound::Excluded(at) => at.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(at) => at.saturating_add(1),
            Bound::Excluded(at) => *at,
            Bound::Unbounded => self.items.len(),
        };
        if from == 0 && to == self.items.len() {
            return self.take().into_iter();
        }
        let mut taken: Vec<T> = (from..to).rev().map(|at| self.remove(at)).collect();
        taken.reverse();
        taken.into_iter()
    }

    /// Takes all items out.
    pub fn take(&mut self) -> Vec<T> {
        if self.is_logging() && !self.items.is_empty() {
            self.give_up();
        }
        std::mem::take(&mut self.items)
    }
}

impl<T: Value> Attribute for List<T> {
    const LOGGED: bool = true;

    fn adopt(&mut self, owner: Owner) {
        self.owner = owner;
        self.whole = false;
        self.moves = 0;
        self.log.clear();
        self.touched.clear();
        self.images.clear();
    }

    fn flush(&mut self, owner: Owner, patch: &mut Vec<u8>) {
        if self.owner == owner && !self.whole {
            if !self.touched.is_empty() {
                self.settle();
            }
            if self.moves <= self.items.len() + 8 {
                patch.extend_from_slice(&self.log);
                return self.adopt(owner);
            }
        }
        owner.index.encode(patch);
        self.encode(patch);
        self.adopt(owner);
    }
}

impl<T: Value> Value for List<T> {
    fn type_text(definitions: &mut Definitions) -> String {
        format!("list<{}>", T::type_text(definitions))
    }

    fn initial() -> Self {
        Self::new()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        encode_list(&self.items, out);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        decode_list(reader).map(Self::with)
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T> Index<usize> for List<T> {
    type Output = T;

    #[expect(
        clippy::indexing_slicing,
        reason = "an index out of bounds is the author's mistake, as with a Vec"
    )]
    fn index(&self, at: usize) -> &T {
        &self.items[at]
    }
}

impl<T: Value> IndexMut<usize> for List<T> {
    #[expect(
        clippy::indexing_slicing,
        reason = "an index out of bounds is the author's mistake, as with a Vec"
    )]
    fn index_mut(&mut self, at: usize) -> &mut T {
        self.touch(at);
        &mut self.items[at]
    }
}

impl<T: Value> Extend<T> for List<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        items.into_iter().for_each(|item| self.push(item));
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        Self::with(items)
    }
}

impl<T, const N: usize> From<[T; N]> for List<T> {
    fn from(items: [T; N]) -> Self {
        Self::with(Vec::from(items))
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::with(Vec::from_iter(items))
    }
}

impl<T> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<'a, T: Value> IntoIterator for &'a mut List<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

/// A copy belongs to no attribute until it is put into one.
impl<T: Clone> Clone for List<T> {
    fn clone(&self) -> Self {
        Self::with(self.items.clone())
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: PartialEq> PartialEq for List<T> {
    fn eq(&self, other: &Self) -> bool {
        self.items == other.items
    }
}

impl<T: Eq> Eq for List<T> {}

impl<T: fmt::Debug> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.items.fmt(f)
    }
}
