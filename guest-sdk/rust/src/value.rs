//! What travels: attributes, arguments, results, contexts. How each type is written as
//! CBOR, and how the manifest spells it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cbor::{self, Malformed, NULL, Reader};
use crate::manifest::Definitions;
use crate::mark;

/// A value that can be sent, stored and described.
///
/// `#[attr_type]` makes a struct or an enum of your own one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel between entities",
    label = "not a value that Everwake can send or store",
    note = "put `#[attr_type]` on a struct or an enum of your own; use `List` and `Map` for collections"
)]
pub trait Value: Sized {
    /// Whether `null` is one of its encodings; then an option around it needs a wrapper.
    const NULLABLE: bool = false;

    /// How the manifest spells the type; adds what it needs to `definitions`.
    fn type_text(definitions: &mut Definitions) -> String;
    /// What a value is that an older version did not send.
    fn initial() -> Self;
    /// Writes one CBOR item.
    fn encode(&self, out: &mut Vec<u8>);
    /// Reads one CBOR item.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed>;

    /// Bytes of what [`Value::mark`] writes, if all values of the type have as many.
    #[doc(hidden)]
    const MARK_BYTES: Option<usize> = None;

    /// Writes what the value is compared with later; see `mark.rs`.
    #[doc(hidden)]
    fn mark(&self, out: &mut Vec<u8>) {
        mark::encoded(self, out);
    }

    /// Of bytes that begin with the mark of a value that is encoded like this one, those behind the mark; none if
    /// they begin with another one. Each attribute is compared with what the host has after each event, so the
    /// frequent types do it without writing anything.
    #[doc(hidden)]
    fn strip<'b>(&self, marks: &'b [u8]) -> Option<&'b [u8]> {
        mark::strip_encoded(self, marks)
    }
}

/// Writes one value into fresh memory.
pub fn to_bytes<T: Value>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    value.encode(&mut out);
    out
}

/// Reads one value, and nothing behind it.
pub fn from_bytes<T: Value>(bytes: &[u8]) -> Result<T, Malformed> {
    let mut reader = Reader::new(bytes);
    let value = T::decode(&mut reader)?;
    if reader.is_empty() { Ok(value) } else { Err(Malformed("more than one item")) }
}

macro_rules! integers {
    ($($type:ty as $wide:ty, $walk:ident, $text:literal;)*) => {$(
        impl Value for $type {
            fn type_text(_: &mut Definitions) -> String {
                $text.into()
            }

            fn initial() -> Self {
                0
            }

            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                cbor::$walk(out, *self as $wide);
            }

            #[inline]
            fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                Self::try_from(reader.$walk()?).map_err(|_| Malformed(concat!("out of range for ", $text)))
            }

            const MARK_BYTES: Option<usize> = Some(size_of::<Self>());

            #[inline]
            fn mark(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            #[inline]
            fn strip<'b>(&self, marks: &'b [u8]) -> Option<&'b [u8]> {
                let (begin, rest) = marks.split_first_chunk()?;
                (Self::from_le_bytes(*begin) == *self).then_some(rest)
            }
        }
    )*};
}

integers! {
    i8 as i64, integer, "i8";
    i16 as i64, integer, "i16";
    i32 as i64, integer, "i32";
    i64 as i64, integer, "i64";
    u8 as u64, unsigned, "u8";
    u16 as u64, unsigned, "u16";
    u32 as u64, unsigned, "u32";
    u64 as u64, unsigned, "u64";
    usize as u64, unsigned, "u32";
}

impl Value for bool {
    fn type_text(_: &mut Definitions) -> String {
        "bool".into()
    }

    fn initial() -> Self {
        false
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(if *self { 0xf5 } else { 0xf4 });
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.bool()
    }

    const MARK_BYTES: Option<usize> = Some(1);

    #[inline]
    fn mark(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    #[inline]
    fn strip<'b>(&self, marks: &'b [u8]) -> Option<&'b [u8]> {
        u8::from(*self).strip(marks)
    }
}

impl Value for f32 {
    fn type_text(_: &mut Definitions) -> String {
        "f32".into()
    }

