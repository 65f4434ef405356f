//! Every way to change a list and a map. A case is named like the function that it calls, so that a test can hold
//! the cases against the functions that there are.

use everwake::*;
use std::collections::BTreeMap;

/// Something in a list or a map.
#[attr_type]
#[derive(Clone, Debug, PartialEq, Default, Eq, PartialOrd, Ord)]
pub struct Item {
    pub name: String,
    pub wear: u8,
}

/// A key whose order is not that of its bytes.
pub type Key = (i32, String);

/// A change of a list. Places are taken within what there is.
#[attr_type]
#[derive(Clone, Debug, PartialEq, Default)]
pub enum ListChange {
    Push(Item),
    #[default]
    Pop,
    Insert(u32, Item),
    Remove(u32),
    SwapRemove(u32),
    GetMut(u32, u8),
    FirstMut(u8),
    LastMut(u8),
    IterMut(u8),
    IntoIter(u8),
    IndexMut(u32, u8),
    Swap(u32, u32),
    Reverse,
    Sort,
    SortByKey,
    SortBy,
    Retain(u8),
    Truncate(u32),
    Clear,
    Drain(u32, u32),
    Take,
    Extend(Vec<Item>),
    From(Vec<Item>),
    FromIter(Vec<Item>),
}

/// A change of a map.
#[attr_type]
#[derive(Clone, Debug, PartialEq, Default)]
pub enum MapChange {
    Insert(Key, Item),
    Remove(Key),
    GetMut(Key, u8),
    Entry(Key, u8),
    IterMut(u8),
    IntoIter(u8),
    ValuesMut(u8),
    RangeMut(Key, u8),
    Retain(u8),
    #[default]
    PopFirst,
    PopLast,
    Clear,
    Take,
    Extend(Vec<(Key, Item)>),
    From(Vec<(Key, Item)>),
    FromIter(Vec<(Key, Item)>),
}

/// A change of the entity.
#[attr_type]
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    List(ListChange),
    Map(MapChange),
    /// Of a list in a map.
    Deep(i64, ListChange),
    DeepRemove(i64),
}

impl Default for Change {
    fn default() -> Self {
        Self::List(ListChange::Pop)
    }
}

/// `take` of the SDK, which `Vec` and `BTreeMap` do not have.
pub(crate) trait Takes {
    fn take_all(&mut self);
}

impl Takes for List<Item> {
    fn take_all(&mut self) {
        drop(self.take());
    }
}

impl Takes for Map<Key, Item> {
    fn take_all(&mut self) {
        drop(self.take());
    }
}

impl Takes for Vec<Item> {
    fn take_all(&mut self) {
        self.clear();
    }
}

impl Takes for BTreeMap<Key, Item> {
    fn take_all(&mut self) {
        self.clear();
    }
}

/// Changes a `List` of the SDK or a `Vec`: their functions have the same names, so one text says both.
macro_rules! in_list {
    ($change:expr, $list:expr, $kind:ty) => {{
        let length = $list.len();
        let within = |at: u32| at as usize % length.max(1);
        match $change {
            ListChange::Push(item) => $list.push(item),
            ListChange::Pop => drop($list.pop()),
            ListChange::Insert(at, item) => $list.insert(at as usize % (length + 1), item),
            ListChange::Remove(at) if length > 0 => drop($list.remove(within(at))),
            ListChange::SwapRemove(at) if length > 0 => drop($list.swap_remove(within(at))),
            ListChange::GetMut(at, wear) => {
                $list.get_mut(at as usize).into_iter().for_each(|item| item.wear = wear)
            }
            ListChange::FirstMut(wear) => $list.first_mut().into_iter().for_each(|item| item.wear = wear),
            ListChange::LastMut(wear) => $list.last_mut().into_iter().for_each(|item| item.wear = wear),
            ListChange::IterMut(wear) => $list.iter_mut().for_each(|item| item.wear ^= wear),
            ListChange::IntoIter(wear) => {
                for item in &mut $list {
                    item.wear = item.wear.max(wear);
                }
            }
            ListChange::IndexMut(at, wear) if length > 0 => $list[within(at)].wear = wear,
            ListChange::Swap(a, b) if length > 0 => $list.swap(within(a), within(b)),
            ListChange::Reverse => $list.reverse(),
            ListChange::Sort => $list.sort(),
            ListChange::SortByKey => $list.sort_by_key(|item| item.wear),
            ListChange::SortBy => $list.sort_by(|a, b| b.cmp(a)),
            ListChange::Retain(wear) => $list.retain(|item| item.wear != wear),
            ListChange::Truncate(at) => $list.truncate(at as usize),
            ListChange::Clear => $list.clear(),
            ListChange::Drain(a, b) => {
                let (a, b) = (a as usize % (length + 1), b as usize % (length + 1));
                drop($list.drain(a.min(b)..a.max(b)));
            }
            ListChange::Take => $list.take_all(),
            ListChange::Extend(items) => $list.extend(items),
            ListChange::From(items) => $list = <$kind>::from(items),
            ListChange::FromIter(items) => $list = items.into_iter().collect::<$kind>(),
            // Of an empty one.
            _ => {}
        }
    }};
}

/// Changes a `Map` of the SDK or a `BTreeMap`.
macro_rules! in_map {
    ($change:expr, $map:expr, $kind:ty) => {
        match $change {
            MapChange::Insert(key, item) => drop($map.insert(key, item)),
            MapChange::Remove(key) => drop($map.remove(&key)),
            MapChange::GetMut(key, wear) => $map.get_mut(&key).into_iter().for_each(|item| item.wear = wear),
            MapChange::Entry(key, wear) => $map.entry(key).or_default().wear = wear,
            MapChange::IterMut(wear) => $map.iter_mut().for_each(|(_, item)| item.wear ^= wear),
            MapChange::IntoIter(wear) => {
                for (_, item) in &mut $map {
                    item.wear = item.wear.max(wear);
                }
            }
            MapChange::ValuesMut(wear) => $map.values_mut().for_each(|item| item.wear ^= wear),
            MapChange::RangeMut(from, wear) => $map.range_mut(from..).for_each(|(_, item)| item.wear = wear),
            MapChange::Retain(wear) => $map.retain(|key, item| {
                item.wear ^= 1;
                key.0 != 0 || item.wear != wear
            }),
            MapChange::PopFirst => drop($map.pop_first()),
            MapChange::PopLast => drop($map.pop_last()),
            MapChange::Clear => $map.clear(),
            MapChange::Take => $map.take_all(),
            MapChange::Extend(entries) => $map.extend(entries),
            MapChange::From(entries) => $map = <$kind>::from(entries.into_iter().collect::<BTreeMap<_, _>>()),
            MapChange::FromIter(entries) => $map = entries.into_iter().collect::<$kind>(),
        }
    };
}

pub(crate) use {in_list, in_map};
