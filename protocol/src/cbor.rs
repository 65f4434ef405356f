//! The few CBOR shapes that travel on hot paths, written and read by hand.
//!
//! One form only: definite lengths, shortest heads, no tags, floats of 32 or 64 bits with one
//! NaN each. No recursion, no value tree, no allocation while reading. `undefined` is no value:
//! it stands only where a patch removes something (see [`crate::attributes`]).

use crate::id::Id;
use crate::limits::CBOR_DEPTH_MAX;

mod diagnostic;
#[cfg(test)]
mod tests;

pub use diagnostic::diagnostic;

/// The one NaN of 32 bits.
pub const NAN_32: u32 = 0x7fc0_0000;
/// The one NaN of 64 bits.
pub const NAN_64: u64 = 0x7ff8_0000_0000_0000;
/// The byte of `null`.
pub const NULL: u8 = 0xf6;
/// The byte of `undefined`.
pub const UNDEFINED: u8 = 0xf7;

const MAJOR_UINT: u8 = 0;
const MAJOR_NEGATIVE: u8 = 1;
const MAJOR_BYTES: u8 = 2;
const MAJOR_TEXT: u8 = 3;
const MAJOR_ARRAY: u8 = 4;
const MAJOR_MAP: u8 = 5;
const MAJOR_SIMPLE: u8 = 7;

/// Why bytes are not what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// The input ends inside of an item.
    #[error("the input ends inside of an item")]
    Truncated,
    /// A head is longer than it has to be.
    #[error("a head is not the shortest")]
    NotShortest,
    /// An indefinite length.
    #[error("indefinite lengths are not used")]
    Indefinite,
    /// A tag, a half float, an unassigned simple value, or a reserved head.
    #[error("head 0x{0:02x} is not used")]
    Unused(u8),
    /// `undefined` where a value should be.
    #[error("undefined is not a value")]
    Undefined,
    /// A text that is not UTF-8.
    #[error("a text is not UTF-8")]
    NotUtf8,
    /// A NaN other than the one that is used.
    #[error("a NaN is not the canonical one")]
    Nan,
    /// Nested deeper than [`CBOR_DEPTH_MAX`].
    #[error("nested too deep")]
    TooDeep,
    /// Another kind of item than asked for.
    #[error("expected {0}")]
    Expected(&'static str),
    /// A number that does not fit what it is for.
    #[error("a number is out of range")]
    Range,
    /// Bytes behind the last item.
    #[error("bytes behind the last item")]
    Trailing,
}

/// Writes a head: major type 0 to 7 and its argument, in the shortest form.
pub fn head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let major = major << 5;
    if argument < 24 {
        out.push(major | argument as u8);
    } else if let Ok(small) = u8::try_from(argument) {
        out.extend_from_slice(&[major | 24, small]);
    } else if let Ok(small) = u16::try_from(argument) {
        out.push(major | 25);
        out.extend_from_slice(&small.to_be_bytes());
    } else if let Ok(small) = u32::try_from(argument) {
        out.push(major | 26);
        out.extend_from_slice(&small.to_be_bytes());
    } else {
        out.push(major | 27);
        out.extend_from_slice(&argument.to_be_bytes());
    }
}

/// Writes an unsigned integer.
pub fn uint(out: &mut Vec<u8>, value: u64) {
    head(out, MAJOR_UINT, value);
}

/// Writes a signed integer.
pub fn int(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        head(out, MAJOR_NEGATIVE, !(value as u64));
    } else {
        head(out, MAJOR_UINT, value as u64);
    }
}

/// Writes a text.
pub fn text(out: &mut Vec<u8>, value: &str) {
    head(out, MAJOR_TEXT, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}

/// Writes a byte string.
pub fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    head(out, MAJOR_BYTES, value.len() as u64);
    out.extend_from_slice(value);
}

/// Writes the head of an array of `len` items.
pub fn array(out: &mut Vec<u8>, len: usize) {
    head(out, MAJOR_ARRAY, len as u64);
}

/// Writes the head of a map of `len` entries.
pub fn map(out: &mut Vec<u8>, len: usize) {
    head(out, MAJOR_MAP, len as u64);
}

/// Writes a float of 32 bits; every NaN becomes the one.
pub fn f32(out: &mut Vec<u8>, value: f32) {
    out.push(0xfa);
    let bits = if value.is_nan() { NAN_32 } else { value.to_bits() };
    out.extend_from_slice(&bits.to_be_bytes());
}

/// Writes a float of 64 bits; every NaN becomes the one.
pub fn f64(out: &mut Vec<u8>, value: f64) {
    out.push(0xfb);
    let bits = if value.is_nan() { NAN_64 } else { value.to_bits() };
    out.extend_from_slice(&bits.to_be_bytes());
}

