//! What `#[entity]`, `#[space]` and `#[service]` make of a struct, and the walks over its
//! attributes: load, patch, snapshot.

use crate::attribute::{Attribute, Owner};
use crate::cbor::{self, Malformed, Reader};
use crate::clients::ClientMethods;
use crate::id::Calls;
use crate::mark;

/// A struct whose fields are the attributes of an entity, a space or a service shard.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a type of entity",
    label = "not an entity",
    note = "put `#[entity]`, `#[space]` or `#[service]` on the struct"
)]
pub trait Entity: Default + 'static {
    /// What can be called on a reference to it.
    type Calls: Calls;
    /// What can be called on its clients.
    type Client: ClientMethods;
    /// Its name in the manifest.
    const NAME: &'static str;
    /// The rest of the manifest.
    const ABOUT: About;
    /// Its attributes.
    const FIELDS: &'static [Field];

    /// Shows each attribute to `visitor`, in order.
    fn visit<V: Visitor>(&mut self, visitor: &mut V);
}

/// The place of a type in the module's list; `module!` writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not in the list of types of `module!`",
    label = "not a type of this module",
    note = "add it: `module! {{ name: \"..\", types: [.., {Self}] }}`"
)]
pub trait InModule: Entity + crate::methods::Methods {
    /// Index into `manifest.types`.
    const INDEX: u32;
}

/// A type that is a service; only these have shards.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a service",
    note = "put `#[service(shards = 4)]` on the struct"
)]
pub trait Service: InModule {}

/// A type that is a space.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a space", note = "put `#[space]` on the struct")]
pub trait Space: Entity {}

/// Does something with each attribute.
pub trait Visitor {
    /// One attribute.
    fn attribute<A: Attribute>(&mut self, index: u32, value: &mut A);
}

/// What kind of thing a type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "wit/manifests.wit says it")]
pub enum Kind {
    Entity,
    Space,
    Service,
    Foreign,
}

/// The facts about a type that its attribute macro was told.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "wit/manifests.wit says it")]
pub struct About {
    pub kind: Kind,
    pub schema: u32,
    pub boot: bool,
    pub persistent: bool,
    pub ticks_per_second: f32,
    pub aoi_radius: Option<f32>,
    pub shards: u32,
    pub sleeps_unwatched: bool,
}

/// The facts about one attribute that its field was told.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "wit/manifests.wit says it")]
pub struct Field {
    pub name: &'static str,
    pub was: &'static str,
    pub client: bool,
    pub all_clients: bool,
    pub persistent: bool,
    pub volatile: bool,
    pub secret: bool,
}

/// Reads what `entities.load` gives: `index value ...`. In one walk if the order is that of
/// the attributes, which it is.
pub(crate) fn load<T: Entity>(state: &[u8]) -> Result<T, Malformed> {
    let mut entity = T::default();
    let mut reader = Reader::new(state);
    while !reader.is_empty() {
        let next = reader.unsigned()? as u32;
        if next as usize >= T::FIELDS.len() {
            return Err(Malformed("state of an attribute that this version lacks"));
        }
        let mut load = Load { reader, next: Some(next), failed: None };
        entity.visit(&mut load);
        if let Some(failed) = load.failed {
            return Err(failed);
        }
        reader = load.reader;
        if let Some(next) = load.next {
            // Out of order: go round again from this index.
            let mut again = Vec::new();
            cbor::unsigned(&mut again, u64::from(next));
            again.extend_from_slice(reader.rest());
            return load_rest(entity, &again);
        }
    }
    Ok(entity)
}

fn load_rest<T: Entity>(mut entity: T, state: &[u8]) -> Result<T, Malformed> {
    let mut reader = Reader::new(state);
    while !reader.is_empty() {
        let next = reader.unsigned()? as u32;
        let mut load = LoadOne { reader, index: next, failed: None };
        entity.visit(&mut load);
        if let Some(failed) = load.failed {
            return Err(failed);
        }
        reader = load.reader;
    }
    Ok(entity)
}

