//! A module whose one entity changes its lists and maps in every way that the SDK has, as it is told to.

use everwake::*;
use std::collections::BTreeMap;

mod change;

pub use change::{Change, Item, Key, ListChange, MapChange};
use change::{Takes, in_list, in_map};

/// Has a list, a map, and lists in a map.
#[entity(boot)]
pub struct Keeper {
    #[attr(client)]
    list: List<Item>,
    #[attr(client)]
    map: Map<Key, Item>,
    #[attr(client)]
    deep: Map<i64, List<Item>>,
}

#[methods]
impl Keeper {
    /// Changes things one after the other, then fails or not.
    #[rpc(own_client, limit = "60000 per min")]
    fn change(&mut self, changes: Vec<Change>, fails: bool) -> Result<(), Fail> {
        for change in changes {
            match change {
                Change::List(change) => in_list!(change, self.list, List<Item>),
                Change::Map(change) => in_map!(change, self.map, Map<Key, Item>),
                Change::Deep(key, change) => {
                    let list = self.deep.entry(key).or_default();
                    in_list!(change, *list, List<Item>);
                }
                Change::DeepRemove(key) => drop(self.deep.remove(&key)),
            }
        }
        if fails { Err("it was told to fail".into()) } else { Ok(()) }
    }

    /// What the instance believes to have.
    #[rpc(own_client, limit = "60000 per min")]
    fn tell(&mut self) -> Plain {
        Plain {
            list: self.list.to_vec(),
            map: BTreeMap::clone(&self.map),
            deep: self.deep.iter().map(|(key, list)| (*key, list.to_vec())).collect(),
        }
    }
}

/// The same without anything that remembers changes.
#[attr_type]
#[derive(Default)]
pub struct Plain {
    pub list: Vec<Item>,
    pub map: BTreeMap<Key, Item>,
    pub deep: BTreeMap<i64, Vec<Item>>,
}

impl Plain {
    /// Makes a change, in the words of the standard library.
    pub fn change(&mut self, change: Change) {
        match change {
            Change::List(change) => in_list!(change, self.list, Vec<Item>),
            Change::Map(change) => in_map!(change, self.map, BTreeMap<Key, Item>),
            Change::Deep(key, change) => {
                let list = self.deep.entry(key).or_default();
                in_list!(change, *list, Vec<Item>);
            }
            Change::DeepRemove(key) => drop(self.deep.remove(&key)),
        }
    }
}

/// As it travels.
pub fn written(value: &impl everwake::value::Value) -> Vec<u8> {
    everwake::value::to_bytes(value)
}

module! { name: "bags", label: "bags", types: [Keeper] }