/// Writes a truth value.
pub fn bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { 0xf5 } else { 0xf4 });
}

/// Writes `null`.
pub fn null(out: &mut Vec<u8>) {
    out.push(NULL);
}

/// Writes `undefined`.
pub fn undefined(out: &mut Vec<u8>) {
    out.push(UNDEFINED);
}

/// Writes an id: a byte string of 16.
pub fn id(out: &mut Vec<u8>, value: Id) {
    bytes(out, &value.to_bytes());
}

/// What the next item is, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Uint,
    Negative,
    Bytes,
    Text,
    Array,
    Map,
    Bool,
    Null,
    Undefined,
    F32,
    F64,
}

/// Reads items one after the other. Every method either takes what it names or fails; after a
/// failure the position is unspecified.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `input`.
    pub fn new(input: &'a [u8]) -> Reader<'a> {
        Reader { rest: input }
    }

    /// True if nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Fails unless nothing is left.
    pub fn end(&self) -> Result<(), CborError> {
        if self.rest.is_empty() { Ok(()) } else { Err(CborError::Trailing) }
    }

    /// What the next item is. Only the head's first byte is looked at.
    pub fn kind(&self) -> Result<Kind, CborError> {
        let first = *self.rest.first().ok_or(CborError::Truncated)?;
        Ok(match first >> 5 {
            MAJOR_UINT => Kind::Uint,
            MAJOR_NEGATIVE => Kind::Negative,
            MAJOR_BYTES => Kind::Bytes,
            MAJOR_TEXT => Kind::Text,
            MAJOR_ARRAY => Kind::Array,
            MAJOR_MAP => Kind::Map,
            _ => match first {
                0xf4 | 0xf5 => Kind::Bool,
                NULL => Kind::Null,
                UNDEFINED => Kind::Undefined,
                0xfa => Kind::F32,
                0xfb => Kind::F64,
                other => return Err(CborError::Unused(other)),
            },
        })
    }

    /// Takes an unsigned integer.
    pub fn uint(&mut self) -> Result<u64, CborError> {
        self.argument(MAJOR_UINT, "an unsigned integer")
    }

    /// Takes an unsigned integer of at most 32 bits.
    pub fn u32(&mut self) -> Result<u32, CborError> {
        u32::try_from(self.uint()?).map_err(|_| CborError::Range)
    }

    /// Takes an integer of CBOR's whole range.
    pub fn int(&mut self) -> Result<i128, CborError> {
        match self.head()? {
            (MAJOR_UINT, value) => Ok(i128::from(value)),
            (MAJOR_NEGATIVE, value) => Ok(-1 - i128::from(value)),
            _ => Err(CborError::Expected("an integer")),
        }
    }

    /// Takes an integer of 64 bits.
    pub fn i64(&mut self) -> Result<i64, CborError> {
        i64::try_from(self.int()?).map_err(|_| CborError::Range)
    }

    /// Takes a text.
    pub fn text(&mut self) -> Result<&'a str, CborError> {
        let len = self.argument(MAJOR_TEXT, "a text")?;
        std::str::from_utf8(self.take(len)?).map_err(|_| CborError::NotUtf8)
    }

    /// Takes a byte string.
    pub fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        let len = self.argument(MAJOR_BYTES, "a byte string")?;
        self.take(len)
    }

    /// Takes an id.
    pub fn id(&mut self) -> Result<Id, CborError> {
        Id::from_slice(self.bytes()?).ok_or(CborError::Expected("an id"))
    }

    /// Takes the head of an array and returns how many items follow. The count is no more than
    /// what is left can hold.
    pub fn array(&mut self) -> Result<usize, CborError> {
        let len = self.argument(MAJOR_ARRAY, "an array")?;
        self.countable(len, 1)
    }

    /// Takes the head of a map and returns how many entries follow.
    pub fn map(&mut self) -> Result<usize, CborError> {
        let len = self.argument(MAJOR_MAP, "a map")?;
        self.countable(len, 2)
    }

    /// Takes a truth value.
    pub fn bool(&mut self) -> Result<bool, CborError> {
        match self.byte()? {
            0xf4 => Ok(false),
            0xf5 => Ok(true),
            _ => Err(CborError::Expected("a bool")),
        }
    }

    /// Takes `null`.
    pub fn null(&mut self) -> Result<(), CborError> {
        if self.byte()? == NULL { Ok(()) } else { Err(CborError::Expected("null")) }
    }

    /// Takes a float of 32 bits.
    pub fn f32(&mut self) -> Result<f32, CborError> {
        if self.byte()? != 0xfa {
            return Err(CborError::Expected("a float of 32 bits"));
        }
        let value = f32::from_bits(u32::from_be_bytes(self.fixed()?));
        if value.is_nan() && value.to_bits() != NAN_32 { Err(CborError::Nan) } else { Ok(value) }
    }

    /// Takes a float of 64 bits.
    pub fn f64(&mut self) -> Result<f64, CborError> {
        if self.byte()? != 0xfb {
            return Err(CborError::Expected("a float of 64 bits"));
        }
        let value = f64::from_bits(u64::from_be_bytes(self.fixed()?));
        if value.is_nan() && value.to_bits() != NAN_64 { Err(CborError::Nan) } else { Ok(value) }
    }

    /// Takes a whole item, whatever it is, and returns its bytes. It is well-formed then.
    pub fn item(&mut self) -> Result<&'a [u8], CborError> {
        let before = self.rest;
        self.skip()?;
        let len = before.len() - self.rest.len();
        before.get(..len).ok_or(CborError::Truncated)
    }

    /// Goes behind a whole item and checks that it is well-formed: definite lengths, shortest
    /// heads, UTF-8, canonical NaN, depth.
    pub fn skip(&mut self) -> Result<(), CborError> {
        if let Some(rest) = self.behind_number() {
            self.rest = rest;
            return Ok(());
        }
        let mut open = self.step()?;
        // What holds no container, as most items, needs no memory of what encloses what.
        while open > 0 {
            open -= 1;
            if let Some(rest) = self.behind_number() {
                self.rest = rest;
                continue;
            }
            let inner = self.step()?;
            if inner > 0 {
                return self.skip_nested(open, inner);
            }
        }
        Ok(())
    }

    /// What follows if a number or a truth value is next, as mostly. None if it is something else, or malformed:
    /// [`Reader::step`] finds out.
    #[inline]
    pub(crate) fn behind_number(&self) -> Option<&'a [u8]> {
        match self.rest {
            [0x00..=0x17 | 0x20..=0x37 | 0xf4..=NULL, rest @ ..] => Some(rest),
            [0x18 | 0x38, 24..=0xff, rest @ ..] => Some(rest),
            [0x19 | 0x39, 1..=0xff, _, rest @ ..] => Some(rest),
            [0x1a | 0x3a, high, low, _, _, rest @ ..] if high | low != 0 => Some(rest),
            [0xfa, sign, high, _, _, rest @ ..] if sign & 0x7f != 0x7f || high & 0x80 == 0 => Some(rest),
            _ => None,
        }
    }

    /// Goes on in the second container: `enclosing` items of the first one follow its `open` ones.
    fn skip_nested(&mut self, enclosing: u64, mut open: u64) -> Result<(), CborError> {
        // Items that each enclosing array or map still lacks. The item that is read is inside
        // of `depth` containers besides the innermost, whose count is `open`.
        let mut outer = [0u64; CBOR_DEPTH_MAX];
        let [first, ..] = &mut outer;
        *first = enclosing;
        let mut depth = 1usize;
        loop {
            while open == 0 {
                if depth == 0 {
                    return Ok(());
                }
                depth -= 1;
                open = *outer.get(depth).ok_or(CborError::TooDeep)?;
            }
            open -= 1;
            let inner = self.step()?;
            if inner > 0 {
                if depth + 1 >= CBOR_DEPTH_MAX {
                    return Err(CborError::TooDeep);
                }
                *outer.get_mut(depth).ok_or(CborError::TooDeep)? = open;
                depth += 1;
                open = inner;
            }
        }
    }

    /// Takes one head with its text or bytes; returns how many items it encloses.
    fn step(&mut self) -> Result<u64, CborError> {
        let first = *self.rest.first().ok_or(CborError::Truncated)?;
        if first >> 5 == MAJOR_SIMPLE {
            match first {
                0xf4..=NULL => {
                    self.byte()?;
                }
                0xfa => {
                    self.f32()?;
                }
                0xfb => {
                    self.f64()?;
                }
                UNDEFINED => return Err(CborError::Undefined),
                other => return Err(CborError::Unused(other)),
            }
            return Ok(0);
        }
        let (major, argument) = self.head()?;
        match major {
            MAJOR_BYTES => self.take(argument).map(|_| 0),
            MAJOR_TEXT => match std::str::from_utf8(self.take(argument)?) {
                Ok(_) => Ok(0),
                Err(_) => Err(CborError::NotUtf8),
            },
            MAJOR_ARRAY => self.countable(argument, 1).map(|len| len as u64),
            MAJOR_MAP => self.countable(argument, 2).map(|len| 2 * len as u64),
            _ => Ok(0),
        }
    }

    fn argument(&mut self, wanted: u8, name: &'static str) -> Result<u64, CborError> {
        let (major, argument) = self.head()?;
        if major == wanted { Ok(argument) } else { Err(CborError::Expected(name)) }
    }

    #[inline]
    fn head(&mut self) -> Result<(u8, u64), CborError> {
        match self.rest.split_first() {
            // A small number, alone: most heads.
            Some((&first, rest)) if first >> 5 <= MAJOR_MAP && first & 0x1f < 24 => {
                self.rest = rest;
                Ok((first >> 5, u64::from(first & 0x1f)))
            }
            _ => self.other_head(),
        }
    }

    fn other_head(&mut self) -> Result<(u8, u64), CborError> {
        let first = self.byte()?;
        let (major, info) = (first >> 5, first & 0x1f);
        if major > MAJOR_MAP {
            return Err(if major == MAJOR_SIMPLE {
                CborError::Expected("another kind")
            } else {
                CborError::Unused(first)
            });
        }
        let (argument, least) = match info {
            0..24 => return Ok((major, u64::from(info))),
            24 => (u64::from(self.byte()?), 24),
            25 => (u64::from(u16::from_be_bytes(self.fixed()?)), 1 << 8),
            26 => (u64::from(u32::from_be_bytes(self.fixed()?)), 1 << 16),
            27 => (u64::from_be_bytes(self.fixed()?), 1 << 32),
            31 => return Err(CborError::Indefinite),
            _ => return Err(CborError::Unused(first)),
        };
        if argument < least { Err(CborError::NotShortest) } else { Ok((major, argument)) }
    }

    /// A count of things of at least `least` bytes, refused if they cannot be there.
    fn countable(&self, count: u64, least: usize) -> Result<usize, CborError> {
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() / least => Ok(count),
            _ => Err(CborError::Truncated),
        }
    }

    fn byte(&mut self) -> Result<u8, CborError> {
        let (first, rest) = self.rest.split_first().ok_or(CborError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], CborError> {
        let len = usize::try_from(len).map_err(|_| CborError::Truncated)?;
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(CborError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(CborError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }
}

/// Checks that `input` is exactly one well-formed item.
pub fn check_item(input: &[u8]) -> Result<(), CborError> {
    let mut reader = Reader::new(input);
    reader.skip()?;
    reader.end()
}

/// Checks that `input` is exactly one well-formed array (arguments of a call).
pub fn check_array(input: &[u8]) -> Result<(), CborError> {
    if Reader::new(input).kind()? != Kind::Array {
        return Err(CborError::Expected("an array"));
    }
    check_item(input)
}

/// False if there is surely no NaN in a sequence of items: no byte that begins a float is followed by
/// the exponent of one. A look at the bytes, far cheaper than a walk over the items.
pub fn may_hold_nan(input: &[u8]) -> bool {
    let begins = |first: u8, second: u8| (first & 0xfe == 0xfa) & (second & 0x7f == 0x7f);
    let pairs = input.iter().zip(input.get(1..).unwrap_or_default());
    // To the end, whatever is found: without a way out the compiler looks at many bytes at once.
    pairs.fold(false, |found, (first, second)| found | begins(*first, *second))
}

/// Replaces every NaN in a sequence of items by the canonical one, in place. Stops silently at
/// what is not CBOR; whoever reads the bytes afterwards finds that.
pub fn canonicalize_nans(input: &mut [u8]) {
    let mut rest = input;
    while let Some(&first) = rest.first() {
        let info = first & 0x1f;
        let head_len = match info {
            0..24 => 1,
            24 => 2,
            25 => 3,
            26 => 5,
            27 => 9,
            _ => return,
        };
        let Some((head, behind)) = rest.split_at_mut_checked(head_len) else { return };
        let argument = head.iter().skip(1).fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        if first == 0xfa && f32::from_bits(argument as u32).is_nan() {
            if let Some(bits) = head.get_mut(1..) {
                bits.copy_from_slice(&NAN_32.to_be_bytes());
            }
        } else if first == 0xfb
            && f64::from_bits(argument).is_nan()
            && let Some(bits) = head.get_mut(1..)
        {
            bits.copy_from_slice(&NAN_64.to_be_bytes());
        }
        let content = match first >> 5 {
            MAJOR_BYTES | MAJOR_TEXT if info < 24 => u64::from(info),
            MAJOR_BYTES | MAJOR_TEXT => argument,
            _ => 0,
        };
        let Ok(content) = usize::try_from(content) else { return };
        let Some((_, after)) = behind.split_at_mut_checked(content) else { return };
        rest = after;
    }
}
