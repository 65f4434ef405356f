//! Marks: what an attribute is compared with after each event. Two values of a type have the same mark
//! exactly if they are encoded alike. A mark is never sent, so it need not be short: where it can it has a
//! fixed width, and comparing is a load and a comparison.

use std::cell::RefCell;

use crate::cbor;
use crate::value::Value;

/// Bytes of a length in marks.
const LENGTH_BYTES: usize = 4;

thread_local! {
    /// Memory for the comparison of values.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The width of marks that stand one behind the other; none if one of them has none.
pub const fn width(parts: &[Option<usize>]) -> Option<usize> {
    let (mut sum, mut rest) = (0, parts);
    while let [first, behind @ ..] = rest {
        match first {
            Some(bytes) => sum += *bytes,
            None => return None,
        }
        rest = behind;
    }
    Some(sum)
}

/// Writes bytes behind their length.
#[inline]
pub(crate) fn sized(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Of marks that begin with what [`sized`] wrote, those behind it; none if they begin otherwise.
#[inline]
pub(crate) fn strip_sized<'b>(bytes: &[u8], marks: &'b [u8]) -> Option<&'b [u8]> {
    let rest = strip_number(bytes.len() as u32, marks)?;
    let (begin, rest) = rest.split_at_checked(bytes.len())?;
    cbor::same(begin, bytes).then_some(rest)
}

/// The same for a number.
#[inline]
fn strip_number(number: u32, marks: &[u8]) -> Option<&[u8]> {
    let (begin, rest) = marks.split_first_chunk::<4>()?;
    (u32::from_le_bytes(*begin) == number).then_some(rest)
}

/// The mark of a type that has no better one: its encoding behind that one's length.
pub(crate) fn encoded<T: Value>(value: &T, out: &mut Vec<u8>) {
    behind_length(out, |out| value.encode(out));
}

/// See [`encoded`].
pub(crate) fn strip_encoded<'b, T: Value>(value: &T, marks: &'b [u8]) -> Option<&'b [u8]> {
    let mut written = SCRATCH.take();
    written.clear();
    value.encode(&mut written);
    let rest = strip_sized(&written, marks);
    SCRATCH.set(written);
    rest
}

/// Writes an attribute's mark, so that [`length`] finds its end.
#[inline]
pub(crate) fn attribute<T: Value>(value: &T, out: &mut Vec<u8>) {
    match T::MARK_BYTES {
        Some(_) => value.mark(out),
        None => behind_length(out, |out| value.mark(out)),
    }
}

/// Of marks that begin with that of an attribute with this value, those behind it; none if it has another one.
#[inline]
pub(crate) fn strip_attribute<'b, T: Value>(value: &T, marks: &'b [u8]) -> Option<&'b [u8]> {
    let head = if T::MARK_BYTES.is_some() { 0 } else { LENGTH_BYTES };
    value.strip(marks.get(head..)?)
}

/// Bytes of the first of these attributes' marks.
#[inline]
pub(crate) fn length<T: Value>(marks: &[u8]) -> usize {
    match (T::MARK_BYTES, marks.first_chunk::<LENGTH_BYTES>()) {
        (Some(width), _) => width,
        (None, Some(length)) => LENGTH_BYTES + u32::from_le_bytes(*length) as usize,
        (None, None) => 0,
    }
}

fn behind_length(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    write(out);
    let written = out.len() - start - LENGTH_BYTES;
    if let Some(length) = out.get_mut(start..start + LENGTH_BYTES) {
        length.copy_from_slice(&(written as u32).to_le_bytes());
    }
}

/// The bits of a float as it is encoded: all that are no number are one.
#[inline]
pub(crate) fn canonical_f32(value: f32) -> u32 {
    if value.is_nan() { 0x7fc0_0000 } else { value.to_bits() }
}

/// The same.
#[inline]
pub(crate) fn canonical_f64(value: f64) -> u64 {
    if value.is_nan() { 0x7ff8_0000_0000_0000 } else { value.to_bits() }
}
