//! One module's ordered map of text to bytes, in memory.
//!
//! Operations arrive in the order of commits and are applied at once, each in one step; see
//! `wit/key-value.wit`. Knows nothing of who asked.

use super::limits::RANGE_BYTES_MAX;
use crate::limits::{KV_KEY_BYTES_MAX, KV_RANGE_ROWS_MAX, KV_VALUE_BYTES_MAX};
use crate::message::KeyValueOperation;
use bytes::Bytes;
use everwake_protocol::cbor;
use everwake_protocol::outcome::{Outcome, code};
use std::collections::BTreeMap;
use std::ops::Bound;

/// The map of one module.
#[derive(Debug)]
pub struct KeyValueMap {
    rows: BTreeMap<String, Bytes>,
    bytes: usize,
    bytes_max: usize,
}

impl KeyValueMap {
    /// An empty map that may hold so many bytes of keys and values.
    pub fn new(bytes_max: usize) -> Self {
        Self { rows: BTreeMap::new(), bytes: 0, bytes_max }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Applies one operation; what a limit forbids changes nothing.
    pub fn apply(&mut self, operation: KeyValueOperation) -> Outcome {
        match operation {
            KeyValueOperation::Get { key } => {
                let mut out = Vec::new();
                value(&mut out, self.rows.get(&key));
                Outcome::Ok(out.into())
            }
            KeyValueOperation::Put { key, value } => match self.set(key, value) {
                Ok(()) => Outcome::null(),
                Err(limit) => limit_reached(limit),
            },
            KeyValueOperation::GetOrPut { key, value } => self.find_or_put(key, value),
            KeyValueOperation::CompareAndSet { key, expected, value } => {
                self.compare_and_set(key, expected.as_ref(), value)
            }
            KeyValueOperation::Range { first, end, most } => self.range(first, end, most),
        }
    }

    /// Rows, and bytes of keys and values.
    pub fn size(&self) -> (usize, usize) {
        (self.rows.len(), self.bytes)
    }

    fn set(&mut self, key: String, value: Option<Bytes>) -> Result<(), &'static str> {
        if key.len() > KV_KEY_BYTES_MAX {
            return Err("key-bytes");
        }
        let before = self.rows.get(&key).map_or(0, |old| key.len() + old.len());
        let after = value.as_ref().map_or(0, |new| key.len() + new.len());
        if value.as_ref().is_some_and(|new| new.len() > KV_VALUE_BYTES_MAX) {
            return Err("value-bytes");
        }
        if after > before && self.bytes - before + after > self.bytes_max {
            return Err("key-value-bytes");
        }
        self.bytes = self.bytes - before + after;
        match value {
            Some(value) => drop(self.rows.insert(key, value)),
            None => drop(self.rows.remove(&key)),
        }
        Ok(())
    }

    fn find_or_put(&mut self, key: String, new: Bytes) -> Outcome {
        let mut out = Vec::new();
        cbor::array(&mut out, 2);
        if let Some(old) = self.rows.get(&key) {
            cbor::bytes(&mut out, old);
            cbor::bool(&mut out, false);
            return Outcome::Ok(out.into());
        }
        if let Err(limit) = self.set(key, Some(new.clone())) {
            return limit_reached(limit);
        }
        cbor::bytes(&mut out, &new);
        cbor::bool(&mut out, true);
        Outcome::Ok(out.into())
    }

    fn compare_and_set(&mut self, key: String, expected: Option<&Bytes>, new: Option<Bytes>) -> Outcome {
        let swapped = self.rows.get(&key) == expected;
        if swapped && let Err(limit) = self.set(key.clone(), new) {
            return limit_reached(limit);
        }
        let mut out = Vec::new();
        cbor::array(&mut out, 2);
        cbor::bool(&mut out, swapped);
        value(&mut out, self.rows.get(&key));
        Outcome::Ok(out.into())
    }

    fn range(&self, first: String, end: String, most: u32) -> Outcome {
        let upper = match end.as_str() {
            "" => Bound::Unbounded,
            // An empty or turned-around range would make `BTreeMap::range` panic.
            end if end <= first.as_str() => return rows(&[]),
            _ => Bound::Excluded(end),
        };
        let most = most.min(KV_RANGE_ROWS_MAX) as usize;
        let mut bytes = 0;
        let found: Vec<(&String, &Bytes)> = self
            .rows
            .range((Bound::Included(first), upper))
            .take(most)
            .take_while(|(key, value)| {
                bytes += key.len() + value.len();
                bytes <= RANGE_BYTES_MAX
            })
            .collect();
        rows(&found)
    }
}

