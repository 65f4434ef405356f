//! Names of things, and references that know their type. It does not know what can be
//! called on a reference: `#[methods]` writes that.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::str::FromStr;

use crate::bindings::everwake::game::types as wit;
use crate::cbor::{self, Malformed, Reader};
use crate::entity::Entity;
use crate::manifest::Definitions;
use crate::value::Value;

/// Names one entity, space, service shard, timer or watch in the whole cluster.
///
/// May be stored; is the same after a swap, a restart and a move. Not a secret. Its text form is the
/// one that every tool shows and takes: 26 characters of Crockford's base 32.
#[derive(Clone, Copy, Eq, PartialOrd, Ord, Default)]
pub struct Id(pub [u32; 4]);

/// Word by word: of arrays the compiler makes a call that compares single bytes.
impl PartialEq for Id {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        (a ^ e) | (b ^ f) | (c ^ g) | (d ^ h) == 0
    }
}

impl Id {
    /// The id of nothing: what an attribute has before it is set.
    pub const NIL: Self = Self([0; 4]);

    /// Whether it is the id of nothing.
    pub fn is_nil(self) -> bool {
        self == Self::NIL
    }

    fn from_u128(all: u128) -> Self {
        Self([(all >> 96) as u32, (all >> 64) as u32, (all >> 32) as u32, all as u32])
    }

    fn to_u128(self) -> u128 {
        self.0.iter().fold(0, |all, word| all << 32 | u128::from(*word))
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

/// A text that is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdTextError;

impl fmt::Display for IdTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id has 26 characters of 0-9 a-z without i l o u, the first at most 7")
    }
}

impl std::error::Error for IdTextError {}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const TEXT_LEN: usize = 26;

impl FromStr for Id {
    type Err = IdTextError;

    fn from_str(text: &str) -> Result<Self, IdTextError> {
        if text.len() != TEXT_LEN {
            return Err(IdTextError);
        }
        let mut all = 0u128;
        for (place, byte) in text.bytes().enumerate() {
            let byte = byte.to_ascii_lowercase();
            let digit = ALPHABET.iter().position(|digit| *digit == byte).ok_or(IdTextError)?;
            if place == 0 && digit > 7 {
                return Err(IdTextError);
            }
            all = all << 5 | digit as u128;
        }
        Ok(Self::from_u128(all))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.to_u128();
        let digit = |place: usize| ALPHABET.get((all >> (5 * place)) as usize & 31).copied();
        let text: String = (0..TEXT_LEN).rev().filter_map(digit).map(char::from).collect();
        f.pad(&text)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
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
        Ok(Self::from_u128(u128::from_be_bytes(bytes)))
    }

    const MARK_BYTES: Option<usize> = Some(16);

    #[inline]
    fn mark(&self, out: &mut Vec<u8>) {
        self.0.iter().for_each(|words| words.mark(out));
    }

    #[inline]
    fn strip<'b>(&self, marks: &'b [u8]) -> Option<&'b [u8]> {
        self.0.iter().try_fold(marks, |marks, words| words.strip(marks))
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

    const MARK_BYTES: Option<usize> = Id::MARK_BYTES;

    #[inline]
    fn mark(&self, out: &mut Vec<u8>) {
        self.id().mark(out);
    }

    #[inline]
    fn strip<'b>(&self, marks: &'b [u8]) -> Option<&'b [u8]> {
        self.id().strip(marks)
    }
}

/// Writes what stands before a patch's value: `index`, `[index, key]`.
pub(crate) fn path(out: &mut Vec<u8>, index: u32, items: usize) {
    cbor::array(out, items);
    cbor::unsigned(out, u64::from(index));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The host's text form: `protocol/` writes this file.
    const VECTORS: &str = include_str!("../../../tests/vectors/ids.txt");

    #[test]
    fn an_id_has_the_same_text_as_on_the_host() {
        let mut seen = 0;
        for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
            let (number, text) = line.split_once(' ').unwrap();
            let id = Id::from_u128(u128::from_str_radix(number, 16).unwrap());
            assert_eq!((id.to_string().as_str(), text.parse()), (text, Ok(id)));
            assert_eq!(text.to_uppercase().parse(), Ok(id));
            assert_eq!(format!("{id:?}"), text);
            seen += 1;
        }
        assert!(seen >= 5);
    }

    #[test]
    fn other_texts_are_refused() {
        let odd = [
            "",
            "0",
            "80000000000000000000000000",
            "0000000000000000000000000l",
            "0000000000000000000000000é",
        ];
        for text in odd {
            assert_eq!(text.parse::<Id>(), Err(IdTextError), "{text}");
        }
    }
}
