//! Names of things, and references that know their type. It does not know what can be
//! called on a reference: `#[methods]` writes that.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use crate::bindings::everwake::game::types as wit;
use crate::cbor::{self, Malformed, Reader};
use crate::entity::Entity;
use crate::manifest::Definitions;
use crate::value::Value;

/// Names one entity, space, service shard, timer or watch in the whole cluster.
///
/// May be stored; is the same after a swap, a restart and a move. Not a secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Id(pub [u32; 4]);

impl Id {
    /// The id of nothing: what an attribute has before it is set.
    pub const NIL: Self = Self([0; 4]);

    /// Whether it is the id of nothing.
    pub fn is_nil(self) -> bool {
        self == Self::NIL
    }
}

/// Two words at a time, for hashers that are made for that.
impl Hash for Id {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d] = self.0.map(u64::from);
        state.write_u64(a << 32 | b);
        state.write_u64(c << 32 | d);
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|word| write!(f, "{word:08x}"))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl From<wit::Id> for Id {
    #[inline]
    fn from(id: wit::Id) -> Self {
        Self([id.a, id.b, id.c, id.d])
    }
}

impl From<Id> for wit::Id {
    #[inline]
    fn from(id: Id) -> Self {
        let [a, b, c, d] = id.0;
        Self { a, b, c, d }
    }
}

impl Value for Id {
    fn type_text(_: &mut Definitions) -> String {
        "id".into()
    }

    fn initial() -> Self {
        Self::NIL
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(0x50);
        self.0.iter().for_each(|word| out.extend_from_slice(&word.to_be_bytes()));
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let bytes: [u8; 16] = reader.bytes()?.try_into().map_err(|_| Malformed("an id is 16 bytes"))?;
        let all = u128::from_be_bytes(bytes);
        Ok(Self([(all >> 96) as u32, (all >> 64) as u32, (all >> 32) as u32, all as u32]))
    }
}

/// What `#[methods]` makes for an entity type: the methods that others may call on a
/// [`Ref`] to it.
pub trait Calls: Copy + 'static {
    /// Wraps an id.
    fn new(id: Id) -> Self;
    /// The id.
    fn id(&self) -> Id;
}

/// An id that knows the type of its entity. The methods of the type are called on it:
/// `avatar.settle(trade, items)` makes a value, which [`Context`](crate::Context) sends.
pub struct Ref<T: Entity> {
    calls: T::Calls,
}

impl<T: Entity> Ref<T> {
    /// Trusts that `id` is of a `T`. If it is not, calls to it come back as not run.
    #[inline]
    pub fn new(id: Id) -> Self {
        Self { calls: T::Calls::new(id) }
    }

    /// The reference to nothing.
    pub fn nil() -> Self {
        Self::new(Id::NIL)
    }

    /// The plain id.
    #[inline]
    pub fn id(self) -> Id {
        self.calls.id()
    }

    /// Whether it refers to nothing.
    pub fn is_nil(self) -> bool {
        self.id().is_nil()
    }
}

impl<T: Entity> Deref for Ref<T> {
    type Target = T::Calls;

    fn deref(&self) -> &T::Calls {
        &self.calls
    }
}

impl<T: Entity> Clone for Ref<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Entity> Copy for Ref<T> {}

impl<T: Entity> PartialEq for Ref<T> {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl<T: Entity> Eq for Ref<T> {}

impl<T: Entity> PartialOrd for Ref<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Entity> Ord for Ref<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id().cmp(&other.id())
    }
}

impl<T: Entity> Hash for Ref<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl<T: Entity> Default for Ref<T> {
    fn default() -> Self {
        Self::nil()
    }
}

impl<T: Entity> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", T::NAME, self.id())
    }
}

impl<T: Entity> From<Ref<T>> for Id {
    fn from(reference: Ref<T>) -> Self {
        reference.id()
    }
}

impl<T: Entity> Value for Ref<T> {
    fn type_text(_: &mut Definitions) -> String {
        format!("ref<{}>", T::NAME)
    }

    fn initial() -> Self {
        Self::nil()
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        self.id().encode(out);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Id::decode(reader).map(Self::new)
    }
}

/// Writes what stands before a patch's value: `index`, `[index, key]`.
pub(crate) fn path(out: &mut Vec<u8>, index: u32, items: usize) {
    cbor::array(out, items);
    cbor::unsigned(out, u64::from(index));
}