struct Load<'a> {
    reader: Reader<'a>,
    /// The index that was read already.
    next: Option<u32>,
    failed: Option<Malformed>,
}

impl Visitor for Load<'_> {
    #[inline]
    fn attribute<A: Attribute>(&mut self, index: u32, value: &mut A) {
        if self.next != Some(index) || self.failed.is_some() {
            return;
        }
        self.next = None;
        match A::decode(&mut self.reader) {
            Ok(read) => *value = read,
            Err(failed) => self.failed = Some(failed),
        }
        if !self.reader.is_empty() && self.failed.is_none() {
            match self.reader.unsigned() {
                Ok(next) => self.next = Some(next as u32),
                Err(failed) => self.failed = Some(failed),
            }
        }
    }
}

struct LoadOne<'a> {
    reader: Reader<'a>,
    index: u32,
    failed: Option<Malformed>,
}

impl Visitor for LoadOne<'_> {
    fn attribute<A: Attribute>(&mut self, index: u32, value: &mut A) {
        if index == self.index {
            match A::decode(&mut self.reader) {
                Ok(read) => *value = read,
                Err(failed) => self.failed = Some(failed),
            }
        }
    }
}

/// Takes the attributes as what the host has.
pub(crate) struct Adopt<'a> {
    pub(crate) token: u32,
    /// Of the plain ones, one after the other.
    pub(crate) marks: &'a mut Vec<u8>,
}

impl Visitor for Adopt<'_> {
    #[inline]
    fn attribute<A: Attribute>(&mut self, index: u32, value: &mut A) {
        if A::LOGGED {
            value.adopt(Owner { token: self.token, index });
        } else {
            mark::attribute(value, self.marks);
        }
    }
}

/// Writes what is different from what the host has, and takes it as what that has next.
pub(crate) struct Patch<'a> {
    pub(crate) token: u32,
    /// Of the plain attributes as the host has them, one after the other.
    pub(crate) marks: &'a mut Vec<u8>,
    /// How far they are compared.
    pub(crate) place: usize,
    pub(crate) patch: &'a mut Vec<u8>,
}

impl Visitor for Patch<'_> {
    #[inline]
    fn attribute<A: Attribute>(&mut self, index: u32, value: &mut A) {
        if A::LOGGED {
            return value.flush(Owner { token: self.token, index }, self.patch);
        }
        let marks = self.marks.get(self.place..).unwrap_or_default();
        match mark::strip_attribute(value, marks) {
            Some(rest) => self.place += marks.len() - rest.len(),
            None => self.changed(index, value),
        }
    }
}

impl Patch<'_> {
    fn changed<A: Attribute>(&mut self, index: u32, value: &A) {
        cbor::unsigned(self.patch, u64::from(index));
        value.encode(self.patch);
        // The new mark is written where there is room, and moved to where the old one is.
        let written = self.patch.len();
        mark::attribute(value, self.patch);
        let now = self.patch.get(written..).unwrap_or_default();
        let old = self.marks.get_mut(self.place..).unwrap_or_default();
        let length = mark::length::<A>(old).min(old.len());
        match old.get_mut(..length).filter(|old| old.len() == now.len()) {
            Some(old) => old.copy_from_slice(now),
            None => drop(self.marks.splice(self.place..self.place + length, now.iter().copied())),
        }
        self.place += now.len();
        self.patch.truncate(written);
    }
}

/// Writes `index value ...`: what the host would give for a load.
pub(crate) struct Snapshot<'a> {
    pub(crate) out: &'a mut Vec<u8>,
}

impl Visitor for Snapshot<'_> {
    fn attribute<A: Attribute>(&mut self, index: u32, value: &mut A) {
        cbor::unsigned(self.out, u64::from(index));
        value.encode(self.out);
    }
}
