//! Stored attributes by name, for `#[migrate]`: what an old version wrote, to be turned into
//! what this one reads, and back.

use std::collections::BTreeMap;

use crate::cbor::{self, Malformed, Reader};
use crate::failure::Error;
use crate::types::Any;
use crate::value::Value;

/// The attributes of one entity by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    attributes: BTreeMap<String, Any>,
}

impl State {
    /// Reads one map from name to value.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let count = reader.map()?;
        let mut attributes = BTreeMap::new();
        for _ in 0..count {
            let name = reader.text()?.to_owned();
            attributes.insert(name, Any::decode(&mut reader)?);
        }
        Ok(Self { attributes })
    }

    /// Writes one map from name to value, shorter names first: the order of the keys' bytes.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut entries: Vec<_> = self.attributes.iter().collect();
        entries.sort_by_key(|(name, _)| (name.len(), name.as_str()));
        let mut out = Vec::new();
        cbor::map(&mut out, entries.len());
        for (name, value) in entries {
            cbor::text(&mut out, name);
            value.encode(&mut out);
        }
        out
    }

    /// Whether there is an attribute of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.attributes.contains_key(name)
    }

    /// Reads an attribute; its initial value if it is not there.
    pub fn get<T: Value>(&self, name: &str) -> Result<T, Error> {
        let Some(value) = self.attributes.get(name) else { return Ok(T::initial()) };
        value.read().map_err(|bad| Error::BadArguments(format!("attribute `{name}`: {bad}")))
    }

    /// Reads an attribute and removes it.
    pub fn take<T: Value>(&mut self, name: &str) -> Result<T, Error> {
        let value = self.get(name)?;
        self.attributes.remove(name);
        Ok(value)
    }

    /// Sets an attribute.
    pub fn set<T: Value>(&mut self, name: &str, value: &T) {
        self.attributes.insert(name.into(), Any::of(value));
    }

    /// Removes an attribute.
    pub fn remove(&mut self, name: &str) {
        self.attributes.remove(name);
    }

    /// Gives an attribute another name.
    pub fn rename(&mut self, from: &str, to: &str) {
        if let Some(value) = self.attributes.remove(from) {
            self.attributes.insert(to.into(), value);
        }
    }
}