    fn initial() -> Self {
        0.0
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(0xfa);
        out.extend_from_slice(&mark::canonical_f32(*self).to_be_bytes());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(reader.float()? as f32)
    }

    const MARK_BYTES: Option<usize> = u32::MARK_BYTES;

    #[inline]
    fn mark(&self, out: &mut Vec<u8>) {
        mark::canonical_f32(*self).mark(out);
    }

    #[inline]
    fn strip<'b>(&self, marks: &'b [u8]) -> Option<&'b [u8]> {
        mark::canonical_f32(*self).strip(marks)
    }
}

impl Value for f64 {
    fn type_text(_: &mut Definitions) -> String {
        "f64".into()
    }

    fn initial() -> Self {
        0.0
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(0xfb);
        out.extend_from_slice(&mark::canonical_f64(*self).to_be_bytes());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.float()
    }

    const MARK_BYTES: Option<usize> = u64::MARK_BYTES;

    #[inline]
    fn mark(&self, out: &mut Vec<u8>) {
        mark::canonical_f64(*self).mark(out);
    }

    #[inline]
    fn strip<'b>(&self, marks: &'b [u8]) -> Option<&'b [u8]> {
        mark::canonical_f64(*self).strip(marks)
    }
}

impl Value for String {
    fn type_text(_: &mut Definitions) -> String {
        "string".into()
    }

    fn initial() -> Self {
        Self::new()
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        cbor::text(out, self);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.text().map(Self::from)
    }

    #[inline]
    fn mark(&self, out: &mut Vec<u8>) {
        mark::sized(out, self.as_bytes());
    }

    #[inline]
    fn strip<'b>(&self, marks: &'b [u8]) -> Option<&'b [u8]> {
        mark::strip_sized(self.as_bytes(), marks)
    }
}

impl Value for () {
    const NULLABLE: bool = true;

    fn type_text(_: &mut Definitions) -> String {
        "unit".into()
    }

    fn initial() -> Self {}

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(NULL);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        if reader.null() { Ok(()) } else { Err(Malformed("expected null")) }
    }

    const MARK_BYTES: Option<usize> = Some(0);

    #[inline]
    fn mark(&self, _: &mut Vec<u8>) {}

    #[inline]
    fn strip<'b>(&self, marks: &'b [u8]) -> Option<&'b [u8]> {
        Some(marks)
    }
}

impl Value for Duration {
    fn type_text(_: &mut Definitions) -> String {
        "u64".into()
    }

    fn initial() -> Self {
        Self::ZERO
    }

    fn encode(&self, out: &mut Vec<u8>) {
        cbor::unsigned(out, u64::try_from(self.as_millis()).unwrap_or(u64::MAX));
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.unsigned().map(Self::from_millis)
    }
}

impl<T: Value> Value for Option<T> {
    const NULLABLE: bool = true;

    fn type_text(definitions: &mut Definitions) -> String {
        format!("option<{}>", T::type_text(definitions))
    }

    fn initial() -> Self {
        None
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(NULL),
            Some(value) => {
                if T::NULLABLE {
                    cbor::array(out, 1);
                }
                value.encode(out);
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        if reader.null() {
            return Ok(None);
        }
        if T::NULLABLE && reader.array()? != 1 {
            return Err(Malformed("expected a list of one item"));
        }
        reader.nested(T::decode).map(Some)
    }

    #[inline]
    fn mark(&self, out: &mut Vec<u8>) {
        self.is_some().mark(out);
        if let Some(value) = self {
            value.mark(out);
        }
    }

    #[inline]
    fn strip<'b>(&self, marks: &'b [u8]) -> Option<&'b [u8]> {
        let rest = self.is_some().strip(marks)?;
        match self {
            None => Some(rest),
            Some(value) => value.strip(rest),
        }
    }
}

impl<T: Value> Value for Box<T> {
    const NULLABLE: bool = T::NULLABLE;

    fn type_text(definitions: &mut Definitions) -> String {
        T::type_text(definitions)
    }