fn rows(found: &[(&String, &Bytes)]) -> Outcome {
    let mut out = Vec::new();
    cbor::array(&mut out, found.len());
    for (key, value) in found {
        cbor::array(&mut out, 2);
        cbor::text(&mut out, key);
        cbor::bytes(&mut out, value);
    }
    Outcome::Ok(out.into())
}

fn value(out: &mut Vec<u8>, value: Option<&Bytes>) {
    match value {
        Some(value) => cbor::bytes(out, value),
        None => cbor::null(out),
    }
}

fn limit_reached(limit: &str) -> Outcome {
    Outcome::not_run(code::LIMIT).with_text(limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use everwake_protocol::cbor::Reader;

    fn put(map: &mut KeyValueMap, key: &str, value: &[u8]) -> Outcome {
        let value = Some(Bytes::copy_from_slice(value));
        map.apply(KeyValueOperation::Put { key: key.to_owned(), value })
    }

    fn answer(outcome: &Outcome) -> &Bytes {
        match outcome {
            Outcome::Ok(value) => value,
            Outcome::Err { code, .. } => panic!("failed with {code}"),
        }
    }

    fn keys(map: &mut KeyValueMap, first: &str, end: &str, most: u32) -> Vec<String> {
        let outcome =
            map.apply(KeyValueOperation::Range { first: first.to_owned(), end: end.to_owned(), most });
        let bytes = answer(&outcome).clone();
        let mut reader = Reader::new(&bytes);
        let len = reader.array().unwrap();
        (0..len)
            .map(|_| {
                assert_eq!(reader.array().unwrap(), 2);
                let key = reader.text().unwrap().to_owned();
                reader.bytes().unwrap();
                key
            })
            .collect()
    }

    #[test]
    fn ranges_are_half_open_and_ordered_by_bytes() {
        let mut map = KeyValueMap::new(1000);
        for key in ["b", "a", "ba", "c"] {
            put(&mut map, key, b"x");
        }
        assert_eq!(keys(&mut map, "a", "c", 10), ["a", "b", "ba"]);
        assert_eq!(keys(&mut map, "b", "", 10), ["b", "ba", "c"]);
        assert_eq!(keys(&mut map, "b", "", 1), ["b"]);
        assert!(keys(&mut map, "c", "a", 10).is_empty());
        assert!(keys(&mut map, "c", "c", 10).is_empty());
    }

    #[test]
    fn limits_leave_the_map_as_it_was() {
        let mut map = KeyValueMap::new(10);
        assert!(put(&mut map, "k", b"12345").is_ok());
        assert!(!put(&mut map, "l", b"12345").is_ok());
        assert_eq!(map.size(), (1, 6));
        assert!(!put(&mut map, &"k".repeat(KV_KEY_BYTES_MAX + 1), b"").is_ok());
        assert!(map.apply(KeyValueOperation::Put { key: "k".into(), value: None }).is_ok());
        assert_eq!(map.size(), (0, 0));
    }

    #[test]
    fn the_first_of_two_takes_a_name() {
        let mut map = KeyValueMap::new(1000);
        let ask = |map: &mut KeyValueMap, value: &'static [u8]| {
            map.apply(KeyValueOperation::GetOrPut { key: "name".into(), value: Bytes::from_static(value) })
        };
        assert_eq!(answer(&ask(&mut map, b"a")).as_ref(), [0x82, 0x41, b'a', 0xf5]);
        assert_eq!(answer(&ask(&mut map, b"b")).as_ref(), [0x82, 0x41, b'a', 0xf4]);
    }

    #[test]
    fn compare_and_set_tells_what_is_there_now() {
        let mut map = KeyValueMap::new(1000);
        let mut ask = |expected: Option<&'static [u8]>, value: Option<&'static [u8]>| {
            map.apply(KeyValueOperation::CompareAndSet {
                key: "k".into(),
                expected: expected.map(Bytes::from_static),
                value: value.map(Bytes::from_static),
            })
        };
        assert_eq!(answer(&ask(None, Some(b"1"))).as_ref(), [0x82, 0xf5, 0x41, b'1']);
        assert_eq!(answer(&ask(None, Some(b"2"))).as_ref(), [0x82, 0xf4, 0x41, b'1']);
        assert_eq!(answer(&ask(Some(b"1"), None)).as_ref(), [0x82, 0xf5, 0xf6]);
    }
}
