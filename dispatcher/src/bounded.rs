//! A map that forgets what was put into it first.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// At most so many entries.
#[derive(Debug)]
pub(crate) struct Bounded<K, V> {
    entries: HashMap<K, V>,
    order: VecDeque<K>,
    count_max: usize,
}

impl<K: Copy + Eq + Hash, V> Bounded<K, V> {
    pub(crate) fn new(count_max: usize) -> Bounded<K, V> {
        Bounded { entries: HashMap::new(), order: VecDeque::new(), count_max }
    }

    /// Sets an entry; a present one keeps its place. Says which one was forgotten for it.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<K> {
        if self.entries.insert(key, value).is_none() {
            self.order.push_back(key);
        }
        let oldest = (self.order.len() > self.count_max).then(|| self.order.pop_front()).flatten();
        if let Some(oldest) = &oldest {
            self.entries.remove(oldest);
        }
        oldest
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    /// In the order in which they came.
    pub(crate) fn keys(&self) -> impl Iterator<Item = K> {
        self.order.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let mut map = Bounded::new(2);
        for (key, value) in [(1, 1), (2, 2), (1, 3), (3, 4)] {
            map.insert(key, value);
        }
        assert_eq!([map.get(&1), map.get(&2), map.get(&3)], [None, Some(&2), Some(&4)]);
        assert_eq!(map.keys().collect::<Vec<_>>(), [2, 3]);
    }
}