    fn initial() -> Self {
        Self::new(T::initial())
    }

    fn encode(&self, out: &mut Vec<u8>) {
        T::encode(self, out);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.nested(T::decode).map(Self::new)
    }

    fn mark(&self, out: &mut Vec<u8>) {
        T::mark(self, out);
    }

    fn strip<'b>(&self, marks: &'b [u8]) -> Option<&'b [u8]> {
        T::strip(self, marks)
    }
}

impl<T: Value> Value for Vec<T> {
    fn type_text(definitions: &mut Definitions) -> String {
        format!("list<{}>", T::type_text(definitions))
    }

    fn initial() -> Self {
        Self::new()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        encode_list(self, out);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        decode_list(reader)
    }
}

impl<K: Value + Ord, V: Value> Value for BTreeMap<K, V> {
    fn type_text(definitions: &mut Definitions) -> String {
        format!("map<{}, {}>", K::type_text(definitions), V::type_text(definitions))
    }

    fn initial() -> Self {
        Self::new()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        encode_map(self, out);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        decode_map(reader)
    }
}

pub(crate) fn encode_list<T: Value>(items: &[T], out: &mut Vec<u8>) {
    cbor::array(out, items.len());
    items.iter().for_each(|item| item.encode(out));
}

pub(crate) fn decode_list<T: Value>(reader: &mut Reader<'_>) -> Result<Vec<T>, Malformed> {
    let count = reader.array()?;
    // What is reserved is bounded by what arrived; a large `T` must not multiply it.
    let mut items = Vec::with_capacity(count.min(1024));
    for _ in 0..count {
        items.push(reader.nested(T::decode)?);
    }
    Ok(items)
}

/// Entries stand in the order of their keys' bytes, whatever order `K` has: two equal maps
/// are equal bytes, also to the host.
pub(crate) fn encode_map<K: Value, V: Value>(entries: &BTreeMap<K, V>, out: &mut Vec<u8>) {
    cbor::map(out, entries.len());
    let start = out.len();
    let mut previous: Option<(usize, usize)> = None;
    let mut sorted = true;
    for (key, value) in entries {
        let key_start = out.len();
        key.encode(out);
        let key_end = out.len();
        value.encode(out);
        if let Some((from, to)) = previous {
            sorted &= out.get(from..to) < out.get(key_start..key_end);
        }
        previous = Some((key_start, key_end));
    }
    if !sorted {
        sort_entries(out, start);
    }
}

/// Puts the entries written behind `start` into the order of their keys' bytes. No key is the
/// beginning of another one, so whole entries compare like their keys.
fn sort_entries(out: &mut Vec<u8>, start: usize) {
    let written = out.split_off(start);
    let mut reader = Reader::new(&written);
    let mut entries: Vec<&[u8]> = Vec::new();
    while !reader.is_empty() {
        let from = reader.rest();
        if reader.item().and_then(|_| reader.item()).is_err() {
            break;
        }
        entries.extend(from.get(..from.len() - reader.rest().len()));
    }
    entries.sort_unstable();
    entries.iter().for_each(|entry| out.extend_from_slice(entry));
}

pub(crate) fn decode_map<K: Value + Ord, V: Value>(
    reader: &mut Reader<'_>,
) -> Result<BTreeMap<K, V>, Malformed> {
    let count = reader.map()?;
    let mut entries = BTreeMap::new();
    for _ in 0..count {
        let key = reader.nested(K::decode)?;
        entries.insert(key, reader.nested(V::decode)?);
    }
    Ok(entries)
}

macro_rules! tuples {
    ($($count:literal: $($name:ident $at:tt),+;)*) => {$(
        impl<$($name: Value),+> Value for ($($name,)+) {
            fn type_text(definitions: &mut Definitions) -> String {
                let parts = [$($name::type_text(definitions)),+];
                format!("tuple<{}>", parts.join(", "))
            }

            fn initial() -> Self {
                ($($name::initial(),)+)
            }

            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                cbor::array(out, $count);
                $(self.$at.encode(out);)+
            }

            const MARK_BYTES: Option<usize> = mark::width(&[$($name::MARK_BYTES),+]);

            #[inline]
            fn mark(&self, out: &mut Vec<u8>) {
                $(self.$at.mark(out);)+
            }

            #[inline]
            fn strip<'b>(&self, marks: &'b [u8]) -> Option<&'b [u8]> {
                $(let marks = self.$at.strip(marks)?;)+
                Some(marks)
            }

            fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                let mut fields = Fields::open(reader)?;
                let read = ($(fields.take::<$name>()?,)+);
                fields.close()?;
                Ok(read)
            }
        }
    )*};
}

tuples! {
    1: A 0;
    2: A 0, B 1;
    3: A 0, B 1, C 2;
    4: A 0, B 1, C 2, D 3;
    5: A 0, B 1, C 2, D 3, E 4;
    6: A 0, B 1, C 2, D 3, E 4, F 5;
    7: A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    8: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
}

/// Reads an array whose trailing items may be missing (older sender: initial values) or
/// more than known (newer sender: skipped).
pub struct Fields<'r, 'a> {
    reader: &'r mut Reader<'a>,
    left: usize,
}

impl<'r, 'a> Fields<'r, 'a> {
    /// Reads the array's head.
    #[inline]
    pub fn open(reader: &'r mut Reader<'a>) -> Result<Self, Malformed> {
        let left = reader.array()?;
        Ok(Self { reader, left })
    }

    /// Reads the next field, or makes it up.
    #[inline]
    pub fn take<T: Value>(&mut self) -> Result<T, Malformed> {
        if self.left == 0 {
            return Ok(T::initial());
        }
        self.left -= 1;
        self.reader.nested(T::decode)
    }

    /// Skips what is left.
    #[inline]
    pub fn close(self) -> Result<(), Malformed> {
        for _ in 0..self.left {
            self.reader.item()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;
    use crate::types::{Time, Vec3};

    fn marked<T: Value>(value: &T) -> Vec<u8> {
        let mut mark = Vec::new();
        mark::attribute(value, &mut mark);
        mark
    }

    /// Each is found at the beginning of what itself wrote and of nothing that another one wrote.
    fn distinct<T: Value>(values: &[T]) {
        for (place, value) in values.iter().enumerate() {
            for (other, written) in values.iter().map(marked).enumerate() {
                assert_eq!(mark::length::<T>(&written), written.len());
                let bytes = [written, vec![0xf5, 1]].concat();
                let expected = (place == other).then_some(&[0xf5, 1][..]);
                assert_eq!(mark::strip_attribute(value, &bytes), expected, "{place} of {other}");
                assert_eq!(mark::strip_attribute(value, &[]), None);
            }
        }
    }

    #[test]
    fn a_value_knows_its_own_mark() {
        distinct(&[0i64, -1, 23, 24, -25, 300, i64::MIN, i64::MAX]);
        distinct(&[0u64, 255, 256, 1 << 40, u64::MAX]);
        distinct(&[true, false]);
        distinct(&[0.0f32, -0.0, 1.5, f32::NAN, f32::INFINITY]);
        distinct(&[0.0f64, -0.0, 1.5, f64::NAN]);
        distinct(&["", "a", "b", "ab", "a much longer text than the others"].map(String::from));
        distinct(&[None, Some(0i64), Some(7)]);
        distinct(&[None, Some(None), Some(Some(1u8))]);
        distinct(&[Some(()), None]);
        let id = |bytes: [u8; 16]| from_bytes::<Id>(&[&[0x50][..], &bytes].concat()).unwrap();
        distinct(&[Id::NIL, id([1; 16]), id([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])]);
        distinct(&[Time::initial(), Time(-5)]);
        distinct(&[Vec3::new(0.0, 0.0, 0.0), Vec3::new(0.0, 0.0, -0.0), Vec3::new(1.0, 2.0, 3.0)]);
        distinct(&[vec![], vec![1u8], vec![1, 2]]);
        distinct(&[(1u8, String::from("x")), (1, String::from("y")), (2, String::from("x"))]);
    }
}
